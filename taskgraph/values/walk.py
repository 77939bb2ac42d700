"""Walks through values, looking for those that stand for something in the world.

Never recursive. Values of builtin types alone cost next to nothing, however large they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from taskgraph.errors import UnhashableValueError
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES, is_builtin
from taskgraph.values.kinds import ValueKind, overrides
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_of

# A kind that has one of these looks at the world.
_LIVE_METHODS = ("is_valid", "needs_reading", "read", "refresh")
# Objects that make new objects whenever they are asked for their state never come to an end.
MAX_NESTING = 1_000_000
_live_kinds: dict[type[ValueKind], bool] = {}


def find_live(value: Any) -> list[Any]:
    """Return the values inside that stand for something in the world (files above all)."""
    if type(value) in ATOMIC_TYPES:
        return []
    return [each for each, kind in each_inside(value) if is_live(kind)]


def is_live(kind: ValueKind) -> bool:
    """Tell whether values of a kind may stop to match the world, or must be read."""
    known = _live_kinds.get(type(kind))
    if known is None:
        known = any(overrides(kind, method) for method in _LIVE_METHODS)
        _live_kinds[type(kind)] = known
    return known


def find_unread(value: Any) -> list[Any]:
    """Return the values inside that must be read before they can be hashed. Never blocks."""
    return [each for each, kind in each_inside(value) if kind.needs_reading(each)]


def read(value: Any, progress: Callable[[int], None] | None = None) -> None:
    """Read all values inside that must be read; blocks on files.

    Args:
        value: Where to look.
        progress: Told how many bytes were read since the last time.
    """
    for each, kind in each_inside(value):
        if kind.needs_reading(each):
            kind.read(each, progress)


def refresh(value: Any) -> None:
    """Have all values inside look at the world again; called where a task ran."""
    if type(value) in ATOMIC_TYPES:
        return
    for each, kind in each_inside(value):
        kind.refresh(each)


def find_invalid(value: Any) -> Any | None:
    """Return the first value inside that no longer matches the world, None if all do."""
    return next((each for each, kind in each_inside(value) if not kind.is_valid(each)), None)


def describe_change(value: Any) -> str:
    """Say of a value that `find_invalid` gave, or of the error instead of one, what is wrong.

    May block on files.
    """
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    try:
        return kind_of(value).describe_change(value)
    except Exception:
        # It changes while it is looked at, or is out of reach: what it is must do.
        return preview(value)


def is_valid_nested(value: Any) -> bool:
    """Tell whether all values inside still match the world. May block on files."""
    return all(kind.is_valid(each) for each, kind in each_inside(value))


def find_kind(value: Any, is_wanted: Callable[[ValueKind], bool]) -> list[Any]:
    """Return the values inside, at any depth, that are of a kind that is wanted."""
    return [each for each, kind in each_inside(value) if is_wanted(kind)]


def each_inside(value: Any) -> Iterator[tuple[Any, ValueKind]]:
    """Yield each value inside that is no builtin, in order, once, before what lies in it."""
    if is_builtin(value):
        return
    waiting = [value]
    # How deep the values at the end of the list lie: pairs of a depth and where it begins.
    depths = [(0, 0)]
    seen: dict[int, Any] = {}
    while waiting:
        each = waiting.pop()
        depth = depths[-1][0]
        if len(waiting) == depths[-1][1]:
            depths.pop()
        cls = type(each)
        if cls in ATOMIC_TYPES or id(each) in seen:
            continue
        # Kept, so that no other value gets its identity while the walk goes on.
        seen[id(each)] = each
        if cls in CONTAINER_TYPES:
            inside = items_of(each)
        else:
            kind = kind_of(each)
            yield each, kind
            if kind.is_leaf(each):
                continue
            inside = inner_values(each, kind)
        if inside and not set(map(type, inside)) <= ATOMIC_TYPES:
            if depth == MAX_NESTING:
                # It makes new values without end; weighing it says so.
                return
            depths.append((depth + 1, len(waiting)))
            waiting += inside[::-1]


def items_of(container: Any) -> list[Any]:
    """Return what lies in an exact builtin container; keys and values by turns for dicts."""
    if type(container) is dict:
        return [each for pair in container.items() for each in pair]
    return list(container)


def inner_values(value: Any, kind: ValueKind) -> list[Any]:
    """Return what lies inside a value of any other type, nothing if that cannot be told."""
    if not overrides(kind, "subvalues") and not overrides(kind, "shape"):
        return []
    try:
        return list(kind.subvalues(value))
    except UnhashableValueError:
        # What cannot be taken apart for its hash cannot be searched; weighing it says why.
        return []
