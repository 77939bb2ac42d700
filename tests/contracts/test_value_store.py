"""What every value store does alike: local, in memory, on S3, and one whose calls fail in turn."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from taskgraph.errors import DamagedValueError, ValueStoreError
from taskgraph.hashing import ContentDigest, digest_bytes
from taskgraph.values.entries import STALE_SECONDS
from taskgraph.values.valuestore import (
    QUARANTINE,
    Draft,
    Outside,
    TooLargeError,
    ValueStore,
    locate,
    name_of,
)
from tests.s3 import s3_server
from tests.valuestores import BUCKET, KINDS, FailingFileSystem, failing

CONTENT = b"some bytes of a value " * 100


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with s3_server(BUCKET) as url:
        yield url


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ValueStore:
    """A store of its own for each test."""
    match request.param:
        case "local":
            return ValueStore(str(tmp_path / "store"))
        case "s3":
            request.getfixturevalue("s3")
            return ValueStore(f"s3://{BUCKET}/{tmp_path.name}")
        case scheme:
            return ValueStore(f"{scheme}://{tmp_path.name}")


def published(store: ValueStore, content: bytes = CONTENT) -> ContentDigest:
    return store.publish("pickle", content).digest


def overwrite(store: ValueStore, name: str, content: bytes) -> None:
    with fsspec.open(f"{store.url}/{name}", "wb") as stream:
        stream.write(content)


def remove(store: ValueStore, name: str) -> None:
    filesystem, inner = fsspec.core.url_to_fs(f"{store.url}/{name}")
    filesystem.rm_file(inner)


def names(store: ValueStore) -> list[str]:
    return [name for name, _ in store.folder.names("")]


def test_what_is_published_is_read(store: ValueStore) -> None:
    found = store.publish("pickle", CONTENT)

    assert found == ("pickle", len(CONTENT), digest_bytes(CONTENT))
    assert store.read(found.digest) == CONTENT
    mapped = store.map(found.digest)
    assert mapped is not None
    assert bytes(mapped) == CONTENT
    assert store.check(found.digest) is None


def test_entries_are_named_by_the_digest_of_their_bytes(store: ValueStore) -> None:
    digest = published(store)

    assert names(store) == [f"{digest[:2]}/{digest[2:]}"]
    assert list(store.entries()) == [(digest, len(CONTENT))]


def test_an_empty_store_has_nothing(store: ValueStore) -> None:
    digest = digest_bytes(CONTENT)

    assert store.read(digest) is None
    assert store.map(digest) is None
    assert list(store.entries()) == list(store.quarantined()) == list(store.drafts()) == []
    assert store.quarantine(digest) is None
    assert "missing" in (store.check(digest) or "")


def test_an_entry_that_is_there_is_not_written_again(
    store: ValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = published(store)
    saved: list[str] = []
    monkeypatch.setattr(type(store.folder), "save", lambda self, name, content: saved.append(name))

    published(store)

    assert saved == []
    assert store.read(digest) == CONTENT


def test_a_damaged_entry_of_the_same_size_is_moved_aside_and_written_anew(
    store: ValueStore,
) -> None:
    """Who publishes may be the last one to have the value: it was imported, or given by hand."""
    digest = published(store)
    overwrite(store, name_of(digest), bytes(len(CONTENT)))

    published(store)

    assert store.read(digest) == CONTENT
    assert [size for _, size in store.quarantined()] == [len(CONTENT)]


def test_a_damaged_entry_that_cannot_be_moved_is_written_over(
    store: ValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = published(store)
    overwrite(store, name_of(digest), bytes(len(CONTENT)))

    def refuse(self: object, name: str, target: str) -> bool:
        raise ValueStoreError(store.url, "nothing may be deleted here")

    monkeypatch.setattr(type(store.folder), "move", refuse)
    published(store)

    assert store.read(digest) == CONTENT


def test_a_good_entry_that_was_moved_aside_in_a_race_is_put_back(store: ValueStore) -> None:
    """Somebody put it there after another one had seen a bad one, and before he moved that."""
    digest = published(store)

    assert store.quarantine(digest) is None

    assert store.read(digest) == CONTENT
    assert list(store.quarantined()) == []


def test_an_entry_of_another_size_is_moved_aside_and_written_anew(store: ValueStore) -> None:
    digest = published(store)
    overwrite(store, name_of(digest), CONTENT[:100])

    published(store)

    assert store.read(digest) == CONTENT
    assert [size for _, size in store.quarantined()] == [100]


@pytest.mark.parametrize(
    "damaged",
    [CONTENT[:-1], CONTENT + b"x", bytes(len(CONTENT)), b"", b"S" + CONTENT[1:]],
    ids=["truncated", "longer", "zeroed", "empty", "bit-flipped"],
)
@pytest.mark.parametrize("how", ["read", "map"])
def test_a_damaged_entry_is_moved_aside_and_not_there(
    store: ValueStore, damaged: bytes, how: str
) -> None:
    digest = published(store)
    overwrite(store, name_of(digest), damaged)
    assert "other bytes" in (store.check(digest) or "")

    assert getattr(store, how)(digest) is None

    ((name, size),) = store.quarantined()
    assert name.startswith(f"{QUARANTINE}/{digest}-")
    assert size == len(damaged)
    assert list(store.entries()) == []
    published(store)
    assert store.read(digest) == CONTENT


def test_of_two_swapped_entries_neither_is_used(store: ValueStore) -> None:
    other = CONTENT[::-1]
    first, second = published(store), published(store, other)
    overwrite(store, name_of(first), other)
    overwrite(store, name_of(second), CONTENT)

    assert store.read(first) is None
    assert store.map(second) is None

    assert len(list(store.quarantined())) == 2


def test_what_was_damaged_and_put_right_meanwhile_is_read(
    store: ValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who met the bad bytes must not move the good ones away that came after them."""
    digest = published(store)
    overwrite(store, name_of(digest), bytes(len(CONTENT)))
    from taskgraph.values import valuestore

    read = valuestore._read_bytes
    calls = []

    def read_and_heal(stream: object, size: int) -> object:
        found = read(stream, size)  # type: ignore[arg-type]
        if not calls:
            overwrite(store, name_of(digest), CONTENT)
        calls.append(found)
        return found

    monkeypatch.setattr(valuestore, "_read_bytes", read_and_heal)

    assert store.read(digest) == CONTENT

    assert list(store.quarantined()) == []


@pytest.mark.parametrize(
    "error", [FileNotFoundError("no such key"), OSError(errno.EBUSY, "replaced")], ids=["", "busy"]
)
def test_an_entry_that_is_replaced_while_it_is_read_is_read_again(
    store: ValueStore, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 opens nothing: it is asked for what is there when it is read."""
    digest = published(store)
    from taskgraph.values import valuestore

    read, digest_stream = valuestore._read_bytes, valuestore._digest_stream
    errors = [error]

    def fail_once(stream: object, size: int) -> object:
        if errors:
            raise errors.pop()
        return read(stream, size)  # type: ignore[arg-type]

    def fail(stream: object) -> ContentDigest:
        raise FileNotFoundError

    monkeypatch.setattr(valuestore, "_read_bytes", fail_once)

    assert store.read(digest) == CONTENT

    errors += [FileNotFoundError("gone")] * 3
    assert store.read(digest) is None
    errors += [OSError(errno.EBUSY, "replaced")] * 3
    with pytest.raises(ValueStoreError, match="replaced"):
        store.read(digest)
    monkeypatch.setattr(valuestore, "_digest_stream", fail)
    assert "missing" in (store.check(digest) or "")
    monkeypatch.setattr(valuestore, "_digest_stream", digest_stream)
    assert store.check(digest) is None


def test_a_missing_entry_is_written_anew(store: ValueStore) -> None:
    digest = published(store)
    remove(store, name_of(digest))
    assert store.read(digest) is None

    published(store)

    assert store.read(digest) == CONTENT


def test_a_stream_is_published_as_its_bytes_are(store: ValueStore) -> None:
    def write(sink: Draft) -> str:
        for start in range(0, len(CONTENT), 100):
            sink.write(memoryview(CONTENT)[start : start + 100])
        return "npy"

    found = store.publish_stream(write)

    assert found == ("npy", len(CONTENT), digest_bytes(CONTENT))
    assert store.read(digest_bytes(CONTENT)) == CONTENT
    assert list(store.drafts()) == []


def test_a_large_stream_is_published_in_parts(store: ValueStore) -> None:
    piece = os.urandom(1 << 20)

    def write(sink: Draft) -> str:
        for _ in range(12):
            sink.write(piece)
        return "npy"

    found = store.publish_stream(write)

    assert found is not None
    mapped = store.map(found.digest)
    assert mapped is not None
    assert bytes(mapped) == piece * 12


def test_a_stream_that_is_given_up_leaves_nothing(store: ValueStore) -> None:
    def write(sink: Draft) -> str | None:
        sink.write(CONTENT)
        return None

    def fail(sink: Draft) -> str:
        sink.write(CONTENT)
        raise RuntimeError

    assert store.publish_stream(write) is None
    with pytest.raises(RuntimeError):
        store.publish_stream(fail)
    with pytest.raises(TooLargeError):
        store.publish_stream(write, max_size=10)

    assert names(store) == []


def test_several_writers_of_one_value_leave_one_entry(store: ValueStore) -> None:
    start, errors = threading.Barrier(4), []

    def work() -> None:
        start.wait()
        try:
            published(store)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert errors == []
    assert names(store) == [name_of(digest_bytes(CONTENT))]
    assert store.read(digest_bytes(CONTENT)) == CONTENT


def test_what_is_mapped_may_be_written_to_and_the_entry_stays(store: ValueStore) -> None:
    digest = published(store)
    mapped = store.map(digest)
    assert mapped is not None

    mapped[:4] = b"XXXX"

    assert store.read(digest) == CONTENT


def test_what_compresses_well_is_compressed_and_what_does_not_is_left(store: ValueStore) -> None:
    pytest.importorskip("zstandard")
    from taskgraph.values.compression import decompressed

    small = store._replace(compression="zstd")
    noise = os.urandom(5_000)

    first, second = small.publish("npy", CONTENT), small.publish("npy", noise)

    assert first.format == "npy+zstd"
    assert first.size < len(CONTENT) // 2
    stored = small.read(first.digest)
    assert stored is not None
    assert digest_bytes(stored) == first.digest
    assert decompressed(stored) == CONTENT
    assert second == ("npy", 5_000, digest_bytes(noise))


def test_streams_are_compressed_where_that_is_worth_it(store: ValueStore) -> None:
    pytest.importorskip("zstandard")
    from taskgraph.values.compression import decompressed

    small = store._replace(compression="zstd")
    noise = os.urandom(5_000)

    def writing(content: bytes) -> object:
        def write(sink: Draft) -> str:
            sink.write(content)
            return "npy"

        return small.publish_stream(write)

    first, second = writing(CONTENT), writing(noise)

    assert first[0] == "npy+zstd"  # type: ignore[index]
    assert decompressed(small.read(first[2])) == CONTENT  # type: ignore[index]
    assert second == ("npy", 5_000, digest_bytes(noise))


def test_bytes_outside_say_what_is_wrong_with_them(store: ValueStore) -> None:
    digest = digest_bytes(CONTENT)
    outside = locate(b"", digest, store)
    assert isinstance(outside, Outside)

    with pytest.raises(DamagedValueError, match="missing, or was damaged") as error:
        outside.load("abcdef1234")

    assert error.value.value_hash == "abcdef1234"
    assert locate(b"x", digest, store) == b"x"
    assert locate(b"", digest_bytes(b""), store) == b""


def test_without_a_store_bytes_outside_are_an_error() -> None:
    outside = locate(b"", digest_bytes(CONTENT), None)
    assert isinstance(outside, Outside)

    with pytest.raises(ValueStoreError, match="none is set here"):
        outside.load("abcdef1234")


# A store that cannot be reached


def test_each_call_that_fails_while_publishing_is_an_error_and_leaves_nothing_half() -> None:
    number = 0
    while True:
        number += 1
        store = ValueStore(f"failing://publish{number}")
        with failing(number):
            try:
                published(store)
            except ValueStoreError as error:
                assert "was cut off" in str(error)
                assert store.url in str(error)
            else:
                assert FailingFileSystem.calls < number
                break
        assert store.read(digest_bytes(CONTENT)) in {None, CONTENT}
        assert list(store.quarantined()) == []
        published(store)
        assert store.read(digest_bytes(CONTENT)) == CONTENT
    assert number > 2


@pytest.mark.parametrize("how", ["read", "map", "check"])
def test_each_call_that_fails_while_reading_is_an_error_and_no_damage(how: str) -> None:
    store = ValueStore(f"failing://{how}")
    digest = published(store)
    number = 0
    while True:
        number += 1
        with failing(number):
            try:
                getattr(store, how)(digest)
            except ValueStoreError as error:
                assert "was cut off" in error.reason
            else:
                assert FailingFileSystem.calls < number
                break
        assert list(store.quarantined()) == []
    assert number > 2
    assert store.read(digest) == CONTENT


def test_a_stream_whose_store_fails_leaves_no_entry_and_no_file() -> None:
    store = ValueStore("failing://stream")

    def write(sink: Draft) -> str:
        sink.write(CONTENT)
        return "npy"

    for number in (1, 2):
        with failing(number), pytest.raises(ValueStoreError):
            store.publish_stream(write)
        assert names(store) == []


def test_a_damaged_entry_that_cannot_be_moved_is_not_there_all_the_same() -> None:
    store = ValueStore("failing://kept")
    digest = published(store)
    overwrite(store, name_of(digest), b"other")
    with failing(0):
        store.check(digest)
    # The two attempts to read it, each of a look and of an opening.
    with failing(FailingFileSystem.calls * 2 + 1):
        assert store.read(digest) is None


def test_a_bucket_that_is_not_there_is_an_error(s3: str) -> None:
    store = ValueStore("s3://nobodys-bucket/values")

    for ask in (store.read, store.map, store.check):
        with pytest.raises(ValueStoreError, match="nobodys-bucket"):
            ask(digest_bytes(CONTENT))
    with pytest.raises(ValueStoreError, match="nobodys-bucket"):
        published(store)


def test_a_server_that_does_not_answer_is_an_error(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    store = ValueStore(f"s3://{BUCKET}/x")

    with pytest.raises(ValueStoreError, match="cannot be used"):
        store.read(digest_bytes(CONTENT))
    with pytest.raises(ValueStoreError, match="cannot be used"):
        published(store)
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    store = ValueStore(str(tmp_path / "store"))

    with pytest.raises(ValueStoreError, match=r"exists|directory"):
        published(store)


def test_an_entry_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    store = ValueStore(str(tmp_path / "store"))
    digest = digest_bytes(CONTENT)
    (tmp_path / "store" / name_of(digest)).mkdir(parents=True)

    with pytest.raises(ValueStoreError, match="directory"):
        store.read(digest)


def test_a_draft_that_was_left_behind_is_swept_after_a_day(tmp_path: Path) -> None:
    drafts = tmp_path / "new"
    drafts.mkdir()
    for name in ("old", "young"):
        (drafts / name).write_bytes(b"half")
    os.utime(drafts / "old", (time.time() - 2 * STALE_SECONDS,) * 2)

    published(ValueStore(str(tmp_path)))

    assert [each.name for each in drafts.iterdir()] == ["young"]


def test_a_draft_for_another_machine_has_no_name_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[list[str]] = []

    def write(sink: Draft) -> str:
        sink.write(CONTENT)
        seen.append(os.listdir(tmp_path))
        return "npy"

    found = ValueStore("memory://unnamed").publish_stream(write)

    assert found is not None
    assert seen == [[]]
    assert ValueStore("memory://unnamed").read(found.digest) == CONTENT


def test_other_files_in_the_folder_are_no_entries(tmp_path: Path) -> None:
    store = ValueStore(f"file://{tmp_path}")
    digest = published(store)
    (tmp_path / digest[:2] / "notes.txt").write_text("x")
    (tmp_path / "README").write_text("x")

    assert [each.digest for each in store.entries()] == [digest]


def test_stores_are_seen_from_where_they_can_be(tmp_path: Path) -> None:
    import platform

    local, here = ValueStore(str(tmp_path)), platform.node()

    assert local.across() == local.across(here) == local
    assert local.across("another-host") is None
    assert ValueStore("memory://x").across() is None
    assert ValueStore("s3://b/x").across("another-host") == ValueStore("s3://b/x")
