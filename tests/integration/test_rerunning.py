"""Executions are run once more: as they were frozen, whatever became of the originals since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, Scheduler, task
from taskgraph.archive import Archive
from taskgraph.assembly.managing import routing_of
from taskgraph.catalog.rerunning import RERUN_TAG
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import StateType
from taskgraph.errors import (
    ExecutionNotFoundError,
    GroupInProgressError,
    RerunError,
    UnknownTaskError,
)
from taskgraph.serving.running import TakenRunner
from taskgraph_backend.integrity import check

ran: list[str] = []


@task(namespace="again", version="1")
def read(files: list[File]) -> list[str]:
    ran.append("read")
    return [each.read() for each in files]


@task(namespace="again", version="1")
def join(texts: list[str], by: str = "+") -> str:
    ran.append("join")
    return by.join(texts)


@task(namespace="again", version="1")
def add(first: int, /, second: int = 1, *more: int, factor: int = 1, **named: int) -> int:
    ran.append("add")
    return (first + second + sum(more) + sum(named.values())) * factor


@task(namespace="again", version="1")
def length(file: File) -> int:
    return len(file.read())


@task(namespace="again", version="1")
def fails(n: int) -> int:
    raise ValueError(f"{n} is wrong")


@task(namespace="again", version="1")
def kinds(*numbers: Any) -> str:
    return " ".join(map(repr, numbers))


@pytest.fixture
def flow(tg: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A workflow on one dataset, run once as a group."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a")
    tg.datasets.register("a", [File("a.txt")], facets={"model": "A"})
    tg.workflows.create("w", study="nightly", steps=[read, (join, {"by": "-"})])
    (made,) = tg.groups.run(tg.groups.plan("w", group_by=["model"]))
    ran.clear()
    return made


def test_what_is_run_again_is_the_same_request_and_an_execution_of_its_own(
    tg: Archive, flow: Any
) -> None:
    again = tg.executions.rerun(flow)

    assert again.id != flow.id and again.state.type is StateType.COMPLETED
    assert (again.entrypoint, again.study, again.name) == ("w", "nightly", flow.name)
    assert (again.group_id, again.workflow_id) == (flow.group_id, flow.workflow_id)
    assert (again.dataset_hash, again.snapshot_hash) == (flow.dataset_hash, flow.snapshot_hash)
    assert again.tags[RERUN_TAG] == [flow.id]
    assert ran == []  # all of it is in the cache
    tg.executions.rerun(again, no_cache=True)
    assert ran == ["read", "join"]
    with pytest.raises(ExecutionNotFoundError):
        tg.executions.rerun("f" * 32)


def test_under_one_key_it_is_run_once(tg: Archive, flow: Any) -> None:
    first = tg.executions.rerun(flow, no_cache=True, idempotency_key="k")
    ran.clear()

    assert tg.executions.rerun(flow, no_cache=True, idempotency_key="k").id == first.id
    assert ran == []


def test_what_was_frozen_is_run_though_the_originals_are_gone(tg: Archive, flow: Any) -> None:
    tg.datasets.delete("a")
    tg.studies.delete("nightly", groups=True)  # with its workflows, and their groups
    snapshot = tg.executions.snapshot(flow)

    again = tg.executions.rerun(flow, no_cache=True)

    assert (again.state.type, ran) == (StateType.COMPLETED, ["read", "join"])
    assert (again.group_id, again.workflow_id, again.dataset_hash) == (None, None, None)
    assert (again.entrypoint, tg.workflows.list(), tg.groups.count()) == ("w", [], 0)
    assert tg.executions.snapshot(again) == snapshot
    assert tg.executions.rerun(again).state.type is StateType.COMPLETED
    assert check(tg.backend) == []


def test_of_today_it_is_run_on_what_datasets_are_now(tg: Archive, flow: Any) -> None:
    Path("a.txt").write_text("changed")
    tg.datasets.register("a", [File("a.txt")])

    with pytest.raises(RerunError, match=r"dataset 'a'.*a\.txt"):
        tg.executions.rerun(flow)  # the file is not what it was
    again = tg.executions.rerun(flow, from_snapshot=False)

    assert again.state.type is StateType.COMPLETED
    assert again.dataset_hash != flow.dataset_hash
    assert tg.executions.datasets(again)[0].value_hash != tg.executions.datasets(flow)[0].value_hash
    refused = tg.executions.list({"tags": {"all_": {RERUN_TAG: flow.id}}}, descending=False)[0]
    assert refused.state.type is StateType.FAILED
    assert "a.txt" in str(tg.executions.states(refused)[-1].message)


def test_a_group_that_is_in_progress_is_not_run_again(tg: Archive, flow: Any) -> None:
    tg.executions.create("w", workflow="w", group=flow.group_id, inputs=["a"])

    with pytest.raises(GroupInProgressError):
        tg.executions.rerun(flow)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda: add(1), 2),
        (lambda: add(1, 2, 3, 4, factor=2, more_named=5), 30),
        (lambda: add(1, second=5), 6),
    ],
)
def test_a_plain_run_is_run_again_as_it_was_called(
    tg: Archive, recording: Scheduler, call: Any, value: int
) -> None:
    assert recording.run(call(), study="s", tags={"team": "ml"}, cache=False) == value
    first = tg.executions.get("-")
    ran.clear()

    again = tg.executions.rerun(first, no_cache=True)

    assert (again.state.type, ran) == (StateType.COMPLETED, ["add"])
    assert (again.study, again.tags["team"]) == ("s", ["ml"])
    assert again.parameters == first.parameters
    calls = [tg.get(each.job_id).call.result.preview for each in (first, again)]
    assert calls == [str(value)] * 2


def test_what_was_created_and_never_run_is_run_on_its_parameters(tg: Archive) -> None:
    made = tg.executions.create(
        "again.add", {"first": 2, "second": 3, "more": [4], "factor": 2}, options={"retries": 1}
    ).execution

    again = tg.executions.rerun(made)

    assert again.state.type is StateType.COMPLETED
    assert tg.get(again.job_id).call.result.preview == "18"
    assert tg.executions.get(made).state.type is StateType.PENDING


def test_numbers_that_were_submitted_stay_what_they_are(tg: Archive, recording: Scheduler) -> None:
    wanted = "1.0 -0.0 1e+22 1"
    made = tg.executions.create(
        "again.kinds", {"numbers": [1.0, -0.0, 1e22, 1]}, queues=["q"]
    ).execution
    routing = routing_of(tg.backend, lambda: None)
    runner = TakenRunner(recording, tg._catalog, routing, load=str, find_workflow=lambda _: None)

    again = [tg.executions.rerun(made, from_snapshot=each) for each in (True, False)]
    taken = runner._call(made, tg.executions.snapshot(made))

    assert [tg.get(each.job_id).call.result.preview for each in again] == [repr(wanted)] * 2
    assert " ".join(map(repr, taken.args)) == wanted


def test_a_script_that_is_named_goes_before_what_the_workflow_says(
    tg: Archive, flow: Any, recording: Scheduler
) -> None:
    tg.workflows.create("named", steps=[read], meta={"script": "own.py"})
    tg.datasets.register("out", [])
    routing = routing_of(tg.backend, lambda: None)
    runner = TakenRunner(recording, tg._catalog, routing, load=str, find_workflow=tg.workflows.find)

    def scripts(made: Execution) -> list[str]:
        tg.executions.set_state(made, "CANCELLED")
        return list(runner._scripts(made, tg.executions.snapshot(made)))

    own = tg.workflows.apply("named", inputs=["a"], output="out")
    assert scripts(own) == ["own.py"]
    said = tg.workflows.apply("named", inputs=["a"], output="out", script="x.py")
    assert scripts(said) == ["x.py"]
    assert scripts(tg.executions.rerun(own, queue=True)) == ["own.py"]
    assert scripts(tg.executions.rerun(own, queue=True, script="y.py")) == ["y.py"]
    made = tg.executions.create("named", workflow="named", inputs=["a"]).execution
    assert scripts(made) == ["own.py"]


def test_a_run_that_failed_fails_again_and_says_so_by_its_state(
    tg: Archive, recording: Scheduler
) -> None:
    with pytest.raises(ValueError, match="3 is wrong"):
        recording.run(fails(3))

    again = tg.executions.rerun("-")

    assert again.state.type is StateType.FAILED
    assert again.job_id is not None


def test_what_cannot_be_run_again_is_said(
    tg: Archive, recording: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.txt").write_text("abc")
    recording.run(length(File("f.txt")))
    Path("f.txt").write_text("changed")
    with pytest.raises(RerunError, match=r"f\.txt"):
        tg.executions.rerun("-")

    unknown = tg.executions.create("nowhere.to_be_found", {"n": 1}).execution
    count = tg.executions.count()
    with pytest.raises(UnknownTaskError):
        tg.executions.rerun(unknown, idempotency_key="k")
    assert tg.executions.count() == count  # and the key is free
    other = tg.executions.create("again.add", {"nothing": 1}).execution
    with pytest.raises(RerunError, match=r"again\.add"):
        tg.executions.rerun(other)
    placeholder = tg.executions.create("again.add", {"first": {"type": "x.Y"}}).execution
    assert tg.executions.rerun(placeholder).state.type is StateType.FAILED
    tg.backend._transact(lambda driver: driver.execute("UPDATE execution SET snapshot_hash = NULL"))
    with pytest.raises(RerunError, match="nothing was frozen"):
        tg.executions.rerun(other)
    active = [each for each in tg.executions.list() if RERUN_TAG in each.tags and each.is_active]
    assert active == []
