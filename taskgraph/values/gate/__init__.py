"""The gate: the one room where anything is unpickled.

Stored bytes come in by `load`, which asks what the store is trusted with. What the processes of one
run send each other comes in by `receive`: it was written a moment ago by code of that very run, and
whoever could change it can run code already. `outline` is for comparing, and makes stand-ins.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

from taskgraph.values.gate.guarded import GuardedUnpickler
from taskgraph.values.gate.refusals import RefusedError
from taskgraph.values.gate.trust import (
    EVERYTHING,
    Trust,
    current_trust,
    reading_with,
    tighten_trust,
    use_trust,
)
from taskgraph.values.unknown import UnknownFunction

# Builtins and modules of the standard library that hold data and do nothing.
_HARMLESS = frozenset(
    {
        "array",
        "collections",
        "copyreg",
        "datetime",
        "decimal",
        "fractions",
        "ipaddress",
        "pathlib",
        "uuid",
        "zoneinfo",
    }
)
# Packages whose values are data that this library knows how to take apart.
_KNOWN_PACKAGES = frozenset({"numpy", "pandas", "polars", "pyarrow", "taskgraph"})
_HARMLESS_BUILTINS = frozenset(
    {"bytearray", "complex", "frozenset", "list", "range", "set", "slice", "dict", "tuple"}
    | {"int", "float", "str", "bytes", "bool", "object", "type", "Ellipsis", "NotImplemented"}
)


class _Noting(pickle.Unpickler):
    """Reads, and takes note of functions and classes that neither Python nor this library has."""

    bears_code = False

    def find_class(self, module_name: str, global_name: str) -> Any:
        found = super().find_class(module_name, global_name)
        if bears_code(module_name):
            self.bears_code = True
            received = _receiving.get()
            if received is not None:
                return received.note(module_name, global_name, found)
        return found


#: What makes code of what was sent by content.
_MAKERS = frozenset({"_make_function", "_make_skeleton_class", "_make_skeleton_enum"})


class Received(NamedTuple):
    """The code in what was sent: that of others, and not what Python and this library have.

    Attributes:
        named: What was found by its name: module, name, and the thing itself.
        made: Functions and classes that were made here, of their content.
    """

    named: list[tuple[str, str, Any]]
    made: list[Any]

    def note(self, module_name: str, global_name: str, found: Any) -> Any:
        """Take note of what was found; returns what is to be used in its place."""
        if not module_name.startswith("cloudpickle"):
            self.named.append((module_name, global_name, found))
        elif global_name in _MAKERS:
            return self._noting(found)
        return found

    def _noting(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def making(*args: Any) -> Any:
            made = make(*args)
            self.made.append(made)
            return made

        return making


_receiving: ContextVar[Received | None] = ContextVar("taskgraph_receiving", default=None)


class _Lenient(_Noting):
    """Reads functions that are not there any more as stubs."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return super().find_class(module_name, global_name)
        except AttributeError:
            return UnknownFunction(module_name, global_name)


def bears_code(module_name: str) -> bool:
    """Tell whether what a module has is code that neither Python nor this library knows as data."""
    if module_name == "builtins" or module_name in _HARMLESS:
        return False
    return module_name.partition(".")[0] not in _KNOWN_PACKAGES


def load(payload: bytes) -> tuple[Any, bool]:
    """Make a stored value again, as far as the store is trusted.

    Returns:
        The value, and whether it bears code that was found by its name.

    Raises:
        RefusedError: It holds what the store is not trusted with.
    """
    trust = current_trust()
    if trust.data_only:
        with reading_with(trust):
            guarded = GuardedUnpickler(payload, trust)
            return guarded.load(), any(map(bears_code, guarded.modules))
    if pickle.STACK_GLOBAL not in payload:  # plain data, as most values are
        return pickle.loads(payload), False
    reader = _Noting(io.BytesIO(payload))
    try:
        value = reader.load()
    except AttributeError as error:
        # If it was the class of an object that is gone, there is nothing to make the object from.
        reader = _Lenient(io.BytesIO(payload))
        try:
            value = reader.load()
        except Exception:
            raise error from None
    return value, reader.bears_code


def receive(payload: bytes | bytearray | memoryview) -> Any:
    """Make a value again that another process of this run has sent, or this one has made."""
    with reading_with(EVERYTHING):
        return pickle.loads(payload)


def receive_noting(payload: bytes) -> tuple[Any, Received]:
    """Do as `receive`, and take note of the code that comes along."""
    received = Received([], [])
    token = _receiving.set(received)
    try:
        with reading_with(EVERYTHING):
            return _Noting(io.BytesIO(payload)).load(), received
    finally:
        _receiving.reset(token)


class _Outliner(pickle.Unpickler):
    """Makes stand-ins for all objects of classes that are not plain data: no code of theirs runs.

    It is not a sandbox: the bytes must be trusted as those of `load` must be.
    """

    stand_in_for: Callable[[str, str], Any]

    def find_class(self, module_name: str, global_name: str) -> Any:
        if module_name == "builtins" and global_name in _HARMLESS_BUILTINS:
            return super().find_class(module_name, global_name)
        if module_name in _HARMLESS or module_name.partition(".")[0] in _KNOWN_PACKAGES:
            return super().find_class(module_name, global_name)
        return self.stand_in_for(module_name, global_name)


def outline(payload: bytes, stand_in_for: Callable[[str, str], Any]) -> Any:
    """Make a pickled value again with stand-ins for the objects in it.

    Where the store is trusted with data only, all else in it stands in the way of an outline too.

    Args:
        payload: The bytes.
        stand_in_for: Gives what stands for a class, or a function, by its module and name.
    """
    trust = current_trust()
    if trust.data_only:
        return GuardedUnpickler(payload, trust).load()
    reader = _Outliner(io.BytesIO(payload))
    reader.stand_in_for = stand_in_for
    return reader.load()


__all__ = [
    "EVERYTHING",
    "Received",
    "RefusedError",
    "Trust",
    "bears_code",
    "current_trust",
    "load",
    "outline",
    "reading_with",
    "receive",
    "receive_noting",
    "tighten_trust",
    "use_trust",
]
