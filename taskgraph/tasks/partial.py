"""The PartialTask: a task with some of its arguments, that is called with the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from taskgraph.tasks.task import Task

R = TypeVar("R")


class PartialTask(Generic[R]):
    """A task with some of its arguments.

    Attributes:
        task: The task that will be called.
        args: The positional arguments so far.
        kwargs: The keyword arguments so far; those of a call override them.
    """

    __slots__ = ("args", "kwargs", "task")

    def __init__(
        self,
        task: Task[..., R],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.task = task
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Write down a call with all arguments."""
        return self.task(*self.args, *args, **{**self.kwargs, **kwargs})

    def partial(self, *args: Any, **kwargs: Any) -> PartialTask[R]:
        """Return the task with more arguments."""
        return PartialTask(self.task, (*self.args, *args), {**self.kwargs, **kwargs})

    def options(self, **options: Any) -> PartialTask[R]:
        """Return the same with other options for the task."""
        return PartialTask(self.task.options(**options), self.args, self.kwargs)

    def export_options(self, **options: Any) -> PartialTask[R]:
        """Return the same with other options for the task, and for all calls below it."""
        return PartialTask(self.task.export_options(**options), self.args, self.kwargs)

    def update_context(
        self, context: Mapping[str, Any] | None = None, /, **values: Any
    ) -> PartialTask[R]:
        """Return the same for a task that reads other context values."""
        return PartialTask(self.task.update_context(context, **values), self.args, self.kwargs)

    def __repr__(self) -> str:
        given = [repr(each) for each in self.args]
        given += [f"{name}={self.kwargs[name]!r}" for name in sorted(self.kwargs)]
        return f"{self.task.fullname}.partial({', '.join(given)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return PartialTask, (self.task, self.args, self.kwargs)
