"""Processes that run calls which others have sent: one call at a time in each, and each for itself.

    a call comes          an idle process that sees what the call is to see, or a new one
    it has ended          its answer is handed over as it travels; nobody here reads it
    code was edited       a process that has imported it says so and ends; a new one runs the call
    nobody wants it       its process is killed
    its process dies      that is said, and nothing else

A process serves one project: what it has imported stays.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final, NamedTuple

from taskgraph.executors.border import (
    WorkerPool,
    answer_of_error,
    loaded_code,
    start_worker,
)
from taskgraph.executors.parcels import Parcel, read_parcel
from taskgraph.executors.there import run_there
from taskgraph.fingerprint.project import current_project
from taskgraph.values.places import current_places

_START: Final = "spawn"
_SHORT: Final = 0.05  # seconds: of such calls some are taken ahead of time
_AHEAD: Final = 4  # for each that may run
_LONG: Final = 10.0  # what is expected of calls as long as nothing is known of them
_PATIENCE: Final = 2.0


class Ended(NamedTuple):
    """A call that runs here no more.

    Attributes:
        id: The call.
        answer: What came of it; None if its process died.
    """

    id: str
    answer: bytes | None


class _Work(NamedTuple):
    """A call that is to run."""

    id: str
    parcel: Parcel
    slots: int


class _Cell:
    """A process, and the call that it runs.

    Attributes:
        pool: A pool of this one process.
        around: What it sees.
        work: The call; None if it is idle.
        is_unwanted: Whether it was killed because nobody wants its call.
        began: When it was given the call, by a clock that goes on.
    """

    def __init__(self, around: bytes) -> None:
        self.pool = WorkerPool(
            1,
            mp_context=multiprocessing.get_context(_START),
            initializer=_begin,
            initargs=(list(sys.path), current_places(), current_project()),
        )
        self.around = around
        self.work: _Work | None = None
        self.is_unwanted = False
        self.began = 0.0

    def kill(self) -> None:
        """End the process at once; the pool notices."""
        for each in list((self.pool._processes or {}).values()):
            if each.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)


class ServedProcesses:
    """Runs parcels in processes of this machine. One thread uses it.

    Args:
        size: How many calls run at once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: deque[_Work] = deque()
        self._idle: list[_Cell] = []
        self._seconds = _LONG
        self._began = time.monotonic()
        self._busy: dict[str, _Cell] = {}
        self._events: SimpleQueue[tuple[_Cell, Future[Any]] | None] = SimpleQueue()

    @property
    def room(self) -> int:
        """How many calls more could begin, or will soon: of short ones some are there ahead."""
        ahead = _AHEAD * self.size if self._seconds < _SHORT else 0
        return max(0, self.size + ahead - self._used - len(self._waiting))

    @property
    def stuck(self) -> list[str]:
        """The calls that wait although none has begun for a while: others may have room."""
        is_so = time.monotonic() - self._began > _PATIENCE
        return self.waiting if is_so else []

    @property
    def _used(self) -> int:
        return sum(each.work.slots for each in self._busy.values() if each.work is not None)

    @property
    def running(self) -> set[str]:
        """The calls that run."""
        return set(self._busy)

    @property
    def waiting(self) -> list[str]:
        """The calls that wait until there is room for them."""
        return [each.id for each in self._waiting]

    def submit(self, call_id: str, kept: bytes) -> None:
        """Run a call as soon as there is room for it.

        Args:
            call_id: What it is called.
            kept: Its parcel.

        Raises:
            ExecutorError: That is none.
        """
        parcel = read_parcel(kept)
        self._waiting.append(_Work(call_id, parcel, min(max(1, parcel.slots), self.size)))
        self._feed()

    def wait(self, seconds: float) -> list[Ended]:
        """Return the calls that have ended: at once if there are any, else after a while.

        Args:
            seconds: For how long to wait.
        """
        ended: list[Ended] = []
        timeout = seconds
        with suppress(Empty):
            while True:
                event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
                timeout = 0.0
                if event is not None:
                    ended += self._take(*event)
        self._feed()
        return ended

    def wake(self) -> None:
        """Have `wait` return; from any thread."""
        self._events.put(None)

    def drop(self, ids: Iterable[str]) -> None:
        """Forget calls, and end those that run: nobody wants them any more."""
        unwanted = set(ids)
        self._waiting = deque(each for each in self._waiting if each.id not in unwanted)
        for key in unwanted & self._busy.keys():
            cell = self._busy[key]
            cell.is_unwanted = True
            cell.kill()

    def close(self) -> None:
        """End all processes, whatever they do."""
        self._waiting.clear()
        for each in self._busy.values():
            each.kill()
        for each in [*self._busy.values(), *self._idle]:
            each.pool.shutdown(wait=False, cancel_futures=True)
        self._busy, self._idle = {}, []

    def _feed(self) -> None:
        while self._waiting and self._used + self._waiting[0].slots <= self.size:
            work = self._waiting.popleft()
            self._begin(work, self._cell_for(work.parcel.around))

    def _cell_for(self, around: bytes) -> _Cell:
        """Return an idle process that sees what is wanted; of others one makes way for it."""
        for cell in self._idle:
            if cell.around == around:
                self._idle.remove(cell)
                return cell
        if self._idle and len(self._idle) + len(self._busy) >= self.size:
            self._idle.pop(0).pool.shutdown(wait=False)
        return _Cell(around)

    def _begin(self, work: _Work, cell: _Cell) -> None:
        try:
            future = self._sent_to(cell, work)
        except BrokenProcessPool:  # it died while it was idle
            cell.pool.shutdown(wait=False)
            cell = _Cell(work.parcel.around)
            future = self._sent_to(cell, work)
        cell.work = work
        self._busy[work.id] = cell
        self._began = cell.began = time.monotonic()
        # The pool calls back from a thread of its own, with a lock of its own held.
        future.add_done_callback(lambda done: self._events.put((cell, done)))

    def _sent_to(self, cell: _Cell, work: _Work) -> Future[Any]:
        """Have a process run a call."""
        try:
            return cell.pool.submit(_run, work.parcel.around, work.parcel.message)
        except OSError as error:  # there are no more processes, or no memory for one
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed

    def _take(self, cell: _Cell, future: Future[Any]) -> list[Ended]:
        work = cell.work
        if work is None or self._busy.pop(work.id, None) is None:
            return []  # it was let go of in between
        cell.work = None
        error = future.exception()
        if error is not None:
            cell.pool.shutdown(wait=False)
            return [] if cell.is_unwanted else [Ended(work.id, None)]
        answer: bytes | None = future.result()
        if answer is None:
            cell.pool.shutdown(wait=False)
            if not cell.is_unwanted:
                self._waiting.appendleft(work)
            return []
        if cell.is_unwanted:
            # It ended in the moment in which it was killed.
            cell.pool.shutdown(wait=False)
            return []
        # The longest of late, slowly forgotten.
        self._seconds = max(time.monotonic() - cell.began, 0.7 * self._seconds)
        self._idle.append(cell)
        return [Ended(work.id, answer)]


# In the process

_code: frozenset[tuple[str, int, int]] = frozenset()  # that was loaded when the last call ended


def _begin(path: list[str], places: Any, project: Any) -> None:
    """Make this process one that runs calls, and ends with the one that it is of."""
    start_worker(path, places, project)
    # What ends the server as a service is sent to all its processes: what runs is to end first. It
    # is no way to ignore it, which programs that a body starts would take over.
    signal.signal(signal.SIGTERM, _go_on)


def _go_on(signum: int, frame: FrameType | None) -> None:
    """Do nothing: who started this process ends it, or dies."""


def _run(around: bytes, message: bytes) -> bytes | None:
    """Run a call; None if this process has imported code that was edited since."""
    global _code  # noqa: PLW0603 - one process, one call at a time
    if _code and _code - loaded_code():
        return None
    try:
        answer = run_there(around, [message])
    except Exception as error:  # what it is to see cannot be read here, say: the call has failed
        answer = answer_of_error(error)
    _code = loaded_code()
    return answer


__all__ = ["Ended", "ServedProcesses"]
