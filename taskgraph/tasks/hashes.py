"""The hashes that a call is known by, made of a task and the values that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from taskgraph.expression import SchedulerExpression, find_expressions
from taskgraph.hashing import ArgsHash, EvalHash, hash_args, hash_eval
from taskgraph.tasks.task import Task
from taskgraph.values import walk
from taskgraph.values.weigh import hash_value


class Hasher(Protocol):
    """What hashes values: a registry of types."""

    def get_hash(self, value: Any, /) -> str:
        """Return the hash of a value."""
        ...


def hashes_of_call(
    hasher: Hasher | None, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[EvalHash, ArgsHash]:
    """Return the ``eval_hash`` and the ``args_hash`` of a call, as a run would make them now.

    Args:
        hasher: What hashes the values; None for the library itself.
        task: The task.
        args: Positional arguments: values, and no lazy calls.
        kwargs: Arguments by name.

    Raises:
        TypeError: The arguments do not fit the signature, or one is a lazy call.
        UnhashableValueError: An argument has no stable hash.
    """
    binder = task.binder
    is_lazy = issubclass(task.expression_type, SchedulerExpression)
    labels: list[tuple[str, str]] = []
    for (label, position, _), value in binder.bind(args, kwargs):
        if label in binder.job_infos or label in binder.ignored:
            continue
        name = label.lstrip("*") or str(position)
        if not is_lazy and find_expressions(value):
            raise TypeError(
                f"{task.fullname}: what is given for {name} is a lazy call, and a call is known by "
                "values. Evaluate it first, with taskgraph.run."
            )
        walk.refresh(value)  # a file may have changed since anybody looked
        if hasher is None:
            labels.append((label, hash_value(value, f"args.{name}")))
        else:
            labels.append((label, hasher.get_hash(value)))
    args_hash = hash_args(labels)
    return hash_eval(task.get_hash(), args_hash), args_hash
