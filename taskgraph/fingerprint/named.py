"""What counts by its name, or by what it wraps: other floors say what does, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from taskgraph.fingerprint.parts import PartKind

#: Says of an object which kind of part it is, its name, and what else of it counts.
Namer = Callable[[Any], tuple[PartKind, str, Sequence[Any]]]
_namers: dict[type, Namer] = {}

#: Returns what an object wraps, and what else of it counts.
Unwrapper = Callable[[Any], Sequence[Any]]
_unwrappers: dict[type, Unwrapper] = {}


def register_named(cls: type, namer: Namer) -> None:
    """Have objects of a class, and of its subclasses, count by their name."""
    _namers[cls] = namer


def namer_of(value: Any) -> Namer | None:
    """Return what says the name of an object; None for what does not count by its name."""
    return next((_namers[base] for base in type(value).__mro__ if base in _namers), None)


def register_wrapping(cls: type, unwrap: Unwrapper) -> None:
    """Have objects of a class count by what they wrap."""
    _unwrappers[cls] = unwrap


def unwrapper_of(value: Any) -> Unwrapper | None:
    """Return what unwraps an object; None for what does not count by what it wraps."""
    return _unwrappers.get(type(value))
