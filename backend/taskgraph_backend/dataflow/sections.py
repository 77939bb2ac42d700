"""Paragraphs of a data flow: edges sorted, the library's own tasks left out, split where they meet.

A paragraph is a route that values took from where they are named to the call that made them, to the
values that they were made of, or to the origin. Everything here takes time in proportion to the
number of edges, and nothing is walked by recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from taskgraph_backend import models
from taskgraph_backend.dataflow.internal import Ends, Kinds, leave_out
from taskgraph_backend.dataflow.naming import is_internal_name
from taskgraph_backend.dataflow.nodes import (
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)
from taskgraph_backend.dataflow.places import get_dataflow_call_node

DataflowSection = list[DataflowEdge]


class DataflowSectionKind(StrEnum):
    """What a paragraph ends at: a call (or the origin), or the values that a value is made of."""

    CALL = "call"
    DATA = "data"


def get_section_edge_type(edge: DataflowEdge) -> DataflowSectionKind:
    """Return the kind of paragraph that an edge stands in by itself."""
    src, dest = edge
    if not isinstance(dest, models.Value):
        return DataflowSectionKind.CALL
    is_same = not isinstance(src, models.CallNode) and _value_of(src) is dest
    return DataflowSectionKind.CALL if is_same else DataflowSectionKind.DATA


def _value_of(node: DataflowNode) -> models.Value:
    match node:
        case models.Value():
            return node
        case models.CallNode():
            return node.value
        case _:
            return node.value


@dataclass(slots=True)
class Flow(Ends[DataflowNode]):
    """Edges by their ends, as the text looks at them.

    Attributes:
        named: The nodes that stand in the text as arguments of a call.
    """

    named: set[DataflowNode] = field(default_factory=set)

    @classmethod
    def of(cls, edges: Iterable[tuple[DataflowNode, DataflowNode | None]]) -> Flow:
        """Put edges in order of their ends."""
        found = list(edges)
        ends = Ends.of(found)
        given = (dest for src, dest in found if isinstance(src, models.CallNode))
        return cls(ends.behind, ends.into, {dest for dest in given if dest is not None})

    def next_of(self, node: DataflowNode) -> DataflowNode | None:
        """Return the one node that the route goes on to; None where a paragraph ends."""
        dests = self.behind.get(node, ())
        if len(dests) != 1 or isinstance(node, models.CallNode):
            return None
        dest = dests[0]
        if dest is None or isinstance(dest, models.CallNode):
            return None
        edge = DataflowEdge(node, dest)
        return dest if get_section_edge_type(edge) is DataflowSectionKind.CALL else None

    def call_behind(self, node: DataflowNode) -> models.CallNode | None:
        """Return the call whose body made a node."""
        if isinstance(node, models.CallNode):
            return node
        found = (each for each in self.behind.get(node, ()) if isinstance(each, models.CallNode))
        return next(found, None)

    def is_met(self, node: DataflowNode) -> bool:
        """Tell whether more than one route comes to a node that leads on from there."""
        return self.into.get(node, 0) > 1 and node in self.behind


def toposort_edges(edges: Iterable[DataflowEdge]) -> Iterator[DataflowEdge]:
    """Give edges depth first, those of a node when all that lead to it were given."""
    for src, dest in Ends.of(edges).sorted():
        yield DataflowEdge(src, dest)


def rewrite_call_node_merges(edges: Iterable[DataflowEdge]) -> list[DataflowEdge]:
    """Let each call have one result only: the whole one, where several parts of it were asked for.

    What came from a part then came from the whole, so that a call is told of once.
    """
    found = list(edges)
    results: dict[models.CallNode, set[CallNodeValue]] = {}
    for src, dest in found:
        if isinstance(src, CallNodeValue) and isinstance(dest, models.CallNode):
            results.setdefault(dest, set()).add(src)
    whole: dict[DataflowNode, CallNodeValue] = {
        part: CallNodeValue(call_node, call_node.value)
        for call_node, parts in results.items()
        if len(parts) > 1
        for part in parts
    }
    if not whole:
        return found
    rewritten = (
        DataflowEdge(whole.get(src, src), None if dest is None else whole.get(dest, dest))
        for src, dest in found
    )
    return list(dict.fromkeys(rewritten))


def leave_out_internal(edges: Iterable[DataflowEdge]) -> list[DataflowEdge]:
    """Join what is on both sides of calls of the library's own tasks, which are left out."""
    return [DataflowEdge(src, dest) for src, dest in leave_out(edges, _KINDS)]


def is_internal_node(node: DataflowNode | None) -> bool:
    """Tell whether a node is at a call of one of the library's own tasks."""
    call_node = get_dataflow_call_node(node)
    return call_node is not None and is_internal_name(call_node.task_name)


_KINDS: Final[Kinds[DataflowNode]] = Kinds(
    is_internal=is_internal_node,
    is_call=lambda node: isinstance(node, models.CallNode),
    is_result=lambda node: isinstance(node, CallNodeValue),
)


def iter_dataflow_sections(
    edges: Iterable[DataflowEdge], flow: Flow | None = None
) -> Iterator[tuple[DataflowSectionKind, DataflowSection]]:
    """Give the paragraphs of edges that are sorted; each edge stands in one of them.

    Args:
        edges: Sorted by `toposort_edges`; a call has one result, see `rewrite_call_node_merges`.
        flow: The same edges by their ends, where they are at hand.
    """
    found = list(edges)
    flow = flow or Flow.of(found)
    ends: dict[DataflowNode, DataflowNode] = {}
    sections: dict[DataflowNode, DataflowSection] = {}
    places: dict[DataflowNode, int] = {}
    for place, edge in enumerate(found):
        end = _end_of(edge.src, flow, ends)
        sections.setdefault(end, []).append(edge)
        places[end] = place
    for end in sorted(sections, key=places.__getitem__):
        yield from iter_subsections(sections[end], flow)


def _end_of(node: DataflowNode, flow: Flow, ends: dict[DataflowNode, DataflowNode]) -> DataflowNode:
    """Return where the route from a node ends: what made it, or what it is made of."""
    route: list[DataflowNode] = []
    on_route: set[DataflowNode] = set()
    while node not in ends and node not in on_route:
        route.append(node)
        on_route.add(node)
        call_node = flow.call_behind(node)
        following = call_node if call_node is not None else flow.next_of(node)
        if following is None or following is node:
            break
        node = following
    end = ends.get(node, node)
    ends.update(dict.fromkeys(route, end))
    return end


def iter_subsections(
    section: DataflowSection, flow: Flow | None = None
) -> Iterator[tuple[DataflowSectionKind, DataflowSection]]:
    """Split a paragraph where several routes meet: a part for each, and one from there on.

    Args:
        section: The edges that end at one call, or one value.
        flow: All edges, if the paragraph is one of several.
    """
    whole = flow or Flow.of(section)
    own = Flow.of(section)
    starts = [node for node in own.behind if not own.into.get(node) or whole.is_met(node)]
    passed: set[DataflowNode] = set()
    # Those that are left at the end have all that leads to them in a circle.
    for start in (*starts, *own.behind):
        part = [] if start in passed else list(_route(start, own, whole, passed))
        if part:
            yield _kind_of(part), part


def _route(
    start: DataflowNode, own: Flow, whole: Flow, passed: set[DataflowNode]
) -> Iterator[DataflowEdge]:
    node = start
    while True:
        passed.add(node)
        call_node = own.call_behind(node)
        following = None if call_node is not None else whole.next_of(node)
        yield from (DataflowEdge(node, dest) for dest in own.behind.get(node, ()))
        if call_node is not None and call_node not in passed:
            passed.add(call_node)
            yield from (DataflowEdge(call_node, dest) for dest in own.behind.get(call_node, ()))
        if following is None or following in passed or whole.is_met(following):
            return
        node = following


def _kind_of(section: DataflowSection) -> DataflowSectionKind:
    last = section[-1]
    if isinstance(last.src, models.CallNode) or last.dest is None:
        return DataflowSectionKind.CALL
    beside = [edge.dest for edge in section if edge.src == last.src]
    if any(isinstance(dest, models.CallNode) for dest in beside):
        return DataflowSectionKind.CALL
    if len(beside) > 1:
        return DataflowSectionKind.DATA
    return get_section_edge_type(last)


__all__ = [
    "DataflowSection",
    "DataflowSectionKind",
    "Flow",
    "get_section_edge_type",
    "is_internal_node",
    "iter_dataflow_sections",
    "iter_subsections",
    "leave_out_internal",
    "rewrite_call_node_merges",
    "toposort_edges",
]
