"""Guards: whether anything that a fingerprint rests on has changed in the running program since.

To follow all that a function reaches takes some microseconds for each thing. Who asks again and
again, before each call, wants to hear "as it was" in less. A guard holds what was seen: which
object stood under which name, which code, defaults and cells a function had, what a class held,
and what the containers and plain objects among the constants had in them. As long as all of that
is the very same, the fingerprint is. What a guard cannot see into has none: it is followed anew.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import logging
import pathlib
import re
import types
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from operator import is_
from typing import Any, Final

from taskgraph.fingerprint.classes import member_items, registered_with
from taskgraph.fingerprint.copies import WITH_KEYS, is_plain_object
from taskgraph.fingerprint.own import CACHING_TYPE, is_opaque, is_own_function, put_on
from taskgraph.fingerprint.pieces import Piece
from taskgraph.fingerprint.project import is_own_class
from taskgraph.fingerprint.scope import MISSING, Sighting
from taskgraph.fingerprint.sources import own_functions
from taskgraph.fingerprint.state import (
    NO_VALUE,
    States,
    defaults_of,
    is_left_alone,
    read_variable,
)
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES, hash_builtin
from taskgraph.values.objects import InstanceKind, all_attributes
from taskgraph.values.registry import kind_of

# What never becomes another one; what lies inside of it is looked at by itself.
_FIXED: Final = frozenset(
    {
        *(types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType, types.CodeType),
        *(types.MethodDescriptorType, types.WrapperDescriptorType),
        *(types.ClassMethodDescriptorType, types.GetSetDescriptorType),
        *(types.MemberDescriptorType, property, staticmethod, classmethod, cached_property),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
        *(decimal.Decimal, fractions.Fraction, functools.partial, uuid.UUID, re.Pattern, range),
        *(pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path())),
        *(CACHING_TYPE, type(MISSING), object, logging.Logger),
    }
)
_CODE: Final = types.FunctionType | type
_CONTAINERS: Final = dict | list | set | collections.deque
# Containers that hold what goes through them.
_LISTED: Final = CONTAINER_TYPES | WITH_KEYS | {collections.deque}
# How many things in a container are looked at before and after each call of a run.
_SMALL: Final = 1_000
_Held = tuple[
    types.CodeType,
    tuple[Any, ...] | None,
    tuple[Any, ...] | None,
    tuple[Any, ...] | None,
    tuple[Any, ...] | None,
]


class Guard:
    """What was seen when a fingerprint was made.

    Args:
        names: What stood under which name.
        pieces: All that was reached.
        states: By which values variables counted.
        is_frozen: Whether code is taken to stay as it is: then only what variables hold is looked
            at, and not what can only be seen by following it anew.
    """

    def __init__(
        self,
        names: Iterable[Sighting],
        pieces: Iterable[Piece],
        states: States,
        *,
        is_frozen: bool = False,
    ) -> None:
        self._names: list[Sighting] = []
        self._functions: list[tuple[types.FunctionType, _Held]] = []
        self._classes: list[tuple[type, tuple[Any, ...]]] = []
        self._objects: list[tuple[Any, Any]] = []
        self._variables: list[tuple[Any, str, Any]] = []
        self._is_complete = True
        self._is_frozen = is_frozen
        self._states = states
        for sighting in {(id(each[0]), each[1]): each for each in names}.values():
            is_code = issubclass(type(sighting[2]), _CODE | types.ModuleType)
            is_still = is_frozen and (is_code or not isinstance(sighting[0], Mapping))
            if not self._add_variable(*sighting) and not is_still:
                self._names.append(sighting)
        for piece in pieces:
            if not (is_frozen and _is_only_code(piece.value)):
                self._add(piece)

    @property
    def is_empty(self) -> bool:
        """Whether code that stands still has no variable that could be another one."""
        seen = (self._objects, self._variables, self._names, self._classes)
        return self._is_frozen and not any(seen)

    def holds(self, states: States) -> bool:
        """Tell whether all is as it was.

        Args:
            states: By which values variables count now.
        """
        if not (self._is_frozen or self._is_complete):
            return False
        for names, name, value in self._names:
            if names.get(name, MISSING) is not value and not _stands(states, names, name, value):
                return False
        for func, held in self._functions:
            if not _is_same_function(func, held):
                return False
        for cls, members in self._classes:
            if not _are_same(_members_of(cls), members):
                return False
        is_brief = self._is_frozen
        for each, content in self._objects:
            if not _is_same_content(content_of(each, is_brief=is_brief), content):
                return False
        return all(_holds(states, is_brief, *each) for each in self._variables)

    def _add(self, piece: Piece) -> None:
        value = piece.value
        kind = type(value)  # objects may refuse to be looked at
        if issubclass(kind, types.FunctionType) and not self._is_frozen:
            self._functions.append((value, _held_by(value)))
            self._is_complete &= is_own_function(value) or _holds_no_more(value)
        elif issubclass(kind, type):
            if is_own_class(value):
                self._add_class(value)
        elif type(value) is CACHING_TYPE:
            self._objects.append((vars(value), content_of(vars(value))))
        elif is_value(piece):
            content = piece.content
            # What is not made of builtins is seen through only if it was taken apart.
            is_seen = isinstance(content, str) or piece.shape is not None
            self._is_complete &= content is not None and is_seen
            self._objects.append((value, content))
        for variable in _variables_of(value):
            self._add_variable(*variable)

    def _add_class(self, cls: type) -> None:
        self._classes.append((cls, _members_of(cls)))
        self._functions += [(each, _held_by(each)) for each in own_functions(cls)]
        for member in getattr(cls, "_member_map_", {}).values():
            self._objects.append((vars(member), content_of(vars(member))))

    def _add_variable(self, owner: Any, name: str, value: Any) -> bool:
        """Take note of what a variable holds, if it counts by its content, not by its identity."""
        if issubclass(type(value), _CODE) or _is_fixed(value):
            return False
        if type(value) in ATOMIC_TYPES:
            # Another default is other code.
            is_code = not self._is_frozen or isinstance(owner, types.FunctionType)
            if is_code and is_left_alone(owner, name):
                return False
        counted = self._states.counted(owner, name, value)
        content = content_of(counted, is_brief=self._is_frozen)
        if content is None:
            return False
        self._variables.append((owner, name, content))
        return True


def _stands(states: States, names: Any, name: str, value: Any) -> bool:
    """Tell whether a name counts as the number, text or nothing that it stood for."""
    if is_left_alone(names, name) or (type(value) not in ATOMIC_TYPES and value is not MISSING):
        return False
    now = names.get(name, MISSING)
    counted = states.counted(names, name, NO_VALUE if now is MISSING else now)
    if value is MISSING:
        return counted is NO_VALUE
    return type(counted) is type(value) and bool(counted == value)


def _holds(states: States, is_brief: bool, owner: Any, name: str, content: Any) -> bool:
    """Tell whether a variable counts by the content that was seen."""
    value = read_variable(owner, name)
    if not is_left_alone(owner, name):
        value = states.counted(owner, name, value)
    return _is_same_content(content_of(value, is_brief=is_brief), content)


def is_value(piece: Piece) -> bool:
    """Tell whether a piece is a value that may have something else in it another time."""
    value = piece.value
    is_plain = type(value) in ATOMIC_TYPES or piece.is_code or bool(piece.unfollowed)
    return not is_plain and not _is_fixed(value) and not is_opaque(value)


def _is_fixed(value: Any) -> bool:
    """Tell whether an object will always be what it is, apart from other objects in it."""
    kind = type(value)
    return kind in _FIXED or issubclass(kind, types.ModuleType | enum.Enum)


def _holds_no_more(func: types.FunctionType) -> bool:
    """Tell whether a function from outside keeps nothing but code and what never changes.

    What others keep (the registry of a `functools.singledispatch`) is followed anew each time.
    """
    kept = [read_variable(each, "") for each in func.__closure__ or ()]
    return all(
        type(each) in ATOMIC_TYPES or isinstance(each, type) or _is_fixed(each) or _is_plain(each)
        for each in kept
    )


def _is_plain(value: Any) -> bool:
    """Tell whether something is a function that is looked at itself, or has nothing to look at."""
    is_function = isinstance(value, types.FunctionType)
    return is_function and (is_own_function(value) or not value.__closure__)


def _variables_of(code: Any) -> Iterable[tuple[Any, str, Any]]:
    """Yield the variables that lie in a function or class; none for anything else."""
    kind = type(code)  # objects may refuse to be looked at
    if issubclass(kind, types.FunctionType):
        yield from ((cell, "", read_variable(cell, "")) for cell in code.__closure__ or ())
        yield from ((code, name, each) for name, each in defaults_of(code))
        yield from ((vars(code), name, each) for name, each in vars(code).items())
    elif kind is CACHING_TYPE:
        yield from ((vars(code), name, each) for name, each in put_on(code))
    elif issubclass(kind, type) and is_own_class(code):
        for member in getattr(code, "_member_map_", {}).values():
            yield from ((vars(member), name, each) for name, each in member_items(member))
        yield from ((code, name, each) for name, each in list(vars(code).items()))


def _is_only_code(value: Any) -> bool:
    """Tell whether something is a function without a variable in it."""
    if type(value) is not types.FunctionType or value.__closure__ or value.__dict__:
        return False
    given, named = value.__defaults__, value.__kwdefaults__
    kinds = {*map(type, given or ()), *map(type, named.values() if named else ())}
    return kinds <= ATOMIC_TYPES


def _held_by(func: types.FunctionType) -> _Held:
    """Return what a function is made of: code, defaults, cells and what was put on it."""
    named, put_on = func.__kwdefaults__, vars(func)
    return (
        func.__code__,
        func.__defaults__,
        None if named is None else (*named, *named.values()),
        func.__closure__ and tuple([read_variable(each, "") for each in func.__closure__]),
        (*put_on, *put_on.values()) if put_on else None,
    )


def _is_same_function(func: types.FunctionType, held: _Held) -> bool:
    code, defaults, named, cells, put_on = held
    if func.__code__ is not code or func.__defaults__ is not defaults:
        return False
    if named is None and cells is None and put_on is None:
        return not (func.__kwdefaults__ or vars(func))
    return all(
        mine is its or (mine is not None and its is not None and _are_same(mine, its))
        for mine, its in zip(_held_by(func)[2:], held[2:], strict=True)
    )


def _members_of(cls: type) -> tuple[Any, ...]:
    """Return what a class is made of."""
    attributes = vars(cls)
    inherited = (type(cls), *cls.__bases__, *registered_with(cls))
    return (*attributes, *attributes.values(), *inherited)


def _are_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))


def content_of(value: Any, *, is_brief: bool = False) -> Any:
    """Return what can be compared of a value that may change; None if nothing can.

    Args:
        value: The value.
        is_brief: Whether to look only at the number of things in what is large.
    """
    kind = type(value)
    if kind in ATOMIC_TYPES:
        return (value,)
    if kind in _LISTED:
        if is_brief and _is_large(value):
            return f"{len(value)} things"
        plain = hash_builtin(value) if kind in CONTAINER_TYPES else None
        if plain is not None:
            return plain
        return (*value, *value.values()) if isinstance(value, dict) else tuple(value)
    held: dict[Any, Any] | None = None
    if issubclass(kind, _CONTAINERS):
        inside = (*value, *value.values()) if isinstance(value, dict) else tuple(value)
        held = getattr(value, "__dict__", {})
    else:
        inside = ()
        is_seen = is_plain_object(value) and isinstance(kind_of(value), InstanceKind)
        held = all_attributes(value) if is_seen else None
    return None if held is None else (kind, *inside, *held, *held.values())


def _is_large(value: Any) -> bool:
    """Tell whether there are many things in a container, and in those in it."""
    left = _SMALL
    waiting = [value]
    while waiting:
        each = waiting.pop()
        left -= len(each)
        if left < 0:
            return True
        inside = list(each.values() if isinstance(each, dict) else each)
        waiting += [inner for inner in inside if type(inner) in CONTAINER_TYPES]
    return False


def _is_same_content(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return _are_same(one, other)
    return bool(one == other)
