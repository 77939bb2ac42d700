"""`Cluster`: calls of ours on the workers of a Dask cluster, and what they say of them.

Calls are submitted by any thread. What workers say is heard by threads of our own, for Dask's must
not wait for files or the database.
"""

from __future__ import annotations

import platform
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol, cast
from weakref import WeakValueDictionary

from distributed import Client, Future

from taskgraph.errors import ValueStoreError
from taskgraph.executors.carried import keys_of
from taskgraph.executors.dask.inputs import Inputs, replace_futures
from taskgraph.executors.dask.talk import Answer, Message, answer_ticket, error_answer, take_told
from taskgraph.executors.dask.worker import Order, Surroundings, as_sent, run_order
from taskgraph.fingerprint.parts import Part
from taskgraph.fingerprint.project import Project, current_project
from taskgraph.hashing import CallHash, ValueHash
from taskgraph.ports import Call, Outcome, Returned
from taskgraph.records import PackedValue
from taskgraph.values import codec
from taskgraph.values.pack import put_outside, put_outside_or_name
from taskgraph.values.places import FilePlaces, current_places
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_of
from taskgraph.values.remote import Remote
from taskgraph.values.valuestore import ValueStore

_THREADS: Final = 4


def key_of(call: Call) -> str:
    """Return what a call is called on the cluster."""
    return f"{call.fullname.rpartition('.')[2]}-{call.job_id}"


class Found(NamedTuple):
    """The value of a call that need not run.

    Attributes:
        key: What the call is called on the cluster, as by `key_of`.
        value: The value.
        value_hash: Its hash.
        call_hash: The recorded call that gave it.
    """

    key: str
    value: Any
    value_hash: ValueHash
    call_hash: CallHash | None


class Finished(NamedTuple):
    """What came of a call.

    Attributes:
        outcome: With what stands for the value, which stays on the worker, in its place; the value
            itself if that holds lazy calls.
        inputs: The values that only the worker could weigh, as they are stored.
        worker: Its address.
    """

    outcome: Outcome
    inputs: Sequence[PackedValue]
    worker: str


class Caller(Protocol):
    """Who submits a call: asked and told of it by threads of the cluster's."""

    def decide(self) -> Found | Future[Any] | None:
        """Say whether the call runs, for its inputs are on a worker and known here.

        Returns:
            None to have it run, what it gives if it need not, or a future: this is asked again when
            that is done.
        """
        ...

    def finish(self, finished: Finished) -> None:
        """Take note of what came of it before its future is done, which may be cancelled by now.

        There is more than one end where Dask runs a call again: it failed, or its result was lost.
        """
        ...


class _Entry:
    """A call of ours: held while it is under way, and then by its future."""

    def __init__(self, key: str, caller: Caller | None = None) -> None:
        self.key = key
        self.caller = caller
        self.remote = _stand_in(key)
        self.unweighed: list[Remote] = []
        self.sources: list[object] = []  # what Dask runs again for this call is still told of
        self.followers: list[Callable[[Any], None]] = []
        self.store: ValueStore | None = None
        self._future: Callable[[], Future[Any] | None] = lambda: None

    @property
    def future(self) -> Future[Any] | None:
        """The future, if somebody still holds it."""
        return self._future()

    def belong_to(self, future: Future[Any]) -> None:
        """Live as long as a future does."""
        self._future = weakref.ref(future)
        future._taskgraph_call = self  # type: ignore[attr-defined]  # nobody else looks at it

    def hold(self, found: Found) -> None:
        """Take note of the value, which is known."""
        self.remote.show(kind_of(found.value).type_name(found.value), preview(found.value))
        self.remote.know(found.value_hash, found.call_hash)


class Cluster:
    """Runs calls on the workers of a Dask cluster.

    Args:
        client: Of that cluster, with an event loop of its own.

    Attributes:
        lock: Held by who looks for an equal call, and submits one if there is none.
    """

    def __init__(self, client: Client) -> None:
        self.lock = threading.RLock()
        self._client = client
        self._topic = f"taskgraph-{uuid.uuid4().hex}"
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="taskgraph-dask")
        self._under_way: dict[str, _Entry] = {}
        self._known: WeakValueDictionary[str, _Entry] = WeakValueDictionary()
        self._leaders: WeakValueDictionary[str, _Entry] = WeakValueDictionary()

    def connect(self) -> None:
        """Listen to the workers, and have them see files and code as this process does now.

        Called before calls are submitted, each time: a scheduler that was away for a moment has
        forgotten who listened, and there may be other settings in force.
        """
        self._client.subscribe_topic(self._topic, self._hear)
        wanted = _surroundings()
        if vars(self._client).get("_taskgraph_surroundings") != wanted:
            self._client.register_plugin(Surroundings(*wanted))
            self._client._taskgraph_surroundings = wanted  # type: ignore[attr-defined]

    def stand_in(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Inputs:
        """Return the arguments of a call with stand-ins where futures are.

        They are known when their calls are finished or, for `Caller.decide`, weighed by a worker.
        """
        remotes: dict[str, Remote] = {}
        unweighed: list[tuple[Remote, Future[Any]]] = []
        sources: list[object] = []

        def stand_in(future: Future[Any]) -> Remote:
            key = str(future.key)
            if key not in remotes:
                entry = self._known.get(key)
                remotes[key] = _stand_in(key) if entry is None else entry.remote
                if entry is None:
                    unweighed.append((remotes[key], future))
                else:
                    sources.append(entry)
            return remotes[key]

        made = tuple([replace_futures(each, stand_in) for each in args])
        named = {name: replace_futures(each, stand_in) for name, each in kwargs.items()}
        is_known = all(each.value_hash is not None for each in remotes.values())
        return Inputs(made, named, is_known, unweighed, sources)

    def find_equal(
        self, same: str, key: str = "", then: Callable[[Any], None] | None = None
    ) -> Future[Any] | None:
        """Return the future of an equal call that is under way.

        Args:
            same: What equal calls have in common.
            key: The call that asks, if it is under way too: it is the one to be found if there is
                no other.
            then: Given the caller of the other one when that has ended.
        """
        with self.lock:
            mine, other = self._under_way.get(key), self._leaders.get(same)
            if other is not None and other is not mine and other.key in self._under_way:
                future = other.future
                if future is not None and future.status == "pending":
                    other.followers += [] if then is None else [then]
                    return future
            if mine is not None:
                self._leaders[same] = mine
            return None

    def submit(
        self,
        call: Call,
        parts: Sequence[Part],
        caller: Caller,
        inputs: Inputs,
        *,
        same: str | None = None,
        is_decided: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> Future[Any]:
        """Submit a call, whose arguments may hold futures; returns at once.

        Args:
            call: The call. A function that workers cannot import travels by content.
            parts: What its code is made of: a worker that has imported other code is an error.
            caller: Told what came of it.
            inputs: Its arguments, as `stand_in` gave them.
            same: What equal calls have in common, to be found by.
            is_decided: Whether the call just runs; else the caller decides when all that it is
                given is there, and was weighed.
            options: Of ``client.submit``.
        """
        key = key_of(call)
        kept = (call.max_value_size, call.value_store, platform.node())
        about = (call.job_id, call.fullname, *kept, keys_of(parts))
        order = Order(self._topic, *about, _surroundings(), is_decided, call.output)
        unweighed = [] if is_decided else inputs.unweighed
        entry = _Entry(key, caller)
        entry.store = call.value_store
        entry.unweighed, entry.sources = [remote for remote, _ in unweighed], inputs.sources
        self._under_way[key] = self._known[key] = entry
        if same is not None:
            self._leaders[same] = entry
        # A tuple that begins with a function was a task in earlier versions of Dask.
        futures = [each for _, each in unweighed]
        sent = (order, as_sent(call.func), list(call.args), call.kwargs, futures)
        try:
            future = self._client.submit(run_order, *sent, key=key, **(options or {}))
        except BaseException:  # something in it cannot travel, or the client is closed
            del self._under_way[key]
            raise
        entry.belong_to(future)
        return future

    def put(self, found: Sequence[Found]) -> dict[str, Future[Any]]:
        """Give values that are known to the workers; returns their futures by keys."""
        values = {each.key: each.value for each in found}
        if not values:
            return {}
        if self._client.nthreads():
            futures = cast("dict[str, Future[Any]]", self._client.scatter(values, hash=False))
        else:
            # There are no workers yet, and none will come as long as nothing is to be done.
            submit = self._client.submit
            futures = {key: submit(_itself, value, key=key) for key, value in values.items()}
        for each in found:
            entry = self._known[each.key] = _Entry(each.key)
            entry.hold(each)
            entry.belong_to(futures[each.key])
        return futures

    # What workers say

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        self._pool.submit(self._handle, Message(**event[1]))

    def _handle(self, message: Message) -> None:
        try:
            answer = self._answer_to(message)
        except BaseException as error:
            answer = error_answer(error)
        try:
            self._run(message, answer_ticket, message.ticket, answer)
        except Exception:
            # The worker or the client is gone. Dask runs the task again elsewhere, or nobody
            # wants it; either way there is nobody to be told.
            return

    def _run(self, message: Message, func: Callable[..., Any], *args: Any) -> Any:
        return self._client.run(func, *args, workers=[message.worker])[message.worker]

    def _answer_to(self, message: Message) -> Answer:
        entry = self._under_way.get(message.key) or self._known.get(message.key)
        if entry is None or entry.caller is None:
            return Answer("run")  # nobody is to be told of it any more
        self._under_way[message.key] = entry  # again, where Dask runs it again
        if message.ask is not None:
            for remote, value_hash in zip(entry.unweighed, message.ask, strict=True):
                remote.know(value_hash)
            return self._decide(entry, entry.caller, message)
        try:
            entry.caller.finish(self._take(entry, message))
        finally:
            self._end(entry)
        return Answer("kept")

    def _decide(self, entry: _Entry, caller: Caller, message: Message) -> Answer:
        found = caller.decide()
        if isinstance(found, Future):
            found.add_done_callback(lambda _: self._pool.submit(self._handle, message))
            return Answer("wait")
        if found is None:
            return Answer("run")
        entry.hold(found)
        self._end(entry)
        return Answer("value", codec.dumps(found.value))

    def _take(self, entry: _Entry, message: Message) -> Finished:
        told = self._run(message, take_told, message.ticket)
        outcome = told.outcome
        if isinstance(outcome, Returned):
            entry.remote.show(told.type_name, told.preview)
            if outcome.value is None:
                outcome = replace(outcome, value=entry.remote)
            if outcome.packed is not None:
                try:
                    outcome = replace(outcome, packed=put_outside(outcome.packed, entry.store))
                except ValueStoreError as error:
                    outcome = replace(outcome, packed=None, unstored=str(error))
        inputs = [put_outside_or_name(each, entry.store) for each in told.inputs]
        return Finished(outcome, inputs, message.worker)

    def _end(self, entry: _Entry) -> None:
        with self.lock:
            self._under_way.pop(entry.key, None)
            followers, entry.followers = entry.followers, []
        for then in followers:
            then(entry.caller)


def _stand_in(key: str) -> Remote:
    return Remote(key, "distributed.client.Future", f"<Future: {key}>")


def _surroundings() -> tuple[FilePlaces, Project]:
    return current_places(), current_project()


def _itself(value: Any) -> Any:
    return value
