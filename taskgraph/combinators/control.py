"""`cond`, `catch` and `seq`: choosing, recovering and ordering, all lazily."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from taskgraph.expression import QuotedExpression
from taskgraph.tasks.decorator import scheduler_task

Steps = Generator[Any, Any, Any]  # yields expressions, is sent their values, returns any value


@scheduler_task(namespace="taskgraph")
def cond(pred: Any, then: Any, *rest: Any) -> Steps:
    """Evaluate one branch only: ``cond(pred, then, [pred2, then2, ...], otherwise)``.

    Without an ``otherwise``, None is what is left when no condition holds.
    """
    branches = [pred, then, *rest]
    while len(branches) > 1:
        condition, branch, *branches = branches
        if (yield condition):
            return branch
    return branches[0] if branches else None


@scheduler_task(namespace="taskgraph")
def catch(expr: Any, *clauses: Any) -> Steps:
    """Evaluate an expression; where it fails, let a recovery task make its value.

    ``catch(expr, ErrorClass, recover, [ErrorClass2, recover2, ...])``: the first class (or tuple
    of classes) that fits decides; ``recover`` is called with the error.

    Raises:
        TypeError: A class stands there without its recovery.
    """
    if not clauses or len(clauses) % 2:
        raise TypeError("catch takes pairs of an error class and a recovery after the expression")
    try:
        return (yield expr)
    except Exception as error:
        for classes, recover in zip(clauses[::2], clauses[1::2], strict=True):
            if isinstance(error, classes):
                return recover(error)
        raise


@scheduler_task(namespace="taskgraph")
def seq(exprs: Sequence[Any]) -> Steps:
    """Evaluate expressions strictly one after the other; gives the list of their values."""
    values = []
    for expr in exprs:
        value = yield expr
        values.append(value)
    return values


@scheduler_task(namespace="taskgraph")
def root_task(expr: QuotedExpression) -> Steps:
    """Stand at the root of an execution whose expression is not a plain call of a task."""
    return (yield expr.eval())
