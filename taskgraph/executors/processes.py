"""Runs calls in worker processes on this machine, each started afresh (spawn).

A function travels by name where the worker can import it, and by value where it cannot. A worker
that dies fails the calls that it may have been running; the others are given to new workers.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from typing import Any, NamedTuple

from taskgraph.errors import ExecutorError, RemoteTaskError, WorkerLostError
from taskgraph.fingerprint.code import frozen
from taskgraph.fingerprint.parts import Fingerprint, Part, changed_names, describe_change
from taskgraph.fingerprint.project import Project, current_project, use_project
from taskgraph.ports import Call, Inbox, Outcome, Raised, Returned
from taskgraph.records import JobId, PackedValue
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.values import codec
from taskgraph.values.places import FilePlaces, current_places, use_places
from taskgraph.worker import describe_error, now, run_call

# Calls that are given to the pool ahead of time, for each worker: enough that none is idle while
# outcomes travel, few enough that a cancelled run leaves little behind.
_AHEAD = 2
_MOST_IN_BATCH = 32
# What is finished waits for the rest of its message: no more than this many seconds, as far as
# can be told from how long a task took before.
_MOST_SECONDS = 0.005
# Code in here is not edited while a program runs.
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


class FunctionReference(NamedTuple):
    """A task's function by name, and what the process that asks knows of it.

    Attributes:
        module: The module that defines it.
        fullname: The task.
        texts: The hash of all texts that were followed.
        code: The same, with the values that variables hold.
    """

    module: str
    fullname: str
    texts: str
    code: str


_Values = tuple[tuple[str, str, str], ...]  # what counts, without its text


class _Batch(NamedTuple):
    """Calls that were sent together, and the pool that they were sent to."""

    calls: list[tuple[Call, Inbox]]
    pool: ProcessPoolExecutor


class ProcessExecutor:
    """Runs calls in a pool of processes.

    Args:
        name: The name that tasks choose it by.
        max_workers: How many processes; by default one for each core.
        start_method: How they are started: ``spawn`` or ``forkserver``.
    """

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
        self._pool: ProcessPoolExecutor | None = None
        self._seconds: dict[str, float] = {}
        self._code: frozenset[tuple[str, int, int]] = frozenset()
        self._inbox: Inbox | None = None
        self._is_stopping = False

    def start(self, inbox: Inbox) -> None:
        """Take note of where outcomes go; processes are made when there are calls for them.

        Workers that are there are used again, unless code was edited since they started: they
        would go on with what they imported.
        """
        self._inbox = inbox
        self._is_stopping = False
        code = _loaded_code()
        if code - self._code and self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
        self._code = code

    def submit(self, calls: Sequence[Call]) -> None:
        """Queue calls and give the pool as many as keep its workers busy."""
        inbox = self._inbox
        assert inbox is not None, "start comes before submit"
        with self._lock:
            self._waiting.extend((call, inbox) for call in calls)
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
                    self._waiting.extendleft(reversed(calls))
            dropped = [call.job_id for call, _ in self._waiting if call.job_id in unwanted]
            self._waiting = deque(e for e in self._waiting if e[0].job_id not in unwanted)
        return dropped

    def stop(self) -> None:
        """Let the workers end after the calls that they run."""
        with self._lock:
            self._is_stopping = True
            self._waiting.clear()
            pool, self._pool = self._pool, None
            collector, self._collector = self._collector, None
        if collector is not None:
            self._done.put(None)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _feed(self) -> None:
        with self._lock:
            while self._waiting and len(self._running) < self._size * _AHEAD:
                self._send(self._next_batch())

    def _next_batch(self) -> list[tuple[Call, Inbox]]:
        """Return some waiting calls: many in one message when there are very many of them."""
        fair = len(self._waiting) // (self._size * _AHEAD * 4)
        most = max(1, min(_MOST_IN_BATCH, fair))
        batch: list[tuple[Call, Inbox]] = []
        expected = 0.0
        while self._waiting and len(batch) < most:
            # A task that was not seen yet goes alone: it may take an hour.
            seconds = self._seconds.get(self._waiting[0][0].fullname, _MOST_SECONDS)
            if batch and expected + seconds >= _MOST_SECONDS:
                break
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
            try:
                messages.append(_encode_call(call))
                sent.append((call, inbox))
            except Exception as error:
                # Arguments that cannot travel fail their own call, and no other.
                reason = ExecutorError(
                    f"{call.fullname} cannot be sent to a worker process: {error}. "
                    'Run it with @task(executor="threads").'
                )
                inbox.deliver([Raised(call.job_id, reason, (), now(), now())])
        if not sent:
            return
        try:
            if self._pool is None:
                self._pool = self._make_pool()
            future = self._pool.submit(_run_batch, messages)
        except BrokenProcessPool:
            self._pool = self._make_pool()
            future = self._pool.submit(_run_batch, messages)
        except Exception as error:
            # No more processes, no more memory, or an interpreter that is ending.
            reason = ExecutorError(f"executor {self.name!r} cannot start a worker: {error}")
            for call, inbox in sent:
                inbox.deliver([Raised(call.job_id, reason, (), now(), now())])
            return
        self._running[future] = _Batch(sent, self._pool)
        future.add_done_callback(self._done.put)

    def _make_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._size,
            mp_context=multiprocessing.get_context(self._method),
            initializer=_start_worker,
            initargs=(list(sys.path), current_places(), current_project()),
        )

    def _collect(self) -> None:
        while (future := self._done.get()) is not None:
            self._on_done(future)

    def _on_done(self, future: Future[bytes]) -> None:
        """Hand over outcomes, or what became of a message instead."""
        with self._lock:
            batch = self._running.pop(future, None)
        if batch is None or future.cancelled():
            return
        error = future.exception()
        calls = [call for call, _ in batch.calls]
        if error is None:
            try:
                outcomes = _decode_outcomes(future.result(), calls)
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


def _loaded_code() -> frozenset[tuple[str, int, int]]:
    """Return path, time and size of the loaded modules that a user may edit."""
    found = set()
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not path or path.startswith(_INSTALLED):
            continue
        try:
            stat = os.stat(path)
        except OSError:
            continue
        found.add((path, stat.st_mtime_ns, stat.st_size))
    return frozenset(found)


# What crosses the process border


def _encode_call(call: Call) -> bytes:
    function = reference_to(call.fullname, call.func) or call.func
    most = call.max_value_size
    return codec.dumps((call.job_id, call.fullname, function, call.args, call.kwargs, most))


def reference_to(fullname: str, func: Callable[..., Any]) -> FunctionReference | None:
    """Return how a worker finds a task's function by import; None if it must travel by value."""
    module = getattr(func, "__module__", None)
    task = get_task_registry().find(fullname)
    if task is None or task.func is not func or module is None or "<" in func.__qualname__:
        return None
    if module == "__main__":
        main = sys.modules["__main__"]
        if getattr(main, "__file__", None) is None:
            return None
        return _reference(module, task)
    if not _is_importable(module):
        return None
    return _reference(task.load_module, task)


def _reference(module: str, task: AnyTask) -> FunctionReference:
    found = task.fingerprint
    return FunctionReference(module, task.fullname, found.texts_hash, found.code_hash)


def _is_importable(module: str) -> bool:
    loaded = sys.modules.get(module)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and spec.origin == getattr(loaded, "__file__", None)


def _run_batch(messages: list[bytes]) -> bytes:
    """Run calls one after the other, and stop after one that took long; runs in the worker."""
    end = time.monotonic() + _MOST_SECONDS
    outcomes = []
    with frozen():
        for each in messages:
            outcomes.append(_run_message(each))
            if time.monotonic() >= end:
                break
    return codec.dumps(outcomes)


def _run_message(message: bytes) -> tuple[Any, ...]:
    try:
        job_id, fullname, function, args, kwargs, most = codec.loads(message)
    except Exception as error:
        # An argument that can be sent and not be made again fails its own call; the scheduler
        # knows by the order which that was.
        return _encode_outcome(Raised(JobId(""), error, (), now(), now()))
    if not isinstance(function, FunctionReference):
        return _encode_outcome(run_call(Call(job_id, fullname, function, args, kwargs, most)))
    try:
        task = _find(function)
        before = task.fingerprint
    except Exception as error:
        return _encode_outcome(Raised(job_id, error, (), now(), now()))
    assert task.func is not None
    outcome = run_call(Call(job_id, fullname, task.func, args, kwargs, most))
    changed = _not_as_hashed(task, before, function.code) if isinstance(outcome, Returned) else ""
    return _encode_outcome(outcome, changed)


def _not_as_hashed(task: AnyTask, before: Fingerprint, asked: str) -> str | _Values:
    """Return what a body saw otherwise here than its hash says; "" for nothing."""
    if before.code_hash != asked:
        return tuple(each[:3] for each in before.parts)
    after = task.fingerprint
    return "" if after.code_hash == asked else describe_change(before.parts, after.parts)


def _describe_changed(call: Call, changed: str | _Values) -> str:
    """Return what a body saw otherwise in a worker process than here, in words."""
    if isinstance(changed, str):
        return changed
    there = tuple(Part(*each, "") for each in changed)
    names = changed_names(get_task_registry().get(call.fullname).fingerprint.parts, there)
    return (
        f"{names} holds something else in the worker process than in the one that asked. "
        "Set it where its module is loaded, or pass it as an argument"
    )


def _find(reference: FunctionReference) -> AnyTask:
    if reference.module != "__main__":
        importlib.import_module(reference.module)
    task = get_task_registry().get(reference.fullname)
    if task.fingerprint.texts_hash != reference.texts:
        # What is recorded names the code that was hashed: another one must not run in its place.
        raise ExecutorError(
            f"The source of {reference.fullname}, or of what it reaches, was edited after "
            "it was loaded. Run again."
        )
    return task


def _encode_outcome(outcome: Outcome, changed: str | _Values = "") -> tuple[Any, ...]:
    """Return an outcome as plain data; a result travels once, as the bytes that are stored."""
    if isinstance(outcome, Returned):
        value = None
        if outcome.packed is None:
            try:
                value = codec.dumps(outcome.value)
            except Exception as error:
                reason = f"the result of the task cannot be sent back from its process: {error}"
                return _encode_outcome(
                    Raised(outcome.job_id, ExecutorError(reason), (), outcome.started, now())
                )
        times = (outcome.started, outcome.ended)
        return (True, value, outcome.packed, outcome.unstored, *times, changed)
    try:
        sent = codec.dumps(outcome.error)
        codec.loads(sent)
    except Exception:
        # Many exceptions cannot be pickled, or not be made again from what was.
        sent = codec.dumps(RemoteTaskError(describe_error(outcome.error)))
    return (False, sent, outcome.frames, outcome.started, outcome.ended)


def _decode_outcomes(message: bytes, calls: Sequence[Call]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for call, fields in zip(calls, codec.loads(message), strict=False):
        try:
            outcomes.append(_decode_outcome(call, fields))
        except Exception as error:
            outcomes.append(Raised(call.job_id, error, (), now(), now()))
    return outcomes


def _decode_outcome(call: Call, fields: tuple[Any, ...]) -> Outcome:
    if not fields[0]:
        _, error, frames, started, ended = fields
        return Raised(call.job_id, codec.loads(error), frames, started, ended)
    _, value, packed, unstored, started, ended, changed = fields
    changed = _describe_changed(call, changed)
    if packed is None:
        return Returned(call.job_id, codec.loads(value), None, unstored, started, ended, changed)
    assert isinstance(packed, PackedValue)
    first = packed.values[0]
    decoded = codec.decode(
        first.value_hash, first.type, first.format, first.value, first.content_digest
    )
    return Returned(call.job_id, decoded, packed, unstored, started, ended, changed)


def _start_worker(path: list[str], places: FilePlaces, project: Project) -> None:
    """Make a worker see what its parent sees, and end when the parent does, however that ends."""
    for folder in reversed(path):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    use_places(places)
    use_project(project)
    # A Ctrl-C reaches the whole group of processes; the scheduler says what there is to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
