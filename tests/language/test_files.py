"""Files in workflows: an edited, missing or new file is seen, wherever it lies in a value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph import Dir, File, IFile, Scheduler, StagingDir, StagingFile
from taskgraph.tools import copy_dir, copy_file
from taskgraph.values.places import FilePlaces, use_places
from tests.language.file_tasks import name_of_local, read_staged, upload, upload_folder, write


@pytest.fixture(autouse=True)
def places(tmp_path: Path) -> Iterator[None]:
    before = use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    yield
    use_places(before)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "log"
    path.touch()
    return str(path)


def ran(log: str) -> list[str]:
    """Return what ran since the last time."""
    words = Path(log).read_text().splitlines()
    Path(log).write_text("")
    return words


def test_an_edited_remote_is_seen_and_an_edited_local_copy_is_not(
    scheduler: Scheduler, tmp_path: Path, log: str
) -> None:
    remote, local = tmp_path / "remote", tmp_path / "local"
    remote.write_text("one")

    def run() -> str:
        staged = StagingFile("any name", remote)
        return scheduler.run(read_staged(staged, str(local), log))

    assert (run(), ran(log)) == ("one", ["read"])
    local.write_text("changed")
    assert (run(), ran(log)) == ("one", [])
    remote.write_text("two")
    assert (run(), ran(log)) == ("two", ["read"])
    remote.unlink()
    with pytest.raises(FileNotFoundError):
        run()
    assert ran(log) == ["read"]


def test_a_deleted_or_edited_output_is_made_again(
    scheduler: Scheduler, tmp_path: Path, log: str
) -> None:
    remote = tmp_path / "remote"

    def run() -> StagingFile:
        return scheduler.run(upload("x", StagingFile(tmp_path / "local", remote), log))

    first = run()
    assert ran(log) == ["upload"]
    # The remote that the call was given is there now, and was not.
    again = run()
    assert ran(log) == ["upload"]
    assert (first.hash, first.remote.read()) == (again.hash, "x")
    run()
    assert ran(log) == []
    Path(tmp_path / "local").unlink()
    run()
    assert ran(log) == []
    remote.write_text("edited")
    assert run().remote.read() == "x"
    assert ran(log) == ["upload"]
    remote.unlink()
    assert run().remote.read() == "x"


def test_a_result_can_be_staged_before_it_is_there(
    scheduler: Scheduler, tmp_path: Path, log: str
) -> None:
    path = str(tmp_path / "remote")
    staged = write(path, "x", log).stage("here")

    assert scheduler.run(name_of_local(staged, log)) == "here"
    assert ran(log) == ["write x", "name"]
    scheduler.run(name_of_local(staged, log))
    assert ran(log) == []
    Path(path).unlink()
    scheduler.run(name_of_local(staged, log))
    assert ran(log) == ["write x"]


def test_a_file_that_comes_into_a_staged_folder_is_seen(
    scheduler: Scheduler, tmp_path: Path, log: str
) -> None:
    def run(*names: str) -> Dir:
        staged = StagingDir(tmp_path / "local", tmp_path / "remote")
        return scheduler.run(upload_folder(list(names), staged, log))

    run("a", "b")
    assert ran(log) == ["upload folder"]
    assert sorted(each.name for each in (tmp_path / "remote").iterdir()) == ["a", "b"]
    run("a", "b")
    assert ran(log) == ["upload folder"]
    run("a", "b")
    assert ran(log) == []
    (tmp_path / "remote/new").write_text("x")
    run("a", "b")
    assert ran(log) == ["upload folder"]


def test_an_edited_immutable_file_is_not_seen_and_a_missing_one_is(
    scheduler: Scheduler, tmp_path: Path, log: str
) -> None:
    remote = tmp_path / "remote"
    remote.write_text("one")

    def run() -> str:
        staged = IFile(remote).stage("any name")
        return scheduler.run(read_staged(staged, str(tmp_path / "local"), log))

    assert (run(), ran(log)) == ("one", ["read"])
    remote.write_text("two")
    assert (run(), ran(log)) == ("one", [])
    remote.unlink()
    with pytest.raises(FileNotFoundError):
        run()


def test_copying_is_a_task(scheduler: Scheduler, tmp_path: Path, log: str) -> None:
    source, target = str(tmp_path / "source"), tmp_path / "deep/target"

    def run(text: str, skip_if_exists: bool = False) -> str:
        copied = copy_file(write(source, text, log), str(target), skip_if_exists)
        return str(scheduler.run(copied).read())

    assert run("one") == "one"
    target.write_text("edited")
    assert run("one") == "one"
    assert run("two") == "two"
    assert run("three", skip_if_exists=True) == "two"
    target.unlink()
    assert run("three", skip_if_exists=True) == "three"
    assert ran(log) == ["write one", "write two", "write three"]


def test_copying_a_folder_is_a_task(scheduler: Scheduler, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep/target"
    source.mkdir()
    (source / "a").write_text("x")

    def run(skip_if_exists: bool = False) -> list[str]:
        copied = copy_dir(Dir(source), str(target), skip_if_exists)
        return [each.read() for each in scheduler.run(copied)]

    assert run() == ["x"]
    (target / "a").write_text("edited")
    assert run() == ["x"]
    (source / "b").write_text("y")
    assert run(skip_if_exists=True) == ["x"]
    assert run() == ["x", "y"]
    with pytest.raises(FileNotFoundError, match="no such folder"):
        scheduler.run(copy_dir(Dir(tmp_path / "no such folder"), str(target)))
    with pytest.raises(FileNotFoundError, match="no such file"):
        scheduler.run(copy_file(File(tmp_path / "no such file"), str(tmp_path / "copy")))
    with pytest.raises(IsADirectoryError, match=r"target$"):
        scheduler.run(copy_file(File(source / "a"), str(target)))
