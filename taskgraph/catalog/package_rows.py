"""Packages of tasks as plain data: whose they are, where they came from, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from taskgraph.records import RecordBatch


@dataclass(frozen=True, slots=True)
class PackagedTask:
    """A task of a package, as it was when that was collected.

    Attributes:
        name: With its namespace.
        task_hash: Its code.
        version: What it says in place of its code, if it does.
        args_schema: What it may be given, as a JSON schema, if that is known.
        input_type: Of which type datasets are that it takes.
        output_type: Of which type datasets are that it gives.
        description: The first line of what it says of itself.
    """

    name: str
    task_hash: str | None
    version: str | None = None
    args_schema: Any = None  # JSON
    input_type: str = "Any"
    output_type: str = "Any"
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph package show --json`` has it."""
        return {
            "name": self.name,
            "task_hash": self.task_hash,
            "version": self.version,
            "args_schema": self.args_schema,
            "input_type": self.input_type,
            "output_type": self.output_type,
            "description": self.description,
        }


@dataclass(frozen=True, slots=True)
class TaskPackage:
    """A version of a package of tasks.

    Attributes:
        id: 32 hex digits.
        name: That of the module or the distribution.
        version: Whatever it says of itself.
        origin: Where it was collected from.
        active: Whether its tasks may be used in what is submitted.
        owner: The e-mail address of the user that it belongs to.
        group: The name of the group of users that it belongs to.
        requirements: What its distribution needs.
        frozen: The distributions that were installed when it was collected, a line each.
        last_used_at: When something of it was last submitted.
        tasks: What is in it, by name.
    """

    id: str
    name: str
    version: str
    origin: str
    active: bool
    created_at: datetime
    owner: str | None = None
    owner_id: str | None = None
    group: str | None = None
    group_id: str | None = None
    requirements: tuple[str, ...] = ()
    frozen: str | None = None
    last_used_at: datetime | None = None
    tasks: tuple[PackagedTask, ...] = ()

    @property
    def label(self) -> str:
        """The name with its version, by which it is found."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph package list --json`` has it."""
        used = self.last_used_at
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "origin": self.origin,
            "active": self.active,
            "owner": self.owner,
            "group": self.group,
            "requirements": list(self.requirements),
            "created": self.created_at.isoformat(),
            "last_used": None if used is None else used.isoformat(),
            "tasks": [each.to_json() for each in self.tasks],
        }


@dataclass(frozen=True, slots=True)
class Collected:
    """What was found of a package, before it is written down.

    Attributes:
        version: None if it says none.
        tasks: By name.
        code: The rows of the code of its tasks, as a run writes them.
    """

    name: str
    version: str | None
    origin: str
    requirements: tuple[str, ...] = ()
    frozen: str | None = None
    tasks: tuple[PackagedTask, ...] = ()
    code: RecordBatch = field(default_factory=RecordBatch)


@dataclass(frozen=True, slots=True)
class NewPackage:
    """A package that is to be written down, checked.

    Attributes:
        owner: The id of the user that it is to belong to.
        group: The id of the group that it is to belong to.
    """

    id: str
    name: str
    version: str
    origin: str
    owner: str | None
    group: str | None
    requirements: tuple[str, ...]
    frozen: str | None
    tasks: tuple[PackagedTask, ...]


@dataclass(frozen=True, slots=True)
class WantedPackages:
    """Which packages are to be listed.

    Attributes:
        owner: Of this user.
        group: Of this group of users.
        active: Only those that may be used, or only those that may not.
        visible_to: Of nobody, of this user, or of a group that this user is in.
        name: With this in their name, whatever the case.
    """

    owner: str | None = None
    group: str | None = None
    active: bool | None = None
    visible_to: str | None = None
    name: str | None = None


__all__ = ["Collected", "NewPackage", "PackagedTask", "TaskPackage", "WantedPackages"]
