"""What data flows between: values, calls, and values as they came from a call or an argument."""

from __future__ import annotations

from typing import NamedTuple

from taskgraph_backend import models


class CallNodeValue(NamedTuple):
    """A value as it came from a call: the whole result, or something that lies in it."""

    call_node: models.CallNode
    value: models.Value


class ArgumentValue(NamedTuple):
    """A value as it was given in an argument: all of it, or something that lies in it."""

    argument: models.Argument
    value: models.Value


DataflowNode = models.Value | models.CallNode | CallNodeValue | ArgumentValue


class DataflowEdge(NamedTuple):
    """That one node came from another; no destination is the origin: the user, or a task's body."""

    src: DataflowNode
    dest: DataflowNode | None


__all__ = ["ArgumentValue", "CallNodeValue", "DataflowEdge", "DataflowNode"]
