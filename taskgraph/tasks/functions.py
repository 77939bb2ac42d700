"""From functions to eager tasks: each function that somebody else runs has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from taskgraph.errors import GeneratorCallError
from taskgraph.recent import Recent
from taskgraph.tasks.eager import EAGER_OPTIONS, EagerTask, eager_task
from taskgraph.tasks.task import Task

# Functions that are made at run time must not fill the memory.
_tasks: Recent[int, EagerTask[..., Any]] = Recent()


def task_of(func: Callable[..., Any]) -> EagerTask[..., Any]:
    """Return the eager task of a function.

    Raises:
        GeneratorCallError: It is a generator, whose call does nothing by itself.
    """
    given = getattr(func, "__taskgraph_task__", None)
    if isinstance(given, EagerTask):
        return given
    if isinstance(func, Task):
        if not func.is_defined:
            raise ValueError(f"Task {func.fullname} is not defined here; import its module.")
        return eager_task(
            func.func,
            name=func.name,
            namespace=func.namespace,
            options={n: o for n, o in func.get_task_options().items() if n in EAGER_OPTIONS},
            version=func.version,
            hash_includes=func.hash_includes,
        )
    known = _tasks.get(id(func))
    if known is None or known.func is not func:
        check_callable(func)
        known = _tasks[id(func)] = eager_task(func)
    return known


def check_callable(func: Callable[..., Any]) -> None:
    """Refuse what is no function whose result could be kept.

    Raises:
        GeneratorCallError: It is a generator.
        TypeError: It cannot be called.
    """
    if not callable(func):
        raise TypeError(f"A function is wanted, not {func!r}.")
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise GeneratorCallError(getattr(func, "__qualname__", repr(func)))
