"""Runs of Prefect tasks, seen from within: looked up when they begin, recorded when they end."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import prefect
from prefect.client.schemas.objects import State, TaskRunResult
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import FailedRun
from prefect.futures import PrefectFutureList
from prefect.transactions import TransactionState, get_transaction

from taskgraph.fingerprint.code import frozen
from taskgraph.plug.memo import Cached, cached
from taskgraph.plug.verbs import CallKey, CallRecord, Hit, lookup, record

_MOST: Final = 10_000  # task runs whose calls are known again
_NO_DATA: Final = frozenset({"__parents__", "wait_for"})
_records: OrderedDict[UUID, CallRecord] = OrderedDict()


@dataclass(frozen=True)
class _Run:
    """A call, and the run of Prefect that it is; None if it was called past Prefect."""

    call: CallKey
    context: TaskRunContext | None

    def find(self) -> Hit | None:
        """Return the recorded result, unless Prefect was told to refresh it."""
        transaction = get_transaction() if self.context else None
        if transaction is not None and transaction.overwrite:
            return None
        found = lookup(self.call, tags=self._tags())
        if not isinstance(found, Hit):
            return None
        if transaction is not None and transaction.key is None:
            # Prefect is to keep nothing of this run, and calls what was there already Cached.
            transaction.state = TransactionState.COMMITTED
        self._remember(found.record)
        return found

    @contextmanager
    def recording(self) -> Iterator[list[Any]]:
        """Have what this block raises, or puts into the list that it is given, be recorded."""
        results: list[Any] = []
        told: dict[str, Any] = {"started": datetime.now(UTC), "tags": self._tags()}
        told["upstream"] = self._upstream()
        try:
            with self.call.running():
                yield results
        except BaseException as error:  # a timeout, too: Prefect says what becomes of the run
            record(self.call, error=error, **told)
            raise
        (result,) = results
        self._remember(record(self.call, result, error=_failure_in(result), **told))

    def _tags(self) -> dict[str, str]:
        flow = FlowRunContext.get()
        told = {
            "prefect_flow": flow and flow.flow and flow.flow.name,
            "prefect_flow_run": flow and flow.flow_run and flow.flow_run.id,
            "prefect_task_run": self.context and self.context.task_run.id,
        }
        return {name: str(value) for name, value in told.items() if value}

    def _upstream(self) -> list[CallRecord]:
        """Return the calls that Prefect saw the arguments come from: it knows every future."""
        inputs = self.context.task_run.task_inputs if self.context else {}
        runs = [each for name in inputs.keys() - _NO_DATA for each in inputs[name]]
        ids = [each.id for each in runs if isinstance(each, TaskRunResult)]
        return [_records[each] for each in ids if each in _records]

    def _remember(self, made: CallRecord) -> None:
        if self.context is not None:
            _records[self.context.task_run.id] = made
            if len(_records) > _MOST:
                _records.popitem(last=False)


def _failure_in(result: Any) -> Exception | None:
    """Return what makes a returned state a failure: no later run may take it for a result."""
    if isinstance(result, State) and not result.is_completed():
        return FailedRun(result.message or f"It returned the state {result.name}.")
    return None


def recorded(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function to be called by Prefect, whose calls are looked up and recorded.

    Raises:
        GeneratorCallError: The function is a generator.
    """
    kept: Any = func if isinstance(func, Cached) else cached(func)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[_Run, Any]:
        context = TaskRunContext.get()
        is_run = context is not None and context.task.fn is run
        inside = cached_in(run)
        call = inside.key(*map(plain, args), **{name: plain(each) for name, each in kwargs.items()})
        return _Run(call, context if is_run else None), inside.__wrapped__

    # What is called here is sent to other processes as it is, with all that it mentions.
    if inspect.iscoroutinefunction(kept.__wrapped__):

        @functools.wraps(kept, updated=())
        async def run(*args: Any, **kwargs: Any) -> Any:
            with frozen():  # what the body changes of its module is no edit
                this, body = begin(args, kwargs)
                found = this.find()
                if found is not None:
                    return found.value
                with this.recording() as results:
                    results.append(await body(*args, **kwargs))
                return results[0]

    else:

        @functools.wraps(kept, updated=())
        def run(*args: Any, **kwargs: Any) -> Any:
            with frozen():  # what the body changes of its module is no edit
                this, body = begin(args, kwargs)
                found = this.find()
                if found is not None:
                    return found.value
                with this.recording() as results:
                    results.append(body(*args, **kwargs))
                return results[0]

    return run


def cached_in(func: Callable[..., Any]) -> Any:
    """Return the cached function that a task calls, or the function itself if it is not recorded.

    A cached function travels by its name, and in another process that is the name of the task.
    """
    found = getattr(func, "__wrapped__", func)
    if isinstance(found, prefect.Task):
        return cached_in(found.fn)
    return found if isinstance(found, Cached) else func


def plain(argument: Any) -> Any:
    """Return an argument as it counts: results that were waited for as a list are a list."""
    return list(argument) if type(argument) is PrefectFutureList else argument
