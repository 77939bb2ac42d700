from __future__ import annotations

import pytest

from taskgraph.records import State
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check, repair
from tests.rows import (
    NOW,
    a_call,
    a_job,
    a_subtree,
    a_task,
    an_argument,
    an_edge,
    an_evaluation,
    an_execution,
    key,
    together,
)

OTHER = 0x7A52


@pytest.fixture
def sound(sql_backend: SqlBackend) -> SqlBackend:
    sql_backend.record(
        together(
            a_task(),
            a_task(OTHER, "g"),
            an_execution(root=1, state=State.COMPLETED),
            a_job(1, call=10),
            a_job(2, parent=1, call=11),
            a_call(10, 100, 200),
            a_call(11, 101, 201),
            an_edge(10, 11),
            an_evaluation(100, 200),
            an_argument(50, 11, 202),
        )
    )
    return sql_backend


def test_sound_database_has_no_problems(sound: SqlBackend) -> None:
    assert check(sound) == []


def test_database_in_memory_can_be_checked() -> None:
    with SqlBackend() as backend:
        assert check(backend) == []


@pytest.mark.parametrize(
    ("damage", "given", "table", "detail"),
    [
        ("UPDATE value SET value = ?", (b"2",), "value", "not those that were written"),
        (
            "INSERT INTO foreign_record (id, entity_type, origin, timestamp) VALUES (?, ?, ?, ?)",
            (b"\x09", "Value", "lab", 1),
            "foreign_record",
            "there is no such Value",
        ),
        (
            "INSERT INTO foreign_evaluation SELECT eval_hash, task_hash, args_hash, value_hash,"
            " timestamp, 'lab' FROM evaluation",
            (),
            "foreign_evaluation",
            "it is from lab",
        ),
        ("UPDATE value SET size = 99", (), "value", "size is 99, stored are"),
        ("UPDATE job SET end_time = NULL", (), "job", "COMPLETED without end"),
        ("UPDATE job SET end_time = ?", (5,), "job", f"it ends {NOW - 5} us before"),
        ("UPDATE execution SET job_id = ?", (b"\0",), "execution", "its job 00 is missing"),
        (
            "UPDATE job SET state_type = 'RUNNING', end_time = NULL",
            (),
            "job",
            "it is RUNNING in one that is COMPLETED",
        ),
        (
            "UPDATE evaluation SET call_hash = ?",
            (bytes.fromhex(key(11)),),
            "evaluation",
            f"its call {key(11)} is another one's",
        ),
        ("UPDATE call_edge SET call_order = 3", (), "call_edge", "1 children numbered to 3"),
        (
            "UPDATE call_node SET task_hash = ? WHERE call_hash = ?",
            (bytes.fromhex(key(OTHER)), bytes.fromhex(key(11))),
            "call_edge",
            f"task {key(OTHER)} is missing",
        ),
        (
            "UPDATE job SET task_hash = ?",
            (bytes.fromhex(key(OTHER)),),
            "job",
            "its call is of task",
        ),
    ],
)
def test_damage_is_found(
    sound: SqlBackend, damage: str, given: tuple[object, ...], table: str, detail: str
) -> None:
    sound._connection().execute(damage, given)

    found = check(sound)

    assert [each for each in found if each.table == table and detail in str(each)]


def test_row_that_refers_to_none_is_found(sqlite_backend: SqlBackend) -> None:
    sqlite_backend.record(together(a_task(), an_execution(), a_job(1)))
    driver = sqlite_backend._connection()
    driver.execute("PRAGMA foreign_keys=OFF")
    driver.execute("DELETE FROM task")

    found = check(sqlite_backend)

    assert [each for each in found if each.table == "job" and "is no task" in str(each)]


def test_job_below_one_of_another_execution_is_found(sound: SqlBackend) -> None:
    sound.record(
        together(an_execution(77, state=State.COMPLETED), a_job(3, execution=77, parent=1))
    )

    (problem,) = check(sound)

    assert problem.rule == "a job's parent is of the same execution"
    assert problem.key == key(3)


def test_an_entry_whose_call_is_gone_forgets_it(sound: SqlBackend) -> None:
    driver = sound._connection()
    driver.execute("UPDATE evaluation SET call_hash = ?", (bytes.fromhex(key(77)),))

    problems, left = repair(sound)

    # Beside what else is wrong with keys that are no hashes of anything.
    rule = "a cache entry and its call have one key"
    assert [each.remedy for each in problems if each.rule == rule] == ["it refers to none"]
    assert left == []


def test_contents_need_not_be_read(sound: SqlBackend) -> None:
    sound._connection().execute("UPDATE value SET value = ?", (b"2",))

    assert [each for each in check(sound, contents=False) if "written" in each.rule] == []


def test_discarded_value_is_named(sound: SqlBackend) -> None:
    sound.discard_values([key(200)])

    (problem,) = check(sound)

    assert "made again" in problem.detail


def test_tasks_below_a_child_are_fine_when_recorded(sound: SqlBackend) -> None:
    sound.record(together(a_subtree(12, OTHER), a_call(12, 102, 7, NOW), an_edge(12, 11)))

    assert check(sound) == []


@pytest.mark.parametrize(
    ("table", "columns", "values"),
    [
        ("queued", "queue, priority, due", "'gpu', 0, 1"),
        ("assignment", "queue, taken_at, losses", "'gpu', 1, 0"),
        ("execution_pool", "pool_id", "x'5e'"),
    ],
)
def test_workers_are_given_no_execution_of_which_nothing_is_known(
    sqlite_backend: SqlBackend, table: str, columns: str, values: str
) -> None:
    driver = sqlite_backend._connection()
    driver.execute("PRAGMA foreign_keys=OFF")
    driver.execute(
        "INSERT INTO worker_pool (id, name, queues, created_at) VALUES (x'5e', 'p', '[]', 1)"
    )
    sql = f"INSERT INTO {table} (execution_id, {columns}) VALUES (?, {values})"
    driver.execute(sql, (bytes.fromhex(key(9)),))

    problems, left = repair(sqlite_backend)

    assert [(each.table, each.remedy) for each in problems] == [(table, "it is put aside")]
    assert left == []
    assert driver.execute("SELECT count(*) FROM execution").fetchone()[0] == 0
