"""Runs calls in worker processes on this machine, each started afresh.

A worker that dies fails the calls that it may have been running; the others are given to new
workers. Calls with a time limit run in processes of their own, which can be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Final

from taskgraph.errors import ExecutorError
from taskgraph.executors.begun import Begun
from taskgraph.executors.border import (
    WorkerPool,
    encode_call,
    encode_call_to_anywhere,
    loaded_code,
    run_batch,
    start_worker,
)
from taskgraph.executors.commands import begin_command
from taskgraph.executors.killable import KillableProcesses
from taskgraph.executors.pooled import PooledExecutor, cannot_travel, fail
from taskgraph.fingerprint.project import current_project
from taskgraph.outputs.echo import echo_end
from taskgraph.ports import Call, Command, Inbox
from taskgraph.records import JobId
from taskgraph.values.places import current_places

_METHODS: Final = ("spawn", "forkserver", "loky")


class ProcessExecutor(PooledExecutor):
    """Runs calls in a pool of processes.

    Coroutines that are not said to run here run on the event loop of the scheduler's process: they
    wait more than they compute, and what they await is known there.

    Args:
        name: The name that tasks choose it by.
        max_workers: How many processes; by default one for each core.
        start_method: How they are started: ``spawn``, ``forkserver``, or ``loky``. The workers of
            loky do not load the script that runs, whose functions are sent by content: it needs no
            ``if __name__ == "__main__"``.
    """

    lost = (BrokenProcessPool,)
    breaks = True

    def __init__(
        self,
        name: str = "processes",
        max_workers: int | None = None,
        start_method: str = "spawn",
    ) -> None:
        if start_method not in _METHODS:
            raise ExecutorError(
                f"executor {name!r}: start_method must be 'spawn', 'forkserver' or 'loky', not "
                f"{start_method!r} (a forked copy of a threaded process may hang)"
            )
        super().__init__(name, max_workers)
        self._method = start_method
        self._pool: Pool | None = None
        self._code: frozenset[tuple[str, int, int]] = frozenset()
        self._begun: Begun | None = None
        self._places: dict[Future[Any], int] = {}
        self._limited = KillableProcesses(f"taskgraph-{name}-limits", self.size, self._make_pool)

    def start(self, inbox: Inbox) -> None:
        """Take note of where outcomes go; processes are made when there are calls for them.

        Workers that are there are used again, unless code was edited since they started: they
        would go on with what they imported.
        """
        super().start(inbox)
        code = loaded_code()
        if code - self._code:
            self._limited.renew()
            with self._lock:
                if self._is_open:
                    self._is_open = False
                    self.close(False)
        self._code = code

    def submit(self, calls: Sequence[Call]) -> None:
        """Queue calls and give the pool as many as keep its workers busy."""
        inbox = self._inbox
        assert inbox is not None, "start comes before submit"
        for call in calls:
            if call.timeout is not None:
                try:
                    self._limited.submit(call, inbox, self.encode(call))
                except Exception as error:
                    fail(call, inbox, cannot_travel(call, error))
        if unlimited := [call for call in calls if call.timeout is None]:
            super().submit(unlimited)

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that were not sent to a worker."""
        return super().cancel(job_ids) + self._limited.cancel(job_ids)

    def stop(self, is_now: bool = False) -> None:
        """Let the workers end after the calls that they run, or kill them."""
        self._limited.stop(is_now)
        super().stop(is_now)
        begun, self._begun = self._begun, None
        self._places.clear()
        if begun is not None:
            begun.close()

    def encode(self, call: Call) -> bytes:
        """Return a call as it travels: time is kept here, and most workers have the script."""
        if self._method == "loky":
            return encode_call_to_anywhere(call._replace(timeout=None))
        return encode_call(call)

    def post(self, messages: list[bytes], calls: Sequence[Call]) -> Future[Any]:
        """Send calls to workers that were told of the project when they started."""
        assert self._begun is not None
        place = self._begun.take()
        try:
            future = self.send(run_batch, messages, place)
        except BaseException:
            self._begun.give_back(place)
            raise
        self._places[future] = place
        return future

    def begun_of(self, future: Future[Any]) -> int | None:
        """Return how many calls of a message were begun."""
        place = self._places.get(future)
        return None if place is None or self._begun is None else self._begun.look(place)

    def begun(self, future: Future[Any]) -> int | None:
        """Return how many calls of a message were begun."""
        place = self._places.pop(future, None)
        return None if place is None or self._begun is None else self._begun.give_back(place)

    def open(self) -> None:
        """Make a pool; its processes start as there are calls for them."""
        if self._begun is None:
            self._begun = Begun()
        self._pool = self._make_pool(self.size)

    def send(self, run: Callable[..., bytes], /, *args: Any) -> Future[bytes]:
        """Have a function run by a process."""
        assert self._pool is not None
        return self._pool.submit(run, *args)

    def close(self, is_now: bool) -> None:
        """Let processes end after the calls that they run, or kill them."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        workers = list((getattr(pool, "_processes", None) or {}).values()) if is_now else []
        pool.shutdown(wait=False, cancel_futures=True) if self._method != "loky" else pool.shutdown(
            wait=False
        )
        for each in workers:
            if each.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)

    def _make_pool(self, size: int) -> Pool:
        around = (list(sys.path), current_places(), current_project())
        begun = None if self._begun is None else self._begun.path
        if self._method == "loky":
            return _loky_pool(self.name, size, (*around, os.getpid(), None, begun))
        return WorkerPool(
            size,
            mp_context=multiprocessing.get_context(self._method),
            initializer=start_worker,
            initargs=(*around, None, echo_end(), begun),
        )

    def launch(self, command: Command) -> str:
        """Have a command run by a process of its own, which nobody waits for."""
        process = begin_command(command)
        process.returncode = 0  # nobody here asks what becomes of it
        return f"process {process.pid}"


def _loky_pool(name: str, size: int, around: tuple[Any, ...]) -> Pool:
    try:
        from loky.backend import get_context
        from loky.process_executor import ProcessPoolExecutor
    except ImportError:
        raise ExecutorError(
            f"executor {name!r}: start_method 'loky' needs the package loky: "
            "pip install 'taskgraph[loky]'"
        ) from None
    pool: Pool = ProcessPoolExecutor(
        size,
        context=get_context("loky"),
        initializer=start_worker,
        initargs=around,
    )
    return pool
