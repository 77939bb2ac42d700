"""Each name that tools know rows by is there, and answers on a database with everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, select

from taskgraph import Handle, apply_tags, get_context, task
from taskgraph.app import Scheduler
from taskgraph.values.files import File
from taskgraph_backend import SqlBackend, columns, models
from taskgraph_backend.contexts import context_of
from taskgraph_backend.reader import Reader

NAMES: dict[type[Any], str] = {
    models.Argument: "arg_hash arg_key arg_position arg_results call_hash call_node upstream value"
    " value_hash value_parsed",
    models.ArgumentResult: "arg arg_hash result_call_hash result_call_node",
    models.CallEdge: "call_order child_id child_node parent_id parent_node",
    models.CallNode: "arg_results args_display args_hash arguments call_hash child_edges children"
    " downstream eval_hash jobs parent_edges parents tags task task_hash task_name task_set"
    " timestamp value value_hash value_parsed",
    models.CallSubtreeTask: "call_hash call_node task task_hash",
    models.Evaluation: "args_hash eval_hash task task_hash timestamp value value_hash value_parsed",
    models.Execution: "args call_node environment id job job_id jobs state_time state_type status"
    " status_display tags task updated_time",
    models.File: "parent_values path value value_hash values",
    models.Handle: "children fullname hash is_valid key parent_values parents value value_hash"
    " values",
    models.HandleEdge: "child_id parent_id",
    models.Job: "cached call_hash call_node child_jobs context duration end_time eval_hash"
    " execution execution_id id parent_id parent_job start_time state_type status status_display"
    " tags task task_hash",
    models.Subvalue: "child parent parent_value_hash value_hash",
    models.Tag: "base_key children entity_id entity_type is_current key namespace parents tag_hash"
    " value",
    models.Task: "call_nodes evals fullname hash jobs name namespace source tags value",
    models.Value: "arguments child_edges children evals file format handle in_value_store"
    " parent_edges parents preview results subfiles subhandles tags task type value value_hash"
    " value_parsed",
    models.SchemaVersion: "id timestamp version",
}


class Store(Handle):
    def __init__(self, name: str) -> None:
        self.name = name


@task
def names_step(store: Store, number: int) -> Store:
    return store


@task
def names_file(number: int) -> list[File]:
    out = File(f"names/{number}.txt")
    out.write(str(number))
    return [out]


@task
def names_reads(files: list[File]) -> Any:
    return get_context("genome.build", "none")


@task
def names_main(number: int) -> Any:
    store = names_step(Store("db"), number)
    files = names_file(number)
    inner = names_reads.update_context({"genome": {"build": "hg19"}})(files)
    return apply_tags([store, files, names_reads(files), inner], tags=[("ns.note", 1)])


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("names")
    backend = SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}")
    backend.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        scheduler = Scheduler(backend=backend)
        scheduler.run(names_main(1), context={"genome": {"build": "hg38"}, "depth": 3})
    with backend.reader() as reader:
        yield reader
    backend.close()


@pytest.mark.parametrize("model", NAMES, ids=lambda each: each.__name__)
def test_each_name_answers(reader: Reader, model: type[Any]) -> None:
    rows = list(reader.scalars(select(model)))

    assert rows
    for row in rows:
        for name in NAMES[model].split():
            getattr(row, name)


def test_names_that_are_no_rows() -> None:
    assert models.PreviewValue._fields == ("value", "size")
    assert {columns.JSON, columns.DateTimeUTC}
    tagged = ["Execution", "Job", "CallNode", "Task", "Value"]
    managed = ["ExecutionGroup", "Dataset", "Artifact"]
    assert list(models.TagEntity) == [*tagged, *managed, "Null"]


def test_the_source_of_a_task_can_be_shown(reader: Reader) -> None:
    row = reader.find("names_file")

    assert "names_file" in row.show_source().splitlines()[0]


def test_a_session_knows_its_backend(reader: Reader) -> None:
    assert isinstance(reader.backend, SqlBackend)


def jobs(reader: Reader, name: str) -> list[models.Job]:
    found = select(models.Job).join(models.Task, models.Task.hash == models.Job.task_hash)
    return list(reader.scalars(found.where(models.Task.name == name)))


def test_a_job_has_the_context_of_its_caller_or_its_own(reader: Reader) -> None:
    (main,), reads = jobs(reader, "names_main"), jobs(reader, "names_reads")

    assert main.context == {"genome": {"build": "hg38"}, "depth": 3}
    contexts = sorted(str(each.context["genome"]["build"]) for each in reads)
    assert contexts == ["hg19", "hg38"]
    assert all(each.context["depth"] == 3 for each in reads)


def test_a_context_takes_one_statement_at_any_depth(reader: Reader) -> None:
    job = jobs(reader, "names_reads")[0]
    seen: list[str] = []
    event.listen(reader.get_bind(), "before_cursor_execute", lambda *args: seen.append(args[2]))

    assert context_of(reader, job.id)["depth"] == 3
    assert len(seen) == 1


def test_a_row_that_no_session_holds_has_no_context() -> None:
    assert models.Job(id="0" * 32).context == {}


def test_values_lie_in_the_database(reader: Reader) -> None:
    assert {each.in_value_store for each in reader.scalars(select(models.Value))} == {False}
    elsewhere = models.Value(size=5, row_size=0)
    assert elsewhere.in_value_store


@pytest.mark.parametrize(
    ("state", "result", "cached", "status"),
    [
        ("COMPLETED", "builtins.int", False, "DONE"),
        ("COMPLETED", "builtins.int", True, "CACHED"),
        ("CRASHED", None, False, "FAILED"),
        ("", "taskgraph.ErrorValue", False, "FAILED"),
        ("", "builtins.int", True, "CACHED"),
        ("", "builtins.int", False, "DONE"),
    ],
)
def test_a_record_without_a_state_is_judged_by_its_result(
    reader: Reader, state: str, result: str | None, cached: bool, status: str
) -> None:
    (some,) = jobs(reader, "names_main")
    job = models.Job(state_type=state, cached=cached, end_time=some.end_time)
    execution = models.Execution(state_type=state)

    assert job.calc_status(result) == status
    assert execution.calc_status(result) == status.replace("CACHED", "DONE")


def test_without_state_and_end_it_runs() -> None:
    assert models.Job(state_type="", cached=False, end_time=None).calc_status(None) == "RUNNING"
    assert models.Execution(state_type="").calc_status(None) == "RUNNING"


def test_a_status_is_displayed_as_wide_as_the_longest(reader: Reader) -> None:
    (job,) = jobs(reader, "names_main")

    assert job.status_display == job.execution.status_display == "DONE     "
