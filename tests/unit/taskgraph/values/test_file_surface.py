"""What can be done with files, name by name: the same for local paths and for URLs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import (
    ContentDir,
    ContentFile,
    ContentStagingDir,
    ContentStagingFile,
    Dir,
    File,
    FileSet,
    IDir,
    IFile,
    IStagingDir,
    IStagingFile,
    StagingDir,
    StagingFile,
)
from taskgraph.files import copy_file, get_filesystem, glob_file
from taskgraph.values.places import FilePlaces, use_places


@pytest.fixture(params=["local", "memory"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder with ``a.txt`` (one line), ``b.txt`` (two) and ``deep/c.txt``."""
    before = use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    folder = str(tmp_path / "base")
    if request.param == "memory":
        folder = f"memory://{uuid.uuid4().hex}"
    File(f"{folder}/a.txt").write("one\n")
    File(f"{folder}/b.txt").write("one\ntwo\n")
    File(f"{folder}/deep/c.txt").write("three")
    yield folder
    use_places(before)
    if Dir(folder).exists():
        Dir(folder).rmdir(recursive=True)


def names(files: Any, base: str) -> list[str]:
    return [each.path.removeprefix(base + "/") for each in files]


def done(act: Any, look: Any) -> Any:
    """Return what is seen after something was done."""
    act()
    return look()


A = "a.txt"

FILES: list[tuple[str, Callable[[File, str], Any], Any]] = [
    ("path", lambda f, b: f.path == f"{b}/a.txt", True),
    ("hash", lambda f, b: len(f.hash), 32),
    ("exists", lambda f, b: (f.exists(), File(f"{b}/none").exists()), (True, False)),
    ("isfile", lambda f, b: (f.isfile(), File(f"{b}/deep").isfile()), (True, False)),
    ("isdir", lambda f, b: (f.isdir(), File(f"{b}/deep").isdir()), (False, True)),
    ("remove", lambda f, b: done(f.remove, f.exists), False),
    ("remove twice", lambda f, b: done(f.remove, lambda: done(f.remove, f.exists)), False),
    ("open", lambda f, b: _read(f), "one\n"),
    ("open, mode", lambda f, b: _read(f, "rb"), b"one\n"),
    ("open, encoding", lambda f, b: _read(f, "r", "utf-16-be"), "潮攊"),
    ("read", lambda f, b: f.read(), "one\n"),
    ("read, bytes", lambda f, b: f.read("rb"), b"one\n"),
    ("readlines", lambda f, b: File(f"{b}/b.txt").readlines(), ["one\n", "two\n"]),
    ("readlines, bytes", lambda f, b: File(f"{b}/b.txt").readlines("rb"), [b"one\n", b"two\n"]),
    ("write", lambda f, b: done(lambda: f.write("new"), f.read), "new"),
    ("write, parents", lambda f, b: done(lambda: _new(b).write("x"), _new(b).read), "x"),
    ("touch", lambda f, b: done(lambda: _new(b).touch(), _new(b).size), 0),
    ("copy_to", lambda f, b: f.copy_to(f"{b}/p/q.txt").read(), "one\n"),
    ("copy_to, skip", lambda f, b: f.copy_to(f"{b}/b.txt", skip_if_exists=True).size(), 8),
    ("copy_to, file", lambda f, b: f.copy_to(File(f"{b}/b.txt")).path == f"{b}/b.txt", True),
    ("is_valid", lambda f, b: f.is_valid(), True),
    ("is_valid, changed", lambda f, b: _after(f, lambda: File(f.path).write("x")), False),
    ("stage", lambda f, b: type(f.stage("x")), StagingFile),
    ("stage, local", lambda f, b: (f.stage().local.path, f.stage("x").local.path), (A, "x")),
    ("basename", lambda f, b: f.basename(), A),
    ("dirname", lambda f, b: f.dirname() == b, True),
    ("size", lambda f, b: f.size(), 4),
    ("update_hash", lambda f, b: _hashes(f), True),
    ("filesystem", lambda f, b: f.filesystem.exists(f.location), True),
    ("repr", lambda f, b: repr(f) == f"File(path={b}/a.txt)", True),
    ("repr, hash", lambda f, b: _shown(f) == f"File(path={b}/a.txt, hash={f.hash[:8]})", True),
]


def _read(file: File, *how: str) -> Any:
    with file.open(*how) as stream:
        return stream.read()


def _new(base: str) -> File:
    return File(f"{base}/new/folders/file.txt")


def _after(value: Any, act: Callable[[], object]) -> bool:
    value.update_hash()
    act()
    return bool(value.is_valid())


def _hashes(file: File) -> bool:
    before = file.hash
    File(file.path).write("changed")
    kept = file.hash
    file.update_hash()
    return before == kept != file.hash


def _shown(file: File) -> str:
    file.update_hash()
    return repr(file)


DIRS: list[tuple[str, Callable[[Dir, str], Any], Any]] = [
    ("iterating", lambda d, b: names(d, b), ["a.txt", "b.txt", "deep/c.txt"]),
    ("files", lambda d, b: names(d.files, b), ["a.txt", "b.txt", "deep/c.txt"]),
    ("file", lambda d, b: d.file("deep/c.txt").read(), "three"),
    ("mkdir", lambda d, b: done(Dir(f"{b}/x/y").mkdir, Dir(f"{b}/x/y").exists), True),
    ("rmdir, recursive", lambda d, b: done(lambda: d.rmdir(recursive=True), d.exists), False),
    ("rel_path", lambda d, b: d.rel_path(f"{b}/deep/c.txt"), "deep/c.txt"),
    ("copy_to", lambda d, b: len(list(Dir(f"{b}/deep").copy_to(f"{b}/copy"))), 1),
    ("stage", lambda d, b: type(d.stage("x")), StagingDir),
    ("exists", lambda d, b: (d.exists(), Dir(f"{b}/none").exists()), (True, False)),
    ("is_valid", lambda d, b: d.is_valid(), True),
    ("is_valid, new file", lambda d, b: _after(d, File(f"{b}/new").touch), False),
    ("hash", lambda d, b: d.hash == Dir(b).hash, True),
    ("repr", lambda d, b: repr(d) == f"Dir(path={b})", True),
    ("file set", lambda d, b: names(FileSet(f"{b}/*.txt"), b), ["a.txt", "b.txt"]),
    ("file set, files", lambda d, b: names(FileSet(f"{b}/b*").files, b), ["b.txt"]),
    ("file set, is_valid", lambda d, b: _after(FileSet(f"{b}/*"), _new_in(b).touch), False),
    ("glob_file", lambda d, b: len(glob_file(f"{b}/*.txt")), 2),
    ("get_filesystem", lambda d, b: get_filesystem(url=b).isdir(d.location), True),
    ("copy_file", lambda d, b: done(lambda: _copy(b, "a.txt"), File(f"{b}/to").read), "one\n"),
    ("copy_file, folder", lambda d, b: done(lambda: _copy_all(b), File(f"{b}/to/c.txt").size), 5),
]


def _new_in(base: str) -> File:
    return File(f"{base}/zzz")


def _copy(base: str, name: str) -> None:
    copy_file(f"{base}/{name}", f"{base}/to")


def _copy_all(base: str) -> None:
    copy_file(f"{base}/deep", f"{base}/to", recursive=True)


@pytest.mark.parametrize(("ask", "expected"), [pytest.param(*r[1:], id=r[0]) for r in FILES])
def test_a_file(base: str, ask: Callable[[File, str], Any], expected: Any) -> None:
    assert ask(File(f"{base}/{A}"), base) == expected


@pytest.mark.parametrize(("ask", "expected"), [pytest.param(*r[1:], id=r[0]) for r in DIRS])
def test_a_folder_a_set_and_functions_over_paths(
    base: str, ask: Callable[[Dir, str], Any], expected: Any
) -> None:
    assert ask(Dir(base), base) == expected


MISSING: list[tuple[str, Callable[[File], Any]]] = [
    ("open", lambda f: f.open()),
    ("read", lambda f: f.read()),
    ("readlines", lambda f: f.readlines()),
    ("size", lambda f: f.size()),
    ("copy_to", lambda f: f.copy_to(f.path + "2")),
    ("copy_file", lambda f: copy_file(f.path, f.path + "2")),
    ("copy_file, folder", lambda f: copy_file(f.path, f.path + "2", recursive=True)),
    ("copied folder", lambda f: Dir(f.path).copy_to(f.path + "2")),
]


@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in MISSING])
def test_what_is_missing_is_named(base: str, act: Callable[[File], Any]) -> None:
    file = File(f"{base}/none.txt")

    with pytest.raises(FileNotFoundError) as caught:
        act(file)

    assert str(caught.value) == f"[Errno 2] No such file or directory. {file.path}"
    assert caught.value.errno == 2


def test_a_folder_that_is_not_empty_is_not_removed(base: str) -> None:
    with pytest.raises(OSError, match=r"\[Errno 39\] Directory not empty\. "):
        Dir(base).rmdir()


def test_a_binary_mode_has_no_encoding(base: str) -> None:
    with pytest.raises(ValueError, match="encoding"):
        File(f"{base}/{A}").open("rb", encoding="utf-8")


SHELL: list[tuple[str, str]] = [
    (File("a").shell_copy_to("b"), "cp a b"),
    (File("a b").shell_copy_to("it's"), "cp 'a b' 'it'\"'\"'s'"),
    (File("a").shell_copy_to(None), "cat a"),
    (File("-").shell_copy_to("a"), "cat > a"),
    (Dir("a").shell_copy_to("b"), "cp -r a b"),
    (StagingFile("local", "remote").render_stage(), "cp remote local"),
    (StagingFile("local", "remote").render_unstage(), "cp local remote"),
    (StagingFile("same", "same").render_stage(), ""),
    (StagingFile("same", "same").render_unstage(), ""),
    (StagingDir("local", "remote").render_stage(), "cp -r remote local"),
    (StagingDir("local", "remote").render_unstage(), "cp -r local remote"),
    (StagingDir("same", "same").render_stage(), ""),
]


@pytest.mark.parametrize(("command", "expected"), SHELL)
def test_shell_forms(command: str, expected: str) -> None:
    assert command == expected


@pytest.mark.parametrize("staging", [StagingFile, ContentStagingFile, IStagingFile])
def test_a_staged_file_goes_both_ways(base: str, tmp_path: Path, staging: Any) -> None:
    local = tmp_path / "local.txt"

    staged = staging(str(local), f"{base}/a.txt")
    assert staged.stage().read() == "one\n"
    local.write_text("new")
    back = staged.unstage()

    assert back.path == f"{base}/a.txt"
    assert back.read() == "new"


@pytest.mark.parametrize("staging", [StagingDir, ContentStagingDir, IStagingDir])
def test_a_staged_folder_goes_both_ways(base: str, tmp_path: Path, staging: Any) -> None:
    local = tmp_path / "local"

    staged = staging(str(local), base)
    assert len(list(staged.stage())) == 3
    (local / "new").write_text("new")

    assert len(list(staged.unstage())) == 4


@pytest.mark.parametrize(
    ("kind", "group", "by_content", "by_path"),
    [
        (File, Dir, True, True),
        (ContentFile, ContentDir, True, True),
        (IFile, IDir, False, True),
    ],
)
def test_what_counts_of_each_class(
    base: str, kind: Any, group: Any, by_content: bool, by_path: bool
) -> None:
    before = kind(f"{base}/a.txt").hash, group(base).hash

    other = kind(f"{base}/deep/c.txt").hash, group(f"{base}/deep").hash
    File(f"{base}/a.txt").write("other, and longer")
    after = kind(f"{base}/a.txt").hash, group(base).hash

    assert [a != b for a, b in zip(before, after, strict=True)] == [by_content] * 2
    assert [a != b for a, b in zip(before, other, strict=True)] == [by_path] * 2
