"""Runs one call in whatever process this is, and packs what came of it right there.

Bodies of tasks run in `run_call` only, in every executor; coroutines on an event loop in
`run_call_async`. Scheduler tasks and operators are no calls of executors, and run in the engine.

The workers of queues (`taskgraph.serving`) are something else; what they run ends up here as well.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from types import CoroutineType, TracebackType

from taskgraph.errors import (
    UnhashableValueError,
    UnstorableValueError,
    ValueCompressionError,
    ValueStoreError,
)
from taskgraph.fingerprint.code import running
from taskgraph.outputs import streams
from taskgraph.ports import Call, FrameRecord, Outcome, Raised, Returned
from taskgraph.records import Micros, PackedValue
from taskgraph.tags import Tags
from taskgraph.tasks.notes import taken_notes
from taskgraph.tasks.passing import on_the_way_in, on_the_way_out
from taskgraph.values import handles, walk
from taskgraph.values.pack import pack
from taskgraph.values.value import are_hooked
from taskgraph.values.valuestore import ValueStore

_OURS = os.path.join(os.path.dirname(__file__), "")


def running_task() -> str | None:
    """Return the full name of the task whose body this runs in, if it does."""
    call = streams.current.get()
    return None if call is None else call.fullname


def now() -> Micros:
    """Return the time of day in whole microseconds since 1970 UTC."""
    return Micros(time.time_ns() // 1000)


def run_call(call: Call) -> Outcome:
    """Run a call: the result is hashed and encoded where it was made.

    `run_call_async` is the same for coroutines; what differs there is said there.

    A result that cannot be hashed or stored is returned all the same, with the reason. An error of
    the user's code never leaves here as an exception; only what ends the process does.
    """
    started = now()
    process = os.getpid()
    token = streams.current.set(call)
    notes: list[tuple[str, object]] = []
    noted = taken_notes.set(notes)
    try:
        args, kwargs = call.args, call.kwargs
        if are_hooked():
            args, kwargs = on_the_way_in(args, kwargs, _known(call))
        with running(call.func):
            value = call.func(*args, **kwargs)
            if type(value) is CoroutineType:
                value = _await(value)
        if os.getpid() != process:
            _end_copy()
        if are_hooked():
            value = on_the_way_out(value, _known(call))
        walk.refresh(value)
    except BaseException as error:
        # Whatever a body raises is how its call failed: sys.exit(), a cancelled future or an
        # exception that derives from BaseException must not end a worker whose scheduler waits
        # for it. Only a Ctrl-C on the main thread is meant for the whole run.
        if os.getpid() != process:
            _end_copy(error)
        is_interrupt = isinstance(error, KeyboardInterrupt)
        if is_interrupt and threading.current_thread() is threading.main_thread():
            raise
        frames = frames_of(error.__traceback__)
        return Raised(call.job_id, error, frames, started, max(now(), started))
    finally:
        if streams.captures:
            streams.end(call)
        streams.current.reset(token)
        taken_notes.reset(noted)
        if handles.met:
            # Also of a body that raised, whose frames the error keeps alive.
            handles.let_go([call.args, call.kwargs])
    return _returned(call, value, started, tuple(notes))


async def run_call_async(call: Call) -> Outcome:
    """Run the call of an ``async def`` function on the event loop that runs here.

    As `run_call`, but for three things. Being cancelled is no outcome of the call but the end of
    it: what is no Exception is raised on. Nobody takes notes, for only scripts leave any, and their
    bodies are no coroutines. And one that is thrown away ends in a context of somebody else, where
    what was set in its own cannot be reset.
    """
    started = now()
    process = os.getpid()
    token = streams.current.set(call)
    try:
        args, kwargs = call.args, call.kwargs
        if are_hooked():
            args, kwargs = on_the_way_in(args, kwargs, _known(call))
        with running(call.func):
            value = await call.func(*args, **kwargs)
        if os.getpid() != process:
            _end_copy()
        if are_hooked():
            value = on_the_way_out(value, _known(call))
        walk.refresh(value)
    except Exception as error:
        if os.getpid() != process:
            _end_copy(error)
        frames = frames_of(error.__traceback__)
        return Raised(call.job_id, error, frames, started, max(now(), started))
    finally:
        if streams.captures:
            streams.end(call)
        with suppress(ValueError):  # a coroutine that nobody awaits any more ends elsewhere
            streams.current.reset(token)
        if handles.met:
            handles.let_go([call.args, call.kwargs])
    return _returned(call, value, started)


def _end_copy(error: BaseException | None = None) -> None:
    """End this process, which a body has forked and not ended: it is a copy of the one that runs.

    It would go on as a second scheduler, or wait for ever as a second worker.
    """
    code: object = 1
    try:
        if error is None or isinstance(error, SystemExit):
            code = 0 if error is None else error.code
        else:
            traceback.print_exception(error)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _known(call: Call) -> dict[str, object]:
    """Return what values are told of the call that they go to, or come from."""
    return {"task": call.fullname, "job_id": call.job_id}


def _returned(call: Call, value: object, started: Micros, notes: Tags = ()) -> Returned:
    ended = max(now(), started)  # the clock may have been set back
    if not call.is_recorded:
        return Returned(call.job_id, value, None, None, started, ended)
    packed, unstored = pack_result(value, call.max_value_size, call.value_store)
    return Returned(call.job_id, value, packed, unstored, started, ended, notes=notes)


def _await(coroutine: CoroutineType[object, object, object]) -> object:
    """Run the body of an ``async def`` task to its end, on an event loop of its own."""
    import asyncio

    return asyncio.run(coroutine)


def pack_result(
    value: object, max_size: int | None = None, store: ValueStore | None = None
) -> tuple[PackedValue | None, str | None]:
    """Return a result hashed and encoded, a large one put into the store; or why it cannot be."""
    try:
        return pack(value, max_size=max_size, store=store), None
    except UnhashableValueError as error:
        return None, error.what
    except (UnstorableValueError, ValueStoreError, ValueCompressionError) as error:
        return None, str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The value's own hooks (__getstate__, __reduce__, a ValueKind) may raise anything. The
        # result is kept and its job recorded as uncached; hours of work are not thrown away.
        return None, describe_error(error)


def describe_error(error: BaseException) -> str:
    """Return an exception in one line, whatever its own methods do."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return f"{name} (its text cannot be shown)"
    return f"{name}: {text}" if text else name


def frames_of(trace: TracebackType | None) -> tuple[FrameRecord, ...]:
    """Return the user's frames of a traceback, outermost first, as text."""
    frames = [
        FrameRecord(each.filename, each.lineno or 0, each.name, each.line or "")
        for each in traceback.extract_tb(trace)
    ]
    return tuple(each for each in frames if not each.filename.startswith(_OURS))
