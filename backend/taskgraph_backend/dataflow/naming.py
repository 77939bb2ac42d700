"""Names of variables in the text of a data flow: each value at its place has one of its own."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterable
from textwrap import dedent

from sqlalchemy import select
from sqlalchemy.orm import object_session

from taskgraph_backend import models
from taskgraph_backend.dataflow.nodes import (
    ArgumentValue,
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)
from taskgraph_backend.dataflow.places import get_dataflow_call_node

#: Tasks of the library that do work of their own, and are told of like any other.
_WORKING = frozenset({"taskgraph.script", "taskgraph.eval_", "taskgraph.apply_func"})
_FIRST_SUFFIX = 2
_AT_ONCE = 500


def is_internal_task(task: models.Task) -> bool:
    """Tell whether a task is one of the library's that only hand values on: cond, map_, ..."""
    return is_internal_name(task.fullname)


def is_internal_name(fullname: str) -> bool:
    """Tell the same by the full name of a task."""
    return fullname.rpartition(".")[0] == "taskgraph" and fullname not in _WORKING


def get_task_args(task: models.Task) -> list[str]:
    """Return the names of a task's parameters, as its source has them.

    Raises:
        SyntaxError: The source does not parse, or has no function in it.
    """
    for node in ast.walk(ast.parse(dedent(task.source))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            given = node.args
            names = [each.arg for each in (*given.posonlyargs, *given.args)]
            names += [f"*{given.vararg.arg}"] if given.vararg else []
            names += [each.arg for each in given.kwonlyargs]
            names += [f"**{given.kwarg.arg}"] if given.kwarg else []
            return names
    raise SyntaxError(f"There is no function in the source of task {task.fullname}.")


def get_callnode_arguments(call_node: models.CallNode) -> list[models.Argument]:
    """Return the arguments of a call in order: by position, then those that have a name only."""
    return sorted(call_node.arguments, key=_place)


def _place(argument: models.Argument) -> tuple[bool, int, str]:
    position = argument.arg_position
    return position is None, position or 0, argument.arg_key or ""


def get_default_arg_name(pos: int) -> str:
    """Return what an argument is called whose parameter is not known."""
    return f"arg{pos}"


def make_var_name(base: str, name2var: Container[str], suffix: int = _FIRST_SUFFIX) -> str:
    """Return a name that is not taken: the one wanted, or with a number after it.

    Args:
        base: The name wanted.
        name2var: The names that are taken.
        suffix: The first number to try.
    """
    name = base
    while name in name2var:
        name = f"{base}_{suffix}"
        suffix += 1
    return name


class DataflowVars:
    """The names that were given so far; a node is asked for any number of times and has one."""

    def __init__(self) -> None:
        self._names: dict[DataflowNode, str] = {}
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}
        self._task_args: dict[str, list[str] | None] = {}
        self._tasks: list[models.Task] = []

    def get_task_args(self, task: models.Task) -> list[str]:
        """Return the names of a task's parameters; its source is parsed once.

        Raises:
            SyntaxError: The source does not parse, or has no function in it.
        """
        known = self._parameters(task)
        if known is None:
            return get_task_args(task)
        return known

    def _parameters(self, task: models.Task) -> list[str] | None:
        if task.hash not in self._task_args:
            try:
                self._task_args[task.hash] = get_task_args(task)
            except (SyntaxError, ValueError):  # A NUL character is a ValueError.
                self._task_args[task.hash] = None
        return self._task_args[task.hash]

    def parameters_of(self, call_node: models.CallNode) -> list[str]:
        """Return what stands between the brackets of a call: names of its parameters."""
        known = self._parameters(call_node.task)
        if known is not None:
            return known
        return [self.argument_name(each) for each in get_callnode_arguments(call_node)]

    def argument_name(self, argument: models.Argument) -> str:
        """Return the name of an argument: its parameter, or by its place where that is unknown."""
        if argument.arg_key is not None:
            return argument.arg_key
        place = argument.arg_position or 0
        names = self._parameters(argument.call_node.task) or []
        packed = [name for name in names if name.startswith("*")]
        plain = names[: names.index(packed[0])] if packed else names
        if place < len(plain):
            return plain[place]
        if packed and not packed[0].startswith("**"):
            return packed[0].lstrip("*")
        return get_default_arg_name(place)

    def new_var_name(self, node: DataflowNode, base_var_name: str | None = None) -> str:
        """Return the name of a node, which is made when it is first asked for.

        Args:
            node: What is to be named.
            base_var_name: The name wanted, if it has none yet; by default that of the parameter,
                or the one that says which task's result it is.
        """
        known = self._names.get(node)
        if known is not None:
            return known
        base = base_var_name or self._base_name(node)
        # Where names run into thousands, no number is tried twice.
        name = make_var_name(base, self._taken, self._next.get(base, _FIRST_SUFFIX))
        if name != base:
            self._next[base] = int(name.rpartition("_")[2]) + 1
        self._taken.add(name)
        self._names[node] = name
        return name

    def _base_name(self, node: DataflowNode) -> str:
        match node:
            case ArgumentValue(argument, _):
                return self.argument_name(argument)
            case CallNodeValue(call_node, _):
                return _result_name(call_node)
            case models.CallNode():
                return _result_name(node)
            case _:
                return "value"

    def load_tasks(self, edges: Iterable[DataflowEdge]) -> None:
        """Read the tasks of all calls at once, for their parameters."""
        wanted: dict[str, models.CallNode] = {}
        for edge in edges:
            for node in edge:
                call_node = get_dataflow_call_node(node)
                if call_node is not None:
                    wanted.setdefault(call_node.task_hash, call_node)
        session = object_session(next(iter(wanted.values()))) if wanted else None
        if session is None:
            return
        hashes = list(wanted)
        for start in range(0, len(hashes), _AT_ONCE):
            chosen = models.Task.hash.in_(hashes[start : start + _AT_ONCE])
            # Kept, for a session forgets what nobody holds.
            self._tasks += session.scalars(select(models.Task).where(chosen))


def _result_name(call_node: models.CallNode) -> str:
    return f"{call_node.task_name.rpartition('.')[2].rstrip('_')}_result"


__all__ = [
    "DataflowVars",
    "get_callnode_arguments",
    "get_default_arg_name",
    "get_task_args",
    "is_internal_name",
    "is_internal_task",
    "make_var_name",
]
