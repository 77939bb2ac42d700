"""Variables of modules that change while code runs: lists of what was done, counters, memos.

A variable counts by its value when a task is first used in an execution. If what runs then changes
it, the next execution in this process would see another value and run again, for ever. So what a
run leaves behind is taken for what the run found, as long as nobody else has changed it since.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.values.objects import reduces_by_default

_NO_VALUE: Final = object()
_CONTAINERS: Final = (list, set, deque)
_KNOWN_MODULES: Final = frozenset({"builtins", "collections"})

_Place = tuple[int, str]  # the namespace, by its identity, and the name in it


class _Left(NamedTuple):
    """What a run left behind in a variable, and what it had found there."""

    namespace: Mapping[str, Any]
    after: Any
    before: Any


_left: dict[_Place, _Left] = {}


class States:
    """The variables of modules that were met in an execution."""

    def __init__(self) -> None:
        self._met: dict[_Place, tuple[Mapping[str, Any], Any]] = {}

    def counted(self, namespace: Mapping[str, Any], name: str, value: Any) -> Any:
        """Return the value by which a variable counts."""
        place = (id(namespace), name)
        if place in self._met:
            return self._met[place][1]
        left = _left.get(place)
        if left is not None and left.namespace is namespace and _is_same(left.after, value):
            before = left.before
        else:
            before = _copied(value)
        self._met[place] = (namespace, before)
        return before

    def settle(self) -> None:
        """Compare what was met with what is there now that the execution has ended."""
        for place, (namespace, before) in self._met.items():
            now = namespace.get(place[1], _NO_VALUE)
            if _is_same(before, now):
                _left.pop(place, None)
            else:
                _left[place] = _Left(namespace, _copied(now), before)


def _is_same(one: Any, other: Any) -> bool:
    """Tell whether two values are of one type and hold the very same things."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if type(one) in ATOMIC_TYPES:
        return bool(one == other)
    inside, others = _inside(one), _inside(other)
    if inside is None or others is None or len(inside) != len(others):
        return False
    return all(map(_is_very_same, inside, others))


def _is_very_same(one: Any, other: Any) -> bool:
    return one is other or (
        type(one) is type(other) and type(one) in ATOMIC_TYPES and bool(one == other)
    )


def _inside(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        return [each for pair in value.items() for each in pair]
    if isinstance(value, _CONTAINERS):
        return list(value)
    if not _is_plain_object(value):
        return None
    return [each for pair in vars(value).items() for each in pair]


def _copied(value: Any) -> Any:
    """Return a copy that holds the same things; the value itself where that is not harmless."""
    if isinstance(value, (dict, *_CONTAINERS)):
        return copy.copy(value) if type(value).__module__ in _KNOWN_MODULES else value
    if not _is_plain_object(value):
        return value
    try:
        twin = object.__new__(type(value))
    except TypeError:  # made by a class in C
        return value
    vars(twin).update(vars(value))
    return twin


def _is_plain_object(value: Any) -> bool:
    cls = type(value)
    return not isinstance(value, type) and hasattr(value, "__dict__") and reduces_by_default(cls)
