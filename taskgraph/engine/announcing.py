"""Announcing jobs: the rows of those that have not ended, for whoever looks at a run meanwhile.

    handed to an executor    no row, for most jobs end before anybody could look
    after 200 ms             RUNNING, or PENDING if no worker has begun it; so are its callers
    a job below it ended     RUNNING: that row points at it
    a worker began it        RUNNING: looked at twice a second
    the run is over          CANCELLED, of those that were shown and have not ended

Of many that wait for a worker a thousand are shown at a time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from taskgraph.engine import phases
from taskgraph.engine.jobs import Job
from taskgraph.records import JobId, State
from taskgraph.worker import now

_ANNOUNCE_AFTER = 0.200  # seconds after which a job that still runs is shown as running
_ASK_EVERY = 0.5  # seconds between two looks at which of those that were queued have begun
_MOST_QUEUED = 1_000  # jobs that are shown as waiting for a worker


class Announcing:
    """Says which jobs are under way.

    Args:
        show: Adds the row of a job that has not ended, or replaces it.

    Attributes:
        shown: The jobs that have such a row.
        ask_not_begun: Tells which of some jobs no worker has begun; asked of those that take long.
    """

    def __init__(self, show: Callable[[Job, State], None]) -> None:
        self._show = show
        self.shown: dict[JobId, Job] = {}
        self.ask_not_begun: Callable[[Sequence[JobId]], set[JobId]] = lambda _: set()
        self._handed: deque[tuple[float, Job]] = deque()
        self._not_begun: list[Job] = []  # those that are shown as waiting for a worker
        self._asked = 0.0

    def note(self, job: Job) -> None:
        """Note that a job was handed to an executor; it gets a row if it takes long."""
        if job.is_recorded:
            self._handed.append((time.monotonic(), job))

    def announce(self, job: Job) -> None:
        """Write a job down as running: others point at it, or it takes its time."""
        self._show(job, State.RUNNING)
        job.is_announced = True
        self.shown[job.id] = job

    def announce_all(self, job: Job) -> None:
        """Write down a job as running, with those that it is called in."""
        waiting: Job | None = job
        while waiting is not None and waiting.is_recorded and not waiting.is_announced:
            self.announce(waiting)
            waiting = waiting.owner

    def announce_slow(self) -> None:
        """Give a row to the jobs that have been running for a while.

        Of many that wait for a worker the first have one, and the others when these have begun:
        most executors begin calls in their order, and a row more for each is dear.
        """
        border = time.monotonic() - _ANNOUNCE_AFTER
        handed = self._handed
        slow: list[Job] = []
        while handed and handed[0][0] <= border and len(self._not_begun) + len(slow) < _MOST_QUEUED:
            _, job = handed.popleft()
            if job.phase is phases.AWAY and not job.is_announced:
                slow.append(job)
        if slow:
            waiting = self.ask_not_begun([job.id for job in slow])
            for job in slow:
                self.announce_all(job)
                if job.id in waiting:
                    self._show(job, State.PENDING)
                    self._not_begun.append(job)
        if self._not_begun and time.monotonic() - self._asked >= _ASK_EVERY:
            self._ask_who_began()

    def _ask_who_began(self) -> None:
        """Write down as running which of the jobs that waited for a worker have got one."""
        self._asked = time.monotonic()
        waited = [
            job for job in self._not_begun if job.phase is phases.AWAY and job.id in self.shown
        ]
        waiting = self.ask_not_begun([job.id for job in waited])
        self._not_begun = [job for job in waited if job.id in waiting]
        for job in waited:
            if job.id not in waiting:
                job.started = now()  # about; it says itself when it has ended
                self._show(job, State.RUNNING)

    def close(self) -> list[Job]:
        """Announce nothing any more; returns the jobs that were shown and have not ended."""
        self._not_begun.clear()
        self._handed.clear()
        return list(self.shown.values())
