"""The flow of data around a node, by hashes: what came from what, the nearest first."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from taskgraph_backend.dataflow.conditions import HAS_OTHER_CALLERS, Reach
from taskgraph_backend.dataflow.meeting import Meeting, Met, ask_driver
from taskgraph_backend.dataflow.routes import Downstream, Place, Places, Upstream, place_of
from taskgraph_backend.dataflow.rules import VALUE


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
        others = ask_driver(connection, HAS_OTHER_CALLERS, {"execution": execution})
        reach = Reach.BELOW if others else Reach.JOBS
    meeting = Meeting(connection, reach, execution)
    with _no_collections():
        return (_ask_down if asked.down else _ask_up)(meeting, asked)


def _ask_up(meeting: Meeting, asked: Asked) -> list[Arrow]:
    numbers = Places()
    start = numbers[place_of(asked.start)]
    flow = Upstream(meeting, numbers)
    flow.go([asked.start], asked.depth)
    places = numbers.all()
    arrows = flow.settled(places)
    levels = _levels(arrows, [start], asked.depth)
    return [
        Arrow(places[place], None if far is None else places[far])
        for level in levels
        for place in level
        for far in arrows.get(place) or (None,)
    ]


def _ask_down(meeting: Meeting, asked: Asked) -> list[Arrow]:
    numbers = Places()
    start = numbers[place_of(asked.start)]
    below = Downstream(meeting, numbers)
    below.go([asked.start], asked.depth)
    flow = Upstream(meeting, numbers)
    flow.go(below.doubtful, 1)
    places = numbers.all()
    into = _turned_round(flow.settled(places, below.sure), places)
    levels = _levels(into, [start, *below.standing], asked.depth)
    return [
        Arrow(places[far], places[place])
        for level in levels
        for place in level
        for far in into.get(place, ())
    ]


def _turned_round(
    arrows: Mapping[int, Sequence[int]], places: Sequence[Place]
) -> Mapping[int, list[int]]:
    """Return which places came from each place."""
    into: defaultdict[int, list[int]] = defaultdict(list)
    # A value by itself counts where an argument from outside leads to it.
    joined = {dest for found in arrows.values() for dest in found if places[dest].kind == VALUE}
    for src, found in arrows.items():
        if places[src].kind != VALUE or src in joined:
            for dest in found:
                into[dest].append(src)
    return into


def _levels(
    further: Mapping[int, Sequence[int]], starts: Iterable[int], depth: int | None
) -> Iterator[list[int]]:
    """Give all places that are reached, each once: those at hand, those one arrow further, ..."""
    level = list(dict.fromkeys(starts))
    seen = set(level)
    steps = 0
    while level and (depth is None or steps < depth):
        steps += 1
        yield level
        beyond: list[int] = []
        for place in level:
            for far in further.get(place, ()):
                if far not in seen:
                    seen.add(far)
                    beyond.append(far)
        level = beyond


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


__all__ = ["Arrow", "Asked", "Place", "ask", "place_of"]
