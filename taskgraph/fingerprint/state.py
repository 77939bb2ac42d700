"""Variables that change while code runs: lists of what was done, counters, memos.

A variable counts by its value when a task is first used in an execution. If what runs then changes
it, the next execution in this process would see another value and run again, for ever. So what a
run leaves behind is taken for what the run found, as long as nobody else has changed it since.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Iterable
from types import CellType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.values.objects import reduces_by_default

#: What a variable holds that is not bound.
NO_VALUE: Final = object()
_CONTAINERS: Final = (list, set, deque)
_COPIED: Final = (dict, *_CONTAINERS)
_CODE: Final = (type, FunctionType, ModuleType)
_KNOWN_MODULES: Final = frozenset({"builtins", "collections"})

#: A place that holds a value: an owner, and a name in it. An owner is the names of a module, a
#: class, the ``__dict__`` of an object, a cell of a closure, or a function, for its defaults.
Variable = tuple[Any, str]
_Place = tuple[int, str]  # the same, with the owner's identity


class _Left(NamedTuple):
    """What a run left behind in a variable, and what it had found there."""

    owner: Any
    after: Any
    before: Any


_left: dict[_Place, _Left] = {}


class States:
    """The variables that were met in an execution."""

    def __init__(self) -> None:
        self._met: dict[_Place, tuple[Any, Any]] = {}  # the owner, and by what value it counts

    def counted(self, owner: Any, name: str, value: Any) -> Any:
        """Return the value by which a variable that holds a value counts."""
        place = (id(owner), name)
        met = self._met.get(place)
        if met is not None:
            return met[1]
        held = _held.get(place)
        left = _left.get(place)
        if held is not None and held.owner is owner and held.holds:
            before = held.before
        elif left is not None and left.owner is owner and _is_same(left.after, value):
            before = left.before
        else:
            before = _copied(value)
        self._met[place] = (owner, before)
        return before

    def settle(self) -> None:
        """Compare what was met with what is there now that the execution has ended."""
        for place, (owner, before) in self._met.items():
            _settle(place, owner, before)


def _settle(place: _Place, owner: Any, before: Any) -> None:
    now = read_variable(owner, place[1])
    if _is_same(before, now):
        _left.pop(place, None)
    else:
        _left[place] = _Left(owner, _copied(now), before)


class Hold:
    """A call under way outside of any run: what it may change counts as it was when it began.

    Only the variables that its function reaches: what it cannot have changed, somebody else did.
    One that was forgotten, by an interrupt at the wrong moment, ends when nobody has it any more.
    """

    __slots__ = ("__weakref__", "_places")

    def __init__(self, variables: Iterable[Variable]) -> None:
        self._places: list[_Place] = []
        states = States()
        with _lock:
            for owner, name in variables:
                place = (id(owner), name)
                held = _held.get(place)
                if held is None or held.owner is not owner or not held.holds:
                    before = states.counted(owner, name, read_variable(owner, name))
                    held = _held[place] = _Held(owner, before, WeakSet())
                held.holds.add(self)
                self._places.append(place)

    def release(self) -> None:
        """End it: what the last one leaves behind in a variable is what calls leave behind."""
        with _lock:
            for place in self._places:
                held = _held.get(place)
                if held is None or self not in held.holds:
                    continue
                held.holds.discard(self)
                if not held.holds:
                    del _held[place]
                    _settle(place, held.owner, held.before)


class _Held(NamedTuple):
    owner: Any
    before: Any
    holds: WeakSet[Hold]


_held: dict[_Place, _Held] = {}
_lock = threading.RLock()  # a call may be thrown away in any line


def read_variable(owner: Any, name: str) -> Any:
    """Return what a variable holds now; `NO_VALUE` if it holds nothing."""
    if isinstance(owner, CellType):
        return _content(owner)
    if isinstance(owner, FunctionType):
        return dict(defaults_of(owner)).get(name, NO_VALUE)
    names = vars(owner) if isinstance(owner, type) else owner
    return names.get(name, NO_VALUE)


def defaults_of(func: FunctionType) -> list[tuple[str, Any]]:
    """Return the parameters of a function that have defaults, with these."""
    given, named = func.__defaults__, func.__kwdefaults__
    items: list[tuple[str, Any]] = []
    if given:
        names = func.__code__.co_varnames[: func.__code__.co_argcount]
        items += zip(names[max(0, len(names) - len(given)) :], given, strict=False)
    if named:
        items += sorted(named.items())
    return items


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound
        return NO_VALUE


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
    if not is_plain_object(value):
        return None
    return [each for pair in vars(value).items() for each in pair]


def _copied(value: Any) -> Any:
    """Return a copy that holds the same things; the value itself where that is not harmless."""
    if type(value) in ATOMIC_TYPES:
        return value
    if isinstance(value, _COPIED):
        return copy.copy(value) if type(value).__module__ in _KNOWN_MODULES else value
    if not is_plain_object(value):
        return value
    try:
        twin = object.__new__(type(value))
    except TypeError:  # made by a class in C
        return value
    vars(twin).update(vars(value))
    return twin


def is_plain_object(value: Any) -> bool:
    """Tell whether all that an object holds is in its ``__dict__``."""
    cls = type(value)
    if isinstance(value, _CODE) or not hasattr(value, "__dict__"):
        return False
    return reduces_by_default(cls) and not any("__slots__" in vars(base) for base in cls.__mro__)
