"""Files in workflows: an edited, missing or new file is seen, wherever it lies in a value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph import Dir, Scheduler, StagingDir, StagingFile
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
