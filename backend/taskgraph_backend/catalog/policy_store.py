"""The port of the manager of notification policies on a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from taskgraph.catalog.delivering import Due, Found
from taskgraph.catalog.policies import WantedNotifications
from taskgraph.catalog.policy_rows import (
    Held,
    Notification,
    NotificationPolicy,
    QueuedNotification,
)
from taskgraph.errors import ExecutionNotFoundError
from taskgraph_backend.catalog import notifications, notifying, policies, watched
from taskgraph_backend.opened import OpenedPort
from taskgraph_backend.store import SqlBackend


class PolicyCatalog(OpenedPort):
    """The port of the manager of notification policies on a database.

    Args:
        backend: The database.
        check: Called before each question, and each change: raises if it is closed, say.
        find: Returns the id of an execution by what people call it.
    """

    def __init__(
        self,
        backend: SqlBackend,
        check: Callable[[], object] = lambda: None,
        find: Callable[[str], str | None] = lambda ref: None,
    ) -> None:
        super().__init__(backend, check)
        self._find = find

    # Policies

    def create_policy(self, wanted: NotificationPolicy) -> None:
        """Write a policy down; what came before is nothing to it.

        Raises:
            PolicyExistsError: There is one of this name.
        """
        self._backend._transact(policies.create, wanted)

    def find_policy(self, ref: str) -> NotificationPolicy | None:
        """Return a policy by name, id or unique start of one.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        return self._backend._ask(policies.look_up, ref)

    def policies(self, active: bool | None) -> list[NotificationPolicy]:
        """Return policies by name: all, or those that are active, or not."""
        return self._backend._ask(policies.every, active)

    def update_policy(self, policy_id: str, changes: Mapping[str, Any]) -> bool:
        """Change what is given of a policy; returns whether it was there.

        Raises:
            PolicyExistsError: Another one has its name.
            ValidationError: What cannot be read of it would have to be.
        """
        return self._backend._transact(policies.update, policy_id, changes)

    def delete_policy(self, policy_id: str) -> bool:
        """Delete a policy with its notifications; returns whether it was there."""
        return self._backend._transact(policies.delete, policy_id)

    # Notifications

    def has_policies(self) -> bool:
        """Tell whether any policy is active; in one statement."""
        return self._backend._ask(watched.has_policies)

    def queue(self) -> Found:
        """Write down of which states somebody is to be told.

        Where nothing is new, nothing is written.
        """
        looked = self._backend._ask(notifying.look)
        looks = [each for each in looked.looks if each.is_worth_writing]
        new = self._backend._transact(notifying.write, looks) if looks else 0
        return Found(new, looked.unreadable)

    def next_due(self, passed_over: tuple[str, ...], *, with_cut_short: bool) -> Due | None:
        """Return the notification whose turn it is, but for those of some policies."""
        return self._backend._ask(notifications.next_due, passed_over, with_cut_short)

    def claim(self, due: Due, seconds: float) -> Due | None:
        """Have nobody else try a notification for a while; None where somebody was quicker."""
        until = self._backend._transact(notifications.claim, due, seconds, alone=False)
        return None if until is None else replace(due, attempts=due.attempts + 1, until=until)

    def release(self, claimed: Due, due: Due) -> None:
        """Have it be due as it was before it was claimed: it was not tried in earnest."""
        self._backend._transact(notifications.release, claimed, due, alone=False)

    def told(self, notification_id: str) -> Notification | None:
        """Return what a notification says; None if it is gone."""
        return self._backend._ask(notifications.told, notification_id)

    def arrived(self, notification_id: str) -> None:
        """Write down that a notification was delivered."""
        self._backend._transact(notifications.arrived, notification_id, alone=False)

    def failed(self, claimed: Due, error: str, pause: float | None) -> bool:
        """Write down that it was not, and when it is tried again: never, without a pause."""
        given = claimed, error, pause
        return self._backend._transact(notifications.failed, *given, alone=False)

    def hold(self, claimed: Due, seconds: float) -> None:
        """Have nothing be sent to the receiver of its policy for so long, by others either."""
        self._backend._transact(policies.hold, claimed.policy_id, seconds)

    def count_waiting(self) -> int:
        """Return how many notifications are to be delivered."""
        return self._backend._ask(notifications.count_waiting)

    def held(self) -> tuple[Held, ...]:
        """Return what waits because its receiver has asked for a pause, by policy."""
        return self._backend._ask(policies.held)

    def notifications(
        self, wanted: WantedNotifications, limit: int | None, offset: int
    ) -> list[QueuedNotification]:
        """Return notifications, those that were found last first."""
        return self._backend._ask(notifications.every, wanted, limit, offset)

    def count_notifications(self, wanted: WantedNotifications) -> int:
        """Return how many notifications are meant."""
        return self._backend._ask(notifications.count, wanted)

    def execution_id(self, ref: str) -> str:
        """Return the id of the execution that a text stands for.

        Raises:
            ExecutionNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self._find(ref)
        if found is None:
            raise ExecutionNotFoundError(ref)
        return found


__all__ = ["PolicyCatalog"]
