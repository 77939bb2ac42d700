"""How often something was retracted in this process: who keeps results looks at that first."""

from __future__ import annotations

from itertools import count

_numbers = count(1)
_newest = 0


def tell() -> None:
    """Say that something was retracted, or a retraction taken back."""
    global _newest  # noqa: PLW0603 - one number for the process, that only grows
    _newest = next(_numbers)


def newest() -> int:
    """Return a number that is another one after each `tell`."""
    return _newest


__all__ = ["newest", "tell"]
