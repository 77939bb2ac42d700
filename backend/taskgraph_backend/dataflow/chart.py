"""The flow of data around a node, by hashes: one statement in either direction, of any size.

`ask` runs the statement; what it gives is pruned here to what is reached, nearest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from taskgraph_backend.dataflow.conditions import (
    HAS_WHOLE_CALLS,
    RESULT,
    VALUE,
    Node,
    Reach,
)
from taskgraph_backend.dataflow.edges import START, downstream_statement, upstream_statement
from taskgraph_backend.dataflow.levels import WALKED, walk


class Place(NamedTuple):
    """A node by its hashes, as the database has them.

    Attributes:
        kind: `VALUE`, `RESULT`, `CALL` or `ARGUMENT`.
        id: The hash of the value, the call or the argument.
        value: The hash of the value; that of the call for a `CALL`.
    """

    kind: int
    id: bytes
    value: bytes


class Arrow(NamedTuple):
    """That something came from something else; from nowhere: from the user, or a task's body."""

    src: Place
    dest: Place | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: from where to walk, which way, and how far.

    Attributes:
        start: The node: its columns as the statements take them.
        down: Whether to walk to what was made of it.
        execution_id: Whose calls count; None for all that were ever recorded.
        depth: At most so many arrows one after another.
    """

    start: Node
    down: bool
    execution_id: str | None
    depth: int | None = None


def ask(session: Session, asked: Asked) -> list[Arrow]:
    """Return all arrows that are reached from a node, the nearest first; each points upstream.

    So many statements as there are levels, but never more than some twenty.
    """
    start = asked.start
    given: dict[str, Any] = dict(zip(Node._fields, start, strict=True))
    reach = Reach.ALL
    if asked.execution_id is not None:
        given["execution"] = bytes.fromhex(asked.execution_id)
        whole = session.execute(text(HAS_WHOLE_CALLS), {"execution": given["execution"]}).first()
        reach = Reach.JOBS if whole is None else Reach.BELOW
    connection = session.connection()
    walked = WALKED if walk(connection, asked.down, reach, given) else ""
    statement = (downstream_statement if asked.down else upstream_statement)(reach, walked)
    flow = _Flow(connection.execute(text(statement), given))
    place = Place(int(str(start.kind)), _bytes(start.id), _bytes(start.value))
    if asked.down:
        return list(_nearest(flow.backwards(), [place, *flow.starts], asked.depth, 0))
    return list(_nearest(flow.upwards(), [place], asked.depth, 1))


def _bytes(column: object) -> bytes:
    assert isinstance(column, bytes)
    return column


class _Flow:
    """The rows of a statement, as what each node came from."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self.starts: list[Place] = []
        self.arrows: dict[Place, list[Place]] = {}
        # A value came from its makers. What lies in it counts where it has none; and of the files
        # that lie in an argument from outside, those that something made.
        self._inside: dict[Place, list[Place]] = {}
        children: dict[Place, list[tuple[int, Place]]] = {}
        arrows = self.arrows
        for kind, id, value, to_kind, to_id, to_value, order in rows:
            if kind == START:
                self.starts.append(Place(to_kind, id, value))
                continue
            src = Place(kind, id, value)
            found = arrows.setdefault(src, [])
            if to_kind is None:
                continue
            dest = Place(to_kind, to_id, to_value)
            if order is not None:
                children.setdefault(src, []).append((order, dest))
            elif to_kind == VALUE:
                self._inside.setdefault(src, []).append(dest)
            else:
                found.append(dest)
        for src, ordered in children.items():
            arrows[src] += [dest for _, dest in sorted(ordered)]
        for src, found in arrows.items():
            if len(found) > 1:
                arrows[src] = list(dict.fromkeys(found))
        for src in self._inside:
            if not arrows[src]:
                arrows[src] = self._made_inside(src)

    def _made_inside(self, src: Place) -> list[Place]:
        """Return the values in a value or an argument that calls made, at any depth."""
        seen = {src}
        waiting = [*self._inside[src]]
        found = []
        for each in waiting:
            if each not in seen:
                seen.add(each)
                if any(dest.kind == RESULT for dest in self.arrows.get(each, ())):
                    found.append(each)
                waiting += self._inside.get(each, ())
        return found

    def upwards(self) -> Callable[[Place], Iterable[Arrow]]:
        """Return what tells the arrows that start at a node."""

        def step(place: Place) -> Iterable[Arrow]:
            found = self.arrows.get(place)
            return [Arrow(place, dest) for dest in found] if found else [Arrow(place, None)]

        return step

    def backwards(self) -> Callable[[Place], Iterable[Arrow]]:
        """Return what tells the arrows that lead to a node, from any that was met."""
        into: dict[Place, list[Arrow]] = {}
        # A value by itself counts where an argument from outside leads to it.
        joined = {dest for found in self.arrows.values() for dest in found if dest.kind == VALUE}
        for src, found in self.arrows.items():
            if src.kind != VALUE or src in joined:
                for dest in found:
                    into.setdefault(dest, []).append(Arrow(src, dest))

        def step(place: Place) -> Iterable[Arrow]:
            return into.get(place, ())

        return step


def _nearest(
    step: Callable[[Place], Iterable[Arrow]], starts: Iterable[Place], depth: int | None, end: int
) -> Iterator[Arrow]:
    """Give all arrows that are reached, the nearest first; ``end`` is the one that leads on."""
    level = list(dict.fromkeys(starts))
    seen = set(level)
    steps = 0
    while level and (depth is None or steps < depth):
        steps += 1
        further: list[Place] = []
        for place in level:
            for arrow in step(place):
                yield arrow
                far = arrow[end]
                if far is not None and far not in seen:
                    seen.add(far)
                    further.append(far)
        level = further


__all__ = ["Arrow", "Asked", "Place", "ask"]
