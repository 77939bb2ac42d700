"""The manager of notification policies: who is told when executions come to states.

A run writes nothing for it. Who delivers looks which states came since the last look, writes down
who is to be told of which, once each, and sends what is due.
"""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from taskgraph.catalog.delivering import Deliverer, NotificationStore, Send
from taskgraph.catalog.fitting import checked_labels, checked_states
from taskgraph.catalog.policy_rows import (
    ATTEMPTS,
    STATUSES,
    Answer,
    Attempt,
    Delivered,
    Notification,
    NotificationPolicy,
    QueuedNotification,
    unreadable,
)
from taskgraph.catalog.requests import check_page, checked_name
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.secrets import refuse_secrets
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.store import UNSET, Unset
from taskgraph.catalog.targets import Target, Unreadable, target_of
from taskgraph.catalog.templates import checked_template
from taskgraph.errors import PolicyNotFoundError, ValidationError
from taskgraph.filters import TagFilter
from taskgraph.jsontext import storable

_MOST_ATTEMPTS: Final = 100
_LONGEST_NAME: Final = 200
_TEST_ID: Final = "0" * 32

_States = Iterable[State | StateType | str]
_Labels = Mapping[str, Any] | Iterable[TagFilter | str]
_Target = Target | str | Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WantedNotifications:
    """Which notifications are meant; None, and nothing, for all.

    Attributes:
        policy_id: Those of a policy.
        execution_id: Those about an execution.
        statuses: Those of one of these.
    """

    policy_id: str | None = None
    execution_id: str | None = None
    statuses: tuple[str, ...] = ()


class PolicyStore(NotificationStore, Protocol):
    """What the manager of policies asks of a database."""

    def create_policy(self, wanted: NotificationPolicy) -> None:
        """Write a policy down; what came before is nothing to it."""

    def find_policy(self, ref: str) -> NotificationPolicy | None:
        """Return a policy by name, id or unique start of one."""

    def policies(self, active: bool | None) -> list[NotificationPolicy]:
        """Return policies by name: all, or those that are active, or not."""

    def update_policy(self, policy_id: str, changes: Mapping[str, Any]) -> bool:
        """Change what is given of a policy; returns whether it was there."""

    def delete_policy(self, policy_id: str) -> bool:
        """Delete a policy with its notifications; returns whether it was there."""

    def notifications(
        self, wanted: WantedNotifications, limit: int | None, offset: int
    ) -> list[QueuedNotification]:
        """Return notifications, those that were found last first."""

    def count_notifications(self, wanted: WantedNotifications) -> int:
        """Return how many notifications are meant."""

    def execution_id(self, ref: str) -> str:
        """Return the id of the execution that a text stands for."""


class PolicyManager:
    """Notification policies: ``archive.policies``.

    Args:
        store: Where they are.
        send: Sends a notification somewhere.
    """

    def __init__(self, store: PolicyStore, send: Send) -> None:
        self._store = store
        self._send = send
        self._deliverer = Deliverer(store, send)

    def create(
        self,
        name: str | None = None,
        *,
        states: _States = (),
        tags: _Labels = (),
        target: _Target,
        template: str | None = None,
        active: bool = True,
        attempts: int = ATTEMPTS,
    ) -> NotificationPolicy:
        """Have somebody be told when an execution comes to one of some states.

        What came to it before the policy was made, or made active, is told to nobody.

        Args:
            name: What it is called; each is there once.
            states: Types as ``FAILED``, or names as ``Late``; none for any.
            tags: ``key=value``, or ``key`` for any value: an execution has to have one of them;
                none for any.
            target: `Webhook`, `Command` or `Callback`; a URL, the words of a command and
                ``module:function`` will do.
            template: The text, with names in braces: ``{name} is {state_name}``.
            active: Whether it counts from now on.
            attempts: How often a notification is tried before it is given up.

        Raises:
            PolicyExistsError: There is one of this name.
            TemplateError: The template names something unknown, or is broken.
            SecretError: There is a secret in what is to be kept.
            InvalidStateError: A state is none.
            ValidationError: The target is none, or something else is not what it has to be.
        """
        id = uuid.uuid4().hex
        wanted = NotificationPolicy(
            id,
            f"policy-{id[:8]}" if name is None else _checked_name(name),
            checked_states(states),
            checked_labels(tags),
            target_of(target),
            None if template is None else checked_template(template),
            _checked_truth(active),
            _checked_attempts(attempts),
        )
        self._store.create_policy(wanted)
        return self.get(id)

    def update(
        self,
        ref: str | NotificationPolicy,
        *,
        name: str | Unset = UNSET,
        states: _States | Unset = UNSET,
        tags: _Labels | Unset = UNSET,
        target: _Target | Unset = UNSET,
        template: str | Unset | None = UNSET,
        active: bool | Unset = UNSET,
        attempts: int | Unset = UNSET,
    ) -> NotificationPolicy:
        """Change what is given of a policy; the rest stays.

        Other states and tags count from now on: what came until now is judged as it was then, also
        where its row comes later. One that is made inactive gives up what waits.

        Raises:
            PolicyNotFoundError: There is none.
            PolicyExistsError: Another one has this name.
            TemplateError: The template names something unknown, or is broken.
            SecretError: There is a secret in what is to be kept.
            InvalidStateError: A state is none.
            ValidationError: Something is not what it has to be, or this library cannot read what
                stays of it.
        """
        found = self.get(ref)
        changed: dict[str, Any] = {}
        if not isinstance(name, Unset):
            changed["name"] = _checked_name(name)
        if not isinstance(states, Unset):
            changed["states"] = checked_states(states)
        if not isinstance(tags, Unset):
            changed["tags"] = checked_labels(tags)
        if not isinstance(target, Unset):
            changed["target"] = target_of(target)
        if not isinstance(template, Unset):
            changed["template"] = None if template is None else checked_template(template)
        if not isinstance(active, Unset):
            changed["active"] = _checked_truth(active)
        if not isinstance(attempts, Unset):
            changed["attempts"] = _checked_attempts(attempts)
        if changed and not self._store.update_policy(found.id, changed):
            raise PolicyNotFoundError(found.name)
        return self.get(found.id)

    def find(self, ref: str) -> NotificationPolicy | None:
        """Return a policy by name, id or start of one; None where there is none.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        return self._store.find_policy(storable(ref))

    def get(self, ref: str | NotificationPolicy) -> NotificationPolicy:
        """Return the same as `find` of a policy that must be there.

        Raises:
            PolicyNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        wanted = ref.id if isinstance(ref, NotificationPolicy) else ref
        found = self.find(wanted)
        if found is None:
            raise PolicyNotFoundError(wanted)
        return found

    def list(self, *, active: bool | None = None) -> builtins.list[NotificationPolicy]:
        """Return policies by name: all, or those that are active, or those that are not."""
        return self._store.policies(active)

    def delete(self, ref: str | NotificationPolicy, *, missing_ok: bool = False) -> bool:
        """Delete a policy with its notifications.

        Returns:
            Whether it was there.

        Raises:
            PolicyNotFoundError: There is none, and it is not ``missing_ok``.
            AmbiguousIdError: More than one starts so.
        """
        wanted = ref.id if isinstance(ref, NotificationPolicy) else ref
        found = self.find(wanted)
        is_gone = found is not None and self._store.delete_policy(found.id)
        if not is_gone and not missing_ok:
            raise PolicyNotFoundError(wanted)
        return is_gone

    def notifications(
        self,
        policy: str | NotificationPolicy | None = None,
        *,
        execution: str | Execution | None = None,
        status: str | Iterable[str] = (),
        limit: int | None = 100,
        offset: int = 0,
    ) -> builtins.list[QueuedNotification]:
        """Return notifications, those that were found last first.

        Args:
            policy: Those of a policy.
            execution: Those about an execution.
            status: ``waiting``, ``delivered`` or ``given_up``, or several of them.
            limit: At most so many; None for all.
            offset: After so many.

        Raises:
            PolicyNotFoundError: There is no such policy.
            ExecutionNotFoundError: There is no such execution.
            ValidationError: There is no such status.
        """
        check_page(limit, offset)
        return self._store.notifications(self._wanted(policy, execution, status), limit, offset)

    def count_notifications(
        self,
        policy: str | NotificationPolicy | None = None,
        *,
        execution: str | Execution | None = None,
        status: str | Iterable[str] = (),
    ) -> int:
        """Return how many notifications `notifications` would list, without a limit.

        Raises:
            PolicyNotFoundError: There is no such policy.
            ExecutionNotFoundError: There is no such execution.
            ValidationError: There is no such status.
        """
        return self._store.count_notifications(self._wanted(policy, execution, status))

    def test(self, ref: str | NotificationPolicy) -> Attempt:
        """Send a notification that says that it is a test; nothing of it is kept.

        Returns:
            What came of it: ``delivered``, or ``failed`` with the reason.

        Raises:
            PolicyNotFoundError: There is none.
            SecretError: A secret is not where it is said to be.
            ValidationError: This library cannot read the policy.
        """
        policy = self.get(ref)
        if isinstance(policy.target, Unreadable):
            said = unreadable(policy.name, policy.id, policy.target.reason)
            raise ValidationError("policy", said)
        now = datetime.now(UTC)
        told = Notification(
            uuid.uuid4().hex,
            policy.name,
            "",
            _TEST_ID,
            "test",
            "taskgraph.test",
            State(StateType.COMPLETED, timestamp=now, message="Nothing has happened."),
            is_test=True,
        ).with_text(policy.template)
        answer: Answer = self._send(policy.target, told, policy.target.timeout)
        status = "delivered" if answer.error is None else "failed"
        return Attempt(told, status, answer.error)

    def deliver(
        self,
        *,
        most: int | None = None,
        seconds: float | None = None,
        tell: Callable[[Attempt], object] = lambda attempt: None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> Delivered:
        """Look for what is new, and send what is due; where no policy is active, one statement.

        Several may do so at once, in processes wherever: each notification is sent by one. Whoever
        is killed between sending and saying so has it sent once more, under the same id.

        Args:
            most: So many attempts at most.
            seconds: In so many seconds at most, as far as receivers can be held to that.
            tell: Called after each attempt.
            go_on: Asked before each attempt whether there is to be one.
        """
        return self._deliverer.deliver(most=most, seconds=seconds, tell=tell, go_on=go_on)

    def _wanted(
        self,
        policy: str | NotificationPolicy | None,
        execution: str | Execution | None,
        status: str | Iterable[str],
    ) -> WantedNotifications:
        statuses = (status,) if isinstance(status, str) else tuple(status)
        for each in statuses:
            if each not in STATUSES:
                raise ValidationError(f"status {each!r}", f"there are: {', '.join(STATUSES)}.")
        if isinstance(execution, Execution):
            execution = execution.id
        return WantedNotifications(
            None if policy is None else self.get(policy).id,
            None if execution is None else self._store.execution_id(execution),
            statuses,
        )


def _checked_name(given: str) -> str:
    refuse_secrets("name", str(given))
    return checked_name("policy", given, _LONGEST_NAME)


def _checked_truth(given: bool) -> bool:
    if not isinstance(given, bool):
        raise ValidationError("active", f"expected True or False, not {given!r}.")
    return given


def _checked_attempts(given: int) -> int:
    is_number = isinstance(given, int) and not isinstance(given, bool)
    if not is_number or not 1 <= given <= _MOST_ATTEMPTS:
        raise ValidationError("attempts", f"expected a number from 1 to {_MOST_ATTEMPTS}.")
    return given


__all__ = ["PolicyManager", "PolicyStore", "WantedNotifications"]
