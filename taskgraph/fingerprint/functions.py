"""Functions and classes as values: what their code does counts, never their address.

Compiled functions and bound methods need no kind of their own: they are what Python reduces them
to, a name, and the object that they are bound to.
"""

from __future__ import annotations

import types
from typing import Any
from weakref import WeakKeyDictionary, ref

from taskgraph.fingerprint.classes import Behaviour, has_behaviour
from taskgraph.fingerprint.code import code_hash
from taskgraph.fingerprint.own import is_own_function
from taskgraph.fingerprint.project import is_own_class
from taskgraph.hashing import ValueHash
from taskgraph.values import registry
from taskgraph.values.kinds import Shape, ValueKind, class_path


class FunctionKind(ValueKind):
    """Python functions: by name, and the user's own by all that counts of their code."""

    name = "builtins.function"

    def shape(self, value: Any) -> Shape:
        """Return name and code hash."""
        name = (value.__module__, value.__qualname__)
        if not is_own_function(value):
            return Shape("function", name)
        return Shape("own function", (*name, code_hash(value)))

    def preview(self, value: Any) -> str:
        """Return the function's name."""
        return f"{value.__module__}.{value.__qualname__}"


class OwnClassKind(ValueKind):
    """Classes: by module and name, and the user's own by all that counts of their code."""

    name = "builtins.type"

    def shape(self, value: Any) -> Shape:
        """Return module and name, with the code hash of a class of the user's."""
        if not is_own_class(value):
            return Shape("class", class_path(value))
        return Shape("own class", (*class_path(value), code_hash(value)))

    def preview(self, value: Any) -> str:
        """Return the dotted name."""
        return ".".join(class_path(value))


class BehaviourKind(ValueKind):
    """What the methods of a class do: lies in the hash of each of its objects."""

    name = "taskgraph.Behaviour"

    def own_hash(self, value: Any) -> ValueHash | None:
        """Return the hash of the code."""
        return ValueHash(code_hash(value.cls, "behaviour"))

    def preview(self, value: Any) -> str:
        """Return the name of the class."""
        return f"methods of {'.'.join(class_path(value.cls))}"


# Neither keeps a class alive that was made at run time.
_behaviours: WeakKeyDictionary[type, ref[Behaviour]] = WeakKeyDictionary()


def behaviour_of(cls: type) -> Behaviour | None:
    """Return what stands for the methods of a class; None if they are not the user's."""
    if not has_behaviour(cls):
        return None
    known = _behaviours.get(cls)
    found = known() if known is not None else None
    if found is None:
        found = Behaviour(cls)
        _behaviours[cls] = ref(found)
    return found


def register_code() -> None:
    """Register the kinds of code, and have objects bring the code of their methods along."""
    registry.register(types.FunctionType, FunctionKind())
    registry.register(type, OwnClassKind(), subclasses=True)
    registry.register(Behaviour, BehaviourKind())
    registry.bring_along(behaviour_of)
