"""What was taken is held from that moment on, and not only once its run has begun.

A script may take its time to load. Whoever took the execution says meanwhile that it lives, so that
nobody gives it to others; and hears if somebody has done so all the same, or has deleted it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from taskgraph.errors import DatabaseError
from taskgraph.ports import Backend
from taskgraph.records import LEASE_SECONDS, Micros

_BEATS: Final = 6  # heartbeats in the life of a lease


class Holding:
    """Prolongs a lease from when it is made to its end, on a thread of its own.

    Args:
        backend: The database.
        holder: By which name the lease is held.
        on_lost: Called by its thread, once, if nobody holds anything by that name any more.
        seconds: How long a lease lives without a heartbeat.
    """

    def __init__(
        self,
        backend: Backend,
        holder: str,
        on_lost: Callable[[], object],
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self._backend = backend
        self._holder = holder
        self._on_lost = on_lost
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="taskgraph-holding", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Leave it to the run, or let it be given back. A second call does nothing."""
        self._ended.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._ended.wait(self._seconds / _BEATS):
            try:
                expires = Micros(self._backend.clock() + int(self._seconds * 1_000_000))
                is_held = self._backend.heartbeat(self._holder, expires) > 0
            except DatabaseError:
                continue  # the next one comes before the lease is over
            if not is_held:
                self._on_lost()
                return


__all__ = ["Holding"]
