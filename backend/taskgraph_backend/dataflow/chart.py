"""The flow of data around a node, by hashes: what came from what, the nearest first."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from taskgraph_backend.dataflow import downstream, upstream
from taskgraph_backend.dataflow.conditions import (
    HAS_OTHER_CALLERS,
    HELPER,
    RESULT,
    VALUE,
    Reach,
    stands_for,
)
from taskgraph_backend.dataflow.meeting import Meeting, Met, Rules

#: What is further away is left to one recursive statement, so that their number has a bound. It
#: opens the tables of each rule for each row, and so takes twice as long.
MOST_STEPS: Final = 20


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
        start: The node.
        down: Whether to walk to what was made of it.
        execution_id: Whose calls count; None for all that were ever recorded.
        depth: At most so many arrows one after another.
    """

    start: Met
    down: bool
    execution_id: str | None
    depth: int | None = None


def ask(session: Session, asked: Asked) -> list[Arrow]:
    """Return all arrows that are reached from a node, the nearest first; each points upstream.

    The number of statements goes by how deep the flow is, and has a bound.
    """
    connection = session.connection()
    execution, reach = None, Reach.ALL
    if asked.execution_id is not None:
        execution = bytes.fromhex(asked.execution_id)
        others = connection.execute(text(HAS_OTHER_CALLERS), {"execution": execution}).first()
        reach = Reach.JOBS if others is None else Reach.BELOW
    meeting = Meeting(connection, reach, execution)
    start = place_of(asked.start)
    with _no_collections():
        if not asked.down:
            flow = _Upstream(meeting)
            flow.go([asked.start], asked.depth)
            flow.settle()
            return list(_nearest(flow.upwards(), [start], asked.depth, 1))
        below = _Downstream(meeting)
        below.go([asked.start], asked.depth)
        flow = _Upstream(meeting)
        flow.go(below.doubtful, 1)
        for src, dest in below.sure:
            flow.arrows[src].append(dest)
        flow.settle()
        return list(_nearest(flow.backwards(), [start, *below.standing], asked.depth, 0))


def place_of(node: Met) -> Place:
    """Return where a node is, or the one that it stands for."""
    kind, id, value, _, _ = node
    return Place(stands_for(kind), id, value)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Let the many tuples of a walk be made without looking for cycles, of which there are none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Walk(ABC):
    """A walk on the ways of some rules.

    Attributes:
        places: The place of each node that was met.
    """

    def __init__(self, meeting: Meeting, rules: Rules) -> None:
        self._meeting = meeting
        self._rules = rules
        self.places: dict[Met, Place] = {}

    def go(self, starts: Iterable[Met], depth: int | None) -> None:
        """Walk from some nodes; at most so many arrows one after another."""
        near = list(starts)
        for node in near:
            self._meet(node)
        far: list[Met] = []
        distance = 0
        for _ in range(MOST_STEPS):
            if not near or depth is None:
                near, far, distance = near + far, [], distance + 1
            if not near or (depth is not None and distance >= depth):
                return
            near, further = self._step(near)
            far += further
        if near or far:
            self._go_beyond(near + far)

    def _go_beyond(self, waiting: list[Met]) -> None:
        known = self.places.keys() - waiting
        beyond = [
            node for node in self._meeting.all_beyond(self._rules, waiting) if node not in known
        ]
        for node in beyond:
            self._meet(node)
        self._step(beyond)

    def _step(self, waiting: list[Met]) -> tuple[list[Met], list[Met]]:
        """Go one step from some nodes; return those just as far, and those one arrow further."""
        nodes, rows = self._meeting.step(self._rules, waiting)
        srcs = {kind: [self.places[node] for node in those] for kind, those in nodes.items()}
        near: list[Met] = []
        far: list[Met] = []
        for of, at, kind, id, value, whole, call, told in rows:
            node = (kind, id, value, whole, call)
            place = self.places.get(node)
            if place is None:
                place = self._meet(node)
                (near if kind >= HELPER or kind == VALUE else far).append(node)
            if kind < HELPER:
                self._tell(srcs[of][at], place, node, told)
        return near, far

    def _meet(self, node: Met) -> Place:
        place = self.places[node] = place_of(node)
        return place

    @abstractmethod
    def _tell(self, near: Place, far: Place, node: Met, told: int | None) -> None:
        """Take notice that one place leads to another one, which is that of a node."""


class _Upstream(_Walk):
    """What each node came from.

    Attributes:
        arrows: The places where each place came from; not yet complete before `settle`.
    """

    def __init__(self, meeting: Meeting) -> None:
        super().__init__(meeting, upstream.rules)
        self.arrows: defaultdict[Place, list[Place]] = defaultdict(list)
        self._ordered: defaultdict[Place, list[tuple[int, Place]]] = defaultdict(list)
        self._inside: defaultdict[Place, list[Place]] = defaultdict(list)

    def _tell(self, near: Place, far: Place, node: Met, told: int | None) -> None:
        if far.kind == VALUE:
            self._inside[near].append(far)
        elif told is None:
            self.arrows[near].append(far)
        else:
            self._ordered[near].append((told, far))

    def settle(self) -> None:
        """Put children in order; and where values came from nowhere, look at what lies in them."""
        for src, ordered in self._ordered.items():
            self.arrows[src] += [dest for _, dest in sorted(ordered)]
        for src, found in self.arrows.items():
            if len(found) > 1:
                self.arrows[src] = list(dict.fromkeys(found))
        # A value came from its makers. What lies in it counts where it has none; and of the files
        # that lie in an argument from outside, those that something made.
        for src in self._inside:
            if not self.arrows.get(src):
                self.arrows[src] = self._made_inside(src)

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
        into: defaultdict[Place, list[Arrow]] = defaultdict(list)
        # A value by itself counts where an argument from outside leads to it.
        joined = {dest for found in self.arrows.values() for dest in found if dest.kind == VALUE}
        for src, found in self.arrows.items():
            if src.kind != VALUE or src in joined:
                for dest in found:
                    into[dest].append(Arrow(src, dest))

        def step(place: Place) -> Iterable[Arrow]:
            return into.get(place, ())

        return step


class _Downstream(_Walk):
    """What may have come from each node.

    Attributes:
        sure: Places with one that they came from.
        doubtful: The nodes that have to be asked where they came from.
        standing: Where the value stands by itself at which the walk began, and what is given
            something that holds it.
    """

    def __init__(self, meeting: Meeting) -> None:
        super().__init__(meeting, downstream.rules)
        self.sure: list[tuple[Place, Place]] = []
        self.doubtful: dict[Met, None] = {}
        self.standing: list[Place] = []

    def go(self, starts: Iterable[Met], depth: int | None) -> None:
        starts = list(starts)
        self._begun = {place_of(node) for node in starts if node[0] == VALUE}
        # From a value to where it stands is no arrow, nor from an argument to a part of it.
        super().go(starts, None if depth is None else 2 * depth + 1)

    def _tell(self, near: Place, far: Place, node: Met, told: int | None) -> None:
        if near in self._begun:
            self.standing.append(far)
        if told:
            self.sure.append((far, near))
        elif told is not None:
            self.doubtful[node] = None


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


__all__ = ["Arrow", "Asked", "Place", "ask", "place_of"]
