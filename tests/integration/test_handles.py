"""Handles on real services: SQLite and PostgreSQL, edited code, killed processes, other doors."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Handle, Scheduler, cached, merge_handles, set_current_scheduler, task
from taskgraph.engine.cache import Miss
from taskgraph.engine.eager import EagerCalls
from taskgraph.engine.options import RunOptions
from taskgraph.errors import HandleOutsideError
from taskgraph.plug.keeping import Unkeyed, key_if_any
from taskgraph.records import ExecutionId
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.integrity import check
from tests.forked import run_python

ROOT = Path(__file__).resolve().parents[2]
taskgraph_namespace = "services"


class Sqlite(Handle):
    def __init__(self, name: str, path: str) -> None:
        self.instance = sqlite3.connect(path)


class Postgres(Handle):
    def __init__(self, name: str, uri: str) -> None:
        import psycopg

        self.instance = psycopg.connect(uri)


@pytest.fixture(params=["sqlite", "postgres"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Make a handle on an empty database."""
    if request.param == "sqlite":
        return lambda: Sqlite("db", str(tmp_path / "service.db"))
    uri = request.getfixturevalue("empty_postgres_uri")
    return lambda: Postgres("db", uri)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    backend = SqlBackend(f"sqlite:///{tmp_path / 'taskgraph.db'}")
    backend.load()
    with Scheduler(backend=backend, executor="threads") as made:
        yield made
        assert check(backend) == []
    backend.close()


ran: list[str] = []


def _define(version: str) -> Any:
    """Define `load` as a version of the code has it."""

    @task(name="load", version=version)
    def load(db: Any) -> Any:
        ran.append("load")
        db.execute("DROP TABLE IF EXISTS reading")
        db.execute("CREATE TABLE reading (celsius INTEGER)")
        factor = int(version)
        values = ", ".join(f"({factor * each})" for each in (1, 2, 3))
        db.execute(f"INSERT INTO reading VALUES {values}")
        db.commit()
        return db

    return load


@task(version="1")
def double(db: Any) -> Any:
    ran.append("double")
    db.execute("UPDATE reading SET celsius = 2 * celsius")
    db.commit()
    return db


@task(version="1")
def summarize(db: Any) -> int:
    ran.append("summarize")
    total = db.execute("SELECT sum(celsius) FROM reading").fetchone()[0]
    db.execute("DROP TABLE IF EXISTS summary")
    db.execute("CREATE TABLE summary (total INTEGER)")
    db.execute(f"INSERT INTO summary VALUES ({total})")
    db.commit()
    return int(total)


@task(version="1")
def label(db: Any) -> Any:
    ran.append("label")
    db.execute("DROP TABLE IF EXISTS label")
    db.execute("CREATE TABLE label (name TEXT)")
    db.commit()
    return db


def total_in(db: Any) -> int:
    """Return what is in the database now."""
    found = int(db.execute("SELECT total FROM summary").fetchone()[0])
    db.rollback()
    return found


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


def did() -> list[str]:
    """Return what ran since the last time."""
    names = list(ran)
    ran.clear()
    return names


def test_reverted_code_runs_again(scheduler: Scheduler, connect: Callable[[], Any]) -> None:
    db = connect()

    def run(version: str) -> int:
        return scheduler.run(summarize(double(_define(version)(db))))

    assert (run("1"), did()) == (12, ["load", "double", "summarize"])
    assert (run("1"), did()) == (12, [])
    assert (run("10"), did()) == (120, ["load", "double", "summarize"])
    assert (run("1"), did()) == (12, ["load", "double", "summarize"])
    assert total_in(db) == 12
    assert (run("1"), did()) == (12, [])
    db.close()


def test_branches_bound_what_runs_again(scheduler: Scheduler, connect: Callable[[], Any]) -> None:
    db = connect()

    def run(version: str) -> int:
        both = merge_handles([double(_define(version)(db)), label(db)])
        return scheduler.run(summarize(both))

    assert (run("1"), sorted(did())) == (12, ["double", "label", "load", "summarize"])
    assert (run("2"), did()) == (24, ["load", "double", "summarize"])
    assert (run("1"), did()) == (12, ["load", "double", "summarize"])
    assert (run("1"), did()) == (12, [])
    assert total_in(db) == 12
    db.close()


def test_states_are_rows_with_their_relations(scheduler: Scheduler, tmp_path: Path) -> None:
    db = Sqlite("db", str(tmp_path / "service.db"))
    first, second = _define("1")(db), _define("2")(db)
    old = scheduler.run(first)
    new = scheduler.run(second)

    backend = scheduler.backend
    assert isinstance(backend, SqlBackend)
    with backend.reader() as reader:
        initial = reader.get(models.Handle, db.__handle__.hash)
        assert initial is not None
        (fork,) = initial.children
        assert (initial.fullname, initial.key, fork.key) == ("services.db", "", "#0")
        made = {each.hash: each.is_valid for each in fork.children}
        assert made == {old.__handle__.hash: False, new.__handle__.hash: True}
        assert [each.hash for each in fork.parents] == [initial.hash]
    db.close()


def test_a_handle_tells_whether_its_service_is_still_there(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    db = Sqlite("db", str(tmp_path / "service.db"))
    set_current_scheduler(scheduler)
    try:
        old = scheduler.run(_define("1")(db))
        assert (db.is_valid(), old.is_valid()) == (True, True)

        new = scheduler.run(_define("2")(db))

        assert (db.is_valid(), old.is_valid(), new.is_valid()) == (True, False, True)
    finally:
        set_current_scheduler(None)
        db.close()


inner_of: list[Any] = []


@task(version="1", check_valid="shallow")
def all_of_it(db: Any) -> int:
    total: int = summarize(inner_of[-1](db))
    return total


def test_a_whole_call_is_not_used_if_a_state_below_it_was_left(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    db = Sqlite("db", str(tmp_path / "service.db"))
    totals = []
    for version in ("1", "1", "5", "1", "1"):
        inner_of.append(_define(version))
        totals.append((scheduler.run(all_of_it(db)), did()))

    again = ["load", "summarize"]
    assert totals == [(6, again), (6, []), (30, again), (6, again), (6, [])]
    assert total_in(db) == 6
    db.close()


def test_a_handle_that_is_a_default_is_a_branch_too(scheduler: Scheduler, tmp_path: Path) -> None:
    db = Sqlite("db", str(tmp_path / "service.db"))

    @task(version="1", name="defaulted")
    def defaulted(text: str, db: Any = db) -> str:
        ran.append(text)
        return str(db.__handle__.key)

    assert scheduler.run(defaulted("a")) == "#0"
    scheduler.run(defaulted("b"))
    scheduler.run(defaulted("a"))

    assert did() == ["a", "b", "a"]
    db.close()


# Other doors


def test_cached_functions_do_not_keep_what_they_do_to_a_handle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    db = Sqlite("db", str(tmp_path / "service.db"))

    @cached
    def use(db: Any, n: int) -> int:
        raise AssertionError

    with pytest.raises(
        HandleOutsideError, match=r"args\.db is a handle .* Make the function a @task"
    ):
        use(db, 1)
    db.close()


def test_other_tools_run_what_is_given_a_handle_and_keep_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    db = Sqlite("db", str(tmp_path / "service.db"))

    def use(db: Any) -> int:
        return 1

    assert isinstance(key_if_any(use, (db,)), Unkeyed)
    db.close()


def test_cached_functions_do_not_keep_handles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[Any] = []

    @cached
    def make(path: str) -> Any:
        made.append(Sqlite("made", path))
        return made[-1]

    for _ in range(2):
        assert make(str(tmp_path / "service.db")) is made[-1]

    assert len(made) == 2
    for each in made:
        each.close()


def test_cached_functions_take_no_handle_from_workflows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[Any] = []

    @task(namespace="", name="made_twice", version="1")
    def made_twice(path: str) -> Any:
        made.append(path)
        return Sqlite("made", path)

    backend = MemoryBackend()
    with Scheduler(backend=backend, executor="inline") as scheduler:
        scheduler.run(made_twice(str(tmp_path / "service.db")))
        scheduler.run(made_twice(str(tmp_path / "service.db")))
        calls = EagerCalls(backend, RunOptions(ExecutionId("e" * 32)), lambda event: None)
        job = calls.weigh(made_twice, (str(tmp_path / "service.db"),), {}, None)

        assert isinstance(calls.look_up(job), Miss)
    assert len(made) == 1


# Killed

SCRIPT = """
import os, signal, sqlite3, sys
from taskgraph import Handle, Scheduler, task
from taskgraph_backend import SqlBackend

class Db(Handle):
    def __init__(self, name, path):
        self.instance = sqlite3.connect(path)

folder, version, how = sys.argv[1:]

@task(namespace="killed", version=version)
def load(db):
    print("load")
    db.execute("CREATE TABLE IF NOT EXISTS t (x)")
    db.execute("DELETE FROM t")
    db.execute("INSERT INTO t VALUES (?)", (version,))
    db.commit()
    sys.stdout.flush()
    if how == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return db

@task(namespace="killed", version="1")
def read(db):
    print("read")
    return db.execute("SELECT x FROM t").fetchall()

if __name__ == "__main__":
    backend = SqlBackend(f"sqlite:///{folder}/taskgraph.db")
    backend.load()
    with Scheduler(backend=backend, executor="inline") as scheduler:
        print(scheduler.run(read(load(Db("db", f"{folder}/service.db")))))
"""


def test_a_process_that_is_killed_leaves_no_stale_result(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}

    def run(version: str, how: str = "") -> tuple[int, str]:
        done = run_python([script, tmp_path, version, how], ROOT, env)
        return done.code, done.out

    ran_all = "load\nread\n[('1',)]\n"
    assert run("1") == (0, ran_all)
    assert run("1") == (0, "[('1',)]\n")
    assert run("2", "dies") == (-signal.SIGKILL, "load\n")
    assert run("1") == (0, ran_all)
    assert run("1") == (0, "[('1',)]\n")


def test_the_backend_in_memory_does_the_same(tmp_path: Path) -> None:
    db = Sqlite("db", str(tmp_path / "service.db"))
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        for version in ("1", "2", "1"):
            scheduler.run(_define(version)(db))

    assert did() == ["load", "load", "load"]
    db.close()
