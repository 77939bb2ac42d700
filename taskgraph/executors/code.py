"""How a task's function gets to a worker: by name where it is imported, by content where it is not.

A worker holds the code that it has against the one that was asked for: what is recorded names the
code that was hashed, and another one must never run in its place.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from taskgraph.errors import ExecutorError, WorkerCodeError
from taskgraph.executors.carried import (
    Differences,
    PartKeys,
    differences,
    imported,
    keys_of,
    this_worker,
)
from taskgraph.tasks.functions import task_of
from taskgraph.tasks.registry import AnyTask, get_task_registry


class FunctionReference(NamedTuple):
    """A task's function by name, and what the process that asks knows of it.

    Attributes:
        module: The module that defines it.
        fullname: The task.
        texts: The hash of all texts that were followed.
        code: The same, with the values that variables hold.
    """

    module: str
    fullname: str
    texts: str
    code: str


class SentFunction(NamedTuple):
    """A task's function by value, and what it refers to by name where it arrives.

    Attributes:
        func: The function.
        parts: Hash, name and kind of each part that another process may have otherwise.
    """

    func: Callable[..., Any]
    parts: PartKeys


def sent_function(fullname: str, func: Callable[..., Any]) -> SentFunction:
    """Return a function as it travels by value."""
    task = get_task_registry().find(fullname)
    if task is not None and task.func is func:
        return SentFunction(func, keys_of(task.fingerprint.parts))
    return SentFunction(func, keys_of(task_of(func).fingerprint.parts))


def differing(func: Callable[..., Any], parts: PartKeys) -> Differences:
    """Return what a function reaches here, and by the tasks that it calls, and is something else.

    What was sent by content is not looked at; what is imported here must be the same.
    """
    return differences(imported(parts, func), keys_of(task_of(func).parts))


def reference_to(fullname: str, func: Callable[..., Any]) -> FunctionReference | None:
    """Return how a worker finds a task's function by import; None if it must travel by value."""
    module = getattr(func, "__module__", None)
    task = get_task_registry().find(fullname)
    if task is None or task.func is not func or module is None or "<" in func.__qualname__:
        return None
    if module == "__main__":
        main = sys.modules["__main__"]
        if getattr(main, "__file__", None) is None:
            return None
        return _reference(module, task)
    if not _is_importable(module):
        return None
    return _reference(task.load_module, task)


def _reference(module: str, task: AnyTask) -> FunctionReference:
    found = task.fingerprint
    return FunctionReference(module, task.fullname, found.texts_hash, found.code_hash)


def _is_importable(module: str) -> bool:
    loaded = sys.modules.get(module)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and spec.origin == getattr(loaded, "__file__", None)


def check_sent(fullname: str, sent: SentFunction) -> str:
    """Refuse a function that reaches other code here.

    Returns:
        The names of variables that hold something else here; "" for none.

    Raises:
        WorkerCodeError: It reaches other code.
    """
    ours = keys_of(task_of(sent.func).fingerprint.parts)
    # What is not met here at all only a decorator refers to, whose names did not come along; or
    # what refers to it is another text here.
    met = {name for _, name, _ in ours}
    wanted = tuple(each for each in imported(sent.parts, sent.func) if each[1] in met)
    others = differences(wanted, ours)
    if others.code:
        raise WorkerCodeError(fullname, this_worker(), others.code)
    return ", ".join(others.values)


def find_referenced(reference: FunctionReference) -> AnyTask:
    """Return the task that is meant.

    Raises:
        ExecutorError: Its module is not here, or its code is another one here.
    """
    if reference.module != "__main__":
        try:
            importlib.import_module(reference.module)
        except ModuleNotFoundError as error:
            raise ExecutorError(
                f"{reference.fullname} did not run: the worker {this_worker()} "
                f"cannot import {error.name}, where it is defined or what that needs. Put the "
                "project's folder at the same place there, or on its PYTHONPATH, and install "
                "its packages."
            ) from error
    task = get_task_registry().get(reference.fullname)
    if task.fingerprint.texts_hash != reference.texts:
        # What is recorded names the code that was hashed: another one must not run in its place.
        raise ExecutorError(
            f"{reference.fullname} did not run: the worker {this_worker()} has "
            "other code of it, or of what it reaches, than the process that asks. The source was "
            "edited after one of the two had loaded it, or they read different files. Run again; "
            "workers that outlive a run, as those of a cluster, must be restarted first."
        )
    return task
