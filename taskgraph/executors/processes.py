"""Runs calls in worker processes on this machine, each started afresh (spawn).

A worker that dies fails the calls that it may have been running; the others are given to new
workers. Calls with a time limit run in processes of their own, which can be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from typing import NamedTuple

from taskgraph.errors import ExecutorError, WorkerLostError
from taskgraph.executors.border import (
    MOST_SECONDS,
    WorkerPool,
    decode_outcomes,
    encode_call,
    loaded_code,
    run_batch,
    start_worker,
)
from taskgraph.executors.killable import KillableProcesses
from taskgraph.fingerprint.project import current_project
from taskgraph.outputs.echo import echo_end
from taskgraph.ports import Call, Inbox, Outcome, Raised
from taskgraph.records import JobId
from taskgraph.values.places import current_places
from taskgraph.worker import now

# Calls that are given to the pool ahead of time, for each worker: enough that none is idle while
# outcomes travel, few enough that a cancelled run leaves little behind.
_AHEAD = 2
_MOST_IN_BATCH = 32


class _Batch(NamedTuple):
    """Calls that were sent together, and the pool that they were sent to."""

    calls: list[tuple[Call, Inbox]]
    pool: WorkerPool
    slots: int


class ProcessExecutor:
    """Runs calls in a pool of processes.

    Coroutines that are not said to run here run on the event loop of the scheduler's process: they
    wait more than they compute, and what they await is known there.

    Args:
        name: The name that tasks choose it by.
        max_workers: How many processes; by default one for each core.
        start_method: How they are started: ``spawn`` or ``forkserver``.
    """

    gives_coroutines_to = "async"

    def __init__(
        self,
        name: str = "processes",
        max_workers: int | None = None,
        start_method: str = "spawn",
    ) -> None:
        if start_method not in {"spawn", "forkserver"}:
            raise ExecutorError(
                f"executor {name!r}: start_method must be 'spawn' or 'forkserver', not "
                f"{start_method!r} (a forked copy of a threaded process may hang)"
            )
        self.name = name
        self._size = max_workers or os.cpu_count() or 1
        self._method = start_method
        self._lock = threading.RLock()
        # Futures that are done. They are looked at on a thread of our own: the pool calls back with
        # its own lock held when a worker has died, and whatever touched the pool then (a submit,
        # the last reference to it) would wait for that lock for ever.
        self._done: SimpleQueue[Future[bytes] | None] = SimpleQueue()
        self._collector: threading.Thread | None = None
        self._waiting: deque[tuple[Call, Inbox]] = deque()
        self._running: dict[Future[bytes], _Batch] = {}
        self._wide: set[Future[bytes]] = set()  # those of calls that take several workers
        self._pool: WorkerPool | None = None
        self._seconds: dict[str, float] = {}
        self._code: frozenset[tuple[str, int, int]] = frozenset()
        self._limited = KillableProcesses(f"taskgraph-{name}-limits", self._size, self._make_pool)
        self._inbox: Inbox | None = None
        self._is_stopping = False

    def start(self, inbox: Inbox) -> None:
        """Take note of where outcomes go; processes are made when there are calls for them.

        Workers that are there are used again, unless code was edited since they started: they
        would go on with what they imported.
        """
        self._inbox = inbox
        self._is_stopping = False
        code = loaded_code()
        if code - self._code:
            self._limited.renew()
            if self._pool is not None:
                self._pool.shutdown(wait=False)
                self._pool = None
        self._code = code

    def submit(self, calls: Sequence[Call]) -> None:
        """Queue calls and give the pool as many as keep its workers busy."""
        inbox = self._inbox
        assert inbox is not None, "start comes before submit"
        for call in calls:
            if call.timeout is not None and (message := _message(call, inbox)) is not None:
                self._limited.submit(call, inbox, message)
        with self._lock:
            self._waiting.extend((call, inbox) for call in calls if call.timeout is None)
            if self._collector is None:
                name = f"taskgraph-{self.name}-outcomes"
                self._collector = threading.Thread(target=self._collect, name=name, daemon=True)
                self._collector.start()
        self._feed()

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that were not sent to a worker."""
        unwanted = set(job_ids)
        with self._lock:
            for future, batch in list(self._running.items()):
                calls = batch.calls
                if all(call.job_id in unwanted for call, _ in calls) and future.cancel():
                    self._running.pop(future, None)
                    self._wide.discard(future)
                    self._waiting.extendleft(reversed(calls))
            dropped = [call.job_id for call, _ in self._waiting if call.job_id in unwanted]
            self._waiting = deque(e for e in self._waiting if e[0].job_id not in unwanted)
        return dropped + self._limited.cancel(job_ids)

    def stop(self, is_now: bool = False) -> None:
        """Let the workers end after the calls that they run, or kill them."""
        self._limited.stop(is_now)
        with self._lock:
            self._is_stopping = True
            self._waiting.clear()
            pool, self._pool = self._pool, None
            collector, self._collector = self._collector, None
        if collector is not None:
            self._done.put(None)
        if pool is not None:
            workers = list((pool._processes or {}).values()) if is_now else []
            pool.shutdown(wait=False, cancel_futures=True)
            for each in workers:
                each.kill()

    def _feed(self) -> None:
        with self._lock:
            while self._waiting and self._has_room():
                self._send(self._next_batch())

    def _has_room(self) -> bool:
        """Tell whether the next call may be given to the pool.

        One that takes several workers waits until they are free, all others behind it; while it
        runs, none is given ahead of time.
        """
        slots = self._slots(self._waiting[0])
        if slots == 1 and not self._wide:
            return len(self._running) < self._size * _AHEAD
        return sum(each.slots for each in self._running.values()) + slots <= self._size

    def _slots(self, waiting: tuple[Call, Inbox]) -> int:
        return waiting[0].resources.slots(self._size)

    def _next_batch(self) -> list[tuple[Call, Inbox]]:
        """Return some waiting calls: many in one message when there are very many of them."""
        fair = len(self._waiting) // (self._size * _AHEAD * 4)
        most = max(1, min(_MOST_IN_BATCH, fair))
        batch: list[tuple[Call, Inbox]] = []
        expected = 0.0
        while self._waiting and len(batch) < most:
            # A task that was not seen yet goes alone: it may take an hour.
            seconds = self._seconds.get(self._waiting[0][0].fullname, MOST_SECONDS)
            is_wide = self._slots(self._waiting[0]) > 1
            if batch and (is_wide or expected + seconds >= MOST_SECONDS):
                break
            if is_wide:
                return [self._waiting.popleft()]
            expected += seconds
            batch.append(self._waiting.popleft())
        return batch

    def _learn(self, call: Call, outcome: Outcome) -> None:
        """Remember how long a task takes: the longest of late, slowly forgotten."""
        seconds = (outcome.ended - outcome.started) / 1e6
        before = self._seconds.get(call.fullname, 0.0)
        self._seconds[call.fullname] = max(seconds, 0.9 * before)

    def _send(self, batch: list[tuple[Call, Inbox]]) -> None:
        sent: list[tuple[Call, Inbox]] = []
        messages: list[bytes] = []
        for call, inbox in batch:
            message = _message(call, inbox)
            if message is not None:
                messages.append(message)
                sent.append((call, inbox))
        if not sent:
            return
        try:
            if self._pool is None:
                self._pool = self._make_pool(self._size)
            future = self._pool.submit(run_batch, messages)
        except BrokenProcessPool:
            self._pool = self._make_pool(self._size)
            future = self._pool.submit(run_batch, messages)
        except Exception as error:
            # No more processes, no more memory, or an interpreter that is ending.
            reason = ExecutorError(f"executor {self.name!r} cannot start a worker: {error}")
            for call, inbox in sent:
                inbox.deliver([Raised(call.job_id, reason, (), now(), now())])
            return
        slots = self._slots(sent[0])
        self._running[future] = _Batch(sent, self._pool, slots)
        if slots > 1:
            self._wide.add(future)
        future.add_done_callback(self._done.put)

    def _make_pool(self, size: int) -> WorkerPool:
        return WorkerPool(
            size,
            mp_context=multiprocessing.get_context(self._method),
            initializer=start_worker,
            initargs=(list(sys.path), current_places(), current_project(), echo_end()),
        )

    def _collect(self) -> None:
        while (future := self._done.get()) is not None:
            self._on_done(future)

    def _on_done(self, future: Future[bytes]) -> None:
        """Hand over outcomes, or what became of a message instead."""
        with self._lock:
            batch = self._running.pop(future, None)
            self._wide.discard(future)
        if batch is None or future.cancelled():
            return
        error = future.exception()
        calls = [call for call, _ in batch.calls]
        if error is None:
            try:
                outcomes = decode_outcomes(future.result(), calls)
            except Exception as damaged:
                outcomes = [Raised(each.job_id, damaged, (), now(), now()) for each in calls]
            with self._lock:
                for call, outcome in zip(calls, outcomes, strict=False):
                    self._learn(call, outcome)
                # What the worker did not come to is sent again, before all others.
                self._waiting.extendleft(reversed(batch.calls[len(outcomes) :]))
            batch.calls[0][1].deliver(outcomes)
        elif isinstance(error, BrokenProcessPool):
            self._on_lost(batch)
        else:
            for call, inbox in batch.calls:
                inbox.deliver([Raised(call.job_id, error, (), now(), now())])
        if not self._is_stopping:
            self._feed()

    def _on_lost(self, batch: _Batch) -> None:
        """A worker died, and with it the pool: the calls under way are lost, the rest go on."""
        with self._lock:
            if self._pool is batch.pool:
                self._pool = None
        for call, inbox in batch.calls:
            inbox.deliver([Raised(call.job_id, WorkerLostError(call.fullname), (), now(), now())])


def _message(call: Call, inbox: Inbox) -> bytes | None:
    """Return a call as it travels; one that cannot has failed, and None is returned."""
    try:
        return encode_call(call)
    except Exception as error:
        # Arguments that cannot travel fail their own call, and no other.
        reason = ExecutorError(
            f"{call.fullname} cannot be sent to a worker process: {error}. "
            'Run it with @task(executor="threads").'
        )
        inbox.deliver([Raised(call.job_id, reason, (), now(), now())])
        return None
