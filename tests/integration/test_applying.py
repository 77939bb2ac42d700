"""Stored workflows are applied to datasets: refused where they do not fit, frozen where they do."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import File, Scheduler, task
from taskgraph.archive import Archive
from taskgraph.catalog.rerunning import uses_of
from taskgraph.catalog.rows import QUEUE_TAG, Execution
from taskgraph.catalog.states import StateType
from taskgraph.config import settings_of
from taskgraph.errors import (
    ConflictError,
    DatasetChangedError,
    DatasetNotFoundError,
    DatasetReadOnlyError,
    DisabledWorkflowError,
    EmptyWorkflowError,
    IdempotencyConflictError,
    InactiveTaskError,
    IncompatibleDatasetError,
    OutputDatasetInUseError,
    PermissionDeniedError,
    RateLimitedError,
    StepRangeError,
    UnknownTaskError,
    ValidationError,
    WorkflowNotFoundError,
    WorkspaceInUseError,
)
from taskgraph.jsontext import to_json
from taskgraph_backend.integrity import check
from tests.forked import start_python
from tests.integration.test_workflow_editing import a_package

ran: list[str] = []


@task(namespace="applied", version="1", input_type="cmip6")
def read(files: list[File], unit: str = "K") -> list[str]:
    ran.append(f"read {unit}")
    return [each.read() for each in files]


@task(namespace="applied", version="1")
def join(texts: list[str], by: str = "+") -> str:
    ran.append("join")
    if "bad" in texts:
        raise ValueError("this is bad")
    return by.join(texts)


@task(namespace="applied", version="1", output_type="text")
def write(text: str, name: str = "out.txt") -> File:
    ran.append("write")
    made = File(name)
    made.write(text)
    return made


@pytest.fixture
def flow(tg: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A workflow of three steps, two datasets to read and one to write."""
    monkeypatch.chdir(tmp_path)
    ran.clear()
    for name, kind in (("a", "cmip6"), ("b", "Any")):
        Path(f"{name}.txt").write_text(name)
        tg.datasets.register(name, f"{name}.txt", type=kind)
    tg.datasets.register("out", [], type="text")
    tg.workflows.create("mean", namespace="climate", study="nightly", steps=[read, join, write])
    return "climate.mean"


def apply(tg: Archive, flow: str = "climate.mean", **how: Any) -> Execution:
    return tg.workflows.apply(flow, **{"inputs": ["a"], "output": "out", **how})


# What is submitted


def test_what_is_applied_waits_in_its_queue(tg: Archive, flow: str) -> None:
    made = apply(
        tg, inputs={"left": "a", "right": "b"}, queue="gpu", priority=3, account="x",
        name="tonight", tags={"team": "ml"}, submitted_by="ada", workspace="work",
    )  # fmt: skip

    assert (made.entrypoint, made.name, made.study) == ("climate.mean", "tonight", "nightly")
    assert (made.state.type, made.tags[QUEUE_TAG]) == (StateType.PENDING, ["gpu"])
    assert made.options == {"priority": 3, "account": "x"}
    assert (made.submitted_by, made.tags["team"]) == ("ada", ["ml"])
    assert made.workspace == os.path.realpath("work")
    assert made.workflow_id == tg.workflows.get(flow).id
    used = {(each.role, each.name, each.in_use) for each in tg.executions.datasets(made)}
    assert used == {("input", "left", False), ("input", "right", False), ("output", "out", True)}
    assert ran == []
    assert check(tg.backend) == []


def test_by_default_it_waits_in_the_default_queue(tg: Archive, flow: str) -> None:
    made = apply(tg)

    assert made.tags[QUEUE_TAG] == ["default"]
    assert (made.name, made.options) == ("mean out", {"priority": 0})


def test_what_is_applied_here_runs_at_once(tg: Archive, flow: str) -> None:
    done = apply(tg, inputs=["b", "a"], here=True)

    assert (done.state.type, QUEUE_TAG in done.tags) == (StateType.COMPLETED, False)
    assert ran == ["read K", "join", "write"]
    assert Path("out.txt").read_text() == "a+b"
    assert [each.path for each in tg.datasets.files("out")] == ["out.txt"]
    assert [each.id for each in tg.datasets.history("out")] == [done.id]


def test_only_some_steps_are_run(tg: Archive, flow: str) -> None:
    first = apply(tg, first_step=0, last_step=1, here=True)
    second = apply(tg, last_step=0, here=True)

    assert (first.first_step, first.last_step, second.last_step) == (0, 1, 0)
    assert ran == ["read K", "join"]
    assert tg.datasets.files("out") == []  # there was no file in the result


def test_a_step_that_fails_is_a_run_that_failed(tg: Archive, flow: str) -> None:
    Path("a.txt").write_text("bad")
    tg.datasets.register("a", "a.txt")

    assert apply(tg, here=True).state.type is StateType.FAILED
    assert tg.datasets.files("out") == []
    assert apply(tg, last_step=0, here=True).state.type is StateType.COMPLETED  # it was let go of


def test_what_is_not_here_is_not_run_and_not_written_down(tg: Archive, flow: str) -> None:
    tg.workflows.create("far", steps=["nowhere.to_be_found"])

    with pytest.raises(UnknownTaskError):
        apply(tg, "far", here=True)
    assert tg.executions.count() == 0
    assert apply(tg, "far").state.type is StateType.PENDING


# What is refused


def test_each_thing_that_does_not_fit_has_an_error_of_its_own(tg: Archive, flow: str) -> None:
    tg.workflows.create("empty")
    tg.workflows.create("off", steps=[read])
    tg.workflows.disable("off")
    tg.datasets.register("plot", [], type="plot")
    tg.datasets.register("other", "a.txt", type="cmip5")
    tg.datasets.register("nothing", [], type="cmip6")
    tg.datasets.register("fixed", [], type="text", read_only=True)

    refusals: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (WorkflowNotFoundError, "'nope'", {"flow": "nope"}),
        (EmptyWorkflowError, "taskgraph workflow add-step", {"flow": "empty"}),
        (DisabledWorkflowError, "taskgraph workflow enable off@1", {"flow": "off"}),
        (StepRangeError, "3", {"first_step": 3}),
        (StepRangeError, "3", {"first_step": 2, "last_step": 1}),
        (StepRangeError, "3", {"last_step": -1}),
        (ValidationError, "the number of a step", {"first_step": "1"}),
        (DatasetNotFoundError, "'no such'", {"inputs": ["no such"]}),
        (IncompatibleDatasetError, "of type 'cmip5', and step 0, applied.read, takes 'cmip6'",
         {"inputs": ["a", "other"]}),
        (IncompatibleDatasetError, "of type 'plot', and step 2, applied.write, gives 'text'",
         {"output": "plot"}),
        (IncompatibleDatasetError, "no files.*dataset register nothing", {"inputs": ["nothing"]}),
        (ValidationError, "at least one", {"inputs": []}),
        (ValidationError, "a list of datasets", {"inputs": "a"}),
        (ValidationError, "a list of datasets", {"inputs": 3}),
        (ValidationError, "a name, an id", {"output": None}),
        (DatasetReadOnlyError, "read_only=False", {"output": "fixed"}),
        (ValidationError, "queue", {"queue": " "}),
        (ValidationError, "queue", {"queue": 3}),
        (ValidationError, "priority", {"priority": 1.5}),
        (ValidationError, "account", {"account": ""}),
    ]  # fmt: skip
    for error, match, how in refusals:
        with pytest.raises(error, match=match):
            apply(tg, **how)
    assert tg.executions.count() == 0
    assert isinstance(IncompatibleDatasetError("a", "b"), TypeError)


def test_any_type_fits_and_the_ends_are_those_of_the_steps_that_run(tg: Archive, flow: str) -> None:
    tg.datasets.register("any", [])
    tg.datasets.register("cmip5", "a.txt", type="cmip5")
    tg.datasets.register("plot", [], type="plot")

    apply(tg, inputs=["b"], output="any")
    apply(tg, inputs=["cmip5"], first_step=1)
    apply(tg, inputs=["a"], output="plot", last_step=1)


def test_one_output_has_one_writer(tg: Archive, flow: str) -> None:
    first = apply(tg)

    with pytest.raises(OutputDatasetInUseError, match=first.id[:8]):
        apply(tg)
    tg.executions.set_state(first, "CANCELLED")
    assert apply(tg).id != first.id


def test_a_folder_is_of_one(tg: Archive, flow: str) -> None:
    apply(tg, workspace="here")
    tg.datasets.register("more", [], type="text")

    with pytest.raises(WorkspaceInUseError):
        apply(tg, output="more", workspace="here")


def test_who_asks_again_under_a_key_is_answered(tg: Archive, flow: str) -> None:
    first = apply(tg, idempotency_key="k")

    assert apply(tg, idempotency_key="k").id == first.id
    assert apply(tg, idempotency_key="k", here=True).id == first.id
    assert ran == []
    with pytest.raises(IdempotencyConflictError):
        tg.executions.set_state(first, "CANCELLED")
        apply(tg, idempotency_key="k", strict=True, inputs=["a", "b"])
    assert apply(tg, idempotency_key="k", strict=True).id == first.id
    # Where its code is, is for who runs it, and may be elsewhere for who asks again.
    assert apply(tg, idempotency_key="k", strict=True, script="steps.py").id == first.id
    tg.workflows.delete(flow)
    tg.datasets.delete("a")
    assert apply(tg, idempotency_key="k").id == first.id


# Tasks of packages


def test_a_task_of_packages_that_are_switched_off_is_refused(tg: Archive, flow: str) -> None:
    a_package(tg, "one", "applied.join", active=False)
    with pytest.raises(InactiveTaskError, match=r"applied\.join is of package one@1\.0"):
        apply(tg)
    assert tg.executions.count() == 0
    apply(tg, last_step=0)  # that step is not run
    a_package(tg, "two", "applied.join")
    tg.executions.set_state("-", "CANCELLED")

    made = apply(tg)

    assert made.is_active
    used = tg.backend._ask(
        lambda driver: driver.execute(
            "SELECT name FROM task_package WHERE last_used_at IS NOT NULL"
        ).fetchall()
    )
    assert [name for (name,) in used] == ["two"]


def test_of_a_pinned_version_the_package_that_has_it_counts(
    tg: Archive, flow: str, recording: Scheduler
) -> None:
    recording.run(join(["a"]))
    pinned = bytearray.fromhex(join.hash)
    a_package(tg, "old", "applied.join", active=False, task_hash=pinned)
    a_package(tg, "new", "applied.join")
    apply(tg, output="out")
    tg.executions.set_state("-", "CANCELLED")
    tg.backend._transact(
        lambda driver: driver.execute(
            "UPDATE workflow_step SET task_hash = ? WHERE task_name = 'applied.join'", (pinned,)
        )
    )

    with pytest.raises(InactiveTaskError, match="old@1"):
        apply(tg)


# People


def a_user(tg: Archive, email: str, *, active: bool = True, **settings: Any) -> None:
    key = bytearray.fromhex(f"{abs(hash(email)) % 2**120:032x}")
    row = (key, email, email.partition("@")[0], active, False, True, to_json(settings), 1)
    tg.backend._transact(
        lambda driver: driver.execute(
            "INSERT INTO user_account (id, email, username, active, superuser, verified, settings,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
    )


def test_the_account_is_that_of_who_asks(tg: Archive, flow: str) -> None:
    a_user(tg, "ada@here", default_account="climate", accounts=["climate", {"name": "spare"}])
    a_user(tg, "bob@here", default_account="bobs")
    a_user(tg, "eve@here", active=False)

    def account(who: str, name: str | None = None) -> Any:
        made = apply(tg, submitted_by=who, account=name)
        tg.executions.set_state(made, "CANCELLED")
        return made.options.get("account")

    assert account("ada@here") == account("ada") == account("ADA@here") == "climate"
    assert account("ada", "spare") == "spare"
    assert account("bob") == "bobs"
    assert account("bob", "whatever") == "whatever"
    assert (account("nobody"), account("nobody", "x")) == (None, "x")
    with pytest.raises(PermissionDeniedError, match="climate, spare") as caught:
        account("ada", "other")
    assert (caught.value.actor, "'other'" in caught.value.action) == ("ada", True)
    with pytest.raises(PermissionDeniedError, match="users that are active"):
        account("eve")


# How often


@pytest.fixture
def slow(tg: Archive, flow: str, database_uri: str) -> Iterator[Archive]:
    """An archive of the same database whose settings have an hour between submissions."""
    settings = settings_of(
        {"submissions": {"min_interval": 3600}, "backend": {"db_uri": database_uri}}
    )
    with Archive(settings, tg.backend.clone()) as archive:
        yield archive


def test_the_same_is_not_submitted_twice_within_a_moment(
    tg: Archive, slow: Archive, flow: str
) -> None:
    first = apply(slow)
    tg.executions.set_state(first, "CANCELLED")

    with pytest.raises(RateLimitedError, match=r"submissions\.min_interval") as caught:
        apply(slow)
    assert isinstance(caught.value, ConflictError)
    assert caught.value.execution_id == first.id
    assert 3500 < caught.value.seconds <= 3600
    tg.datasets.register("other", [], type="text")
    apply(slow, output="other")
    tg.workflows.create("another", steps=[read])
    apply(slow, "another")


def test_without_that_setting_anything_goes(tg: Archive, flow: str) -> None:
    for _ in range(2):
        tg.executions.set_state(apply(tg), "CANCELLED")


# What is overtaken


def test_what_was_switched_off_meanwhile_is_refused_as_it_is_written(
    tg: Archive, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is changed after it was looked at, and before the execution is written."""
    a_package(tg, "one", "applied.join")
    a_user(tg, "ada@here", accounts=["climate"])
    count = tg.workflows._store.count_files

    def refused(error: type[Exception], *sql: str, **how: Any) -> None:
        def overtaken(hashes: Any) -> Any:
            found = count(hashes)
            tg.backend._transact(lambda driver: [driver.execute(each) for each in sql])
            return found

        monkeypatch.setattr(tg.workflows._store, "count_files", overtaken)
        with pytest.raises(error):
            apply(tg, **how)
        monkeypatch.setattr(tg.workflows._store, "count_files", count)

    refused(DisabledWorkflowError, "UPDATE workflow SET enabled = FALSE")
    tg.workflows.enable(flow)
    refused(DatasetReadOnlyError, "UPDATE dataset SET read_only = TRUE WHERE name = 'out'")
    tg.datasets.register("out", [], read_only=False)
    refused(InactiveTaskError, "UPDATE task_package SET active = FALSE")
    tg.backend._transact(lambda driver: driver.execute("UPDATE task_package SET active = TRUE"))
    accounts = """UPDATE user_account SET settings = '{"accounts": ["other"]}'"""
    refused(PermissionDeniedError, accounts, submitted_by="ada", account="climate")
    refused(WorkflowNotFoundError, "DELETE FROM workflow_step", "DELETE FROM workflow")
    assert tg.executions.count() == 0


def test_a_content_that_was_collected_meanwhile_is_said(
    tg: Archive, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing names it between the moment that it is looked at and that of the first row."""
    count = tg.workflows._store.count_files

    def overtaken(hashes: Any) -> Any:
        found = count(hashes)
        Path("b.txt").write_text("other")
        tg.datasets.register("a", "b.txt")
        tg.storage.gc(grace=timedelta(0))
        return found

    monkeypatch.setattr(tg.workflows._store, "count_files", overtaken)
    with pytest.raises(DatasetChangedError, match="'a' has another content"):
        apply(tg)
    assert tg.executions.count() == 0
    monkeypatch.setattr(tg.workflows._store, "count_files", count)
    assert apply(tg).is_active


def test_a_key_is_free_once_its_execution_is_deleted(
    tg: Archive, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free() -> Execution:
        made = apply(tg, idempotency_key="k")
        tg.executions.set_state(made, "CANCELLED")
        return made

    first = free()
    tg.executions.delete(first)
    second = free()
    assert second.id != first.id
    find = tg.executions._store.find

    def overtaken(ref: str) -> Any:
        monkeypatch.setattr(tg.executions._store, "find", find)
        tg.executions.delete(second)
        return find(ref)

    monkeypatch.setattr(tg.executions._store, "find", overtaken)
    third = apply(tg, idempotency_key="k", strict=True)

    assert third.id != second.id
    assert [each.id for each in tg.executions.list()] == [third.id]


# Many at once


def test_of_many_threads_on_one_output_one_is_active(
    database_uri: str, tg: Archive, flow: str
) -> None:
    gate = threading.Barrier(6)
    made: list[str] = []
    refused: list[str] = []

    def submit() -> None:
        with taskgraph.open(database_uri) as mine:
            gate.wait()
            try:
                made.append(apply(mine).id)
            except OutputDatasetInUseError as error:
                refused.append(error.execution_id)

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (len(made), refused) == (1, made * 5)
    assert tg.executions.count({"state": {"type": {"any_": ["PENDING"]}}}) == 1


_PROGRAM = """
import sys
import taskgraph
from taskgraph.errors import OutputDatasetInUseError
with taskgraph.open(sys.argv[1]) as tg:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(tg.workflows.apply("climate.mean", inputs=["a"], output="out").id)
    except OutputDatasetInUseError as error:
        print("refused", error.execution_id)
"""


def test_of_many_processes_on_one_output_one_is_active(tg: Archive, flow: str) -> None:
    processes = [
        start_python(
            ["-c", _PROGRAM, tg.backend.db_uri],
            Path.cwd(),
            os.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for each in processes:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in processes:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate()[0].split() for each in processes]

    (active,) = tg.executions.list()
    assert sorted(said, key=len) == [[active.id], ["refused", active.id], ["refused", active.id]]


# What is frozen


def edit_all(tg: Archive, flow: str) -> None:
    """Change everything that was submitted, and delete what can be."""
    first, second, third = tg.workflows.get(flow).steps
    tg.workflows.update_step(first, args={"unit": "C"})
    tg.workflows.reorder(flow, [third, first, second])
    tg.workflows.remove_step(second)
    tg.workflows.add_step(flow, "nowhere.at_all", position=0)
    Path("c.txt").write_text("c")
    tg.datasets.register("a", "c.txt", type="cmip5")


def test_later_edits_change_nothing_about_what_was_submitted(tg: Archive, flow: str) -> None:
    made = apply(tg)
    frozen = tg.executions.snapshot(made)
    uses = tg.executions.datasets(made)

    edit_all(tg, flow)

    assert tg.executions.snapshot(made) == frozen
    assert tg.executions.datasets(made) == uses
    steps = frozen["workflow"]["steps"]
    assert [(each["task"], each["args"]) for each in steps] == [
        ("applied.read", {"unit": "K"}), ("applied.join", {"by": "+"}),
        ("applied.write", {"name": "out.txt"}),
    ]  # fmt: skip
    assert [each["code_hash"] for each in steps] == [read.hash, join.hash, write.hash]
    assert [(each["input_type"], each["output_type"]) for each in steps] == [
        ("cmip6", "Any"), ("Any", "Any"), ("Any", "text"),
    ]  # fmt: skip
    assert (frozen["study"], frozen["queues"]) == ("nightly", ["default"])
    assert uses_of(frozen).to_json() == {
        key: frozen[key]
        for key in ("workflow", "inputs", "output", "first_step", "last_step", "group")
    } | {"dataset_hash": made.dataset_hash}


def test_what_was_frozen_is_run_again_though_all_of_it_is_gone(tg: Archive, flow: str) -> None:
    done = apply(tg, inputs={"x": "a"}, here=True)
    Path("out.txt").unlink()
    ran.clear()
    edit_all(tg, flow)
    tg.workflows.delete(flow)
    for name in ("a", "out"):
        tg.datasets.delete(name)
    tg.studies.delete("nightly")

    again = tg.executions.rerun(done, from_snapshot=True, no_cache=True)

    assert (again.state.type, ran) == (StateType.COMPLETED, ["read K", "join", "write"])
    assert Path("out.txt").read_text() == "a"
    assert (again.workflow_id, again.study) == (None, None)
    assert again.snapshot_hash == done.snapshot_hash
    assert check(tg.backend) == []


def test_snapshots_of_before_are_read_still(tg: Archive, flow: str) -> None:
    frozen = tg.executions.snapshot(apply(tg))
    for step in frozen["workflow"]["steps"]:
        for key in ("input_type", "output_type", "code_hash"):
            del step[key]

    steps = uses_of(frozen).steps

    assert [(each.input_type, each.code_hash) for each in steps] == [("Any", None)] * 3


def test_the_code_is_no_part_of_the_request(
    tg: Archive, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = apply(tg, idempotency_key="k")
    monkeypatch.setattr("taskgraph.catalog.uses._code_hash", lambda _: "f" * 32)
    tg.executions.set_state(first, "CANCELLED")

    assert apply(tg, idempotency_key="k", strict=True).id == first.id


def test_a_workflow_that_is_disabled_is_launched_as_no_group(tg: Archive, flow: str) -> None:
    tg.datasets.register("a", "a.txt", facets={"model": "A"})
    decisions = tg.groups.plan(flow, ["a"], group_by=["model"])
    tg.workflows.disable(flow)

    with pytest.raises(DisabledWorkflowError, match=r"climate\.mean@1"):
        tg.groups.run(decisions)
    assert tg.executions.count() == 0


def test_what_is_applied_is_taken_by_workers_and_what_runs_here_is_not(
    tg: Archive, flow: str
) -> None:
    def queued() -> list[tuple[str, str, int]]:
        rows = tg.backend._ask(
            lambda driver: driver.execute(
                "SELECT execution_id, queue, priority FROM queued"
            ).fetchall()
        )
        return [(bytes(id).hex(), queue, priority) for id, queue, priority in rows]

    apply(tg, here=True)
    assert queued() == []
    made = apply(tg, queue="gpu", priority=-2)
    assert queued() == [(made.id, "gpu", -2)]
