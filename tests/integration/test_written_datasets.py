"""A dataset holds the files of the execution that writes it, once that has ended well."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import Dir, File, Scheduler, task
from taskgraph.app.launching import LocalLauncher
from taskgraph.archive import Archive
from taskgraph.catalog.launches import Launch
from taskgraph.catalog.rerunning import uses_of
from taskgraph.catalog.states import StateType
from taskgraph.engine.made import files_made
from taskgraph.errors import OutputDatasetInUseError
from taskgraph_backend import SqlBackend, statements
from taskgraph_backend.integrity import check
from tests.forked import start_python

taskgraph_namespace = "writing"


@task(version="1")
def copy(files: list[File], how: str = "file", mark: str = "") -> Any:
    made = []
    for each in files:
        out = File(f"made/{Path(each.path).name}")
        out.write(each.read() + mark)
        made.append(out)
    match how:
        case "file":
            return made[0]
        case "nested":
            return {"all": [made, {"first": made[0]}], "missing": File("made/none.txt"), "n": 3}
        case "folder":
            return Dir("made")
        case "fails":
            raise ValueError("this is bad")
        case _:
            return len(made)


@task(version="1")
def same(files: list[File]) -> list[File]:
    return list(files)


@task(version="1", prov=False)
def copy_unrecorded(files: list[File]) -> File:
    made = File("made/unrecorded.txt")
    made.write("".join(each.read() for each in files))
    return made


@pytest.fixture
def data(tg: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Two files in a dataset, a dataset to write, a workflow that copies the one to the other."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.txt").write_text(name)
    tg.datasets.register("in", ["a.txt", "b.txt"])
    tg.datasets.register("out", "a.txt")
    tg.workflows.create("copy", steps=[copy])
    return tg


def run(tg: Archive, **args: Any) -> Any:
    (step,) = tg.workflows.get("copy").steps
    tg.workflows.update_step(step, args=args)
    return tg.workflows.apply("copy", inputs=["in"], output="out", here=True)


def paths(tg: Archive) -> list[str]:
    return [os.path.relpath(each) for each in tg.datasets.paths("out")]


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("file", ["made/a.txt"]),
        ("nested", ["made/a.txt", "made/b.txt"]),
        ("folder", ["made/a.txt", "made/b.txt"]),
        ("number", ["a.txt"]),
        ("fails", ["a.txt"]),
    ],
)
def test_the_files_of_the_result_are_its_content(
    data: Archive, how: str, wanted: list[str]
) -> None:
    before = data.datasets.get("out")

    done = run(data, how=how)

    found = data.datasets.get("out")
    assert paths(data) == wanted
    assert (done.state.type is StateType.FAILED) is (how == "fails")
    assert (found.updated_at == done.state.timestamp) is (wanted != ["a.txt"])
    assert (found.value_hash != before.value_hash) is (wanted != ["a.txt"])
    assert found.created_at == before.created_at
    assert check(data.backend) == []


def test_it_is_the_content_that_registering_them_would_give(data: Archive) -> None:
    run(data, how="nested")

    written = data.datasets.get("out").value_hash

    assert data.datasets.register("same", ["made/b.txt", "made/a.txt"]).value_hash == written
    assert [each.read() for each in data.datasets.files("out")] == ["a", "b"]


def test_what_was_written_is_read_by_the_next(data: Archive) -> None:
    run(data, how="nested")
    data.datasets.register("end", [])
    data.workflows.create("again", steps=[(copy, {"how": "nested", "mark": "!"})])

    done = data.workflows.apply("again", inputs=["out"], output="end", here=True)

    assert done.state.type is StateType.COMPLETED
    assert [each.read() for each in data.datasets.files("end")] == ["a!", "b!"]


def test_it_is_so_of_results_that_were_cached(data: Archive) -> None:
    run(data, how="nested")
    data.datasets.register("out", "b.txt")

    run(data, how="nested")

    assert paths(data) == ["made/a.txt", "made/b.txt"]


def test_a_new_content_has_not_been_retracted(data: Archive) -> None:
    data.retract(data.datasets.get("out"), reason="wrong", cascade=False)

    run(data)

    assert data.datasets.get("out").retracted is False


def test_what_is_run_again_writes_again(data: Archive) -> None:
    done = run(data)
    data.datasets.register("out", "b.txt")

    data.executions.rerun(done, no_cache=True)

    assert paths(data) == ["made/a.txt"]
    assert len(data.datasets.history("out")) == 2


def test_whoever_runs_what_was_submitted_writes_it(data: Archive) -> None:
    """Also one who says nothing of datasets."""
    made = data.workflows.apply("copy", inputs=["in"], output="out")
    backend = SqlBackend(data.backend.db_uri)
    backend.load()
    with Scheduler(backend=backend) as scheduler:
        scheduler.run_submitted(copy([File("b.txt")]), made)
    backend.close()

    assert data.executions.get(made).state.type is StateType.COMPLETED
    assert paths(data) == ["made/b.txt"]


@pytest.mark.parametrize("how", ["task", "step", "steps"])
def test_calls_that_leave_no_records_leave_the_content_all_the_same(
    data: Archive, how: str
) -> None:
    unrecorded = {"task": copy, "options": {"prov": False}}
    steps: Any = {"task": [copy_unrecorded], "step": [unrecorded], "steps": [same, unrecorded]}
    data.workflows.create("bare", steps=steps[how])

    done = data.workflows.apply("bare", inputs=["in"], output="out", here=True)

    assert done.state.type is StateType.COMPLETED
    assert paths(data) == ["made/unrecorded.txt" if how == "task" else "made/a.txt"]
    assert len(data.datasets.history("out")) == 1
    assert not recorded(data) & {"copy", "copy_unrecorded"}
    assert check(data.backend) == []


def test_so_does_a_run_of_which_nothing_is_to_be_recorded(
    data: Archive, recording: Scheduler
) -> None:
    made = data.executions.create("copy", workflow="copy", inputs=["in"], output="out").execution

    recording.run_submitted(copy([File("b.txt")]), made, options={"prov": False})

    assert data.executions.get(made).state.type is StateType.COMPLETED
    assert paths(data) == ["made/b.txt"]
    assert "copy" not in recorded(data)


def recorded(tg: Archive) -> set[str]:
    """Return the names of the tasks of which a job was written down."""
    sql = "SELECT t.name FROM job j JOIN task t ON t.hash = j.task_hash"
    return {str(name) for (name,) in tg.backend._ask(lambda driver: driver.execute(sql).fetchall())}


def test_what_became_read_only_stays(data: Archive) -> None:
    made = data.workflows.apply("copy", inputs=["in"], output="out")
    data.datasets.register("out", "a.txt", read_only=True)

    launched(data, made)

    assert data.executions.get(made).state.type is StateType.COMPLETED
    assert paths(data) == ["a.txt"]


def test_what_was_cancelled_meanwhile_writes_nothing(data: Archive) -> None:
    """A run that was cancelled has no say, however it ended."""
    made = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(made, "CANCELLED")
    backend = SqlBackend(data.backend.db_uri)
    backend.load()
    content = str(backend.record_value([File("b.txt")]))
    _write(backend, made.id, content)
    backend.close()

    assert paths(data) == ["a.txt"]


def test_one_that_was_given_up_for_dead_takes_nothing_from_who_came_after(data: Archive) -> None:
    lost = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(lost, "CRASHED")
    run(data, how="nested")
    backend = SqlBackend(data.backend.db_uri)
    backend.load()
    content = str(backend.record_value([File("b.txt")]))
    data.executions.set_state(lost, "COMPLETED", force=True)
    _write(backend, lost.id, content)
    assert paths(data) == ["made/a.txt", "made/b.txt"]

    newest = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(newest, "CRASHED")
    data.executions.set_state(newest, "COMPLETED", force=True)
    _write(backend, newest.id, content)  # nobody has come after this one
    backend.close()
    assert paths(data) == ["b.txt"]


def test_who_took_it_last_writes_it_whoever_was_submitted_first(data: Archive) -> None:
    first = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(first, "CRASHED")
    second = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(second, "CRASHED")
    data.executions.set_state(first, "RUNNING", force=True)
    backend = SqlBackend(data.backend.db_uri)
    backend.load()
    content = str(backend.record_value([File("b.txt")]))

    data.executions.set_state(second, "COMPLETED", force=True)  # it was not dead
    _write(backend, second.id, content)
    assert paths(data) == ["a.txt"]

    data.executions.set_state(first, "COMPLETED")
    _write(backend, second.id, content)
    assert paths(data) == ["a.txt"]
    _write(backend, first.id, content)
    backend.close()
    assert paths(data) == ["b.txt"]


def test_who_is_brought_back_is_refused_while_somebody_runs_who_had_let_go(data: Archive) -> None:
    first = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(first, "CANCELLED")
    second = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(second, "CRASHED")
    # As a run says it in its first batch.
    sql = "UPDATE execution SET state_type = 'RUNNING' WHERE id = ?"
    data.backend._transact(lambda driver: driver.execute(sql, (bytearray.fromhex(first.id),)))

    with pytest.raises(OutputDatasetInUseError) as caught:
        data.executions.set_state(second, "RUNNING", force=True)
    assert caught.value.execution_id == first.id


def test_nobody_registers_other_content_while_it_is_being_written(data: Archive) -> None:
    made = data.workflows.apply("copy", inputs=["in"], output="out")

    with pytest.raises(OutputDatasetInUseError, match="taskgraph execution cancel") as caught:
        data.datasets.register("out", "b.txt")
    assert caught.value.execution_id == made.id
    assert paths(data) == ["a.txt"]
    # What is said of it may be another thing.
    found = data.datasets.register("out", "a.txt", type="text", facets={"model": "A"})
    assert (found.type, dict(found.facets)) == ("text", {"model": ["A"]})
    data.executions.set_state(made, "CANCELLED")
    data.datasets.register("out", "b.txt")
    assert paths(data) == ["b.txt"]


def test_what_was_registered_by_hand_is_not_overwritten_by_one_given_up_for_dead(
    data: Archive,
) -> None:
    lost = data.workflows.apply("copy", inputs=["in"], output="out")
    data.executions.set_state(lost, "CRASHED")
    data.datasets.register("out", "b.txt")
    backend = SqlBackend(data.backend.db_uri)
    backend.load()
    content = str(backend.record_value([File("a.txt")]))

    data.executions.set_state(lost, "COMPLETED", force=True)
    _write(backend, lost.id, content)
    backend.close()

    assert paths(data) == ["b.txt"]


def _write(backend: SqlBackend, execution_id: str, content: str) -> None:
    row = [bytearray.fromhex(each) for each in (content, execution_id, content, execution_id)]
    backend._transact(lambda driver: driver.execute(statements.DATASET_WRITTEN, row))


def launched(tg: Archive, made: Any) -> None:
    uses = uses_of(tg.executions.snapshot(made))
    LocalLauncher(tg.settings, tg._catalog).run_all([Launch(made.id, uses)])


def test_plain_runs_and_groups_do_not_ask_for_datasets(
    data: Archive, recording: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("nobody writes a dataset here")

    monkeypatch.setattr("taskgraph.app.running.has_output", refuse)
    monkeypatch.setattr("taskgraph.engine.recorder.Recorder.write_dataset", refuse)

    recording.run(copy([File("a.txt")]))
    data.datasets.register("in", ["a.txt", "b.txt"], facets={"model": "A"})
    data.workflows.create("grouped", steps=[copy])
    (done,) = data.groups.run(data.groups.plan("grouped", ["in"], group_by=["model"]))

    assert done.state.type is StateType.COMPLETED


def test_files_are_found_at_any_depth_each_once(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    file = File(str(path))

    assert files_made({"x": [file, (file, {3: File(str(path))})]}) == [file]
    assert files_made([1, "a.txt", None]) == []
    assert files_made(File(str(tmp_path / "none.txt"))) == []


_PROGRAM = """
import os, signal, sys
import taskgraph
from taskgraph import File, task
from taskgraph_backend import SqlBackend

uri, when = sys.argv[1:]


@task(namespace="writing", version="1")
def copy(files: list[File], how: str = "file", mark: str = "") -> list[File]:
    made = []
    for each in files:
        out = File("made/" + os.path.basename(each.path))
        out.write(each.read())
        made.append(out)
    return made


record = SqlBackend.record


def dying(self, batch):
    if not batch.outputs:
        return record(self, batch)
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    if when == "within":
        from taskgraph_backend import recording

        write = recording.write

        def half(driver, database, batch, steps):
            write(driver, database, batch, steps)
            os.kill(os.getpid(), signal.SIGKILL)  # all is written, and nothing committed

        recording.write = half
    record(self, batch)
    os.kill(os.getpid(), signal.SIGKILL)


SqlBackend.record = dying
with taskgraph.open(uri) as tg:
    tg.workflows.apply("copy", inputs=["in"], output="out", here=True)
"""


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_whenever_it_is_killed_state_and_content_agree(data: Archive, when: str) -> None:
    process = start_python(
        ["-c", _PROGRAM, data.backend.db_uri, when], Path.cwd(), os.environ,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.wait(timeout=240) == -signal.SIGKILL

    with taskgraph.open(data.backend.db_uri) as mine:
        mine.executions.sweep()
        (execution,) = mine.executions.list()
        has_ended = execution.state.type is StateType.COMPLETED
        assert has_ended is (when == "after")
        assert paths(mine) == (["made/a.txt", "made/b.txt"] if has_ended else ["a.txt"])
        assert execution.state.type is (StateType.COMPLETED if has_ended else StateType.CRASHED)
        assert check(mine.backend) == []
        # Whoever comes next has the output, and what was made is in the cache or made again.
        run(mine, how="nested")
        assert paths(mine) == ["made/a.txt", "made/b.txt"]
