"""A process that runs one call at a time for a server of calls, and what happens within it.

It serves one project: what it has imported stays. It leads a session of its own, so that programs
which a body has started end with it, whatever ends it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ClassVar, Final, NamedTuple

from taskgraph.executors.border import WorkerPool, answer_of_error, loaded_code, start_worker
from taskgraph.executors.late import end_late_bodies, is_left_behind
from taskgraph.executors.parcels import Parcel
from taskgraph.executors.there import run_there
from taskgraph.fingerprint.project import current_project
from taskgraph.forks import go_on_at
from taskgraph.scripting.groups import run_for
from taskgraph.values.places import current_places

_START: Final = "spawn"
#: So many seconds after the time of a call is over its process ends that does not say so itself:
#: code which holds the interpreter keeps it from that. What is imported first is no part of it.
GRACE: Final = 120.0


class Work(NamedTuple):
    """A call that is to run.

    Attributes:
        id: The call.
        task: The full name of its task.
        parcel: The same as it travels.
        slots: How many it takes.
    """

    id: str
    task: str
    parcel: Parcel
    slots: int


class _CellPool(WorkerPool):
    """A pool of one process, which hears of no end of a service before it can go on after that."""

    held_back: ClassVar[frozenset[signal.Signals]] = frozenset({signal.SIGINT, signal.SIGTERM})


class Cell:
    """A process, and the call that it runs.

    Args:
        around: What it is to see.

    Attributes:
        pool: A pool of this one process.
        around: The same.
        pid: The process, once it has said that it is there: no call is given to it before.
        work: The call; None if it is idle.
        is_unwanted: Whether it was killed because nobody wants its call.
        is_late: Whether it was killed because the time of its call was over.
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
        self.work: Work | None = None
        self.is_unwanted = False
        self.is_late = False
        self.began = 0.0

    @property
    def latest(self) -> float | None:
        """When it is to be killed, by the clock of `began`; None if that is no matter."""
        if self.pid is None or self.work is None or self.is_late:
            return None
        timeout = self.work.parcel.timeout
        return None if timeout is None else self.began + timeout + GRACE

    def give(self, work: Work) -> Future[Any]:
        """Have the process run a call, or first of all say that it is there.

        Raises:
            BrokenProcessPool: It is dead.
            Exception: It cannot be started.
        """
        if self.pid is None:
            future = self.ask(os.getpid)
        else:
            future = self.ask(_run, work.parcel.around, work.parcel.message)
        self.work = work
        self.began = time.monotonic()
        return future

    def ask(self, run: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have the process do something; the first time it is started for that.

        Raises:
            BrokenProcessPool: It is dead.
            Exception: It cannot be started.
        """
        return self.pool.submit(run, *args)

    def kill(self) -> None:
        """End the process at once, with all that it has started; the pool notices."""
        for each in list((self.pool._processes or {}).values()):
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


# In the process

_code: frozenset[tuple[str, int, int]] = frozenset()  # that was loaded when the last call ended


def _begin(path: list[str], places: Any, project: Any) -> None:
    """Make this process one that runs calls, and ends with the one that it is of."""
    # The programs that bodies start can be ended with it then, and a Ctrl-C is not for them.
    with suppress(OSError):
        os.setsid()
    # Who finds that the server is gone has others run its calls once their scripts have ended.
    run_for(os.getppid())
    start_worker(path, places, project)
    end_late_bodies()
    # What ends the server as a service is sent to all its processes: what runs is to end first.
    go_on_at({signal.SIGTERM})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


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


__all__ = ["GRACE", "Cell", "Work"]
