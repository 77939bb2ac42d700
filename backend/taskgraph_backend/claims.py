"""Leases as rows, and what becomes of executions whose process holds theirs no more.

Each function is given a connection; those that change rows, one with a transaction in which nobody
else changes leases.
"""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.records import ExecutionId, LeaseRecord, Micros, State, execution_lease
from taskgraph_backend import statements
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.leases import is_gone

_binary = bytearray.fromhex


def take(driver: Driver, leases: Sequence[LeaseRecord]) -> list[LeaseRecord | None]:
    """Take each lease that is free or over; see `SqlBackend.take`."""
    inserted = driver.executemany(statements.LEASE, leases).rowcount
    if inserted == len(leases):
        return [None] * len(leases)
    held = _find(driver, [lease.key for lease in leases])
    gone: dict[tuple[str, int, Micros], bool] = {}
    answers: list[LeaseRecord | None] = []
    for lease in leases:
        other, is_over = held[lease.key]
        if other.holder != lease.holder:
            place = (other.host, other.pid, other.started)
            if not is_over and place not in gone:
                gone[place] = is_gone(other)
            if not is_over and not gone[place]:
                answers.append(other)
                continue
        _, *fields = lease
        driver.execute(statements.LEASE_TAKE_OVER, (*fields, lease.key, other.holder))
        held[lease.key] = (lease, False)
        answers.append(None)
    return answers


def heartbeat(driver: Driver, holder: str, expires: Micros) -> int:
    """Prolong all leases of a holder; returns how many it still has."""
    return driver.execute(statements.LEASE_HEARTBEAT, (expires, holder)).rowcount


def release(driver: Driver, holder: str, keys: Sequence[str]) -> None:
    """Give leases back; those that the holder does not have are left alone."""
    driver.executemany(statements.LEASE_RELEASE, [(key, holder) for key in keys])


def running(driver: Driver) -> list[ExecutionId]:
    """Return the executions that are said to run."""
    rows = driver.execute("SELECT id FROM execution WHERE state_type = ?", (State.RUNNING.value,))
    return [ExecutionId(id.hex()) for (id,) in rows]


def crashed(driver: Driver, executions: Sequence[ExecutionId]) -> list[ExecutionId]:
    """Return those of the executions whose lease no living process holds."""
    held = _find(driver, [execution_lease(each) for each in executions])
    found = []
    for execution_id in executions:
        lease, is_over = held.get(execution_lease(execution_id), (None, True))
        if is_over or lease is None or is_gone(lease):
            found.append(execution_id)
    return found


def mark_crashed(driver: Driver, executions: Sequence[ExecutionId]) -> list[ExecutionId]:
    """Mark those of the executions that crashed, with their running jobs; return their ids."""
    found = crashed(driver, executions)
    for execution_id in found:
        key = _binary(execution_id)
        alive, dead = State.RUNNING.value, State.CRASHED.value
        # When it crashed is not known: it lived when it was last heard of.
        driver.execute(
            "UPDATE job SET state_type = ?, end_time = max(start_time, (SELECT"
            " coalesce(updated_time, state_time) FROM execution WHERE id = ?))"
            " WHERE execution_id = ? AND state_type = ?",
            (dead, key, key, alive),
        )
        driver.execute(
            "UPDATE execution SET state_type = ?, state_time ="
            " coalesce(updated_time, state_time) WHERE id = ? AND state_type = ?",
            (dead, key, alive),
        )
        driver.execute("DELETE FROM lease WHERE key = ?", (execution_lease(execution_id),))
    return found


def close_jobs(driver: Driver, execution_id: ExecutionId, end: Micros) -> int:
    """Mark the jobs of an execution CANCELLED that still are RUNNING; returns how many."""
    return driver.execute(
        "UPDATE job SET state_type = ?, end_time = max(start_time, ?)"
        " WHERE execution_id = ? AND state_type = ?",
        (State.CANCELLED.value, end, _binary(execution_id), State.RUNNING.value),
    ).rowcount


def _find(driver: Driver, keys: Sequence[str]) -> dict[str, tuple[LeaseRecord, bool]]:
    found = {}
    for piece in statements.padded(keys):
        for row in driver.execute(statements.leases(len(piece)).format(now=NOW), piece):
            *fields, is_over = row
            lease = LeaseRecord(*fields)
            found[lease.key] = (lease, bool(is_over))
    return found


__all__ = ["close_jobs", "crashed", "heartbeat", "mark_crashed", "release", "running", "take"]
