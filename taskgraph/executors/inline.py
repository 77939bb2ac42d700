"""Runs calls on the scheduler's own thread, one after the other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from taskgraph.ports import Call, Inbox, Outcome
from taskgraph.records import JobId
from taskgraph.worker import run_call

_SLICE = 0.005  # seconds of short calls that are run before the scheduler has its turn


class InlineExecutor:
    """Runs calls when the scheduler has nothing else to do.

    Nobody can stop a call that runs on the scheduler's own thread: it has no timeout. Coroutines
    that are not said to run here run on the event loop: here nothing that they await could run.
    """

    has_timeouts = False
    gives_coroutines_to = "async"

    def __init__(self, name: str = "inline") -> None:
        self.name = name
        self._calls: deque[Call] = deque()
        self._inbox: Inbox | None = None

    def start(self, inbox: Inbox) -> None:
        """Ask to be called whenever the scheduler would otherwise wait."""
        if self._inbox is not inbox:
            self._inbox = inbox
            self._calls.clear()
        inbox.when_idle(self._step)

    def submit(self, calls: Sequence[Call]) -> None:
        """Accept calls; they run at the scheduler's next idle moment."""
        self._calls.extend(calls)

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that have not run."""
        unwanted = set(job_ids)
        dropped = [each.job_id for each in self._calls if each.job_id in unwanted]
        self._calls = deque(each for each in self._calls if each.job_id not in unwanted)
        return dropped

    def queued(self, job_ids: Sequence[JobId]) -> set[JobId]:
        """Return which of the calls have not begun."""
        return {each.job_id for each in list(self._calls)} & set(job_ids)

    def stop(self, is_now: bool = False) -> None:
        """Drop all calls that have not run."""
        self._calls.clear()

    def _step(self) -> bool:
        """Run calls for a slice of time, one at least; what is done is handed over together."""
        if not self._calls or self._inbox is None:
            return False
        outcomes: list[Outcome] = []
        end = time.monotonic() + _SLICE
        try:
            while self._calls:
                outcomes.append(run_call(self._calls.popleft()))
                if time.monotonic() >= end:
                    break
        finally:
            # A Ctrl-C in a task ends the run, but what was finished before it is not lost.
            self._inbox.deliver(outcomes)
        return True
