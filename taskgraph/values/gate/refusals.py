"""What the gate says when it refuses, and what it asks of those things that it does let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class RefusedError(Exception):
    """Something in a pickle is not let in; the codec makes of it an error that names the value.

    Attributes:
        what: What was refused and why, as it reads after "it holds".
        name: The dotted name of a class that could be named as data, or "".
    """

    def __init__(self, what: str, name: str = "") -> None:
        super().__init__(what, name)
        self.what = what
        self.name = name

    def __str__(self) -> str:
        return self.what


Call = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a pickle may do with something that it names.

    What is let in by its name alone can be inside of a value; it is neither called nor changed.

    Attributes:
        call: What is called in its place, with the arguments of the pickle.
        new: What makes an object of it without ``__init__``, given what ``__new__`` would be.
        build: What gives an object of it its state; returns the object, or another in its place.
    """

    call: Call | None = None
    new: Call | None = None
    build: Callable[[Any, Any], Any] | None = None


@dataclass(slots=True, eq=False)
class Pending:
    """An object that is made only when its state is known; nothing may refer to it before that.

    The states of some C types are taken as they come, and a bad one is written over memory. Ours
    are checked, and the object is made in one step through a door that checks as well.

    Attributes:
        build: Makes the object from its state.
        name: What it is, for errors.
        places: Where the pickle has noted it.
    """

    build: Callable[[Any], Any]
    name: str
    places: list[int] = field(default_factory=list)


def check(condition: object, what: str) -> None:
    """Refuse unless a condition holds."""
    if not condition:
        raise RefusedError(what)


__all__ = ["Call", "Pending", "RefusedError", "Rule", "check"]
