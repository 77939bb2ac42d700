"""The claim of a living execution: as long as its heartbeat goes on, nobody calls it crashed."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from taskgraph.errors import DatabaseError
from taskgraph.ports import Backend
from taskgraph.records import ExecutionId, LeaseRecord, Micros, execution_lease
from taskgraph.worker import now

_SECONDS = 30  # how long a lease lives without a heartbeat
_BEAT = 5  # seconds between two of them


class ExecutionLease:
    """Holds the lease of one execution, with a heartbeat on a thread of its own.

    A busy scheduler, or a long inline task, does not keep it from beating.
    """

    def __init__(
        self, backend: Backend, execution_id: ExecutionId, host: str, pid: int, started: Micros
    ) -> None:
        self._backend = backend
        self._key = execution_lease(execution_id)
        self._holder = execution_id
        self._lease = LeaseRecord(self._key, execution_id, host, pid, started, self._expiry())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="taskgraph-heartbeat", daemon=True)

    @staticmethod
    def _expiry() -> Micros:
        return Micros(now() + _SECONDS * 1_000_000)

    def take(self) -> None:
        """Take the lease and begin to beat."""
        self._backend.take([self._lease])
        self._thread.start()

    def take_all(self, keys: Iterable[str]) -> list[str]:
        """Claim what of this is free for this execution; returns what was claimed."""
        wanted = [self._lease._replace(key=each, expires=self._expiry()) for each in keys]
        answers = self._backend.take(wanted)
        pairs = zip(wanted, answers, strict=True)
        return [each.key for each, in_the_way in pairs if in_the_way is None]

    def give_back(self, keys: Iterable[str]) -> None:
        """Let others have what was claimed."""
        self._backend.release(self._holder, list(keys))

    def release(self) -> None:
        """Stop beating and give the lease back."""
        self._ended.set()
        self._thread.join()
        try:
            self._backend.release(self._holder, [self._key])
        except DatabaseError:
            # The run says itself what is wrong with the database. A lease that is left is taken
            # over as soon as this process is gone.
            return

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            try:
                self._backend.heartbeat(self._holder, self._expiry())
            except DatabaseError:
                # A database that is busy or gone for a moment does not end the run: the next beat
                # comes before the lease expires, and the run's own writes say what is wrong.
                continue
