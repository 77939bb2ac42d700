"""Runs calls on threads of this process."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Sequence

from taskgraph.errors import TaskTimeoutError
from taskgraph.ports import Call, Inbox, Outcome, Raised
from taskgraph.records import JobId
from taskgraph.worker import now, run_call

# While threads run Python code, the scheduler gets the interpreter back only after a switch
# interval: with the default of 5 ms a commit of many rows takes hundreds of milliseconds.
_SWITCH_INTERVAL = 0.0002


class ThreadExecutor:
    """Runs calls on a fixed number of threads, which take them from one queue.

    Coroutines that are not said to run here run on the event loop instead: one that waits would
    keep a thread.

    Args:
        name: The name that tasks choose it by.
        max_workers: How many threads; by default one for each core.
    """

    gives_coroutines_to = "async"

    def __init__(self, name: str = "threads", max_workers: int | None = None) -> None:
        self.name = name
        self._size = max_workers or os.cpu_count() or 1
        self._calls: deque[tuple[Call, Inbox]] = deque()
        # A condition instead of a queue: calls are cancelled and counted under the same lock.
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._count = 0
        self._idle = 0
        self._is_stopping = False
        self._inbox: Inbox | None = None
        self._old_interval: float | None = None

    def start(self, inbox: Inbox) -> None:
        """Take note of where outcomes go; threads are made when there are calls for them."""
        self._inbox = inbox
        self._is_stopping = False
        if self._old_interval is None and sys.getswitchinterval() > _SWITCH_INTERVAL:
            self._old_interval = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_INTERVAL)

    def submit(self, calls: Sequence[Call]) -> None:
        """Queue calls, and wake or make as many threads as can be of use."""
        inbox = self._inbox
        assert inbox is not None, "start comes before submit"
        with self._changed:
            self._calls.extend((call, inbox) for call in calls)
            missing = min(len(self._calls) - self._idle, self._size - len(self._threads))
            for _ in range(max(0, missing)):
                self._add_thread()
            self._changed.notify(min(len(calls), self._size))

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that no thread has taken."""
        unwanted = set(job_ids)
        dropped: list[JobId] = []
        kept: list[tuple[Call, Inbox]] = []
        with self._changed:
            while self._calls:
                try:
                    each = self._calls.popleft()
                except IndexError:  # threads take calls without the lock
                    break
                if each[0].job_id in unwanted:
                    dropped.append(each[0].job_id)
                else:
                    kept.append(each)
            self._calls.extend(kept)
            if kept:
                self._changed.notify(len(kept))
        return dropped

    def stop(self, is_now: bool = False) -> None:
        """Let the threads end after the calls that they run; nobody waits for them."""
        with self._changed:
            self._is_stopping = True
            self._calls.clear()
            self._changed.notify_all()
        self._threads = []
        if self._old_interval is not None:
            sys.setswitchinterval(self._old_interval)
            self._old_interval = None

    def _work(self) -> None:
        calls = self._calls
        while True:
            try:
                call, inbox = calls.popleft()
            except IndexError:
                if not self._rest():
                    return
                continue
            # Each outcome is handed over at once: the next call may take an hour.
            if call.timeout is None:
                inbox.deliver([_run(call)])
            elif not self._run_limited(call, call.timeout, inbox):
                return

    def _run_limited(self, call: Call, timeout: float, inbox: Inbox) -> bool:
        """Run a call that has a time limit; False if it was abandoned, and its thread with it."""
        is_settled = threading.Lock()  # taken by who comes first: the outcome or the clock
        this_thread = threading.current_thread()

        def abandon() -> None:
            if not is_settled.acquire(blocking=False):
                return
            with self._changed:
                if this_thread in self._threads:
                    self._threads.remove(this_thread)
                    if self._calls:
                        self._add_thread()
            error = TaskTimeoutError(call.fullname, timeout, is_abandoned=True)
            inbox.deliver([Raised(call.job_id, error, (), now(), now())])

        clock = threading.Timer(timeout, abandon)
        clock.daemon = True
        clock.start()
        outcome = _run(call)
        clock.cancel()
        if is_settled.acquire(blocking=False):
            inbox.deliver([outcome])
            return True
        return False

    def _add_thread(self) -> None:
        self._count += 1
        thread = threading.Thread(
            target=self._work, name=f"taskgraph-{self.name}-{self._count}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _rest(self) -> bool:
        """Wait for calls; False if there will be none."""
        with self._changed:
            self._idle += 1
            try:
                while not self._calls:
                    if self._is_stopping:
                        return False
                    self._changed.wait()
                return True
            finally:
                self._idle -= 1


def _run(call: Call) -> Outcome:
    try:
        return run_call(call)
    except BaseException as error:
        # Nothing that gets here is a task's own; the scheduler waits for an answer all the same,
        # and this thread for the next call.
        return Raised(call.job_id, error, (), now(), now())
