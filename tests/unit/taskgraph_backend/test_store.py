from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskgraph.errors import DatabaseError
from taskgraph.records import CacheQuery, RecordBatch, State, execution_lease
from taskgraph_backend import SqlBackend
from taskgraph_backend.holders import host_name, this_process
from tests.rows import (
    EXECUTION,
    NOW,
    TASK,
    a_call,
    a_job,
    a_lease,
    a_subtree,
    a_task,
    a_value,
    an_evaluation,
    an_execution,
    key,
    together,
)


def _states(backend: SqlBackend) -> tuple[list[str], list[tuple[str, int | None]]]:
    driver = backend.database.connect()
    executions = [state for (state,) in driver.execute("SELECT state_type FROM execution")]
    jobs = driver.execute("SELECT state_type, end_time FROM job ORDER BY id").fetchall()
    driver.close()
    return executions, jobs


def _running() -> RecordBatch:
    return together(
        a_task(),
        a_call(7, 8, 9),
        an_execution(root=1),
        a_job(1, end=None, state=State.RUNNING),
        a_job(2, parent=1, call=7, end=NOW + 5),
    )


def test_why_a_job_missed_is_kept_with_it(sql_backend: SqlBackend) -> None:
    sql_backend.record(together(a_task(), an_execution(), a_job(1, miss="{}"), a_job(2)))

    driver = sql_backend.database.connect()
    noted = driver.execute("SELECT miss FROM job ORDER BY id").fetchall()

    driver.close()
    assert noted == [("{}",), (None,)]


def test_file_must_be_loaded_first(tmp_path: Path) -> None:
    backend = SqlBackend(f"sqlite:///{tmp_path}/x.db")

    with pytest.raises(DatabaseError, match="call load first"):
        backend.check_cache([CacheQuery(key(1))])


def test_closed_backend_can_be_loaded_again(sql_backend: SqlBackend) -> None:
    sql_backend.record(RecordBatch(values=[a_value(1)]))
    sql_backend.close()

    sql_backend.load()

    assert set(sql_backend.load_values([key(1)])) == {key(1)}


def test_closing_leaves_one_file(tmp_path: Path, sqlite_backend: SqlBackend) -> None:
    sqlite_backend.record(RecordBatch(values=[a_value(1)]))

    sqlite_backend.close()

    assert [file.name for file in tmp_path.iterdir()] == ["taskgraph.db"]


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(DatabaseError, match="unknown setting 'colour'"):
        SqlBackend("sqlite://", {"colour": "red"})


def test_settings_may_be_a_dataclass(tmp_path: Path) -> None:
    @dataclass
    class Section:
        db_uri: str = f"sqlite:///{tmp_path}/named.db"
        automigrate: bool | None = None
        synchronous: str = "full"

    with SqlBackend(config=Section()) as backend:
        assert backend.database.synchronous == "full"

    assert (tmp_path / "named.db").exists()


def test_clone_is_another_door_to_the_same_rows(sql_backend: SqlBackend) -> None:
    clone = sql_backend.clone()
    clone.record(RecordBatch(values=[a_value(1)]))
    clone.close()

    assert set(sql_backend.load_values([key(1)])) == {key(1)}


def test_clone_of_a_database_in_memory_leaves_it_there() -> None:
    with SqlBackend() as backend:
        clone = backend.clone()
        clone.record(RecordBatch(values=[a_value(1)]))
        clone.close()

        assert set(backend.load_values([key(1)])) == {key(1)}


def test_clone_needs_a_loaded_backend() -> None:
    with pytest.raises(DatabaseError, match=r"after .*load"):
        SqlBackend().clone()


def test_two_databases_in_memory_are_two() -> None:
    with SqlBackend() as one, SqlBackend() as other:
        one.record(RecordBatch(values=[a_value(1)]))

        assert other.load_values([key(1)]) == {}


def test_interrupted_transaction_leaves_nothing(sql_backend: SqlBackend) -> None:
    with pytest.raises(KeyboardInterrupt), sql_backend._writing() as driver:
        driver.execute("DELETE FROM value")
        driver.execute(
            "INSERT INTO part (part_hash, kind, name, source) VALUES (?, '', '', '')", (b"0",)
        )
        raise KeyboardInterrupt

    assert not sql_backend._connection().in_transaction
    assert sql_backend._connection().execute("SELECT count(*) FROM part").fetchone() == (0,)


def test_own_task_of_a_call_takes_no_row(sql_backend: SqlBackend) -> None:
    sql_backend.record(together(a_task(), a_call(1, 2, 3), a_subtree(1, TASK)))

    driver = sql_backend._connection()
    (count,) = driver.execute("SELECT count(*) FROM call_subtree_task").fetchone()
    assert count == 0


# Crashes


@pytest.mark.parametrize(("beat", "end"), [(3, 5), (7, 7)])
def test_execution_without_a_living_process_is_crashed_after_loading(
    database_uri: str, beat: int, end: int
) -> None:
    here = this_process()
    with SqlBackend(database_uri) as backend:
        backend.record(_running())
        backend.take(
            [
                a_lease(execution_lease(key(EXECUTION)), "gone", host=here.host, pid=here.pid,
                        started=here.started - 1, expires=NOW + beat + 30_000_000)
            ]
        )  # fmt: skip

    with SqlBackend(database_uri) as backend:
        executions, jobs = _states(backend)
        driver = backend._connection()
        (ended,) = driver.execute("SELECT state_time FROM execution").fetchone()

    assert executions == ["CRASHED"]
    # It lived at its last heartbeat, and when the last of its jobs ended.
    assert ended == NOW + end
    assert jobs == [("CRASHED", NOW + end), ("COMPLETED", NOW + 5)]


def test_execution_of_a_living_process_runs_on(sql_backend: SqlBackend) -> None:
    here = this_process()
    sql_backend.record(_running())
    name = execution_lease(key(EXECUTION))
    sql_backend.take([a_lease(name, host=here.host, pid=here.pid, started=here.started)])

    assert sql_backend.sweep() == []
    assert _states(sql_backend)[0] == ["RUNNING"]


def test_execution_of_another_host_runs_on_until_its_lease_expires(
    sql_backend: SqlBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While a server has just been started, silence says nothing.
    monkeypatch.setattr(type(sql_backend.database), "awake", lambda self, driver: 30.0)
    sql_backend.record(_running())
    name = execution_lease(key(EXECUTION))
    sql_backend.take([a_lease(name, host="elsewhere")])
    while_held = sql_backend.sweep()

    sql_backend.heartbeat("me", NOW)

    assert while_held == []
    assert sql_backend.sweep() == [key(EXECUTION)]
    assert sql_backend.take([a_lease(name, "other")]) == [None]


def test_execution_that_ended_is_left_alone(sql_backend: SqlBackend) -> None:
    sql_backend.record(an_execution(state=State.COMPLETED))

    assert sql_backend.sweep() == []


def test_host_has_one_name_and_this_process_one_place() -> None:
    assert this_process() == this_process()
    assert this_process().host == host_name()


# Conveniences


def test_value_is_recorded_and_read(sql_backend: SqlBackend) -> None:
    value_hash = sql_backend.record_value({"a": [1, 2]})

    assert sql_backend.get_value(value_hash) == ({"a": [1, 2]}, True)
    assert sql_backend.get_value(key(404)) == (None, False)


def test_value_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with (
        SqlBackend("sqlite://", {"max_value_size": 100}) as backend,
        pytest.raises(DatabaseError, match=r"too large.*max_value_size is 100"),
    ):
        backend.record_value("x" * 1000)


def test_damaged_value_is_not_given(sql_backend: SqlBackend) -> None:
    value_hash = sql_backend.record_value([1, 2, 3])
    sql_backend._connection().execute("UPDATE value SET value = ?", (b"0",))

    assert sql_backend.get_value(value_hash) == (None, False)


def test_evaluation_is_set_and_found(sql_backend: SqlBackend) -> None:
    sql_backend.record(a_task())

    sql_backend.set_eval_cache(key(1), key(TASK), key(0xA), "result")

    assert sql_backend.get_eval_cache(key(1)) == ("result", True)
    assert sql_backend.get_eval_cache(key(2)) == (None, False)


def test_an_entry_names_the_call_that_gave_its_very_value(sql_backend: SqlBackend) -> None:
    sql_backend.record(
        together(a_task(), an_evaluation(1, 5), a_call(11, 1, 5), an_evaluation(2, 5))
    )
    sql_backend.record(together(an_evaluation(3, 6), a_call(13, 3, 5)))
    named = "SELECT eval_hash, call_hash FROM evaluation ORDER BY eval_hash"

    rows = sql_backend._connection().execute(named).fetchall()
    sql_backend.set_eval_cache(key(1), key(TASK), key(0xA), "another value")
    after = sql_backend._connection().execute(named).fetchall()

    # The second has none, and what the call of the third gave came of its value later on.
    assert [(each.hex(), call and call.hex()) for each, call in rows] == [
        (key(1), key(11)),
        (key(2), None),
        (key(3), None),
    ]
    assert [call for _, call in after] == [None, None, None]


def test_call_gives_its_result(sql_backend: SqlBackend) -> None:
    result = sql_backend.record_value(42)
    sql_backend.record(together(a_task(), a_call(1, 2, int(result, 16))))

    assert sql_backend.get_call_cache(key(1)) == (42, True)
    assert sql_backend.get_call_cache(key(9)) == (None, False)


def test_job_is_an_object(sql_backend: SqlBackend) -> None:
    sql_backend.record(_running())

    job = sql_backend.get_job(key(2))

    assert job is not None
    assert job.parent_job is not None
    assert (job.status, job.parent_job.status) == ("DONE", "RUNNING")
    assert sql_backend.get_job(key(404)) is None


def test_records_that_exist_are_known_whatever_they_are(sql_backend: SqlBackend) -> None:
    sql_backend.record(_running())
    numbers = [1, 7, 9, TASK, EXECUTION, 404]

    found = sql_backend.has_records(key(number) for number in numbers)

    assert found == {key(number) for number in numbers if number != 404}


def test_file_can_be_read_by_sqlite_alone(tmp_path: Path, sqlite_backend: SqlBackend) -> None:
    sqlite_backend.record(RecordBatch(values=[a_value(1)]))
    sqlite_backend.close()

    driver = sqlite3.connect(tmp_path / "taskgraph.db")
    rows = driver.execute("SELECT hex(value_hash), preview FROM value").fetchall()
    driver.close()

    assert rows == [("0" * 31 + "1", "<1>")]
