"""Delivers notifications: finds of what somebody is to be told, sends it, and tries it once more.

What is sent is claimed first: for as long as sending may take, nobody else tries it. Whoever is
killed in between has counted the attempt already, and the next one sends it once more; so each
arrives at least once, under the id of the notification.
An attempt that is cut short because whoever makes it is in a hurry is none: it is left to one who
has the time that its policy gives it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from taskgraph.catalog.policy_rows import Answer, Attempt, Delivered, Held, Notification
from taskgraph.catalog.targets import Target
from taskgraph.errors import SecretError, TaskgraphError, ValidationError

#: The longest pause between two attempts, in seconds.
LONGEST_PAUSE: Final = 6 * 3_600.0
#: The longest pause that a receiver may ask for, in seconds.
LONGEST_WISH: Final = 86_400.0
#: What is kept of one whose answer somebody in a hurry could not wait for.
CUT_SHORT: Final = "whoever tried it last had no time to wait: it counts as not tried"
#: So much longer than it may take nobody else tries what is being sent: seconds.
CLAIM: Final = 60.0
# So long, of that, the database may take before it is sent: seconds.
_BEFORE: Final = 30.0
_GONE: Final = "what it tells of is no more"
_LONGEST_ERROR: Final = 1_000

#: Sends something somewhere, in so many seconds at most.
Send = Callable[[Target, Notification, float], Answer]


@dataclass(frozen=True, slots=True)
class Found:
    """What one who looks has found.

    Attributes:
        new: Of how many states somebody is to be told now.
        unreadable: In a sentence each, which policies this library cannot read.
    """

    new: int = 0
    unreadable: tuple[str, ...] = ()


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
        error: Why it did not arrive the last time.
    """

    id: str
    policy_id: str
    target: Target
    template: str | None
    most: int
    attempts: int
    until: int
    error: str | None = None


class NotificationStore(Protocol):
    """What one who delivers asks of a database."""

    def has_policies(self) -> bool:
        """Tell whether any policy is active; in one statement."""

    def queue(self) -> Found:
        """Write down of which states somebody is to be told."""

    def next_due(self, passed_over: tuple[str, ...], *, with_cut_short: bool) -> Due | None:
        """Return the notification whose turn it is, but for those of some policies.

        Args:
            passed_over: The policies.
            with_cut_short: Whether it may be one that somebody in a hurry has tried.
        """

    def claim(self, due: Due, seconds: float) -> Due | None:
        """Have nobody else try a notification for a while; None where somebody was quicker."""

    def told(self, notification_id: str) -> Notification | None:
        """Return what a notification says; None if it is gone.

        Raises:
            ValidationError: This library does not know what it says.
        """

    def arrived(self, notification_id: str) -> None:
        """Write down that a notification was delivered."""

    def failed(self, claimed: Due, error: str, pause: float | None) -> bool:
        """Write down that it was not, and when it is tried again: never, without a pause.

        Returns:
            Whether it was still ours to say.
        """

    def release(self, claimed: Due, due: Due) -> None:
        """Have it be due as it was before it was claimed: it was not tried in earnest."""

    def hold(self, claimed: Due, seconds: float) -> None:
        """Have nothing be sent to the receiver of its policy for so long, by others either."""

    def count_waiting(self) -> int:
        """Return how many notifications are to be delivered."""

    def held(self) -> tuple[Held, ...]:
        """Return what waits because its receiver has asked for a pause, by policy."""


def pause_after(attempts: int, chance: float, retry_after: float | None = None) -> float:
    """Return how many seconds lie before the next attempt: they double, up to six hours.

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
        found = self._store.queue()
        attempts: list[Attempt] = []
        passed_over: tuple[str, ...] = ()
        # Who is in a hurry tries those last for which another one had no time.
        with_cut_short = end is None
        while go_on() and (most is None or len(attempts) < most):
            left = None if end is None else end - self._clock()
            if left is not None and left <= 0:
                break
            due = self._store.next_due(passed_over, with_cut_short=with_cut_short)
            if due is None and not with_cut_short:
                with_cut_short = True
                continue
            if due is None:
                break
            if due.error == CUT_SHORT and left is not None and left < due.target.timeout:
                passed_over += (due.policy_id,)  # left to one who has the time
                continue
            made = self._try(due, left)
            if made is None:
                continue  # somebody else has it, it is gone, or there was no time for it
            attempts.append(made)
            tell(made)
            if made.status != "delivered":
                passed_over += (due.policy_id,)
        waiting = self._store.count_waiting()
        held = self._store.held() if waiting else ()
        return Delivered(found.new, tuple(attempts), waiting, found.unreadable, held)

    def _try(self, due: Due, left: float | None) -> Attempt | None:
        limit = due.target.timeout if left is None else min(left, due.target.timeout)
        begun = self._clock()
        # One that was tried often enough is not sent any more, so nobody else has to be kept off.
        is_spent = due.attempts >= due.most
        claimed = due if is_spent else self._store.claim(due, limit + CLAIM)
        told = None if claimed is None else self._told(claimed)
        if claimed is None or told is None:
            return None
        if is_spent:
            is_ours = self._store.failed(due, _spent(due), None)
            return Attempt(told, "given_up", _spent(due)) if is_ours else None
        is_in_time = self._clock() - begun < _BEFORE
        answer = self._answer(claimed, due, told, limit) if is_in_time else Answer(is_late=True)
        if answer.is_late and (limit < due.target.timeout or not is_in_time):
            # It was not given the time that its policy gives it, or the claim may soon be over: the
            # database took so long.
            self._store.release(claimed, due)
            return None
        return self._noted(claimed, told, answer)

    def _told(self, claimed: Due) -> Notification | None:
        """Return what a notification says; one that can say nothing is not tried for ever."""
        try:
            told = self._store.told(claimed.id)
        except ValidationError as error:
            self._store.failed(claimed, str(error), self._pause(claimed))
            return None
        if told is None:
            self._store.failed(claimed, _GONE, None)
            return None
        return told.with_text(claimed.template)

    def _noted(self, claimed: Due, told: Notification, answer: Answer) -> Attempt:
        """Write down what came of an attempt."""
        if answer.error is None:
            self._store.arrived(claimed.id)
            return Attempt(told, "delivered")
        error = answer.error[:_LONGEST_ERROR]
        pause = None if answer.is_final else self._pause(claimed, answer.retry_after)
        self._store.failed(claimed, error, pause)
        if answer.retry_after:
            # It is the receiver who wants nothing for so long, not this one message.
            self._store.hold(claimed, min(answer.retry_after, LONGEST_WISH))
        return Attempt(told, "given_up" if pause is None else "failed", error)

    def _pause(self, claimed: Due, retry_after: float | None = None) -> float | None:
        """Return after how many seconds it is tried again; None after the last attempt."""
        if claimed.attempts >= claimed.most:
            return None
        return pause_after(claimed.attempts, self._chance(), retry_after)

    def _answer(self, claimed: Due, due: Due, told: Notification, limit: float) -> Answer:
        try:
            return self._send(claimed.target, told, limit)
        except SecretError as error:
            return Answer(str(error))
        except Exception as error:
            # Of whatever kind: the others are sent, and this one is tried once more.
            return Answer(f"{type(error).__name__} while it was sent")
        except BaseException:
            # Somebody wants an end, by Ctrl-C: that is nothing which the receiver has done.
            with suppress(TaskgraphError):
                self._store.release(claimed, due)
            raise


def _spent(due: Due) -> str:
    """Return why a notification is given up that was tried as often as its policy says."""
    if due.error is None:
        # Each time somebody was killed by it, or while at it.
        return "nobody who tried it lived to say what came of it"
    said = f"it was tried {due.attempts} times; the last that was heard of it: {due.error}"
    return said[:_LONGEST_ERROR]


__all__ = [
    "CLAIM",
    "CUT_SHORT",
    "Deliverer",
    "Due",
    "Found",
    "NotificationStore",
    "Send",
    "pause_after",
]
