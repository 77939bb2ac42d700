"""What a run's progress says besides counts: how fast it goes, what is left, and its memory.

All of it is asked for by who draws, never by who is told of events. How long calls of a task took
in earlier runs is read on a thread of its own, for many tasks at once.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from taskgraph.cli.memory import memory_used
from taskgraph.durations import about

_WINDOW: Final = 10.0  # seconds that a rate is of
_LEAST: Final = 0.5  # seconds without which nothing can be said of it
_LEAST_LEFT: Final = 2.0  # seconds that are worth telling
_ASK_AFTER: Final = 2.0  # seconds: a run that is shorter need not know how earlier ones went
_MEMORY_EVERY: Final = 1.0  # seconds


class Counted(Protocol):
    """How many calls of a task are where."""

    task: str
    submitted: int
    cached: int
    done: int
    failed: int
    seconds: float

    @property
    def running(self) -> int:
        """Calls that were handed out and are not settled."""
        ...


class History:
    """How long calls of tasks took before, read when a task is first seen.

    Args:
        load: Returns the seconds that a call of each of the tasks took, of those that are known.
    """

    def __init__(self, load: Callable[[Sequence[str]], Mapping[str, float]]) -> None:
        self._load = load
        self._asked: set[str] = set()
        self._reading: threading.Thread | None = None
        self.seconds: dict[str, float] = {}

    def expect(self, tasks: Iterable[str]) -> None:
        """Have what is known of tasks read; returns at once."""
        if self._reading is not None and self._reading.is_alive():
            return  # what is new is asked for the next time
        new = [each for each in tasks if each not in self._asked]
        if new:
            self._asked.update(new)
            self._reading = threading.Thread(
                target=self._read, args=(new,), name="taskgraph-history", daemon=True
            )
            self._reading.start()

    def close(self) -> None:
        """Wait for what is being read."""
        if self._reading is not None:
            self._reading.join()

    def _read(self, tasks: Sequence[str]) -> None:
        # Whatever is wrong with the records, the run says it; its progress goes without.
        with suppress(Exception):
            self.seconds.update(self._load(tasks))


class Gauges:
    """What is told of a run besides counts.

    Args:
        history: How long calls took before, if that is known.
        memory: Tells how many bytes are in use.
        clock: Tells the time in seconds.
        workers: How many calls run at once, before anything is known of it.
    """

    def __init__(
        self,
        history: History | None = None,
        memory: Callable[[], int | None] = memory_used,
        clock: Callable[[], float] = time.monotonic,
        workers: int | None = None,
    ) -> None:
        self._history = history
        self._memory = memory
        self._clock = clock
        self._workers = workers or os.cpu_count() or 1
        self._samples: deque[tuple[float, int]] = deque()
        self._bytes: int | None = None
        self._weighed = -math.inf
        self._began: float | None = None
        self._state: tuple[int, ...] = ()
        self._left: float | None = None
        self._when = 0.0

    def look(self, tasks: Sequence[Counted]) -> Readings:
        """Return how things stand; called by who draws."""
        moment = self._clock()
        if self._began is None and tasks:
            self._began = moment
        lasts = self._began is not None and moment - self._began >= _ASK_AFTER
        if self._history is not None and lasts:
            self._history.expect(each.task for each in tasks)
        if moment - self._weighed >= _MEMORY_EVERY:
            self._weighed = moment
            self._bytes = self._memory()
        return Readings(self._rate(tasks, moment), self._time_left(tasks, moment), self._bytes)

    def close(self) -> None:
        """Let go of what is being read."""
        if self._history is not None:
            self._history.close()

    def _rate(self, tasks: Sequence[Counted], moment: float) -> float | None:
        settled = sum(each.done + each.cached + each.failed for each in tasks)
        self._samples.append((moment, settled))
        while len(self._samples) > 2 and moment - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()
        began, before = self._samples[0]
        if moment - began < _LEAST or settled == before:
            return None
        return (settled - before) / (moment - began)

    def _time_left(self, tasks: Sequence[Counted], moment: float) -> float | None:
        """Return how long what is known of takes; it is counted down until something happens."""
        state = tuple(each.submitted - each.running for each in tasks)
        if state != self._state or self._left is None:
            self._state, self._when = state, moment
            self._left = self._estimate(tasks, moment)
        if self._left is None:
            return None
        left = self._left - (moment - self._when)
        return left if left >= _LEAST_LEFT else None

    def _estimate(self, tasks: Sequence[Counted], moment: float) -> float | None:
        known = {} if self._history is None else self._history.seconds
        work, calls, longest = 0.0, 0, 0.0
        for each in tasks:
            if not each.running:
                continue
            usual = each.seconds / each.done if each.done else known.get(each.task)
            if usual is None:  # one that waits for others, or was never made before
                continue
            work += each.running * usual
            calls += each.running
            longest = max(longest, usual)
        if not calls:
            return None
        spent, done = sum(each.seconds for each in tasks), sum(each.done for each in tasks)
        seconds = moment - (moment if self._began is None else self._began)
        width: float = self._workers
        if done >= self._workers and seconds > _LEAST:
            width = max(1.0, spent / seconds)
        return max(work / min(width, calls), longest if calls <= width else 0.0)


class Readings:
    """How things stand.

    Attributes:
        rate: Calls that are settled in a second.
        left: Seconds that what is known of takes.
        memory: Bytes.
    """

    __slots__ = ("left", "memory", "rate")

    def __init__(self, rate: float | None, left: float | None, memory: int | None) -> None:
        self.rate = rate
        self.left = left
        self.memory = memory

    def words(self, of_bytes: Callable[[float], str]) -> list[str]:
        """Return what there is to say."""
        said = []
        if self.rate is not None:
            said.append(format_rate(self.rate))
        if self.left is not None:
            said.append(f"about {about(self.left)} left")
        if self.memory is not None:
            said.append(of_bytes(self.memory))
        return said


def format_rate(rate: float) -> str:
    """Return a rate for people: ``1,200/s``, ``2.5/s``, ``12/min``, ``3/h``."""
    if rate >= 10:
        return f"{rate:,.0f}/s"
    if rate >= 1:
        return f"{rate:.1f}/s"
    if rate * 60 >= 1:
        return f"{rate * 60:.0f}/min"
    return f"{rate * 3600:.0f}/h"
