"""Groups of executions as plain data: what they are, what is decided of them, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from taskgraph.catalog.deletions import DeletionReport
from taskgraph.catalog.freshness import Reason
from taskgraph.catalog.uses import DatasetPin


@dataclass(frozen=True, slots=True)
class ExecutionGroup:
    """Executions of one version of a workflow on datasets of the same facets.

    Attributes:
        id: 32 hex digits.
        workflow_id: That version.
        workflow: Its full name.
        version: Its version.
        key: What tells the group from others of it: the facets, as text.
        selectors: The facets, each with its value.
        dirty: Whether it is to run again, whatever it was run on.
        dirty_reason: Why.
        planned_dataset_hash: What it was last planned on.
        recompute: Whether what runs next uses no results of before.
    """

    id: str
    workflow_id: str
    workflow: str
    version: int
    key: str
    selectors: Mapping[str, Any]
    dirty: bool
    dirty_reason: str | None
    planned_dataset_hash: str | None
    recompute: bool
    created_at: datetime
    updated_at: datetime

    @property
    def namespace(self) -> str:
        """The namespace of the workflow."""
        return self.workflow.rpartition(".")[0]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph group list --json`` has it."""
        return {
            "id": self.id,
            "workflow": self.workflow,
            "version": self.version,
            "key": self.key,
            "selectors": dict(self.selectors),
            "dirty": self.dirty,
            "dirty_reason": self.dirty_reason,
            "planned_dataset_hash": self.planned_dataset_hash,
            "recompute": self.recompute,
            "created": self.created_at.isoformat(),
            "updated": self.updated_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a group is to run, and why; true where it is.

    Attributes:
        group: The group, as it was then.
        dataset_hash: What it would be run on.
        run: Whether it is to run.
        reason: Why, or why not.
        datasets: What that is, as far as it is known: what `plan` gives can be run.
        newest: The newest execution of the group, if there was any.
        rerun_failed: Whether what failed was to run again.
        stale_after: After what silence an execution was taken for crashed.
    """

    group: ExecutionGroup
    dataset_hash: str
    run: bool
    reason: Reason
    datasets: tuple[DatasetPin, ...] = ()
    newest: str | None = None
    rerun_failed: bool = False
    stale_after: timedelta | None = None

    def __bool__(self) -> bool:
        """Tell whether the group is to run."""
        return self.run

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph group plan --json`` has it."""
        return {
            "group": self.group.to_json(),
            "dataset_hash": self.dataset_hash,
            "run": self.run,
            "reason": self.reason.value,
            "datasets": [each.name for each in self.datasets],
            "newest": self.newest,
        }


@dataclass(frozen=True, slots=True)
class GroupStats:
    """How many groups there are, of a workflow or of a namespace.

    Each group counts once as running, failed, successful or not started, by its newest execution.

    Attributes:
        namespace: That of the workflows; None if they are not told apart by it.
        workflow: The name of the workflow without it; None if they are not told apart by it.
        dirty: How many are to run again, whatever else they are.
    """

    namespace: str | None
    workflow: str | None
    running: int
    failed: int
    successful: int
    not_started: int
    dirty: int
    total: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph group stats --json`` has it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class GroupDeletionReport(DeletionReport):
    """What a deletion of groups took away, or would.

    Attributes:
        groups: The ids of the groups that went.
    """

    groups: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**DeletionReport.to_json(self), "groups": list(self.groups)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dataset that may be part of groups, with its facets."""

    pin: DatasetPin
    facets: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Derived:
    """A group that datasets make, whether it is there or not.

    Attributes:
        id: What it gets if it is made.
        key: What tells it from others of the workflow.
        selectors: Its facets.
        datasets: What has these.
    """

    id: str
    key: str
    selectors: Mapping[str, Any]
    datasets: tuple[DatasetPin, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules are told beside what is recorded."""

    rerun_failed: bool = False
    stale_after: timedelta | None = None


__all__ = [
    "Candidate",
    "Decision",
    "Derived",
    "ExecutionGroup",
    "GroupDeletionReport",
    "GroupStats",
    "Rules",
]
