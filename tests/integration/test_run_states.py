"""What runs is an execution like others: it has states, parameters, a study, and ends."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import pytest

import taskgraph
from taskgraph import F, Scheduler, task
from taskgraph.app.submitting import settle
from taskgraph.archive import Archive
from taskgraph.catalog.states import StateType
from taskgraph.errors import (
    AlreadySubmittedError,
    ConflictError,
    DryRunResult,
    SchedulerError,
    ValidationError,
    WorkspaceInUseError,
)
from taskgraph.records import (
    ExecutionId,
    ExecutionRecord,
    LeaseRecord,
    Micros,
    RecordBatch,
    execution_lease,
)
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check

_seen: list[Any] = []
_late = [0]  # nanoseconds


@task
def double(x: int, by: Any = 2) -> int:
    return x * int(by)


@task
def fails() -> None:
    raise RuntimeError("no")


@task
def cancels(uri: str) -> int:
    deadline = time.monotonic() + 60
    with taskgraph.open(uri) as archive:
        while archive.executions.count(F.state("RUNNING")) == 0:
            assert time.monotonic() < deadline
        _seen.append(archive.executions.set_state("-", "CANCELLED"))
    return 1


@task
def sets_the_clock_back(x: int) -> int:
    _late[0] -= 3 * 3600 * 10**9
    if x < 0:
        raise RuntimeError("no")
    return x


@task
def works_late(x: int) -> list[int]:
    return [sets_the_clock_back(x), double(3)]


def test_a_run_has_states_parameters_and_a_snapshot(tg: Archive, recording: Scheduler) -> None:
    recording.run(double(3), tags={"team": "ml"})

    (found,) = tg.executions.list()
    history = tg.executions.states(found)
    assert [each.type for each in history] == [
        StateType.PENDING,
        StateType.RUNNING,
        StateType.COMPLETED,
    ]
    times = [each.timestamp for each in history]
    assert times == sorted(set(times))  # type: ignore[type-var]
    assert (found.created_at, found.start_time, found.end_time) == tuple(times)
    assert found.end_time is not None and found.start_time is not None
    assert found.total_run_time == found.end_time - found.start_time
    assert (found.name, found.entrypoint) == ("double", f"{double.fullname}")
    assert (found.run_count, found.status) == (1, "DONE")
    assert found.parameters == {"x": 3}
    snapshot = tg.executions.snapshot(found)
    assert snapshot["parameters"] == {"x": 3}
    assert snapshot["tags"] == [["team", "ml"]]


def test_a_run_from_the_cache_has_them_too(tg: Archive, recording: Scheduler) -> None:
    for _ in range(2):
        recording.run(double(4))

    newest, first = tg.executions.list()
    assert [each.name for each in tg.executions.states(newest)] == [
        each.name for each in tg.executions.states(first)
    ]
    assert newest.snapshot_hash == first.snapshot_hash


def test_what_is_no_json_is_known_by_its_type(tg: Archive, recording: Scheduler) -> None:
    recording.run(double(5, b"3"))
    recording.run(double(6, "1" * 2000))

    longer, strange = (each.parameters for each in tg.executions.list())
    assert strange == {"x": 5, "by": {"type": "builtins.bytes"}}
    assert longer == {"x": 6, "by": {"type": "builtins.str"}}


def test_a_failed_run_is_failed(tg: Archive, recording: Scheduler) -> None:
    with pytest.raises(RuntimeError):
        recording.run(fails(), name="try")

    (found,) = tg.executions.list()
    assert (found.name, found.state.name, found.successful) == ("try", "Failed", False)


def test_a_run_has_a_study_and_a_folder(tg: Archive, recording: Scheduler, tmp_path: Any) -> None:
    recording.run(double(7), study="nightly", workspace=tmp_path, name="seven")

    found = tg.executions.get(tmp_path)
    assert (found.study, found.name, found.parameters) == ("nightly", "seven", {"x": 7})
    assert [each.name for each in tg.executions.states(found)] == [
        "Pending",
        "Running",
        "Completed",
    ]
    assert found.job_id is not None
    with pytest.raises(WorkspaceInUseError):
        recording.run(double(8), workspace=tmp_path)
    with pytest.raises(ValidationError, match="study"):
        recording.run(double(8), study=" ")
    assert tg.executions.count() == 1


def test_under_one_key_a_task_runs_once(tg: Archive, recording: Scheduler) -> None:
    assert recording.run(double(9), idempotency_key="k") == 18

    with pytest.raises(AlreadySubmittedError, match="nothing was run") as caught:
        recording.run(double(10), idempotency_key="k")

    assert isinstance(caught.value, ConflictError)
    (found,) = tg.executions.list()
    assert caught.value.execution_id == found.id
    assert recording.run(double(9)) == 18


def test_a_dry_run_submits_nothing(tg: Archive, recording: Scheduler) -> None:
    with pytest.raises(DryRunResult):
        recording.run(double(11), idempotency_key="k", dryrun=True)

    assert not any(each.idempotency_key for each in tg.executions.list())
    assert recording.run(double(11), idempotency_key="k") == 22


def test_a_run_without_records_does_not_stay_pending(tg: Archive, recording: Scheduler) -> None:
    recording.run(double(12), study="s", options={"prov": False})

    (found,) = tg.executions.list()
    assert found.state.type is StateType.COMPLETED
    assert found.state.name == "Completed"


def test_a_run_without_records_has_ended_before_it_gives_its_lease_back(
    tg: Archive, recording: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def look(backend: Any, execution_id: str, error: BaseException | None) -> None:
        key = execution_lease(ExecutionId(execution_id))
        held.append(key in tg.backend.find_leases([key]))
        settle(backend, execution_id, error)

    monkeypatch.setattr("taskgraph.app.running.settle", look)
    recording.run(double(14), study="s", options={"prov": False})

    assert held == [True]


def test_what_was_cancelled_meanwhile_stays_so(
    tg: Archive, recording: Scheduler, database_uri: str
) -> None:
    assert recording.run(cancels(database_uri)) == 1

    (found,) = tg.executions.list()
    assert _seen.pop().is_written
    assert found.state.type is StateType.CANCELLED
    assert [each.type for each in tg.executions.states(found)][-1] is StateType.CANCELLED
    assert found.end_time == found.state.timestamp


def test_what_crashed_is_closed_with_a_state(tg: Archive) -> None:
    began = Micros(1_700_000_000_000_000)
    execution_id = ExecutionId("5a" * 16)
    record = ExecutionRecord(
        execution_id, "[]", None, began, StateType.RUNNING, began, None, "lost", "f"
    )
    tg.backend.record(RecordBatch(executions=[record._replace(created_at=Micros(began - 5))]))
    tg.backend.record(RecordBatch(executions=[record]))  # once more, as after a lost connection

    assert tg.backend.sweep() == [execution_id]

    found = tg.executions.get(execution_id)
    history = tg.executions.states(found)
    assert [each.name for each in history] == ["Pending", "Running", "Crashed"]
    assert history[-1].message == "its process ended without a word"
    assert (found.run_count, found.end_time) == (1, history[-1].timestamp)
    # The run has the last word, should it live after all.
    late = record._replace(state_type=StateType.COMPLETED, state_time=Micros(began + 9_000_000))
    tg.backend.record(RecordBatch(executions=[late]))
    assert tg.executions.get(execution_id).state.type is StateType.COMPLETED


def test_what_was_cancelled_and_then_killed_has_no_job_that_runs(
    tg: Archive, recording: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While a server has just been started, silence says nothing.
    monkeypatch.setattr(type(tg.backend.database), "awake", lambda self, driver: 30.0)
    recording.run(double(20))
    found = tg.executions.get("-")
    assert found.job_id is not None
    job = bytes.fromhex(found.job_id)
    gone = LeaseRecord(
        f"execution:{found.id}", found.id, "a host that is gone", 1, Micros(1), Micros(2)
    )
    assert tg.backend.take([gone]) == [None]

    def run_on(driver: Any) -> None:
        driver.execute("UPDATE execution SET state_type = 'CANCELLED'")
        sql = "UPDATE job SET state_type = 'RUNNING', end_time = NULL WHERE id = ?"
        driver.execute(sql, (job,))

    tg.backend._transact(run_on)

    assert tg.backend.sweep() == []

    (node,) = tg.executions.dependencies(found)
    assert node.state.type is StateType.CRASHED
    assert node.end_time is not None


def test_what_is_moved_keeps_its_name_parameters_and_snapshot(
    tg: Archive, recording: Scheduler, tmp_path: Any
) -> None:
    recording.run(double(21), name="moved")
    found = tg.executions.get("-")
    records = list(tg.backend.get_records(tg.backend.iter_record_ids([found.id])))
    for each in records:
        if each["_type"] == "Execution":
            lacking = {**each, "id": "0f" * 16, "job_id": None}
            for name in ("name", "parameters", "snapshot_hash"):  # as earlier libraries wrote it
                del lacking[name]
    records.append(lacking)

    with taskgraph.open(f"sqlite:///{tmp_path}/there.db", migrate=True) as there:
        there.backend.put_records(records)

        moved, old = there.executions.get(found.id), there.executions.get("0f" * 16)
        assert (moved.name, moved.parameters) == ("moved", {"x": 21})
        assert moved.end_time == found.end_time
        assert moved.created_at == moved.start_time
        assert there.executions.snapshot(moved) in (None, tg.executions.snapshot(found))
        assert moved.snapshot_hash == found.snapshot_hash
        assert (old.parameters, old.snapshot_hash) == ({}, None)


def test_without_a_database_there_is_no_study() -> None:
    with Scheduler(backend=MemoryBackend()) as scheduler:
        assert scheduler.run(double(1)) == 2
        with pytest.raises(SchedulerError, match="kept in a database"):
            scheduler.run(double(1), study="s")


def test_dependencies_are_the_same_from_the_cache(tg: Archive, recording: Scheduler) -> None:
    for _ in range(2):
        recording.run(double(double(1), by=double(2)))

    newest, first = tg.executions.list()

    def shape(execution: Any) -> list[tuple[str, tuple[tuple[str, str, str | None], ...]]]:
        nodes = tg.executions.dependencies(execution)
        places = {node.id: str(at) for at, node in enumerate(nodes)}
        return [
            (
                node.task,
                tuple(
                    (each.argument, each.kind, places.get(each.job_id or ""))
                    for each in node.upstream
                ),
            )
            for node in nodes
        ]

    edges = {each for _, upstream in shape(first) for each in upstream if each[1] == "job"}
    assert {name for name, _, _ in edges} >= {"x", "by"}
    assert sorted(map(repr, shape(newest))) == sorted(map(repr, shape(first)))
    assert all(
        place is None or int(place) < at
        for at, (_, upstream) in enumerate(shape(first))
        for _, _, place in upstream
    )


@pytest.mark.parametrize("x", [1, -1])
def test_a_clock_that_is_set_back_turns_no_time_round(
    tg: Archive,
    recording: Scheduler,
    database_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    x: int,
) -> None:
    real = time.time_ns
    _late[0] = 0
    monkeypatch.setattr(time, "time_ns", lambda: real() + _late[0])

    with pytest.raises(RuntimeError) if x < 0 else nullcontext():
        recording.run(works_late(x))

    assert _late[0] < 0
    (found,) = tg.executions.list()
    assert found.start_time is not None and found.end_time is not None
    assert found.start_time < found.end_time
    assert found.total_run_time == found.end_time - found.start_time
    history = tg.executions.states(found)
    ended = StateType.FAILED if x < 0 else StateType.COMPLETED
    assert [each.type for each in history][-2:] == [StateType.RUNNING, ended]
    with SqlBackend(database_uri) as backend:
        assert check(backend) == []
