"""All tasks that are defined in this process, by full name; the last definition wins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskgraph.errors import UnknownTaskError
from taskgraph.fingerprint.named import register_named
from taskgraph.fingerprint.parts import PartKind
from taskgraph.hashing import TaskHash, ValueHash
from taskgraph.tasks.names import check_name, check_namespace, join_name
from taskgraph.tasks.partial import PartialTask
from taskgraph.tasks.task import Task
from taskgraph.values import registry as kinds
from taskgraph.values.kinds import Shape, ValueKind

AnyTask = Task[..., Any]


class TaskRegistry:
    """Tasks by full name."""

    def __init__(self) -> None:
        self._tasks: dict[str, AnyTask] = {}
        #: Those that name earlier hashes of theirs; another tuple whenever these are others.
        self.compatible: tuple[AnyTask, ...] = ()

    def add(self, task: AnyTask) -> None:
        """Add a task, in place of another one of this name."""
        before = self._tasks.get(task.fullname)
        self._tasks[task.fullname] = task
        if task.compat or (before is not None and before.compat):
            self.compatible = tuple(each for each in self._tasks.values() if each.compat)

    def find(self, task_name: str) -> AnyTask | None:
        """Return the task of this full name, if there is one."""
        return self._tasks.get(task_name)

    def get(self, task_name: str | None = None, hash: str | None = None) -> AnyTask:
        """Return a task by full name or by hash.

        Raises:
            UnknownTaskError: There is none; names the nearest.
        """
        if task_name is not None:
            found = self._tasks.get(task_name)
        else:
            found = next((each for each in self if each.hash == hash), None)
        if found is None:
            wanted = task_name if task_name is not None else str(hash)
            import difflib  # only here, for it takes its time

            raise UnknownTaskError(wanted, difflib.get_close_matches(wanted, self._tasks, n=3))
        return found

    def rename(self, old_name: str, new_namespace: str, new_name: str) -> AnyTask:
        """Give a task another full name."""
        check_name(new_name)
        check_namespace(new_namespace)
        task = self.get(old_name)
        del self._tasks[old_name]
        task.name, task.namespace = new_name, new_namespace
        task.fullname = join_name(new_namespace, new_name)
        self.add(task)
        return task

    def __iter__(self) -> Iterator[AnyTask]:
        return iter(list(self._tasks.values()))

    def __contains__(self, task_name: object) -> bool:
        return task_name in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def task_hashes(self) -> set[TaskHash]:
        """The hashes of all tasks."""
        return {each.hash for each in self}


_registry = TaskRegistry()


def get_task_registry() -> TaskRegistry:
    """Return the registry of this process."""
    return _registry


class TaskKind(ValueKind):
    """Tasks as values: equal when they are defined alike."""

    name = "taskgraph.Task"
    is_subvalue = True

    def own_hash(self, value: Any) -> ValueHash | None:
        """Return the task's own hash: a task is recorded under it, unless more is said of it."""
        return None if value.said_of_calls else ValueHash(value.hash)

    def shape(self, value: Any) -> Shape:
        """Return name and hash, with what is said of its calls inside."""
        return Shape("task", (value.fullname, value.hash), value.said_of_calls)

    def is_valid(self, value: Any) -> bool:
        """Tell whether the task that is registered now is the one that was recorded."""
        return bool(value.is_valid())

    def describe_change(self, value: Any) -> str:
        """Say whether the task was edited, or is gone."""
        state = "was edited" if value.fullname in _registry else "is not defined here"
        return f"task {value.fullname}: it {state}"


class PartialTaskKind(ValueKind):
    """Partial tasks: a task and the arguments so far."""

    name = "taskgraph.PartialTask"

    def shape(self, value: Any) -> Shape:
        """Return the task and the arguments."""
        names = sorted(value.kwargs)
        inside = [value.task, *value.args, *(value.kwargs[name] for name in names)]
        return Shape("partial task", (len(value.args), *names), inside)


kinds.register(Task, TaskKind(), subclasses=True)
# A task that another one calls counts there by its name: its own code counts in its own calls.
register_named(Task, lambda task: (PartKind.TASK, task.fullname, task.said_of_calls))
kinds.register(PartialTask, PartialTaskKind())
