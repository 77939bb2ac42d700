"""A file of records that is removed, moved or replaced while a run writes to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.errors import DatabaseGoneError
from tests.acceptance.space import Space

taskgraph_namespace = "gone"


def _remove(path: Path) -> None:
    for each in path.parent.glob(path.name + "*"):
        each.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _replace(path: Path) -> None:
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE something (x)")
    os.replace(other, path)


_WAYS = {"removed": _remove, "moved": _move, "replaced": _replace}


@task
def meddle(path: str, how: str) -> int:
    _WAYS[how](Path(path))
    return 1


@task
def after(x: int) -> int:
    return x + 1


@pytest.mark.parametrize("how", _WAYS)
def test_a_run_whose_file_goes_says_so_and_what_to_do(how: str, tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    with (
        Scheduler(backend=f"sqlite:///{path}") as scheduler,
        pytest.raises(DatabaseGoneError, match=r"removed, moved or replaced .* Run again"),
    ):
        scheduler.run(after(meddle(str(path), how)))

    if how == "replaced":
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("something",)]


def test_the_command_ends_with_an_error_and_no_traceback(tmp_path: Path) -> None:
    space = Space(tmp_path)
    space.write(
        "flow.py",
        """
        import shutil
        from taskgraph import task

        @task
        def clear():
            shutil.rmtree(".taskgraph")
            return 1

        @task
        def main():
            return clear()
        """,
    )

    done = space("run", "flow.py", "main")

    assert done.code == 1
    assert "was removed, moved or replaced" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / ".taskgraph").exists()
