"""Prefect: tasks whose runs are remembered by taskgraph, and a cache policy for its own tasks.

    a run of a task begins; Prefect has waited for its futures
      Prefect finds a result           only where it was told to keep and find some
      a result is recorded and valid   used; the run ends in the state Cached
      none is                          the function runs; recorded, then the run ends

All else, from retries to task runners, is Prefect's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload

import prefect
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import FailedRun
from prefect.futures import PrefectFutureList
from prefect.tasks import MaterializingTask
from prefect.transactions import TransactionState, get_transaction
from prefect.utilities.callables import parameters_to_args_kwargs

from taskgraph.fingerprint.named import register_wrapping
from taskgraph.plug.keeping import KeptCall, kept
from taskgraph.plug.memo import as_cached
from taskgraph.plug.stand_ins import in_place_of, stood_in_for
from taskgraph.plug.verbs import CallKey, key
from taskgraph.tasks.eager import EagerTask
from taskgraph.tasks.functions import task_of

P = ParamSpec("P")
R = TypeVar("R")

_KEEPS = ("persist_result", "result_storage", "result_serializer")
_FINDS = ("cache_policy", "cache_key_fn", "result_storage_key")
_EACH_RUN_ITS_OWN = CachePolicy.from_cache_key_fn(lambda context, _: str(context.task_run.id))


@dataclass
class TaskgraphPolicy(CachePolicy):
    """Has Prefect keep results by taskgraph's keys: code with all it reaches, and arguments.

    Nothing is recorded, and nobody looks at files in results; `task` does both.

    Attributes:
        config_dir: The folder of settings and database; by default the nearest ``.taskgraph``.
    """

    config_dir: str | Path | None = None

    def compute_key(self, task_ctx: TaskRunContext, inputs: Any, *args: Any, **kwargs: Any) -> str:
        """Return the hash that the call would have for `task`, too."""
        given, named = parameters_to_args_kwargs(task_ctx.task.fn, inputs)
        named = {name: _plain(each) for name, each in named.items()}
        func = stood_in_for(task_ctx.task.fn)
        return key(func, tuple(map(_plain, given)), named, config_dir=self.config_dir).eval_hash


class RecordedTask(prefect.Task[P, R]):
    """A task of Prefect whose runs are looked up and recorded; made by `task`."""

    @property
    def __taskgraph_task__(self) -> EagerTask[..., Any]:
        return task_of(stood_in_for(self.fn))

    def key(self, *args: P.args, **kwargs: P.kwargs) -> CallKey:
        """Return the key of a call, which does not run: `taskgraph.explain` takes it."""
        return key(self, args, kwargs, config_dir=stood_in_for(self.fn).config_dir)


@overload
def task(func: Callable[P, R], /) -> RecordedTask[P, R]: ...
@overload
def task(**options: Any) -> Callable[[Callable[P, R]], RecordedTask[P, R]]: ...
def task(func: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of Prefect whose runs are remembered; usable bare or with arguments.

    Each run is looked up and recorded by taskgraph, with the runs in it, those that its arguments
    came from, and the ids of Prefect's task run and flow run as tags.

    Args:
        func: A function, or a `cached` one, which brings its options along.
        options: Those of ``prefect.task``, and of `cached` those that Prefect has not. Prefect
            keeps results as well by ``persist_result``, ``result_storage``, ``result_serializer``;
            by ``cache_policy``, ``cache_key_fn``, ``result_storage_key`` it finds some first.

    Raises:
        GeneratorCallError: The function is a generator.
        TaskOptionError: An option that is not Prefect's is unknown, or has a wrong value.
        TypeError: ``cache_expiration`` stands alone, or a cached function has options already.
    """
    if not any(each in options for each in _FINDS):
        if options.get("cache_expiration") is not None:
            raise TypeError("Prefect finds no results here; say max_age, not cache_expiration.")
        options["cache_policy"] = _EACH_RUN_ITS_OWN if any(map(options.get, _KEEPS)) else NO_CACHE
    prefects = inspect.signature(prefect.Task).parameters
    ours = {name: options.pop(name) for name in options.keys() - prefects.keys()}

    def decorate(function: Callable[..., Any]) -> RecordedTask[..., Any]:
        # What Prefect calls is sent to other processes as it is, with all that it mentions.
        run = in_place_of(as_cached(function, **ours), lambda *given: _recorded(run, *given))
        return RecordedTask(run, **options)

    return decorate if func is None else decorate(func)


@contextmanager
def _recorded(run: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[KeptCall]:
    """Have a run be found, or what runs in this block be recorded, with all that Prefect knows."""
    inside, flow, context = stood_in_for(run), FlowRunContext.get(), TaskRunContext.get()
    if context is not None and context.task.fn is not run:
        context = None  # it is called past Prefect, within another run
    transaction = get_transaction() if context else None
    tags = {
        "prefect_flow": flow and flow.flow and flow.flow.name,
        "prefect_flow_run": flow and flow.flow_run and flow.flow_run.id,
        "prefect_task_run": context and context.task_run.id,
    }
    inputs = context.task_run.task_inputs if context else {}
    runs = [each for name, given in inputs.items() if name != "wait_for" for each in given]
    with kept(
        inside.key(*map(_plain, args), **{name: _plain(kwargs[name]) for name in kwargs}),
        refresh=transaction is not None and bool(transaction.overwrite),
        run=context and context.task_run.id,
        inputs=[getattr(each, "id", None) for each in runs],
        tags={name: str(value) for name, value in tags.items() if value},
    ) as call:
        if call.is_found and transaction is not None and transaction.key is None:
            # Prefect is to keep nothing of this run, and calls what was there already Cached.
            transaction.state = TransactionState.COMMITTED
        yield call
        if isinstance(state := call.result, prefect.State) and not state.is_completed():
            # No later run may take it for a result.
            call.error = FailedRun(state.message or f"It returned the state {state.name}.")


def _plain(argument: Any) -> Any:
    """Return an argument as it counts: results that were waited for as a list are a list."""
    return list(argument) if type(argument) is PrefectFutureList else argument


for _each in (prefect.Task, RecordedTask, MaterializingTask, prefect.Flow):
    register_wrapping(_each, lambda made: [stood_in_for(made.fn)])
