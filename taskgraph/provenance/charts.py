"""The chart of a lineage: calls, and the values and files between them, as plain data.

It is made of the edges of a data flow. What only hands a value on is not in it: nodes that stand
for one value on its way are one node here, and a file is one wherever it is met. Nothing here
unpickles, and nothing is walked by recursion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from taskgraph.provenance.page import clean
from taskgraph.provenance.rows import ArgumentRow, CallRow, EdgeRow, ValueRow

#: At most so many nodes are drawn unless more are asked for.
MOST_NODES: Final = 100
_MOST_LABEL: Final = 72
_MOST_GIVEN: Final = 32
_KINDS: Final = ("result", "argument", "part")
# What holds files says which in its preview: it is no constant.
_OF_FILES: Final = ("path=", "pattern=")


@dataclass(frozen=True, slots=True)
class ChartNode:
    """A call, or a value between calls.

    Attributes:
        id: Its name in this chart.
        kind: ``call``, ``file`` or ``value``.
        label: The full name of the task, the path of the file, or the preview of the value.
        hash: The hash of the call or the value.
        type: The type of the value; of a call nothing.
        given: Of a call, those of its arguments that are no nodes: small values that came from the
            user or from a body, by parameter.
        more: How many nodes next to it, further on, are not in the chart.
        is_start: Whether the question was about it.
    """

    id: str
    kind: str
    label: str
    hash: str
    type: str = ""
    given: tuple[tuple[str, str], ...] = ()
    more: int = 0
    is_start: bool = False


@dataclass(frozen=True, slots=True)
class ChartArrow:
    """The way that data took: from a value to a call, from a call to a value.

    Attributes:
        source: The id of the node where it comes from.
        target: The id of the node where it goes.
        kind: ``argument``, ``result``, or ``part`` for a value that went into another one.
        name: The parameter that an argument was given to.
    """

    source: str
    target: str
    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """What led to something, or what was made of it.

    Attributes:
        is_down: Whether it says what was made of something.
        execution_id: The execution that it is of; None if it goes from one to another.
        nodes: Those that were asked about first, then the nearest.
        arrows: In the direction in which data went.
        left_out: How many nodes are not in the chart.
    """

    is_down: bool
    execution_id: str | None
    nodes: tuple[ChartNode, ...]
    arrows: tuple[ChartArrow, ...]
    left_out: int = 0


@dataclass(slots=True)
class _Draft:
    """A chart in the making: its keys are those of `_Places`."""

    nodes: dict[str, ChartNode] = field(default_factory=dict)
    arrows: dict[tuple[str, str, str, str], None] = field(default_factory=dict)
    from_outside: set[str] = field(default_factory=set)

    def into(self) -> dict[str, list[tuple[str, str, str, str]]]:
        """Return the arrows to each node."""
        found: dict[str, list[tuple[str, str, str, str]]] = {}
        for arrow in self.arrows:
            found.setdefault(arrow[1], []).append(arrow)
        return found

    def out_of(self) -> dict[str, list[tuple[str, str, str, str]]]:
        """Return the arrows from each node."""
        found: dict[str, list[tuple[str, str, str, str]]] = {}
        for arrow in self.arrows:
            found.setdefault(arrow[0], []).append(arrow)
        return found


def make_chart(
    start: Any,
    edges: Iterable[EdgeRow],
    *,
    down: bool = False,
    execution_id: str | None = None,
    types: Sequence[str] | None = None,
    depth: int | None = None,
    most: int | None = MOST_NODES,
) -> Chart:
    """Return the chart of edges.

    Args:
        start: The node that was asked about.
        edges: Those that are reached from there.
        down: Whether they are what was made of it.
        execution_id: The execution that they are of.
        types: Only values of these types; calls are joined by arrows over what is left out.
        depth: At most so many calls away.
        most: At most so many nodes.
    """
    places = _Places()
    found = list(edges)
    begun = places.settle(start, found, is_down=down)
    draft = _draft(start, found, places)
    starts = [each for each in begun if each in draft.nodes]
    if types:
        _keep_types(draft, {each.casefold() for each in types}, set(starts))
    if not down:
        _fold_constants(draft, set(starts))
    return _bounded(draft, starts, down, execution_id, depth, most)


def _key(node: Any) -> str:
    if hasattr(node, "argument"):
        return f"A{node.argument.arg_hash}{node.value.value_hash}"
    if hasattr(node, "call_node"):
        return f"O{node.call_node.call_hash}{node.value.value_hash}"
    return f"C{node.call_hash}" if hasattr(node, "call_hash") else f"V{node.value_hash}"


def _is_call(node: Any) -> bool:
    return hasattr(node, "call_hash")


def _value_of(node: Any) -> ValueRow:
    value: ValueRow = node if hasattr(node, "value_hash") else node.value
    return value


class _Places:
    """Which nodes of a data flow are one node of the chart: one value on its way."""

    def __init__(self) -> None:
        self._leader: dict[str, str] = {}

    def of(self, node: Any) -> str:
        """Return the key of the chart's node."""
        return self._find(_key(node))

    def settle(self, start: Any, edges: Sequence[EdgeRow], *, is_down: bool) -> list[str]:
        """Put together what belongs together; return the keys of what was asked about."""
        asked = None if _is_call(start) else _value_of(start).value_hash
        is_by_itself = not _is_call(start) and _key(start).startswith("V")
        for node in (start, *(node for edge in edges for node in (edge.src, edge.dest))):
            if node is None or _is_call(node):
                continue
            value = _value_of(node)
            is_asked = is_down and is_by_itself and value.value_hash == asked
            if value.file is not None or is_asked:
                self._join(_key(node), f"V{value.value_hash}")
        for edge in edges:
            src, dest = edge.src, edge.dest
            if dest is None or _is_call(src) or _is_call(dest):
                continue
            if _value_of(src).value_hash == _value_of(dest).value_hash:
                self._join(_key(src), _key(dest))
        return [self.of(start)]

    def _find(self, key: str) -> str:
        path = []
        while (leader := self._leader.get(key, key)) != key:
            path.append(key)
            key = leader
        for each in path:
            self._leader[each] = key
        return key

    def _join(self, one: str, other: str) -> None:
        first, second = self._find(one), self._find(other)
        if first != second:
            self._leader[first] = second


def _draft(start: Any, edges: Sequence[EdgeRow], places: _Places) -> _Draft:
    draft = _Draft()
    _add_node(draft, places, start)
    for edge in edges:
        src, dest = edge.src, edge.dest
        target = _add_node(draft, places, src)
        if dest is None:
            draft.from_outside.add(target)
            continue
        source = _add_node(draft, places, dest)
        if _is_call(src):
            arrow = (source, target, "argument", _name_of(dest.argument))
        else:
            arrow = (source, target, "result" if _is_call(dest) else "part", "")
        if source != target:
            draft.arrows[arrow] = None
    return draft


def _add_node(draft: _Draft, places: _Places, node: Any) -> str:
    key = places.of(node)
    if key not in draft.nodes:
        draft.nodes[key] = _call(node) if _is_call(node) else _value(_value_of(node))
    return key


def _call(row: CallRow) -> ChartNode:
    return ChartNode("", "call", clean(row.task_name, _MOST_LABEL), row.call_hash)


def _value(row: ValueRow) -> ChartNode:
    file = row.file
    if file is None:
        return ChartNode("", "value", clean(row.preview, _MOST_LABEL), row.value_hash, row.type)
    root = "" if file.root in ("project", "") else f"{file.root}:"
    return ChartNode("", "file", clean(f"{root}{file.path}"), row.value_hash, row.type)


def _name_of(argument: ArgumentRow) -> str:
    if argument.arg_key is not None:
        return clean(argument.arg_key, _MOST_LABEL)
    return f"*{argument.arg_position}"


def _keep_types(draft: _Draft, types: set[str], starts: set[str]) -> None:
    """Leave out the values of other types, and join the calls on both sides of each."""
    left_out = [
        key
        for key, node in draft.nodes.items()
        if node.kind != "call" and key not in starts and not _is_of(node.type, types)
    ]
    into, out_of = draft.into(), draft.out_of()
    for key in left_out:
        for before in into.pop(key, []):
            out_of[before[0]].remove(before)
            draft.arrows.pop(before, None)
            for after in out_of.get(key, []):
                arrow = (before[0], after[1], after[2], after[3])
                if arrow not in draft.arrows and arrow[0] != arrow[1]:
                    draft.arrows[arrow] = None
                    out_of[arrow[0]].append(arrow)
                    into.setdefault(arrow[1], []).append(arrow)
        for after in out_of.pop(key, []):
            draft.arrows.pop(after, None)
            if after in into.get(after[1], []):
                into[after[1]].remove(after)
        del draft.nodes[key]


def _is_of(type_name: str, types: set[str]) -> bool:
    name = type_name.casefold()
    return name in types or name.rpartition(".")[2] in types


def _fold_constants(draft: _Draft, starts: set[str]) -> None:
    """Write small values from outside that one call was given into that call."""
    into, out_of = draft.into(), draft.out_of()
    outside = draft.from_outside - starts
    for key in [arrow[0] for arrow in draft.arrows if arrow[0] in outside]:
        node, uses = draft.nodes.get(key), out_of.get(key, [])
        if node is None or node.kind != "value" or into.get(key) or len(uses) != 1:
            continue
        (arrow,) = uses
        call = draft.nodes[arrow[1]]
        if arrow[2] == "argument" and not any(word in node.label for word in _OF_FILES):
            given = (arrow[3], clean(node.label, _MOST_GIVEN))
            draft.nodes[arrow[1]] = replace(call, given=(*call.given, given))
            del draft.nodes[key], draft.arrows[arrow]


def _bounded(
    draft: _Draft,
    starts: Sequence[str],
    down: bool,
    execution_id: str | None,
    depth: int | None,
    most: int | None,
) -> Chart:
    """Return the nodes that are nearest, with arrows and what was left out."""
    _sort(draft, down)
    further = _neighbours(draft, down)
    levels = dict.fromkeys(starts, 0)
    waiting = deque(starts)
    while waiting:
        key = waiting.popleft()
        for other in further(key):
            if other not in levels:
                levels[other] = levels[key] + (draft.nodes[other].kind == "call")
                waiting.append(other)
    kept = [key for key, level in levels.items() if depth is None or level <= depth]
    kept = kept[:most]
    ids = {key: f"n{number}" for number, key in enumerate(kept, 1)}
    nodes = [
        replace(
            draft.nodes[key],
            id=ids[key],
            more=sum(other not in ids for other in dict.fromkeys(further(key))),
            is_start=key in starts,
        )
        for key in kept
    ]
    arrows = [
        ChartArrow(ids[source], ids[target], kind, name)
        for source, target, kind, name in draft.arrows
        if source in ids and target in ids
    ]
    order = {node.id: place for place, node in enumerate(nodes)}
    arrows.sort(key=lambda each: order[each.source if down else each.target])
    return Chart(down, execution_id, tuple(nodes), tuple(arrows), len(levels) - len(kept))


def _sort(draft: _Draft, down: bool) -> None:
    """Put arrows in an order that says something: arguments as in the signature, others by name."""
    places = {arrow: place for place, arrow in enumerate(draft.arrows)}

    def rank(arrow: tuple[str, str, str, str]) -> tuple[int, int, str, str, str]:
        node = draft.nodes[arrow[1] if down else arrow[0]]
        is_given = arrow[2] == "argument" and not down
        place, name = (places[arrow], "") if is_given else (0, arrow[3])
        return _KINDS.index(arrow[2]), place, name, node.label, node.hash

    draft.arrows = dict.fromkeys(sorted(draft.arrows, key=rank))


def _neighbours(draft: _Draft, down: bool) -> Callable[[str], list[str]]:
    """Return what gives the nodes that are next to one, on the far side from the start."""
    arrows = draft.out_of() if down else draft.into()
    return lambda key: [each[1] if down else each[0] for each in arrows.get(key, [])]


__all__ = ["MOST_NODES", "Chart", "ChartArrow", "ChartNode", "make_chart"]
