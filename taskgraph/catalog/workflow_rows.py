"""Stored workflows as plain data: a name, a version, and steps in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from taskgraph.tasks.names import join_name
from taskgraph.tasks.schemas import ANY_TYPE


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """A call in a stored workflow.

    Attributes:
        id: 32 hex digits.
        position: Its place: 0, 1, 2 and so on.
        task: The full name of its task.
        args: What the task is given by name, beside what comes from before it; None for nothing.
        options: Those of the call: retries, executor.
        task_hash: The version of the task, if only that one is meant.
        input_type: Of which type datasets are that it takes, as its task said when it was stored.
        output_type: Of which type the dataset is that it gives.
    """

    id: str
    position: int
    task: str
    args: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    task_hash: str | None = None
    input_type: str = ANY_TYPE
    output_type: str = ANY_TYPE

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as a snapshot has it."""
        return {
            "id": self.id,
            "position": self.position,
            "task": self.task,
            "args": None if self.args is None else dict(self.args),
            "options": dict(self.options),
            "task_hash": self.task_hash,
            "input_type": self.input_type,
            "output_type": self.output_type,
        }


@dataclass(frozen=True, slots=True)
class Workflow:
    """A version of a stored list of steps.

    Attributes:
        id: 32 hex digits.
        namespace: Where the name is at home; may be empty.
        name: Its own name.
        version: 1 or more.
        promoted: Whether it is the version that is meant where none is named.
        enabled: Whether it may run: be applied, or launched as a group.
        steps: In their order.
        study: The name of the study that it is part of.
        meta: What else is kept with it, as JSON; ``script`` says where its tasks are.
    """

    id: str
    namespace: str
    name: str
    version: int
    promoted: bool
    enabled: bool
    created_at: datetime
    steps: tuple[WorkflowStep, ...] = ()
    study: str | None = None
    study_id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fullname(self) -> str:
        """The name with its namespace."""
        return join_name(self.namespace, self.name)

    @property
    def label(self) -> str:
        """The name with its version, by which it is found."""
        return f"{self.fullname}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as a snapshot and ``taskgraph workflow list --json`` have it."""
        return {
            "id": self.id,
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "promoted": self.promoted,
            "enabled": self.enabled,
            "study": self.study,
            "created": self.created_at.isoformat(),
            "meta": dict(self.meta),
            "steps": [each.to_json() for each in self.steps],
        }


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step of a workflow that is to be stored, checked."""

    task: str
    args: Mapping[str, Any] | None
    options: Mapping[str, Any]
    input_type: str = ANY_TYPE
    output_type: str = ANY_TYPE


@dataclass(frozen=True, slots=True)
class NewWorkflow:
    """A workflow that is to be stored, checked.

    Attributes:
        version: None for the one after the highest that is there.
    """

    id: str
    namespace: str
    name: str
    version: int | None
    study: str | None
    steps: tuple[NewStep, ...]
    meta: Mapping[str, Any]

    @property
    def fullname(self) -> str:
        """The name with its namespace."""
        return join_name(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class StepChange:
    """What is changed of a step.

    Attributes:
        step_id: Which.
        args: What it has in place of what it had; it stays if it is not ``has_args``.
        options: What is put upon its options; those that are None are taken away.
    """

    step_id: str
    args: Mapping[str, Any] | None
    has_args: bool
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskOfPackage:
    """What a package that may be used says of one of its tasks.

    Attributes:
        package: The package with its version.
        version: What the task itself says.
        is_owned: Whether the package is somebody's own.
    """

    name: str
    package: str
    version: str | None
    args_schema: Mapping[str, Any] | None
    input_type: str
    output_type: str
    is_owned: bool


@dataclass(frozen=True, slots=True)
class WorkflowDeletion:
    """What became, or would become, of a workflow that is deleted.

    Attributes:
        workflow: Its name with its version.
        executions: How many executions ran it; they stay.
        groups: How many groups of it went with it.
        promoted: The version that is meant from now on in its place, if that is another one.
    """

    workflow: str
    executions: int
    groups: int
    promoted: str | None
    is_dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "workflow": self.workflow,
            "executions_kept": self.executions,
            "groups": self.groups,
            "promoted": self.promoted,
            "dry_run": self.is_dry_run,
        }


__all__ = [
    "NewStep",
    "NewWorkflow",
    "StepChange",
    "TaskOfPackage",
    "Workflow",
    "WorkflowDeletion",
    "WorkflowStep",
]
