"""Finding tasks in the user's script or module."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from taskgraph.assembly.scripts import load_script
from taskgraph.cli.aside import printed_aside
from taskgraph.errors import UnknownTaskError
from taskgraph.tasks.registry import AnyTask, get_task_registry

# Tasks of the library itself are no entries to a user's workflow.
_OWN_NAMESPACE = "taskgraph"


def load_aside(script: str) -> ModuleType:
    """Load a script or module; what it prints goes to stderr, for stdout has what is said of it.

    Raises:
        ScriptNotFoundError: There is neither a file nor a module of this name.
        ScriptLoadError: It raised an exception, or its name is that of another module.
    """
    with printed_aside():
        return load_script(script)


def tasks_of(module: ModuleType) -> list[AnyTask]:
    """Return the tasks that a module defines, in the order of its source."""
    own = [task for task in get_task_registry() if task.__module__ == module.__name__]
    return sorted(own, key=lambda task: (_first_line(task), task.fullname))


def _first_line(task: AnyTask) -> int:
    code = getattr(task.func, "__code__", None)
    return code.co_firstlineno if code else 0


def find_task(module: ModuleType, name: str) -> AnyTask:
    """Return the task of this name: one of the module, or any that is loaded by its full name.

    Raises:
        UnknownTaskError: There is none; names those that come nearest.
    """
    own = tasks_of(module)
    for task in own:
        if name in (task.fullname, task.name):
            return task
    loaded = [task for task in get_task_registry() if task.namespace != _OWN_NAMESPACE]
    for task in loaded:
        if name == task.fullname:
            return task
    raise UnknownTaskError(name, _nearest(name, [*own, *loaded]), module.__file__ or "")


def _nearest(name: str, tasks: Sequence[AnyTask]) -> Sequence[str]:
    import difflib

    names = {task.name: task.fullname for task in tasks}
    names |= {task.fullname: task.fullname for task in tasks}
    return [names[each] for each in difflib.get_close_matches(name, names, n=1, cutoff=0.5)]


__all__ = ["find_task", "load_aside", "load_script", "tasks_of"]
