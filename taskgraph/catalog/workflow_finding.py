"""Stored workflows are found by name, version or id; and what all of that asks of a database."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from taskgraph.catalog.admission import Admission, AdmissionStore
from taskgraph.catalog.criteria import WORKFLOW_FIELDS, Criteria
from taskgraph.catalog.executions import ExecutionManager
from taskgraph.catalog.launches import Launcher
from taskgraph.catalog.reading import parse
from taskgraph.catalog.requests import check_page
from taskgraph.catalog.uses import Uses, WantedUses, ref_of
from taskgraph.catalog.workflow_rows import (
    NewStep,
    NewWorkflow,
    StepChange,
    TaskOfPackage,
    Workflow,
    WorkflowDeletion,
    WorkflowStep,
)
from taskgraph.errors import StepNotFoundError, ValidationError, WorkflowNotFoundError
from taskgraph.jsontext import storable

_MOST_VERSIONS: Final = 2**31 - 1
_MOST_DIGITS: Final = 20

#: Which workflows: criteria, or the JSON that they are written as.
Where = Criteria | Mapping[str, Any] | None


class WorkflowStore(AdmissionStore, Protocol):
    """What the manager of workflows needs of a database."""

    def create_workflow(self, wanted: NewWorkflow) -> str:
        """Store a workflow; returns its id."""

    def copy_workflow(self, workflow_id: str, new_id: str) -> bool:
        """Store a workflow once more, as the next version; returns whether it is there."""

    def promote_workflow(self, workflow_id: str) -> bool:
        """Have this version be the one that is meant; returns whether there is such a workflow."""

    def enable_workflow(self, workflow_id: str, is_enabled: bool) -> bool:
        """Have a workflow be applied, or not; returns whether there is such a workflow."""

    def delete_workflow(
        self, workflow_id: str, *, with_groups: bool, dry_run: bool
    ) -> WorkflowDeletion | None:
        """Delete a version; None where there is none."""

    def workflows(self, where: Criteria, limit: int | None, offset: int) -> list[Workflow]:
        """Return workflows by name and version."""

    def count_workflows(self, where: Criteria) -> int:
        """Return how many there are."""

    def find_step(self, ref: str) -> tuple[str, WorkflowStep] | None:
        """Return a step by id or unique start of one, with the id of its workflow."""

    def add_step(self, workflow_id: str, step_id: str, step: NewStep, position: int | None) -> None:
        """Put a step before the one at a position, or behind all."""

    def change_step(self, wanted: StepChange) -> bool:
        """Change what is given of a step; returns whether it is there."""

    def reorder_steps(self, workflow_id: str, step_ids: Sequence[str]) -> None:
        """Give the steps of a workflow a new order."""

    def remove_step(self, step_id: str) -> bool:
        """Take a step out of its workflow; returns whether it was there."""

    def pin(self, wanted: WantedUses) -> Uses:
        """Return what an execution is to use, with the content that it has now."""


class WorkflowFinder:
    """What all verbs of the manager of workflows have: where workflows are, and who runs them.

    Args:
        store: Where they are.
        executions: Those that they are run as.
        launcher: Returns what runs them in this process, where anything can be run.
        admission: Says whether something may be submitted.
    """

    def __init__(
        self,
        store: WorkflowStore,
        executions: ExecutionManager | None = None,
        launcher: Callable[[], Launcher] | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._store = store
        self._executions = executions
        self._launcher = launcher
        self._admission = Admission(store) if admission is None else admission

    def find(self, ref: str | Workflow, version: int | None = None) -> Workflow | None:
        """Return a workflow; None where there is none.

        Args:
            ref: Its full name, which stands for the promoted version; ``name@version``; its id or
                the start of one; or itself.
            version: Of a full name, that version.

        Raises:
            AmbiguousIdError: More than one starts so.
            ValidationError: It is nothing by which a workflow could be found.
        """
        if isinstance(ref, Workflow):
            ref = ref.id
        elif not isinstance(ref, str):
            said = f"expected a name, an id, or what was found before, not {ref!r}."
            raise ValidationError("workflow", said)
        if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
            raise ValidationError("version", f"expected a number, not {version!r}.")
        name, at, number = ref.rpartition("@")
        if at and version is None and number.isdecimal() and len(number) < _MOST_DIGITS:
            ref, version = name, int(number)
        if version is not None and not 1 <= version <= _MOST_VERSIONS:
            return None
        return self._store.find_workflow(storable(ref), version)

    def get(self, ref: str | Workflow, version: int | None = None) -> Workflow:
        """Return the same as `find` of a workflow that must be there.

        Raises:
            WorkflowNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref, version)
        if found is None:
            name = ref.label if isinstance(ref, Workflow) else ref
            raise WorkflowNotFoundError(name if version is None else f"{name}@{version}")
        return found

    def list(
        self,
        where: Where = None,
        *,
        include_superseded: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> builtins.list[Workflow]:
        """Return workflows by name and version.

        Args:
            where: Which: ``{"name": ..., "namespace": ..., "study": ..., "task": ...}``.
            include_superseded: Whether versions are listed that are not promoted.
            limit: At most so many.
            offset: After so many.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: Something that was given is not what it must be.
        """
        check_page(limit, offset)
        return self._store.workflows(_meant(where, include_superseded), limit, offset)

    def count(self, where: Where = None, *, include_superseded: bool = False) -> int:
        """Return how many workflows the same criteria would list."""
        return self._store.count_workflows(_meant(where, include_superseded))

    def step(self, ref: str | WorkflowStep) -> WorkflowStep:
        """Return a step as it is now, by its id or the start of one.

        Raises:
            StepNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        return self._step(ref)[1]

    def of_step(self, ref: str | WorkflowStep) -> Workflow:
        """Return the workflow that a step is in.

        Raises:
            StepNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        return self.get(self._step(ref)[0])

    def _step(self, ref: str | WorkflowStep) -> tuple[str, WorkflowStep]:
        """Return a step with the id of its workflow."""
        text = ref_of(ref)
        found = self._store.find_step(text)
        if found is None:
            raise StepNotFoundError(text)
        return found

    def _describe(self, name: str) -> TaskOfPackage | None:
        """Return what packages that may be used say of a task; what the newest one says."""
        return next(iter(self._store.tasks_of_packages([name])), None)


def _meant(where: Where, include_superseded: bool) -> Criteria:
    given = where.to_json() if isinstance(where, Criteria) else where
    found = parse(given, WORKFLOW_FIELDS)
    return found if include_superseded else found & _PROMOTED


_PROMOTED: Final = parse({"promoted": {"is_": True}}, WORKFLOW_FIELDS)

__all__ = ["Where", "WorkflowFinder", "WorkflowStore"]
