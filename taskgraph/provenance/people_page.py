"""How users, groups of users, packages of tasks and operations are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from taskgraph.catalog.operations import Operation, Status
from taskgraph.catalog.package_rows import TaskPackage
from taskgraph.catalog.people_rows import User, UserGroup
from taskgraph.jsontext import to_json
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
from taskgraph.provenance.render import duration, moment, short_id

_WIDTH: Final = 60
_STYLES: Final = {
    Status.OK: "done",
    Status.FAILED: "failed",
    Status.ONGOING: "running",
    Status.PENDING: "pending",
}
_HIDDEN: Final = ("accounts",)


def none_meant(noun: str, total: int, filters: Sequence[str], advice: str) -> list[Block]:
    """Return what is said where a list is empty: how many there are, and what was asked for.

    Args:
        noun: What is listed.
        total: How many there are.
        filters: What was asked for, as it was written.
        advice: How to make one.
    """
    nouns = f"{noun}s"
    if not total:
        return [Note(line(f"There are no {nouns} yet: {advice}"))]
    asked = clean(" ".join(filters)) or "no filter"
    number = f"1 {noun}" if total == 1 else f"{total:,} {nouns}"
    return [Note(line(f"None of {number} is meant by {asked}."))]


# Users


def users_page(users: Sequence[User]) -> list[Block]:
    """Return a table of users."""
    columns = [
        Column("id"),
        Column("email", may_shrink=True),
        Column("name", may_shrink=True),
        Column("groups", may_shrink=True, may_drop=True),
        Column("", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            line(Span(clean(each.email, _WIDTH), "name")),
            line(clean(each.username or "", _WIDTH)),
            line(clean(", ".join(each.groups), _WIDTH)),
            line(_marks(each)),
        ]
        for each in users
    ]
    return [Grid(columns, rows)]


def user_detail(user: User) -> list[Block]:
    """Return a user with the accounts at other services."""
    facts = [
        ("Name", line(clean(user.username or ""))),
        ("Is", line(_marks(user) or "active")),
        ("Verified", line("yes" if user.verified else "")),
        ("Groups", line(clean(", ".join(user.groups)))),
        ("Created", moment(user.created_at)),
        ("Charged to", line(clean(", ".join(user.charged_accounts)))),
        *_settings(user.settings),
    ]
    blocks: list[Block] = [
        Heading(line("User ", short_id(user.id), " ", clean(user.email))),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    if user.accounts:
        columns = [
            Column("provider", may_shrink=True),
            Column("account", may_shrink=True),
            Column("email", may_shrink=True, may_drop=True),
            Column("expires", may_drop=True),
            Column("keyring", may_shrink=True),
        ]
        rows = [
            [
                line(clean(each.provider, _WIDTH)),
                line(clean(each.account_id, _WIDTH)),
                line(clean(each.email or "", _WIDTH)),
                line("") if each.expires is None else moment(each.expires),
                line(clean(each.keyring or "", _WIDTH)),
            ]
            for each in user.accounts
        ]
        blocks += [Heading(line("Accounts"), is_part=True), Grid(columns, rows)]
    return blocks


def groups_of_users_page(groups: Sequence[UserGroup]) -> list[Block]:
    """Return a table of groups of users."""
    if not groups:
        return [Note(line("There are no such groups: taskgraph user add GROUP USER makes one."))]
    columns = [
        Column("id"),
        Column("created"),
        Column("members", is_right=True),
        Column("name", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            moment(each.created_at),
            line(f"{each.members:,}"),
            line(Span(clean(each.name, _WIDTH), "name")),
        ]
        for each in groups
    ]
    return [Grid(columns, rows)]


def _marks(user: User) -> str:
    found = {"inactive": not user.active, "superuser": user.superuser}
    return ", ".join(name for name, is_so in found.items() if is_so)


def _settings(given: Any) -> Iterator[tuple[str, Line]]:
    for key, value in sorted(given.items()):
        if key not in _HIDDEN and value is not None:
            said = value if isinstance(value, str) else to_json(value)
            yield clean(key.replace("_", " ").capitalize(), _WIDTH), line(clean(said, _WIDTH))


# Packages of tasks


def packages_page(packages: Sequence[TaskPackage]) -> list[Block]:
    """Return a table of packages."""
    columns = [
        Column("id"),
        Column("collected", may_drop=True),
        Column("whose", may_shrink=True, may_drop=True),
        Column("tasks", is_right=True),
        Column("name", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            moment(each.created_at),
            line(clean(_whose(each), _WIDTH)),
            line(f"{len(each.tasks):,}"),
            line(
                Span(clean(each.label, _WIDTH), "name"),
                Span("" if each.active else " (not active)", "dim"),
            ),
        ]
        for each in packages
    ]
    return [Grid(columns, rows)]


def package_detail(package: TaskPackage) -> list[Block]:
    """Return a package with its tasks and what it needs."""
    used = package.last_used_at
    facts = [
        ("From", line(clean(package.origin))),
        ("Whose", line(clean(_whose(package)))),
        ("Active", line("yes" if package.active else "no")),
        ("Collected", moment(package.created_at)),
        ("Last used", line("") if used is None else moment(used)),
        ("Needs", line(clean(", ".join(package.requirements)))),
    ]
    blocks: list[Block] = [
        Heading(line("Package ", short_id(package.id), " ", clean(package.label))),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    columns = [
        Column("hash"),
        Column("task", may_shrink=True),
        Column("takes", may_drop=True),
        Column("gives", may_drop=True),
        Column("", may_shrink=True, may_drop=True),
    ]
    rows = [
        [
            line("" if each.task_hash is None else short_id(each.task_hash)),
            line(Span(clean(each.name, _WIDTH), "task")),
            line(clean(each.input_type, _WIDTH)),
            line(clean(each.output_type, _WIDTH)),
            line(clean(each.description, _WIDTH)),
        ]
        for each in package.tasks
    ]
    return [*blocks, Heading(line("Tasks"), is_part=True), Grid(columns, rows)]


def _whose(package: TaskPackage) -> str:
    return ", ".join(each for each in (package.owner, package.group) if each is not None)


# Operations


def operations_page(operations: Sequence[Operation]) -> list[Block]:
    """Return a table of operations, the newest first."""
    columns = [
        Column("id"),
        Column("started"),
        Column("took", is_right=True, may_drop=True),
        Column("status"),
        Column("kind", may_shrink=True),
        Column("subject", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            moment(each.started_at),
            duration(_seconds(each)),
            _status(each),
            line(clean(each.kind, _WIDTH)),
            line(Span(clean(each.subject, _WIDTH), "name")),
        ]
        for each in operations
    ]
    return [Grid(columns, rows)]


def operation_detail(operation: Operation) -> list[Block]:
    """Return an operation with what it said."""
    facts = [
        ("Status", _status(operation)),
        ("Started", moment(operation.started_at)),
        ("Ended", line("") if operation.ended_at is None else moment(operation.ended_at)),
        *(
            (clean(key.replace("_", " ").capitalize(), _WIDTH), line(clean(_said(value))))
            for key, value in sorted(operation.data.items())
        ),
    ]
    head = line("Operation ", short_id(operation.id), " ", clean(operation.kind), " ")
    blocks: list[Block] = [
        Heading(line(head, clean(operation.subject))),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    if operation.log:
        said = [[line(clean(each))] for each in operation.log.splitlines()]
        blocks += [Heading(line("Log"), is_part=True), Grid([Column("line")], said)]
    return blocks


def _said(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)


def _status(operation: Operation) -> Line:
    return line(Span(operation.status.value, _STYLES[operation.status]))


def _seconds(operation: Operation) -> float | None:
    ended = operation.ended_at
    return None if ended is None else (ended - operation.started_at).total_seconds()


__all__ = [
    "groups_of_users_page",
    "none_meant",
    "operation_detail",
    "operations_page",
    "package_detail",
    "packages_page",
    "user_detail",
    "users_page",
]
