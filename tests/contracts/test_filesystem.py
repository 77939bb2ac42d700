"""What every file system does alike: local folders, fsspec's memory, and S3 as moto plays it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph.values.contents import DIRECTORY, MISSING
from taskgraph.values.directories import Dir
from taskgraph.values.file_kinds import FILE
from taskgraph.values.files import File
from taskgraph.values.filesets import FileSet
from taskgraph.values.filesystems import copy_file, get_filesystem, glob_file
from taskgraph.values.places import FilePlaces, Policy, use_places
from tests.s3 import s3_server

BUCKET = "contract"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with s3_server(BUCKET) as url:
        yield url


@pytest.fixture(params=["local", "memory", "s3"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder of its own for each test."""
    before = use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    name = tmp_path.name
    match request.param:
        case "local":
            yield str(tmp_path / "base")
        case "memory":
            yield f"memory://{name}"
        case _:
            request.getfixturevalue("s3_endpoint")
            yield f"s3://{BUCKET}/{name}"
    use_places(before)


def test_what_is_written_is_read(base: str) -> None:
    file = File(f"{base}/deep/a.txt")

    file.write("grüße\nzwei\n")

    assert file.read() == "grüße\nzwei\n"
    assert file.read("rb") == "grüße\nzwei\n".encode()
    assert file.read(encoding="latin-1") != file.read()
    assert file.readlines() == ["grüße\n", "zwei\n"]
    assert file.size() == 13
    assert file.exists() and file.isfile() and not file.isdir()
    assert (file.basename(), file.dirname()) == ("a.txt", f"{base}/deep")


def test_bytes_are_written_in_any_mode(base: str) -> None:
    file = File(f"{base}/a")

    file.write(b"\xff\x00")
    file.write(b"\x01", mode="ab")

    assert file.read("rb") == b"\xff\x00\x01"


def test_an_unfinished_file_is_not_there(base: str) -> None:
    file = File(f"{base}/a")

    with file.open("w") as stream:
        stream.write("x")
        stream.flush()
        assert not file.exists()

    assert file.read() == "x"


@pytest.mark.parametrize("size", [10, 9_000_000])
def test_a_body_that_raises_leaves_the_file_as_it_was(base: str, size: int) -> None:
    file = File(f"{base}/a")
    file.write("before")

    with pytest.raises(RuntimeError), file.open("wb") as stream:
        stream.write(b"x" * size)
        raise RuntimeError

    assert file.read() == "before"
    assert [each.path for each in Dir(base)] == [f"{base}/a"]


def test_a_large_file_is_written_in_parts(base: str) -> None:
    file = File(f"{base}/a")
    part = os.urandom(1_000_000)

    with file.open("wb") as stream:
        for _ in range(12):
            stream.write(part)

    assert file.size() == 12_000_000
    with file.open("rb") as stream:
        stream.seek(11_000_000)
        assert stream.read() == part


def test_closing_a_writer_rehashes_once_and_a_reader_never(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = File(f"{base}/a")
    looks = []
    look = File.look
    monkeypatch.setattr(File, "look", lambda self, *a: looks.append(1) or look(self, *a))

    stream = file.open("w")
    stream.write("x")
    assert looks == []
    stream.close()
    stream.close()
    with file.open() as reader:
        reader.read()

    assert looks == [1]
    assert file.is_valid()


def test_exclusive_writing_refuses_what_exists(base: str) -> None:
    file = File(f"{base}/a")

    file.write("x", mode="x")

    with pytest.raises(FileExistsError, match=rf"^\[Errno 17\] File exists. {base}/a$"):
        file.write("y", mode="x")
    assert file.read() == "x"


def test_appending_adds_at_the_end(base: str) -> None:
    file = File(f"{base}/deep/a")

    file.write("one ", mode="a")
    before = file.hash
    file.write("two", mode="a")

    assert file.read() == "one two"
    assert file.hash != before


def test_a_binary_mode_has_no_encoding(base: str) -> None:
    for mode in ("rb", "wb"):
        with pytest.raises(ValueError, match="encoding"):
            File(f"{base}/a").open(mode, encoding="utf-8")
    with pytest.raises(ValueError, match="not a mode"):
        File(f"{base}/a").open("rw")


def test_an_unknown_encoding_leaves_nothing(base: str) -> None:
    with pytest.raises(LookupError):
        File(f"{base}/a").open("w", encoding="utf-99")

    assert not File(f"{base}/a").exists()
    assert list(Dir(base)) == []


def test_a_missing_file_is_an_error_that_names_it(base: str) -> None:
    file = File(f"{base}/a")

    for use in (file.read, file.size, lambda: file.copy_to(f"{base}/b")):
        with pytest.raises(FileNotFoundError) as caught:
            use()
        assert str(caught.value) == f"[Errno 2] No such file or directory. {base}/a"
        assert caught.value.errno == 2
    assert not (file.exists() or file.isfile() or file.isdir())


def test_identity_follows_content(base: str) -> None:
    file, filesystem = File(f"{base}/a"), get_filesystem(url=base)
    assert filesystem.identity(file.location, Policy.CONTENT) == MISSING
    file.write("x")
    first = file.look()

    file.write("y")

    assert File(f"{base}/a").look() != first
    assert file.look() == file.look()
    assert file.look().size == 1


def test_a_folder_is_no_file(base: str) -> None:
    File(f"{base}/d/a").write("x")

    assert File(f"{base}/d").look() == DIRECTORY
    assert File(f"{base}/d").isdir()


def test_policies_count_everywhere(base: str, tmp_path: Path) -> None:
    use_places(
        FilePlaces({}, [("*.ref", "immutable"), ("*.big", "stat")], cache_dir=tmp_path / "cache")
    )
    fixed, big = File(f"{base}/a.ref"), File(f"{base}/a.big")
    fixed.write("x")
    big.write("x")

    File(f"{base}/a.ref").write("y")
    File(f"{base}/a.big").write("longer")

    assert fixed.is_valid()
    assert not big.is_valid()


def test_removing_is_idempotent(base: str) -> None:
    file = File(f"{base}/a")
    file.write("x")

    file.remove()
    file.remove()

    assert not file.exists()
    assert file.look() == MISSING


def test_touching_makes_a_file_and_leaves_its_content(base: str) -> None:
    file = File(f"{base}/deep/a")

    file.touch()
    assert file.read() == ""
    file.write("x")
    file.touch()

    assert file.read() == "x"


def test_copies_have_the_same_content(base: str, tmp_path: Path) -> None:
    file = File(f"{base}/a")
    file.write("x" * 100)

    near = file.copy_to(f"{base}/deep/b")
    far = file.copy_to(File(tmp_path / "far" / "c"))
    back = far.copy_to(f"{base}/d")

    assert [each.read() for each in (near, far, back)] == ["x" * 100] * 3
    assert file.copy_to(f"{base}/a").read() == "x" * 100
    assert far.seen is not None


def test_a_copy_can_leave_what_exists(base: str) -> None:
    one, two = File(f"{base}/1"), File(f"{base}/2")
    one.write("one")
    two.write("two")

    assert one.copy_to(two, skip_if_exists=True).read() == "two"
    assert one.copy_to(two).read() == "one"


def test_folders_are_copied_whole(base: str, tmp_path: Path) -> None:
    File(f"{base}/d/a").write("a")
    File(f"{base}/d/sub/b").write("b")

    copied = Dir(f"{base}/d").copy_to(str(tmp_path / "copy"))
    copy_file(f"{base}/d", f"{base}/e", recursive=True)
    copy_file(f"{base}/d/a", f"{base}/f")

    assert [file.read() for file in copied] == ["a", "b"]
    assert [file.path for file in Dir(f"{base}/e")] == [f"{base}/e/a", f"{base}/e/sub/b"]
    assert File(f"{base}/f").read() == "a"
    with pytest.raises(OSError, match=r"Is a directory. "):
        copy_file(f"{base}/d", f"{base}/g")


def test_folders_list_their_files(base: str) -> None:
    folder = Dir(base)
    assert not folder.exists() and folder.look().members is None
    for name in ("b", "a", "sub/c.txt"):
        folder.file(name).write(name)

    assert [file.path for file in folder] == [f"{base}/a", f"{base}/b", f"{base}/sub/c.txt"]
    assert [file.path for file in FileSet(f"{base}/*/*.txt")] == [f"{base}/sub/c.txt"]
    assert glob_file(f"{base}/?") == [f"{base}/a", f"{base}/b"]
    assert folder.exists()
    assert folder.look().size == 11
    assert [file.look() for file in folder] == [seen for _, seen in folder.look().members or ()]
    assert folder.rel_path(f"{base}/sub/c.txt") == "sub/c.txt"


def test_folders_notice_changes(base: str) -> None:
    folder, files = Dir(base), FileSet(f"{base}/*")
    folder.file("a").write("x")
    before = folder.hash, files.hash

    folder.file("a").write("y")

    assert not folder.is_valid() and not files.is_valid()
    assert (Dir(base).hash, FileSet(f"{base}/*").hash) != before


def test_a_folder_with_files_is_removed_only_if_asked(base: str) -> None:
    folder = Dir(f"{base}/d")
    folder.file("a").write("x")

    with pytest.raises(OSError, match=rf"Directory not empty. {base}/d$"):
        folder.rmdir()
    folder.rmdir(recursive=True)

    assert not folder.exists()


def test_an_empty_folder_is_removed(base: str) -> None:
    folder = Dir(f"{base}/d")
    folder.mkdir()
    folder.mkdir()

    folder.rmdir()

    assert not folder.exists()


def test_removing_a_folder_as_a_file_is_refused(base: str) -> None:
    File(f"{base}/d/a").write("x")

    with pytest.raises(OSError, match=rf"(directory|permitted). {base}/d$"):
        File(f"{base}/d").remove()
    assert File(f"{base}/d/a").exists()


def test_files_are_stored_and_found_again(base: str) -> None:
    file = File(f"{base}/a")
    file.write("x")

    again = FILE.decode(*FILE.encode(file))  # type: ignore[misc]

    assert again == file and again.hash == file.hash and again.is_valid()
    assert again.read() == "x"
