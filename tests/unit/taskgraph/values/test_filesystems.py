"""What is particular to local files, to fsspec's, and to the streams that write them."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph.values.files import File
from taskgraph.values.filesystems import (
    LocalFilesystem,
    RemoteFilesystem,
    _seen_in,
    errors_naming,
    get_filesystem,
    glob_file,
)
from taskgraph.values.places import FilePlaces, Policy, use_places
from taskgraph.values.streams import PendingFile


@pytest.fixture(autouse=True)
def _places(tmp_path: Path) -> Iterator[None]:
    before = use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    yield
    use_places(before)


def test_a_file_system_is_found_by_protocol_or_path() -> None:
    assert isinstance(get_filesystem("local"), LocalFilesystem)
    assert isinstance(get_filesystem(url="a/b"), LocalFilesystem)
    assert isinstance(get_filesystem(url="file:///a"), LocalFilesystem)
    remote = get_filesystem(url="s3://bucket/key")
    assert isinstance(remote, RemoteFilesystem) and remote.proto == "s3"
    assert get_filesystem(url="zip://a::s3://b/c.zip").proto == "zip"
    with pytest.raises(ValueError, match="give a protocol"):
        get_filesystem()


def test_relative_patterns_give_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.txt").touch()
    (tmp_path / "a.txt").touch()

    assert glob_file("*.txt") == ["a.txt", "b.txt"]


# Local writing


def test_a_written_file_obeys_the_umask_and_keeps_its_mode(tmp_path: Path) -> None:
    file = File(tmp_path / "a")
    file.write("x")
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(os.stat(file).st_mode) == stat.S_IMODE(plain.stat().st_mode)

    os.chmod(file, 0o750)
    file.write("y")

    assert stat.S_IMODE(os.stat(file).st_mode) == 0o750


def test_writing_to_a_link_writes_its_target(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub/target")

    File(tmp_path / "link").write("x")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "sub" / "target").read_text() == "x"


def test_writing_to_a_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        File(tmp_path).write("x")

    assert str(caught.value) == f"[Errno 21] Is a directory. {tmp_path}"


def test_writing_below_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(NotADirectoryError, match=f"Not a directory. {tmp_path}/a/b$"):
        File(tmp_path / "a" / "b").write("x")


def test_a_refused_permission_is_an_error_that_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> Any:
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr(LocalFilesystem, "open", refuse)

    with pytest.raises(PermissionError) as caught:
        File(tmp_path / "a").read()
    assert str(caught.value) == f"[Errno 13] Permission denied. {tmp_path}/a"


def test_devices_are_written_where_they_are() -> None:
    with File("/dev/null").open("w") as stream:
        stream.write("x")

    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")


@pytest.mark.parametrize(("mode", "content"), [("r+", "XYc"), ("rb+", b"XYc"), ("w+", "XY")])
def test_files_can_be_read_and_written_at_once(
    tmp_path: Path, mode: str, content: str | bytes
) -> None:
    file = File(tmp_path / "a")
    file.write("abc")
    before = file.hash

    with file.open(mode) as stream:
        stream.write(b"XY" if "b" in mode else "XY")
        stream.seek(0)
        assert stream.read() == content

    assert file.hash != before


def test_line_ends_are_left_alone_if_asked(tmp_path: Path) -> None:
    file = File(tmp_path / "a")

    with file.open("w", newline="") as stream:
        stream.write("a\r\n")

    with file.open(newline="") as stream:
        assert stream.read() == "a\r\n"
    assert file.read() == "a\n"


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = File(tmp_path / "a")
    file.write("before")

    class FullDisk(PendingFile):
        def write(self, content: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("taskgraph.values.filesystems.PendingFile", FullDisk)
    for mode in ("w", "wb"):
        with pytest.raises(OSError, match=r"No space left on device. .*/a$"):
            file.write(b"x" if "b" in mode else "x", mode=mode)

    assert file.read() == "before"
    assert os.listdir(tmp_path) == ["a"] or set(os.listdir(tmp_path)) == {"a", "cache"}


def test_what_came_there_meanwhile_is_not_replaced_exclusively(tmp_path: Path) -> None:
    file = File(tmp_path / "a")
    stream = file.open("x")
    (tmp_path / "a").write_text("first")

    with pytest.raises(FileExistsError):
        stream.close()

    assert file.read() == "first"


def test_a_durable_file_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(fd) or fsync(fd))

    with PendingFile(str(tmp_path / "a"), durable=True) as raw:
        raw.write(b"x")

    assert len(synced) == 2
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_forked_process_does_not_publish_its_parents_file(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from taskgraph.values.streams import PendingFile\n"
        "raw = PendingFile(sys.argv[1])\n"
        "raw.write(b'half')\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    raw.close()\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "assert not os.path.exists(sys.argv[1])\n"
        "raw.write(b'whole')\n"
        "raw.close()\n"
    )

    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a")],
        check=True,
        cwd=Path(__file__).parents[4],
    )

    assert (tmp_path / "a").read_bytes() == b"halfwhole"


def test_a_file_that_may_be_written_but_not_read_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = File(tmp_path / "a")

    def refuse(self: File, progress: object = None) -> Any:
        raise PermissionError(13, "no")

    with monkeypatch.context() as patch:
        patch.setattr(File, "look", refuse)
        file.write("x")

    assert file.seen is None
    assert file.read() == "x"


WRITER = """
import sys
from taskgraph.values.files import File
from taskgraph.values.places import FilePlaces, use_places
use_places(FilePlaces(cache_dir=sys.argv[4]))
rounds = int(sys.argv[3])
print("ready", flush=True)
while rounds:
    rounds -= 1
    with File(sys.argv[1]).open("wb") as stream:
        for _ in range(8):
            stream.write(sys.argv[2].encode() * 100_000)
"""


def start_writer(target: Path, letter: str, rounds: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", WRITER, str(target), letter, str(rounds)]
    process = subprocess.Popen(
        [*command, str(target.parent.parent / "cache")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def test_two_processes_write_one_file_and_a_reader_sees_whole_ones(tmp_path: Path) -> None:
    target = tmp_path / "out" / "a"
    writers = [start_writer(target, letter, 30) for letter in "xy"]

    seen: set[tuple[int, frozenset[int]]] = set()
    while any(writer.poll() is None for writer in writers):
        if target.exists():
            content = target.read_bytes()
            seen.add((len(content), frozenset(content)))

    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen <= {(800_000, frozenset(b"x")), (800_000, frozenset(b"y"))}
    assert os.listdir(tmp_path / "out") == ["a"]


def test_a_killed_writer_leaves_no_half_written_file(tmp_path: Path) -> None:
    target = tmp_path / "out" / "a"
    File(target).write("before")
    writer = start_writer(target, "x", -1)

    writer.send_signal(signal.SIGKILL)
    writer.wait()

    content = target.read_bytes()
    assert content == b"before" or content == b"x" * 800_000


# Errors


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (FileNotFoundError("x"), "[Errno 2] No such file or directory. p"),
        (PermissionError(), "[Errno 13] Permission denied. p"),
        (OSError(5, "Input/output error", "q"), "[Errno 5] Input/output error. p"),
        (OSError("the store is down"), "the store is down. p"),
        (OSError("the store is down. p"), "the store is down. p"),
    ],
)
def test_errors_say_which_path_they_are_about(error: OSError, shown: str) -> None:
    with pytest.raises(type(error)) as caught, errors_naming("p"):
        raise error

    assert str(caught.value) == shown


# Remote


def test_remote_files_are_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reading and writing"):
        File("memory://x/a").open("r+")


@pytest.mark.parametrize(
    ("found", "changed", "policy", "same"),
    [
        ({"ETag": "a", "LastModified": 1}, {"ETag": "a", "LastModified": 2}, "content", True),
        ({"ETag": "a"}, {"ETag": "b"}, "content", False),
        ({"ETag": "a", "mtime": 1}, {"ETag": "b", "mtime": 1}, "stat", True),
        ({"mtime": 1, "size": 1}, {"mtime": 1, "size": 2}, "content", False),
        ({"generation": 1}, {"generation": 2}, "content", False),
        ({"ETag": "a"}, {"ETag": "b"}, "immutable", True),
    ],
)
def test_what_a_store_says_is_the_identity(
    found: dict[str, object], changed: dict[str, object], policy: str, same: bool
) -> None:
    first = _seen_in(found, Policy(policy), lambda: "")
    second = _seen_in(changed, Policy(policy), lambda: "")

    assert (first.content == second.content) == same


def test_a_store_that_says_little_is_asked_for_its_own_key() -> None:
    first = _seen_in({"name": "a"}, Policy.CONTENT, lambda: "k1")

    assert first != _seen_in({"name": "a"}, Policy.CONTENT, lambda: "k2")
    assert first == _seen_in({"name": "a"}, Policy.CONTENT, lambda: "k1")
