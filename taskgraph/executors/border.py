"""What crosses the border of a process: calls there, outcomes back, and what a worker does between.

A function travels by name where the worker can import it, and by value where it cannot. A worker
holds the code that it runs against the one that was asked for.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from taskgraph.errors import (
    DamagedValueError,
    ExecutorError,
    ResultLostError,
    ValueStoreError,
)
from taskgraph.executors import severed
from taskgraph.executors.begun import ENDED, mark, share
from taskgraph.executors.carried import Carried, carried, compare
from taskgraph.executors.code import (
    SentFunction,
    check_sent,
    find_referenced,
    reference_to,
    sent_function,
)
from taskgraph.executors.late import run_in_time
from taskgraph.executors.raised import sent_error
from taskgraph.fingerprint.code import frozen
from taskgraph.fingerprint.parts import Fingerprint, Part, changed_names, describe_change
from taskgraph.fingerprint.project import Project, use_project
from taskgraph.outputs.descriptors import begin_alone, end_alone, settle_descriptors
from taskgraph.outputs.place import reached
from taskgraph.outputs.streams import captured
from taskgraph.ports import NO_RESOURCES, Call, Outcome, Raised, Returned
from taskgraph.records import JobId, PackedValue
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.values import codec
from taskgraph.values.pack import put_outside
from taskgraph.values.places import FilePlaces, use_places
from taskgraph.values.valuestore import ValueStore, locate
from taskgraph.worker import frames_of, now, run_call

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: What is finished waits for the rest of its message: no more than this many seconds, as far as
#: can be told from how long a task took before.
MOST_SECONDS = 0.005
# Code in here is not edited while a program runs.
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


_Values = tuple[tuple[str, str, str], ...]  # what counts, without its text


def loaded_code() -> frozenset[tuple[str, int, int]]:
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


class WorkerPool(ProcessPoolExecutor):
    """A pool whose workers never hear of a Ctrl-C, not while they start either.

    It ends, too, if one of them is killed while it sends.

    Attributes:
        held_back: The signals that a worker does not hear of before it says so.
    """

    held_back: ClassVar[frozenset[signal.Signals]] = frozenset({signal.SIGINT})

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a call; this is when processes are made."""
        # It unblocks signals when it starts, which must not be in between.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self.held_back)
        try:
            future = super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        severed.watch(self)
        return future


class SentStore(NamedTuple):
    """Where large values are kept, as another machine may or may not have it."""

    store: ValueStore
    host: str


def encode_call(call: Call) -> bytes:
    """Return a call as it travels to a worker process that this one has started.

    Raises:
        Exception: What an argument raises that cannot travel.
    """
    function = reference_to(call.fullname, call.func) or sent_function(call.fullname, call.func)
    store = None if call.value_store is None else call.value_store.across()
    # The rest is for us.
    how = (call.max_value_size, None, NO_RESOURCES, call.is_recorded, store, call.output)
    return codec.dumps((call.job_id, call.fullname, function, call.args, call.kwargs, *how))


def encode_call_to_anywhere(call: Call) -> bytes:
    """Return a call as it travels to a worker that may be elsewhere, and ends what takes too long.

    Raises:
        Exception: What an argument raises that cannot travel.
    """
    function: Any = call.func
    if getattr(call.func, "__module__", None) != "__main__":  # nobody there has loaded the script
        function = reference_to(call.fullname, call.func) or function
    if function is call.func:
        function = sent_function(call.fullname, call.func)
    store = None if call.value_store is None else SentStore(call.value_store, platform.node())
    how = (
        call.max_value_size,
        call.timeout,
        NO_RESOURCES,
        call.is_recorded,
        store,
        call.output,
    )
    fields = (call.job_id, call.fullname, function, call.args, call.kwargs, *how)
    return codec.dumps(fields, main_by_value=True)


def run_batch(messages: list[bytes], place: int | None = None) -> bytes:
    """Run calls one after the other, and stop after one that took long; runs in the worker.

    Args:
        messages: The calls.
        place: Where it is said how many of them were begun, if it is.
    """
    return codec.dumps(run_messages(messages, place))


def run_messages(messages: list[bytes], place: int | None = None) -> list[tuple[Any, ...]]:
    """Do as `run_batch`, and return the outcomes before they are sent."""
    end = time.monotonic() + MOST_SECONDS
    outcomes = []
    with frozen():
        for number, each in enumerate(messages, 1):
            mark(place, number)
            outcomes.append(_run_message(each))
            if time.monotonic() >= end:
                break
    mark(place, ENDED)
    return outcomes


def _run_message(message: bytes) -> tuple[Any, ...]:
    try:
        fields, received = codec.loads_noting(message)
        job_id, fullname, function, *rest = fields
        call = Call(job_id, fullname, _itself, *rest)
        if isinstance(call.value_store, SentStore):
            store, host = call.value_store
            call = call._replace(value_store=store.across(host))
    except BaseException as error:
        # An argument that can be sent and not be made again fails its own call, whatever it raises;
        # the scheduler knows by the order which that was.
        return _encode_outcome(Raised(JobId(""), error, (), now(), now()))
    try:
        if isinstance(function, SentFunction):
            func: Any = function.func
            others = check_sent(fullname, function)
            along = carried(received, func)
            outcome = _run_in_time(call._replace(func=func))
            return _encode_outcome(outcome, _in_words(others) if others else "", along)
        along = carried(received)
        task = find_referenced(function)
        before = task.fingerprint
    except Exception as error:
        return _encode_outcome(Raised(job_id, error, (), now(), now()))
    outcome = _run_in_time(call._replace(func=task.func))
    changed = _not_as_hashed(task, before, function.code) if isinstance(outcome, Returned) else ""
    return _encode_outcome(outcome, changed, along)


def _run_alone(call: Call) -> Outcome:
    """Run a call in a process that runs no other one: all that is printed meanwhile is its own."""
    begin_alone(call)
    try:
        with captured():  # where the process has not been settled to
            return run_call(call)
    except BaseException as error:
        # A KeyboardInterrupt is the body's own here: no worker hears of a Ctrl-C. Others that
        # travel in the same message have nothing to do with it.
        return Raised(call.job_id, error, frames_of(error.__traceback__), now(), now())
    finally:
        end_alone()


def _itself(value: Any) -> Any:
    return value


def _run_in_time(call: Call) -> Outcome:
    """Run a call for as long as it may take."""
    return run_in_time(call._replace(output=reached(call.output)), _run_alone)


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
    return _in_words(names)


def _in_words(names: str) -> str:
    return (
        f"{names} holds something else in the worker process than in the one that asked. "
        "Set it where its module is loaded, or pass it as an argument"
    )


def _encode_outcome(
    outcome: Outcome, changed: str | _Values = "", along: Carried | None = None
) -> tuple[Any, ...]:
    """Return an outcome as plain data; a result travels once, as the bytes that are stored."""
    if isinstance(outcome, Returned):
        value = None
        if outcome.packed is None:
            try:
                value = codec.dumps(outcome.value)
            except BaseException as error:  # its class may raise anything
                reason = f"the result of the task cannot be sent back from its process: {error}"
                return _encode_outcome(
                    Raised(outcome.job_id, ExecutorError(reason), (), outcome.started, now())
                )
        times = (outcome.started, outcome.ended)
        told = (changed, outcome.notes, along)
        return (True, value, outcome.packed, outcome.unstored, *times, *told)
    sent = sent_error(outcome.error)
    return (False, sent, outcome.frames, outcome.started, outcome.ended)


def answer_of_error(error: BaseException) -> bytes:
    """Return what is sent back of a call that has failed before its body."""
    return codec.dumps([_encode_outcome(Raised(JobId(""), error, (), now(), now()))])


def decode_outcomes(message: bytes, calls: Sequence[Call]) -> list[Outcome]:
    """Return what came of calls that were sent together, or of the first of them."""
    outcomes: list[Outcome] = []
    for call, fields in zip(calls, codec.loads(message), strict=False):
        try:
            outcomes.append(_decode_outcome(call, fields))
        except BaseException as error:  # of the user's class: nobody must wait for ever
            outcomes.append(Raised(call.job_id, error, (), now(), now()))
    return outcomes


def _decode_outcome(call: Call, fields: tuple[Any, ...]) -> Outcome:
    if not fields[0]:
        _, error, frames, started, ended = fields
        return Raised(call.job_id, codec.loads(error), frames, started, ended)
    _, value, packed, unstored, started, ended, changed, notes, along = fields
    changed = _describe_changed(call, changed)
    if along is not None and (names := compare(call, along)):
        changed = changed or _in_words(names)
    if packed is None:
        value = codec.loads(value)
        return Returned(call.job_id, value, None, unstored, started, ended, changed, notes)
    assert isinstance(packed, PackedValue)
    first = packed.values[0]
    content = locate(first.value, first.content_digest, call.value_store)
    try:
        decoded = codec.decode_sent(
            first.value_hash, first.type, first.format, content, first.content_digest
        )
    except DamagedValueError as error:
        if first.value or not first.size:
            raise
        raise ResultLostError(call.fullname, error.reason) from error
    try:
        packed = put_outside(packed, call.value_store)
    except ValueStoreError as error:
        # As where the worker itself could not: the result is used, and said not to be kept.
        return Returned(call.job_id, decoded, None, str(error), started, ended, changed, notes)
    return Returned(call.job_id, decoded, packed, unstored, started, ended, changed, notes)


def start_worker(
    path: list[str],
    places: FilePlaces,
    project: Project,
    parent_id: int | None = None,
    echo: Connection[bytes, bytes] | None = None,
    begun: str | None = None,
) -> None:
    """Make a worker see what its parent sees, and end when the parent does, however that ends.

    Args:
        path: Where it imports from.
        places: How files are known.
        project: Which code is followed.
        parent_id: The number of the parent, where `multiprocessing` does not know it.
        echo: Where what it prints goes to be shown; by default it shows that itself.
        begun: The file in which it says how far it has come.
    """
    if begun is not None:
        share(begun)
    if echo is not None:
        settle_descriptors(echo)
    for folder in reversed(path):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    use_places(places)
    use_project(project)
    # A Ctrl-C reaches the whole group of processes. What runs is to end first, and be recorded;
    # at a second one the scheduler ends, and its workers with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    wait = None if parent is None else parent.join
    if parent_id is not None:
        wait = partial(_wait_for_other_parent, parent_id)
    if wait is not None:
        threading.Thread(target=_end_with, args=(wait,), daemon=True).start()


def _wait_for_other_parent(parent_id: int) -> None:
    while os.getppid() == parent_id:
        time.sleep(1)


def _end_with(wait: Callable[[], object]) -> None:
    wait()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with the programs that bodies have started
    os._exit(1)
