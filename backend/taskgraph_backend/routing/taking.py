"""Executions are taken by workers: each by one, which holds its lease from that moment on.

Who takes need not be alone. Where rows can be locked one by one, the row of the execution is, and
those that others have locked are skipped; that its rows in the queues are gone afterwards, and were
there before, is what tells who was first. Elsewhere all who write wait for each other anyway.

    first in the queues     locked, or skipped
    its rows there go       none were left: somebody was quicker, and the next one is looked at
    it does not wait        its rows were left behind: the next one
    its lease               held by a living process: it waits on, for a while, and the next one
    it is PENDING           with its assignment, and the pool of its worker
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from taskgraph.catalog.queueing import WAITING
from taskgraph.catalog.states import ACTIVE, State, StateType
from taskgraph.catalog.worker_rows import Taken, Taker
from taskgraph.records import (
    LEASE_SECONDS,
    ExecutionId,
    LeaseRecord,
    Micros,
    assigned_holder,
    execution_lease,
    execution_of_holder,
    revoked_holder,
)
from taskgraph_backend import claims, statements
from taskgraph_backend.catalog import changing
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.routing import losing, queueing

_binary = bytearray.fromhex

_LEASE: Final = int(LEASE_SECONDS * 1_000_000)
# What is refused is looked at again once who has it has had a heartbeat: microseconds.
_LATER: Final = _LEASE // 6
_ASSIGN: Final = (
    "INSERT INTO assignment (execution_id, worker_id, queue, taken_at, losses, ended_at)"
    " VALUES (?, ?, ?, ?, 0, NULL) ON CONFLICT (execution_id) DO UPDATE SET"
    " worker_id = excluded.worker_id, queue = excluded.queue, taken_at = excluded.taken_at,"
    " ended_at = NULL"
)
_POOL: Final = (
    "INSERT INTO execution_pool (execution_id, pool_id) SELECT ?, id FROM worker_pool"
    " WHERE id = ? ON CONFLICT DO NOTHING"
)
_WORKER: Final = "SELECT id FROM worker WHERE id = ?"
_BEFORE: Final = (
    "SELECT a.execution_id, a.queue, a.taken_at, l.holder FROM lease l"
    " JOIN assignment a ON 'execution:' || lower(hex(a.execution_id)) = l.key"
    " WHERE l.holder LIKE ? AND a.ended_at IS NULL"
)
_END: Final = (
    "UPDATE assignment SET ended_at = ?"
    " WHERE execution_id = ? AND taken_at = ? AND ended_at IS NULL"
)
_DROP: Final = "DELETE FROM lease WHERE holder = ?"
_IS_OPEN: Final = (
    "SELECT 1 FROM assignment WHERE execution_id = ? AND taken_at = ? AND ended_at IS NULL"
)


@cache
def _next(queues: int, lock: str) -> str:
    marks = ", ".join("?" * queues)
    return (
        "SELECT q.execution_id, q.queue, e.state_type FROM queued q"
        " JOIN execution e ON e.id = q.execution_id"
        f" WHERE q.queue IN ({marks}) AND q.due <= {NOW}"
        f" ORDER BY q.priority, q.due, q.execution_id LIMIT 1{lock}"
    )


class Taking:
    """Takes one execution; an object of it is called once, and again where that may succeed.

    Args:
        taker: Who takes it.
        token: What this taking is known by, and no other.
        lock: How the database is told to lock what it finds, and to skip what others have locked.
    """

    def __init__(self, taker: Taker, token: str, lock: str) -> None:
        self._taker = taker
        self._token = token
        self._lock = lock
        self._is_again = False

    def __call__(self, driver: Driver) -> Taken | None:
        """Take the first execution that waits; within a transaction that writes."""
        if self._is_again:
            # The connection was lost, perhaps after the first attempt had been committed.
            known = self._taken_before(driver)
            if known is not None:
                return known
        self._is_again = True
        queues: Sequence[str] = self._taker.queues
        sql = _next(len(queues), self._lock)
        while True:
            row = driver.execute(sql, queues).fetchone()
            if row is None:
                return None
            key, queue, state = row
            execution_id = bytes(key).hex()
            if not queueing.leave(driver, execution_id) or state not in WAITING:
                continue
            taken = self._claim(driver, execution_id, queue, StateType(state))
            if taken is not None:
                return taken

    def _claim(
        self, driver: Driver, execution_id: str, queue: str, state: StateType
    ) -> Taken | None:
        taker, now = self._taker, claims.clock(driver)
        id, key = ExecutionId(execution_id), _binary(execution_id)
        holder = assigned_holder(id, self._token)
        place = taker.host, taker.pid, taker.started
        lease = LeaseRecord(execution_lease(id), holder, *place, Micros(now + _LEASE))
        if claims.take(driver, [lease]) != [None]:
            queueing.restore(driver, execution_id, queue, now + _LATER)
            return None
        if state is StateType.SCHEDULED:
            said = State(StateType.PENDING, message=f"worker {taker.worker} has it")
            by = {"actor": taker.worker}
            changing.set_state(driver, execution_id, said, frozenset(), by, is_taken=True)
            queueing.leave(driver, execution_id)
        worker = _binary(taker.worker_id)
        is_there = driver.execute(_WORKER, (worker,)).fetchone() is not None
        driver.execute(_ASSIGN, (key, worker if is_there else None, queue, now))
        if taker.pool_id is not None:
            driver.execute(_POOL, (key, _binary(taker.pool_id)))
        return Taken(execution_id, queue, holder, now)

    def _taken_before(self, driver: Driver) -> Taken | None:
        row = driver.execute(_BEFORE, (f"%:{self._token}",)).fetchone()
        if row is None:
            return None
        key, queue, taken_at, holder = row
        return Taken(bytes(key).hex(), queue, holder, Micros(taken_at))


def finish(driver: Driver, taken: Taken, end: State | None, max_losses: int) -> str:
    """Say that a worker is done with an execution; within a transaction that is alone.

    Args:
        driver: The connection.
        taken: What it took.
        end: How it ended, if nothing was recorded of that.
        max_losses: How many workers may be lost with it.

    Returns:
        The type of the state that it is in now; nothing if it was deleted.
    """
    id = ExecutionId(taken.execution_id)
    key = _binary(taken.execution_id)
    state = changing.type_of(driver, taken.execution_id)
    assert execution_of_holder(taken.holder) == id
    is_open = driver.execute(_IS_OPEN, (key, taken.taken_at)).fetchone() is not None
    held = driver.execute(statements.LEASE_OF, (execution_lease(id),)).fetchone()
    if not is_open or (held is not None and held[0] != taken.holder):
        # It waits again, or somebody else has it by now.
        _let_go(driver, taken)
        return state
    if end is not None and state == StateType.PENDING:
        changing.set_state(driver, taken.execution_id, end, frozenset(), {})
    elif state in ACTIVE and state != StateType.SCHEDULED:
        why = "the run ended, and nothing could be written of how"
        losing.give_back(driver, taken.execution_id, max_losses, why)
    _let_go(driver, taken)
    return changing.type_of(driver, taken.execution_id)


def _let_go(driver: Driver, taken: Taken) -> None:
    """Have a worker be done with an execution, also where it was taken from it meanwhile."""
    given = claims.clock(driver), _binary(taken.execution_id), taken.taken_at
    driver.execute(_END, given)
    key = execution_lease(ExecutionId(taken.execution_id))
    driver.executemany(statements.LEASE_RELEASE, [(key, taken.holder)])
    driver.execute(_DROP, (revoked_holder(taken.holder),))


__all__ = ["Taking", "finish"]
