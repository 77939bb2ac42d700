"""What of a class counts besides its text, and what its objects bring along of it."""

from __future__ import annotations

import abc
import dataclasses
import enum
import inspect
import os
import types
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final
from weakref import WeakKeyDictionary

from taskgraph.fingerprint.outline import Outline
from taskgraph.fingerprint.own import is_opaque, is_own_function, put_on, wrapped_by
from taskgraph.fingerprint.project import is_own_class, when_changed
from taskgraph.fingerprint.sources import unwrapped
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES
from taskgraph.values.kinds import class_name

# What Python keeps in classes for its own purposes.
_MACHINERY: Final = frozenset({"_abc_impl", "_abc_registry"})
# Modules that write methods into classes.
_MAKERS: Final = tuple(
    f"{os.sep}{each}"
    for each in (
        "enum.py",
        "dataclasses.py",
        "reprlib.py",
        os.path.join("collections", "__init__.py"),
        os.path.join("pydantic", "main.py"),
        os.path.join("_internal", "_model_construction.py"),
        os.path.join("attr", "_make.py"),
    )
)
_SLOTS: Final = (types.MemberDescriptorType, types.GetSetDescriptorType)
_USUAL_PARAMS: Final = (
    ("repr", True),
    ("eq", True),
    ("order", False),
)
_USUAL_FIELDS: Final = (
    ("repr", True),
    ("compare", True),
)


class Behaviour:
    """Stands for what the methods of a class do, apart from what its objects hold."""

    __slots__ = ("__weakref__", "cls")

    def __init__(self, cls: type) -> None:
        self.cls = cls


def may_differ(name: str, value: Any, outline: Outline) -> bool:
    """Tell whether an attribute of a class may be another than the text of the class says."""
    functions = functions_of(value)
    if functions:
        # Somebody put a method in after the class was made, or something on one that was there, or
        # a decorator gave another one.
        is_as_written = all(
            not put_on(each)
            and outline.first <= each.__code__.co_firstlineno <= outline.last
            and each.__code__.co_qualname.startswith(outline.name + ".")
            for each in functions
        )
        return not is_as_written and not _is_generated(name, functions)
    if _is_dunder(name) or name in _MACHINERY:
        return False
    if isinstance(value, type):
        return True
    is_own = is_own_class(type(value))
    if hasattr(type(value), "__get__") and not is_own:
        return name not in outline.assigned and name not in outline.defined
    if name.startswith("_") and name not in outline.assigned:
        # What frameworks keep in classes; what the user keeps there is simple, or of his own.
        return is_own or type(value) in ATOMIC_TYPES | CONTAINER_TYPES
    return True


def behaviour_items(cls: type, *, with_fields: bool = False) -> list[tuple[str, Any]]:
    """Return what of a class decides what its objects do, besides what they hold.

    Methods and properties, and attributes that all objects share; not the fields of a dataclass,
    whose values lie in each object, and not the members of an enum.

    Args:
        cls: The class.
        with_fields: Whether to return the fields as well.
    """
    held = frozenset() if with_fields else frozenset(_held_names(cls))
    found: list[tuple[str, Any]] = []
    for name, value in sorted(vars(cls).items()):
        functions = functions_of(value)
        if functions:
            if not _is_generated(name, functions):
                found.append((name, value))
        elif _is_dunder(name) or name in held or name in _MACHINERY:
            continue
        elif not isinstance(value, _SLOTS) and type(value).__name__ != "_tuplegetter":
            found.append((name, value))
    return found + _metadata_of(cls)


def _metadata_of(cls: type) -> list[tuple[str, Any]]:
    """Return what a dataclass says of its fields for others, units say, by field."""
    fields: dict[str, dataclasses.Field[Any]] = vars(cls).get("__dataclass_fields__", {})
    return [
        (f"{name}.metadata", dict(each.metadata))
        for name, each in sorted(fields.items())
        if each.metadata
    ]


def member_items(member: enum.Enum) -> list[tuple[str, Any]]:
    """Return what a member of an enum holds besides its value, but for what it keeps for later."""
    cls = type(member)
    return [
        (name, held)
        for name, held in sorted(vars(member).items())
        if not (name.startswith("_") and name.endswith("_"))
        and not isinstance(inspect.getattr_static(cls, name, None), cached_property)
    ]


def flags_of(cls: type) -> list[str]:
    """Return what a dataclass was told about itself and its fields, beyond the ordinary."""
    params = vars(cls).get("__dataclass_params__")
    if params is None:
        return []
    flags = [
        f"{name}={given}"
        for name, usual in _USUAL_PARAMS
        if (given := getattr(params, name, usual)) != usual
    ]
    for each in dataclasses.fields(cls):
        flags += [
            f"{each.name}.{name}={given}"
            for name, usual in _USUAL_FIELDS
            if (given := getattr(each, name, usual)) is not usual
        ]
    return flags


def fields_of(cls: type) -> list[str]:
    """Return the fields of a class without a source, in order, with what is said of their types."""
    try:
        annotations = inspect.get_annotations(cls)
    except Exception:  # what stands in annotations may be evaluated, and raise anything
        annotations = {}
    names = getattr(cls, "_fields", None) or annotations
    return [f"{name}: {_type_name(annotations.get(name))}" for name in names]


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, type) and not hasattr(annotation, "__origin__"):
        return class_name(annotation)
    return str(annotation)


def registered_with(cls: type) -> list[type]:
    """Return the classes that were registered with an abstract base, by name."""
    if not isinstance(cls, abc.ABCMeta):
        return []
    # What ABCMeta itself shows of them in its method for debugging.
    registry = abc._get_dump(cls)[0]  # type: ignore[attr-defined]  # not in its stubs
    found = [each for reference in registry if (each := reference()) is not None]
    return sorted(found, key=class_name)


def functions_of(attribute: Any) -> list[types.FunctionType]:
    """Return the functions that an attribute of a class is, or is made of."""
    return [each for each in unwrapped(attribute) if isinstance(each, types.FunctionType)]


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_generated(name: str, functions: Sequence[types.FunctionType]) -> bool:
    """Tell whether a method is one that dataclasses, attrs, enum and their like write."""
    return all(_is_written_by_machine(name, each) for each in functions)


def _is_written_by_machine(name: str, func: types.FunctionType) -> bool:
    filename = func.__code__.co_filename
    if filename.startswith("<attrs generated") or (_is_dunder(name) and filename == "<string>"):
        return True
    if is_own_function(func):
        return False
    wrapped = wrapped_by(func)
    if isinstance(wrapped, types.FunctionType):
        return _is_written_by_machine(name, wrapped)
    return _is_dunder(name) or func.__code__.co_filename.endswith(_MAKERS)


def _held_names(cls: type) -> Iterator[str]:
    """Yield the names of what objects hold themselves, and of what is made from that."""
    yield from ("_abc_impl", "_fields", "_field_defaults")
    for names in ("__dataclass_fields__", "_fields", "__pydantic_fields__", "model_fields"):
        yield from getattr(cls, names, None) or ()
    yield from (each.name for each in getattr(cls, "__attrs_attrs__", ()))
    members = getattr(cls, "_member_map_", None)
    if members is not None:
        yield from members
        yield from (name for name in vars(cls) if name.startswith("_"))


_has_behaviour: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
when_changed(_has_behaviour.clear)


def has_behaviour(cls: type) -> bool:
    """Tell whether objects of a class bring code of the user's along."""
    known = _has_behaviour.get(cls)
    if known is None:
        known = not is_opaque(cls) and any(
            is_own_class(base) and bool(behaviour_items(base) or flags_of(base))
            for base in cls.__mro__
        )
        _has_behaviour[cls] = known
    return known
