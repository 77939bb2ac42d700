"""Classes that a project may name as data, and what stands beside them in their module."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from subprocess import Popen, call
from typing import Any


class Setting:
    """Runs what it is given as its state: never named as data."""

    def __setstate__(self, state: Any) -> None:
        os.system(state)


@dataclass
class Sample:
    """Data only."""

    name: str
    values: list[int] = field(default_factory=list)

    class Place:
        """Data inside of a class."""

        def __init__(self, x: int) -> None:
            self.x = x

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Sample.Place) and self.x == other.x


@dataclass(frozen=True, slots=True)
class Point:
    """Data with slots."""

    x: int
    y: int


class Colour(Enum):
    """A member of this is data."""

    RED = 1


def run(command: str) -> None:
    """Run a command: a function, and so never data."""
    os.system(command)


__all__ = ["Colour", "Point", "Popen", "Sample", "Setting", "call", "run"]
