"""What a reader is asked of the flow of data: from a record to its edges, and to their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from taskgraph_backend import models
from taskgraph_backend.dataflow.chart import Asked, ask, place_of
from taskgraph_backend.dataflow.dom import make_dataflow_dom
from taskgraph_backend.dataflow.internal import Kinds, leave_out
from taskgraph_backend.dataflow.naming import is_internal_name
from taskgraph_backend.dataflow.nodes import CallNodeValue, DataflowNode
from taskgraph_backend.dataflow.sections import leave_out_internal
from taskgraph_backend.dataflow.serialize import serialize_dataflow
from taskgraph_backend.dataflow.sketches import (
    CallSketch,
    EdgeSketch,
    NodeSketch,
    ResultNode,
    get_call,
    sketch,
)
from taskgraph_backend.dataflow.walking import columns_of, load_edges


@dataclass(frozen=True, slots=True)
class FoundFlow:
    """Where values came from, or what was made of them.

    Attributes:
        start: The node that was asked about.
        edges: Those that are reached from there, without tasks of the library itself.
        execution_id: The execution that they are of; None for all.
    """

    start: NodeSketch
    edges: Sequence[EdgeSketch]
    execution_id: str | None


@dataclass(frozen=True, slots=True)
class ToldFlow:
    """The text of a data flow as plain dicts.

    Attributes:
        sections: The first paragraphs, each as `serialize_section` gives it.
        left_out: How many more there are.
    """

    sections: Sequence[dict[str, Any]]
    left_out: int


class DataflowReader(Session):
    """A session that can be asked for the data flow of what was found."""

    def data_flow(self, found: Any, *, down: bool = False, all: bool = False) -> FoundFlow | None:
        """Return the edges that are reached from a record; None of one that has no value.

        Args:
            found: A row, or a file with a job and the part that it played there. Any: it may be of
                any table.
            down: Whether to ask what was made of it.
            all: Whether to follow files from one execution to another; else it is the execution of
                the record, or the newest one that made or used a value.
        """
        start = _start_of(found)
        if start is None:
            return None
        execution_id = None if all else self._execution_of(found, start)
        node = columns_of(start)
        arrows = ask(self, Asked(node, down, execution_id))
        first, edges = sketch(self, place_of(node), arrows)
        chosen = [EdgeSketch(*ends) for ends in leave_out(edges, _KINDS)]
        return FoundFlow(first, chosen, execution_id)

    def tell_flow(self, found: Any, most_sections: int, most_edges: int) -> ToldFlow | None:
        """Return the text of where a record came from; None of one that came from no call.

        Args:
            found: As for `data_flow`.
            most_sections: At most so many paragraphs.
            most_edges: At most so many edges are looked at, the nearest first.
        """
        start = _start_of(found)
        if start is None:
            return None
        execution_id = self._execution_of(found, start)
        arrows = ask(self, Asked(columns_of(start), False, execution_id))
        edges = leave_out_internal(load_edges(self, arrows[:most_edges]))
        if all(edge.dest is None for edge in edges):
            return None
        dom = list(make_dataflow_dom(edges))
        told = serialize_dataflow(dom[:most_sections], execution_id)
        return ToldFlow(told, len(dom) - len(told))

    def _execution_of(self, found: Any, start: DataflowNode) -> str | None:
        if isinstance(found, tuple):
            found = found[1]
        match found:
            case models.Execution():
                return found.id
            case models.Job():
                return found.execution_id
        job, node, argument = models.Job, models.CallNode, models.Argument
        if isinstance(start, CallNodeValue):
            of_calls = job.call_hash == start.call_node.call_hash
            return self.scalar(_newest(of_calls))
        assert isinstance(start, models.Value)
        inside = select(models.Subvalue.parent_value_hash).where(
            models.Subvalue.value_hash == start.value_hash
        )
        made = select(node.call_hash).where(
            or_(node.value_hash == start.value_hash, node.value_hash.in_(inside))
        )
        used = select(argument.call_hash).where(
            or_(argument.value_hash == start.value_hash, argument.value_hash.in_(inside))
        )
        return self.scalar(_newest(job.call_hash.in_(made))) or self.scalar(
            _newest(job.call_hash.in_(used))
        )


def _is_internal(node: NodeSketch) -> bool:
    call = get_call(node)
    return call is not None and is_internal_name(call.task_name)


_KINDS: Final[Kinds[NodeSketch]] = Kinds(
    is_internal=_is_internal,
    is_call=lambda node: isinstance(node, CallSketch),
    is_result=lambda node: isinstance(node, ResultNode),
)


def _newest(condition: ColumnElement[bool]) -> Select[str]:
    job = models.Job
    return select(job.execution_id).where(condition).order_by(job.start_time.desc()).limit(1)


def _start_of(found: Any) -> DataflowNode | None:
    """Return where the question starts: of calls and jobs their result."""
    if isinstance(found, tuple):
        found = found[0]
    match found:
        case models.Value():
            return found
        case models.File():
            return found.value
        case models.CallNode():
            return CallNodeValue(found, found.value)
        case models.Job() | models.Execution():
            call_node = found.call_node
            return None if call_node is None else CallNodeValue(call_node, call_node.value)
        case _:
            return None


__all__ = ["DataflowReader", "FoundFlow", "ToldFlow"]
