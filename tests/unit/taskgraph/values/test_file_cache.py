"""`FileCache`: values in files that are named by their content."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph.errors import InvalidValueError, UnstorableValueError
from taskgraph.hashing import digest_bytes
from taskgraph.values import codec
from taskgraph.values.file_cache import FileCache
from taskgraph.values.pack import pack
from taskgraph.values.weigh import hash_value


class Text:
    def __init__(self, text: str, lock: Any = None) -> None:
        self.text = text
        self.lock = lock


class Special(Text):
    pass


class TextFile(FileCache):
    type: ClassVar[Any] = Text
    base_path = "kept"

    def _serialize(self) -> bytes:
        text: str = self.instance.text
        return text.encode("utf-8", "surrogatepass")

    @classmethod
    def _deserialize(cls, data: bytes) -> Any:
        return Text(data.decode("utf-8", "surrogatepass"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(TextFile, "base_path", tmp_path / "kept")
    yield tmp_path / "kept"


def read_back(value: Any) -> Any:
    return read(pack(value).values[0])


def read(record: Any) -> Any:
    return codec.decode(
        record.value_hash, record.type, record.format, record.value, record.content_digest
    )


def test_what_is_stored_is_the_name_of_a_file(folder: Path) -> None:
    record = pack(Text("a" * 1000)).values[0]

    (path,) = folder.iterdir()
    assert json.loads(record.value) == {"file": path.name, "size": 1000}
    assert path.name == digest_bytes(path.read_bytes())
    assert read(record).text == "a" * 1000


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), max_size=4))
def test_values_come_back_wherever_they_lie(texts: list[str]) -> None:
    values = [Text(each) for each in texts]

    again = read_back({"inside": values})["inside"]

    assert [each.text for each in again] == texts
    assert hash_value(again) == hash_value(values)


def test_values_inside_of_others_are_in_files_too(folder: Path) -> None:
    packed = pack([Text("x" * 100_000), {"b": Text("y" * 100_000)}])

    assert len(list(folder.iterdir())) == 2
    assert all(each.size < 1000 for each in packed.values)


def test_a_value_counts_by_its_content_and_otherwise_by_its_file() -> None:
    lock = threading.Lock()

    assert hash_value(Text("a")) == hash_value(Text("a"))
    assert hash_value(Text("a")) != hash_value(Text("b"))
    assert hash_value(Text("a", lock)) == hash_value(Text("a", threading.Lock()))
    assert hash_value(Text("a", lock)) != hash_value(Text("b", lock))
    assert hash_value(Text("a")) != hash_value(Special("a"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "is not there any more"),
        (lambda path: path.write_text("other"), "is damaged"),
        (lambda path: path.write_text(""), "is damaged"),
    ],
)
def test_a_file_that_is_gone_or_damaged_is_an_invalid_value(
    folder: Path, spoil: Any, reason: str
) -> None:
    record = pack([Text("hello")]).values[0]
    (path,) = folder.iterdir()

    spoil(path)
    with pytest.raises(InvalidValueError, match=f"the file that holds it {reason}: {path}") as e:
        read(record)

    assert e.value.is_lost
    assert e.value.value_hash == record.value_hash


def test_a_damaged_file_is_written_again(folder: Path) -> None:
    record = pack(Text("hello")).values[0]
    (path,) = folder.iterdir()
    path.write_text("holle")

    pack(Text("hello"))

    assert read(record).text == "hello"


def test_a_file_that_is_there_is_not_written_again(folder: Path) -> None:
    pack(Text("hello"))
    (path,) = folder.iterdir()
    os.utime(path, (1, 1))

    pack(Text("hello"))

    assert path.stat().st_mtime == 1


def test_a_file_that_cannot_be_reached_is_no_loss(folder: Path) -> None:
    record = pack(Text("hello")).values[0]
    (path,) = folder.iterdir()
    path.unlink()
    path.mkdir()  # an error of the system that is not "not found"

    with pytest.raises(InvalidValueError, match="cannot be read") as caught:
        read(record)

    assert not caught.value.is_lost


def test_a_folder_that_cannot_be_written_is_a_value_that_is_not_stored(folder: Path) -> None:
    folder.write_text("a file is in the way")

    with pytest.raises(UnstorableValueError, match="kept"):
        pack(Text("hello"))


def test_a_url_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextFile, "base_path", "memory://taskgraph-file-cache")
    record = pack(Text("far away")).values[0]

    assert read(record).text == "far away"
    fsspec.filesystem("memory").rm("/taskgraph-file-cache", recursive=True)
    with pytest.raises(InvalidValueError, match="memory://taskgraph-file-cache"):
        read(record)


def test_what_a_class_does_not_say_is_named() -> None:
    class Half(FileCache):
        base_path = "x"

    with pytest.raises(NotImplementedError, match="Half does not say how it is written"):
        Half(1)._serialize()
    with pytest.raises(NotImplementedError, match="Half does not say how it is read"):
        Half._deserialize(b"")


def test_two_processes_may_write_one_value(folder: Path) -> None:
    program = f"""
import sys
from tests.unit.taskgraph.values import test_file_cache as here
from taskgraph.values.pack import pack
here.TextFile.base_path = {str(folder)!r}
sys.stdin.readline()
for i in range(50):
    assert here.read(pack(here.Text("both " * (i + 1) * 1000)).values[0]).text
"""
    root = Path(__file__).resolve().parents[4]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'backend'}"},
        )
        for _ in range(2)
    ]

    for each in writers:
        assert each.stdin is not None
        each.stdin.write(b"go\n")
        each.stdin.flush()

    for each in writers:
        each.communicate(timeout=120)
    assert [each.returncode for each in writers] == [0, 0]
    paths = list(folder.iterdir())
    assert len(paths) == 50
    assert all(digest_bytes(path.read_bytes()) == path.name for path in paths)


class Blob:
    def __init__(self, content: bytes) -> None:
        self.content = content


class BlobFile(FileCache):
    type: ClassVar[Any] = Blob
    base_path = "kept"

    def _serialize(self) -> bytes:
        return bytearray(self.instance.content)  # type: ignore[return-value]  # a copy

    @classmethod
    def _deserialize(cls, data: bytes) -> Any:
        return Blob(data)


def test_reading_and_writing_take_no_more_than_one_copy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlobFile, "base_path", folder)
    size = 32 << 20
    value = Blob(bytes(size))
    hash_value(value)
    tracemalloc.start()
    try:
        record = pack(value).values[0]
        _, writing = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        again = read(record)
        _, reading = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(again.content) == size
    assert writing < 1.3 * size
    assert reading < 1.3 * size
