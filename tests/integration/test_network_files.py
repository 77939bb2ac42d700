"""A SQLite file on a network file system is one process's at a time; the others are told whose."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.config import BackendSettings, Settings
from taskgraph.errors import DatabaseError, DatabaseHeldError, DatabaseReadOnlyError
from taskgraph.records import CacheQuery, RecordBatch
from taskgraph_backend import SqlBackend
from taskgraph_backend.dialects import holding, sqlite
from taskgraph_backend.integrity import check
from tests.forked import start_python
from tests.rows import a_task, a_value, an_evaluation, key, together

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from taskgraph_backend.dialects import sqlite
sqlite.network_kind = lambda path: "nfs4"
from taskgraph_backend import SqlBackend
from tests.rows import a_task
try:
    backend = SqlBackend(sys.argv[1])
    backend.load()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
backend.record(a_task())
print("has it", flush=True)
input()
backend.close()
"""


@pytest.fixture(autouse=True)
def _on_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "network_kind", lambda path: "nfs4")


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'taskgraph.db'}"


def _start(uri: str) -> subprocess.Popen[str]:
    return start_python(
        ["-c", PROGRAM, uri],
        ROOT,
        {"PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}", "USER": "ada"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _start_and_wait(uri: str) -> subprocess.Popen[str]:
    process = _start(uri)
    assert process.stdout is not None
    assert process.stdout.readline() == "has it\n", process.communicate()
    return process


def test_a_second_process_is_told_who_has_it(uri: str) -> None:
    first = _start_and_wait(uri)

    _, told = _start(uri).communicate()
    with pytest.raises(DatabaseHeldError) as caught:
        SqlBackend(uri).load()
    first.communicate("\n")

    assert "DatabaseHeldError" in told
    assert f"process {first.pid} of ada on {socket.gethostname()}" in told
    assert "network file system (nfs4)" in told
    assert "a PostgreSQL for all hosts" in told
    assert (caught.value.pid, caught.value.user, caught.value.kind) == (first.pid, "ada", "nfs4")


def test_who_comes_after_it_finds_all_of_it(uri: str, tmp_path: Path) -> None:
    _start_and_wait(uri).communicate("\n")

    with SqlBackend(uri) as backend:
        backend.record(together(a_task(), an_evaluation(1, 2)))
        mode = backend._connection().execute("PRAGMA locking_mode").fetchone()
        journal = backend._connection().execute("PRAGMA journal_mode").fetchone()
        beside = {each.name for each in tmp_path.iterdir()}
        assert check(backend) == []

    assert (mode, journal) == (("exclusive",), ("wal",))
    # No memory is shared, and who has it is said.
    assert beside == {"taskgraph.db", "taskgraph.db-wal", "taskgraph.db-holder"}
    assert {each.name for each in tmp_path.iterdir()} == {"taskgraph.db"}


def test_one_that_was_killed_is_followed_at_once(uri: str) -> None:
    first = _start_and_wait(uri)
    first.send_signal(signal.SIGKILL)
    first.communicate()

    with SqlBackend(uri) as backend:
        assert backend.has_records([key(0x7A51)]) == {key(0x7A51)}


def _say_who(uri: str, silence: float, **others: object) -> Path:
    beside = Path(f"{uri.removeprefix('sqlite:///')}-holder")
    named = {"host": "node7", "pid": 4711, "started": 1, "user": "bob", "since": "", "token": "t"}
    beside.write_text(json.dumps({**named, **others}))
    then = beside.stat().st_mtime - silence
    os.utime(beside, (then, then))
    return beside


def test_one_of_another_host_has_it_as_long_as_it_is_heard_of(uri: str) -> None:
    _say_who(uri, holding.LONGEST_SILENCE - 20)

    with pytest.raises(DatabaseHeldError, match="process 4711 of bob on node7"):
        SqlBackend(uri).load()


def test_one_of_another_host_that_is_not_heard_of_has_it_no_more(uri: str) -> None:
    beside = _say_who(uri, holding.LONGEST_SILENCE + 20)

    with SqlBackend(uri) as backend:
        assert backend.is_db_compatible()
        assert json.loads(beside.read_text())["pid"] == os.getpid()
    assert not beside.exists()


def test_what_is_half_written_is_of_somebody_until_it_is_old(uri: str) -> None:
    beside = _say_who(uri, 0)
    beside.write_text('{"host": "no')

    with pytest.raises(DatabaseHeldError, match="an unknown host"):
        SqlBackend(uri).load()


def test_all_of_one_process_share_it(uri: str) -> None:
    with SqlBackend(uri) as one, SqlBackend(uri) as two, two.clone() as three:
        one.record(RecordBatch(values=[a_value(1)]))
        two.record(RecordBatch(values=[a_value(2)]))
        with two.reader() as reader:
            assert reader.executions() == []
        assert set(three.load_values([key(1), key(2)])) == {key(1), key(2)}
        one.close()

        assert set(two.load_values([key(1)])) == {key(1)}


@task(namespace="network", version="1")
def double(x: int) -> int:
    return 2 * x


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_runs_and_looks_are_as_elsewhere(uri: str, tmp_path: Path, executor: str) -> None:
    settings = Settings(config_dir=tmp_path, backend=BackendSettings(db_uri=uri))
    for _ in range(2):
        with Scheduler(settings, executor=executor) as scheduler:
            assert scheduler.run([double(each) for each in range(50)]) == list(range(0, 100, 2))

    with SqlBackend(uri) as backend, backend.reader() as reader:
        assert [sum(each.counts.values()) for each in reader.executions()] == [51, 51]
        assert check(backend) == []


_began, _may_end = threading.Event(), threading.Event()


@task(namespace="network", version="1", executor="threads")
def slow() -> int:
    _began.set()
    assert _may_end.wait(30)
    return 7


def test_runs_in_threads_of_one_process_do_not_wait_for_each_others_end(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, has_looked, version = count(), threading.Event(), SqlBackend.version

    def counted(backend: SqlBackend) -> int | None:
        if threading.current_thread().name == "taskgraph-heartbeat" and next(looks) > 1:
            has_looked.set()
        return version(backend)

    monkeypatch.setattr(SqlBackend, "version", counted)
    settings = Settings(config_dir=tmp_path, backend=BackendSettings(db_uri=uri))
    SqlBackend(uri).load()

    def run_slow() -> int:
        with Scheduler(settings) as scheduler:
            return scheduler.run(slow())

    def run_other() -> int:
        with Scheduler(settings) as scheduler:
            return scheduler.run(double(4))

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(run_slow)
        assert _began.wait(30)
        try:
            assert has_looked.wait(30)
            # The first leads all calls, until it is seen that another one asks for some.
            assert threads.submit(run_other).result(timeout=15) == 8
            assert not first.done()
        finally:
            _may_end.set()
        assert first.result(timeout=15) == 7


def test_what_others_of_this_process_write_is_not_said_to_be_nothing_new(uri: str) -> None:
    with SqlBackend(uri) as one, SqlBackend(uri) as two:
        before = one.version()
        two.record(RecordBatch(values=[a_value(1)]))

        assert before is None or one.version() != before


def test_a_schema_that_cannot_be_made_leaves_nothing(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskgraph_backend import schema

    script = (schema.migrations_folder() / "sqlite.sql").read_text()
    (tmp_path / "sqlite.sql").write_text(script + "CREATE INDEX x ON nothing (y);\n")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations_folder", lambda: tmp_path)
        with pytest.raises(DatabaseError, match="nothing"):
            SqlBackend(uri).load()

    with SqlBackend(uri) as backend:
        backend.record(together(a_task(), an_evaluation(1, 2)))
        assert backend.check_cache([CacheQuery(key(1))])[0].evaluation is not None


def test_migrations_that_fail_leave_nothing(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskgraph_backend import schema

    def fail(*_: object) -> None:
        raise RuntimeError("stop here")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "_note_version", fail)
        with closing(SqlBackend(uri)) as backend, pytest.raises(RuntimeError, match="stop here"):
            backend.migrate()

    with SqlBackend(uri) as backend:
        backend.record(together(a_task(), an_evaluation(1, 2)))
        assert backend.check_cache([CacheQuery(key(1))])[0].evaluation is not None


def test_where_nothing_can_be_written_beside_it_that_is_told(tmp_path: Path) -> None:
    # The name of what is written beside is longer than names may be.
    uri = f"sqlite:///{tmp_path / ('x' * 250)}"

    with pytest.raises(DatabaseReadOnlyError, match=r"nothing can be written beside it.*immutable"):
        SqlBackend(uri).load()


def test_what_nobody_writes_to_can_be_read_by_all(uri: str) -> None:
    with SqlBackend(uri) as backend:
        backend.record(RecordBatch(values=[a_value(1)]))

    with SqlBackend(f"{uri}?immutable=1") as one, SqlBackend(f"{uri}?immutable=1") as two:
        assert set(one.load_values([key(1)])) == set(two.load_values([key(1)])) == {key(1)}
