"""What was retracted since it was looked up: results that are kept in memory are looked at again.

Whoever keeps results asks here before using one. What was retracted in this process counts at once,
what was in another one within a second: so long nobody asks the database anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from taskgraph.catalog import told
from taskgraph.engine.jobs import Job
from taskgraph.events import Event, Warned
from taskgraph.hashing import CallHash
from taskgraph.ports import Backend

_PAUSE: Final = 1.0
_CLOCK: Final = time.monotonic


class Retractions:
    """Tells whether something was retracted meanwhile; not for several threads at once.

    Args:
        backend: Who knows.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._told = told.newest()
        self._count = 0
        self._next = _CLOCK() + _PAUSE
        self._gone: set[CallHash] = set()

    def are_new(self) -> bool:
        """Tell whether something was retracted, or taken back, since this was asked last.

        The first time it may have been before that.
        """
        newest, now = told.newest(), _CLOCK()
        if newest == self._told and now < self._next:
            return False
        self._told, self._next = newest, now + _PAUSE
        count, self._count = self._count, self._backend.count_retractions()
        return count != self._count

    def has(self, call: CallHash | None, every: Callable[[], Iterable[CallHash]]) -> bool:
        """Tell whether a call was retracted since it was made or used in this execution.

        That is said once of a call: one that gives the same again is used here.

        Args:
            call: The call.
            every: Gives all calls that may be asked for.
        """
        if self.are_new():
            self._gone = self._backend.find_retracted(list(dict.fromkeys(every())))
        if call is None or call not in self._gone:
            return False
        self._gone.discard(call)
        return True


class Again:
    """Calls that ran because their results were retracted: do they give the same again?

    Who gives the same from the same is the call that was retracted, and stays so.

    Args:
        notify: Told of those that do.

    Attributes:
        known: The calls that were found to be retracted.
        found: Those of them that were made again.
    """

    def __init__(self, notify: Callable[[Event], None]) -> None:
        self._notify = notify
        self.known: set[CallHash] = set()
        self.found: set[CallHash] = set()

    def look_at(self, job: Job) -> None:
        """Look at a call that has ended, if any is known at all."""
        if job.call_hash not in self.known or job.call_hash in self.found:
            return
        assert job.call_hash is not None
        self.found.add(job.call_hash)
        if any(each.call_hash in self.found for each in job.children):
            return  # that of the child says what there is to say
        self._notify(
            Warned(
                f"{job.task.fullname}: it gave the same result again, from the same arguments and "
                "code, that was retracted. It stays so, and is not kept: change the code or the "
                "input, or take the retraction back with `taskgraph unretract`."
            )
        )


__all__ = ["Again", "Retractions"]
