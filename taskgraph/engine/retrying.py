"""Calls that failed and are tried again: which ones, and when."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from itertools import count

from taskgraph.engine.jobs import Job
from taskgraph.errors import ExecutorError, WorkerLostError
from taskgraph.events import Event, JobRetried, Warned
from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.ports import Raised
from taskgraph.tasks.retrying import NO_DELAY, is_worth_another_try
from taskgraph.values.weigh import hash_value
from taskgraph.worker import describe_error


class Retries:
    """The calls that wait for their next attempt.

    Args:
        notify: Tells the observers.
    """

    def __init__(self, notify: Callable[[Event], None]) -> None:
        self._notify = notify
        self._waiting: list[tuple[float, int, Job, Raised]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, job: Job, outcome: Raised) -> bool:
        """Have a call that failed wait for another attempt; False if this was the last one."""
        if job.attempts > job.options.get("retries", 0) or not self._is_worth_it(job, outcome):
            return False
        seconds = job.options.get("retry_delay", NO_DELAY).seconds(job.attempts)
        error = describe_error(outcome.error)
        self._notify(JobRetried(job.id, job.task.fullname, error, job.attempts, seconds))
        job.attempts += 1
        heapq.heappush(self._waiting, (time.monotonic() + seconds, next(self._order), job, outcome))
        return True

    def repeat(self, job: Job, outcome: Raised) -> None:
        """Have a call begun again at once: it did not fail, only its result was lost."""
        error = describe_error(outcome.error)
        self._notify(JobRetried(job.id, job.task.fullname, error, job.attempts, 0.0))
        heapq.heappush(self._waiting, (time.monotonic(), next(self._order), job, outcome))

    def _is_worth_it(self, job: Job, outcome: Raised) -> bool:
        error = outcome.error
        retry_on = job.options.get("retry_on")
        if retry_on is None:
            # A call that cannot be sent to its worker will not be the next time either.
            is_ours = isinstance(error, ExecutorError) and not isinstance(error, WorkerLostError)
            return isinstance(error, Exception) and not is_ours
        try:
            return is_worth_another_try(error, retry_on)
        except Exception as broken:
            self._notify(
                Warned(f"{job.task.fullname}: its retry_on raised {describe_error(broken)}")
            )
            return False

    def take_due(self) -> list[tuple[Job, Raised]]:
        """Return the calls whose next attempt is due now, with what the last one raised."""
        due: list[tuple[Job, Raised]] = []
        moment = time.monotonic()
        while self._waiting and self._waiting[0][0] <= moment:
            _, _, job, outcome = heapq.heappop(self._waiting)
            due.append((job, outcome))
        return due

    def waiting(self) -> list[Job]:
        """Return the calls that wait."""
        return [job for _, _, job, _ in self._waiting]

    def seconds_left(self, most: float) -> float:
        """Return how long it is until one is due, at most so many seconds."""
        if not self._waiting:
            return most
        return min(most, max(0.0, self._waiting[0][0] - time.monotonic()))

    def drop(self, is_over: Callable[[Job], bool]) -> list[Job]:
        """Return those that wait and are over; none of them will be tried again."""
        dropped = [job for _, _, job, _ in self._waiting if is_over(job)]
        self._waiting = [each for each in self._waiting if not is_over(each[2])]
        heapq.heapify(self._waiting)
        return dropped


def changed_argument(job: Job) -> str | None:
    """Return the name of an argument that is not what it was when the call was weighed."""
    for argument in job.arguments:
        if argument.weight is None or type(argument.value) in ATOMIC_TYPES:
            continue
        try:
            is_same = hash_value(argument.value) == argument.weight.value_hash
        except Exception:  # it was given something that has no hash
            is_same = job.is_uncacheable
        if not is_same and not job.is_uncacheable:
            return argument.key or f"*{argument.position}"
    return None
