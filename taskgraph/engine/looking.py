"""Looks at files and the like, taken by a pool while the scheduler goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from taskgraph.engine.inbox import QueueInbox


class Looker(Protocol):
    """Looks at files and the like on threads of its own, so that the scheduler never waits."""

    def submit(self, values: Sequence[Any], done: Callable[[BaseException | None], None]) -> None:
        """Look at values anew; ``done`` is called on another thread."""
        ...

    def check(
        self,
        values: Sequence[Any],
        done: Callable[[list[Any | None], BaseException | None], None],
        find: Callable[[Any], Any | None] = ...,
    ) -> None:
        """Compare values with the world; ``done`` gets what ``find`` gives of each."""
        ...


class Looking:
    """What an execution has looked at; what was seen comes back on the scheduler's thread.

    Args:
        looker: Who looks.
        inbox: Where what was seen comes back.

    Attributes:
        count: How many looks are under way.
    """

    def __init__(self, looker: Looker, inbox: QueueInbox) -> None:
        self._looker = looker
        self._inbox = inbox
        self.count = 0

    def look(self, values: Sequence[Any], done: Callable[[BaseException | None], None]) -> None:
        """Have values looked at anew."""
        self.count += 1
        self._looker.submit(values, lambda error: self._come_back(lambda: done(error)))

    def find(
        self,
        values: Sequence[Any],
        find: Callable[[Any], Any | None],
        done: Callable[[list[Any | None]], None],
        describe: Callable[[Any], Any] | None = None,
    ) -> None:
        """Have values compared with the world.

        Args:
            values: The values.
            find: Called in the pool: says of each what does not match, None if all does.
            done: Gets for each what was found, or the error that came instead.
            describe: Called in the pool, for it may need another look: makes of what was found what
                ``done`` gets.
        """

        def say(found: Sequence[Any | None], error: BaseException | None) -> None:
            told: list[Any] = [*found] if error is None else [error] * len(values)
            if describe is not None:
                told = [None if each is None else describe(each) for each in told]
            self._come_back(lambda: done(told))

        self.count += 1
        self._looker.check(values, say, find)

    def _come_back(self, then: Callable[[], None]) -> None:
        def come() -> None:
            self.count -= 1
            then()

        self._inbox.call_soon(come)
