"""Processes that run calls which others have sent: one call at a time in each, and each for itself.

a call comes          an idle process that sees what the call is to see, or a new one
no process begins     that is said: the call was not begun, and may go elsewhere
it has ended          its answer is handed over as it travels; nobody here reads it
its time is over      the same, and its process ends with what the body has left behind
code was edited       a process that has imported it says so and ends; a new one runs the call
nobody wants it       its process is killed
its process dies      that is said, once the scripts that it ran have ended
it is taken anew      begins once nothing is left of the earlier one: nobody wants that any more

None of this is an executor: `serving.calls` feeds it, and `executors.queued` is the one that sends.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from taskgraph.errors import TaskTimeoutError
from taskgraph.executors.border import answer_of_error
from taskgraph.executors.cell import Cell, Work
from taskgraph.executors.parcels import read_parcel
from taskgraph.scripting.groups import is_guarded

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


class _Leaving(NamedTuple):
    """A process that has died, and whose scripts may run still: they are ended by others.

    Attributes:
        pid: The process.
        latest: When it is not waited for any longer, by a clock that goes on.
        is_unwanted: Whether nobody is to be told of its call.
    """

    pid: int
    latest: float
    is_unwanted: bool = False


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
        self._waiting: deque[Work] = deque()
        self._unbegun: list[Ended] = []
        self._idle: list[Cell] = []
        self._seconds = _LONG
        self._began = time.monotonic()
        self._busy: dict[str, Cell] = {}
        self._leaving: dict[str, _Leaving] = {}
        self._events: SimpleQueue[tuple[Cell, Future[Any]] | None] = SimpleQueue()

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

    @property
    def unbegun(self) -> list[str]:
        """The calls that no process has begun, as `wait` is about to say."""
        return [each.id for each in self._unbegun]

    def submit(self, call_id: str, kept: bytes, task: str = "") -> None:
        """Run a call as soon as there is room for it, and nothing left of an earlier taking.

        Args:
            call_id: What it is called.
            kept: Its parcel.
            task: The full name of its task.

        Raises:
            ExecutorError: That is none.
        """
        parcel = read_parcel(kept)
        slots = min(max(1, parcel.slots), self.size)
        self.drop([call_id])
        self._waiting.append(Work(call_id, task, parcel, slots))
        self._feed()

    def wait(self, seconds: float) -> list[Ended]:
        """Return the calls that have ended: at once if there are any, else after a while.

        Args:
            seconds: For how long to wait.
        """
        ended, self._unbegun = self._unbegun, []
        timeout = 0.0 if ended else self._seconds_to_wait(seconds)
        with suppress(Empty):
            while True:
                event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
                timeout = 0.0
                if event is not None:
                    ended += self._take(*event)
        self._kill_late()
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
        self._unbegun = [each for each in self._unbegun if each.id not in unwanted]
        for key in unwanted & self._leaving.keys():
            self._leaving[key] = self._leaving[key]._replace(is_unwanted=True)
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

    # Beginning

    def _feed(self) -> None:
        while self._may_begin():
            work = self._waiting.popleft()
            try:
                self._begin(work)
            except Exception as error:
                # No more processes, threads or files, no memory, no interpreter: no fault of the
                # call, which was not begun.
                self._unbegun.append(Ended(work.id, None, error))

    def _may_begin(self) -> bool:
        """Tell whether there is room for the first that waits, and it does not run still."""
        if not self._waiting or self._waiting[0].id in self.running:
            return False
        return self._used + self._waiting[0].slots <= self.size

    def _begin(self, work: Work) -> None:
        cell = self._cell_for(work.parcel.around)
        try:
            self._give(cell, work)
        except BrokenProcessPool:  # it died while it was idle
            self._give(Cell(work.parcel.around), work)

    def _cell_for(self, around: bytes) -> Cell:
        """Return an idle process that sees what is wanted; of others one makes way for it."""
        for cell in self._idle:
            if cell.around == around:
                self._idle.remove(cell)
                return cell
        if self._idle and len(self._idle) + len(self._busy) >= self.size:
            self._idle.pop(0).let_go()
        return Cell(around)

    def _give(self, cell: Cell, work: Work) -> None:
        """Have a process run a call, or first of all say that it is there.

        Raises:
            Exception: It cannot be started, or is dead; it has no call then.
        """
        try:
            future = cell.give(work)
        except BrokenProcessPool:
            cell.let_go()
            raise
        except BaseException:
            cell.end()
            raise
        self._busy[work.id] = cell
        self._began = time.monotonic()
        # The pool calls back from a thread of its own, with a lock of its own held.
        future.add_done_callback(lambda done: self._events.put((cell, done)))

    # What has happened

    def _take(self, cell: Cell, future: Future[Any]) -> list[Ended]:
        """Return the call of a process that has done something, if it has ended."""
        work = cell.work
        if work is None or self._busy.get(work.id) is not cell:
            return []  # it was let go of in between
        del self._busy[work.id]
        cell.work = None
        error = future.exception()
        if error is not None or cell.is_unwanted:
            cell.end()  # what it has started goes with it
            return self._on_death(cell, work, error)
        if cell.pid is None:
            cell.pid = future.result()
            self.started += 1
            return self._go_on_with(cell, work)
        return self._read(cell, work, *future.result())

    def _on_death(self, cell: Cell, work: Work, error: BaseException | None) -> list[Ended]:
        if cell.pid is None:
            return [] if cell.is_unwanted else [Ended(work.id, None, error)]
        if cell.is_late and work.parcel.timeout is not None and not cell.is_unwanted:
            late = TaskTimeoutError(work.task, work.parcel.timeout)
            return [Ended(work.id, answer_of_error(late))]
        latest = time.monotonic() + _SCRIPTS
        self._leaving[work.id] = _Leaving(cell.pid, latest, cell.is_unwanted)
        return []

    def _go_on_with(self, cell: Cell, work: Work) -> list[Ended]:
        """Give a process that has just begun its first call."""
        try:
            self._give(cell, work)
        except Exception as error:
            return [Ended(work.id, None, error)]
        return []

    def _read(self, cell: Cell, work: Work, answer: bytes | None, is_left: bool) -> list[Ended]:
        """Return what a process has said of its call; one that can run others waits for them."""
        if answer is None:
            cell.let_go()
            self._waiting.appendleft(work)
            return []
        # The longest of late, slowly forgotten.
        self._seconds = max(time.monotonic() - cell.began, 0.7 * self._seconds)
        if is_left or cell.is_late:
            cell.end()
        else:
            self._idle.append(cell)
        return [Ended(work.id, answer)]

    # What is waited for

    def _seconds_to_wait(self, most: float) -> float:
        if self._leaving:
            return min(most, _OFTEN)
        latest = [each.latest for each in self._busy.values() if each.latest is not None]
        moment = time.monotonic()
        return max(0.0, min([most, *(each - moment for each in latest)]))

    def _kill_late(self) -> None:
        """Kill the processes that do not say themselves that the time of their call is over."""
        moment = time.monotonic()
        for each in self._busy.values():
            if each.latest is not None and each.latest <= moment:
                each.is_late = True
                each.kill()

    def _left(self) -> list[Ended]:
        """Return the calls of dead processes that have left nothing any more."""
        moment = time.monotonic()
        gone = [
            key
            for key, each in self._leaving.items()
            if moment >= each.latest or not is_guarded(each.pid)
        ]
        left = {key: self._leaving.pop(key) for key in gone}
        return [Ended(key, None) for key, each in left.items() if not each.is_unwanted]


__all__ = ["Ended", "ServedProcesses"]
