"""Prefect: tasks whose runs are remembered by taskgraph, and a cache policy for its own tasks.

    a run of a task begins; Prefect has waited for its futures
      Prefect finds a result                 only where it was told to keep and find some
      a result is recorded and valid         used; the run ends in the state Cached
      none is                                the function runs; recorded, then the run ends

All else, from retries to task runners, is Prefect's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, overload

import prefect
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.context import TaskRunContext
from prefect.tasks import MaterializingTask
from prefect.utilities.callables import parameters_to_args_kwargs

from taskgraph.fingerprint.named import register_wrapping
from taskgraph.plug.prefect.bodies import cached_in, plain, recorded
from taskgraph.plug.verbs import CallKey, key
from taskgraph.tasks.eager import EagerTask

P = ParamSpec("P")
R = TypeVar("R")

_OURS: Final = frozenset(
    {
        "cache",
        "config_args",
        "config_dir",
        "hash_includes",
        "max_age",
        "packages",
        "strict",
        "tools",
    }
)
_KEEPS: Final = ("persist_result", "result_storage", "result_serializer")
_FINDS: Final = ("cache_policy", "cache_key_fn", "result_storage_key")


@dataclass
class TaskgraphPolicy(CachePolicy):
    """Has Prefect keep results by taskgraph's keys: code with all it reaches, and arguments.

    Nothing is recorded, and nobody looks at files in results; `task` does both.

    Attributes:
        config_dir: The folder of settings and database; by default the nearest ``.taskgraph``.
    """

    config_dir: str | Path | None = None

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str:
        """Return the hash that the call would have for `task`, too."""
        args, named = parameters_to_args_kwargs(task_ctx.task.fn, inputs)
        named = {name: plain(each) for name, each in named.items()}
        func = cached_in(task_ctx.task.fn)
        return key(func, tuple(map(plain, args)), named, config_dir=self.config_dir).eval_hash


@dataclass
class _EachRun(CachePolicy):
    """Has Prefect keep the result of each run, and never use that of another one."""

    def compute_key(self, task_ctx: TaskRunContext, *args: Any, **kwargs: Any) -> str:
        return str(task_ctx.task_run.id)


class RecordedTask(prefect.Task[P, R]):
    """A task of Prefect whose runs are looked up and recorded; made by `task`."""

    @property
    def __taskgraph_task__(self) -> EagerTask[P, R]:
        found: EagerTask[P, R] = cached_in(self.fn).__taskgraph_task__
        return found

    def key(self, *args: P.args, **kwargs: P.kwargs) -> CallKey:
        """Return the key of a call, which does not run: `taskgraph.explain` takes it."""
        made: CallKey = cached_in(self.fn).key(*args, **kwargs)
        return made


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
        options: Those of ``prefect.task``, and of `cached` those that Prefect has not: ``max_age``,
            ``config_args``, ``packages``, ``tools``, ``hash_includes``, ``strict``, ``cache``,
            ``config_dir``. Prefect keeps a copy of each result if it is told to
            by ``persist_result``, ``result_storage`` or ``result_serializer``. Where it is told
            to find results as well, by ``cache_policy``, ``cache_key_fn`` or
            ``result_storage_key``, it does so first, and by these alone.

    Raises:
        GeneratorCallError: The function is a generator.
        TaskOptionError: An option of taskgraph has a value that it cannot have.
        TypeError: Results are to expire that Prefect is not told to find, or a cached function
            has options already.
    """
    if not any(each in options for each in _FINDS):
        if options.get("cache_expiration") is not None:
            raise TypeError(
                "cache_expiration is about results that Prefect finds, and it is told to find none;"
                " say max_age for those that taskgraph finds."
            )
        is_kept = any(options.get(each) for each in _KEEPS)
        options["cache_policy"] = _EachRun() if is_kept else NO_CACHE
    ours = {name: options.pop(name) for name in _OURS & options.keys()}

    def decorate(function: Callable[..., Any]) -> RecordedTask[..., Any]:
        return RecordedTask(recorded(function, ours), **options)

    return decorate if func is None else decorate(func)


def _wrapped(made: prefect.Task[..., Any] | prefect.Flow[..., Any]) -> Sequence[Any]:
    """Return what counts of a task or flow for code that calls it: its function."""
    return [cached_in(made.fn)]


for _each in (prefect.Task, RecordedTask, MaterializingTask, prefect.Flow):
    register_wrapping(_each, _wrapped)
