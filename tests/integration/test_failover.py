"""A server gives way to another one while records are written: nothing is lost, nothing twice."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.config import Settings
from taskgraph.errors import DatabaseReadOnlyError
from taskgraph.records import CacheQuery
from taskgraph_backend import SqlBackend, schema
from taskgraph_backend.integrity import check
from taskgraph_backend.moving import Mover
from taskgraph_backend.serializers import RecordSerializer
from tests.rows import (
    a_call,
    a_job,
    a_task,
    an_argument,
    an_evaluation,
    an_execution,
    key,
    together,
)
from tests.torture.servers import OwnServer, own_server

pytestmark = pytest.mark.slow

OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def _until(question: object, what: str) -> None:
    deadline = time.monotonic() + 60
    while not question():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


class Pair:
    """A server that is written to, and a copy of it that takes over.

    Args:
        first: The one that is written to.
        data: Where the data of the copy are.
        folder: Where its socket is.
    """

    def __init__(self, first: OwnServer, data: Path, folder: Path) -> None:
        self.first = first
        self.data = data
        self.folder = folder

    def ask_copy(self, query: str) -> object:
        import psycopg

        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres") as connection:
            row = connection.execute(query).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]


@pytest.fixture
def pair(postgres_server: object) -> Iterator[Pair]:
    """Two servers, of which the second has all that the first has confirmed."""
    with (
        own_server(wal_level="replica") as first,
        tempfile.TemporaryDirectory(prefix="taskgraph-copy-") as place,
    ):
        folder = Path(place)
        folder.chmod(0o777)
        data = folder / "data"
        first.make_database("team")
        first.program(
            "pg_basebackup", "-h", str(first.folder), "-U", "postgres", "-D", str(data),
            "-R", "-X", "stream", "-c", "fast",
        )  # fmt: skip
        first.start(data, folder)
        pair = Pair(first, data, folder)
        _until(
            lambda: pair.ask_copy(
                "SELECT count(*) FROM pg_stat_wal_receiver WHERE status='streaming'"
            ),
            "the copy does not follow",
        )
        first.execute("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        yield pair
        first.stop("immediate", data)


def _run(number: int) -> object:
    far = 10**12
    return together(
        a_call(number + far, number, number + 2 * far),
        an_argument(number + 3 * far, number + far, number + 2 * far),
        an_evaluation(number, number + 2 * far),
        an_execution(number + 4 * far, root=number + 5 * far),
        a_job(number + 5 * far, execution=number + 4 * far, call=number + far),
    )


def test_who_writes_goes_on_with_the_server_that_takes_over(pair: Pair) -> None:
    # Both are named, and the copy cannot be written to until it has taken over.
    uri = f"postgresql://postgres@/team?host={pair.first.folder},{pair.folder}"
    confirmed: list[int] = []
    failed: list[BaseException] = []
    ended = threading.Event()

    def write() -> None:
        try:
            with SqlBackend(uri) as backend:
                backend.record(together(a_task(), an_execution(), a_job(1)))
                number = 1
                while not ended.is_set() or number < 20:
                    backend.record(_run(number))  # type: ignore[arg-type]
                    backend.record_tags("Job", key(1), [("n", number)])
                    assert len(backend.delete_tags(key(1), [("n", number)])) == 1
                    confirmed.append(number)
                    number += 1
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    _until(lambda: len(confirmed) > 10 or failed, "nothing is written")
    pair.first.stop("immediate")
    _until(
        lambda: (
            failed
            or pair.ask_copy(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'taskgraph'"
            )
        ),
        "nobody asks the copy",
    )
    before = len(confirmed)
    pair.first.program("pg_ctl", "-w", "-D", str(pair.data), "promote")
    _until(lambda: len(confirmed) > before + 10 or failed, "nothing is written any more")
    ended.set()
    writer.join()

    assert failed == []
    with SqlBackend(f"postgresql://postgres@/team?host={pair.folder}") as backend:
        answers = backend.check_cache([CacheQuery(key(each), True) for each in confirmed])
        assert all(each.evaluation and len(each.calls) == 1 for each in answers)
        jobs = {key(each + 5 * 10**12) for each in confirmed}
        assert backend.has_records(jobs) == jobs
        assert backend.get_tags([key(1)]) == {key(1): {}}
        assert check(backend) == []


def test_a_copy_that_is_only_read_from_is_not_waited_for(pair: Pair) -> None:
    began = time.monotonic()

    with SqlBackend(f"postgresql://postgres@/team?host={pair.folder}") as backend:
        assert backend.sweep() == []
        with pytest.raises(DatabaseReadOnlyError, match="Name the server that is written to"):
            backend.record(a_task())

    assert time.monotonic() - began < 20


# Connections that are lost while something else than a run is written


def _lose_at(
    monkeypatch: pytest.MonkeyPatch, uri: str, words: str, *, after: bool = False
) -> list[str]:
    """Have all connections end once, before or after a statement that begins with some words."""
    from taskgraph_backend.dialects.postgres.driver import PostgresDriver

    lost: list[str] = []

    def wrap(name: str) -> None:
        method = getattr(PostgresDriver, name)

        def told(self: PostgresDriver, sql: str, *others: object) -> object:
            is_it = not lost and sql.startswith(words)
            if is_it:
                lost.append(sql)
            if is_it and not after:
                _end_all(uri)
            done = method(self, sql, *others)
            if is_it and after:
                _end_all(uri)
                method(self, "COMMIT")
            return done

        monkeypatch.setattr(PostgresDriver, name, told)

    for name in ("execute", "executemany"):
        wrap(name)
    return lost


def _end_all(uri: str) -> None:
    import psycopg

    with psycopg.connect(uri, autocommit=True) as other:
        other.execute(OTHERS)


@task(namespace="failover", version="1")
def double(x: int) -> int:
    return 2 * x


def _a_source(folder: Path) -> SqlBackend:
    """A database in which something was run, of more records than go into one batch."""
    settings = Settings(config_dir=folder)
    with Scheduler(settings, executor="inline") as scheduler:
        scheduler.run([double(each) for each in range(400)])
    source = SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}")
    source.load()
    return source


def _counts(backend: SqlBackend) -> list[int]:
    driver = backend._connection()
    return [
        driver.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("execution", "job", "call_node", "value", "foreign_record")
    ]


@pytest.mark.parametrize(
    ("words", "after"),
    [("INSERT INTO value", False), ("INSERT INTO job", False), ("COMMIT", False), ("COMMIT", True)],
)
@pytest.mark.parametrize("way", ["import", "push"])
def test_records_that_move_arrive_once(
    postgres_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    after: bool,
    way: str,
) -> None:
    source = _a_source(tmp_path)
    with SqlBackend(postgres_uri) as backend:
        backend.load()
        lost = _lose_at(monkeypatch, postgres_uri, words, after=after)
        if way == "push":
            moved = Mover(source, backend, "lab").move()
            new = sum(moved.new.values())
        else:
            (execution,) = source._connection().execute("SELECT id FROM execution").fetchone()
            ids = list(source.iter_record_ids([execution.hex()]))
            rows = (RecordSerializer().rows(each) for each in source.get_records(ids))
            new = sum(backend.put_rows(rows, origin="lab").values())
        monkeypatch.undo()

        assert len(lost) == 1
        assert _counts(backend)[:4] == _counts(source)[:4]
        assert new == sum(_counts(backend)[:4])
        assert check(backend) == []
    source.close()


def test_a_source_that_is_lost_on_the_way_is_gone_on_with(
    postgres_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _a_source(tmp_path)
    with (
        SqlBackend(postgres_uri) as source,
        SqlBackend(f"sqlite:///{tmp_path / 'target.db'}") as target,
    ):
        Mover(here, source, "lab").move()
        put = SqlBackend.put_rows
        puts: list[int] = []

        def lose(self: SqlBackend, *given: object, **others: object) -> dict[str, int]:
            done = put(self, *given, **others)  # type: ignore[arg-type]
            puts.append(sum(done.values()))
            if len(puts) in {1, 2}:
                _end_all(postgres_uri)
            return done

        monkeypatch.setattr(SqlBackend, "put_rows", lose)
        moved = Mover(source, target, "team").move()
        monkeypatch.undo()

        assert _counts(target)[:4] == _counts(here)[:4]
        assert sum(moved.new.values()) == sum(puts)
        assert check(target) == []
    here.close()


def test_an_upgrade_is_gone_on_with(
    empty_postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = schema._note_version
    lost: list[int] = []

    def lose(*given: object) -> None:
        note(*given)  # type: ignore[arg-type]
        if not lost:
            lost.append(1)
            _end_all(empty_postgres_uri)

    monkeypatch.setattr(schema, "_note_version", lose)
    backend = SqlBackend(empty_postgres_uri)
    backend.migrate()

    assert lost == [1]
    assert backend.get_db_version() == schema.CURRENT
    backend.load()
    assert backend._connection().execute("SELECT count(*) FROM taskgraph_version").fetchone() == (
        1,
    )
    backend.close()
