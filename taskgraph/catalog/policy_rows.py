"""Policies and notifications as plain data: who is told of what, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from taskgraph.catalog.rows import state_json
from taskgraph.catalog.secrets import hosts_alone
from taskgraph.catalog.states import State
from taskgraph.catalog.targets import Target, Unreadable
from taskgraph.catalog.templates import DEFAULT_TEMPLATE, filled
from taskgraph.filters import AnyValue, TagFilter
from taskgraph.tags import format_tag_key_value, format_tag_value

#: How often a notification is tried, unless a policy says otherwise: for about three days.
ATTEMPTS: Final = 27
_SHORT: Final = 8
_LONG: Final = 12


@dataclass(frozen=True, slots=True)
class NotificationPolicy:
    """Who is told when executions come to states.

    Attributes:
        id: 32 hex digits.
        name: What people call it; each is there once.
        states: Types of states, or names; none for any.
        tags: Of which an execution has one; none for any.
        target: Where notifications go; `Unreadable` where this library cannot read the policy.
        template: Their text; None for the one that there is by default.
        active: Whether anything is done.
        attempts: How often one is tried before it is given up.
        created_at: When it was made.
        waiting: How many notifications are to be delivered.
        delivered: How many were.
        given_up: How many never will be.
    """

    id: str
    name: str
    states: tuple[str, ...]
    tags: tuple[TagFilter, ...]
    target: Target | Unreadable
    template: str | None = None
    active: bool = True
    attempts: int = ATTEMPTS
    created_at: datetime | None = None
    waiting: int = 0
    delivered: int = 0
    given_up: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph policy list --json`` has it."""
        target = self.target.to_json()
        if "url" in target:
            target["url"] = self.target.shown
        if "words" in target:
            target["words"] = [hosts_alone(each) for each in target["words"]]
        return {
            "id": self.id,
            "name": self.name,
            "active": self.active,
            "states": list(self.states),
            "tags": [label_text(each) for each in self.tags],
            "target": target,
            "template": self.template,
            "attempts": self.attempts,
            "created": _time(self.created_at),
            "waiting": self.waiting,
            "delivered": self.delivered,
            "given_up": self.given_up,
        }


def unreadable(name: str, id: str, reason: object) -> str:
    """Return what is said of a policy that this library cannot read."""
    return (
        f"Policy {name} cannot be read here, and nothing is told by it: {reason} Update taskgraph,"
        f" or delete it: taskgraph policy delete {id[:_LONG]}"
    )


def label_text(label: TagFilter) -> str:
    """Return a tag as it is written: ``KEY``, or ``KEY=VALUE``."""
    key, value = label
    return key if isinstance(value, AnyValue) else f"{key}={format_tag_value(value)}"


@dataclass(frozen=True, slots=True)
class Notification:
    """What somebody is told: that an execution came to a state.

    Attributes:
        id: That of the notification: who is told twice can tell by it.
        policy: The name of the policy.
        text: What a person reads.
        execution_id: The execution.
        name: What that is called.
        entrypoint: What it runs.
        state: The state, with its time.
        previous_state: The name of the one before.
        study: Its study.
        workflow: Its stored workflow, with the version.
        submitted_by: Who submitted it.
        tags: Its current tags: each key with all of its values.
        run_seconds: How long it has run.
        workspace: Its folder.
        is_test: Whether nothing has happened: somebody tries whether it arrives.
    """

    id: str
    policy: str
    text: str
    execution_id: str
    name: str
    entrypoint: str
    state: State
    previous_state: str | None = None
    study: str | None = None
    workflow: str | None = None
    submitted_by: str | None = None
    tags: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    run_seconds: float = 0.0
    workspace: str | None = None
    is_test: bool = False

    def variables(self) -> dict[str, str]:
        """Return the text of each name that can be in a template."""
        labels = [(key, value) for key, values in self.tags.items() for value in values]
        return {
            "execution_id": self.execution_id,
            "short_id": self.execution_id[:_SHORT],
            "name": self.name,
            "entrypoint": self.entrypoint,
            "state": self.state.type.value,
            "state_name": self.state.name,
            "previous_state": self.previous_state or "",
            "time": _time(self.state.timestamp) or "",
            "message": self.state.message or "",
            "study": self.study or "",
            "workflow": self.workflow or "",
            "submitted_by": self.submitted_by or "",
            "tags": ", ".join(format_tag_key_value(*each) for each in labels),
            "run_seconds": f"{self.run_seconds:.1f}",
            "workspace": self.workspace or "",
            "policy": self.policy,
        }

    def with_text(self, template: str | None) -> Notification:
        """Return it with the text that a template makes of it."""
        said = filled(template or DEFAULT_TEMPLATE, self.variables())
        return replace(self, text=f"This is a test. {said}" if self.is_test else said)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as webhooks and commands are given it."""
        return {
            "type": "test" if self.is_test else f"execution.{self.state.type.value.lower()}",
            "timestamp": _time(self.state.timestamp),
            "text": self.text,
            "data": {
                "id": self.id,
                "policy": self.policy,
                "test": self.is_test,
                "execution": {
                    "id": self.execution_id,
                    "name": self.name,
                    "entrypoint": self.entrypoint,
                    "study": self.study,
                    "workflow": self.workflow,
                    "submitted_by": self.submitted_by,
                    "tags": {key: list(values) for key, values in self.tags.items()},
                    "run_seconds": self.run_seconds,
                    "workspace": self.workspace,
                },
                "state": state_json(self.state),
                "previous_state": self.previous_state,
            },
        }


@dataclass(frozen=True, slots=True)
class QueuedNotification:
    """A notification that is to be delivered, or was.

    Attributes:
        id: 32 hex digits.
        policy: The name of its policy.
        execution_id: The execution.
        execution: What that is called.
        state: The name of the state.
        state_time: Since when the execution was in it.
        queued_at: When it was found.
        due: When it is tried next.
        attempts: How often it was tried.
        delivered_at: When it arrived.
        given_up_at: Since when nobody tries any more.
        error: Why it did not arrive the last time.
        held_until: Until when its receiver wants nothing, as that has said.
    """

    id: str
    policy: str
    execution_id: str
    execution: str
    state: str
    state_time: datetime
    queued_at: datetime
    due: datetime
    attempts: int
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    error: str | None = None
    held_until: datetime | None = None

    @property
    def status(self) -> str:
        """One word: ``waiting``, ``delivered`` or ``given_up``."""
        if self.delivered_at is not None:
            return "delivered"
        return "waiting" if self.given_up_at is None else "given_up"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph policy notifications --json`` has it."""
        return {
            "id": self.id,
            "policy": self.policy,
            "execution": self.execution_id,
            "name": self.execution,
            "state": self.state,
            "state_time": _time(self.state_time),
            "status": self.status,
            "queued": _time(self.queued_at),
            "due": _time(self.due) if self.status == "waiting" else None,
            "attempts": self.attempts,
            "delivered": _time(self.delivered_at),
            "given_up": _time(self.given_up_at),
            "error": self.error,
            "held_until": _time(self.held_until),
        }


#: What can be asked for of notifications.
STATUSES: Final = ("waiting", "delivered", "given_up")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending something.

    Attributes:
        error: Why it did not arrive; None where it did.
        retry_after: After how many seconds the receiver wants it once more.
        is_final: Whether it is no use to try once more.
        is_late: Whether nothing is known but that its time was over.
    """

    error: str | None = None
    retry_after: float | None = None
    is_final: bool = False
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A notification that was tried once.

    Attributes:
        notification: It.
        status: ``delivered``, ``failed`` (it is tried once more) or ``given_up``.
        error: Why it did not arrive.
    """

    notification: Notification
    status: str
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph policy deliver --json`` has it."""
        told = self.notification
        return {
            "id": told.id,
            "policy": told.policy,
            "execution": told.execution_id,
            "state": told.state.name,
            "text": told.text,
            "status": self.status,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Held:
    """What waits because its receiver has asked for a pause: ``Retry-After``.

    Attributes:
        policy: The name of the policy.
        until: Until when the receiver wants nothing.
        waiting: How many notifications of the policy wait.
    """

    policy: str
    until: datetime
    waiting: int

    @property
    def pause(self) -> str:
        """Until when, and why, in the reader's own time zone."""
        return (
            f"Policy {self.policy}: nothing is sent before"
            f" {self.until.astimezone():%Y-%m-%d %H:%M:%S}, as the receiver has asked (Retry-After)"
        )

    def __str__(self) -> str:
        return f"{self.pause}; {self.waiting:,} {'waits' if self.waiting == 1 else 'wait'}."

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"policy": self.policy, "until": _time(self.until), "waiting": self.waiting}


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one who delivers has done.

    Attributes:
        queued: How many states were found of which somebody is to be told.
        attempts: What was tried.
        waiting: How many wait for their next try.
        unreadable: In a sentence each, which policies this library cannot read.
        held: Which of those that wait do so because their receiver has asked for it.
    """

    queued: int = 0
    attempts: tuple[Attempt, ...] = ()
    waiting: int = 0
    unreadable: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()

    def count(self, status: str) -> int:
        """Return how many were delivered, failed or given up."""
        return sum(each.status == status for each in self.attempts)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "queued": self.queued,
            "delivered": self.count("delivered"),
            "failed": self.count("failed"),
            "given_up": self.count("given_up"),
            "waiting": self.waiting,
            "unreadable": list(self.unreadable),
            "held": [each.to_json() for each in self.held],
            "notifications": [each.to_json() for each in self.attempts],
        }


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


__all__ = [
    "ATTEMPTS",
    "STATUSES",
    "Answer",
    "Attempt",
    "Delivered",
    "Held",
    "Notification",
    "NotificationPolicy",
    "QueuedNotification",
    "label_text",
    "unreadable",
]
