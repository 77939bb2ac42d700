"""What the flow of data consists of: values, calls, and values at calls, joined by edges.

An edge points upstream: its source came from its destination.
"""

from __future__ import annotations

from typing import NamedTuple

from taskgraph_backend import models


class CallNodeValue(NamedTuple):
    """A value as it came from a call: the whole result, or something that lies in it."""

    call_node: models.CallNode
    value: models.Value


class ArgumentValue(NamedTuple):
    """A value as it came in an argument: all of it, or something that lies in it."""

    argument: models.Argument
    value: models.Value


DataflowNode = models.Value | models.CallNode | CallNodeValue | ArgumentValue


class DataflowEdge(NamedTuple):
    """That a node came from another one, or from the origin: the user, or the body of a task."""

    src: DataflowNode
    dest: DataflowNode | None


__all__ = ["ArgumentValue", "CallNodeValue", "DataflowEdge", "DataflowNode"]
