"""Walking the flow of data: the edges that are reached from a node, with the rows at their ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from taskgraph_backend import models
from taskgraph_backend.dataflow import rules
from taskgraph_backend.dataflow.chart import Arrow, Asked, Place, ask
from taskgraph_backend.dataflow.hashes import among
from taskgraph_backend.dataflow.meeting import Met
from taskgraph_backend.dataflow.nodes import (
    ArgumentValue,
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)
from taskgraph_backend.dataflow.rules import ARGUMENT, CALL, RESULT, VALUE

# Whoever looks at the first edges need not wait for the rows of all.
_FIRST: Final = 2_000


def walk_dataflow(
    session: Session,
    node: DataflowNode,
    *,
    down: bool = False,
    all: bool = False,
    execution_id: str | None = None,
    depth: int | None = None,
) -> Iterator[DataflowEdge]:
    """Give the edges that are reached from a node, the nearest first: up, or down to what it made.

    All edges point upstream, also those that are met on the way down. The number of statements goes
    by how deep the flow is, not by how wide, and is sixty at most.

    Args:
        session: Where the rows are.
        node: Where to start.
        down: Whether to ask what was made of it.
        all: Whether all calls count that were ever recorded; a file then joins the execution that
            made it with those that were given it.
        execution_id: The execution whose calls count; needed unless ``all``.
        depth: At most so many edges one after another.

    Raises:
        ValueError: It is said neither which execution counts nor that all do.
    """
    if not all and execution_id is None:
        raise ValueError("say which execution counts, by execution_id, or that all do: all=True")
    asked = Asked(columns_of(node), down, None if all else execution_id, depth)
    arrows = ask(session, asked)
    for chosen in (arrows[:_FIRST], arrows[_FIRST:]):
        yield from load_edges(session, chosen)


def walk_dataflow_node(
    session: Session, node: DataflowNode, *, execution_id: str | None = None
) -> Iterator[DataflowEdge]:
    """Give the edges from a node to what it came from directly; of all executions by default."""
    return walk_dataflow(
        session, node, all=execution_id is None, execution_id=execution_id, depth=1
    )


def walk_dataflow_value(session: Session, value: models.Value) -> Iterator[DataflowEdge]:
    """Give the edges from a value to the calls that made it, or to its parts that have such."""
    return walk_dataflow_node(session, value)


def walk_dataflow_callnode(session: Session, call_node: models.CallNode) -> Iterator[DataflowEdge]:
    """Give the edges from a call to its arguments."""
    return walk_dataflow_node(session, call_node)


def walk_dataflow_callnode_value(
    session: Session, call_node_value: CallNodeValue
) -> Iterator[DataflowEdge]:
    """Give the edges from a call's result to the child that gave it, or to the call itself."""
    return walk_dataflow_node(session, call_node_value)


def walk_dataflow_argument_value(
    session: Session, argument_value: ArgumentValue
) -> Iterator[DataflowEdge]:
    """Give the edges from an argument to the call or the caller's argument that it came from."""
    return walk_dataflow_node(session, argument_value)


def columns_of(node: DataflowNode) -> Met:
    """Return a node as the rules take it."""
    match node:
        case CallNodeValue(call, value):
            return _met(RESULT, call.call_hash, value.value_hash, call.value_hash, call.call_hash)
        case ArgumentValue(each, value):
            return _met(ARGUMENT, each.arg_hash, value.value_hash, each.value_hash, each.call_hash)
        case models.CallNode():
            return _met(CALL, *[node.call_hash] * 4)
        case models.Value():
            return _met(VALUE, *[node.value_hash] * 4)


def _met(kind: int, *hashes: str) -> Met:
    id, value, whole, call = map(bytes.fromhex, hashes)
    return kind, id, value, whole, call


def load_edges(session: Session, arrows: Sequence[Arrow]) -> Iterator[DataflowEdge]:
    """Give arrows as edges, with all that is shown of their rows, in four statements."""
    if not arrows:
        return
    places = dict.fromkeys(place for arrow in arrows for place in arrow if place is not None)
    arguments = _rows(
        session,
        select(models.Argument).options(joinedload(models.Argument.call_node)),
        models.Argument.arg_hash,
        (place.id for place in places if place.kind == ARGUMENT),
    )
    calls = _rows(
        session,
        select(models.CallNode).options(joinedload(models.CallNode.task)),
        models.CallNode.call_hash,
        (place.id for place in places if place.kind in {RESULT, CALL}),
    )
    values = _rows(
        session,
        select(models.Value).options(joinedload(models.Value.file)),
        models.Value.value_hash,
        (place.value for place in places if place.kind != CALL),
    )

    def node_of(place: Place) -> DataflowNode:
        match place.kind:
            case rules.RESULT:
                return CallNodeValue(calls[place.id], values[place.value])
            case rules.CALL:
                found: models.CallNode = calls[place.id]
                return found
            case rules.ARGUMENT:
                return ArgumentValue(arguments[place.id], values[place.value])
            case _:
                value: models.Value = values[place.value]
                return value

    nodes = {place: node_of(place) for place in places}
    for src, those in groupby(arrows, key=lambda arrow: arrow.src):
        for dest in _parts_by_name([arrow.dest for arrow in those], values):
            yield DataflowEdge(nodes[src], None if dest is None else nodes[dest])


def _parts_by_name(
    dests: list[Place | None], values: dict[bytes, models.Value]
) -> list[Place | None]:
    """Return where arrows lead; parts of a value, which have no order, by their texts."""
    if any(dest is None or dest.kind != VALUE for dest in dests):
        return dests
    return sorted(dests, key=lambda dest: (values[dest.value].preview, dest) if dest else ("", ()))


def _rows(
    session: Session,
    query: Select[Any],
    column: InstrumentedAttribute[str],
    hashes: Iterator[bytes],
) -> dict[bytes, Any]:
    """Return rows by their hashes, in one statement."""
    wanted = list(hashes)
    if not wanted:
        return {}
    found = session.scalars(query.where(among(column, wanted))).unique()
    return {bytes.fromhex(getattr(row, column.key)): row for row in found}


__all__ = [
    "columns_of",
    "load_edges",
    "walk_dataflow",
    "walk_dataflow_argument_value",
    "walk_dataflow_callnode",
    "walk_dataflow_callnode_value",
    "walk_dataflow_node",
    "walk_dataflow_value",
]
