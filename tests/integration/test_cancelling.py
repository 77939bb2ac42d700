"""A run that somebody else cancels sees it at its next heartbeat, and ends itself."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from taskgraph import F
from taskgraph.app.running import _Cancelled
from taskgraph.archive import Archive
from taskgraph.catalog.states import StateType
from taskgraph.errors import ExecutionCancelledError
from taskgraph_backend.integrity import check

_RUN = """
import sys, time
from taskgraph import Scheduler, task
from taskgraph.engine import leasing
from taskgraph.errors import ExecutionCancelledError

leasing.SECONDS = 1.2  # a heartbeat each fifth of a second
uri, = sys.argv[1:]

@task(namespace="long", version="1")
def step(n: int) -> int:
    time.sleep(0.02)
    return n

@task(namespace="long", version="1")
def steps(n: int) -> int:
    return after(step(n), n)

@task(namespace="long", version="1")
def after(_: int, n: int) -> int:
    return steps(n + 1)

with Scheduler({"backend.db_uri": uri, "backend.automigrate": True}) as scheduler:
    try:
        scheduler.run(steps(0))
    except ExecutionCancelledError as error:
        print(error.execution_id, flush=True)
        print(error, flush=True)
"""
_DEADLINE = 60.0


def _until(ask: Any) -> Any:
    """Wait until something is so; gives what was asked for."""
    end = time.monotonic() + _DEADLINE
    while not (found := ask()):
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)
    return found


def test_a_run_that_is_cancelled_elsewhere_ends_itself(database_uri: str, tg: Archive) -> None:
    command = [sys.executable, "-c", _RUN, database_uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            (running,) = _until(lambda: tg.executions.list(F.state("RUNNING")).rows)
            _until(lambda: any(e.cached is False for e in tg.executions.dependencies(running)))
            result = tg.executions.set_state(running, "CANCELLED", actor="ada")
            said, _ = process.communicate(timeout=_DEADLINE)
        finally:
            process.kill()

    assert result.is_written
    first, message = said.strip().split("\n")
    assert first == running.id
    assert message == str(ExecutionCancelledError(running.id))
    found = tg.executions.get(running)
    assert found.state.type is StateType.CANCELLED
    assert [each.type for each in tg.executions.states(found)][-1] is StateType.CANCELLED
    jobs = tg.executions.dependencies(found)
    assert {each.state.type.value for each in jobs} <= {"COMPLETED", "CANCELLED"}
    assert all(each.end_time is not None for each in jobs)
    assert check(tg.backend) == []


class _Engine:
    """Stands for a run that ends, or does not yet."""

    def __init__(self, is_stopping: bool) -> None:
        self.is_stopping = is_stopping
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1


def test_a_run_that_stops_by_itself_was_cancelled_by_nobody_else(tg: Archive) -> None:
    made = tg.executions.create("long.steps").execution
    tg.executions.set_state(made, "CANCELLED")

    for engine in (_Engine(is_stopping=True), _Engine(is_stopping=False)):
        cancelled = _Cancelled(tg.backend, made.id, engine)  # type: ignore[arg-type]  # as much as it asks
        cancelled.look()
        cancelled.look()

        assert cancelled.is_so is not engine.is_stopping
        assert engine.stops == (0 if engine.is_stopping else 1)
