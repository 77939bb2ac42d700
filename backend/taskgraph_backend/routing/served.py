"""Calls of queues as those see them who run them: taken, answered, given back.

    a call waits             nobody has it; the first server with a free slot takes it
    a server has taken it    it bears the name of that server's lease
    it is answered           by who has it, and nobody else; its run takes the row away
    its server died          it waits again; after `MAX_LOSSES` servers it has ended unanswered
    its run is gone          whoever sees that takes the row away

Servers hold leases, as runs do: one by which they are known, and one for each queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from taskgraph.records import (
    LEASE_SECONDS,
    ExecutionId,
    LeaseRecord,
    Micros,
    TakenCall,
    server_lease,
    serving_lease,
)
from taskgraph_backend import claims, statements
from taskgraph_backend.dialects import Database, Driver
from taskgraph_backend.leases import this_process
from taskgraph_backend.routing.calls import close_clone
from taskgraph_backend.tags import current_tags

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

_binary = bytearray.fromhex

#: So many servers may die of a call.
MAX_LOSSES: Final = 3

_ANY: Final = "SELECT 1 FROM routed_call WHERE taken_at IS NULL AND queue IN ({marks}) LIMIT 1"
_NEXT: Final = (
    "SELECT id, execution_id, queue, task_name, losses, message FROM routed_call"
    " WHERE taken_at IS NULL AND queue IN ({marks}) ORDER BY created_at, id LIMIT ?{skip}"
)
_TAKE: Final = "UPDATE routed_call SET taken_at = ?, holder = ?, worker_id = ? WHERE id = ?"
_ANSWER: Final = (
    "UPDATE routed_call SET answer = ?, ended_at = ?, holder = NULL"
    " WHERE id = ? AND holder = ? AND ended_at IS NULL"
)
_MINE: Final = "SELECT id FROM routed_call WHERE holder = ?"
_RELEASE: Final = (
    "UPDATE routed_call SET taken_at = NULL, holder = NULL, worker_id = NULL"
    " WHERE id = ? AND holder = ?"
)
_LOST_FOR_EVER: Final = (
    "UPDATE routed_call SET ended_at = ?, holder = NULL, losses = losses + 1"
    " WHERE {whose} AND losses + 1 >= ?"
)
_LOST: Final = (
    "UPDATE routed_call SET taken_at = NULL, holder = NULL, worker_id = NULL, losses = losses + 1"
    " WHERE {whose}"
)
_HOLDERS: Final = "SELECT DISTINCT holder FROM routed_call WHERE holder IS NOT NULL"
_RUNS: Final = "SELECT DISTINCT execution_id FROM routed_call"
_TAKEN_BY: Final = "SELECT queue FROM assignment WHERE execution_id = ?"


class ServedCalls:
    """What a server asks of a database, on a connection of its own; one thread uses it.

    Args:
        backend: The database, which somebody else closes.
        holder: The name of the leases: one that no other server has, nor ever had.
        queues: What it serves.
        worker_id: The worker that it is part of, if that is registered.
        seconds: How long its leases live without a heartbeat.
    """

    def __init__(
        self,
        backend: SqlBackend,
        holder: str,
        queues: Sequence[str],
        worker_id: str | None = None,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self._backend = backend.clone()
        self._holder = holder
        self._queues = tuple(sorted(set(queues)))
        self._worker_id = worker_id
        self._seconds = seconds
        place = this_process()
        keys = [server_lease(holder), *(serving_lease(holder, each) for each in self._queues)]
        self._leases = [LeaseRecord(each, holder, *place, Micros(0)) for each in keys]

    def beat(self) -> None:
        """Hold all leases for as long as leases live: taken if they are not held."""
        expires = Micros(self._backend.clock() + int(self._seconds * 1_000_000))
        if self._backend.heartbeat(self._holder, expires) < len(self._leases):
            self._backend.take([each._replace(expires=expires) for each in self._leases])

    def take(self, most: int) -> list[TakenCall]:
        """Take calls that wait, those first that wait longest.

        Args:
            most: So many at most.
        """
        # Who finds nothing keeps nobody from writing.
        if not self._backend._ask(_has_any, self._queues):
            return []
        key = None if self._worker_id is None else _binary(self._worker_id)
        by = (self._holder, key)
        database = self._backend.database
        return self._backend._transact(take, database, self._queues, by, most, alone=False)

    def answer(self, answers: Sequence[tuple[str, bytes]]) -> None:
        """Say what came of calls; of one that somebody else has by now nothing is said."""
        self._backend._transact(answer, self._holder, answers, alone=False)

    def find_held(self) -> set[str]:
        """Return the calls that this server has taken, and whose runs still wait for them."""
        return self._backend._ask(find_held, self._holder)

    def release(self, ids: Sequence[str]) -> None:
        """Give calls back that were not begun, or were ended on purpose."""
        self._backend._transact(release, self._holder, ids, alone=False)

    def lose(self, call_id: str) -> None:
        """Give back a call whose process died."""
        self._backend._transact(lose, self._holder, call_id)

    def tend(self) -> None:
        """Give back what dead servers had, and take away what dead runs have left."""
        if self._backend._ask(find_dead_holders):
            self._backend._transact(give_back_lost)
        if self._backend._ask(find_dead_runs):
            self._backend._transact(drop_left)

    def close(self) -> None:
        """Give the leases back, and let go of the connection."""
        try:
            self._backend.release(self._holder, [each.key for each in self._leases])
        finally:
            close_clone(self._backend)


def _has_any(driver: Driver, queues: Sequence[str]) -> bool:
    sql = _ANY.format(marks=_marks(queues))
    return driver.execute(sql, list(queues)).fetchone() is not None


def take(
    driver: Driver,
    database: Database,
    queues: Sequence[str],
    by: tuple[str, bytearray | None],
    most: int,
) -> list[TakenCall]:
    """Take calls; within a transaction. Those whose runs are gone are taken away instead."""
    sql = _NEXT.format(marks=_marks(queues), skip=database.skipping_locked())
    rows = driver.execute(sql, (*queues, most)).fetchall()
    runs = list(dict.fromkeys(ExecutionId(bytes(row[1]).hex()) for row in rows))
    gone = set(claims.crashed(driver, runs)) if runs else set()
    for each in sorted(gone):
        driver.execute(statements.ROUTED_FORGET, (_binary(each),))
    taken = [row for row in rows if ExecutionId(bytes(row[1]).hex()) not in gone]
    if taken:
        moment = claims.clock(driver)
        driver.executemany(_TAKE, [(moment, *by, row[0]) for row in taken])
    return [
        TakenCall(bytes(key).hex(), queue, task, losses, bytes(parcel))
        for key, _, queue, task, losses, parcel in taken
    ]


def answer(driver: Driver, holder: str, answers: Sequence[tuple[str, bytes]]) -> None:
    """Write what came of calls; within a transaction."""
    moment = claims.clock(driver)
    rows = [(said, moment, _binary(key), holder) for key, said in answers]
    driver.executemany(_ANSWER, rows)


def find_held(driver: Driver, holder: str) -> set[str]:
    """Return the calls that somebody has taken and not answered."""
    return {bytes(key).hex() for (key,) in driver.execute(_MINE, (holder,)).fetchall()}


def release(driver: Driver, holder: str, ids: Sequence[str]) -> None:
    """Have calls wait again; within a transaction."""
    driver.executemany(_RELEASE, [(_binary(each), holder) for each in ids])


def lose(driver: Driver, holder: str, call_id: str) -> None:
    """Have a call wait again whose process died, or end; within a transaction that is alone."""
    _lose(driver, "id = ? AND holder = ?", (_binary(call_id), holder))


def find_dead_holders(driver: Driver) -> list[str]:
    """Return the leases of servers that are gone and have taken calls."""
    holders = [holder for (holder,) in driver.execute(_HOLDERS).fetchall()]
    living = claims.living(driver, [server_lease(each) for each in holders])
    return [each for each in holders if server_lease(each) not in living]


def give_back_lost(driver: Driver) -> None:
    """Have calls wait again whose servers are gone; within a transaction that is alone."""
    for each in find_dead_holders(driver):
        _lose(driver, "holder = ?", (each,))


def _lose(driver: Driver, whose: str, given: tuple[object, ...]) -> None:
    moment = claims.clock(driver)
    driver.execute(_LOST_FOR_EVER.format(whose=whose), (moment, *given, MAX_LOSSES))
    driver.execute(_LOST.format(whose=whose), given)


def find_dead_runs(driver: Driver) -> list[ExecutionId]:
    """Return the runs that are gone and have left calls."""
    runs = [ExecutionId(bytes(key).hex()) for (key,) in driver.execute(_RUNS).fetchall()]
    return claims.crashed(driver, runs) if runs else []


def drop_left(driver: Driver) -> None:
    """Take away the calls of runs that are gone; within a transaction that is alone."""
    for each in find_dead_runs(driver):
        driver.execute(statements.ROUTED_FORGET, (_binary(each),))


def find_queue(driver: Driver, execution_id: str, tag: str) -> str | None:
    """Return the queue by which a worker took an execution, or else the only one that it names.

    Args:
        driver: The connection.
        execution_id: The execution.
        tag: The key of the tags that name queues.
    """
    row = driver.execute(_TAKEN_BY, (_binary(execution_id),)).fetchone()
    if row is not None:
        return str(row[0])
    names = current_tags(driver, [execution_id]).get(execution_id, {}).get(tag, [])
    return str(names[0]) if len(names) == 1 else None


def _marks(keys: Sequence[object]) -> str:
    return ", ".join("?" * len(keys))


__all__ = [
    "MAX_LOSSES",
    "ServedCalls",
    "answer",
    "drop_left",
    "find_dead_holders",
    "find_dead_runs",
    "find_held",
    "find_queue",
    "give_back_lost",
    "lose",
    "release",
    "take",
]
