"""Who hears nothing of others may take them for dead: not who could hear nobody for a while.

Others say that they live by writing to a database. Where that was away for longer than such a word
counts, nobody has said anything, and everybody looks dead to who is there first when it is back.
So who could not reach it waits until all who live have had the time to say so.

    it answers               silence tells
    it did not               silence tells nothing, from now on
    it answers again         silence tells something after as long as a word counts
    nobody asked it, or it   the same: this process stood still, the machine slept, or somebody
      took very long           else kept all from writing
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

# A clock that goes on while the process, or the machine, sleeps: where there is one.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> float:
    """Return a time in seconds that goes on while the process, or the machine, sleeps."""
    return time.clock_gettime(_CLOCK)


class Silence:
    """Whether the silence of others says anything to this process; any thread may ask.

    Args:
        seconds: How long a word counts: the life of a lease without a heartbeat.
        gap: Two answers that lie further apart than this count as none between them. For who asks
            all the time; by default only what was `missed` counts.
        clock: Gives the time in seconds.

    Attributes:
        gap: As above; who begins to ask all the time may set it.
    """

    def __init__(
        self, seconds: float, gap: float = math.inf, clock: Callable[[], float] = since_boot
    ) -> None:
        self._seconds = seconds
        self.gap = gap
        self._clock = clock
        self._heard: float | None = clock()  # when it answered last; None: not the last time
        self._since = -math.inf  # since when it has answered each time

    def heard(self) -> None:
        """Take note that the database has answered."""
        moment, before = self._clock(), self._heard
        if before is None or moment - before > self.gap:
            self._since = moment
        self._heard = moment

    def missed(self) -> None:
        """Take note that the database could not be reached."""
        self._heard = None

    @property
    def is_missed(self) -> bool:
        """Whether the database could not be reached the last time."""
        return self._heard is None

    @property
    def tells(self) -> bool:
        """Whether who has said nothing for as long as a word counts may be taken for dead."""
        return self._heard is not None and self._clock() - self._since >= self._seconds


__all__ = ["Silence", "since_boot"]
