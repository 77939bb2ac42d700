"""By whichever way a workflow comes to run, it is held against the same things before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, task
from taskgraph.app.launching import LocalLauncher
from taskgraph.archive import Archive
from taskgraph.catalog.launches import Launch
from taskgraph.catalog.rerunning import NO_CACHE, uses_of
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import StateType
from taskgraph.config import settings_of
from taskgraph.errors import (
    DisabledWorkflowError,
    InactiveTaskError,
    IncompatibleDatasetError,
    PermissionDeniedError,
    RateLimitedError,
    RerunError,
    ValidationError,
)
from taskgraph.tasks.registry import get_task_registry
from taskgraph_backend.integrity import check
from tests.integration.test_applying import a_user
from tests.integration.test_workflow_editing import a_package


@task(namespace="admitted", version="1", input_type="cmip6")
def read(files: list[File], unit: str = "K") -> list[str]:
    return [each.read() for each in files]


@task(namespace="admitted", version="1", output_type="text")
def write(texts: list[str], name: str = "out.txt") -> File:
    made = File(name)
    made.write("".join(texts))
    return made


@pytest.fixture
def first(tg: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execution:
    """An execution of a workflow that ended well."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a")
    tg.datasets.register("a", "a.txt", type="cmip6", facets={"model": "A"})
    tg.datasets.register("out", [], type="text")
    tg.workflows.create("w", steps=[read, write])
    return applied(tg)


def applied(tg: Archive, **how: Any) -> Execution:
    return tg.workflows.apply("w", **{"inputs": ["a"], "output": "out", "here": True, **how})


ALL = ("apply", "group", "frozen", "today")
OF_TODAY = ("apply", "group", "today")


def go(tg: Archive, way: str, first: Execution, **how: Any) -> Execution:
    """Have the workflow run, in one of the ways in which it can be."""
    match way:
        case "apply":
            return applied(tg, **how)
        case "group":
            (made,) = tg.groups.run(tg.groups.plan("w", ["a"], group_by=["model"]), **how)
            return made
        case _:
            return tg.executions.rerun(first, from_snapshot=way == "frozen", **how)


@pytest.mark.parametrize("way", ALL)
def test_all_of_them_run_what_fits(tg: Archive, first: Execution, way: str) -> None:
    assert go(tg, way, first).state.type is StateType.COMPLETED
    assert check(tg.backend) == []


@pytest.mark.parametrize("way", ALL)
def test_what_was_accepted_once_is_not_looked_through_for_secrets_again(
    tg: Archive, first: Execution, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was a default of the code is none any more, say, or the code is not at hand."""

    def refuse(what: str, given: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("taskgraph.catalog.steps.check_arguments", refuse)
    assert go(tg, way, first).state.type is StateType.COMPLETED


@pytest.mark.parametrize("way", ALL)
def test_what_is_disabled_does_not_run(tg: Archive, first: Execution, way: str) -> None:
    tg.workflows.disable("w")

    with pytest.raises(DisabledWorkflowError, match="taskgraph workflow enable w@1"):
        go(tg, way, first)
    assert tg.executions.count() == 1


@pytest.mark.parametrize("way", ["group", "frozen", "today"])
def test_what_is_disabled_meanwhile_is_refused_as_it_is_written(
    tg: Archive, first: Execution, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was looked at, that is, and before the execution is written."""
    decisions = tg.groups.plan("w", ["a"], group_by=["model"])
    find = tg.workflows._store.find_workflow

    def overtaken(ref: str, version: int | None) -> Any:
        found = find(ref, version)
        tg.backend._transact(lambda driver: driver.execute("UPDATE workflow SET enabled = FALSE"))
        return found

    monkeypatch.setattr(tg.workflows._store, "find_workflow", overtaken)
    with pytest.raises(DisabledWorkflowError):
        if way == "group":
            tg.groups.run(decisions)
        else:
            go(tg, way, first)
    assert tg.executions.count() == 1


@pytest.mark.parametrize("way", ALL)
def test_tasks_of_packages_that_are_switched_off_do_not_run(
    tg: Archive, first: Execution, way: str
) -> None:
    a_package(tg, "one", "admitted.write", active=False)

    with pytest.raises(InactiveTaskError, match=r"admitted\.write is of package one@1\.0"):
        go(tg, way, first)
    assert tg.executions.count() == 1


def test_what_is_created_to_run_is_held_against_the_workflow_as_well(
    tg: Archive, first: Execution
) -> None:
    """Though what it is to run on may be whatever it is."""
    a_user(tg, "eve@here", active=False)
    a_package(tg, "one", "admitted.write", active=False)

    def create(**how: Any) -> Execution:
        return tg.executions.create("w", workflow="w", queues=["q"], **how).execution

    with pytest.raises(InactiveTaskError):
        create()
    with pytest.raises(PermissionDeniedError):
        create(last_step=0, submitted_by="eve")
    tg.workflows.disable("w")
    with pytest.raises(DisabledWorkflowError):
        create(last_step=0)
    assert tg.executions.count() == 1
    assert create(state="COMPLETED").state.type is StateType.COMPLETED  # for the record alone


def test_a_package_counts_though_the_workflow_is_gone(tg: Archive, first: Execution) -> None:
    tg.workflows.delete("w")
    a_package(tg, "one", "admitted.write", active=False)

    with pytest.raises(InactiveTaskError):
        tg.executions.rerun(first)


@pytest.mark.parametrize("way", OF_TODAY)
@pytest.mark.parametrize("now", [{"files": "a.txt", "type": "cmip5"}, {"files": []}])
def test_datasets_must_fit_as_they_are_now(
    tg: Archive, first: Execution, way: str, now: dict[str, Any]
) -> None:
    tg.datasets.register("a", **now)

    with pytest.raises(IncompatibleDatasetError, match="'a': it "):
        go(tg, way, first)
    assert tg.executions.count() == 1
    assert go(tg, "frozen", first).state.type is StateType.COMPLETED


def test_what_was_planned_before_its_datasets_changed_is_judged_by_what_they_are_now(
    tg: Archive, first: Execution
) -> None:
    tg.datasets.register("a", [])
    decisions = tg.groups.plan("w", ["a"], group_by=["model"])
    tg.datasets.register("a", "a.txt")

    (done,) = tg.groups.run(decisions)

    assert done.state.type is StateType.COMPLETED


@pytest.mark.parametrize("way", ALL)
def test_arguments_must_be_what_tasks_take_now(tg: Archive, first: Execution, way: str) -> None:
    def changed(texts: list[str], title: str = "x") -> int:
        return len(texts)

    task(namespace="admitted", name="write", version="2", output_type="text")(changed)
    try:
        with pytest.raises(ValidationError, match="no parameter 'name'"):
            go(tg, way, first)
    finally:
        get_task_registry().add(write)
    assert tg.executions.count() == 1


@pytest.mark.parametrize("way", ALL)
def test_an_account_is_for_whom_it_is(tg: Archive, first: Execution, way: str) -> None:
    a_user(tg, "ada@here", default_account="climate", accounts=["climate"])
    a_user(tg, "eve@here", active=False)

    with pytest.raises(PermissionDeniedError, match="'other'"):
        go(tg, way, first, submitted_by="ada", account="other")
    with pytest.raises(PermissionDeniedError, match="users that are active"):
        go(tg, way, first, submitted_by="eve")
    assert tg.executions.count() == 1
    made = go(tg, way, first, submitted_by="ada")
    assert (made.submitted_by, made.options["account"]) == ("ada", "climate")
    assert tg.executions.snapshot(made)["options"]["account"] == "climate"


@pytest.mark.parametrize("way", ["frozen", "today"])
def test_what_is_run_again_is_that_of_who_asks_for_it(
    tg: Archive, first: Execution, way: str
) -> None:
    a_user(tg, "ada@here", default_account="climate", accounts=["climate", "spare"])
    a_user(tg, "bob@here", default_account="bobs")
    ada = applied(tg, submitted_by="ada@here", account="spare")

    def whose(**how: Any) -> tuple[Any, Any]:
        made = go(tg, way, ada, **how)
        frozen = tg.executions.snapshot(made)
        assert frozen["submitted_by"] == made.submitted_by
        assert frozen["options"].get("account") == made.options.get("account")
        return made.submitted_by, made.options.get("account")

    assert whose() == (None, None)
    assert whose(submitted_by="bob@here") == ("bob@here", "bobs")
    assert whose(submitted_by="nobody", account="x") == ("nobody", "x")
    assert whose(submitted_by="ada@here") == ("ada@here", "spare")
    assert whose(submitted_by="ada@here", account="climate") == ("ada@here", "climate")


def test_by_default_who_asks_is_the_user_of_the_settings(
    tg: Archive, first: Execution, database_uri: str
) -> None:
    said = {"user": {"email": "bob@here"}, "backend": {"db_uri": database_uri}}
    with Archive(settings_of(said), tg.backend.clone()) as mine:
        assert [go(mine, way, first).submitted_by for way in ALL] == ["bob@here"] * 4


@pytest.fixture
def slow(tg: Archive, first: Execution, database_uri: str) -> Iterator[Archive]:
    """An archive of the same database whose settings have an hour between submissions."""
    said = {"submissions": {"min_interval": 3600}, "backend": {"db_uri": database_uri}}
    with Archive(settings_of(said), tg.backend.clone()) as archive:
        yield archive


@pytest.mark.parametrize("way", ["apply", "frozen", "today"])
def test_the_same_output_is_not_submitted_twice_within_a_moment(
    slow: Archive, first: Execution, way: str
) -> None:
    with pytest.raises(RateLimitedError) as caught:
        go(slow, way, first)
    assert caught.value.execution_id == first.id


def test_what_was_said_of_one_run_alone_is_not_said_of_the_next(
    tg: Archive, first: Execution
) -> None:
    def ended(made: Execution) -> Execution:
        tg.executions.set_state(made, "CANCELLED")
        return made

    waiting = ended(applied(tg, here=False))
    anew = ended(tg.executions.rerun(waiting, queue=True, no_cache=True))
    again = ended(tg.executions.rerun(anew, queue=True))

    assert (anew.options.get(NO_CACHE), again.options.get(NO_CACHE)) == (True, None)


@pytest.mark.parametrize("way", ["frozen", "today"])
def test_who_asks_again_under_a_key_is_answered_whatever_became_of_it(
    tg: Archive, first: Execution, way: str
) -> None:
    made = go(tg, way, first, idempotency_key="k")
    tg.workflows.delete("w")
    tg.datasets.delete("a")

    assert go(tg, way, first, idempotency_key="k").id == made.id


# Code


def launched(tg: Archive, made: Execution) -> Execution:
    """Run what waits, as whoever takes it does."""
    launch = Launch(made.id, uses_of(tg.executions.snapshot(made)))
    (ended,) = LocalLauncher(tg.settings, tg._catalog).run_all([launch])
    return ended


def pin(tg: Archive, code: str) -> None:
    key = bytearray.fromhex(code)
    sql = "UPDATE workflow_step SET task_hash = ? WHERE task_name = 'admitted.write'"
    tg.backend._transact(lambda driver: driver.execute(sql, (key,)))


@pytest.mark.parametrize("way", OF_TODAY)
def test_a_step_that_is_pinned_runs_with_that_code_alone(
    tg: Archive, first: Execution, way: str
) -> None:
    pin(tg, read.hash)

    with pytest.raises(RerunError, match=f"pinned to version {read.hash[:8]} of it, and here its"):
        go(tg, way, first)
    assert tg.executions.count() == 1
    pin(tg, write.hash)
    assert go(tg, way, first).state.type is StateType.COMPLETED


def test_whoever_takes_it_runs_no_other_code_than_the_one_that_is_pinned(
    tg: Archive, first: Execution
) -> None:
    pin(tg, read.hash)
    made = applied(tg, here=False)  # somebody may have that code

    ended = launched(tg, made)

    assert ended.state.type is StateType.FAILED
    assert "is pinned to version" in str(tg.executions.states(made)[-1].message)
    with pytest.raises(RerunError, match="is pinned to version"):
        tg.executions.rerun(made)


@pytest.mark.parametrize("way", ["frozen", "waiting", "today"])
def test_other_code_than_was_submitted_is_warned_of(
    tg: Archive, first: Execution, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = applied(tg, here=False) if way == "waiting" else None
    anew = task(namespace="admitted", name="write", version="3", output_type="text")(write.func)
    try:
        ended = go(tg, way, first) if waiting is None else launched(tg, waiting)
    finally:
        get_task_registry().add(write)

    said = [each.getMessage() for each in caplog.records if "another than" in each.getMessage()]
    change = f"workflow w@1 is another than when it was submitted: admitted.write ({write.hash[:8]}"
    assert ended.state.type is StateType.COMPLETED
    assert len(said) == (way != "today")
    assert all(change in each and f"now {anew.hash[:8]})" in each for each in said)


# One task, without a workflow


def test_a_task_is_not_submitted_either_of_what_or_by_whom_is_put_aside(tg: Archive) -> None:
    a_user(tg, "eve@here", active=False)
    a_package(tg, "one", "admitted.read", active=False)
    made = tg.executions.create("admitted.other", {}, queues=["q"], submitted_by="ada").execution

    with pytest.raises(InactiveTaskError, match=r"admitted\.read is of package one@1\.0"):
        tg.executions.create("admitted.read", {}, queues=["q"])
    for refused in (
        lambda: tg.executions.create("admitted.other", {}, queues=["q"], submitted_by="eve@here"),
        lambda: tg.executions.rerun(made, queue=True, submitted_by="eve@here"),
    ):
        with pytest.raises(PermissionDeniedError, match="submit anything"):
            refused()
    assert tg.executions.count() == 1
    # What has run elsewhere may be written down.
    over = tg.executions.create("admitted.read", {}, state="COMPLETED").execution
    with pytest.raises(InactiveTaskError):
        tg.executions.rerun(over)

    tg.packages.activate("one")
    assert tg.executions.create("admitted.read", {}, queues=["q"]).is_new
    assert tg.packages.get("one").last_used_at is not None
