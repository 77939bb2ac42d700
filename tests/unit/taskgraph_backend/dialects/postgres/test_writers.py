"""Several write at once, and the server goes away: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import psycopg
import pytest

from taskgraph.errors import DatabaseBusyError, DatabaseError
from taskgraph.records import CacheQuery, RecordBatch, State
from taskgraph_backend import SqlBackend, statements
from taskgraph_backend.dialects.port import Driver
from taskgraph_backend.dialects.postgres.driver import PostgresDriver
from taskgraph_backend.integrity import check
from taskgraph_backend.recording import steps_of
from tests.rows import (
    a_call,
    a_job,
    a_lease,
    a_task,
    a_value,
    an_evaluation,
    an_execution,
    key,
    together,
)

OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def _end_all_others(uri: str) -> None:
    # Not a backend, which would wait for the lock of those that it is to end.
    with psycopg.connect(uri, autocommit=True) as other:
        other.execute(OTHERS)


def _together(*works: Callable[[], object]) -> list[BaseException]:
    failed: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return failed


def test_writers_of_the_same_rows_do_not_block_each_other_for_ever(postgres_uri: str) -> None:
    def write(seed: int) -> None:
        numbers = list(range(1, 120))
        with SqlBackend(postgres_uri) as backend:
            for turn in range(5):
                random.Random(seed + turn).shuffle(numbers)
                backend.record(
                    together(
                        a_task(),
                        *(a_call(5000 + n, n, 9000 + n) for n in numbers),
                        *(an_evaluation(n, 9000 + n, seed * 100 + turn) for n in numbers),
                    )
                )

    failed = _together(*(lambda seed=seed: write(seed) for seed in range(4)))  # type: ignore[misc]

    assert failed == []
    with SqlBackend(postgres_uri) as backend:
        answers = backend.check_cache([CacheQuery(key(n), True) for n in range(1, 120)])
        assert all(len(each.calls) == 1 and each.evaluation for each in answers)
        assert check(backend) == []


def test_a_lease_is_taken_by_one_of_many(postgres_uri: str) -> None:
    taken: list[str] = []

    def take(holder: str) -> None:
        with SqlBackend(postgres_uri) as backend:
            for number in range(10):
                answer = backend.take([a_lease(f"lease {number}", holder, host="elsewhere")])
                if answer == [None]:
                    taken.append(f"lease {number}")

    failed = _together(*(lambda name=name: take(name) for name in "abcd"))  # type: ignore[misc]

    assert failed == []
    assert sorted(taken) == [f"lease {number}" for number in range(10)]


def test_tags_that_supersede_each_other_leave_one(postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as backend:
        backend.record(together(a_task(), an_execution(), a_job(1)))
        backend.record_tags("Job", key(1), [("n", 0)])

    def update(start: int) -> None:
        with SqlBackend(postgres_uri) as backend:
            for number in range(start, start + 10):
                backend.update_tags("Job", key(1), ["n"], [("n", number)])

    failed = _together(*(lambda start=start: update(start) for start in (100, 200, 300)))  # type: ignore[misc]

    assert failed == []
    with SqlBackend(postgres_uri) as backend:
        assert len(backend.get_tags([key(1)])[key(1)]["n"]) == 1
        assert check(backend) == []


def test_a_connection_that_was_ended_is_made_anew(postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as backend:
        backend.record(RecordBatch(values=[a_value(1)]))

        _end_all_others(postgres_uri)
        read = backend.load_values([key(1)])
        _end_all_others(postgres_uri)
        backend.record(RecordBatch(values=[a_value(2)]))
        _end_all_others(postgres_uri)
        alive = backend.heartbeat("nobody", 5)  # type: ignore[arg-type]

        assert (set(read), alive) == ({key(1)}, 0)
        assert set(backend.load_values([key(1), key(2)])) == {key(1), key(2)}


def test_a_reader_goes_on_after_its_connection_was_ended(postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as backend, backend.reader() as reader:
        backend.record(together(a_task(), an_execution(root=1, state=State.COMPLETED), a_job(1)))
        reader.executions()
        reader.rollback()

        _end_all_others(postgres_uri)

        assert len(reader.executions()) == 1


@pytest.mark.parametrize("moment", ["before it begins", "among its rows", "as it is committed"])
def test_what_was_being_written_is_written_once(
    postgres_uri: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    batch = together(
        a_task(),
        an_execution(root=1, state=State.COMPLETED),
        a_job(1, call=4),
        a_call(4, 8, 9),
        an_evaluation(8, 9),
    )
    with SqlBackend(postgres_uri) as backend:
        driver = backend._connection()
        kind = type(driver)
        ended: list[str] = []

        def end_once(sql: str) -> None:
            begins = {
                "before it begins": "BEGIN",
                "among its rows": "INSERT INTO call_node",
                "as it is committed": "COMMIT",
            }
            if not ended and sql.startswith(begins[moment]):
                ended.append(sql)
                _end_all_others(postgres_uri)

        for name in ("begin", "execute", "executemany"):
            monkeypatch.setattr(kind, name, _telling(getattr(kind, name), end_once))
        backend.record(batch)
        monkeypatch.undo()

        assert len(ended) == 1
        counts = [
            driver.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table in ("job", "call_node", "evaluation", "execution")
        ]
        assert counts == [(1,)] * 4
        assert check(backend) == []


def test_a_tag_whose_deletion_was_not_confirmed_is_deleted_once(
    postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqlBackend(postgres_uri) as backend:
        backend.record(together(a_task(), an_execution(), a_job(1)))
        backend.record_tags("Job", key(1), [("n", 0)])
        kind = type(backend._connection())
        execute = kind.execute
        lost: list[str] = []

        def lose(self: PostgresDriver, sql: str, *others: object) -> object:
            done = execute(self, sql, *others)  # type: ignore[arg-type]
            if sql == "COMMIT" and not lost:
                lost.append(sql)
                _end_all_others(postgres_uri)
                execute(self, "COMMIT")
            return done

        monkeypatch.setattr(kind, "execute", lose)
        gone = backend.delete_tags(key(1), [("n", 0)])
        monkeypatch.undo()

        assert (len(lost), [row[2:] for row in gone]) == (1, [("n", 0)])
        assert backend.get_tags([key(1)]) == {key(1): {}}


def _telling(method: Callable[..., object], tell: Callable[[str], None]) -> Callable[..., object]:
    def told(self: object, sql: str, *others: object) -> object:
        tell(sql)
        return method(self, sql, *others)

    return told


def test_a_server_that_stays_away_is_told_after_the_time_out(
    own_postgres_uri: str, postgres_server: object
) -> None:
    from tests.postgres import Server

    assert isinstance(postgres_server, Server)
    name = own_postgres_uri.partition("?")[0].rpartition("/")[2]
    with SqlBackend(own_postgres_uri, {"busy_timeout": 0.2}) as backend:
        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )

        with pytest.raises(DatabaseError, match="not currently accepting connections"):
            backend.record(RecordBatch(values=[a_value(1)]))


def test_rows_that_somebody_keeps_locked_are_told_of(postgres_uri: str) -> None:
    with (
        SqlBackend(postgres_uri) as other,
        SqlBackend(postgres_uri, {"busy_timeout": 0.1}) as backend,
        other._writing(),
        pytest.raises(DatabaseBusyError, match=r"others kept it locked for more than 0\.1 seconds"),
    ):
        backend.record(RecordBatch(values=[a_value(1)]))


def test_two_in_each_others_way_get_through_one_after_the_other(postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as one, SqlBackend(postgres_uri) as two:
        one.record(RecordBatch(values=[a_value(1), a_value(2)]))
        both_have_one = threading.Barrier(2)
        turns: list[str] = []

        def cross(backend: SqlBackend, first: int, second: int) -> None:
            def work(driver: object) -> None:
                update = "UPDATE value SET preview = ? WHERE value_hash = ?"
                turns.append("begun")
                driver.execute(update, ("x", bytes.fromhex(key(first))))  # type: ignore[attr-defined]
                if len(turns) <= 2:
                    both_have_one.wait()
                driver.execute(update, ("x", bytes.fromhex(key(second))))  # type: ignore[attr-defined]

            backend._transact(work, alone=False)

        failed = _together(lambda: cross(one, 1, 2), lambda: cross(two, 2, 1))

        assert failed == []
        assert len(turns) == 3


def test_who_stands_still_within_a_transaction_is_in_nobodys_way(postgres_uri: str) -> None:
    with (
        SqlBackend(postgres_uri, {"busy_timeout": 0.9}) as still,
        SqlBackend(postgres_uri) as other,
    ):
        driver = still._connection()
        still.database.begin(driver, alone=True)

        assert other.take([a_lease("a", "they")]) == [None]
        # It does again what it did, by another connection.
        assert still.take([a_lease("b")]) == [None]


def test_who_stands_still_in_the_middle_of_sending_is_in_nobodys_way(postgres_uri: str) -> None:
    """The server takes it for one that is busy sending, for which it has no time-out."""
    rows = steps_of(RecordBatch(values=[a_value(1)]))[0][1]
    with (
        SqlBackend(postgres_uri, {"busy_timeout": 20}) as still,
        SqlBackend(postgres_uri, {"busy_timeout": 3}) as other,
    ):
        driver = still._connection()
        assert isinstance(driver, PostgresDriver)
        still.database.begin(driver, alone=True)
        sending = still.database.sending(driver)
        sending.__enter__()
        driver.executemany(statements.VALUE, rows)

        assert other.take([a_lease("a", "they")]) == [None]

        with pytest.raises(still.database.errors):
            sending.__exit__(None, None, None)
        assert still.take([a_lease("b")]) == [None]


def test_who_is_at_work_for_long_is_not_taken_for_one_that_stands_still(postgres_uri: str) -> None:
    at_work = threading.Event()

    def be_slow(driver: Driver) -> None:
        at_work.set()
        driver.execute("SELECT pg_sleep(4)")

    with (
        SqlBackend(postgres_uri, {"busy_timeout": 20}) as slow,
        SqlBackend(postgres_uri, {"busy_timeout": 2.5}) as other,
    ):
        thread = threading.Thread(target=slow._transact, args=(be_slow,))
        thread.start()
        try:
            assert at_work.wait(20)
            with pytest.raises(DatabaseBusyError, match=r"more than 2\.5 seconds"):
                other.take([a_lease("a", "they")])
        finally:
            thread.join()
        assert other.take([a_lease("a", "they")]) == [None]


def test_what_was_lost_before_it_was_done_is_done_again(postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as backend:
        backend.record(together(a_task(), an_execution(), a_job(1)))
        calls: list[int] = []

        def work(driver: PostgresDriver) -> int:
            calls.append(1)
            driver.execute("UPDATE job SET miss = ? WHERE id = ?", ("x", bytes.fromhex(key(1))))
            if len(calls) == 1:
                _end_all_others(postgres_uri)
                driver.execute("SELECT 1")
            return len(calls)

        # What an earlier one of this connection left must not be taken for this one.
        backend.record_tags("Job", key(1), [("n", 1)])

        assert backend._transact(work) == 2


def test_two_threads_that_lose_their_connection_are_not_taken_for_each_other(
    postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqlBackend(postgres_uri) as backend:
        backend.record(together(a_task(), an_execution(), a_job(1)))
        execute = PostgresDriver.execute
        lost: list[str] = []

        def lose(self: PostgresDriver, sql: str, *others: object) -> object:
            if sql == "COMMIT" and len(lost) < 6:
                lost.append(sql)
                if len(lost) % 2:
                    _end_all_others(postgres_uri)
                else:
                    execute(self, sql, *others)  # type: ignore[arg-type]
                    _end_all_others(postgres_uri)
            return execute(self, sql, *others)  # type: ignore[arg-type]

        def edit(name: str) -> None:
            for number in range(5):
                backend.record_tags("Job", key(1), [(name, number)])
                assert len(backend.delete_tags(key(1), [(name, number)])) == 1
                backend.heartbeat("nobody", 5)  # type: ignore[arg-type]

        monkeypatch.setattr(PostgresDriver, "execute", lose)
        failed = _together(lambda: edit("a"), lambda: edit("b"))
        monkeypatch.undo()

        assert failed == []
        assert len(lost) == 6
        assert backend.get_tags([key(1)]) == {key(1): {}}


def test_a_row_of_a_connection_goes_with_it(postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as backend:
        backend.record(together(a_task(), an_execution(root=1, state=State.COMPLETED), a_job(1)))
        backend.record_tags("Job", key(1), [("n", 1)])
        backend.record_tags("Job", key(1), [("n", 2)])
        during = backend._connection().execute("SELECT count(*) FROM lease").fetchone()

    with SqlBackend(postgres_uri) as backend:
        assert during == (1,)
        assert backend._connection().execute("SELECT count(*) FROM lease").fetchone() == (0,)
