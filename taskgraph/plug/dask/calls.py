"""The calls that one client of Dask's submitted: looked up, answered and recorded here.

The caller's thread looks up and submits. What workers say is heard by threads of our own, for
Dask's must not wait for files or the database.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

from distributed import Client, Future

from taskgraph.engine.cache import Hit
from taskgraph.fingerprint.project import current_project
from taskgraph.plug.dask.submitted import Given, Submitted
from taskgraph.plug.dask.table import Table
from taskgraph.plug.dask.talk import Answer, Message, answer_ticket, error_answer, take_outcome
from taskgraph.plug.dask.worker import Order, Surroundings, run_order, texts_of
from taskgraph.plug.execution import ProcessExecution, current_execution
from taskgraph.plug.functions import task_of
from taskgraph.plug.memo import Cached
from taskgraph.tasks.eager import EagerTask
from taskgraph.values import codec
from taskgraph.values.places import current_places

_THREADS: Final = 4

_making = threading.Lock()


def calls_of(client: Client) -> ClientCalls:
    """Return the calls of a client; they live as long as it does."""
    with _making:
        found = getattr(client, "_taskgraph_calls", None)
        if found is None:
            found = ClientCalls(client)
            client._taskgraph_calls = found  # type: ignore[attr-defined]  # ends with it
    return cast(ClientCalls, found)


class ClientCalls:
    """The calls that a client submitted."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._topic = f"taskgraph-{uuid.uuid4().hex}"
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="taskgraph-dask")
        self._table = Table()
        self._surroundings: tuple[Any, Any] | None = None

    def submit(
        self, func: Callable[..., Any], calls: Sequence[Given], options: Mapping[str, Any]
    ) -> list[Future[Any]]:
        """Return a future for each call: that of what is recorded, or of what is submitted."""
        # Each time, for a scheduler that was away for a moment has forgotten.
        self._client.subscribe_topic(self._topic, self._hear)
        execution = current_execution(func.config_dir if isinstance(func, Cached) else None)
        task = task_of(func)
        execution.put_in_force()
        self._surround()
        placed = [self._place(execution, func, task, call, options) for call in calls]
        found = [each for each in placed if isinstance(each, tuple)]
        given = self._scatter({each.key: value for each, value in found})
        for each, _ in found:
            each.belong_to(given[each.key])
        return [given[each[0].key] if isinstance(each, tuple) else each for each in placed]

    def _surround(self) -> None:
        wanted = (current_places(), current_project())
        if self._surroundings != wanted:
            self._client.register_plugin(Surroundings(*wanted))
            self._surroundings = wanted

    def _scatter(self, values: dict[str, Any]) -> dict[str, Future[Any]]:
        if not values:
            return {}
        if self._client.nthreads():
            return cast("dict[str, Future[Any]]", self._client.scatter(values, hash=False))
        # There are no workers yet, and none will come as long as nothing is to be done.
        submit = self._client.submit
        return {key: submit(_itself, value, key=key) for key, value in values.items()}

    def _place(
        self,
        execution: ProcessExecution,
        func: Callable[..., Any],
        task: EagerTask[..., Any],
        call: Given,
        options: Mapping[str, Any],
    ) -> Future[Any] | tuple[Submitted, Any]:
        """Return the future of a call, or the call and its recorded result."""
        table = self._table
        made = Submitted(execution, task, call, table.source_of)
        with table.lock:
            found = table.leader_of(made)
            if found is not None:
                leader, future = found
                leader.lead(made)
                return future
            decision = None if made.is_waiting else execution.calls.look_up(made.job)
            if isinstance(decision, Hit):
                table.know(made)
                return made, made.use(decision)
            if decision is not None:
                execution.calls.start(made.job, decision)
            table.take_off(made)
            order = self._order_for(made, is_decided=decision is not None)
            args, kwargs = call
            # A tuple that begins with a function was a task in earlier versions of Dask.
            sent = (order, _sent(func, task), list(args), kwargs, made.unweighed)
            try:
                future = self._client.submit(run_order, *sent, key=made.key, **options)
            except BaseException:  # something in it cannot travel, or the client is closed
                execution.calls.cancel(made.job)
                table.land(made)
                raise
            made.belong_to(future)
        return future

    def _order_for(self, made: Submitted, *, is_decided: bool) -> Order:
        assert self._surroundings is not None
        return Order(
            self._topic,
            made.job.id,
            made.job.task.fullname,
            texts_of(made.job.task.parts),
            *self._surroundings,
            made.execution.settings.backend.max_value_size,
            is_decided,
        )

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
        made = self._table.find(message.key)
        if made is None or not made.execution.is_open:
            return Answer("run")  # it is recorded no more
        made.execution.put_in_force()
        if made.is_landed:  # Dask runs it again: it failed, or what it gave was lost
            made.begin_again()
        if message.ask is not None:
            return self._decide(made, message)
        told = self._run(message, take_outcome, message.ticket)
        try:
            made.finish(told, message.worker)
        finally:
            self._table.land(made)
        return Answer("kept")

    def _decide(self, made: Submitted, message: Message) -> Answer:
        assert message.ask is not None
        made.weigh_inputs(message.ask)
        calls = made.execution.calls
        with self._table.lock:
            found = self._table.leader_of(made)
            if found is None:
                self._table.take_off(made)
        if found is not None:
            # What of it is recorded by then is a result to be used; if nothing is, this call runs.
            found[1].add_done_callback(lambda _: self._pool.submit(self._handle, message))
            return Answer("wait")
        decision = calls.look_up(made.job)
        if not isinstance(decision, Hit):
            calls.start(made.job, decision)
            return Answer("run")
        value = made.use(decision)
        self._table.land(made)
        return Answer("value", codec.dumps(value))


def _itself(value: Any) -> Any:
    return value


def _sent(func: Callable[..., Any], task: EagerTask[..., Any]) -> Callable[..., Any]:
    """Return what of a function travels: by its name, where a worker can import it."""
    is_named = isinstance(func, Cached) and "<" not in func.__qualname__
    return func if is_named and func.__module__ != "__main__" else cast(Any, task.func)
