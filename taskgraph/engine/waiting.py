"""The claim of executions that are written down and wait for their turn in a living process.

Each has its own lease, as if it ran: where the process ends without a word, whoever looks next
finds them crashed. When one begins it takes that lease over: the holder is the execution itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from taskgraph.engine.leasing import SECONDS
from taskgraph.errors import DatabaseError
from taskgraph.ports import Backend
from taskgraph.records import ExecutionId, LeaseRecord, Micros, execution_lease

_BEATS = 3  # times that leases are prolonged while they live


class Waiting:
    """Holds the leases of executions that wait; use it in a ``with``.

    Args:
        backend: Where they are written down.
        execution_ids: The executions.
        host: That of this process.
        pid: Of this process.
        started: When this process did.
    """

    def __init__(
        self,
        backend: Backend,
        execution_ids: Iterable[ExecutionId],
        host: str,
        pid: int,
        started: Micros,
    ) -> None:
        self._backend = backend
        self._waiting = {
            each: LeaseRecord(execution_lease(each), each, host, pid, started, Micros(0))
            for each in execution_ids
        }
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="taskgraph-waiting", daemon=True)

    def __enter__(self) -> Waiting:
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for each, lease in self._waiting.items():
            try:
                self._backend.release(each, [lease.key])
            except DatabaseError:
                return  # what is left is taken over once this process is gone

    def begin(self, execution_id: ExecutionId) -> None:
        """Have one go: from now on its run holds its lease."""
        with self._lock:
            self._waiting.pop(execution_id, None)

    def _take(self) -> None:
        with self._lock:
            expires = Micros(self._backend.clock() + int(SECONDS * 1_000_000))
            leases = [each._replace(expires=expires) for each in self._waiting.values()]
            if leases:
                self._backend.take(leases)

    def _live(self) -> None:
        while not self._ended.wait(SECONDS / _BEATS):
            try:
                self._take()
            except DatabaseError:
                continue  # the next time comes before they expire


__all__ = ["Waiting"]
