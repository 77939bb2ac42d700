from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from taskgraph.errors import AmbiguousIdError, UnknownRecordError
from taskgraph.records import State
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.finding import find_file, infer_id, like_id
from taskgraph_backend.reader import Reader
from tests.rows import (
    EXECUTION,
    NOW,
    TASK,
    a_call,
    a_file,
    a_job,
    a_task,
    an_argument,
    an_edge,
    an_execution,
    key,
    together,
)
from tests.statements import Statements

SECOND = 1_000_000
OLD, NEW = 0xA1 << 120, 0xB2 << 120


@pytest.fixture
def reader(sql_backend: SqlBackend) -> Iterator[Reader]:
    sql_backend.record(
        together(
            a_task(),
            a_task(0x7A52, "g"),
            an_execution(OLD, root=10, state=State.COMPLETED),
            an_execution(NEW, root=20, state=State.FAILED, time=NOW - 1),
            a_job(10, execution=OLD, call=1000, end=NOW + 9),
            a_job(11, execution=OLD, parent=10, call=1001, start=NOW + 2, end=NOW + 4),
            a_job(12, execution=OLD, parent=10, call=1002, start=NOW + 3, end=NOW + 5, cached=True),
            a_job(20, execution=NEW, start=NOW + SECOND, end=NOW + 2 * SECOND, state=State.FAILED),
            a_call(1000, 100, 200),
            a_call(1001, 101, 201),
            a_call(1002, 102, 202),
            an_edge(1000, 1001, 0),
            an_edge(1000, 1002, 1),
            an_argument(500, 1002, 201, upstream=(1001,)),
            an_argument(501, 1002, 203, position=1, name=None),
        )
    )
    with sql_backend.reader() as reader:
        yield reader


def test_executions_are_newest_first_with_task_and_counts(reader: Reader) -> None:
    found = reader.executions()

    assert [each.execution.id for each in found] == [key(NEW), key(OLD)]
    assert [each.task for each in found] == ["ns.f", "ns.f"]
    assert [each.status for each in found] == ["FAILED", "DONE"]
    assert [each.counts for each in found] == [{"FAILED": 1}, {"DONE": 2, "CACHED": 1}]
    assert found[1].started == datetime.fromtimestamp(NOW / SECOND, UTC)


def test_executions_come_in_pages(reader: Reader) -> None:
    assert [each.execution.id for each in reader.executions(1, 1)] == [key(OLD)]
    assert reader.executions(5, 2) == []


def test_listing_takes_two_statements_and_no_bytes_of_values(reader: Reader) -> None:
    statements = Statements(reader)

    reader.executions()

    assert len(statements.texts) == 2
    assert "value.value " not in " ".join(statements.texts)


def test_tree_of_an_execution_has_all_jobs_in_order(reader: Reader) -> None:
    tree = reader.job_tree(key(OLD))

    assert [(depth, job.id) for depth, job in tree.walk()] == [
        (0, key(10)),
        (1, key(11)),
        (1, key(12)),
    ]


def test_tree_takes_a_few_statements_whatever_is_looked_at(reader: Reader) -> None:
    statements = Statements(reader)

    tree = reader.job_tree(key(OLD), arguments=True)
    shown = [
        (job.task.fullname, job.call_node.args_display, job.call_node.value.preview)
        for _, job in tree.walk()
        if job.call_node is not None
    ]

    assert shown[2] == ("ns.f", "x=<201>, <203>", "<202>")
    assert len(statements.texts) <= 3
    assert ".value AS" not in " ".join(statements.texts).replace("value.value_hash", "")


def test_job_whose_parent_is_missing_is_a_root(reader: Reader) -> None:
    tree = reader.job_tree(key(OLD))

    orphans = type(tree)([job for job in tree.jobs if job.id != key(10)])

    assert [job.id for job in orphans.roots] == [key(11), key(12)]


def test_rows_are_related_in_both_directions(reader: Reader) -> None:
    call = reader.get_one(models.CallNode, key(1000))
    child = call.children[0]
    execution = reader.get_one(models.Execution, key(OLD))

    assert [each.call_hash for each in call.children] == [key(1001), key(1002)]
    assert child.parents == [call]
    assert [each.call_hash for each in child.downstream] == [key(1002)]
    assert execution.job is not None
    assert execution.call_node is call
    assert execution.task is call.task
    assert execution.jobs[0].child_jobs[0].parent_job is execution.job
    assert execution.job.duration == timedelta(microseconds=9)
    assert {job.id for job in call.task.jobs} == {key(10), key(11), key(12)}
    assert [each.call_hash for each in child.value.results] == [key(1001)]
    assert [each.arg_hash for each in child.value.arguments] == [key(500)]


def test_upstream_of_a_call_names_where_arguments_came_from(reader: Reader) -> None:
    call = reader.get_one(models.CallNode, key(1002))

    first, second = reader.upstream(call)

    assert (first.argument.arg_key, [each.call_hash for each in first.calls]) == ("x", [key(1001)])
    assert (second.argument.arg_position, second.calls) == (1, [])


def test_upstream_can_be_kept_to_one_execution(reader: Reader) -> None:
    call = reader.get_one(models.CallNode, key(1002))

    within = reader.upstream(call, key(OLD))
    without = reader.upstream(call, key(NEW))

    assert [len(each.calls) for each in within] == [1, 0]
    assert [len(each.calls) for each in without] == [0, 0]


# Finding by id


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (key(OLD)[:2], models.Execution),
        (key(NEW), models.Execution),
        (key(NEW).upper()[:4], models.Execution),
        (key(11), models.Job),
        (key(1001), models.CallNode),
        (key(TASK), models.Task),
        (key(201), models.Value),
    ],
)
def test_record_is_found_by_the_start_of_its_id(
    reader: Reader, text: str, model: type[models.Base]
) -> None:
    assert type(reader.find(text)) is model


def test_prefix_of_several_records_is_ambiguous(reader: Reader) -> None:
    with pytest.raises(AmbiguousIdError, match="stands for several records"):
        reader.find("0000")


def test_newest_executions_have_short_names(reader: Reader) -> None:
    assert [reader.find(text).id for text in ("-", "~1", "~2")] == [key(NEW), key(NEW), key(OLD)]


@pytest.mark.parametrize("text", ["~3", "~0", "~x", "ffff", "nothing", "/no/such/file", ""])
def test_what_is_not_recorded_is_unknown(reader: Reader, text: str) -> None:
    assert infer_id(reader, text) is None
    with pytest.raises(UnknownRecordError):
        reader.find(text)
    with pytest.raises(UnknownRecordError):
        infer_id(reader, text, required=True)


@pytest.mark.parametrize("text", ["ns.f", "f"])
def test_task_is_found_by_its_name(reader: Reader, text: str) -> None:
    assert reader.find(text).hash == key(TASK)


def test_newest_version_of_a_task_is_found(sql_backend: SqlBackend, reader: Reader) -> None:
    sql_backend.record(together(a_task(0xD00D)))
    unused = reader.find("ns.f").hash

    sql_backend.record(a_call(3000, 3001, 3002, NOW - SECOND))

    assert unused == key(TASK)
    assert reader.find("ns.f").hash == key(TASK)


def test_prefix_is_a_range_of_the_key(reader: Reader) -> None:
    ids = reader.scalars(select(models.Job.id).where(like_id(models.Job.id, "0" * 31))).all()

    assert sorted(ids) == [key(10), key(11), key(12)]
    with pytest.raises(ValueError, match="not the start of an id"):
        like_id(models.Job.id, "xyz")


# Finding files


def test_file_that_was_made_is_found_with_the_job_that_made_it(
    sql_backend: SqlBackend, reader: Reader
) -> None:
    # The root hands on what its child made.
    sql_backend.record(a_file(201, "out.txt", inside=(200,)))

    found = find_file(reader, "out.txt")

    assert found is not None
    assert (found[0].value_hash, found[1].id, found[2]) == (key(201), key(11), "result")


def test_file_inside_of_a_nested_value_counts(sql_backend: SqlBackend, reader: Reader) -> None:
    sql_backend.record(together(a_file(900, "deep", inside=(901,)), a_file(901, "", inside=(202,))))

    found = find_file(reader, "deep")

    assert found is not None
    assert (found[0].path, found[1].id, found[2]) == ("deep", key(12), "result")


def test_file_that_was_only_used_is_found_with_its_user(
    sql_backend: SqlBackend, reader: Reader
) -> None:
    sql_backend.record(a_file(203, "input.txt"))

    found = find_file(reader, "input.txt")

    assert found is not None
    assert (found[1].id, found[2]) == (key(12), "arg")


def test_newest_content_of_a_path_is_found(sql_backend: SqlBackend, reader: Reader) -> None:
    sql_backend.record(together(a_file(201, "out.txt"), a_file(202, "out.txt")))

    found = find_file(reader, "out.txt")

    assert found is not None
    assert found[0].value_hash == key(202)


def test_newest_run_that_had_a_file_is_found(sql_backend: SqlBackend, reader: Reader) -> None:
    again = a_job(21, execution=NEW, call=1001, start=NOW + SECOND, end=NOW + SECOND, cached=True)
    sql_backend.record(together(a_file(201, "out.txt"), again))

    found = find_file(reader, "out.txt")

    assert found is not None
    assert found[1].id == key(21)


def test_root_tells_equal_paths_apart(sql_backend: SqlBackend, reader: Reader) -> None:
    sql_backend.record(together(a_file(201, "out", "home"), a_file(203, "out", "shared")))

    home, shared = find_file(reader, ("home", "out")), find_file(reader, ("shared", "out"))

    assert home is not None
    assert shared is not None
    assert (home[2], shared[2]) == ("result", "arg")
    assert find_file(reader, ("nowhere", "out")) is None


def test_how_many_jobs_an_execution_has_is_nothing_to_the_search_for_a_file(
    sqlite_backend: SqlBackend,
) -> None:
    jobs = 3_000
    rows = [a_task(), an_execution(OLD, root=10, state=State.COMPLETED)]
    rows += [a_job(10, execution=OLD, call=1000, end=NOW + 9), a_call(1000, 100, 200)]
    for number in range(1, jobs):
        call, value = 1000 + number, 100_000 + number
        rows.append(a_call(call, 20_000 + number, value))
        rows.append(a_job(10 + number, execution=OLD, parent=10, call=call, end=NOW + 4))
    sqlite_backend.record(together(*rows, a_file(100_007, "out/7.txt")))
    steps = [0]

    def note() -> None:
        steps[0] += 1

    with sqlite_backend.reader() as reader:
        connection: Any = reader.connection().connection.driver_connection
        connection.set_progress_handler(note, 1)
        found = find_file(reader, "out/7.txt")
        connection.set_progress_handler(None, 0)

    assert found is not None
    assert found[1].id == key(17)
    assert steps[0] < jobs


def test_file_is_found_by_whatever_stands_for_records(
    sql_backend: SqlBackend, reader: Reader
) -> None:
    sql_backend.record(a_file(201, "data/out.txt"))

    assert reader.find("data/out.txt")[2] == "result"
    assert infer_id(reader, "data/out.txt", include_files=False) is None


def test_path_is_looked_up_by_index(sqlite_backend: SqlBackend) -> None:
    driver = sqlite_backend._connection()

    plan = driver.execute("EXPLAIN QUERY PLAN SELECT * FROM file WHERE path = ? AND root = ?", "ab")

    assert "ix_file_path_root (path=? AND root=?)" in plan.fetchone()[3]


# Looking at values


def test_value_is_parsed_on_demand(sql_backend: SqlBackend) -> None:
    value_hash = sql_backend.record_value([1, "two"])

    with sql_backend.reader() as reader:
        value = reader.get_one(models.Value, value_hash)

        assert value.value_parsed == [1, "two"]


@pytest.mark.parametrize(
    ("change", "given"), [("value = ?", (b"0",)), ("trusted = FALSE", ())], ids=["bytes", "trust"]
)
def test_value_that_cannot_be_loaded_is_shown_as_what_it_is(
    sql_backend: SqlBackend, change: str, given: tuple[bytes, ...]
) -> None:
    value_hash = sql_backend.record_value([1, "two"])
    sql_backend._connection().execute(f"UPDATE value SET {change}", given)

    with sql_backend.reader() as reader:
        parsed = reader.get_one(models.Value, value_hash).value_parsed

        assert isinstance(parsed, models.PreviewValue)
        assert repr(parsed).startswith(f"builtins.list(hash={value_hash[:8]}, size=")


@pytest.mark.parametrize(
    ("state", "cached", "status"),
    [
        ("COMPLETED", False, "DONE"),
        ("COMPLETED", True, "CACHED"),
        ("CRASHED", False, "FAILED"),
        ("FAILED", False, "FAILED"),
        ("SCHEDULED", False, "PENDING"),
        ("PENDING", False, "PENDING"),
        ("RUNNING", False, "RUNNING"),
        ("CANCELLED", False, "CANCELLED"),
    ],
)
def test_state_has_a_short_word(state: str, cached: bool, status: str) -> None:
    assert models.status_of(state, cached) == status


def test_owner_closes_the_backend_too(sql_backend: SqlBackend) -> None:
    with Reader(sql_backend, owns_backend=True) as reader:
        reader.executions()

    assert sql_backend._driver is None


def test_an_execution_of_the_id_is_there(reader: Reader) -> None:
    assert reader.get(models.Execution, key(EXECUTION)) is None
    assert reader.newest_execution(2) is reader.get(models.Execution, key(OLD))
    assert reader.newest_execution(0) is None
