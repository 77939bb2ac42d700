"""Edges with just as much of their rows as a chart shows: a tenth of the time that records take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVarTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from taskgraph_backend import models
from taskgraph_backend.dataflow.chart import Arrow, Place
from taskgraph_backend.dataflow.hashes import among
from taskgraph_backend.dataflow.rules import ARGUMENT, CALL, RESULT

T = TypeVarTuple("T")


# Each is made once for its row: they are compared by identity.
@dataclass(slots=True, eq=False)
class FileSketch:
    """A file: where it is."""

    root: str
    path: str


@dataclass(slots=True, eq=False)
class ValueSketch:
    """A value: what is shown of it."""

    value_hash: str
    type: str
    preview: str
    file: FileSketch | None


@dataclass(slots=True, eq=False)
class CallSketch:
    """A call: of which task."""

    call_hash: str
    task_name: str


@dataclass(slots=True, eq=False)
class ArgumentSketch:
    """An argument: of which parameter of which call."""

    arg_hash: str
    arg_key: str | None
    arg_position: int | None
    call_node: CallSketch


@dataclass(slots=True, eq=False)
class ResultNode:
    """A value as it came from a call."""

    call_node: CallSketch
    value: ValueSketch


@dataclass(slots=True, eq=False)
class ArgumentNode:
    """A value as it came in an argument."""

    argument: ArgumentSketch
    value: ValueSketch


NodeSketch = ValueSketch | CallSketch | ResultNode | ArgumentNode


def get_call(node: NodeSketch) -> CallSketch | None:
    """Return the call that a node is at; a value by itself is at none."""
    match node:
        case ResultNode():
            return node.call_node
        case ArgumentNode():
            return node.argument.call_node
        case CallSketch():
            return node
        case ValueSketch():
            return None


class EdgeSketch(NamedTuple):
    """That a node came from another one, or from the origin."""

    src: NodeSketch
    dest: NodeSketch | None


class Sketches:
    """Nodes with what is shown of their rows, looked up in three statements.

    Args:
        session: Where the rows are.
        places: The nodes by their hashes.
    """

    def __init__(self, session: Session, places: Iterable[Place]) -> None:
        self._session = session
        self._nodes: dict[Place, NodeSketch] = {}
        self._calls: dict[str, CallSketch] = {}
        wanted = list(dict.fromkeys(places))
        arguments = self._arguments([each.id for each in wanted if each.kind == ARGUMENT])
        calls = self._of_calls([each.id for each in wanted if each.kind in {RESULT, CALL}])
        values = self._values([each.value for each in wanted if each.kind != CALL])
        for place in wanted:
            self._nodes[place] = self._node(place, arguments, calls, values)

    def __getitem__(self, place: Place) -> NodeSketch:
        return self._nodes[place]

    @staticmethod
    def _node(
        place: Place,
        arguments: dict[bytes, ArgumentSketch],
        calls: dict[bytes, CallSketch],
        values: dict[bytes, ValueSketch],
    ) -> NodeSketch:
        if place.kind == RESULT:
            return ResultNode(calls[place.id], values[place.value])
        if place.kind == CALL:
            return calls[place.id]
        if place.kind == ARGUMENT:
            return ArgumentNode(arguments[place.id], values[place.value])
        return values[place.value]

    def _arguments(self, hashes: Sequence[bytes]) -> dict[bytes, ArgumentSketch]:
        row, node = models.Argument, models.CallNode
        query = select(
            row.arg_hash, row.arg_key, row.arg_position, node.call_hash, node.task_name
        ).join(node, node.call_hash == row.call_hash)
        return {
            bytes.fromhex(key): ArgumentSketch(key, name, position, self._call(call, task))
            for key, name, position, call, task in self._rows(query, row.arg_hash, hashes)
        }

    def _of_calls(self, hashes: Sequence[bytes]) -> dict[bytes, CallSketch]:
        node = models.CallNode
        query = select(node.call_hash, node.task_name)
        return {
            bytes.fromhex(call): self._call(call, task)
            for call, task in self._rows(query, node.call_hash, hashes)
        }

    def _values(self, hashes: Sequence[bytes]) -> dict[bytes, ValueSketch]:
        row, file = models.Value, models.File
        query = select(row.value_hash, row.type, row.preview, file.root, file.path).outerjoin(
            file, file.value_hash == row.value_hash
        )
        return {
            bytes.fromhex(key): ValueSketch(
                key, type, preview, None if path is None else FileSketch(root, path)
            )
            for key, type, preview, root, path in self._rows(query, row.value_hash, hashes)
        }

    def _call(self, call_hash: str, task_name: str) -> CallSketch:
        found = self._calls.get(call_hash)
        if found is None:
            found = self._calls[call_hash] = CallSketch(call_hash, task_name)
        return found

    def _rows(
        self, query: Select[*T], column: InstrumentedAttribute[str], hashes: Sequence[bytes]
    ) -> Iterable[tuple[*T]]:
        if not hashes:
            return ()
        return self._session.execute(query.where(among(column, hashes)))


def sketch(
    session: Session, start: Place, arrows: Sequence[Arrow]
) -> tuple[NodeSketch, Iterator[EdgeSketch]]:
    """Return where a question starts and its arrows, with what is shown of their rows."""
    places = [place for arrow in arrows for place in arrow if place is not None]
    nodes = Sketches(session, [start, *places])
    edges = (EdgeSketch(nodes[src], None if dest is None else nodes[dest]) for src, dest in arrows)
    return nodes[start], edges
