"""What Prefect calls in place of a task's function: it asks first, and tells afterwards."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import prefect
from prefect.context import TaskRunContext
from prefect.futures import PrefectFutureList

from taskgraph.plug.memo import Cached, cached
from taskgraph.plug.prefect.runs import Run


def recorded(func: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function to be called by Prefect, whose calls are looked up and recorded.

    Args:
        func: A function, or a cached one.
        options: Those of `cached`.

    Raises:
        GeneratorCallError: The function is a generator.
        TypeError: It is cached, and has its options.
    """
    if isinstance(func, Cached) and options:
        names = ", ".join(sorted(options))
        raise TypeError(f"{func!r} is cached with its own options; say {names} there.")
    kept: Any = func if isinstance(func, Cached) else cached(**options)(func)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Run, Any]:
        context = TaskRunContext.get()
        is_run = context is not None and context.task.fn is run
        inside = cached_in(run)
        call = inside.key(*map(plain, args), **{name: plain(each) for name, each in kwargs.items()})
        return Run(call, context if is_run else None), inside.__wrapped__

    # What is called here is sent to other processes as it is, with all that it mentions.
    if inspect.iscoroutinefunction(kept.__wrapped__):

        @functools.wraps(kept, updated=())
        async def run(*args: Any, **kwargs: Any) -> Any:
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
