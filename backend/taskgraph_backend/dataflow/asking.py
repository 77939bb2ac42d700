"""What a reader is asked of the flow of data: from a record to its edges, and to their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from taskgraph_backend import models
from taskgraph_backend.dataflow.dom import make_dataflow_dom
from taskgraph_backend.dataflow.nodes import CallNodeValue, DataflowEdge, DataflowNode
from taskgraph_backend.dataflow.sections import leave_out_internal
from taskgraph_backend.dataflow.serialize import serialize_dataflow
from taskgraph_backend.dataflow.walking import walk_dataflow


@dataclass(frozen=True, slots=True)
class FoundFlow:
    """Where values came from, or what was made of them.

    Attributes:
        start: The node that was asked about.
        edges: Those that are reached from there, without tasks of the library itself.
        execution_id: The execution that they are of; None for all.
    """

    start: DataflowNode
    edges: Sequence[DataflowEdge]
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

    def data_flow(
        self, found: Any, *, down: bool = False, all: bool = False, most_edges: int | None = None
    ) -> FoundFlow | None:
        """Return the edges that are reached from a record; None of one that has no value.

        Args:
            found: A row, or a file with a job and the part that it played there. Any: it may be of
                any table.
            down: Whether to ask what was made of it.
            all: Whether to follow files from one execution to another; else it is the execution of
                the record, or the newest one that made or used a value.
            most_edges: At most so many, the nearest first.
        """
        start = _start_of(found)
        if start is None:
            return None
        execution_id = None if all else self._execution_of(found, start)
        edges = walk_dataflow(
            self, start, down=down, all=execution_id is None, execution_id=execution_id
        )
        chosen = leave_out_internal(islice(edges, most_edges))
        return FoundFlow(start, chosen, execution_id)

    def tell_flow(self, found: Any, most_sections: int, most_edges: int) -> ToldFlow | None:
        """Return the text of where a record came from; None of one that came from no call.

        Args:
            found: As for `data_flow`.
            most_sections: At most so many paragraphs.
            most_edges: At most so many edges are looked at.
        """
        flow = self.data_flow(found, most_edges=most_edges)
        if flow is None or all(edge.dest is None for edge in flow.edges):
            return None
        dom = list(make_dataflow_dom(flow.edges))
        told = serialize_dataflow(dom[:most_sections], flow.execution_id)
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
