"""The root of a run: a plain call, or a call that stands for whatever else is to be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgraph.expression import SchedulerExpression, TaskExpression, find_expressions, quote
from taskgraph.tasks.options import lazy_options
from taskgraph.tasks.task import Task


def root_of(expr: Any) -> TaskExpression:
    """Return the root call: a plain call with values as arguments, or what stands in for it."""
    if isinstance(expr, TaskExpression) and not awaits(expr):
        return expr
    return _standing_for(expr)


def recorded_root_of(expr: Any, options: Mapping[str, Any]) -> TaskExpression:
    """Return a root call that may be recorded, though what it stands for may not: ``prov=False``.

    Args:
        expr: What is to be evaluated.
        options: Those of all calls of the run.
    """
    root = root_of(expr)
    task = root._task
    said: Mapping[str, Any] = task.all_options if isinstance(task, Task) else {}
    leaves_none = {**said, **options}.get("prov") is False
    return _standing_for(expr) if leaves_none and root is expr else root


def _standing_for(expr: Any) -> TaskExpression:
    from taskgraph.combinators.control import root_task

    root = root_task(quote(expr))
    assert isinstance(root, TaskExpression)
    return root


def awaits(expr: TaskExpression) -> bool:
    """Tell whether others must be evaluated before a call can be made."""
    task = expr._task
    is_lazy = isinstance(expr, SchedulerExpression)
    if not is_lazy and find_expressions(list(expr._inputs())):
        return True
    if not isinstance(task, Task) or not task.is_defined:
        return False
    if lazy_options(task.all_options) or lazy_options(task.exports):
        return True
    return not is_lazy and bool(task.binder.missing_lazy_defaults(expr.args, expr.kwargs))
