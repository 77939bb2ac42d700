"""Named limits: how many calls may use something at once, here and in other processes.

    a call wants units of one or more limits
      all are free      it runs, and holds them until it has ended
      one is not        it waits; who comes later and wants the same waits behind it

A unit is a lease in the database, so that all processes that share it share its limits, and what a
dead process held is free again. A unit that one call gives back goes to the next one that waits
here, without a word to the database, but not for ever: others want a turn, too.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Protocol

from taskgraph.engine.jobs import Job
from taskgraph.errors import LimitError
from taskgraph.records import JobId

_TURN = 1.0  # seconds after which a unit is offered to other processes
_POLL = 0.050  # seconds between two questions for a unit that others hold


class Claims(Protocol):
    """Who claims units for this execution."""

    def take_all(self, keys: Iterable[str]) -> list[str]:
        """Claim what of this is free; returns what was claimed."""
        ...

    def give_back(self, keys: Iterable[str]) -> None:
        """Let others have it."""
        ...


class _Limit:
    """The units of one limit that this process has."""

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self.keys = [f"limit {name} {number}" for number in range(size)]
        self.free: dict[str, float] = {}  # since when it is held
        self.used: dict[str, float] = {}

    def missing(self, units: int) -> list[str]:
        """Return what might be claimed to have so many units, in any order."""
        if len(self.free) >= units:
            return []
        wanted = [each for each in self.keys if each not in self.free and each not in self.used]
        random.shuffle(wanted)  # so that processes do not ask for the same ones
        return wanted


class Limits:
    """The calls that hold units, and those that wait for some.

    Args:
        sizes: How many units there are of each limit; of one that is not named there is one.
        lease: Who claims them; None where nobody shares the database.
    """

    def __init__(self, sizes: Mapping[str, int], lease: Claims | None) -> None:
        self._sizes = sizes
        self._lease = lease
        self._limits: dict[str, _Limit] = {}
        self._held: dict[JobId, list[tuple[_Limit, list[str]]]] = {}
        # In the order in which they came, apart for each set of limits that is wanted.
        self._waiting: dict[frozenset[str], deque[tuple[int, Job]]] = {}
        self._order = count()
        self._next_poll = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def used(self) -> dict[str, int]:
        """How many units of each limit are in use."""
        return {name: len(each.used) for name, each in self._limits.items()}

    def let_through(self, job: Job) -> bool:
        """Give a call its units; False if it is to wait until `take_free` gives it back.

        Raises:
            LimitError: It wants more than there are.
        """
        wanted = _wanted_by(job)
        if not wanted:
            return True
        for name, units in wanted.items():
            size = self._limit(name).size
            if units > size:
                raise LimitError(job.task.fullname, name, units, size)
        names = frozenset(wanted)
        is_behind = any(queue and not names.isdisjoint(n) for n, queue in self._waiting.items())
        if not is_behind and self._take(job, wanted):
            return True
        self._waiting.setdefault(names, deque()).append((next(self._order), job))
        return False

    def take_free(self) -> list[Job]:
        """Return the calls that may run by now, the longest waiting first."""
        found: list[Job] = []
        behind: set[str] = set()
        heads = [(queue[0][0], names) for names, queue in self._waiting.items() if queue]
        heapq.heapify(heads)
        while heads:
            _, names = heapq.heappop(heads)
            queue = self._waiting[names]
            job = queue[0][1]
            if behind.isdisjoint(names) and self._take(job, _wanted_by(job)):
                found.append(job)
                queue.popleft()
                if queue:
                    heapq.heappush(heads, (queue[0][0], names))
            else:
                behind |= names
        self._next_poll = time.monotonic() + _POLL
        return found

    def holds_all(self, job: Job) -> bool:
        """Tell whether a call has all that it wants."""
        return job.id in self._held or not _wanted_by(job)

    def leave(self, job: Job) -> None:
        """Let a call wait no more."""
        names = frozenset(_wanted_by(job))
        queue = self._waiting.get(names, deque())
        self._waiting[names] = deque(each for each in queue if each[1] is not job)

    def seconds_left(self, most: float) -> float:
        """Return how long it is until another process may have given something back."""
        if not self or self._lease is None:
            return most
        return min(most, max(0.0, self._next_poll - time.monotonic()))

    def _limit(self, name: str) -> _Limit:
        found = self._limits.get(name)
        if found is None:
            found = self._limits[name] = _Limit(name, self._sizes.get(name, 1))
        return found

    def _take(self, job: Job, wanted: Mapping[str, int]) -> bool:
        """Take all units that a call wants, or none; names in order, so that nobody deadlocks."""
        taken: list[tuple[_Limit, list[str]]] = []
        for name in sorted(wanted):
            limit, units = self._limit(name), wanted[name]
            self._claim(limit, units)
            if len(limit.free) < units:
                for other, keys in taken:
                    other.free.update((key, other.used.pop(key)) for key in keys)
                self._offer(each for each, _ in [*taken, (limit, [])])
                return False
            keys = list(limit.free)[:units]
            limit.used.update((key, limit.free.pop(key)) for key in keys)
            taken.append((limit, keys))
        self._held[job.id] = taken
        return True

    def _claim(self, limit: _Limit, units: int) -> None:
        wanted = limit.missing(units)
        if not wanted:
            return
        if self._lease is None:
            claimed = wanted[: units - len(limit.free)]
        else:
            claimed = []
            while wanted and len(limit.free) + len(claimed) < units:
                short = units - len(limit.free) - len(claimed)
                claimed += self._lease.take_all(wanted[:short])
                wanted = wanted[short:]
        moment = time.monotonic()
        limit.free.update((key, moment) for key in claimed)

    def release(self, job: Job) -> None:
        """Take back what a call held; those that wait here come first, for a while."""
        taken = self._held.pop(job.id, None)
        if taken is None:
            return
        for limit, keys in taken:
            limit.free.update((key, limit.used.pop(key)) for key in keys)
        self._offer(limit for limit, _ in taken)

    def _offer(self, limits: Iterable[_Limit]) -> None:
        """Give back to others what nobody here wants, or what was here for long."""
        border = time.monotonic() - _TURN
        wanted = {name for names, queue in self._waiting.items() if queue for name in names}
        for limit in limits:
            is_wanted = any(self._limits[name] is limit for name in wanted)
            old = [key for key, since in limit.free.items() if not is_wanted or since <= border]
            for key in old:
                del limit.free[key]
            if old and self._lease is not None:
                self._lease.give_back(old)

    def waiting(self) -> list[Job]:
        """Return the calls that wait."""
        return [job for queue in self._waiting.values() for _, job in queue]

    def drop(self, is_over: Callable[[Job], bool]) -> list[Job]:
        """Return the calls that wait and are over; none of them will run."""
        waiting = self.waiting()
        self._waiting = {
            names: deque(each for each in queue if not is_over(each[1]))
            for names, queue in self._waiting.items()
        }
        return [job for job in waiting if is_over(job)]

    def close(self) -> None:
        """Give back all that is held."""
        for limit in self._limits.values():
            keys = [*limit.free, *limit.used]
            limit.free, limit.used = {}, {}
            if keys and self._lease is not None:
                self._lease.give_back(keys)
        self._held = {}


def _wanted_by(job: Job) -> Mapping[str, int]:
    wanted: Mapping[str, int] = job.options.get("limits", {})
    return wanted
