"""Copies of what variables hold: made, compared, and put together from others.

What is copied shows the same afterwards, whatever code does to what the variable holds.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any, Final

from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.values.objects import all_attributes, reduces_by_default

#: In place of an item: who knows what of an object.
EVERYTHING: Final = ""

#: Containers whose items have keys, of those that Python brings.
WITH_KEYS: Final = frozenset({dict, OrderedDict, defaultdict, Counter})
_CONTAINERS: Final = (list, set, deque)
_COPIED: Final = (dict, *_CONTAINERS)
_LOUD: Final = frozenset({"__del__", "__getattribute__", "__class__"})
_SIGNED: Final = (float, complex)  # there is a zero below zero
_CODE: Final = (type, FunctionType, ModuleType)
_KNOWN_MODULES: Final = frozenset({"builtins", "collections"})
_MOST_INSIDE: Final = 1_000  # objects in one that are compared one by one
_WRITTEN_IN_PYTHON: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def attribute_item(name: str) -> str:
    """Return what an attribute of an object is called among the things in it."""
    return f".{name}"


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two values are of one type and hold the very same things, at any depth."""
    waiting: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = [((one,), (other,))]
    met: set[tuple[int, int]] = set()
    while waiting:
        for mine, its in zip(*waiting.pop(), strict=True):
            if mine is its or (id(mine), id(its)) in met:
                continue
            if type(mine) is not type(its):
                return False
            if type(mine) in ATOMIC_TYPES:
                if mine != its or (type(mine) in _SIGNED and repr(mine) != repr(its)):
                    return False
                continue
            if type(mine) is set and len(mine) > _MOST_INSIDE:
                if mine != its:
                    return False
                continue
            inside, others = _inside(mine), _inside(its)
            if inside is None or others is None or len(inside) != len(others):
                return False
            met.add((id(mine), id(its)))
            waiting.append((inside, others))
    return True


def _inside(value: Any) -> tuple[Any, ...] | None:
    if isinstance(value, dict):
        return (*value, *value.values())
    if isinstance(value, set):
        # A copy need not go through them in the same order.
        return tuple(sorted(value, key=lambda each: (type(each).__name__, hash(each), id(each))))
    if type(value) is tuple or isinstance(value, _CONTAINERS):
        return tuple(value)
    if not is_plain_object(value):
        return None
    held = all_attributes(value)
    return (*held, *held.values())


def copied(value: Any) -> Any:
    """Return a copy that holds the same things; the value itself where that is not harmless."""
    if type(value) in ATOMIC_TYPES:
        return value
    if issubclass(type(value), _COPIED):
        return copy.copy(value) if type(value).__module__ in _KNOWN_MODULES else value
    if not is_plain_object(value):
        return value
    try:
        twin = object.__new__(type(value))
    except TypeError:  # made by a class in C
        return value
    for name, each in dict(all_attributes(value)).items():  # another thread may be at it
        object.__setattr__(twin, name, each)
    return twin


def snapshot(value: Any) -> Any:
    """Return a copy in which what can be changed is copied too, as far down as it is not much."""
    top = copied(value)
    if top is value:
        return top
    twins: dict[int, tuple[Any, Any]] = {id(value): (value, top)}
    waiting = [top]
    while waiting:
        each = waiting.pop()
        for place, inner in _places_in(each):
            known = twins.get(id(inner))
            if known is None:
                if len(twins) > _MOST_INSIDE:
                    return top
                twin = copied(inner)
                if twin is inner:
                    continue
                known = twins[id(inner)] = (inner, twin)
                waiting.append(twin)
            _put(each, place, known[1])
    return top


def _places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where in a copy something lies that can be changed; its items are not to be many."""
    if isinstance(value, set):
        return
    inside = value if isinstance(value, dict | list | deque) else dict(all_attributes(value))
    if len(inside) <= _MOST_INSIDE:
        items = inside.items() if isinstance(inside, dict) else enumerate(inside)
        yield from [(place, each) for place, each in items if type(each) not in ATOMIC_TYPES]


def _put(value: Any, place: Any, inner: Any) -> None:
    if isinstance(value, dict | list | deque):
        value[place] = inner
    else:
        object.__setattr__(value, place, inner)


def with_items(value: Any, items: dict[str, Any]) -> Any:
    """Return a copy in which some things are as they are in others of its kind."""
    twin = copied(value)
    if twin is value:
        return value
    for item, other in items.items():
        if type(other) is not type(value):
            continue
        if item.startswith("."):
            _restore(twin, item[1:], all_attributes(other) if is_plain_object(other) else {})
        elif isinstance(twin, dict):
            key = ast.literal_eval(item[1:-1])
            if key in other:
                twin[key] = other[key]
            else:
                twin.pop(key, None)
        elif isinstance(twin, list | deque):
            key = ast.literal_eval(item[1:-1])
            if isinstance(key, int) and -len(twin) <= key < len(twin) == len(other):
                twin[key] = other[key]
    return twin


def _restore(twin: Any, name: str, held: dict[str, Any]) -> None:
    if name in held:
        object.__setattr__(twin, name, held[name])
    elif is_plain_object(twin) and name in all_attributes(twin):
        object.__delattr__(twin, name)


def is_plain_object(value: Any) -> bool:
    """Tell whether all that an object holds is in its ``__dict__`` and its slots."""
    cls = type(value)
    if issubclass(cls, _CODE) or not _is_quiet(cls):  # type: ignore[arg-type]  # it has a hash
        return False
    has_slots = any("__slots__" in vars(base) for base in cls.__mro__)
    if has_slots and not all(base.__flags__ & _WRITTEN_IN_PYTHON for base in cls.__mro__[:-1]):
        return False
    return (has_slots or cls.__dictoffset__ != 0) and reduces_by_default(cls)


@lru_cache(maxsize=1024)
def _is_quiet(cls: type) -> bool:
    """Tell whether nothing happens when objects of a class are looked at, copied or taken down."""
    own = {name for base in cls.__mro__[:-1] for name in vars(base)}
    bases = type.mro(type(cls))
    kinds = {name for base in bases if base not in {type, object} for name in vars(base)}
    return own.isdisjoint(_LOUD) and kinds.isdisjoint({*_LOUD, "__getattr__"})
