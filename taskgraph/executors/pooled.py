"""`PooledExecutor`: an executor upon whatever runs functions elsewhere and gives futures of them.

    calls wait              in their order, as many as the pool has no use for yet
    a few go together       small ones in one message; one that was never seen, or is large, alone
    a future is done        its outcomes are handed over; what the worker did not come to goes again
    a worker died           the calls of its message are lost, and only they

A subclass says how the pool is opened, how a function is sent there, and how the pool is closed.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Final, NamedTuple

from taskgraph.errors import ExecutorError, TaskgraphError, WorkerLostError
from taskgraph.executors.begun import ENDED
from taskgraph.executors.border import MOST_SECONDS, decode_outcomes, encode_call_to_anywhere
from taskgraph.executors.there import run_there, surroundings
from taskgraph.ports import NO_RESOURCES, Call, Inbox, Outcome, Raised
from taskgraph.records import JobId
from taskgraph.worker import describe_error, now

#: In place of what a future holds: nothing yet.
PENDING: Final = object()

_MOST_IN_BATCH = 32
_SHORT = 0.25  # seconds: of such calls some are sent ahead of time
_MOST_LOSSES = 3  # pools, one after the other, that took not one message


class Batch(NamedTuple):
    """Calls that were sent together.

    Attributes:
        calls: The calls, and where their outcomes go.
        slots: How many workers they keep busy.
        pool: The number of the pool that they were sent to: pools are made anew after a loss.
    """

    calls: list[tuple[Call, Inbox]]
    slots: int
    pool: int


class PooledExecutor(ABC):
    """Runs calls in a pool of workers that is somebody else's affair.

    Args:
        name: The name that tasks choose it by.
        max_workers: How many workers there are; by default one for each core of this machine.

    Raises:
        ExecutorError: That is no number of workers.

    Attributes:
        name: The same.
        size: How many workers there are.
        lost: The errors that say of a future that the worker died which had it. The pool is opened
            anew if ``breaks`` says that it is of no use then.
        breaks: Whether a pool is of no use any more when one of its workers has died.
        ahead: How many messages a worker is given ahead of time: enough that none is idle while
            outcomes travel, few enough that a cancelled run leaves little behind.
        pause: After how many seconds `look_after` is called again and again while calls are under
            way.
    """

    gives_coroutines_to = "async"
    lost: ClassVar[tuple[type[BaseException], ...]] = ()
    breaks: ClassVar[bool] = False
    ahead: ClassVar[int] = 2
    pause: ClassVar[float | None] = None

    def __init__(self, name: str, max_workers: int | None = None) -> None:
        self.name = name
        self.size = _checked_size(name, max_workers) or os.cpu_count() or 1
        self._lock = threading.RLock()
        # Futures that are done; None is the end, and True that calls wait. They are looked at on a
        # thread of our own: a pool may call back with its own lock held, and whatever touched the
        # pool then would wait for ever. There it is opened too, which may take a while.
        self._done: SimpleQueue[Any] = SimpleQueue()
        self._collector: threading.Thread | None = None
        self._waiting: deque[tuple[Call, Inbox]] = deque()
        self._running: dict[Future[Any], Batch] = {}
        self._wide: set[Future[Any]] = set()  # those of calls that take several workers
        self._seconds: dict[str, float] = {}
        self._losses: dict[JobId, int] = {}  # how often calls were lost that had not been begun
        self._pool_number = 0
        self._opening = threading.Lock()
        self._is_open = False
        self._was_opened = False
        self._around = b""
        self._inbox: Inbox | None = None
        self._is_stopping = False

    # What a subclass says

    @abstractmethod
    def open(self) -> None:
        """Make the pool: it is about to be used, or it was lost."""

    @abstractmethod
    def send(self, run: Callable[..., bytes], /, *args: Any) -> Future[bytes]:
        """Have a function run by some worker; it and its arguments can be pickled."""

    @abstractmethod
    def close(self, is_now: bool) -> None:
        """Let go of the pool: after what runs, or at once if that can be."""

    # What a subclass may say otherwise

    def encode(self, call: Call) -> bytes:
        """Return a call as it travels."""
        return encode_call_to_anywhere(call)

    def post(self, messages: list[bytes], calls: Sequence[Call]) -> Future[Any]:
        """Send calls that were encoded."""
        return self.send(run_there, self._around, messages)

    def read(self, answer: Any, calls: Sequence[Call]) -> list[Outcome]:
        """Return what came of calls, or of the first of them."""
        return decode_outcomes(answer, calls)

    def results(self, futures: Sequence[Future[Any]]) -> list[Any]:
        """Return what futures that are done hold: a message each, or an error.

        One that turns out to be under way again, for what it held was lost, is `PENDING`.
        """
        return [result_of(each) for each in futures]

    def take_back(self, futures: Sequence[Future[Any]]) -> list[Future[Any]]:
        """Cancel those of the futures that no worker has begun; returns which ones."""
        return [each for each in futures if each.cancel()]

    def flush(self) -> None:  # noqa: B027 - few have anything to do
        """Do what `post` has put off: all that there is room for was posted."""

    def look_after(self) -> None:  # noqa: B027 - few have anything to do
        """See after the pool, now and then while calls are under way."""

    def give_up(self, detail: str) -> None:
        """Say of all calls that are under way that they were lost."""
        with self._lock:
            running, self._running = list(self._running.values()), {}
            self._wide.clear()
        for batch in running:
            for call, inbox in batch.calls:
                fail(call, inbox, WorkerLostError(call.fullname, detail))

    def is_usable(self) -> bool:
        """Tell whether the pool can be used that was opened."""
        return True

    def room(self) -> int:
        """Return how many messages may be under way, with the one that is to be sent next.

        A call that takes long, or may do so, is not sent ahead of time: it could not be taken back
        from a worker that is busy, and would begin after a Ctrl-C or a failure.
        """
        seconds = self._seconds.get(self._waiting[0][0].fullname) if self._waiting else None
        is_short = seconds is not None and seconds < _SHORT
        return self.size * (self.ahead if is_short else 1)

    def slots(self, call: Call) -> int:
        """Return how many workers a call takes."""
        return 1 if call.resources is NO_RESOURCES else call.resources.slots(self.size)

    def goes_alone(self, call: Call) -> bool:
        """Tell whether a call is given no company."""
        return call.resources is not NO_RESOURCES

    def begun_of(self, future: Future[Any]) -> int | None:
        """Return how many calls were begun of a message that is under way, if that is known."""
        return None

    def begun(self, future: Future[Any]) -> int | None:
        """Return how many calls were begun of a message that is done with, or None: nobody knows.

        `ENDED` says that all have ended.
        """
        return None

    def sends_again(self, batch: Batch, error: BaseException) -> bool:
        """Tell whether the calls of a message that came to nothing are to be sent again."""
        return False

    # The port

    def start(self, inbox: Inbox) -> None:
        """Take note of where outcomes go; a pool is made when there are calls for it."""
        self._inbox = inbox
        self._is_stopping = False
        self._losses = {}
        self._around = surroundings()

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
        self._done.put(True)

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop calls that no worker has begun."""
        unwanted = set(job_ids)
        with self._lock:
            whole = [
                future
                for future, batch in self._running.items()
                if all(call.job_id in unwanted for call, _ in batch.calls)
            ]
            for future in self.take_back(whole) if whole else ():
                batch = self._running.pop(future)
                self._wide.discard(future)
                self._waiting.extendleft(reversed(batch.calls))
            dropped = [call.job_id for call, _ in self._waiting if call.job_id in unwanted]
            self._waiting = deque(e for e in self._waiting if e[0].job_id not in unwanted)
        return dropped

    def queued(self, job_ids: Sequence[JobId]) -> set[JobId]:
        """Return which of the calls no worker has begun, as far as that is known."""
        with self._lock:
            found = {call.job_id for call, _ in self._waiting}
            for future, batch in self._running.items():
                count = self.begun_of(future)
                if count is not None:
                    found.update(call.job_id for call, _ in batch.calls[count:])
        return found & set(job_ids)

    def stop(self, is_now: bool = False) -> None:
        """Let the workers go after the calls that run, or end them."""
        with self._lock:
            self._is_stopping = True
            self._waiting.clear()
            collector, self._collector = self._collector, None
            self._is_open = False
            was_opened, self._was_opened = self._was_opened, False
        if collector is not None:
            self._done.put(None)
        if was_opened:
            self.close(is_now)

    # On their way there

    def _feed(self) -> None:
        """Give the pool as many calls as it has use for, which is opened if need be."""
        losses = 0
        while self._waiting and not self._is_stopping:
            if not (self._is_open and self.is_usable()):
                try:
                    self._open()
                except BaseException as error:
                    # No cluster, no more processes, or an interpreter that is ending; Dask's
                    # clients are cancelled, which is no Exception.
                    self._fail_all(self._reason(error))
                    return
            with self._lock:
                try:
                    while self._waiting and self._has_room() and self._is_open:
                        self._send(self._next_batch())
                except self.lost as error:  # it broke while it had nothing to do, or just now
                    self._let_go()
                    losses += 1
                    if losses == _MOST_LOSSES:
                        self._fail_all(self._reason(error))
                    continue
                finally:
                    self.flush()
            return

    def _open(self) -> None:
        with self._opening:
            if self._is_open and self.is_usable():
                return
            if self._is_open:
                self._let_go()
            self.open()
            with self._lock:
                self._pool_number += 1
                self._was_opened = not self._is_stopping
                self._is_open = not self._is_stopping
            if self._is_stopping:
                self.close(True)

    def _reason(self, error: BaseException) -> BaseException:
        if isinstance(error, TaskgraphError):
            return error
        said = describe_error(error)
        return ExecutorError(f"executor {self.name!r} cannot start a worker: {said}")

    def _fail_all(self, error: BaseException) -> None:
        with self._lock:
            waiting, self._waiting = list(self._waiting), deque()
        for call, inbox in waiting:
            fail(call, inbox, error)

    def _has_room(self) -> bool:
        """Tell whether the next call may be given to the pool.

        One that takes several workers waits until they are free, all others behind it; while it
        runs, none is given ahead of time.
        """
        slots = self.slots(self._waiting[0][0])
        if slots == 1 and not self._wide:
            return len(self._running) < self.room()
        return sum(each.slots for each in self._running.values()) + slots <= self.size

    def _next_batch(self) -> list[tuple[Call, Inbox]]:
        """Return some waiting calls: many in one message when there are very many of them."""
        fair = len(self._waiting) // (self.size * self.ahead * 4)
        most = max(1, min(_MOST_IN_BATCH, fair))
        batch: list[tuple[Call, Inbox]] = []
        expected = 0.0
        while self._waiting and len(batch) < most:
            # A task that was not seen yet goes alone: it may take an hour.
            call = self._waiting[0][0]
            seconds = self._seconds.get(call.fullname, MOST_SECONDS)
            is_alone = self.goes_alone(call)
            if batch and (is_alone or expected + seconds >= MOST_SECONDS):
                break
            batch.append(self._waiting.popleft())
            if is_alone:
                break
            expected += seconds
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
                messages.append(self.encode(call))
                sent.append((call, inbox))
            except Exception as error:
                # Arguments that cannot travel fail their own call, and no other.
                fail(call, inbox, cannot_travel(call, error))
        if not sent:
            return
        calls = [call for call, _ in sent]
        try:
            future = self.post(messages, calls)
        except self.lost:
            self._waiting.extendleft(reversed(sent))  # to the next pool
            raise
        except Exception as error:
            reason = self._reason(error)
            for call, inbox in sent:
                fail(call, inbox, reason)
            return
        if isinstance(future, Future):
            _tell_once(future)
        slots = self.slots(sent[0][0])
        self._running[future] = Batch(sent, slots, self._pool_number)
        if slots > 1:
            self._wide.add(future)
        future.add_done_callback(self._done.put)

    def _let_go(self) -> None:
        self._is_open = False
        with suppress(Exception, *self.lost):  # it is broken: what it says of that is no news
            self.close(True)

    # On their way back

    def _collect(self) -> None:
        goes_on = True
        looked = time.monotonic()
        while goes_on:
            pause = self.pause if self._running else None
            try:
                found = [self._done.get(timeout=pause)]
            except Empty:
                found = []
            with suppress(Empty):
                while True:
                    found.append(self._done.get_nowait())
            goes_on = None not in found
            futures = [each for each in found if each is not None and each is not True]
            try:
                if futures:
                    self._take(futures)
                # Results that are awaited anew say nothing of the pool, however often they come.
                if pause is not None and time.monotonic() - looked >= pause:
                    self.look_after()
                    looked = time.monotonic()
                if not self._is_stopping:
                    self._feed()
            except BaseException as error:
                # Whatever goes wrong with the pool or its client: nobody must wait for ever.
                self._fail_all(self._reason(error))

    def _take(self, futures: Sequence[Future[Any]]) -> None:
        """Hand over outcomes, or what became of messages instead."""
        with self._lock:
            taken = [(each, self._running.pop(each, None)) for each in futures]
            self._wide.difference_update(futures)
        wanted = [(future, batch) for future, batch in taken if batch is not None]
        for future, batch in taken:
            if batch is None:
                self.begun(future)  # it was cancelled, and is done with
        try:
            answers = self.results([future for future, _ in wanted])
        except BaseException as error:  # of the client: each call has an outcome all the same
            answers = [error] * len(wanted)
        for (future, batch), answer in zip(wanted, answers, strict=True):
            if answer is PENDING:
                with self._lock:
                    self._running[future] = batch
                future.add_done_callback(self._done.put)
                continue
            count = self.begun(future)
            if isinstance(answer, BaseException):
                self._on_error(batch, answer, count)
            else:
                self._on_answer(batch, answer)

    def _on_answer(self, batch: Batch, answer: Any) -> None:
        calls = [call for call, _ in batch.calls]
        try:
            outcomes = self.read(answer, calls)
        except BaseException as damaged:  # whatever the user's classes raise as they are read
            outcomes = [Raised(each.job_id, damaged, (), now(), now()) for each in calls]
        with self._lock:
            for call, outcome in zip(calls, outcomes, strict=False):
                self._learn(call, outcome)
            # What the worker did not come to is sent again, before all others.
            self._waiting.extendleft(reversed(batch.calls[len(outcomes) :]))
        batch.calls[0][1].deliver(outcomes)

    def _on_error(self, batch: Batch, error: BaseException, begun: int | None) -> None:
        """Say of the calls of a message what became of it; those of other messages go on."""
        is_lost = isinstance(error, (*self.lost, CancelledError))
        if self.breaks and is_lost:
            with self._lock:
                if self._is_open and self._pool_number == batch.pool:
                    self._let_go()
        if not self._is_stopping and self.sends_again(batch, error):
            with self._lock:
                self._waiting.extendleft(reversed(batch.calls))
            return
        lost = batch.calls
        if is_lost and begun is not None and not self._is_stopping:
            lost = self._send_others_again(batch.calls, begun)
        for call, inbox in lost:
            fail(call, inbox, WorkerLostError(call.fullname) if is_lost else error)

    def _send_others_again(
        self, calls: list[tuple[Call, Inbox]], begun: int
    ) -> list[tuple[Call, Inbox]]:
        """Send again what did not run when a worker died; returns what did.

        That are the calls that were not begun, and those that had ended and only travelled with the
        one that ran. They are not sent for ever: a worker may die of what it is sent.
        """
        if begun == ENDED:
            running = calls if len(calls) == 1 else []
        else:
            running = calls[begun - 1 : begun] if begun else []
        held = {call.job_id for call, _ in running}
        again: list[tuple[Call, Inbox]] = []
        for each in calls:
            job_id = each[0].job_id
            if job_id in held:
                continue
            times = self._losses[job_id] = self._losses.get(job_id, 0) + 1
            (again if times < _MOST_LOSSES else running).append(each)
        with self._lock:
            self._waiting.extendleft(reversed(again))
        return running


def _checked_size(name: str, size: int | None) -> int | None:
    """Return how many workers are wanted; for none at all its calls would wait for ever.

    Raises:
        ExecutorError: It is no number of workers.
    """
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ExecutorError(
            f"executor {name!r}: how many workers or jobs it may have at once is a whole number, "
            f"1 or more (0 for as many as usual), not {size!r}"
        )
    return size


class _ToldOnce:
    """A future that was cancelled, and is told of an error after that.

    Pools of Python tell each future when a worker has died; without this the first that was
    cancelled ends the thread that tells them, and those after it are never done.
    """

    def set_exception(self, exception: BaseException | None) -> None:
        with suppress(InvalidStateError):
            super().set_exception(exception)  # type: ignore[misc]  # of the future


@cache
def _derived(cls: Any) -> Any:
    return type(cls.__name__, (_ToldOnce, cls), {})


def _tell_once(future: Any) -> None:
    kind: Any = type(future)
    future.__class__ = _derived(kind)


def result_of(future: Future[Any]) -> Any:
    """Return what a future that is done holds, or its error."""
    try:
        return future.result()
    except BaseException as error:  # of any kind: it is told to who waits for the call
        return error


def fail(call: Call, inbox: Inbox, error: BaseException) -> None:
    """Say that a call has failed before, or without, its body."""
    inbox.deliver([Raised(call.job_id, error, (), now(), now())])


def cannot_travel(call: Call, error: BaseException) -> ExecutorError:
    """Return what is said of a call whose arguments cannot be sent."""
    return ExecutorError(
        f"{call.fullname} cannot be sent to a worker process: {error}. "
        'Run it with @task(executor="threads").'
    )
