"""Calls in the parcels in which they wait for workers: what is on the outside needs no unpickling.

16 bytes   the length of the surroundings, how many workers the call takes, and its time
the surroundings, as `taskgraph.executors.there` has them
the call, as `taskgraph.executors.border` has it
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from taskgraph.errors import ExecutorError

_HEAD: Final = struct.Struct(">IId")
#: What a call is given, and what comes of it, are in one row: of a GB at most, in SQLite.
MOST_BYTES: Final = 400 * 1024 * 1024


class Parcel(NamedTuple):
    """A call with what a worker must see to run it.

    Attributes:
        around: What it must see.
        slots: How many workers it takes.
        message: The call.
        timeout: How many seconds its body may take, if that is limited.
    """

    around: bytes
    slots: int
    message: bytes
    timeout: float | None = None

    def encode(self) -> bytes:
        """Return it as it is kept."""
        head = _HEAD.pack(len(self.around), self.slots, self.timeout or 0.0)
        return b"".join([head, self.around, self.message])


def read_parcel(kept: bytes) -> Parcel:
    """Return a parcel as it was made.

    Raises:
        ExecutorError: It is none.
    """
    if len(kept) < _HEAD.size:
        raise ExecutorError("a call that waits for workers is cut off, and cannot be run")
    length, slots, timeout = _HEAD.unpack_from(kept)
    end = _HEAD.size + length
    return Parcel(kept[_HEAD.size : end], slots, kept[end:], timeout or None)


def check_size(what: str, content: bytes) -> None:
    """Refuse what does not go into a row of a database.

    Args:
        what: What of a call it is: the beginning of a sentence.
        content: The same, as it travels.

    Raises:
        ExecutorError: It is too large.
    """
    if len(content) > MOST_BYTES:
        raise ExecutorError(
            f"{what} is {len(content):,} bytes, and a queue takes {MOST_BYTES:,} at most: hand on "
            "a File, or run it on another executor."
        )


__all__ = ["MOST_BYTES", "Parcel", "check_size", "read_parcel"]
