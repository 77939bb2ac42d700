"""What a store is trusted with: everything, or data only; and which classes count as data besides.

The setting is one of the process, as the places of files are. A thread that reads notes with what
trust it does, so that what is unpickled inside of a value is read as the value around it is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Trust:
    """What stored bytes may make when they are read.

    Attributes:
        data_only: Whether they may make data only: builtins, what this library knows to be data,
            and the classes that are named here. Otherwise they may make, and so run, anything.
        classes: Patterns of dotted names of classes that are data, as ``mypkg.models.*``.
    """

    data_only: bool = False
    classes: tuple[str, ...] = ()

    def allows(self, name: str) -> bool:
        """Tell whether a class is named as data, by its dotted name."""
        return any(fnmatchcase(name, pattern) for pattern in self.classes)


EVERYTHING = Trust()

_current = EVERYTHING
_reading = threading.local()


def use_trust(trust: Trust) -> Trust:
    """Make this what stored bytes of this process are read with; returns what was until now."""
    global _current
    before, _current = _current, trust
    return before


def tighten_trust(trust: Trust) -> None:
    """Make a trust that is in data only count from now on; trust in everything changes nothing.

    For a store that is opened beside others: none of them is read with more than its settings say.
    """
    if trust.data_only:
        use_trust(trust)


def current_trust() -> Trust:
    """Return what is trusted where this is asked: as what is being read is, else as is set."""
    found: Trust | None = getattr(_reading, "trust", None)
    return _current if found is None else found


@contextmanager
def reading_with(trust: Trust) -> Iterator[None]:
    """Have all that is read meanwhile in this thread be read with this trust."""
    before = getattr(_reading, "trust", None)
    _reading.trust = trust
    try:
        yield
    finally:
        _reading.trust = before


__all__ = ["EVERYTHING", "Trust", "current_trust", "reading_with", "tighten_trust", "use_trust"]
