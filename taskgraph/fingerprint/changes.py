"""Which variables a piece of code changes, in the program as it is loaded.

The text says what is done to names (`taskgraph.fingerprint.touches`). What a method or function of
the user's does to the object that it is called on, or given, is looked up there; what those from
outside do is known of containers, and of a few functions of the standard library.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from taskgraph.fingerprint.copies import EVERYTHING, WITH_KEYS, attribute_item
from taskgraph.fingerprint.outline import PARAMETER, Chain, Outline
from taskgraph.fingerprint.own import is_own_function
from taskgraph.fingerprint.scope import MISSING, Found, Scope, function_label
from taskgraph.fingerprint.sources import outline_of, own_functions
from taskgraph.fingerprint.state import Touch
from taskgraph.fingerprint.touches import (
    ADDED_TO,
    BOUND,
    CALLED,
    CHANGING_FUNCTIONS,
    CHANGING_METHODS,
    GIVEN,
    RESULT,
    RETURNED,
    STORED,
    STORES,
)

_WITH_ITEMS: Final = WITH_KEYS | {list, collections.deque}
_DEEPEST: Final = 8
_CALLS: Final = frozenset({CALLED, ADDED_TO})


class _Change(NamedTuple):
    """That a piece of code changes something in an object: an item of it, or who knows what."""

    code: str
    item: str


class Changes:
    """Finds out what code changes; remembers it for as long as the program stands still."""

    def __init__(self) -> None:
        self._functions: dict[int, tuple[types.FunctionType, Outline | None, Scope]] = {}
        # What was found, and of whom: they may call each other in a circle.
        self._parameters: dict[tuple[int, str, int], tuple[Any, Sequence[_Change]]] = {}
        self._methods: dict[tuple[int, str], Sequence[Touch]] = {}

    def of_code(
        self, scope: Scope, code: str, found: Found, done: str, detail: str
    ) -> Iterator[Touch]:
        """Yield the variables that a deed changes.

        Args:
            scope: The names that the code sees.
            code: What it is known by.
            found: What the name in the deed stands for.
            done: What is done to it.
            detail: More of that.
        """
        target, rest = found.target, found.rest
        if isinstance(target, type) and rest:
            yield from self._of_class(scope, code, target, rest, done, detail)
        elif isinstance(target, types.FunctionType):
            if rest and done in STORES:
                yield Touch(vars(target), rest[0], code, EVERYTHING)
        elif found.variable is not None and done == BOUND:
            yield Touch(*found.variable, code, EVERYTHING)
        elif found.variable is not None and not isinstance(target, types.ModuleType):
            for each in self._effects(scope, code, rest, done, detail, target):
                yield Touch(*found.variable, each.code, each.item)

    def of_result(
        self, scope: Scope, code: str, chain: Chain, done: str, detail: str, depth: int = 0
    ) -> Iterator[Touch]:
        """Yield the variables that a deed to what a function returned changes.

        Args:
            scope: The names that the code sees.
            code: What it is known by.
            chain: The function, and after the mark for its result the attributes taken of that.
            done: What is done.
            detail: More of that.
            depth: Through how many functions the result came.
        """
        at = chain.index(RESULT)
        found, rest = scope.find(chain[:at]), chain[at + 1 :]
        target = found.target
        if depth > _DEEPEST or target is MISSING:
            return
        is_method = len(found.rest) == 1 and found.variable is not None
        func = _method_of(target, found.rest[0]) if is_method else None
        if isinstance(target, types.FunctionType) and not found.rest:
            func = target
        outline, inner = self._read(func) if func is not None else (None, scope)
        for given, what, item in outline.touched if outline is not None else ():
            if what != RETURNED:
                continue
            more = (STORED, item) if item and done in STORES else (done, detail)
            if given[0] == PARAMETER:
                names = func.__code__.co_varnames if func is not None else ()
                if is_method and given[1:2] == names[:1] and found.variable is not None:
                    for each in self._effects(inner, code, (*given[2:], *rest), *more, target):
                        yield Touch(*found.variable, each.code, each.item)
            elif RESULT in given or RESULT in rest:
                yield from self.of_result(inner, code, (*given, *rest), *more, depth + 1)
            else:
                yield from self.of_code(inner, code, inner.find((*given, *rest)), *more)

    def of_call(self, variable: tuple[Any, str], value: Any) -> Iterator[Touch]:
        """Yield what changes in an object in a variable when it is called like a function."""
        method = _method_of(value, "__call__")
        if method is not None:
            for each in self._of_parameter(method, 0, value):
                yield Touch(*variable, each.code, each.item)

    def of_default(self, func: types.FunctionType, name: str, value: Any) -> Iterator[Touch]:
        """Yield what a function changes in the default of one of its parameters."""
        for each in self._of_name(func, name, value):
            yield Touch(func, name, each.code, each.item)

    def of_class(self, cls: type) -> Iterator[Touch]:
        """Yield what the methods of a class change in what lies in the class."""
        names = {name for name, each in vars(cls).items() if _may_change(each)}
        if not names:
            return
        for func in own_functions(cls):
            if not func.__code__.co_argcount:
                continue
            outline, _ = self._read(func)
            receiver = func.__code__.co_varnames[0]
            for chain, done, detail in outline.touched if outline is not None else ():
                is_of_it = chain[:2] == (PARAMETER, receiver) and chain[2:3] and chain[2] in names
                is_method = done in _CALLS and chain[-1] in CHANGING_METHODS and len(chain) == 4
                if is_of_it and (is_method or (done in STORES and detail)):
                    yield Touch(cls, chain[2], _code_of(func, outline), EVERYTHING)

    def _of_class(
        self, scope: Scope, code: str, cls: type, rest: Chain, done: str, detail: str
    ) -> Iterator[Touch]:
        """Yield what is changed of the attributes of a class by its name."""
        if done in STORES:
            yield Touch(_home_of(cls, rest[0]), rest[0], code, EVERYTHING)
            return
        if done not in _CALLS:
            return
        if len(rest) > 1:
            held = getattr(_home_of(cls, rest[0]), "__dict__", {}).get(rest[0], MISSING)
            for each in self._effects(scope, code, rest[1:], done, detail, held):
                yield Touch(_home_of(cls, rest[0]), rest[0], each.code, each.item)
            return
        place = (id(cls), rest[0])
        if place not in self._methods:
            self._methods[place] = ()
            self._methods[place] = list(self._of_class_method(cls, rest[0]))
        yield from self._methods[place]

    def _of_class_method(self, cls: type, name: str) -> Iterator[Touch]:
        member = vars(_home_of(cls, name)).get(name)
        func = member.__func__ if isinstance(member, classmethod) else None
        if not isinstance(func, types.FunctionType) or not func.__code__.co_argcount:
            return
        outline, scope = self._read(func)
        receiver = func.__code__.co_varnames[0]
        for chain, done, detail in outline.touched if outline is not None else ():
            if chain[:2] == (PARAMETER, receiver) and len(chain) > 2:
                code = _code_of(func, outline)
                yield from self._of_class(scope, code, cls, chain[2:], done, detail)

    def _effects(
        self,
        scope: Scope,
        code: str,
        rest: Chain,
        done: str,
        detail: str,
        value: Any,
    ) -> Iterator[_Change]:
        """Yield what a deed changes in an object, or in its attributes."""
        if done in STORES:
            yield _Change(code, _item_of(value, rest, detail))
        elif done in _CALLS and rest:
            yield from self._of_method(code, rest, value)
        elif done == GIVEN:
            argument, _, callee = detail.partition(" ")
            called = scope.find(tuple(callee.split(".")))
            inner, item = _at(value, rest)
            if _changes_first(called, callee) and argument == "0":
                yield _Change(code, item)
            elif isinstance(called.target, types.FunctionType) and not called.rest:
                place = int(argument) if argument.isdigit() else argument
                for each in self._of_parameter(called.target, place, inner):
                    yield each if item == EVERYTHING else each._replace(item=item)

    def _of_method(self, code: str, rest: Chain, value: Any) -> Iterator[_Change]:
        inner, item = _at(value, rest[:-1])
        method = _method_of(inner, rest[-1])
        if method is not None:
            for each in self._of_parameter(method, 0, inner):
                yield each if item == EVERYTHING else each._replace(item=item)
        elif rest[-1] in CHANGING_METHODS:
            yield _Change(code, item)

    def _of_parameter(
        self, func: types.FunctionType, place: int | str, value: Any
    ) -> Sequence[_Change]:
        """Return what a function changes in an object that it is given."""
        if isinstance(place, str):
            return self._of_name(func, place, value)
        names = func.__code__.co_varnames[: func.__code__.co_argcount]
        return self._of_name(func, names[place], value) if place < len(names) else ()

    def _of_name(self, func: types.FunctionType, name: str, value: Any) -> Sequence[_Change]:
        place = (id(func), name, id(value))
        if place not in self._parameters:
            self._parameters[place] = (value, ())
            outline, scope = self._read(func)
            found = [
                each
                for chain, done, detail in (outline.touched if outline is not None else ())
                if chain[:2] == (PARAMETER, name)
                for each in self._effects(
                    scope, _code_of(func, outline), chain[2:], done, detail, value
                )
            ]
            self._parameters[place] = (value, list(dict.fromkeys(found)))
        return self._parameters[place][1]

    def _read(self, func: types.FunctionType) -> tuple[Outline | None, Scope]:
        known = self._functions.get(id(func))
        if known is None:
            outline = outline_of(func) if is_own_function(func) else None
            known = self._functions[id(func)] = (func, outline, Scope.of_function(func))
        return known[1:]


def code_name(outline: Outline, label: str) -> str:
    """Return what a piece of code is known by among those that change variables."""
    return f"{label}:{outline.syntax}"


def _code_of(func: types.FunctionType, outline: Outline | None) -> str:
    assert outline is not None
    return code_name(outline, function_label(func))


def _changes_first(called: Found, callee: str) -> bool:
    name = callee.rpartition(".")[2]
    is_outside = not isinstance(called.target, types.FunctionType) or not is_own_function(
        called.target
    )
    return is_outside and name in CHANGING_FUNCTIONS


def _method_of(value: Any, name: str) -> types.FunctionType | None:
    """Return a method of the user's that an object has, as a plain function."""
    if issubclass(type(value), type | types.ModuleType):
        return None
    for base in type(value).__mro__:
        if name in vars(base):
            member = vars(base)[name]
            is_own = isinstance(member, types.FunctionType) and is_own_function(member)
            return member if is_own else None
    return None


def _at(value: Any, path: Chain) -> tuple[Any, str]:
    """Return what lies at the end of some attributes, and the item that the first one is."""
    item = EVERYTHING
    for name in path:
        if item == EVERYTHING:
            item = _attribute(value, name)
        try:
            value = object.__getattribute__(value, "__dict__").get(name, MISSING)
        except (AttributeError, TypeError):
            value = MISSING
    return value, item


def _item_of(value: Any, rest: Chain, detail: str) -> str:
    if rest:
        return _attribute(value, rest[0])
    is_known = type(value) in _WITH_ITEMS and detail != "[?]"
    return detail if is_known and detail else EVERYTHING


def _attribute(value: Any, name: str) -> str:
    """Return the item that an attribute is; what a property stores is not known."""
    cls = type(value)
    is_own = any("__setattr__" in vars(base) for base in cls.__mro__[:-1])
    is_property = isinstance(getattr(cls, name, None), property)
    is_mangled = name.startswith("__") and not name.endswith("__")
    return EVERYTHING if is_own or is_property or is_mangled else attribute_item(name)


def _home_of(cls: type, name: str) -> type:
    return next((base for base in cls.__mro__ if name in vars(base)), cls)


def _may_change(value: Any) -> bool:
    """Tell whether something in a class may have something else in it later, and is no code."""
    kind = type(value)  # objects may refuse to be looked at
    is_code = issubclass(kind, types.FunctionType | type | property | staticmethod | classmethod)
    return not is_code and (issubclass(kind, list | dict | set) or kind.__dictoffset__ != 0)
