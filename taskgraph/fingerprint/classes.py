"""What of a class counts besides its text, and what its objects bring along of it."""

from __future__ import annotations

import abc
import types
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final
from weakref import WeakKeyDictionary

from taskgraph.fingerprint.outline import Outline
from taskgraph.fingerprint.own import is_own_code, is_own_function
from taskgraph.fingerprint.project import is_own_module_name, when_changed
from taskgraph.fingerprint.sources import unwrapped
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES
from taskgraph.values.kinds import class_name

# Files that the methods are from which dataclasses and attrs write by themselves.
_GENERATED: Final = ("<string>", "<attrs generated")


class Behaviour:
    """Stands for what the methods of a class do, apart from what its objects hold."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        self.cls = cls


def may_differ(name: str, value: Any, outline: Outline) -> bool:
    """Tell whether an attribute of a class may be another than the text of the class says."""
    functions = _functions_of(value)
    if functions:
        # Somebody put a method in after the class was made, or a decorator gave another one.
        return all(map(_is_written, functions)) and not all(
            outline.first <= each.__code__.co_firstlineno <= outline.last
            and each.__code__.co_qualname.startswith(outline.name + ".")
            for each in functions
        )
    if hasattr(type(value), "__get__") or isinstance(value, type):
        return False
    if name in outline.assigned:
        return True
    return not name.startswith("_") and type(value) in ATOMIC_TYPES | CONTAINER_TYPES


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
        functions = _functions_of(value)
        if functions:
            if all(map(_is_written, functions)):
                found.append((name, value))
        elif isinstance(value, cached_property):
            found.append((name, value.func))
        elif not name.startswith("__") and name not in held and _is_shared(value):
            found.append((name, value))
    return found


def registered_with(cls: type) -> list[type]:
    """Return the classes that were registered with an abstract base, by name."""
    if not isinstance(cls, abc.ABCMeta):
        return []
    # What ABCMeta itself shows of them in its method for debugging.
    registry = abc._get_dump(cls)[0]  # type: ignore[attr-defined]  # not in its stubs
    found = [each for reference in registry if (each := reference()) is not None]
    return sorted(found, key=class_name)


def _functions_of(attribute: Any) -> list[types.FunctionType]:
    return [each for each in unwrapped(attribute) if isinstance(each, types.FunctionType)]


def _is_written(func: types.FunctionType) -> bool:
    return not func.__code__.co_filename.startswith(_GENERATED) and is_own_function(func)


def _is_shared(value: Any) -> bool:
    if type(value) in ATOMIC_TYPES or type(value) in CONTAINER_TYPES or is_own_code(value):
        return True
    return is_own_module_name(type(value).__module__)


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
        known = any(
            is_own_module_name(base.__module__) and bool(behaviour_items(base))
            for base in cls.__mro__
        )
        _has_behaviour[cls] = known
    return known
