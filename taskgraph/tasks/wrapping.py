"""Decorators of tasks: a task around a task, under the name of the one inside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from taskgraph.tasks.decorator import task
from taskgraph.tasks.names import join_name
from taskgraph.tasks.registry import get_task_registry
from taskgraph.tasks.task import Task

_Function = TypeVar("_Function", bound=Callable[..., Any])


class TaskDecorator(Protocol):
    """Makes of a function, or of a task, the task that is around it."""

    def __call__(self, inner: _Function, /) -> _Function:
        """Return it."""
        ...


def wraps_task(
    wrapper_name: str | None = None,
    wrapper_hash_includes: Sequence[Any] = (),
    use_wrapper_signature: bool = False,
    **options: Any,
) -> Callable[[Callable[[Task[..., Any]], Callable[..., Any]]], TaskDecorator]:
    """Make a decorator of tasks from a function that is given a task and returns what to run.

    ::

        @wraps_task()
        def logged(inner):
            def run(*args, **kwargs):
                print("runs", inner.name)
                return inner(*args, **kwargs)
            return run

        @logged
        @task
        def step(x): ...

    The task inside moves into the namespace that is named for the wrapper, and the one around it
    takes over its name; its code counts with that of the task inside. Wrappers nest.

    Args:
        wrapper_name: The name of that namespace, by default the function's.
        wrapper_hash_includes: Values that count in the hash of the task around.
        use_wrapper_signature: Whether calls fit what is run; by default they fit the task inside.
        options: Options of the task around.
    """

    def make(wrapper: Callable[[Task[..., Any]], Callable[..., Any]]) -> TaskDecorator:
        around = wrapper_name or wrapper.__name__

        def decorate(inner: Any, /) -> Any:
            made = inner if isinstance(inner, Task) else task(inner)
            name, namespace = made.name, made.namespace
            get_task_registry().rename(made.fullname, join_name(namespace, around), name)
            run = wrapper(made)
            if not use_wrapper_signature:
                run = functools.wraps(made.func)(_apart(run)) if made.is_defined else run
            around_it: Callable[[Callable[..., Any]], Task[..., Any]] = task(
                name=name,
                namespace=namespace,
                hash_includes=[*wrapper_hash_includes, made],
                **options,
            )
            outer = around_it(run)
            outer.inner_task = made
            return outer

        return decorate

    return make


def _apart(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of its own: what a wrapper returns may be shared by many tasks."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return run(*args, **kwargs)

    return wrapped
