"""Pauses that grow: what goes wrong again and again is tried ever more seldom, and not given up."""

from __future__ import annotations

from typing import Final

#: Seconds before something is tried again for the first time, and at most.
FIRST: Final = 1.0
LONGEST: Final = 30.0


class Pauses:
    """Seconds to wait before something is tried again, which double up to a longest.

    Args:
        first: The first of them.
    """

    def __init__(self, first: float | None = None) -> None:
        self._first = FIRST if first is None else first
        self._next = self._first

    def next(self) -> float:
        """Return for how long to wait, after it went wrong once more."""
        pause, self._next = self._next, min(LONGEST, 2 * self._next)
        return pause

    def reset(self) -> None:
        """Begin with the first again: it went well."""
        self._next = self._first


__all__ = ["FIRST", "LONGEST", "Pauses"]
