"""What a check finds: what must hold, the row that breaks it, and what would mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """Something that must not be.

    Attributes:
        rule: What must hold.
        table: Where it does not.
        key: The row's id in hex digits, or what is known of it.
        detail: What was found.
        remedy: What ``--repair`` does about it; "" where it can do nothing.
    """

    rule: str
    table: str
    key: str
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.detail} ({self.rule})"


@dataclass(frozen=True, slots=True)
class Remove:
    """Put a row aside.

    Attributes:
        table: Its table.
        key: The columns that name it, as they are in the database.
        seen: Other columns as they were found: a row that was changed since is left alone.
    """

    table: str
    key: Mapping[str, Any]
    seen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """Keep a copy of a row aside, and write some of its columns anew.

    Attributes:
        table: Its table.
        key: The columns that name it.
        columns: What is written.
        seen: Other columns as they were found.
    """

    table: str
    key: Mapping[str, Any]
    columns: Mapping[str, Any]
    seen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Add:
    """Write a row that is missing; one that is there by now stays as it is.

    Attributes:
        table: Its table.
        columns: All of them.
    """

    table: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Schema:
    """Execute a statement that changes no rows.

    Attributes:
        sql: The statement.
    """

    sql: str


Mend = Remove | Change | Add | Schema


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, with the steps that mend it.

    Attributes:
        problem: The problem.
        steps: What is done about it, in this order and in one transaction.
    """

    problem: Problem
    steps: tuple[Mend, ...] = ()


def found(
    rule: str, table: str, key: bytes | str, detail: str, remedy: str = "", *steps: Mend
) -> Finding:
    """Return a finding about a row."""
    name = key if isinstance(key, str) else bytes(key).hex()
    return Finding(Problem(rule, table, name, detail, remedy if steps else ""), steps)


__all__ = ["Add", "Change", "Finding", "Mend", "Problem", "Remove", "Schema", "found"]
