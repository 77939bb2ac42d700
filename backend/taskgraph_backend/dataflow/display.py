"""The text of a data flow, line by line. Nothing here unpickles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from taskgraph_backend import models
from taskgraph_backend.dataflow.naming import DataflowVars
from taskgraph_backend.dataflow.nodes import DataflowNode
from taskgraph_backend.dataflow.places import get_dataflow_call_node, get_node_hash

if TYPE_CHECKING:
    from taskgraph_backend.dataflow.dom import DataflowSectionDOM

_HASH_DIGITS = 8
#: A value is shown in so many characters, the brackets of a call with so many parameters.
_VALUE_WIDTH = 100
_MOST_PARAMETERS = 12


def display_dataflow(
    dom: Iterable[DataflowSectionDOM], most_sections: int | None = None
) -> Iterator[str]:
    """Give the lines of paragraphs, with an empty one after each.

    Args:
        dom: The paragraphs.
        most_sections: After so many the rest is only counted, and the last line says so.
    """
    left_out = 0
    for number, section in enumerate(dom):
        if most_sections is not None and number >= most_sections:
            left_out += 1
            continue
        yield from display_section(section)
        yield ""
    if left_out:
        yield f"... and {left_out:,} more section{'s' if left_out > 1 else ''}"


def display_section(dom: DataflowSectionDOM) -> Iterator[str]:
    """Give the lines of a paragraph."""
    assign = dom.assign
    yield f"{assign.var_name} <-- {_joined(assign.prefix, assign.node_display)}"
    indent = " " * len(assign.var_name)
    for step in dom.routing:
        yield f"{indent} <-- {_joined(step.prefix, step.node_display)}"
    width = max((len(arg.var_name) for arg in dom.args), default=0)
    for arg in dom.args:
        yield f"  {arg.var_name:<{width}} = {display_hash(arg.value)} {display_value(arg.value)}"


def _joined(prefix: str, text: str) -> str:
    return " ".join(filter(None, (prefix, text)))


def display_node(
    node: DataflowNode | None,
    renames: Mapping[str, str],
    dataflow_vars: DataflowVars | None = None,
) -> str:
    """Return how a node is shown: its call, or a value by itself, with its hash.

    Args:
        node: The node; None is the origin.
        renames: What parameters of the call are called in the text, where it is not their name.
        dataflow_vars: The names that were given so far.
    """
    if node is None:
        return "origin"
    call_node = get_dataflow_call_node(node)
    if call_node is not None:
        return display_call_node(call_node, renames, dataflow_vars)
    assert isinstance(node, models.Value)
    return f"{display_hash(node)} {display_value(node)}"


def display_call_node(
    call_node: models.CallNode,
    renames: Mapping[str, str],
    dataflow_vars: DataflowVars | None = None,
) -> str:
    """Return how a call is shown: its hash, its task, and what its arguments are called.

    Args:
        call_node: The call.
        renames: What parameters of the call are called in the text, where it is not their name;
            ``*args`` and ``**kwargs`` have their stars.
        dataflow_vars: The names that were given so far.
    """
    known = (dataflow_vars or DataflowVars()).parameters_of(call_node)
    shown = [renames.get(name, name) for name in known]
    if len(shown) > _MOST_PARAMETERS:
        shown[_MOST_PARAMETERS:] = [f"... {len(shown) - _MOST_PARAMETERS:,} more"]
    return f"{display_hash(call_node)} {_clean(call_node.task_name)}({', '.join(shown)})"


def display_value(value: models.Value) -> str:
    """Return a value as one line: the preview that was made when it was recorded."""
    text = _clean(value.preview)
    # Of a file the end of its path says most.
    is_short = len(text) <= _VALUE_WIDTH or value.file is not None
    return text if is_short else f"{text[: _VALUE_WIDTH - 3]}..."


def display_hash(node: DataflowNode | None) -> str:
    """Return the first digits of a node's hash; nothing for the origin."""
    full = get_node_hash(node)
    return "" if full is None else f"<{full[:_HASH_DIGITS]}>"


def _clean(text: str) -> str:
    shown = " ".join(text.split())
    if shown.isprintable():
        return shown
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "replace").decode()
        for each in shown
    )


__all__ = [
    "display_call_node",
    "display_dataflow",
    "display_hash",
    "display_node",
    "display_section",
    "display_value",
]
