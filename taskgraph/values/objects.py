"""The default kind: any object with a deterministic state, by its class and that state.

What pickle would write decides what the state is; what pickle refuses (locks, open files,
generators) has no stable hash. Nothing here depends on an address or on the order of `__dict__`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from taskgraph.errors import UnhashableValueError
from taskgraph.values.kinds import Shape, ValueKind, class_name, class_path
from taskgraph.values.reducers import REGISTERED

HASH_METHOD = "__taskgraph_hash__"

_PROTOCOL = 4
# What functools.update_wrapper copies.
_COPIED_BY_WRAPPERS = frozenset(
    {
        *("__module__", "__name__", "__qualname__", "__doc__"),
        *("__annotations__", "__annotate__", "__type_params__"),
    }
)
_derived: WeakKeyDictionary[type, frozenset[str]] = WeakKeyDictionary()


class State(NamedTuple):
    """What ``__getstate__`` gave, taken apart: a description, and the values with their labels."""

    described: tuple[Any, ...] | None
    values: list[Any]
    labels: list[str]


def refuse(value: Any, reason: str) -> UnhashableValueError:
    """Return the error for a value with no stable hash; the walk fills in the path."""
    return UnhashableValueError("", class_name(type(value)), reason)


def take_apart(state: Any, cls: type) -> State:
    """Sort what ``__getstate__`` gave by name, leaving out what is derived from the rest."""
    if state is None:
        return State(None, [], [])
    if _is_named(state):
        names = _counted(state, cls)
        return State(("dict", *names), [state[n] for n in names], [f".{n}" for n in names])
    if (
        type(state) is tuple
        and len(state) == 2
        and (state[0] is None or _is_named(state[0]))
        and _is_named(state[1])
    ):
        # What the default __getstate__ gives for classes with __slots__.
        in_dict = _counted(state[0] or {}, cls)
        in_slots = sorted(state[1])
        values = [*((state[0] or {})[n] for n in in_dict), *(state[1][n] for n in in_slots)]
        labels = [f".{n}" for n in (*in_dict, *in_slots)]
        return State(("slots", len(in_dict), *in_dict, *in_slots), values, labels)
    return State(("state",), [state], ["<state>"])


def _is_named(state: Any) -> bool:
    return type(state) is dict and all(type(name) is str for name in state)


def _counted(attributes: dict[str, Any], cls: type) -> list[str]:
    derived = derived_names(cls)
    return sorted(name for name in attributes if name not in derived)


def derived_names(cls: type) -> frozenset[str]:
    """Return the names of cached properties: looking at one must not change the hash."""
    names = _derived.get(cls)
    if names is None:
        names = frozenset(
            name
            for base in cls.__mro__
            for name, attribute in vars(base).items()
            if isinstance(attribute, functools.cached_property)
        )
        _derived[cls] = names
    return names


def default_state(value: Any) -> Any:
    """Return ``value.__getstate__()``.

    Raises:
        UnhashableValueError: The value has no state that can be written down.
    """
    try:
        return value.__getstate__()
    except Exception as error:  # the user's own method may raise anything
        raise refuse(value, _reason(error)) from error


def _reason(error: Exception) -> str:
    text = str(error)
    return text if isinstance(error, TypeError) and text else f"{type(error).__name__}: {text}"


def reduces_by_default(cls: type) -> bool:
    """Tell whether a class leaves it to Python (or to dataclasses) what its state is."""
    if cls in REGISTERED:
        return False
    for name in ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs__"):
        for base in cls.__mro__:
            if name in vars(base):
                module = getattr(vars(base)[name], "__module__", None)
                if base is not object and module != "dataclasses":
                    return False
                break
    return not any("__getnewargs_ex__" in vars(base) for base in cls.__mro__)


def leaves_state_to(cls: type, base: type) -> bool:
    """Tell whether a class says nothing of its own about its state, beyond what a base says."""
    names = ("__reduce_ex__", "__reduce__", "__getstate__")
    is_same = all(getattr(cls, name) is getattr(base, name) for name in names)
    return is_same and cls not in REGISTERED


class ObjectKind(ValueKind):
    """Objects of any class: by class and by what pickle would write of them."""

    def shape(self, value: Any) -> Shape:
        """Return the class with its arguments, attributes sorted by name, and items in order."""
        cls = type(value)
        if cls is object:
            raise refuse(value, "a bare object() is told apart by its identity only")
        if _is_builtin_iterator(cls):
            raise refuse(value, "it is used up by whoever reads it; give a list of what it yields")
        return shape_reduced(value, _reduce(value))


# Python can write down how far some of these have come, but not in all versions, and an argument
# that is used up by its first reader has no content.
_ITERATOR_MODULES = frozenset({"builtins", "itertools", "collections", "_collections", "array"})


def _is_builtin_iterator(cls: type) -> bool:
    return hasattr(cls, "__next__") and any(
        "__next__" in vars(base) and base.__module__ in _ITERATOR_MODULES for base in cls.__mro__
    )


def shape_reduced(value: Any, reduced: Any) -> Shape:
    """Return the shape of an object from what ``__reduce__`` gave.

    Raises:
        UnhashableValueError: What it gave cannot be used.
    """
    cls = type(value)
    if isinstance(reduced, str):
        module = getattr(value, "__module__", None)
        owner = module if isinstance(module, str) else None
        return Shape("global", (*class_path(cls), owner, str(reduced)))
    if not isinstance(reduced, tuple) or not 2 <= len(reduced) <= 6:
        raise refuse(value, "its __reduce__ gives neither text nor a tuple of two to six")
    parts: list[Any] = [*reduced, *[None] * (6 - len(reduced))]
    made_by, arguments, state, items, pairs, setter = parts
    maker, values = _read_maker(made_by, tuple(arguments))
    labels = [f"<argument {position}>" for position in range(len(values))]
    taken = take_apart(state, cls)
    values += taken.values
    labels += taken.labels
    counts = [len(values)]
    if setter is not None:
        values.append(setter)
        labels.append("<state setter>")
    if items is not None:
        listed = list(items)
        values += listed
        labels += [f"[{position}]" for position in range(len(listed))]
    counts.append(len(values))
    if pairs is not None:
        for key, inner in pairs:
            values += (key, inner)
            labels += ("<key>", f"[{_short(key)}]")
    counts.append(len(values))
    described = (*class_path(cls), maker, taken.described, setter is not None, *counts)
    return Shape("object", described, values, labels.__getitem__)


def _reduce(value: Any) -> Any:
    reducer = REGISTERED.get(type(value))
    try:
        return reducer(value) if reducer is not None else value.__reduce_ex__(_PROTOCOL)
    except RecursionError:
        raise
    except Exception as error:  # the user's own method may raise anything
        raise refuse(value, _reason(error)) from error


def _read_maker(made_by: Any, arguments: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """Return how an object is made again, as plain data, and the values that this takes."""
    name = getattr(made_by, "__name__", None)
    if name == "__newobj__" and arguments and isinstance(arguments[0], type):
        return ("new", class_path(arguments[0])), list(arguments[1:])
    if name == "__newobj_ex__" and len(arguments) == 3 and isinstance(arguments[0], type):
        named = dict(sorted(arguments[2].items()))
        return ("new", class_path(arguments[0]), "named"), [tuple(arguments[1]), named]
    if isinstance(made_by, type):
        return ("class", class_path(made_by)), list(arguments)
    module = getattr(made_by, "__module__", None)
    qualname = getattr(made_by, "__qualname__", None)
    bound_to = getattr(made_by, "__self__", None)
    if (
        isinstance(module, str)
        and isinstance(qualname, str)
        and "<" not in qualname
        and (bound_to is None or isinstance(bound_to, type))
    ):
        owner = () if bound_to is None else class_path(bound_to)
        return ("function", module, qualname, owner), list(arguments)
    return ("callable",), [made_by, *arguments]


def _short(key: Any) -> str:
    from taskgraph.values.preview import preview

    return preview(key, 40)


class MethodKind(ValueKind):
    """Objects that say with ``__taskgraph_hash__`` what stands for them."""

    def shape(self, value: Any) -> Shape:
        """Return the class with what the method gave."""
        try:
            stands = getattr(value, HASH_METHOD)()
        except Exception as error:  # the user's own method may raise anything
            reason = f"its {HASH_METHOD} raised {type(error).__name__}: {error}"
            raise refuse(value, reason) from error
        if stands is value:
            raise refuse(value, f"its {HASH_METHOD} gives the object itself")
        return Shape("by method", class_path(type(value)), (stands,), lambda _: f".{HASH_METHOD}()")

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return nothing: what stands for the value is not what lies inside it."""
        return ()


class InstanceKind(ValueKind):
    """Objects of one class that leaves it to Python what its state is: attributes, by name."""

    def __init__(self, cls: type) -> None:
        self._path = class_path(cls)
        self._derived = derived_names(cls)
        self._is_checked = False

    def shape(self, value: Any) -> Shape:
        """Return the class and the names, with the attributes inside."""
        attributes = self._attributes(value)
        names = [name for name in sorted(attributes) if name not in self._derived]
        inside = [attributes[name] for name in names]
        return Shape("instance", (*self._path, *names), inside, lambda p: f".{names[p]}")

    def _attributes(self, value: Any) -> dict[str, Any]:
        if not self._is_checked:
            # Python refuses to write objects that hold more than their attributes (locks, say),
            # and does so for the class, not for the object.
            _reduce(value)
            self._is_checked = True
        attributes = all_attributes(value)
        if "__wrapped__" in attributes:
            # Copied from the function that it wraps, and more of it in later versions of Python.
            return {n: each for n, each in attributes.items() if n not in _COPIED_BY_WRAPPERS}
        return attributes


class DataclassKind(InstanceKind):
    """Objects of one dataclass: fields in order, then other attributes by name."""

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self._fields = [field.name for field in dataclasses.fields(cls)]

    def shape(self, value: Any) -> Shape:
        """Return the class and the names, with the attributes inside."""
        attributes = self._attributes(value)
        names = [name for name in self._fields if name in attributes]
        fields = len(names)
        if len(attributes) > fields:
            known = self._derived.union(names)
            names += sorted(name for name in attributes if name not in known)
        inside = [attributes[name] for name in names]
        return Shape("dataclass", (*self._path, fields, *names), inside, lambda p: f".{names[p]}")


class AttrsKind(InstanceKind):
    """Objects of one class made by attrs: fields in order, then other attributes by name."""

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self._fields = [field.name for field in vars_of_attrs(cls)]
        # Classes with slots are given a __getstate__ that leaves out all but fields.
        self._has_more = cls.__getstate__ is object.__getstate__  # type: ignore[comparison-overlap]
        self._own = self._derived | {"_attrs_cached_hash"}

    def shape(self, value: Any) -> Shape:
        """Return the class and the names, with the attributes inside."""
        attributes = self._attributes(value)
        names = [name for name in self._fields if name in attributes]
        fields = len(names)
        if self._has_more and len(attributes) > fields:
            known = self._own.union(names)
            names += sorted(name for name in attributes if name not in known)
        inside = [attributes[name] for name in names]
        return Shape("attrs", (*self._path, fields, *names), inside, lambda p: f".{names[p]}")


def vars_of_attrs(cls: type) -> tuple[Any, ...]:
    """Return the fields of a class made by attrs, without a look at attrs; none of any other."""
    fields = getattr(cls, "__attrs_attrs__", ())
    return fields if isinstance(fields, tuple) else ()


def _is_by_attrs(cls: type) -> bool:
    """Tell whether a class was made by attrs and leaves it to attrs what its state is."""
    if not vars_of_attrs(cls) or cls in REGISTERED:
        return False
    for name in ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs__"):
        for base in cls.__mro__:
            if name in vars(base):
                code = getattr(vars(base)[name], "__code__", None)
                # attrs gives what it makes the module of the class: only its file tells.
                is_made = code is not None and "attr" in code.co_filename.split(os.sep)[-2:]
                if base is not object and not is_made:
                    return False
                break
    return not hasattr(cls, "__getnewargs_ex__")


def all_attributes(value: Any) -> dict[str, Any]:
    """Return what lies in ``__dict__`` and in slots."""
    state: Any = object.__getstate__(value)
    if type(state) is tuple:
        return {**(state[0] or {}), **state[1]}
    attributes: dict[str, Any] = state or {}
    return attributes


OBJECT = ObjectKind()
BY_METHOD = MethodKind()


def default_kind(cls: type) -> ValueKind:
    """Return the kind for a class that nobody registered one for."""
    if _is_by_attrs(cls):
        return AttrsKind(cls)
    if cls is object or _is_builtin_iterator(cls) or not reduces_by_default(cls):
        return OBJECT
    return DataclassKind(cls) if dataclasses.is_dataclass(cls) else InstanceKind(cls)


__all__ = [
    "BY_METHOD",
    "HASH_METHOD",
    "OBJECT",
    "DataclassKind",
    "InstanceKind",
    "MethodKind",
    "ObjectKind",
    "State",
    "all_attributes",
    "default_kind",
    "default_state",
    "derived_names",
    "leaves_state_to",
    "reduces_by_default",
    "refuse",
    "shape_reduced",
    "take_apart",
]
