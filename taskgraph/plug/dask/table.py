"""Which calls of a client are under way, and which futures they belong to."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from distributed import Future

from taskgraph.hashing import EvalHash
from taskgraph.plug.dask.submitted import Submitted
from taskgraph.plug.execution import ProcessExecution


class Table:
    """The calls of a client: of equal ones that are under way at once, one leads.

    Attributes:
        lock: Held by who reads and then writes.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # Those that are under way are held here; the others by their futures alone.
        self._open: dict[str, Submitted] = {}
        self._known: weakref.WeakValueDictionary[str, Submitted] = weakref.WeakValueDictionary()
        self._flights: dict[EvalHash, Submitted] = {}

    def find(self, key: str) -> Submitted | None:
        """Return the call that a future is of."""
        return self._open.get(key) or self._known.get(key)

    def source_of(self, execution: ProcessExecution, future: Future[Any]) -> Submitted | None:
        """Return the call that a future is of, if that is recorded in an execution."""
        found = self.find(str(future.key))
        return found if found is not None and found.execution is execution else None

    def leader_of(self, call: Submitted) -> tuple[Submitted, Future[Any]] | None:
        """Return the equal call that is under way, and its future."""
        found = self._flights.get(call.eval_hash)
        if found is None or found is call or found.execution is not call.execution:
            return None
        future = found.pending_future
        return None if future is None else (found, future)

    def take_off(self, call: Submitted) -> None:
        """Have a call lead those that are equal to it."""
        call.flights.append(call.eval_hash)
        self._flights[call.eval_hash] = call
        self._open[call.key] = call
        self.know(call)

    def know(self, call: Submitted) -> None:
        """Have futures of a call be known as its own."""
        self._known[call.key] = call

    def land(self, call: Submitted) -> None:
        """End a call that is recorded: those that had its future are recorded too."""
        with self.lock:
            call.is_landed = True
            self._open.pop(call.key, None)
            for each in call.flights:
                if self._flights.get(each) is call:
                    del self._flights[each]
            call.flights.clear()
            followers, call.followers = call.followers, []
        for job in followers:
            call.execution.calls.copy(job, call.job)
