"""Variables that change while code runs: lists of what was done, counters, memos.

A variable counts by its value when a task is first used in an execution. If what runs then changes
it, the next execution in this process would see another value and run again, for ever. So what a
run leaves behind is taken for what the run found, as long as nobody else has changed it since.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping
from types import CellType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.values.objects import reduces_by_default

_NO_VALUE: Final = object()
_CONTAINERS: Final = (list, set, deque)
_COPIED: Final = (dict, *_CONTAINERS)
_CODE: Final = (type, FunctionType, ModuleType)
_KNOWN_MODULES: Final = frozenset({"builtins", "collections"})

_Place = tuple[int, str]  # the owner, by its identity, and the name in it


class Variable(NamedTuple):
    """A place that holds a value: a name of a module, a cell of a closure, an attribute.

    Attributes:
        owner: What it is a part of.
        name: Its name there.
        read: Returns what it holds now.
    """

    owner: Any
    name: str
    read: Callable[[], Any]

    @classmethod
    def in_names(cls, names: Mapping[str, Any], name: str) -> Variable:
        """Return a name of a module, or an attribute in a ``__dict__``."""
        return cls(names, name, lambda: names.get(name, _NO_VALUE))

    @classmethod
    def in_class(cls, owner: type, name: str) -> Variable:
        """Return an attribute of a class."""
        return cls(owner, name, lambda: vars(owner).get(name, _NO_VALUE))

    @classmethod
    def in_cell(cls, cell: CellType) -> Variable:
        """Return a name of the function around, as a function inside of it holds it."""
        return cls(cell, "", lambda: _content(cell))

    @classmethod
    def in_defaults(cls, func: FunctionType, name: str) -> Variable:
        """Return the default of a parameter."""
        return cls(func, f"{name}=", lambda: dict(defaults_of(func)).get(name, _NO_VALUE))


class _Left(NamedTuple):
    """What a run left behind in a variable, and what it had found there."""

    variable: Variable
    after: Any
    before: Any


_left: dict[_Place, _Left] = {}


class States:
    """The variables that were met in an execution."""

    def __init__(self) -> None:
        self._met: dict[_Place, tuple[Variable, Any]] = {}

    def counted(self, variable: Variable, value: Any) -> Any:
        """Return the value by which a variable that holds a value counts."""
        place = (id(variable.owner), variable.name)
        if place in self._met:
            return self._met[place][1]
        left = _left.get(place)
        is_left = left is not None and left.variable.owner is variable.owner
        if left is not None and is_left and _is_same(left.after, value):
            before = left.before
        else:
            before = _copied(value)
        self._met[place] = (variable, before)
        return before

    def settle(self) -> None:
        """Compare what was met with what is there now that the execution has ended."""
        for place, (variable, before) in self._met.items():
            now = variable.read()
            if _is_same(before, now):
                _left.pop(place, None)
            else:
                _left[place] = _Left(variable, _copied(now), before)


def defaults_of(func: FunctionType) -> list[tuple[str, Any]]:
    """Return the parameters of a function that have defaults, with these."""
    names = func.__code__.co_varnames[: func.__code__.co_argcount]
    given = func.__defaults__ or ()
    return [
        *zip(names[max(0, len(names) - len(given)) :], given, strict=False),
        *sorted((func.__kwdefaults__ or {}).items()),
    ]


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound
        return _NO_VALUE


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
    if type(value) in ATOMIC_TYPES:
        return value
    if isinstance(value, _COPIED):
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
    """Tell whether all that an object holds is in its ``__dict__``."""
    cls = type(value)
    if isinstance(value, _CODE) or not hasattr(value, "__dict__"):
        return False
    return reduces_by_default(cls) and not any("__slots__" in vars(base) for base in cls.__mro__)
