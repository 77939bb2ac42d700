"""Single flight: of equal calls that are made at once in this process, one runs.

The others wait until it has ended, and look again. One that would wait for itself, because it is
made within the call that runs, or because that call waits for it in its turn, runs by itself.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future
from weakref import WeakValueDictionary

from taskgraph.engine.jobs import Job
from taskgraph.hashing import EvalHash
from taskgraph.tasks.options import CacheScope

_Runner = int  # a thread, or a task of an event loop


class Flight:
    """A call that is under way.

    Attributes:
        leader: The call.
        runner: Who runs it.
        landed: Done when it has ended; made when somebody waits for that.
    """

    __slots__ = ("__weakref__", "_flights", "landed", "leader", "runner")

    def __init__(self, flights: Flights, leader: Job, runner: _Runner) -> None:
        self.leader = leader
        self.runner = runner
        self.landed: Future[None] | None = None
        self._flights = flights

    def wait(self) -> None:
        """Wait until it has ended."""
        assert self.landed is not None
        try:
            self.landed.result()
        finally:
            self._flights.wait_no_more()

    async def wait_async(self) -> None:
        """Wait until it has ended, and let others go on meanwhile."""
        import asyncio

        assert self.landed is not None
        try:
            await asyncio.shield(asyncio.wrap_future(self.landed))
        finally:
            self._flights.wait_no_more()


class Flights:
    """All calls that are under way in this process."""

    def __init__(self) -> None:
        # Taken again by the same thread where a coroutine that nobody awaits is thrown away.
        self._lock = threading.RLock()
        # Held by who runs them: what a Ctrl-C ended at a bad moment is gone by itself.
        self._flights: WeakValueDictionary[EvalHash, Flight] = WeakValueDictionary()
        self._waiting: dict[_Runner, Flight] = {}

    def enter(self, job: Job) -> Flight:
        """Return the flight of a call: its own, if ``leader`` is the call, or one to wait for."""
        assert job.eval_hash is not None
        runner = _this_runner()
        with self._lock:
            known = self._flights.get(job.eval_hash)
            if known is None:
                made = self._flights[job.eval_hash] = Flight(self, job, runner)
                return made
            would_hang = _is_within(job, known.leader) or self._waits_for(known, runner)
            if would_hang or not _is_shared(job):
                return Flight(self, job, runner)
            known.landed = known.landed or Future()
            self._waiting[runner] = known
            return known

    def leave(self, flight: Flight) -> None:
        """End a flight."""
        assert flight.leader.eval_hash is not None
        with self._lock:
            if self._flights.get(flight.leader.eval_hash) is flight:
                del self._flights[flight.leader.eval_hash]
        if flight.landed is not None:
            flight.landed.set_result(None)

    def wait_no_more(self) -> None:
        """Take note that this thread, or task of an event loop, has stopped to wait."""
        with self._lock:
            self._waiting.pop(_this_runner(), None)

    def _waits_for(self, flight: Flight, runner: _Runner) -> bool:
        """Tell whether who runs a flight is, or waits for, a runner."""
        seen: set[_Runner] = set()
        other = flight.runner
        while other not in seen:
            if other == runner:
                return True
            seen.add(other)
            next_flight = self._waiting.get(other)
            if next_flight is None:
                return False
            other = next_flight.runner
        return False


def _is_shared(job: Job) -> bool:
    """Tell whether a call may have the result of another one at all."""
    return job.options.get("cache_scope", CacheScope.BACKEND) is CacheScope.BACKEND


def _is_within(job: Job, other: Job) -> bool:
    owner = job.owner
    while owner is not None and owner is not other:
        owner = owner.owner
    return owner is other


def _this_runner() -> _Runner:
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
        if task is not None:
            return id(task)
    return threading.get_ident()
