"""Calls that runs send to the workers of queues: put, looked after, and withdrawn by the run.

A row is there from when it is put until its run has read the answer. Whose run is gone goes as
well: see `served`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from taskgraph.records import (
    LEASE_SECONDS,
    SERVING,
    ExecutionId,
    RoutedAnswer,
    RoutedCall,
    queue_of_lease,
)
from taskgraph.silence import Silence
from taskgraph_backend import claims, statements
from taskgraph_backend.dialects import Database, Driver
from taskgraph_backend.routing.lost_calls import find_dead_holders, give_back_lost

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

_binary = bytearray.fromhex

# Bytes that are sent in one transaction.
_MOST_BYTES: Final = 16 * 1024 * 1024
_PUT: Final = (
    "INSERT INTO routed_call"
    " (id, execution_id, job_id, queue, task_name, created_at, losses, message)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_ANSWERS: Final = (
    "SELECT id, answer, losses FROM routed_call"
    " WHERE execution_id IN ({keys}) AND ended_at IS NOT NULL"
)
_LOOK: Final = "SELECT id, taken_at IS NOT NULL FROM routed_call WHERE execution_id IN ({keys})"
_FREE: Final = "SELECT id FROM routed_call WHERE id IN ({keys}) AND taken_at IS NULL{skip}"
_DELETE: Final = "DELETE FROM routed_call WHERE id IN ({keys})"
_SERVING: Final = "SELECT key FROM lease WHERE key >= ? AND key < ?"


class RoutedCalls:
    """The port of executors on a database, with a connection of its own.

    Args:
        backend: The database, which somebody else closes.
    """

    def __init__(self, backend: SqlBackend) -> None:
        self._backend = asking_all_the_time(backend)

    def put(self, calls: Sequence[RoutedCall]) -> None:
        """Have calls be there for workers; one that is there already stays as it is."""
        for piece in _pieces(calls):
            self._backend._transact(put, piece, alone=False)

    def answers(self, execution_ids: Sequence[ExecutionId]) -> list[RoutedAnswer]:
        """Return what came of the calls of some runs, as long as they are there."""
        return self._backend._ask(find_answers, execution_ids)

    def look(self, execution_ids: Sequence[ExecutionId]) -> dict[str, bool]:
        """Return which calls of some runs are there, and whether a worker has taken each."""
        found = self._backend._ask(find_taken, execution_ids)
        self._backend.silence.heard()
        return found

    def withdraw(self, ids: Sequence[str], *, also_taken: bool) -> set[str]:
        """Take calls away; of those that a worker has taken only where that is wanted.

        Returns:
            Those that will have no answer.
        """
        if not ids:
            return set()
        database = None if also_taken else self._backend.database
        # Done twice it would not say again which ones it took away.
        return self._backend._transact(withdraw, database, ids, alone=not also_taken)

    def give_back_lost(self, execution_ids: Sequence[ExecutionId]) -> None:
        """Have calls of some runs wait again that servers have which are gone."""
        if not execution_ids:
            return
        backend, may_judge = self._backend, self._backend.may_judge
        if backend._ask(find_dead_holders, may_judge, execution_ids):
            backend._transact(give_back_lost, may_judge, execution_ids)

    def served(self) -> set[str]:
        """Return the queues that living workers serve."""
        return self._backend._ask(find_served)

    def close(self) -> None:
        """Let go of the connection. A second call does nothing."""
        close_clone(self._backend)


def asking_all_the_time(backend: SqlBackend) -> SqlBackend:
    """Return a clone for who asks the database all the time, and knows by that when it was away."""
    made = backend.clone()
    made.silence = Silence(LEASE_SECONDS, gap=LEASE_SECONDS / 2)
    return made


def close_clone(backend: SqlBackend) -> None:
    """Close a backend that was cloned, but for a connection that others have as well."""
    if backend.database.only_lock is None:
        backend.close()


def _pieces(calls: Sequence[RoutedCall]) -> Iterator[list[RoutedCall]]:
    piece: list[RoutedCall] = []
    size = 0
    for each in calls:
        size += len(each.parcel)
        if piece and size > _MOST_BYTES:
            yield piece
            piece, size = [], len(each.parcel)
        piece.append(each)
    if piece:
        yield piece


def put(driver: Driver, calls: Sequence[RoutedCall]) -> None:
    """Insert calls; within a transaction."""
    moment = claims.clock(driver)
    rows = [
        (
            _binary(each.id),
            _binary(each.execution_id),
            _binary(each.job_id),
            each.queue,
            each.task_name,
            # In their order, though they are put at once.
            moment + number,
            0,
            each.parcel,
        )
        for number, each in enumerate(calls)
    ]
    driver.executemany(_PUT, rows)


def find_answers(driver: Driver, execution_ids: Sequence[str]) -> list[RoutedAnswer]:
    """Return what came of the calls of some runs."""
    rows = _each(driver, _ANSWERS, execution_ids)
    return [
        RoutedAnswer(bytes(key).hex(), None if answer is None else bytes(answer), losses)
        for key, answer, losses in rows
    ]


def find_taken(driver: Driver, execution_ids: Sequence[str]) -> dict[str, bool]:
    """Return which calls of some runs are there, and whether a worker has taken each."""
    return {bytes(key).hex(): bool(taken) for key, taken in _each(driver, _LOOK, execution_ids)}


def withdraw(driver: Driver, database: Database | None, ids: Sequence[str]) -> set[str]:
    """Delete calls; within a transaction.

    Args:
        driver: The connection.
        database: Whose; None if also those go that a worker has taken.
        ids: The calls.

    Returns:
        Those that will have no answer.
    """
    wanted = list(ids)
    if database is not None:
        found = _each(driver, _FREE.replace("{skip}", database.skipping_locked()), ids)
        wanted = [bytes(key).hex() for (key,) in found]
    for piece in statements.padded([_binary(each) for each in wanted]):
        driver.execute(_DELETE.format(keys=_marks(piece)), piece)
    return set(wanted)


def find_served(driver: Driver) -> set[str]:
    """Return the queues that living workers serve."""
    edges = (SERVING, f"{SERVING[:-1]};")
    keys = [key for (key,) in driver.execute(_SERVING, edges).fetchall()]
    return {queue_of_lease(each) for each in claims.living(driver, keys)}


def _each(driver: Driver, sql: str, ids: Iterable[str]) -> Iterator[Any]:
    for piece in statements.padded([_binary(each) for each in ids]):
        yield from driver.execute(sql.format(keys=_marks(piece)), piece).fetchall()


def _marks(keys: Sequence[object]) -> str:
    return ", ".join("?" * len(keys))


__all__ = [
    "RoutedCalls",
    "asking_all_the_time",
    "close_clone",
    "find_answers",
    "find_served",
    "find_taken",
    "put",
    "withdraw",
]
