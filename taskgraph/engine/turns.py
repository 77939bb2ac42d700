"""Single flight of calls that come one at a time: each is led while it runs, or waits for others.

As in `taskgraph.engine.leading`, without a loop that waits for many at once: who calls waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from taskgraph.engine.cache import scope_of
from taskgraph.engine.jobs import Job
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.engine.recorder import Recorder
from taskgraph.errors import DatabaseError
from taskgraph.events import Event, JobWaits
from taskgraph.hashing import EvalHash
from taskgraph.ports import Backend
from taskgraph.records import (
    ALL_CALLS,
    JobId,
    LeaseRecord,
    call_lease,
    execution_of_holder,
    shown_host,
)
from taskgraph.tasks.options import CacheScope

_FIRST_PAUSE, _LAST_PAUSE = 0.010, 0.250  # seconds between two questions whether a call is free
_TELL = 0.500  # seconds after which observers are told that a call waits


class Turns:
    """Which calls of this process run, that nobody else may run meanwhile.

    Args:
        backend: Where leases are.
        lease: Those of the execution.
        notify: Told of calls that wait.
    """

    def __init__(
        self, backend: Backend, lease: ExecutionLease, notify: Callable[[Event], None]
    ) -> None:
        self._backend = backend
        self._lease = lease
        self._notify = notify
        self._led: dict[JobId, EvalHash] = {}
        lease.on_late = lambda: lease.take_again(set(self._led.values()))

    def version(self) -> int | None:
        """Return a number that is another one once others have recorded anything."""
        return self._backend.version()

    def take(self, job: Job) -> LeaseRecord | None:
        """Lead a call, if that can be shared at all; returns the lease that is in the way."""
        key = job.eval_hash
        if key is None or scope_of(job, True) is not CacheScope.BACKEND:
            return None
        try:
            in_the_way = self._lease.take_calls([key])[key]
        except DatabaseError:
            return None  # where nothing can be written, nothing can be shared
        if in_the_way is None:
            self._led[job.id] = key
        return in_the_way

    def wait(self, job: Job, in_the_way: LeaseRecord) -> Iterator[float]:
        """Give pauses, until it is worth while to look again."""
        pause, since, is_told = _FIRST_PAUSE, time.monotonic(), False
        while True:
            yield pause
            pause = min(_LAST_PAUSE, pause * 1.6)
            key = in_the_way.key
            other = None if key == ALL_CALLS else self._backend.find_leases([key]).get(key)
            if other is None:  # or who leads all calls is asked once more to say which
                return
            in_the_way = other
            if not is_told and time.monotonic() - since >= _TELL:
                is_told = True
                where = (execution_of_holder(other.holder), shown_host(other.host), other.pid)
                self._notify(JobWaits(job.id, job.task.fullname, *where))

    def end(self, job: Job, recorder: Recorder) -> None:
        """Give a call's lease back, with what is recorded next."""
        key = self._led.pop(job.id, None)
        if key is not None:
            recorder.release(call_lease(key), self._lease.holder)
