"""What is late is called so, what died is CRASHED; several who sweep at once do it once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import F
from taskgraph.archive import Archive
from taskgraph.catalog.states import AWAITING_RETRY, LATE, State, StateType
from taskgraph.errors import ValidationError
from taskgraph_backend.integrity import check

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def _schedule(tg: Archive, when: datetime, name: str = "e") -> str:
    return tg.executions.create("e", name=name, state=State.scheduled(when)).execution.id


def _make_old(tg: Archive) -> None:
    def work(driver: Any) -> None:
        driver.execute("UPDATE execution SET state_time = ?, created_at = ?", (1_000, 1_000))

    tg.backend._transact(work)


# Late


def test_what_should_have_started_is_late_and_still_scheduled_for_then(tg: Archive) -> None:
    late = _schedule(tg, _LONG_AGO)
    soon = _schedule(tg, datetime.now(UTC) + timedelta(hours=1))
    waiting = tg.executions.create("e").execution.id

    assert [each.id for each in tg.executions.mark_late(dry_run=True)] == [late]
    assert tg.executions.get(late).state.name == "Scheduled"
    (marked,) = tg.executions.mark_late()

    assert marked.id == late
    assert (marked.state.type, marked.state.name) == (StateType.SCHEDULED, LATE)
    assert marked.next_scheduled_start_time == _LONG_AGO
    assert [each.name for each in tg.executions.states(late)] == ["Scheduled", "Late"]
    assert tg.executions.states(late)[-1].details["forced"] is True
    assert tg.executions.get(soon).state.name == "Scheduled"
    assert tg.executions.get(waiting).state.name == "Pending"
    assert [each.id for each in tg.executions.list(F.state(name="Late"))] == [late]
    assert tg.executions.mark_late() == []
    assert tg.executions.set_state(late, "RUNNING").is_written


def test_how_late_is_late_can_be_said_and_which(tg: Archive) -> None:
    hour = _schedule(tg, datetime.now(UTC) - timedelta(hours=1), "hour")
    day = _schedule(tg, datetime.now(UTC) - timedelta(days=1), "day")

    marked = tg.executions.mark_late(after=timedelta(hours=2))
    assert [each.id for each in marked] == [day]
    assert tg.executions.mark_late(F.name("other")) == []
    assert [each.id for each in tg.executions.mark_late(F.name("hour"))] == [hour]


def test_what_waits_for_its_next_try_is_not_called_late(tg: Archive) -> None:
    made = tg.executions.create("e", options={"retries": 1}).execution
    tg.executions.set_state(made, "RUNNING")
    tg.executions.set_state(made, "FAILED")

    assert tg.executions.mark_late() == []
    assert tg.executions.get(made).state.name == AWAITING_RETRY


def _at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    gate = threading.Barrier(count)
    found: list[Any] = []

    def run() -> None:
        gate.wait()
        found.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == count
    return found


def test_of_several_who_sweep_at_once_one_marks(tg: Archive, database_uri: str) -> None:
    ids = {_schedule(tg, _LONG_AGO) for _ in range(5)}

    def sweep() -> list[str]:
        with taskgraph.open(database_uri) as mine:
            return [each.id for each in mine.executions.sweep().late]

    found = _at_once(6, sweep)

    assert sorted(each for part in found for each in part) == sorted(ids)
    for id in ids:
        assert [each.name for each in tg.executions.states(id)] == ["Scheduled", "Late"]


# Crashed


_CLAIM_AND_DIE = """
import os, sys, taskgraph
from taskgraph import Scheduler, task
from taskgraph_backend import SqlBackend
import taskgraph.app.running as running

@task(namespace="sweep")
def main() -> int:
    return 1

class Killed:
    def __init__(self, *given):
        os.kill(os.getpid(), 9)

running.Engine = Killed
backend = SqlBackend(sys.argv[1])
backend.load()
with Scheduler(backend=backend) as scheduler:
    scheduler.run(main(), study="s", **({"execution_id": sys.argv[2]} if sys.argv[2:] else {}))
"""


def _die(tmp_path: Path, *words: str) -> None:
    script = tmp_path / "claim_and_die.py"
    script.write_text(_CLAIM_AND_DIE)
    done = subprocess.run([sys.executable, str(script), *words], cwd=tmp_path, check=False)
    assert done.returncode == -9


def test_a_run_that_was_killed_before_its_first_row_is_crashed(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    _die(tmp_path, database_uri)
    (claimed,) = tg.executions.list()
    assert claimed.state.type is StateType.PENDING
    assert [each.id for each in tg.executions.sweep(dry_run=True).crashed] == [claimed.id]
    assert tg.executions.get(claimed).state.type is StateType.PENDING

    swept = tg.executions.sweep()

    assert [each.id for each in swept.crashed] == [claimed.id]
    assert swept.crashed[0].state.type is StateType.CRASHED
    assert [each.name for each in tg.executions.states(claimed)] == ["Pending", "Crashed"]
    assert tg.executions.sweep().crashed == ()
    assert check(tg.backend) == []


def test_so_is_one_whose_lease_is_gone_once_that_would_be_over(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    _die(tmp_path, database_uri)
    tg.backend._transact(lambda driver: driver.execute("DELETE FROM lease"))

    assert tg.executions.sweep().crashed == ()  # it may have begun a moment ago
    _make_old(tg)

    assert [each.state.type for each in tg.executions.sweep().crashed] == [StateType.CRASHED]


def test_what_was_created_here_for_others_to_run_is_left_alone(tg: Archive) -> None:
    tg.executions.create("e")
    running = tg.executions.create("e").execution
    tg.executions.set_state(running, "RUNNING")
    _make_old(tg)

    assert tg.executions.sweep().crashed == ()
    assert tg.executions.sweep(stale_after=timedelta(days=1), dry_run=True).crashed[0].is_active
    swept = tg.executions.sweep(stale_after=timedelta(days=1))

    assert [each.id for each in swept.crashed] == [running.id]
    assert swept.crashed[0].state.type is StateType.CRASHED


def test_a_run_that_lives_is_left_alone_however_long_ago_it_was_claimed(
    tg: Archive, recording: Any
) -> None:
    from taskgraph.assembly.databases import take_lease
    from taskgraph.records import ExecutionId

    made = tg.executions.create("e").execution

    def claim(driver: Any) -> None:
        row = ('["taskgraph", "run"]', bytes.fromhex(made.id))
        driver.execute("UPDATE execution SET args = ? WHERE id = ?", row)

    tg.backend._transact(claim)
    _make_old(tg)
    lease = take_lease(recording.backend, ExecutionId(made.id))
    try:
        assert tg.executions.sweep().crashed == ()
    finally:
        lease.release()
    assert [each.id for each in tg.executions.sweep().crashed] == [made.id]


# Columns


def test_only_the_columns_that_are_asked_for_are_read(tg: Archive, statements: Any) -> None:
    for number in range(3):
        tg.executions.create("flows.e", {"n": number}, study="s", tags={"n": number})

    with statements(tg) as said:
        page = tg.executions.list(columns=["id", "state", "study", "parameters"], limit=2)

    everything = tg.executions.list()
    assert list(page) == [
        {"id": e.id, "state": e.state, "study": "s", "parameters": e.parameters}
        for e in everything[:2]
    ]
    assert "snapshot_hash" not in " ".join(said)
    rest = tg.executions.list(columns=["id"], limit=2, after=page.next)
    assert [each["id"] for each in rest] == [everything[2].id]
    assert rest.next is None


def test_each_attribute_can_be_a_column(tg: Archive) -> None:
    from dataclasses import fields

    made = tg.executions.create("flows.e", {"n": 1}, study="s", tags={"a": 1}).execution
    names = [each.name for each in fields(made)]

    (row,) = tg.executions.list(columns=names)

    assert row == {name: getattr(made, name) for name in names}
    for wrong in (["colour"], [], "colour"):
        with pytest.raises(ValidationError, match="there are: id, name"):
            tg.executions.list(columns=wrong)
