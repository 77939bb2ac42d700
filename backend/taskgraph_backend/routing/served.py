"""Calls of queues as those see them who run them: taken, answered, given back.

    a call waits             nobody has it; the first server with a free slot takes it
    a server has taken it    it bears the name of that server's lease
    it is answered           by who has it, and nobody else; its run takes the row away
    its server died          it waits again; after `lost_calls.MOST_LOSSES` servers it has ended
    its run is gone          whoever sees that takes the row away

Servers hold leases, as runs do: one by which they are known, and one for each queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

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
from taskgraph_backend.holders import this_process
from taskgraph_backend.routing.calls import asking_all_the_time, close_clone
from taskgraph_backend.routing.lost_calls import (
    drop_left,
    find_dead_holders,
    find_dead_runs,
    give_back_lost,
    lose,
)
from taskgraph_backend.tags import current_tags

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

_binary = bytearray.fromhex

_ANY: Final = "SELECT 1 FROM routed_call WHERE taken_at IS NULL AND queue IN ({marks}){own} LIMIT 1"
_NEXT: Final = (
    "SELECT id, execution_id, queue, task_name, losses, message FROM routed_call"
    " WHERE taken_at IS NULL AND queue IN ({marks}){own} ORDER BY created_at, id LIMIT ?{skip}"
)
# Of the runs that a worker has.
_OWN: Final = (
    " AND execution_id IN"
    " (SELECT execution_id FROM assignment WHERE worker_id = ? AND ended_at IS NULL)"
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
        self._backend = asking_all_the_time(backend)
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
        self._backend.silence.heard()

    def take(self, most: int, *, own: bool = False) -> list[TakenCall]:
        """Take calls that wait, those first that wait longest.

        Args:
            most: So many at most.
            own: Only those of runs that the worker has which this server is part of.
        """
        wanted = _Wanted(self._queues, _key_of(self._worker_id), own, self._backend.may_judge)
        # Who finds nothing keeps nobody from writing.
        if not self._backend._ask(_has_any, wanted):
            return []
        database = self._backend.database
        return self._backend._transact(take, database, wanted, self._holder, most, alone=False)

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
        backend, may_judge = self._backend, self._backend.may_judge
        if backend._ask(find_dead_holders, may_judge):
            backend._transact(give_back_lost, may_judge)
        if backend._ask(find_dead_runs, may_judge):
            backend._transact(drop_left, may_judge)

    def retire(self) -> None:
        """Say that no queue is served here any more; what was taken is still had."""
        self._backend.release(self._holder, [each.key for each in self._leases[1:]])
        del self._leases[1:]

    def close(self) -> None:
        """Give the leases back, and let go of the connection."""
        try:
            self._backend.release(self._holder, [each.key for each in self._leases])
        finally:
            close_clone(self._backend)


class _Wanted(NamedTuple):
    """Which calls a server takes."""

    queues: tuple[str, ...]
    worker: bytearray | None
    own: bool
    may_judge: claims.Judge

    def phrase(self, sql: str, skip: str = "") -> str:
        """Return a question for them."""
        return sql.format(marks=_marks(self.queues), own=_OWN if self.own else "", skip=skip)

    @property
    def given(self) -> tuple[object, ...]:
        """What it is asked with."""
        return (*self.queues, self.worker) if self.own else self.queues


def _key_of(worker_id: str | None) -> bytearray | None:
    return None if worker_id is None else _binary(worker_id)


def _has_any(driver: Driver, wanted: _Wanted) -> bool:
    return driver.execute(wanted.phrase(_ANY), wanted.given).fetchone() is not None


def take(
    driver: Driver, database: Database, wanted: _Wanted, holder: str, most: int
) -> list[TakenCall]:
    """Take calls; within a transaction. Those whose runs are gone are taken away instead."""
    sql = wanted.phrase(_NEXT, database.skipping_locked())
    rows = driver.execute(sql, (*wanted.given, most)).fetchall()
    runs = list(dict.fromkeys(ExecutionId(bytes(row[1]).hex()) for row in rows))
    gone = set(claims.unheld(driver, runs, wanted.may_judge)) if runs else set()
    for each in sorted(gone):
        driver.execute(statements.ROUTED_FORGET, (_binary(each),))
    taken = [row for row in rows if ExecutionId(bytes(row[1]).hex()) not in gone]
    if taken:
        moment = claims.clock(driver)
        driver.executemany(_TAKE, [(moment, holder, wanted.worker, row[0]) for row in taken])
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


__all__ = ["ServedCalls", "answer", "find_held", "find_queue", "release", "take"]
