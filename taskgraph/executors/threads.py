"""Runs calls on threads of this process."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from taskgraph.errors import TaskTimeoutError
from taskgraph.ports import NO_RESOURCES, Call, Inbox, Outcome, Raised
from taskgraph.records import JobId
from taskgraph.scripting.groups import Scope
from taskgraph.worker import now, run_call

# While threads run Python code, the scheduler gets the interpreter back only after a switch
# interval: with the default of 5 ms a commit of many rows takes hundreds of milliseconds.
_SWITCH_INTERVAL = 0.0002


class _Wide:
    """A call that takes several threads: it stands in the queue as often, side by side.

    The last thread that comes to it runs it; the others rest until it has ended.
    """

    def __init__(self, call: Call, inbox: Inbox, width: int) -> None:
        self.call = call
        self.inbox = inbox
        self.missing = width  # threads
        self.is_over = threading.Event()


class ThreadExecutor:
    """Runs calls on a fixed number of threads, which take them from one queue.

    A call with the hint ``cpus=4`` takes four of them. It waits for these in its place in the
    queue: what came later does not overtake it.

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
        self._calls: deque[tuple[Call, Inbox] | _Wide] = deque()
        # A condition instead of a queue: threads wait on it for calls, which they take without it.
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._scripts: set[Scope] = set()  # those of each thread that still runs
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
            added = 0
            for call in calls:
                width = 1 if call.resources is NO_RESOURCES else call.resources.slots(self._size)
                if width == 1:
                    self._calls.append((call, inbox))
                else:
                    self._calls.extend([_Wide(call, inbox, width)] * width)
                added += width
            missing = min(len(self._calls) - self._idle, self._size - len(self._threads))
            for _ in range(max(0, missing)):
                self._add_thread()
            self._changed.notify(min(added, self._size))

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that no thread has taken."""
        unwanted = set(job_ids)
        dropped: dict[JobId, None] = {}
        kept: list[tuple[Call, Inbox] | _Wide] = []
        with self._changed:
            while self._calls:
                try:
                    each = self._calls.popleft()
                except IndexError:  # threads take calls without the lock
                    break
                job_id = (each.call if isinstance(each, _Wide) else each[0]).job_id
                if job_id not in unwanted:
                    kept.append(each)
                    continue
                dropped[job_id] = None
                if isinstance(each, _Wide):
                    each.is_over.set()  # threads that came to it have come for nothing
            self._calls.extend(kept)
            if kept:
                self._changed.notify(len(kept))
        return list(dropped)

    def queued(self, job_ids: Sequence[JobId]) -> set[JobId]:
        """Return which of the calls no thread has begun."""
        waiting = self._calls.copy()  # one step: threads take calls without the lock
        found = {(e.call if isinstance(e, _Wide) else e[0]).job_id for e in waiting}
        return found & set(job_ids)

    def stop(self, is_now: bool = False) -> None:
        """Let the threads end after the calls that they run; nobody waits for them.

        Now means that the scripts among them are ended.
        """
        with self._changed:
            self._is_stopping = True
            with suppress(IndexError):  # threads take calls without the lock
                while True:
                    each = self._calls.popleft()
                    if isinstance(each, _Wide):
                        each.is_over.set()
            self._changed.notify_all()
            scopes = list(self._scripts) if is_now else []
        for scope in scopes:
            scope.end()
        self._threads = []
        if self._old_interval is not None:
            sys.setswitchinterval(self._old_interval)
            self._old_interval = None

    def _work(self) -> None:
        scripts = Scope()
        scripts.enter()
        with self._changed:
            self._scripts.add(scripts)
        try:
            self._run_calls(scripts)
        finally:
            with self._changed:
                self._scripts.discard(scripts)

    def _run_calls(self, scripts: Scope) -> None:
        calls = self._calls
        while True:
            try:
                each = calls.popleft()
            except IndexError:
                if not self._rest():
                    return
                continue
            if isinstance(each, _Wide):
                if not self._join(each, scripts):
                    return
                continue
            call, inbox = each
            # Each outcome is handed over at once: the next call may take an hour.
            if call.timeout is None:
                inbox.deliver([_run(call)])
            elif not self._run_limited(call, call.timeout, inbox, scripts):
                return

    def _join(self, wide: _Wide, scripts: Scope) -> bool:
        """Come to a call that takes several threads; False if this thread was abandoned in it."""
        with self._changed:
            wide.missing -= 1
            is_last = wide.missing == 0
        if not is_last:
            wide.is_over.wait()
            return True
        call = wide.call
        try:
            if call.timeout is None:
                wide.inbox.deliver([_run(call)])
                return True
            return self._run_limited(call, call.timeout, wide.inbox, scripts, wide.is_over)
        finally:
            wide.is_over.set()

    def _run_limited(
        self,
        call: Call,
        timeout: float,
        inbox: Inbox,
        scripts: Scope,
        is_over: threading.Event | None = None,
    ) -> bool:
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
            if is_over is not None:
                is_over.set()
            error = TaskTimeoutError(call.fullname, timeout, is_abandoned=True)
            inbox.deliver([Raised(call.job_id, error, (), now(), now())])
            scripts.end()  # the body goes on, a script that it runs does not

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
