"""Processes that run calls which others have sent: one call at a time in each, and each for itself.

    a call comes          an idle process that sees what the call is to see, or a new one
      no process begins     that is said: the call was not begun, and may go elsewhere
    it has ended          its answer is handed over as it travels; nobody here reads it
    its time is over      the same, and its process ends with what the body has left behind
    code was edited       a process that has imported it says so and ends; a new one runs the call
    nobody wants it       its process is killed
    its process dies      that is said, once the scripts that it ran have ended

A process serves one project: what it has imported stays. It leads a session of its own, so that
programs which a body has started end with it, whatever ends it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, ClassVar, Final, NamedTuple

from taskgraph.executors.border import WorkerPool, answer_of_error, loaded_code, start_worker
from taskgraph.executors.late import end_late_bodies, is_left_behind
from taskgraph.executors.parcels import Parcel, read_parcel
from taskgraph.executors.there import run_there
from taskgraph.fingerprint.project import current_project
from taskgraph.scripting.groups import is_guarded
from taskgraph.values.places import current_places

_START: Final = "spawn"
_SHORT: Final = 0.05  # seconds: of such calls some are taken ahead of time
_AHEAD: Final = 4  # for each that may run
_LONG: Final = 10.0  # what is expected of calls as long as nothing is known of them
_PATIENCE: Final = 2.0
_SCRIPTS: Final = 5.0  # scripts of a process that is gone have ended after two, or are stuck
_OFTEN: Final = 0.05


class Ended(NamedTuple):
    """A call that runs here no more.

    Attributes:
        id: The call.
        answer: What came of it; None if its process died, or none had it.
        unbegun: What kept a process from beginning with it; None if one had it.
    """

    id: str
    answer: bytes | None
    unbegun: BaseException | None = None


class _Work(NamedTuple):
    """A call that is to run."""

    id: str
    parcel: Parcel
    slots: int


class _Leaving(NamedTuple):
    """A process that has died, and whose scripts may run still: they are ended by others.

    Attributes:
        pid: The process.
        latest: When it is not waited for any longer, by a clock that goes on.
    """

    pid: int
    latest: float


class _CellPool(WorkerPool):
    """A pool of one process, which hears of no end of a service before it can go on after that."""

    held_back: ClassVar[frozenset[signal.Signals]] = frozenset({signal.SIGINT, signal.SIGTERM})


class _Cell:
    """A process, and the call that it runs.

    Attributes:
        pool: A pool of this one process.
        around: What it sees.
        pid: The process, once it has said that it is there: no call is given to it before.
        work: The call; None if it is idle.
        is_unwanted: Whether it was killed because nobody wants its call.
        began: When it was given the call, by a clock that goes on.
    """

    def __init__(self, around: bytes) -> None:
        self.pool = _CellPool(
            1,
            mp_context=multiprocessing.get_context(_START),
            initializer=_begin,
            initargs=(list(sys.path), current_places(), current_project()),
        )
        self.around = around
        self.pid: int | None = None
        self.work: _Work | None = None
        self.is_unwanted = False
        self.began = 0.0

    def ask(self, run: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have the process do something; the first time it is started for that.

        Raises:
            BrokenProcessPool: It is dead.
            Exception: It cannot be started.
        """
        return self.pool.submit(run, *args)

    def kill(self) -> None:
        """End the process at once, with all that it has started; the pool notices."""
        every = list((self.pool._processes or {}).values())
        for each in every:
            each.kill()
            # One that is about to begin leads nothing yet; what another one has led may be there
            # when it is gone itself.
            if each.pid is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(each.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process, and let go of it."""
        self.kill()
        self.let_go()

    def let_go(self) -> None:
        """Let the process end after what it does."""
        self.pool.shutdown(wait=False, cancel_futures=True)


class ServedProcesses:
    """Runs parcels in processes of this machine. One thread uses it.

    Args:
        size: How many calls run at once.

    Attributes:
        started: How many processes have begun.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.started = 0
        self._waiting: deque[_Work] = deque()
        self._unbegun: list[Ended] = []
        self._idle: list[_Cell] = []
        self._seconds = _LONG
        self._began = time.monotonic()
        self._busy: dict[str, _Cell] = {}
        self._leaving: dict[str, _Leaving] = {}
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
        """The calls that run, or have left something that does."""
        return self._busy.keys() | self._leaving.keys()

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
        ended, self._unbegun = self._unbegun, []
        most = min(seconds, _OFTEN) if self._leaving else seconds
        timeout = 0.0 if ended else most
        with suppress(Empty):
            while True:
                event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
                timeout = 0.0
                if event is not None:
                    ended += self._take(*event)
        ended += self._left()
        self._feed()
        return ended

    def wake(self) -> None:
        """Have `wait` return; from any thread."""
        self._events.put(None)

    def drop(self, ids: Iterable[str]) -> None:
        """Forget calls, and end those that run: nobody wants them any more."""
        unwanted = set(ids)
        self._waiting = deque(each for each in self._waiting if each.id not in unwanted)
        for key in unwanted:
            self._leaving.pop(key, None)
        for key in unwanted & self._busy.keys():
            cell = self._busy[key]
            cell.is_unwanted = True
            cell.kill()

    def close(self) -> None:
        """End all processes, whatever they do, and wait until their scripts have ended."""
        latest = time.monotonic() + _SCRIPTS
        for key, cell in self._busy.items():
            cell.end()
            if cell.pid is not None:
                self._leaving[key] = _Leaving(cell.pid, latest)
        for each in self._idle:
            each.let_go()
        self._busy, self._idle = {}, []
        self._waiting.clear()
        self._left()
        while self._leaving:
            time.sleep(_OFTEN)
            self._left()

    def _left(self) -> list[Ended]:
        """Return the calls of dead processes that have left nothing any more."""
        moment = time.monotonic()
        gone = [
            key
            for key, each in self._leaving.items()
            if moment >= each.latest or not is_guarded(each.pid)
        ]
        for key in gone:
            del self._leaving[key]
        return [Ended(key, None) for key in gone]

    def _feed(self) -> None:
        while self._waiting and self._used + self._waiting[0].slots <= self.size:
            work = self._waiting.popleft()
            try:
                self._begin(work)
            except Exception as error:
                # No more processes, threads or files, no memory, no interpreter: no fault of the
                # call, which was not begun.
                self._unbegun.append(Ended(work.id, None, error))

    def _begin(self, work: _Work) -> None:
        cell = self._cell_for(work.parcel.around)
        try:
            self._give(cell, work)
        except BrokenProcessPool:  # it died while it was idle
            self._give(_Cell(work.parcel.around), work)

    def _cell_for(self, around: bytes) -> _Cell:
        """Return an idle process that sees what is wanted; of others one makes way for it."""
        for cell in self._idle:
            if cell.around == around:
                self._idle.remove(cell)
                return cell
        if self._idle and len(self._idle) + len(self._busy) >= self.size:
            self._idle.pop(0).let_go()
        return _Cell(around)

    def _give(self, cell: _Cell, work: _Work) -> None:
        """Have a process run a call, or first of all say that it is there.

        Raises:
            Exception: It cannot be started, or is dead; it has no call then.
        """
        try:
            if cell.pid is None:
                future = cell.ask(os.getpid)
            else:
                future = cell.ask(_run, work.parcel.around, work.parcel.message)
        except BrokenProcessPool:
            cell.let_go()
            raise
        except BaseException:
            cell.end()
            raise
        cell.work = work
        self._busy[work.id] = cell
        self._began = cell.began = time.monotonic()
        # The pool calls back from a thread of its own, with a lock of its own held.
        future.add_done_callback(lambda done: self._events.put((cell, done)))

    def _take(self, cell: _Cell, future: Future[Any]) -> list[Ended]:
        """Return the call of a process that has done something, if it has ended."""
        work = cell.work
        if work is None or self._busy.get(work.id) is not cell:
            return []  # it was let go of in between
        del self._busy[work.id]
        cell.work = None
        error = future.exception()
        if error is not None:
            cell.end()  # what it has started goes with it
            if cell.is_unwanted:
                return []
            if cell.pid is None:
                return [Ended(work.id, None, error)]
            self._leaving[work.id] = _Leaving(cell.pid, time.monotonic() + _SCRIPTS)
            return []
        if cell.is_unwanted:
            cell.end()  # it ended in the moment in which it was killed
            return []
        if cell.pid is None:
            cell.pid = future.result()
            self.started += 1
            return self._go_on_with(cell, work)
        return self._read(cell, work, *future.result())

    def _go_on_with(self, cell: _Cell, work: _Work) -> list[Ended]:
        """Give a process that has just begun its first call."""
        try:
            self._give(cell, work)
        except Exception as error:
            return [Ended(work.id, None, error)]
        return []

    def _read(self, cell: _Cell, work: _Work, answer: bytes | None, is_left: bool) -> list[Ended]:
        """Return what a process has said of its call; one that can run others waits for them."""
        if answer is None:
            cell.let_go()
            self._waiting.appendleft(work)
            return []
        # The longest of late, slowly forgotten.
        self._seconds = max(time.monotonic() - cell.began, 0.7 * self._seconds)
        if is_left:
            cell.end()
        else:
            self._idle.append(cell)
        return [Ended(work.id, answer)]


# In the process

_code: frozenset[tuple[str, int, int]] = frozenset()  # that was loaded when the last call ended


def _begin(path: list[str], places: Any, project: Any) -> None:
    """Make this process one that runs calls, and ends with the one that it is of."""
    # The programs that bodies start can be ended with it then, and a Ctrl-C is not for them.
    with suppress(OSError):
        os.setsid()
    start_worker(path, places, project)
    end_late_bodies()
    # What ends the server as a service is sent to all its processes: what runs is to end first. It
    # is no way to ignore it, which programs that a body starts would take over.
    signal.signal(signal.SIGTERM, _go_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _go_on(signum: int, frame: FrameType | None) -> None:
    """Do nothing: who started this process ends it, or dies."""


def _run(around: bytes, message: bytes) -> tuple[bytes | None, bool]:
    """Run a call.

    Returns:
        What came of it, None if this process has imported code that was edited since; and whether
        a body is left behind, whose time was over.
    """
    global _code  # noqa: PLW0603 - one process, one call at a time
    if _code and _code - loaded_code():
        return None, False
    try:
        answer = run_there(around, [message])
    except BaseException as error:
        # What it is to see cannot be read here, or a module of it ends the program that imports
        # it: the call has failed, and its process has not died.
        answer = answer_of_error(error)
    _code = loaded_code()
    return answer, is_left_behind()


__all__ = ["Ended", "ServedProcesses"]
