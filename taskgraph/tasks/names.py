"""Names and namespaces of tasks."""

from __future__ import annotations

import re
import sys
from typing import Any

from taskgraph.errors import TaskNameError

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_NAMESPACE = re.compile(r"([A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*)?")

#: The namespace of the tasks that come with taskgraph.
BUILT_IN = "taskgraph"

#: The task that carries a workflow elsewhere: what is said of all calls is said of those in it.
CARRIER = "taskgraph.run_elsewhere"

_current_namespace = ""


def namespace(name: str | None = None) -> None:
    """Set the namespace of the tasks that are defined from here on; nothing or "" ends it.

    Raises:
        TaskNameError: The name is not made of identifiers and dots.
    """
    global _current_namespace  # noqa: PLW0603 - "from here on" is a matter of import order
    check_namespace(name or "")
    _current_namespace = name or ""


def get_current_namespace() -> str:
    """Return the namespace that is in force."""
    return _current_namespace


def compute_namespace(obj: Any, namespace: str | None = None) -> str:
    """Return the namespace of a function or class.

    An explicit one wins (even ""), then the variable ``taskgraph_namespace`` of its module, then
    what `namespace` set.
    """
    if namespace is not None:
        return namespace
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    globals_ = getattr(obj, "__globals__", None) or getattr(module, "__dict__", {})
    declared = globals_.get("taskgraph_namespace")
    if declared is not None:
        return str(declared)
    return _current_namespace


def check_name(name: str) -> None:
    """Check a task's name.

    Raises:
        TaskNameError: It is not an identifier.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TaskNameError(name, "name")


def check_namespace(namespace: str) -> None:
    """Check a namespace.

    Raises:
        TaskNameError: It is not made of identifiers and dots.
    """
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise TaskNameError(namespace, "namespace")


def join_name(namespace: str, name: str) -> str:
    """Return the full name of a task."""
    return f"{namespace}.{name}" if namespace else name


def valid_name(text: str) -> str:
    """Return a text as part of a name: what no name may hold becomes an underscore."""
    plain = re.sub(r"[^A-Za-z_0-9]", "_", text) or "_"
    return f"_{plain}" if plain[0].isdigit() else plain
