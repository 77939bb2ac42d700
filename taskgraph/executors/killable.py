"""Worker processes for calls with a time limit: one call at a time in each, killed if it is late.

    a call comes             an idle process, or a new one if there may be another
      the process is up      only now its time begins
      it answers             its outcome is handed over; the process is idle
      its time is over       the process is killed, and the call has failed

One thread keeps all of them: nothing in here blocks another one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from taskgraph.errors import TaskTimeoutError, WorkerLostError
from taskgraph.executors.border import decode_outcomes, run_batch
from taskgraph.ports import Call, Inbox, Raised
from taskgraph.records import JobId
from taskgraph.worker import now


class _Cell:
    """A pool of one process, and the call that it runs."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.pid: int | None = None
        self.call: Call | None = None
        self.inbox: Inbox | None = None
        self.message = b""
        self.deadline: float | None = None
        self.is_killed = False


class KillableProcesses:
    """Runs calls that have a time limit.

    Args:
        name: What the thread is called.
        size: How many processes there may be.
        make_pool: Makes a pool of so many processes.
    """

    def __init__(self, name: str, size: int, make_pool: Callable[[int], Pool]):
        self._name = name
        self._size = size
        self._make_pool = make_pool
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Call, Inbox, bytes]] = deque()
        self._events: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        # Touched by the keeper's thread alone.
        self._idle: list[_Cell] = []
        self._busy: list[_Cell] = []

    def submit(self, call: Call, inbox: Inbox, message: bytes) -> None:
        """Queue a call that was encoded already."""
        with self._lock:
            self._waiting.append((call, inbox, message))
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name=self._name, daemon=True)
                self._thread.start()
        self._events.put(self._feed)

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that no process has."""
        unwanted = set(job_ids)
        with self._lock:
            dropped = [call.job_id for call, *_ in self._waiting if call.job_id in unwanted]
            self._waiting = deque(e for e in self._waiting if e[0].job_id not in unwanted)
        return dropped

    def renew(self) -> None:
        """Let go of the processes that are idle: they hold code that was edited."""
        self._events.put(self._drop_idle)

    def stop(self, is_now: bool = False) -> None:
        """Let the processes end after the calls that they run, or at once."""
        with self._lock:
            self._waiting.clear()
            thread, self._thread = self._thread, None
        if thread is None:
            return
        if is_now:
            self._events.put(lambda: self._kill(self._busy))
        self._events.put(None)
        if threading.current_thread() is not thread:
            thread.join()

    def _keep(self) -> None:
        while True:
            late = [each.deadline for each in self._busy if each.deadline is not None]
            timeout = max(0.0, min(late) - time.monotonic()) if late else None
            with suppress(Empty):
                event = self._events.get(timeout=timeout)
                if event is None:
                    break
                event()
            moment = time.monotonic()
            self._kill([each for each in self._busy if (each.deadline or moment + 1) <= moment])
        for each in [*self._idle, *self._busy]:
            each.pool.shutdown(wait=False)
        self._idle, self._busy = [], []

    def _feed(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or not self._has_room(self._waiting[0][0]):
                    return
                call, inbox, message = self._waiting.popleft()
            cell = self._idle.pop() if self._idle else _Cell(self._make_pool(1))
            cell.call, cell.inbox, cell.message = call, inbox, message
            self._busy.append(cell)
            if cell.pid is None:
                self._when_done(cell, cell.pool.submit(os.getpid), self._is_up)
            else:
                self._send(cell)

    def _has_room(self, call: Call) -> bool:
        busy = [each.call.resources.slots(self._size) for each in self._busy if each.call]
        return sum(busy) + call.resources.slots(self._size) <= self._size

    def _when_done(
        self, cell: _Cell, future: Future[Any], then: Callable[[_Cell, Any], None]
    ) -> None:
        # The pool calls back from a thread of its own, with a lock of its own held.
        future.add_done_callback(lambda done: self._events.put(partial(self._on, cell, done, then)))

    def _on(self, cell: _Cell, future: Future[Any], then: Callable[[_Cell, Any], None]) -> None:
        if cell not in self._busy:
            return  # it was let go of in between
        error = future.exception()
        if error is not None:
            self._lose(cell, error)
        else:
            then(cell, future.result())

    def _is_up(self, cell: _Cell, pid: int) -> None:
        cell.pid = pid
        self._send(cell)

    def _send(self, cell: _Cell) -> None:
        assert cell.call is not None and cell.call.timeout is not None
        cell.deadline = time.monotonic() + cell.call.timeout
        try:
            future = cell.pool.submit(run_batch, [cell.message])
        except BrokenProcessPool as error:  # it died while it was idle
            self._lose(cell, error)
            return
        self._when_done(cell, future, self._has_ended)

    def _has_ended(self, cell: _Cell, answer: bytes) -> None:
        assert cell.call is not None and cell.inbox is not None
        try:
            outcomes = decode_outcomes(answer, [cell.call])
        except BaseException as damaged:  # whatever the user's classes raise as they are read
            outcomes = [Raised(cell.call.job_id, damaged, (), now(), now())]
        inbox = cell.inbox
        cell.call = cell.inbox = cell.deadline = None
        self._busy.remove(cell)
        self._idle.append(cell)
        inbox.deliver(outcomes)
        self._feed()

    def _lose(self, cell: _Cell, error: BaseException) -> None:
        """Say of a call whose process is gone why it has failed."""
        call, inbox = cell.call, cell.inbox
        assert call is not None and inbox is not None and call.timeout is not None
        if cell.is_killed:
            error = TaskTimeoutError(call.fullname, call.timeout)
        elif isinstance(error, BrokenProcessPool):
            error = WorkerLostError(call.fullname)
        self._busy.remove(cell)
        cell.pool.shutdown(wait=False)
        inbox.deliver([Raised(call.job_id, error, (), now(), now())])
        self._feed()

    def _kill(self, cells: Sequence[_Cell]) -> None:
        for each in cells:
            if each.pid is not None and not each.is_killed:
                each.is_killed = True
                each.deadline = None
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)

    def _drop_idle(self) -> None:
        for each in self._idle:
            each.pool.shutdown(wait=False)
        self._idle = []
