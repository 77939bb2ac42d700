"""Where a node of the flow of data is: at which call, and under which hash it is shown."""

from __future__ import annotations

from taskgraph_backend import models
from taskgraph_backend.dataflow.nodes import ArgumentValue, CallNodeValue, DataflowNode


def get_dataflow_call_node(node: DataflowNode | None) -> models.CallNode | None:
    """Return the call that a node is at; a value by itself is at none."""
    match node:
        case CallNodeValue():
            return node.call_node
        case ArgumentValue():
            return node.argument.call_node
        case models.CallNode():
            return node
        case _:
            return None


def get_node_hash(node: DataflowNode | None) -> str | None:
    """Return the hash that a node is shown with: of its call, or of a value by itself."""
    call_node = get_dataflow_call_node(node)
    if call_node is not None:
        return call_node.call_hash
    return node.value_hash if isinstance(node, models.Value) else None


__all__ = ["get_dataflow_call_node", "get_node_hash"]
