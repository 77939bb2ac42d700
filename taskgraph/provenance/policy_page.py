"""How notification policies, notifications and what became of these are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from taskgraph.catalog.policy_rows import (
    Attempt,
    Delivered,
    Held,
    NotificationPolicy,
    QueuedNotification,
    label_text,
)
from taskgraph.catalog.targets import Unreadable
from taskgraph.catalog.templates import DEFAULT_TEMPLATE
from taskgraph.provenance.page import (
    Block,
    Column,
    Facts,
    Grid,
    Heading,
    Line,
    Note,
    Span,
    clean,
    line,
)
from taskgraph.provenance.render import moment, short_id

_WIDTH: Final = 60
_LONG: Final = 200
_STYLES: Final = {"delivered": "done", "given_up": "failed", "failed": "failed"}


def policies_page(policies: Sequence[NotificationPolicy]) -> list[Block]:
    """Return a table of policies."""
    columns = [
        Column("id"),
        Column("name", may_shrink=True),
        Column("states", may_shrink=True),
        Column("tags", may_shrink=True, may_drop=True),
        Column("to", may_shrink=True),
        Column("waiting", is_right=True, may_drop=True),
        Column("given up", is_right=True, may_drop=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            line(
                Span(clean(each.name, _WIDTH), "name"),
                Span("" if each.active else " (inactive)", "dim"),
            ),
            line("" if isinstance(each.target, Unreadable) else _states(each)),
            line(_tags(each, _WIDTH)),
            _target(each, _WIDTH),
            line(f"{each.waiting:,}"),
            line(f"{each.given_up:,}"),
        ]
        for each in policies
    ]
    return [Grid(columns, rows)]


def no_policies(total: int, filters: Sequence[str]) -> list[Block]:
    """Return what is said where a list is empty: how many there are, and what was asked for."""
    if not total:
        said = "There are no policies yet: taskgraph policy create NAME --webhook URL"
        return [Note(line(said))]
    number = "1 policy" if total == 1 else f"{total:,} policies"
    return [Note(line(f"None of {number} is meant by {clean(' '.join(filters))}."))]


def policy_detail(policy: NotificationPolicy) -> list[Block]:
    """Return all that is known of a policy."""
    is_readable = not isinstance(policy.target, Unreadable)
    timeout = "" if isinstance(policy.target, Unreadable) else f"{policy.target.timeout:g} s"
    facts = [
        ("States", line(_states(policy) if is_readable else "")),
        ("Tags", line(_tags(policy, _LONG))),
        ("To", _target(policy, _LONG)),
        ("Signed by", line(clean(getattr(policy.target, "secret", None) or ""))),
        ("Text", line(clean(policy.template or DEFAULT_TEMPLATE, _LONG))),
        ("Active", line("yes" if policy.active else "no")),
        ("Attempts", line(f"{policy.attempts}" if is_readable else "")),
        ("Time limit", line(timeout)),
        ("Created", moment(policy.created_at)),
        ("Delivered", line(f"{policy.delivered:,}")),
        ("Waiting", line(f"{policy.waiting:,}")),
        ("Given up", line(f"{policy.given_up:,}")),
    ]
    return [
        Heading(line("Policy ", short_id(policy.id), " ", clean(policy.name))),
        Facts([(label, said) for label, said in facts if said.text]),
    ]


def notifications_page(notifications: Sequence[QueuedNotification]) -> list[Block]:
    """Return a table of notifications."""
    columns = [
        Column("id"),
        Column("policy", may_shrink=True),
        Column("execution"),
        Column("state"),
        Column("since", may_drop=True),
        Column("status"),
        Column("tries", is_right=True),
        Column("error", may_shrink=True, may_drop=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            line(Span(clean(each.policy, _WIDTH), "name")),
            line(short_id(each.execution_id), " ", Span(clean(each.execution, _WIDTH), "task")),
            line(clean(each.state, _WIDTH)),
            moment(each.state_time),
            _status(each.status),
            line(f"{each.attempts:,}"),
            line(clean(each.error or "", _LONG)),
        ]
        for each in notifications
    ]
    return [Grid(columns, rows), *_pauses(notifications)]


def _pauses(notifications: Sequence[QueuedNotification]) -> list[Block]:
    """Return a line for each policy whose receiver wants nothing for now: until when, and why."""
    every = [(each.policy, each.held_until) for each in notifications]
    counts = Counter((name, until) for name, until in every if until is not None)
    held = [Held(name, until, count) for (name, until), count in sorted(counts.items())]
    return [Note(line(clean(f"{each}"))) for each in held]


def no_notifications(total: int, filters: Sequence[str]) -> list[Block]:
    """Return what is said where a list is empty: how many there are, and what was asked for."""
    if not total:
        said = "There are no notifications: nothing has happened that a policy is about."
        return [Note(line(said))]
    number = "1 notification" if total == 1 else f"{total:,} notifications"
    return [Note(line(f"None of {number} is meant by {clean(' '.join(filters)) or 'no filter'}."))]


def attempt_line(attempt: Attempt) -> list[Block]:
    """Return a line on what became of one attempt."""
    told = attempt.notification
    said = clean(told.text, _LONG)
    if attempt.error is not None:
        said = f"{said.removesuffix('.')}: {clean(attempt.error, _LONG)}"
    return [
        Note(
            line(
                _status(attempt.status),
                " ",
                Span(clean(told.policy, _WIDTH), "name"),
                f": {said}",
            )
        )
    ]


def delivered_line(done: Delivered) -> list[Block]:
    """Return a line on all that was done."""
    said = [f"{done.count('delivered'):,} delivered"]
    if done.count("failed"):
        said.append(f"{done.count('failed'):,} failed")
    if done.count("given_up"):
        said.append(f"{done.count('given_up'):,} given up")
    if done.waiting:
        said.append(f"{done.waiting:,} waiting for the next try")
    pauses = [Note(line(clean(f"{each}"))) for each in done.held]
    return [Note(line(f"Notifications: {', '.join(said)}.")), *pauses]


def _status(status: str) -> Line:
    return line(Span(status.replace("_", " "), _STYLES.get(status, "pending")))


def _states(policy: NotificationPolicy) -> str:
    return clean(", ".join(policy.states), _WIDTH) or "any"


def _tags(policy: NotificationPolicy, most: int) -> str:
    return clean(", ".join(map(label_text, policy.tags)), most)


def _target(policy: NotificationPolicy, most: int) -> Line:
    return line(f"{policy.target.kind} ", Span(clean(policy.target.shown, most), "path"))


__all__ = [
    "attempt_line",
    "delivered_line",
    "no_notifications",
    "no_policies",
    "notifications_page",
    "policies_page",
    "policy_detail",
]
