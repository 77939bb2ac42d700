"""The two ways through a flow, by hashes: which place leads to which, as far as they go.

Places go by number here: tens of thousands of them are compared, put in order and looked up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from taskgraph_backend.dataflow import downstream, upstream
from taskgraph_backend.dataflow.meeting import Meeting, Met, Rules
from taskgraph_backend.dataflow.rules import HELPER, RESULT, VALUE, stands_for

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


def place_of(node: Met) -> Place:
    """Return where a node is, or the one that it stands for."""
    kind, id, value, _, _ = node
    return Place(stands_for(kind), id, value)


#: That one place leads to another: their numbers, the node of the other, and what is told of it.
_Way = tuple[int, int, Met, int | None]
_Name = tuple[int, bytes, bytes] | Met


class Places(dict[tuple[int, bytes, bytes], int]):
    """The numbers of the places that a question met; one that is asked for gets the next."""

    def __missing__(self, place: tuple[int, bytes, bytes]) -> int:
        number = self[place] = len(self)
        return number

    def all(self) -> list[Place]:
        """Return all places in the order of their numbers."""
        return list(map(Place._make, self))


class _Walk(ABC):
    """A walk on the ways of some rules."""

    def __init__(self, meeting: Meeting, rules: Rules, places: Places) -> None:
        self._meeting = meeting
        self._rules = rules
        self._places = places
        # Nodes that were met. But for those that are met on the way only, a place has one.
        self._met: set[_Name] = set()

    def go(self, starts: Iterable[Met], depth: int | None) -> None:
        """Walk from some nodes; at most so many arrows one after another."""
        near = list(starts)
        self._met.update(map(_name, near))
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
        known = self._met - set(map(_name, waiting))
        found = self._meeting.all_beyond(self._rules, waiting)
        beyond = [node for node in found if _name(node) not in known]
        self._met.update(map(_name, beyond))
        self._step(beyond)

    def _step(self, waiting: list[Met]) -> tuple[list[Met], list[Met]]:
        """Go one step from some nodes; return those just as far, and those one arrow further."""
        nodes, rows = self._meeting.step(self._rules, waiting)
        numbers, met = self._places, self._met
        srcs = {
            kind: [numbers[kind % HELPER, id, value] for _, id, value, _, _ in those]
            for kind, those in nodes.items()
        }
        near: list[Met] = []
        far: list[Met] = []
        ways: list[_Way] = []
        for of, at, kind, id, value, whole, call, told in rows:
            node = (kind, id, value, whole, call)
            if kind >= HELPER:
                if node not in met:
                    met.add(node)
                    near.append(node)
                continue
            place = (kind, id, value)
            if place not in met:
                met.add(place)
                (near if kind == VALUE else far).append(node)
            ways.append((srcs[of][at], numbers[place], node, told))
        self._take(ways)
        return near, far

    @abstractmethod
    def _take(self, ways: Iterable[_Way]) -> None:
        """Take notice of what a step found."""


def _name(node: Met) -> _Name:
    """Return what a node is known by: its place, or all of it if it is met on the way only."""
    return node if node[0] >= HELPER else node[:3]


class Upstream(_Walk):
    """What each place came from."""

    def __init__(self, meeting: Meeting, places: Places) -> None:
        super().__init__(meeting, upstream.rules, places)
        self._arrows: defaultdict[int, list[int]] = defaultdict(list)
        self._ordered: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._inside: defaultdict[int, list[int]] = defaultdict(list)

    def _take(self, ways: Iterable[_Way]) -> None:
        for near, far, node, told in ways:
            if told is not None:
                self._ordered[near].append((told, far))
            elif node[0] == VALUE:
                self._inside[near].append(far)
            else:
                self._arrows[near].append(far)

    def settled(
        self, places: Sequence[Place], known: Iterable[tuple[int, int]] = ()
    ) -> dict[int, list[int]]:
        """Return from where each place came: children in order, and what lies in values last.

        Args:
            places: All places, in the order of their numbers.
            known: Places with one that they came from, besides those that were met.
        """
        arrows = self._arrows
        for src, dest in known:
            arrows[src].append(dest)
        for src, ordered in self._ordered.items():
            arrows[src] += [dest for _, dest in sorted(ordered)]
        for src, found in arrows.items():
            if len(found) > 1:
                arrows[src] = list(dict.fromkeys(found))
        # A value came from its makers. What lies in it counts where it has none; and of the files
        # that lie in an argument from outside, those that something made.
        for src in self._inside:
            if not arrows.get(src):
                arrows[src] = self._made_inside(src, places)
        return arrows

    def _made_inside(self, src: int, places: Sequence[Place]) -> list[int]:
        """Return the values in a value or an argument that calls made, at any depth."""
        seen = {src}
        waiting = [*self._inside[src]]
        found = []
        for each in waiting:
            if each not in seen:
                seen.add(each)
                if any(places[dest].kind == RESULT for dest in self._arrows.get(each, ())):
                    found.append(each)
                waiting += self._inside.get(each, ())
        return found


class Downstream(_Walk):
    """What may have come from each place.

    Attributes:
        sure: Places with one that they came from.
        doubtful: The nodes that have to be asked where they came from.
        standing: Where the value stands by itself at which the walk began, and what is given
            something that holds it.
    """

    def __init__(self, meeting: Meeting, places: Places) -> None:
        super().__init__(meeting, downstream.rules, places)
        self.sure: list[tuple[int, int]] = []
        self.doubtful: dict[Met, None] = {}
        self.standing: list[int] = []
        self._begun: set[int] = set()

    def go(self, starts: Iterable[Met], depth: int | None) -> None:
        """Walk from some nodes; at most so many arrows one after another."""
        starts = list(starts)
        self._begun = {self._places[place_of(node)] for node in starts if node[0] == VALUE}
        # From a value to where it stands is no arrow, nor from an argument to a part of it.
        super().go(starts, None if depth is None else 2 * depth + 1)

    def _take(self, ways: Iterable[_Way]) -> None:
        for near, far, node, told in ways:
            if near in self._begun:
                self.standing.append(far)
            if told:
                self.sure.append((far, near))
            elif told is not None:
                self.doubtful[node] = None


__all__ = ["Downstream", "Place", "Places", "Upstream", "place_of"]
