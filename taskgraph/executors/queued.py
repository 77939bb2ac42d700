"""`QueueExecutor`: sends calls to the workers of queues, by way of the database of their run.

    a call is ready          it is put there, with all others that are ready
    a worker takes it        one that serves its queue, wherever that runs
    it is answered           found by a look at all that are under way; the row is taken away
    its workers died         it waits again; of the third the call was lost
    its row is gone          whoever took this run for dead has removed it: the call is put again
    nobody serves its queue  that is said once, and waited for

It looks often while answers come, and ever more seldom while none do.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ClassVar, Final, NamedTuple

from taskgraph.errors import DatabaseError, ExecutorError, WorkerLostError
from taskgraph.executors.parcels import Parcel, check_size
from taskgraph.executors.pooled import Batch, PooledExecutor
from taskgraph.ports import Call, CallQueue
from taskgraph.records import ExecutionId, RoutedAnswer, RoutedCall
from taskgraph.worker import describe_error

MOST_CALLS: Final = 1_000
_SHORTEST: Final = 0.020  # seconds between two looks for answers
_LONGEST: Final = 0.500
_LOOK_EVERY: Final = 1.0  # seconds between two looks at what became of those without an answer
#: Seconds after which it is said that nobody serves a queue.
PATIENCE: Final = 5.0
#: Seconds for which a database may fail to answer.
_MOST_SECONDS: Final = 60.0


class _Gone(Exception):
    """A call is not there any more that nobody here has withdrawn."""


class _Sent:
    """A call that is there for workers.

    Attributes:
        is_begun: Whether a worker has taken it, as far as that is known.
    """

    __slots__ = ("future", "is_begun", "queue", "row", "run", "since", "task")

    def __init__(self, row: RoutedCall, future: Future[Any]) -> None:
        self.row: RoutedCall | None = row  # until it was put
        self.future = future
        self.run = row.execution_id
        self.task = row.task_name
        self.queue = row.queue
        self.since = time.monotonic()
        self.is_begun = False


class _Known(NamedTuple):
    """What is under way."""

    queue: CallQueue
    sent: dict[str, _Sent]
    runs: list[ExecutionId]


#: The calls that all executors of this process have under way: what else is there of the same
#: executions was left by a process that ran them before.
_under_way: Final[set[str]] = set()


class QueueExecutor(PooledExecutor):
    """Sends each call to the workers of its queue.

    Args:
        name: The name that tasks choose it by.
        max_calls: How many calls may be there for workers at once; by default 1,000.
        connect: Returns where calls are put.
        warn: Told in a sentence what the user should know.
    """

    routes = True
    lost: ClassVar[tuple[type[BaseException], ...]] = ()
    ahead = 1

    def __init__(
        self,
        name: str = "queues",
        max_calls: int | None = None,
        *,
        connect: Callable[[], CallQueue] | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(name, max_calls)
        self.size = max_calls or MOST_CALLS
        self._connect = connect
        self._warn = warn or (lambda sentence: None)
        self._queue: CallQueue | None = None
        self._put: list[tuple[str, _Sent]] = []
        self._sent: dict[str, _Sent] = {}
        self._ids: dict[Future[Any], str] = {}
        self._read: set[str] = set()  # those that were answered, and are there still
        self._warned: set[str] = set()
        self._changed = threading.Event()
        self._watcher: threading.Thread | None = None

    def open(self) -> None:
        """Get a connection.

        Raises:
            ExecutorError: Calls cannot be sent to workers from here.
        """
        if self._connect is None:
            raise ExecutorError(
                f"executor {self.name!r} sends calls through the database of a run: it is made by "
                "a Scheduler, and by nobody else."
            )
        self._queue = self._connect()
        self._warned.clear()

    def close(self, is_now: bool) -> None:
        """Take all calls away: nobody waits for them any more."""
        with self._lock:
            ids = [*self._sent, *self._read, *(key for key, _ in self._put)]
            self._sent, self._put, self._ids, self._read = {}, [], {}, set()
            queue, self._queue = self._queue, None
        self._changed.set()
        if queue is not None:
            # What is left is taken away by workers once the run has ended.
            with suppress(DatabaseError):
                queue.withdraw(ids, also_taken=True)
            queue.close()
        _under_way.difference_update(ids)

    def slots(self, call: Call) -> int:
        """Return 1: what a call needs is the worker's affair."""
        return 1

    def goes_alone(self, call: Call) -> bool:
        """Tell that each call is by itself: it goes to whoever is free first."""
        return True

    def send(self, run: Callable[..., bytes], /, *args: Any) -> Future[bytes]:
        """Refuse: workers of queues run calls of tasks.

        Raises:
            ExecutorError: Always.
        """
        raise ExecutorError(f"executor {self.name!r} sends calls of tasks, and nothing else.")

    # On their way there

    def post(self, messages: list[bytes], calls: Sequence[Call]) -> Future[Any]:
        """Add a call to those that are put together."""
        (call,), (message,) = calls, messages
        route = call.route
        if route is None:
            raise ExecutorError(f"{call.fullname} is not called in a run that could await it.")
        slots = max(1, math.ceil(call.resources.cpus))
        parcel = Parcel(self._around, slots, message, call.timeout).encode()
        check_size(f"What {call.fullname} is given", parcel)
        key = uuid.uuid4().hex
        future: Future[Any] = Future()
        row = RoutedCall(key, route.execution_id, call.job_id, route.queue, call.fullname, parcel)
        self._put.append((key, _Sent(row, future)))
        return future

    def flush(self) -> None:
        """Put the calls there, in one go."""
        put, self._put = self._put, []
        queue = self._queue
        if not put:
            return
        assert queue is not None
        rows = [each.row for _, each in put if each.row is not None]
        _under_way.update(key for key, _ in put)
        try:
            queue.put(rows)
        except Exception as error:
            # The database is gone, say, or a call is larger than it takes: these have failed.
            keys = [key for key, _ in put]
            _under_way.difference_update(keys)
            with suppress(Exception):  # some may be there, and nobody would hear of them
                queue.withdraw(keys, also_taken=True)
            said = describe_error(error)
            reason = ExecutorError(f"executor {self.name!r} cannot send calls to workers: {said}")
            for _, each in put:
                each.future.set_exception(reason)
            return
        for _, each in put:
            each.row = None  # it may be large
        self._sent.update(put)
        self._ids.update((each.future, key) for key, each in put)
        if self._watcher is None:
            name = f"taskgraph-{self.name}-answers"
            self._watcher = threading.Thread(target=self._watch, name=name, daemon=True)
            self._watcher.start()
        self._changed.set()

    def take_back(self, futures: Sequence[Future[Any]]) -> list[Future[Any]]:
        """Withdraw calls that no worker has taken; returns whose."""
        known = {self._ids[each]: each for each in futures if each in self._ids}
        queue = self._queue
        if queue is None or not known:
            return []
        try:
            gone = queue.withdraw(list(known), also_taken=False)
        except DatabaseError:
            return []  # they go on, and are dropped when they have ended
        self._forget(gone)
        return [known[each] for each in gone]

    def begun_of(self, future: Future[Any]) -> int | None:
        """Return whether a worker has a call, as far as that is known."""
        sent = self._sent.get(self._ids.get(future, ""))
        return None if sent is None else int(sent.is_begun)

    def sends_again(self, batch: Batch, error: BaseException) -> bool:
        """Tell that a call is put again which is not there any more."""
        return isinstance(error, _Gone)

    # On their way back

    def _watch(self) -> None:
        """Look again and again what came of the calls."""
        pause = _SHORTEST
        looked = answered = time.monotonic()
        while (known := self._known()) is not None:
            try:
                found = self._take_answers(known)
                if time.monotonic() - looked >= _LOOK_EVERY:
                    looked = time.monotonic()
                    self._look(known, looked)
                answered = time.monotonic()
            except Exception as error:
                found = False
                if time.monotonic() - answered >= _MOST_SECONDS:
                    self._lose_all(error)
            pause = _SHORTEST if found else min(_LONGEST, pause * 1.5)
            if self._changed.wait(pause):
                self._changed.clear()
                pause = _SHORTEST

    def _known(self) -> _Known | None:
        """Return what is under way; None ends this thread."""
        with self._lock:
            if self._sent and self._queue is not None:
                sent = dict(self._sent)
                return _Known(
                    self._queue, sent, list(dict.fromkeys(each.run for each in sent.values()))
                )
            self._watcher = None
            return None

    def _take_answers(self, known: _Known) -> bool:
        answers = known.queue.answers(known.runs)
        found = [each for each in answers if each.id in known.sent]
        with self._lock:
            self._read.update(each.id for each in found)
            self._forget(each.id for each in found)
        for each in found:
            _settle(known.sent[each.id], each)
        if self._read:
            read = list(self._read)
            known.queue.withdraw(read, also_taken=True)
            with self._lock:
                self._read.difference_update(read)
        return bool(found)

    def _look(self, known: _Known, moment: float) -> None:
        """See which calls are there, which were begun, and whether anybody would begin them.

        What is had by servers that are gone waits again: where nobody else serves anything, nobody
        else would see it.
        """
        known.queue.give_back_lost(known.runs)
        there = known.queue.look(known.runs)
        left = [key for key in there if key not in _under_way]
        if left:
            known.queue.withdraw(left, also_taken=True)
        waiting: Counter[str] = Counter()
        gone: list[str] = []
        for key, each in known.sent.items():
            if key not in there:
                gone.append(key)
                continue
            each.is_begun = there[key]
            if not each.is_begun and moment - each.since >= PATIENCE:
                waiting[each.queue] += 1
        if gone:
            self._send_again(gone)
        unknown = waiting.keys() - self._warned
        if unknown:
            for name in sorted(unknown - known.queue.served()):
                self._warned.add(name)
                self._warn(_nobody_serves(name, waiting[name]))

    def _send_again(self, gone: Iterable[str]) -> None:
        with self._lock:
            # What was answered or withdrawn meanwhile is none of them.
            lost = [self._sent[key] for key in gone if key in self._sent]
            self._forget([self._ids[each.future] for each in lost])
        for each in lost:
            each.future.set_exception(_Gone())

    def _forget(self, ids: Iterable[str]) -> None:
        with self._lock:
            for key in ids:
                _under_way.discard(key)
                sent = self._sent.pop(key, None)
                if sent is not None:
                    self._ids.pop(sent.future, None)

    def _lose_all(self, error: BaseException) -> None:
        """Say of all calls that nobody will know what came of them."""
        with self._lock:
            lost = list(self._sent.values())
            self._forget(list(self._sent))
        said = describe_error(error)
        for each in lost:
            each.future.set_exception(
                ExecutorError(f"What came of {each.task} cannot be asked any more: {said}")
            )


def _settle(sent: _Sent, found: RoutedAnswer) -> None:
    if found.answer is not None:
        sent.future.set_result(found.answer)
        return
    detail = f"{found.losses} workers of queue {sent.queue!r}, one after the other"
    sent.future.set_exception(WorkerLostError(sent.task, detail))


def _nobody_serves(queue: str, count: int) -> str:
    calls = "a call waits" if count == 1 else f"{count} calls wait"
    return (
        f"No worker serves queue {queue!r}, and {calls} for one. Start one: "
        f"`taskgraph worker start --pool NAME --queues {queue}`. The run goes on waiting."
    )


__all__ = ["MOST_CALLS", "PATIENCE", "QueueExecutor"]
