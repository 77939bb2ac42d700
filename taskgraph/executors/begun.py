"""How far workers have come with what they were sent: known also of those that are dead by now.

There is a byte for each message under way, in a file that its sender and the workers share: how
many of its calls were begun, or that all have ended. What was not begun may go to another worker.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from contextlib import suppress
from typing import Final

#: In place of a number: all calls of the message have ended.
ENDED: Final = 255
_PLACES: Final = 1 << 16


class Begun:
    """The bytes of one sender."""

    def __init__(self) -> None:
        descriptor, self.path = tempfile.mkstemp(prefix="taskgraph-begun-")
        try:
            os.ftruncate(descriptor, _PLACES)
            self._bytes = mmap.mmap(descriptor, _PLACES)
        finally:
            os.close(descriptor)
        self._free: list[int] = []
        self._next = 0
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _remove, self.path)

    def take(self) -> int:
        """Return the place of a message that is about to be sent."""
        with self._lock:
            if self._free:
                place = self._free.pop()
            else:
                place, self._next = self._next, self._next + 1
        if place < _PLACES:
            self._bytes[place] = 0
        return place

    def look(self, place: int) -> int | None:
        """Return how many calls of a message were begun, if it has a place."""
        return self._bytes[place] if place < _PLACES else None

    def give_back(self, place: int) -> int | None:
        """Do as `look`, for a message that is no longer under way."""
        count = self.look(place)
        with self._lock:
            self._free.append(place)
        return count

    def close(self) -> None:
        """Delete the file; workers that still have it go on with it."""
        self._end()


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


_shared: mmap.mmap | None = None


def share(path: str) -> None:
    """Have this worker say how far it has come, where its sender looks."""
    global _shared  # noqa: PLW0603 - one worker process has one sender
    # The sender may have ended while this process was starting; then nobody looks.
    with suppress(FileNotFoundError), open(path, "r+b") as opened:
        _shared = mmap.mmap(opened.fileno(), _PLACES)


def mark(place: int | None, count: int) -> None:
    """Say that so many calls of a message were begun."""
    if place is not None and _shared is not None and place < _PLACES:
        _shared[place] = min(count, ENDED)
