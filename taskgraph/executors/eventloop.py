"""Runs ``async def`` functions on one event loop: thousands that wait at once, and no thread each.

The loop is that of the caller, where one runs and awaits the scheduler; otherwise one of our own,
on a thread of its own.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from taskgraph.errors import TaskTimeoutError
from taskgraph.expression import evaluating
from taskgraph.ports import Call, Inbox, Outcome, Raised
from taskgraph.records import JobId
from taskgraph.worker import now, run_call, run_call_async

if TYPE_CHECKING:
    import asyncio  # here and below only where it is needed: it takes its time to load


class LoopExecutor:
    """Runs calls on an event loop; those of plain functions on threads beside it.

    Args:
        name: The name that tasks choose it by.
    """

    def __init__(self, name: str = "async") -> None:
        self.name = name
        self._given: asyncio.AbstractEventLoop | None = None
        self._own: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._waiting: dict[JobId, tuple[Call, Inbox]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._inbox: Inbox | None = None

    @contextmanager
    def on(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Have calls run on the caller's loop for as long as it awaits the scheduler."""
        before, self._given = self._given, loop
        try:
            yield
        finally:
            self._given = before

    def start(self, inbox: Inbox) -> None:
        """Take note of where outcomes go; a loop is made when there are calls for it."""
        self._inbox = inbox

    def submit(self, calls: Sequence[Call]) -> None:
        """Have all of them begin."""
        inbox = self._inbox
        assert inbox is not None, "start comes before submit"
        loop = self._given or self._own_loop()
        with self._lock:
            self._waiting.update((call.job_id, (call, inbox)) for call in calls)
        loop.call_soon_threadsafe(self._begin, loop, [call.job_id for call in calls])

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._own is None:
            import asyncio

            self._own = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=_run_loop, args=(self._own,), name=f"taskgraph-{self.name}", daemon=True
            )
            self._thread.start()
        return self._own

    def _begin(self, loop: asyncio.AbstractEventLoop, job_ids: Sequence[JobId]) -> None:
        for job_id in job_ids:
            with self._lock:
                found = self._waiting.pop(job_id, None)
            if found is not None:
                task = loop.create_task(_run(*found))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that have not begun."""
        with self._lock:
            return [each for each in job_ids if self._waiting.pop(each, None) is not None]

    def stop(self, is_now: bool = False) -> None:
        """Let the loop end after the calls that run, or cancel them."""
        with self._lock:
            self._waiting.clear()
        own, self._own = self._own, None
        loop = own or self._given
        if loop is None:
            return
        if is_now:
            loop.call_soon_threadsafe(_cancel_all, list(self._running))
        if own is not None:
            own.call_soon_threadsafe(_stop_when_done, own, self._running)


async def _run(call: Call, inbox: Inbox) -> None:
    import asyncio

    evaluating.set(partial(_evaluate, inbox, call.job_id))  # in the context of this call alone
    try:
        outcome = await asyncio.wait_for(_outcome_of(call), call.timeout)
    except TimeoutError:
        assert call.timeout is not None
        error: BaseException = TaskTimeoutError(call.fullname, call.timeout)
        outcome = Raised(call.job_id, error, (), now(), now())
    except BaseException as cancelled:
        outcome = Raised(call.job_id, cancelled, (), now(), now())
    inbox.deliver([outcome])


async def _evaluate(inbox: Inbox, job_id: JobId, asked: Any) -> Any:
    """Wait until the engine has evaluated what a body awaits."""
    import asyncio

    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Any] = loop.create_future()

    def answer(value: Any, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(_settle, answered, value, error)

    inbox.ask(job_id, asked, answer)
    return await answered


def _settle(answered: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    import asyncio

    if answered.done():  # cancelled meanwhile
        return
    if error is None:
        answered.set_result(value)
    elif isinstance(error, asyncio.CancelledError):
        answered.cancel()
    elif isinstance(error, StopIteration):  # which no future takes
        answered.set_exception(RuntimeError(f"A call raised {error!r}."))
    else:
        answered.set_exception(error)


async def _outcome_of(call: Call) -> Outcome:
    if inspect.iscoroutinefunction(call.func):
        return await run_call_async(call)
    import asyncio

    return await asyncio.to_thread(run_call, call)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _cancel_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    for each in tasks:
        each.cancel()


def _stop_when_done(loop: asyncio.AbstractEventLoop, running: set[asyncio.Task[None]]) -> None:
    if not running:
        loop.stop()
        return
    for each in list(running):
        each.add_done_callback(lambda _: running or loop.stop())
