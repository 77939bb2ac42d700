"""Delivers notifications: finds of what somebody is to be told, sends it, and tries it once more.

What is sent is claimed first: for as long as sending may take, nobody else tries it. Whoever is
killed in between has counted the attempt already, and the next one sends it once more; so each
arrives at least once, under the id of the notification.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from taskgraph.catalog.policy_rows import Answer, Attempt, Delivered, Notification
from taskgraph.catalog.targets import Target
from taskgraph.errors import SecretError

#: The longest pause between two attempts, in seconds.
LONGEST_PAUSE: Final = 3_600.0
#: The longest pause that a receiver may ask for, in seconds.
LONGEST_WISH: Final = 86_400.0
# So much longer than it may take nobody else tries what is being sent: seconds.
_CLAIM: Final = 30.0
_LONGEST_ERROR: Final = 1_000

#: Sends something somewhere, in so many seconds at most.
Send = Callable[[Target, Notification, float], Answer]


@dataclass(frozen=True, slots=True)
class Due:
    """A notification whose turn it is.

    Attributes:
        id: 32 hex digits.
        policy_id: Its policy.
        target: Where it goes.
        template: Its text.
        most: How often it is tried.
        attempts: How often it was tried so far.
        until: Since when it is due, in microseconds: another number once somebody has claimed it.
    """

    id: str
    policy_id: str
    target: Target
    template: str | None
    most: int
    attempts: int
    until: int


class NotificationStore(Protocol):
    """What one who delivers asks of a database."""

    def has_policies(self) -> bool:
        """Tell whether any policy is active; in one statement."""

    def queue(self) -> int:
        """Write down of which states somebody is to be told; returns how many are new."""

    def next_due(self, passed_over: tuple[str, ...]) -> Due | None:
        """Return the notification whose turn it is, but for those of some policies."""

    def claim(self, due: Due, seconds: float) -> Due | None:
        """Have nobody else try a notification for a while; None where somebody was quicker."""

    def told(self, notification_id: str) -> Notification | None:
        """Return what a notification says; None if it is gone."""

    def arrived(self, notification_id: str) -> None:
        """Write down that a notification was delivered."""

    def failed(self, claimed: Due, error: str, pause: float | None) -> bool:
        """Write down that it was not, and when it is tried again: never, without a pause.

        Returns:
            Whether it was still ours to say.
        """

    def count_waiting(self) -> int:
        """Return how many notifications are to be delivered."""


def pause_after(attempts: int, chance: float, retry_after: float | None = None) -> float:
    """Return how many seconds lie before the next attempt: they double, up to an hour.

    Args:
        attempts: How many there were.
        chance: From 0 to 1: by it one pause differs from another, so that not all come at once.
        retry_after: What the receiver asks for, which is never undercut.
    """
    doubled = min(2.0 ** min(attempts - 1, 20), LONGEST_PAUSE)
    pause = min(doubled * (0.75 + 0.5 * chance), LONGEST_PAUSE)
    return pause if retry_after is None else max(pause, min(retry_after, LONGEST_WISH))


class Deliverer:
    """Delivers what is due; where no policy is active that is one statement.

    Args:
        store: Where notifications are.
        send: Sends one.
        clock: Tells seconds.
        chance: Tells a number from 0 to 1.
    """

    def __init__(
        self,
        store: NotificationStore,
        send: Send,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._send = send
        self._clock = clock
        self._chance = chance

    def deliver(
        self,
        *,
        most: int | None = None,
        seconds: float | None = None,
        tell: Callable[[Attempt], object] = lambda attempt: None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> Delivered:
        """Look for what is new, and send what is due.

        After a failure the others of that policy wait for the next call: a receiver that is down
        holds nobody up but once.

        Args:
            most: So many attempts at most.
            seconds: In so many seconds at most, as far as receivers can be held to that.
            tell: Called after each attempt.
            go_on: Asked before each attempt whether there is to be one.
        """
        if not self._store.has_policies():
            return Delivered()
        end = None if seconds is None else self._clock() + seconds
        queued = self._store.queue()
        attempts: list[Attempt] = []
        passed_over: tuple[str, ...] = ()
        while go_on() and (most is None or len(attempts) < most):
            left = None if end is None else end - self._clock()
            if left is not None and left <= 0:
                break
            due = self._store.next_due(passed_over)
            if due is None:
                break
            made = self._try(due, left)
            if made is None:
                continue  # somebody else has it, or it was deleted
            attempts.append(made)
            tell(made)
            if made.status != "delivered":
                passed_over += (due.policy_id,)
        return Delivered(queued, tuple(attempts), self._store.count_waiting())

    def _try(self, due: Due, left: float | None) -> Attempt | None:
        limit = due.target.timeout if left is None else min(left, due.target.timeout)
        claimed = self._store.claim(due, limit + _CLAIM)
        told = None if claimed is None else self._store.told(claimed.id)
        if claimed is None or told is None:
            return None
        told = told.with_text(due.template)
        if claimed.attempts > claimed.most:
            # Each time somebody was killed by it, or while at it.
            answer = Answer("nobody who tried it lived to say what came of it", is_final=True)
        else:
            answer = self._answer(claimed.target, told, limit)
        if answer.error is None:
            self._store.arrived(claimed.id)
            return Attempt(told, "delivered")
        error = answer.error[:_LONGEST_ERROR]
        pause = None
        if not answer.is_final and claimed.attempts < claimed.most:
            pause = pause_after(claimed.attempts, self._chance(), answer.retry_after)
        self._store.failed(claimed, error, pause)
        return Attempt(told, "given_up" if pause is None else "failed", error)

    def _answer(self, target: Target, told: Notification, limit: float) -> Answer:
        try:
            return self._send(target, told, limit)
        except SecretError as error:
            return Answer(str(error))
        except Exception as error:
            # Of whatever kind: the others are sent, and this one is tried once more.
            return Answer(f"{type(error).__name__} while it was sent")


__all__ = ["Deliverer", "Due", "NotificationStore", "Send", "pause_after"]
