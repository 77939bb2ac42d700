"""Groups of executions: planned by facets, decided on, launched once, clean when done."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import File, task
from taskgraph.archive import Archive
from taskgraph.catalog.group_rows import Decision, ExecutionGroup, Rules
from taskgraph.catalog.grouping import derive
from taskgraph.catalog.states import StateType
from taskgraph.errors import (
    ActiveExecutionError,
    AmbiguousIdError,
    DatasetNotFoundError,
    GroupInProgressError,
    GroupNotFoundError,
    UnknownFilterError,
    UnknownTaskError,
    ValidationError,
    WorkflowNotFoundError,
)
from taskgraph_backend import claims
from taskgraph_backend.catalog import groups
from taskgraph_backend.integrity import check

ran: list[str] = []


@task(namespace="grouped", version="1")
def read(files: list[File], unit: str = "K") -> list[str]:
    ran.append("read")
    return sorted(each.read() for each in files)


@task(namespace="grouped", version="1")
def join(texts: list[str], by: str = "+") -> str:
    ran.append("join")
    if "bad" in texts:
        raise ValueError("this is bad")
    return by.join(texts)


@pytest.fixture
def data(tg: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Registers a dataset with one file; a second time with other content."""
    monkeypatch.chdir(tmp_path)
    ran.clear()

    def register(name: str, content: str, **facets: Any) -> Any:
        kind = facets.pop("type", "cmip6")
        Path(f"{name}.txt").write_text(content)
        return tg.datasets.register(name, [File(f"{name}.txt")], type=kind, facets=facets)

    return register


@pytest.fixture
def flow(tg: Archive, data: Callable[..., Any]) -> str:
    """A workflow of two steps, and datasets of two sources."""
    for source in ("A", "B"):
        for variable in ("pr", "tas"):
            data(f"{source}-{variable}", source + variable, source=source, variable=variable)
    tg.workflows.create("mean", namespace="climate", study="nightly", steps=[read, join])
    return "climate.mean"


def planned(tg: Archive, flow: str = "climate.mean", **how: Any) -> dict[str, str]:
    found = tg.groups.plan(flow, **{"group_by": ["source"], **how})
    assert all(bool(each) is each.run for each in found)
    return {each.group.key: each.reason.value for each in found}


def a_group(tg: Archive, key: str = "source=A") -> ExecutionGroup:
    return tg.groups.get(key)


# Planning


def test_groups_are_derived_from_facets_and_made_dirty(tg: Archive, flow: str) -> None:
    found = tg.groups.plan(flow, group_by=["source"])

    assert [each.group.key for each in found] == ["source=A", "source=B"]
    assert [[pin.name for pin in each.datasets] for each in found] == [
        ["A-pr", "A-tas"], ["B-pr", "B-tas"],
    ]  # fmt: skip
    assert [each.group.selectors for each in found] == [{"source": "A"}, {"source": "B"}]
    assert all(each.group.dirty and each.group.dirty_reason == "new" for each in found)
    assert tg.executions.count() == 0
    again = tg.groups.plan(flow, group_by=["source"])
    assert [each.group.id for each in again] == [each.group.id for each in found]
    assert check(tg.backend) == []


def test_a_facet_with_a_type_means_datasets_of_that_type(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    data("obs", "x", type="obs4", source="A", many=1)

    typed = tg.groups.plan(flow, group_by=["cmip6.source"])
    every = tg.groups.plan(flow, group_by=["source"])
    two = tg.groups.plan(flow, ["obs", "A-pr", "A-tas"], group_by=["variable", "source"])

    assert [each.group.key for each in typed] == ["cmip6.source=A", "cmip6.source=B"]
    assert "obs" not in [pin.name for each in typed for pin in each.datasets]
    assert [pin.name for pin in every[0].datasets] == ["A-pr", "A-tas", "obs"]
    assert [each.group.key for each in two] == [
        "source=A,variable=pr", "source=A,variable=tas",
    ]  # fmt: skip
    (whole,) = tg.groups.plan(flow, group_by=[])
    assert (whole.group.key, len(whole.datasets)) == ("all", 5)
    (number,) = tg.groups.plan(flow, group_by=["many"])
    assert number.group.selectors == {"many": 1}


def test_what_cannot_be_planned_is_said(tg: Archive, flow: str) -> None:
    with pytest.raises(WorkflowNotFoundError):
        tg.groups.plan("nothing", group_by=["source"])
    with pytest.raises(DatasetNotFoundError):
        tg.groups.plan(flow, ["nothing"], group_by=["source"])
    with pytest.raises(ValidationError, match="a list of facets"):
        tg.groups.plan(flow, group_by="source")
    with pytest.raises(ValidationError, match="named twice"):
        tg.groups.plan(flow, group_by=["source", "source"])
    with pytest.raises(ValidationError, match="expected a facet"):
        tg.groups.plan(flow, group_by=["a=b"])
    with pytest.raises(ValidationError, match="a list of datasets"):
        tg.groups.plan(flow, "A-pr", group_by=[])
    with pytest.raises(ValidationError, match="timedelta"):
        tg.groups.plan(flow, group_by=[], stale_after=3)  # type: ignore[arg-type]
    assert tg.groups.plan(flow, [], group_by=["source"]) == []
    assert tg.groups.plan(flow, group_by=["unknown"]) == []
    assert tg.groups.count() == 0


def test_the_first_group_of_a_higher_version_promotes_it(tg: Archive, flow: str) -> None:
    second = tg.workflows.create("mean", namespace="climate", version=2, steps=[read])
    third = tg.workflows.create("mean", namespace="climate", version=3, steps=[read])

    tg.groups.plan(third, group_by=["source"], auto_promote=False)
    assert tg.workflows.get(flow).version == 1
    tg.groups.plan(second, group_by=["source"])
    assert tg.workflows.get(flow).version == 2
    tg.workflows.promote(flow, 1)
    tg.groups.plan(second, group_by=["source"])
    assert tg.workflows.get(flow).version == 1  # it has groups
    assert tg.groups.list() == []
    assert len(tg.groups.list(include_superseded=True)) == 4


# The rules, and running


def test_only_the_group_whose_inputs_changed_runs_again(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    first = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    assert [each.state.type for each in first] == [StateType.COMPLETED] * 2
    assert planned(tg) == {"source=A": "up_to_date", "source=B": "up_to_date"}

    data("B-tas", "new", source="B", variable="tas")
    ran.clear()
    assert planned(tg) == {"source=A": "up_to_date", "source=B": "inputs_changed"}
    (again,) = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))

    assert again.name == "mean source=B"
    assert sorted(ran) == ["join", "read"]
    assert again.dataset_hash not in {each.dataset_hash for each in first}
    assert planned(tg) == {"source=A": "up_to_date", "source=B": "up_to_date"}
    assert check(tg.backend) == []


def test_an_execution_of_a_group_has_all_that_it_was_submitted_with(tg: Archive, flow: str) -> None:
    decisions = tg.groups.plan(flow, group_by=["source"])

    (made,) = tg.groups.run(decisions, limit=1)

    assert made.entrypoint == "climate.mean"
    assert (made.group_id, made.study) == (decisions[0].group.id, "nightly")
    assert made.workflow_id == tg.workflows.get(flow).id
    assert made.dataset_hash == decisions[0].dataset_hash
    assert [each.name for each in tg.executions.datasets(made)] == ["A-pr", "A-tas"]
    frozen = tg.executions.snapshot(made)
    assert [each["task"] for each in frozen["workflow"]["steps"]] == [
        "grouped.read",
        "grouped.join",
    ]
    assert frozen["workflow"]["steps"][0]["args"] == {"unit": "K"}
    assert [each["name"] for each in frozen["inputs"]] == ["A-pr", "A-tas"]
    assert [each.name for each in tg.executions.states(made)] == [
        "Pending", "Running", "Completed",
    ]  # fmt: skip
    assert made.run_count == 1 and made.start_time is not None


def test_a_dirty_group_runs_and_takes_from_the_cache_unless_it_is_to_recompute(
    tg: Archive, flow: str
) -> None:
    tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    ran.clear()

    tg.groups.flag_dirty("source=A", reason="looks odd")
    assert planned(tg)["source=A"] == "dirty"
    (again,) = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    assert (again.state.type, ran) == (StateType.COMPLETED, [])
    assert not a_group(tg).dirty and a_group(tg).dirty_reason is None

    tg.groups.flag_dirty(a_group(tg), recompute=True)
    assert a_group(tg).recompute
    tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    assert sorted(ran) == ["join", "read"]
    assert not a_group(tg).recompute  # once

    ran.clear()
    tg.groups.flag_dirty(a_group(tg))
    tg.groups.run(tg.groups.plan(flow, group_by=["source"]), recompute=True)
    assert sorted(ran) == ["join", "read"]


@pytest.mark.parametrize("how", ["flagged", "retracted"])
def test_what_is_made_dirty_while_it_runs_stays_so(tg: Archive, flow: str, how: str) -> None:
    first, _ = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    tg.groups.flag_dirty("source=A")
    decision, _ = tg.groups.plan(flow, group_by=["source"])
    made = tg.executions.create(
        flow, workflow=flow, group=decision.group, inputs=[p.name for p in decision.datasets]
    ).execution
    tg.executions.set_state(made, "RUNNING")

    if how == "flagged":
        tg.groups.flag_dirty("source=A", reason="odd")
    else:
        tg.retract(first, reason="odd")
    assert planned(tg)["source=A"] == "in_progress"
    tg.executions.set_state(made, "COMPLETED")

    assert a_group(tg).dirty
    assert planned(tg)["source=A"] == "dirty"
    tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    assert not a_group(tg).dirty


def test_a_failed_group_is_clean_and_runs_again_only_if_that_is_asked_for(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    data("A-tas", "bad", source="A", variable="tas")

    failed, done = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))

    assert (failed.state.type, done.state.type) == (StateType.FAILED, StateType.COMPLETED)
    assert not a_group(tg).dirty
    assert planned(tg) == {"source=A": "failed_not_dirty", "source=B": "up_to_date"}
    assert planned(tg, rerun_failed=True)["source=A"] == "retry_failed"
    (again,) = tg.groups.run(tg.groups.plan(flow, group_by=["source"], rerun_failed=True))
    assert again.state.type is StateType.FAILED


@pytest.mark.parametrize(
    ("state", "dirty"),
    [("COMPLETED", False), ("FAILED", False), ("CANCELLED", True), ("CRASHED", True)],
)
def test_a_group_is_clean_once_its_newest_execution_has_ended_by_itself(
    tg: Archive, flow: str, state: str, dirty: bool
) -> None:
    (decision, _) = tg.groups.plan(flow, group_by=["source"])
    made = tg.executions.create(
        flow, workflow=flow, group=decision.group, inputs=[p.name for p in decision.datasets]
    ).execution
    tg.executions.set_state(made, "RUNNING")
    assert planned(tg)["source=A"] == "in_progress"

    tg.executions.set_state(made, state)

    assert a_group(tg).dirty is dirty


def test_a_group_whose_calls_leave_no_records_is_clean_as_well(tg: Archive, flow: str) -> None:
    tg.workflows.create("bare", steps=[{"task": read, "options": {"prov": False}}])

    made = tg.groups.run(tg.groups.plan("bare", group_by=["source"]))

    assert {each.state.type for each in made} == {StateType.COMPLETED}
    assert not any(tg.groups.plan("bare", group_by=["source"]))


def test_an_execution_that_is_not_the_newest_or_of_other_inputs_cleans_nothing(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    (decision, _) = tg.groups.plan(flow, group_by=["source"])
    names = [each.name for each in decision.datasets]

    def create() -> Any:
        given = {"workflow": flow, "group": decision.group, "inputs": names}
        return tg.executions.create(flow, **given).execution

    old = create()
    data("A-pr", "newer", source="A", variable="pr")
    assert planned(tg)["source=A"] == "inputs_changed"  # even while the other one is on its way
    new = create()
    tg.executions.set_state(old, "COMPLETED")
    assert a_group(tg).dirty  # it is not the newest one
    data("A-pr", "newest", source="A", variable="pr")
    planned(tg)
    tg.executions.set_state(new, "COMPLETED")
    assert a_group(tg).dirty  # it is not of what was planned last


def test_what_was_silent_for_too_long_is_crashed_and_launched_again(tg: Archive, flow: str) -> None:
    (decision, _) = tg.groups.plan(flow, group_by=["source"])
    made = tg.executions.create(
        flow, workflow=flow, group=decision.group, inputs=[p.name for p in decision.datasets]
    ).execution
    tg.executions.set_state(made, "RUNNING")

    assert planned(tg, stale_after=timedelta(hours=1))["source=A"] == "in_progress"
    assert planned(tg, stale_after=timedelta(0))["source=A"] == "dirty"

    assert tg.executions.get(made).state.type is StateType.CRASHED
    (again,) = tg.groups.run(tg.groups.plan(flow, group_by=["source"]), limit=1)
    assert again.state.type is StateType.COMPLETED
    assert not a_group(tg).dirty


def test_what_crashes_is_dirty_also_if_it_was_clean_before(tg: Archive, flow: str) -> None:
    tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    decision = tg.groups.plan(flow, group_by=["source"])[0]
    made = tg.executions.create(
        flow, workflow=flow, group=decision.group, inputs=[p.name for p in decision.datasets]
    ).execution
    tg.executions.set_state(made, "RUNNING")

    (failed,) = tg.executions.fail_running()

    assert (failed.id, failed.state.type) == (made.id, StateType.CRASHED)
    assert (a_group(tg).dirty, a_group(tg).dirty_reason) == (True, "crashed")
    assert planned(tg)["source=A"] == "dirty"


def test_should_run_decides_on_one_group(tg: Archive, flow: str) -> None:
    decision = tg.groups.plan(flow, group_by=["source"])[0]

    asked = tg.groups.should_run(decision.group, decision.dataset_hash)
    assert (bool(asked), asked.reason) == (True, "never_run")
    tg.groups.run([decision])
    same = tg.groups.should_run("source=A", decision.dataset_hash)
    other = tg.groups.should_run("source=A", "0" * 32)
    assert (bool(same), same.reason) == (False, "up_to_date")
    assert (bool(other), other.reason) == (True, "inputs_changed")
    assert a_group(tg).planned_dataset_hash == "0" * 32
    with pytest.raises(ValidationError, match="`plan` gives"):
        tg.groups.run([other])
    with pytest.raises(ValidationError, match="32 hex digits"):
        tg.groups.should_run("source=A", "x")
    with pytest.raises(GroupNotFoundError):
        tg.groups.should_run("source=Z", "0" * 32)


def test_so_many_run_as_were_asked_for(tg: Archive, flow: str) -> None:
    tg.workflows.create("sum", namespace="climate", steps=[read])
    tg.workflows.create("sum", namespace="other", steps=[read])
    every = [
        each
        for name in ("climate.mean", "climate.sum", "other.sum")
        for each in tg.groups.plan(name, group_by=["source"])
    ]

    def chosen(**how: Any) -> list[str]:
        return [f"{e.group.workflow} {e.group.key}" for e in tg.groups.choose(every, **how)]

    assert len(chosen()) == 6
    assert chosen(limit=2) == ["climate.mean source=A", "climate.mean source=B"]
    assert chosen(one_per="namespace") == ["climate.mean source=A", "other.sum source=A"]
    assert tg.groups.run(every, dry_run=True) == []
    assert tg.executions.count() == 0
    made = tg.groups.run(every, one_per="workflow", limit=2)
    assert [each.name for each in made] == ["mean source=A", "sum source=A"]
    with pytest.raises(ValidationError, match="limit"):
        tg.groups.run(every, limit=-1)
    with pytest.raises(ValidationError, match="limit"):
        tg.groups.run(every, limit="1")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="one_per"):
        tg.groups.run(every, one_per="study")  # type: ignore[arg-type]


def test_nothing_is_launched_if_a_task_is_not_defined_here(tg: Archive, flow: str) -> None:
    tg.workflows.create("other", steps=["nowhere.to_be_found"])
    tg.workflows.create("empty")
    decisions = tg.groups.plan(flow, group_by=["source"])

    with pytest.raises(UnknownTaskError):
        tg.groups.run([*decisions, *tg.groups.plan("other", group_by=["source"])])
    with pytest.raises(ValidationError, match="no steps"):
        tg.groups.run([*decisions, *tg.groups.plan("empty", group_by=["source"])])

    assert tg.executions.count() == 0


def test_what_was_written_down_is_cancelled_if_the_rest_cannot_be(tg: Archive, flow: str) -> None:
    decisions = tg.groups.plan(flow, group_by=["source"])
    tg.datasets.delete("B-pr")

    with pytest.raises(DatasetNotFoundError):
        tg.groups.run(decisions)

    (made,) = tg.executions.list()
    assert (made.state.type, made.run_count) == (StateType.CANCELLED, 0)
    assert a_group(tg).dirty


def test_a_snapshot_that_is_collected_meanwhile_is_recorded_again(
    tg: Archive, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tg.backend.record_value

    def collected(value: Any) -> Any:
        found = record(value)
        monkeypatch.setattr(tg.backend, "record_value", record)
        tg.storage.gc(grace=timedelta(0))
        return found

    monkeypatch.setattr(tg.backend, "record_value", collected)
    made = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))

    assert [each.state.type for each in made] == [StateType.COMPLETED] * 2
    assert check(tg.backend) == []


def test_a_file_that_was_changed_and_not_registered_again_fails_its_group(
    tg: Archive, flow: str
) -> None:
    Path("A-tas.txt").write_text("changed behind its back")

    failed, done = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))

    assert (failed.state.type, done.state.type) == (StateType.FAILED, StateType.COMPLETED)
    message = tg.executions.states(failed)[-1].message
    assert message is not None and "dataset 'A-tas'" in message and "A-tas.txt" in message


def test_nothing_is_launched_of_a_database_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a")
    with taskgraph.open("sqlite://", migrate=True) as tg:
        tg.datasets.register("a", ["a.txt"])
        tg.workflows.create("w", steps=[read])
        made = tg.executions.create("grouped.read", {"files": []}).execution

        with pytest.raises(ValidationError, match="in memory"):
            tg.groups.run(tg.groups.plan("w", group_by=[]))
        with pytest.raises(ValidationError, match="in memory"):
            tg.executions.rerun(made)

        assert tg.executions.count() == 1
        assert tg.groups.get("all").dirty


def test_nothing_is_launched_if_a_step_does_not_fit_its_task(tg: Archive, flow: str) -> None:
    name = f"later_{uuid.uuid4().hex}"  # not known yet, whatever ran before
    tg.workflows.create("odd", steps=[(f"grouped.{name}", {"nothing": 1})])

    @task(namespace="grouped", version="1", name=name)
    def written(files: list[File], unit: str = "K") -> int:
        return len(files)

    odd = tg.groups.plan("odd", group_by=[])
    with pytest.raises(ValidationError, match="'nothing'"):
        tg.groups.run([*tg.groups.plan(flow, group_by=["source"]), *odd])
    assert tg.executions.count() == 0


# At once


def test_a_decision_is_launched_once(tg: Archive, flow: str) -> None:
    one = tg.groups.plan(flow, group_by=["source"])
    other = tg.groups.plan(flow, group_by=["source"])

    assert len(tg.groups.run(one)) == 2
    assert tg.groups.run(other) == []
    assert tg.groups.run(one) == []


def test_what_failed_is_retried_once_by_two_who_planned_it(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    data("A-tas", "bad", source="A", variable="tas")
    tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    plans = [tg.groups.plan(flow, group_by=["source"], rerun_failed=True) for _ in range(2)]

    assert [len(tg.groups.run(each)) for each in plans] == [1, 0]


def test_of_planners_on_many_threads_one_launches_each_group(
    database_uri: str, tg: Archive, flow: str
) -> None:
    gate = threading.Barrier(6)
    launched: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with taskgraph.open(database_uri) as mine:
                gate.wait()
                decisions = mine.groups.plan(flow, group_by=["source"])
                gate.wait()
                launched.extend(str(each.group_id) for each in mine.groups.run(decisions))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert errors == []
    assert sorted(launched) == sorted(each.id for each, _ in tg.groups.list())
    assert tg.executions.count() == 2


_PLANNER = """
import sys
import taskgraph
from tests.integration import test_groups

uri, = sys.argv[1:]
with taskgraph.open(uri) as tg:
    decisions = tg.groups.plan("climate.mean", group_by=["source"])
    print("ready", flush=True)
    sys.stdin.readline()
    for each in tg.groups.run(decisions):
        print(each.group_id, flush=True)
"""


def test_of_two_planners_in_processes_of_their_own_one_launches_each_group(
    database_uri: str, tg: Archive, flow: str
) -> None:
    def start() -> Any:
        return subprocess.Popen(
            [sys.executable, "-c", _PLANNER, database_uri],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    with start() as one, start() as other:
        for each in (one, other):
            assert each.stdout.readline() == "ready\n"
        for each in (one, other):
            each.stdin.write("go\n")
            each.stdin.flush()
        launched = [line for each in (one, other) for line in each.stdout.read().split()]

    assert (one.returncode, other.returncode) == (0, 0)
    assert sorted(launched) == sorted(each.id for each, _ in tg.groups.list())
    assert tg.executions.count() == 2
    assert planned(tg) == {"source=A": "up_to_date", "source=B": "up_to_date"}


def test_one_execution_of_a_group_is_on_its_way_on_the_same_datasets(
    tg: Archive, flow: str
) -> None:
    decision = tg.groups.plan(flow, group_by=["source"])[0]
    given: Any = {
        "workflow": flow, "group": decision.group, "inputs": [p.name for p in decision.datasets],
    }  # fmt: skip
    tg.executions.create(flow, **given)

    with pytest.raises(GroupInProgressError, match="is in progress on the same datasets"):
        tg.executions.create(flow, **given)


def test_what_is_cancelled_while_it_waits_is_not_run(tg: Archive, flow: str) -> None:
    seen: list[Any] = []

    @task(namespace="grouped", version="1", name="cancels")
    def cancels(files: list[Any]) -> int:
        for each in tg.executions.list(taskgraph.F.name("c source=B")):
            tg.executions.set_state(each, "CANCELLED")
            seen.append(each.id)
        return 1

    tg.workflows.create("c", steps=["grouped.cancels"])
    first, second = tg.groups.run(tg.groups.plan("c", group_by=["source"]))

    assert (first.state.type, second.state.type) == (StateType.COMPLETED, StateType.CANCELLED)
    assert seen == [second.id] and second.run_count == 0
    assert tg.groups.get("c/source=B").dirty


# Listing


def test_groups_are_found_by_key_workflow_and_id(tg: Archive, flow: str) -> None:
    tg.workflows.create("sum", steps=[read])
    planned(tg)
    planned(tg, "sum")

    found = tg.groups.get("sum/source=A")
    assert (found.workflow, found.key, found.version) == ("sum", "source=A", 1)
    assert tg.groups.get(found.id[:12]) == tg.groups.get(found) == found
    with pytest.raises(AmbiguousIdError):
        tg.groups.get("source=A")
    assert tg.groups.find("climate.mean/source=Z") is None
    with pytest.raises(GroupNotFoundError, match="source=Z"):
        tg.groups.flag_dirty("source=Z")


def test_executions_are_found_by_the_names_of_their_workflow_and_group(
    tg: Archive, flow: str
) -> None:
    runs = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    plain = tg.executions.create("flows.other").execution
    by_id = tg.workflows.get(flow).id

    def found(where: Any) -> set[str]:
        assert tg.executions.count(where) == len(tg.executions.list(where))
        return {each.id for each in tg.executions.list(where)}

    every = {each.id for each in runs}
    for name in (flow, "mean", f"{flow}@1", "mean@1", by_id):
        assert found(taskgraph.F.workflow(name)) == every
        assert found(~taskgraph.F.workflow(name)) == {plain.id}
        assert found({"workflow": {"not_any_": [name]}}) == {plain.id}
    assert found(taskgraph.F.workflow("mean@2", "nothing")) == set()
    assert found(taskgraph.F.workflow(is_null=True)) == {plain.id}
    assert found(taskgraph.F.group("source=A")) == {runs[0].id}
    assert found(taskgraph.F.group(str(runs[0].group_id))) == {runs[0].id}
    assert found({"group": {"not_any_": ["source=A"]}}) == {runs[1].id, plain.id}


def test_groups_are_listed_with_their_newest_execution(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    first = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    data("A-tas", "bad", source="A", variable="tas")
    (failed,) = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    tg.groups.flag_dirty("source=B")
    planned(tg, group_by=["cmip6.source", "variable"])

    def listed(where: Any = None, **how: Any) -> list[tuple[str, str | None]]:
        return [(g.key, e and e.id) for g, e in tg.groups.list(where, **how)]

    a, b = ("source=A", failed.id), ("source=B", first[1].id)
    assert listed({"namespace": {"any_": ["climate"]}})[-2:] == [a, b]
    assert listed({"successful": {"is_": True}}) == [b]
    assert listed({"successful": {"is_": False}}) == [a]
    assert listed({"dirty": {"is_": True}, "successful": {"is_null_": False}}) == [b]
    assert listed({"key": {"any_": ["source=A"]}}, latest="successful") == [
        ("source=A", first[0].id)
    ]
    typed = listed({"facet": {"any_": ["cmip6.source=A"]}})
    assert [key for key, _ in typed] == [
        "cmip6.source=A,variable=pr", "cmip6.source=A,variable=tas",
    ]  # fmt: skip
    both = {"facet": {"any_": ["source=A", "source=B", "variable=pr"]}}
    assert [key for key, _ in listed(both)] == [
        "cmip6.source=A,variable=pr", "cmip6.source=B,variable=pr",
    ]  # fmt: skip
    assert listed(taskgraph.F.facet("source", "A"))[-1] == a
    assert listed({"workflow": {"any_": ["mean", "x"]}}) == listed()
    assert listed({"workflow": {"any_": ["climate.mean@1"]}}, limit=1, offset=5) == [b]
    assert listed({"workflow": {"not_any_": [flow]}}) == []
    assert tg.groups.count() == len(listed()) == 6
    with pytest.raises(UnknownFilterError):
        listed({"colour": {"any_": ["red"]}})
    with pytest.raises(UnknownFilterError):
        listed(taskgraph.F.state("RUNNING"))
    with pytest.raises(ValidationError, match="latest"):
        listed(latest="best")
    with pytest.raises(ValidationError, match="limit"):
        listed(limit=0)


def test_numbers_of_groups_are_those_of_promoted_versions(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    data("A-tas", "bad", source="A", variable="tas")
    data("C-tas", "c", source="C", variable="tas")
    tg.workflows.create("sum", namespace="climate", steps=[read])
    planned(tg, "climate.sum")
    tg.groups.run(tg.groups.plan(flow, group_by=["source"]), limit=2)

    found = tg.groups.stats()
    assert [each.workflow for each in found] == ["mean", "sum"]
    mean = found[0]
    assert (mean.running, mean.failed, mean.successful, mean.not_started) == (0, 1, 1, 1)
    assert (mean.dirty, mean.total) == (1, 3)
    (whole,) = tg.groups.stats(by=())
    assert (whole.namespace, whole.workflow, whole.total, whole.dirty) == (None, None, 6, 4)
    assert [each.total for each in tg.groups.stats("namespace")] == [6]
    second = tg.workflows.create("mean", namespace="climate", version=2, steps=[read])
    tg.workflows.promote(second)
    assert [each.workflow for each in tg.groups.stats()] == ["sum"]
    with pytest.raises(ValidationError, match="by"):
        tg.groups.stats(by=["study"])


def test_groups_are_deleted_with_their_executions_and_datasets_stay(tg: Archive, flow: str) -> None:
    made = tg.groups.run(tg.groups.plan(flow, group_by=["source"]))
    where = {"facet": {"any_": ["source=A"]}}

    planned_report = tg.groups.delete(where, dry_run=True)
    assert (len(planned_report.groups), planned_report.executions) == (1, (made[0].id,))
    assert tg.groups.count() == 2
    report = tg.groups.delete(where)

    assert (report.groups, report.executions) == (planned_report.groups, (made[0].id,))
    assert report.to_json()["groups"] == list(report.groups)
    assert [group.key for group, _ in tg.groups.list()] == ["source=B"]
    assert tg.executions.find(made[0].id) is None
    assert tg.datasets.count() == 4
    assert tg.groups.delete(where).groups == ()
    with pytest.raises(ValidationError, match="every group"):
        tg.groups.delete({})
    assert planned(tg) == {"source=A": "never_run", "source=B": "up_to_date"}
    assert check(tg.backend) == []


def test_a_group_that_runs_is_not_deleted(tg: Archive, flow: str) -> None:
    decision = tg.groups.plan(flow, group_by=["source"])[0]
    names = [each.name for each in decision.datasets]
    tg.executions.create(flow, workflow=flow, group=decision.group, inputs=names)

    with pytest.raises(ActiveExecutionError):
        tg.groups.delete({"key": {"any_": ["source=A"]}})

    assert tg.groups.count() == 2


class _Counting:
    """A connection that counts what it is asked."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.count = 0

    def execute(self, *given: Any) -> Any:
        self.count += 1
        return self._driver.execute(*given)

    def executemany(self, *given: Any) -> Any:
        self.count += 1
        return self._driver.executemany(*given)


def test_planning_takes_as_many_statements_for_many_groups_as_for_few(
    tg: Archive, flow: str, data: Callable[..., Any]
) -> None:
    def asked() -> int:
        def plan(driver: Any) -> int:
            counting = _Counting(driver)
            found = groups.candidates(counting, None, None)  # type: ignore[arg-type]
            rules = Rules(stale_after=timedelta(hours=1))
            wanted = derive(found, ["source"])
            groups.plan(counting, tg.workflows.get(flow).id, wanted, rules, True)  # type: ignore[arg-type]
            return counting.count

        return tg.backend._transact(plan)

    planned(tg)
    few = asked()
    for number in range(60):
        data(f"more-{number}", "x", source=f"s{number}")

    assert asked() <= few + 3  # what makes those that are missing, and notes what they are of
    assert asked() == few
    assert tg.groups.count() == 62


def test_a_decision_says_what_it_is_as_json(tg: Archive, flow: str) -> None:
    decision = tg.groups.plan(flow, group_by=["source"])[0]

    said = decision.to_json()

    assert isinstance(decision, Decision)
    assert (said["run"], said["reason"], said["datasets"]) == (True, "never_run", ["A-pr", "A-tas"])
    assert said["group"]["selectors"] == {"source": "A"}


# Killed

_KILLED = """
import sys
import taskgraph
from taskgraph import task
from tests.integration import test_groups

uri, = sys.argv[1:]

@task(namespace="grouped", version="1")
def hang(files: list) -> int:
    print("running", flush=True)
    sys.stdin.readline()
    return 1

with taskgraph.open(uri) as tg:
    tg.groups.run(tg.groups.plan("hangs", group_by=["source"]))
"""


def test_a_planner_that_is_killed_leaves_its_groups_to_the_next_one(
    database_uri: str, tg: Archive, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tg.workflows.create("hangs", steps=["grouped.hang"])
    command = [sys.executable, "-c", _KILLED, database_uri]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        assert planned(tg, "hangs") == {"source=A": "in_progress", "source=B": "in_progress"}
        # What waits for its turn is claimed, however long that is.
        with monkeypatch.context() as patch:
            patch.setattr(claims, "_LEASE", 0)
            tg.backend.sweep()
        assert planned(tg, "hangs")["source=B"] == "in_progress"
        process.kill()

    with monkeypatch.context() as patch:
        patch.setattr(claims, "_LEASE", 0)
        tg.backend.sweep()
    crashed = tg.executions.list(taskgraph.F.state("CRASHED"))
    assert len(crashed) == 2
    assert planned(tg, "hangs") == {"source=A": "dirty", "source=B": "dirty"}

    @task(namespace="grouped", version="2")
    def hang(files: list[Any]) -> int:
        return 2

    assert hang.fullname == "grouped.hang"
    again = tg.groups.run(tg.groups.plan("hangs", group_by=["source"]))
    assert [each.state.type for each in again] == [StateType.COMPLETED] * 2
    assert planned(tg, "hangs") == {"source=A": "up_to_date", "source=B": "up_to_date"}
    assert check(tg.backend) == []
