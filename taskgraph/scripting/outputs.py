"""Outputs of a script before it ran: places where something is to be.

A `File` in the arguments of a task counts by its content; an output counts by where it is to be.
So it stands as an `Output` in the arguments of a script, and as the File in its result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from taskgraph.expression import members_of, rebuild
from taskgraph.scripting.text import path_of
from taskgraph.values.filegroups import FileGroup
from taskgraph.values.files import File, tag_of
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.places import is_url
from taskgraph.values.registry import register
from taskgraph.values.staging import Staging

#: The path that stands for the standard output.
STDOUT_PATH = "-"


class Output:
    """Where a script is to write something: only the path counts.

    Attributes:
        value: The File, Dir, FileSet, StagingFile or StagingDir; None for the standard output.
        spelled: The relative path that it was given by, which the script knows it by; None if it
            was no relative one.
    """

    __slots__ = ("spelled", "value")

    def __init__(self, value: Any, spelled: str | None = None) -> None:
        self.value = value
        self.spelled = spelled

    def __repr__(self) -> str:
        return "Output(stdout)" if self.value is None else f"Output({self.value!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Output, (self.value, self.spelled)


STDOUT = Output(None)


class _OutputKind(ValueKind):
    name = "taskgraph.Output"

    def shape(self, value: Any) -> Shape:
        return Shape("script output", _state_of(value))


def _state_of(output: Output) -> tuple[object, ...]:
    """Return what counts of an output: its class, and its paths by their portable names."""
    value = output.value
    if value is None:
        return ()
    tag = tag_of(type(value))
    if isinstance(value, Staging):
        return tag, tuple(value.local_place), tag_of(type(value.remote)), tuple(value.remote.place)
    return tag, tuple(value.place), output.spelled


register(Output, _OutputKind())


def as_outputs(outputs: Any) -> Any:
    """Return nested outputs with an `Output` in place of each file and folder."""
    return map_nested(outputs, _as_output)


def _as_output(value: Any) -> Any:
    if isinstance(value, File) and value.path == STDOUT_PATH:
        return STDOUT
    if isinstance(value, Staging):
        return Output(value)
    if not isinstance(value, File | FileGroup):
        return value
    path = path_of(value)
    is_relative = not (os.path.isabs(path) or is_url(path))
    return Output(value, path if is_relative else None)


def outputs_in(nested: Any) -> list[Output]:
    """Return all outputs in a nested value, in order."""
    found: list[Output] = []

    def collect(value: Any) -> Any:
        if isinstance(value, Output):
            found.append(value)
        return value

    map_nested(nested, collect)
    return found


def map_nested(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a nested value with each of its leaves changed; containers keep their classes."""
    members = members_of(value)
    if not members:
        return change(value)
    return rebuild(value, [map_nested(each, change) for each in members])
