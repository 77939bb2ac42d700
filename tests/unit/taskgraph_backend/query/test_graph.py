"""One query over all kinds of records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import MultipleResultsFound, NoResultFound

from taskgraph.errors import FilterError
from taskgraph.records import RecordBatch, State
from taskgraph.tags import tag_record
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.query import ANY_VALUE, CallGraphQuery
from taskgraph_backend.reader import Reader
from tests.archives import FILE, a_run, name, tasks
from tests.rows import NOW, a_job, together
from tests.statements import Statements

START = datetime.fromtimestamp(NOW / 1_000_000, UTC)


@pytest.fixture
def reader(sql_backend: SqlBackend) -> Iterator[Reader]:
    """Three runs of two pairs each; the last one failed."""
    sql_backend.record(tasks())
    for number in range(3):
        state = State.FAILED if number == 2 else State.COMPLETED
        sql_backend.record(a_run(number, 2, state))
    with sql_backend.reader() as reader:
        yield reader


@pytest.fixture
def query(reader: Reader) -> CallGraphQuery:
    return CallGraphQuery(reader)


def of(query: CallGraphQuery) -> dict[str, list[str]]:
    """Return the ids that a query finds, by kind."""
    found: dict[str, list[str]] = {}
    for kind, id in query.select("type", "id"):
        found.setdefault(kind, []).append(id)
    return {kind: sorted(ids) for kind, ids in found.items()}


def ids(*names: str) -> list[str]:
    return sorted(names)


def jobs_of(number: int) -> list[str]:
    pairs = [name("job", number, index, task) for index in range(2) for task in ("align", "count")]
    return ids(name("job", number), *pairs)


def test_all_gives_every_kind_of_record_in_their_order(query: CallGraphQuery) -> None:
    kinds = [type(each).__name__ for each in query.all()]

    assert list(dict.fromkeys(kinds)) == list(query.MODEL_NAMES)
    assert kinds.count("Job") == kinds.count("CallNode") == 15


def test_a_task_counts_as_a_task_and_as_a_value(query: CallGraphQuery) -> None:
    task = name("task", "align")

    assert of(query.filter_ids([task])) == {"Task": [task], "Value": [task]}


def test_the_kinds_are_known_by_class_name_and_key() -> None:
    assert CallGraphQuery.MODEL_CLASSES["CallNode"] is models.CallNode
    assert list(CallGraphQuery.MODEL_CLASSES) == list(CallGraphQuery.MODEL_NAMES)
    assert CallGraphQuery.MODEL_PKS[models.Value].key == "value_hash"


def test_a_filter_makes_a_new_query_and_leaves_the_old_one_alone(query: CallGraphQuery) -> None:
    before = query.count()

    filtered = query.filter_types(["Job"]).filter_task_names(["align"])

    assert query.count() == before
    assert filtered.count() == [("Job", 6)]


def test_kinds_are_named_by_class_or_by_name(query: CallGraphQuery) -> None:
    assert query.filter_types([models.Job, "call"]).count() == [("Job", 15), ("CallNode", 15)]
    with pytest.raises(FilterError, match="did you mean job"):
        query.filter_types(["jobb"])


def test_ids_are_whole_and_prefixes_are_not(query: CallGraphQuery) -> None:
    job = name("job", 1)

    assert of(query.filter_ids([job.upper()])) == {"Job": [job]}
    assert job in of(query.like_id(job[:6]))["Job"]
    with pytest.raises(FilterError, match="like_id"):
        query.filter_ids([job[:6]])
    with pytest.raises(FilterError, match="at most 30,000"):
        query.filter_ids(f"{number:032x}" for number in range(30_001))


def test_like_id_takes_the_name_of_a_task(query: CallGraphQuery) -> None:
    assert of(query.like_id("bio.align")) == {"Task": [name("task", "align")]}
    assert of(query.like_id("align", "bio.main")) == {
        "Task": ids(name("task", "align"), name("task", "main"))
    }
    assert of(query.like_id("nobody")) == {}


def test_what_belongs_to_an_execution(query: CallGraphQuery) -> None:
    found = of(query.filter_execution_ids([name("run", 1)]))

    assert found["Execution"] == [name("run", 1)]
    assert found["Job"] == jobs_of(1)
    assert len(found["CallNode"]) == 5
    assert len(found["Task"]) == 3
    # Two files, three results, three arguments that came from outside.
    assert len(found["Value"]) == 8


def test_what_belongs_to_executions_of_a_status(query: CallGraphQuery) -> None:
    failed = query.filter_execution_statuses(["failed"])

    assert of(failed) == of(query.filter_execution_ids([name("run", 2)]))
    assert dict(query.filter_execution_statuses(["DONE"]).count())["Execution"] == 2
    assert dict(query.filter_execution_statuses(["CACHED"]).count())["Job"] == 0
    with pytest.raises(FilterError, match="There are: RUNNING"):
        query.filter_execution_statuses(["BROKEN"])


def test_statuses_of_jobs(query: CallGraphQuery) -> None:
    failed, cached = query.filter_job_statuses(["FAILED"]), query.filter_job_statuses(["CACHED"])

    # An execution is looked at by its root job.
    assert of(failed)["Execution"] == [name("run", 2)]
    assert of(failed)["Job"] == [name("job", 2)]
    assert of(failed)["Task"] == [name("task", "main")]
    assert of(cached)["Job"] == ids(*(name("job", number, 1, "count") for number in range(3)))
    assert "Execution" not in of(cached)


def test_a_status_is_asked_of_each_kind_in_its_own_way(query: CallGraphQuery) -> None:
    found = of(query.filter_statuses(["FAILED"]))

    assert found["Execution"] == [name("run", 2)]
    assert found["Job"] == [name("job", 2)]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.CRASHED, "FAILED"),
        (State.SCHEDULED, "PENDING"),
        (State.CANCELLED, "CANCELLED"),
        (State.RUNNING, "RUNNING"),
    ],
)
def test_each_state_is_found_by_the_word_that_people_see(
    sql_backend: SqlBackend, state: State, status: str
) -> None:
    sql_backend.record(together(tasks(), a_run(0, 0, state)))

    with sql_backend.reader() as reader:
        found = CallGraphQuery(reader).filter_types(["Execution", "Job"])
        assert found.filter_statuses([status]).count() == [("Execution", 1), ("Job", 1)]
        assert found.filter_statuses(["DONE"]).count() == [("Execution", 0), ("Job", 0)]


def test_tags_are_those_of_the_records_themselves(query: CallGraphQuery) -> None:
    even = query.filter_tags([("project", "x")])

    assert of(even) == {"Execution": ids(name("run", 0), name("run", 2))}
    assert len(of(query.filter_tags([("project", ANY_VALUE)]))["Execution"]) == 3
    assert of(query.filter_tags([("attempts", 1.0)])) == {"Job": [name("job", 1)]}
    assert of(query.filter_tags([("project", "x"), ("project", "y")])) == {}


def test_tags_that_were_superseded_do_not_count(
    sql_backend: SqlBackend, query: CallGraphQuery
) -> None:
    old = tag_record("Job", name("job", 0), "note", 1)
    sql_backend.record(RecordBatch(tags=[old._replace(is_current=False)]))

    assert of(query.filter_tags([("note", 1)])) == {}


def test_tags_of_executions_find_what_belongs_to_them(query: CallGraphQuery) -> None:
    found = of(query.filter_execution_tags([("project", "y")]))

    assert found["Execution"] == [name("run", 1)]
    assert found["Job"] == jobs_of(1)


@pytest.mark.parametrize("task", ["align", "bio.align"])
def test_what_belongs_to_a_task(query: CallGraphQuery, task: str) -> None:
    found = of(query.filter_task_names([task]))

    assert "Execution" not in found
    assert len(found["Job"]) == len(found["CallNode"]) == len(found["Value"]) == 6
    assert found["Task"] == [name("task", "align")]
    assert found == of(query.filter_task_hashes([name("task", "align")]))


def test_an_execution_belongs_to_the_task_of_its_root(query: CallGraphQuery) -> None:
    assert len(of(query.filter_task_names(["bio.main"]))["Execution"]) == 3
    # What the root gave, and the files in it.
    assert len(of(query.filter_task_names(["bio.main"]))["Value"]) == 9


def test_a_job_without_a_call_is_found_by_its_task(
    sql_backend: SqlBackend, query: CallGraphQuery
) -> None:
    (waiting,) = a_job(77, call=None, state=State.RUNNING, end=None).jobs
    task, run = name("task", "align"), name("run", 0)
    sql_backend.record(RecordBatch(jobs=[waiting._replace(task_hash=task, execution_id=run)]))

    assert waiting.id in of(query.filter_task_names(["align"]))["Job"]


def test_filters_of_jobs_hold_for_one_job_together(query: CallGraphQuery) -> None:
    # The execution failed, but this call of it was done; others of the kind were cached.
    calls = query.filter_types(["CallNode"]).filter_task_names(["count"])

    done = calls.filter_execution_statuses(["FAILED"]).filter_job_statuses(["CACHED"])

    assert of(done) == {"CallNode": [name("call", 2, "count", 1)]}


def test_types_of_values_leave_out_everything_else(query: CallGraphQuery) -> None:
    files = query.filter_value_types([FILE])

    assert files.count() == [("Value", 6)]
    assert of(files.filter_execution_ids([name("run", 0)]))["Value"] == ids(
        name("file", 0, 0), name("file", 0, 1)
    )


@pytest.mark.parametrize(
    "path", ["out/1/0.vcf", "out/1/0.*", "*1/0.vcf", "out/*/0*", ("project", "out/1/0.v*")]
)
def test_files_are_found_with_what_made_and_used_them(query: CallGraphQuery, path: Any) -> None:
    run_1 = query.filter_execution_ids([name("run", 1)])

    found = of(run_1.filter_file_paths([path]))

    assert found["Value"] == [name("file", 1, 0)]
    assert found["Execution"] == [name("run", 1)]
    # The root gave a list with the file in it.
    assert found["Job"] == ids(
        name("job", 1), name("job", 1, 0, "align"), name("job", 1, 0, "count")
    )
    assert len(found["CallNode"]) == len(found["Task"]) == 3


def test_paths_are_taken_as_they_are_but_for_stars(query: CallGraphQuery) -> None:
    for path in ("out/1/?.vcf", "out/[1]/0.vcf*", "OUT/1/0.vcf*", "out/1/0_vcf*", ("", "out/*")):
        assert of(query.filter_file_paths([path])) == {}
    assert len(of(query.filter_file_paths(["out/1/0.vcf", "out/2/1.vcf"]))["Value"]) == 2


def test_calls_are_found_by_what_they_were_given_and_gave(query: CallGraphQuery) -> None:
    file = name("file", 1, 0)

    given, gave = query.filter_arguments([file]), query.filter_results([file])

    assert of(given)["Job"] == [name("job", 1, 0, "count")]
    assert of(given)["CallNode"] == [name("call", 1, "count", 0)]
    assert of(given)["Task"] == [name("task", "count")]
    assert of(given)["Value"] == [name("result", 1, "count", 0)]
    assert of(gave)["Job"] == [name("job", 1, 0, "align")]
    assert of(gave)["Task"] == [name("task", "align")]
    assert of(gave)["Value"] == [file]
    assert "Execution" not in of(gave)
    assert of(query.filter_results([name("result", 1, "main", 0)]))["Execution"] == [name("run", 1)]


def test_a_period_has_a_start_and_ends_before_its_end(query: CallGraphQuery) -> None:
    second, third = START + timedelta(minutes=1), START + timedelta(minutes=2)

    found = of(query.filter_times(since=second, until=third))

    assert found["Execution"] == [name("run", 1)]
    assert found["Job"] == jobs_of(1)
    assert len(found["Task"]) == 3
    assert found["Value"] == of(query.filter_execution_ids([name("run", 1)]))["Value"]
    narrowed = query.filter_times(since=second).filter_times(since=START, until=third)
    assert of(narrowed) == found


def test_the_newest_come_first(query: CallGraphQuery) -> None:
    ordered = query.filter_types(["Execution"]).order_by("time")

    assert list(ordered.select("id", flat=True)) == [name("run", each) for each in (2, 1, 0)]
    assert [each.id for each in ordered.all()] == [name("run", each) for each in (2, 1, 0)]  # type: ignore[attr-defined]


def test_tasks_and_values_are_as_old_as_their_first_call(query: CallGraphQuery) -> None:
    rows = query.order_by("time").filter_types(["Task"]).select("id", "time")
    values = query.order_by("time").filter_types(["Value"]).select("id", "time")

    assert [id for id, _ in rows] == [name("task", each) for each in ("count", "align", "main")]
    assert dict(values)[name("file", 0, 0)] == START + timedelta(microseconds=1)


def test_there_is_one_order_by_name(query: CallGraphQuery) -> None:
    with pytest.raises(ValueError, match='ordered by "time"'):
        query.order_by("id")


def test_first_one_and_one_or_none(query: CallGraphQuery) -> None:
    tasks, nobody = query.filter_types(["Task"]), query.like_id("nobody")
    (align,) = tasks.like_id("align").all()

    assert tasks.like_id("align").one() is align
    assert tasks.like_id("align").one_or_none() is align
    assert nobody.one_or_none() is nobody.first() is None
    assert tasks.order_by("time").first().name == "count"  # type: ignore[union-attr]
    with pytest.raises(NoResultFound):
        nobody.one()
    with pytest.raises(MultipleResultsFound):
        tasks.one()


def test_an_empty_query_stays_empty(query: CallGraphQuery) -> None:
    nothing = query.empty().filter_types(["Job"])

    assert list(nothing.all()) == list(nothing.select("id")) == nothing.count() == []
    assert nothing.build() is None
    assert nothing.subqueries == ()


def test_a_clone_asks_the_same(query: CallGraphQuery) -> None:
    filtered = query.filter_task_names(["align"])

    assert filtered.clone() is not filtered
    assert of(filtered.clone()) == of(filtered)


def test_columns_are_given_as_tuples_or_flat(query: CallGraphQuery) -> None:
    tasks = query.filter_types(["Task"]).like_id("align")

    assert list(tasks.select("type", "id")) == [("Task", name("task", "align"))]
    assert list(tasks.select("id", flat=True)) == [name("task", "align")]
    with pytest.raises(FilterError, match="id, type, time"):
        tasks.select("name")
    with pytest.raises(FilterError, match="id, type, time"):
        tasks.select()


def test_statements_can_be_taken_on_by_others(reader: Reader, query: CallGraphQuery) -> None:
    jobs = query.filter_types(["Job"]).filter_task_names(["align"])

    ((kind, statement),) = jobs.subqueries

    assert kind == "Job"
    assert len(reader.scalars(statement.where(models.Job.cached.is_(False))).all()) == 6
    built = jobs.build()
    assert built is not None
    assert len(reader.execute(select(built.subquery().c.id)).all()) == 6


@pytest.mark.parametrize("size", [3, 60, 10_000])
def test_the_number_of_statements_is_that_of_kinds(sqlite_backend: SqlBackend, size: int) -> None:
    sqlite_backend.record(together(tasks(), a_run(0, size // 2)))
    with sqlite_backend.reader() as reader:
        query = CallGraphQuery(reader).order_by("time")
        statements = Statements(reader)

        rows = list(query.all())
        for each in rows:
            # What a line of text needs is there.
            getattr(each, "task", None), getattr(each, "file", None), getattr(each, "job", None)
        query.count()
        query.page(0, size)
        query.page(1, max(1, size // 3))
        list(query.select("id", "type"))

    assert len(rows) > size
    # All, a count, a page of two statements for each kind, one that counts as well, ids.
    assert len(statements.texts) <= 5 + 1 + 2 * 5 + (2 * 5 + 1) + 1
    assert "value.value " not in " ".join(statements.texts)
    assert "value.value," not in " ".join(statements.texts)


def test_many_records_are_asked_for_by_id_at_once(query: CallGraphQuery) -> None:
    wanted = [*(f"{number:032x}" for number in range(20_000)), name("job", 0)]

    assert of(query.filter_ids(wanted)) == {"Job": [name("job", 0)]}
