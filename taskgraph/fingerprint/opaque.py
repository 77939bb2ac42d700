"""The decorator `opaque`: what it marks never counts."""

from __future__ import annotations

from typing import TypeVar

from taskgraph.fingerprint.own import OPAQUE_MARK

T = TypeVar("T")


def opaque(thing: T) -> T:
    """Mark a function or class as one that never counts: a change of it makes no task run again.

    For what has no bearing on results: loggers, progress bars, timers. What it calls does not count
    either, unless it is reached in another way::

        @taskgraph.opaque
        def note(message: str) -> None:
            print(datetime.now(), message)

    Raises:
        TypeError: The thing is neither a function nor a class, and cannot be marked.
    """
    try:
        setattr(thing, OPAQUE_MARK, True)
    except (AttributeError, TypeError):
        raise TypeError(
            f"{thing!r} cannot be marked as opaque: mark a function, a class, or an object that "
            "takes attributes."
        ) from None
    return thing
