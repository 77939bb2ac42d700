"""Functions that tools call in the place of cached ones: each call is kept as the tool says.

    the tool calls what stands in
      `begin` makes the block of the call   with its key, its ids, and who is told
      a result is found                     returned
      none is                               the function runs in that block, awaited if it is async

To the tool they look like the functions that they stand in for.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

from taskgraph.plug.keeping import KeptCall, Unkeyed, kept, key_if_any, leave_out
from taskgraph.plug.memo import Cached


def in_place_of(
    cached: Cached[..., Any],
    begin: Callable[[tuple[Any, ...], dict[str, Any]], AbstractContextManager[KeptCall]],
) -> Callable[..., Any]:
    """Return a function to be called in the place of a cached one: with `kept` around each call.

    Args:
        cached: The cached one, whose names and signature it has. It is ``async`` if that is.
        begin: Given the arguments of a call, returns the block to run it in.
    """

    @functools.wraps(cached, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with begin(args, kwargs) as call:
            if not call.is_found:
                call.result = call.body()
        return call.result

    @functools.wraps(cached, updated=())
    async def run_async(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with begin(args, kwargs) as call:
            if not call.is_found:
                call.result = await call.body()
        return call.result

    made: Any = run_async if inspect.iscoroutinefunction(cached.func) else run
    made.__taskgraph_stands_in__ = True
    return cast(Callable[..., Any], made)


def stood_in_for(func: Callable[..., Any]) -> Any:
    """Return the cached function in the place of which one from `in_place_of` is called.

    In whatever process: a cached function travels by its name, and where that is now the name of
    what the tool made of it, it is found in there. Other functions are returned as they are.
    """
    if not hasattr(func, "__taskgraph_stands_in__"):
        return func
    return inspect.unwrap(func, stop=lambda each: isinstance(each, Cached))


def lenient(
    cached: Cached[..., Any],
    counts: Callable[[str, Any], Any],
    *,
    tell: Callable[[KeptCall], None],
    config_dir: str | Path | None = None,
) -> Callable[..., Any]:
    """Return a function to be called in the place of a cached one, kept wherever that can be.

    For tools that give functions more than values, by name. What cannot be kept runs all the same.

    Args:
        cached: The cached function.
        counts: Given an argument's name and value, returns what the function is given in its
            place. Raises a `TypeError` that says why it can have no hash; it is given as it is,
            then. Not asked about arguments that are left out of the key.
        tell: Told of each call when it has ended.
        config_dir: The folder of settings and database.
    """
    left_out = cached.__taskgraph_task__.get_task_options().get("config_args", ())

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> AbstractContextManager[KeptCall]:
        reason = advice = ""
        for name in [each for each in kwargs if each not in left_out]:
            try:
                kwargs[name] = counts(name, kwargs[name])
            except TypeError as error:
                if not reason:
                    reason, advice = f"its argument {name} {error}", leave_out(name)
        if not reason:
            return kept(key_if_any(cached, args, kwargs, config_dir=config_dir), tell=tell)
        body = functools.partial(cached.func, *args, **kwargs)
        return kept(Unkeyed(body, reason, advice), tell=tell)

    # With the marks that other tools have put on it.
    return functools.update_wrapper(in_place_of(cached, begin), cached)
