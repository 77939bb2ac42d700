"""The manager of stored workflows: created in versions, edited, applied, exported and deleted."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from taskgraph.catalog.applying import ApplyVerbs
from taskgraph.catalog.editing import StepVerbs
from taskgraph.catalog.portable import portable, read_spec, read_steps
from taskgraph.catalog.requests import check_between, checked_name, checked_object
from taskgraph.catalog.secrets import check_labels
from taskgraph.catalog.steps import RESERVED_ARGUMENTS, Step, checked_step
from taskgraph.catalog.workflow_finding import WorkflowStore
from taskgraph.catalog.workflow_rows import NewWorkflow, Workflow, WorkflowDeletion
from taskgraph.errors import ValidationError, WorkflowNotFoundError

_MOST_VERSIONS: Final = 2**31 - 1
_NEXT: Final = "next"
_ID: Final = re.compile(r"[0-9a-fA-F]{32}")


class WorkflowManager(StepVerbs, ApplyVerbs):
    """Stored workflows: ``archive.workflows``."""

    def create(
        self,
        name: str,
        *,
        namespace: str = "",
        study: str | None = None,
        version: int = 1,
        steps: Iterable[Step] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Workflow:
        """Store a named, versioned list of steps; the first version of a name is promoted.

        The first step is given the datasets that the workflow is run on, each other one what the
        step before it returned: as its first argument. All else is given by name.

        Args:
            name: What people call it.
            namespace: Where the name is at home.
            study: The name of the study that it is part of, which is made if it is missing.
            version: 1 or more.
            steps: Tasks, or their full names; with arguments as a pair, or as an object with
                ``task``, ``args`` and ``options``.
            meta: What else is to be kept with it; ``script`` says where its tasks are.

        Raises:
            DuplicateVersionError: There is such a version.
            ReservedArgumentError: An argument is one that is only given when it runs.
            ValidationError: Something that was given is not what it must be.
        """
        wanted = NewWorkflow(
            id=uuid.uuid4().hex,
            namespace=_checked_namespace(namespace),
            name=_checked_part("workflow", name),
            version=_checked_version(version),
            study=None if study is None else checked_name("study", study),
            steps=tuple(checked_step(each, self._describe) for each in _listed(steps)),
            meta=_checked_meta(meta),
        )
        return self.get(self._store.create_workflow(wanted))

    def new_version(self, workflow: str | Workflow) -> Workflow:
        """Store a workflow once more, as the version after the highest; it is not promoted.

        Raises:
            WorkflowNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found, new_id = self.get(workflow), uuid.uuid4().hex
        if not self._store.copy_workflow(found.id, new_id):  # deleted since
            raise WorkflowNotFoundError(found.label)
        return self.get(new_id)

    def promote(self, workflow: str | Workflow, version: int | None = None) -> Workflow:
        """Have a version of a workflow be the one that is meant, in place of the one before.

        Raises:
            WorkflowNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        if isinstance(workflow, Workflow) and version is not None:
            workflow = workflow.fullname
        found = self.get(workflow, version)
        if not self._store.promote_workflow(found.id):  # deleted since
            raise WorkflowNotFoundError(found.label)
        return self.get(found.id)

    def enable(self, workflow: str | Workflow) -> Workflow:
        """Have a version of a workflow be applied from now on, that was disabled.

        Raises:
            WorkflowNotFoundError: There is none.
        """
        return self._enable(workflow, True)

    def disable(self, workflow: str | Workflow) -> Workflow:
        """Have a version of a workflow not be applied until it is enabled; what runs goes on.

        Raises:
            WorkflowNotFoundError: There is none.
        """
        return self._enable(workflow, False)

    def _enable(self, workflow: str | Workflow, is_enabled: bool) -> Workflow:
        found = self.get(workflow)
        if not self._store.enable_workflow(found.id, is_enabled):  # deleted since
            raise WorkflowNotFoundError(found.label)
        return self.get(found.id)

    def delete(
        self, workflow: str | Workflow, *, groups: bool = False, dry_run: bool = False
    ) -> WorkflowDeletion:
        """Delete a version of a workflow with its steps.

        Executions that ran it stay, with what was frozen when they were submitted. If it was the
        version that is meant, the highest of the others is from now on.

        Args:
            workflow: Which; of a name it is the promoted version.
            groups: Whether its groups go with it; their executions stay.
            dry_run: Whether to say only what would go.

        Raises:
            WorkflowNotFoundError: There is none.
            StillInUseError: An active execution runs it.
            WorkflowInUseError: It has groups, and it was not said that they go with it.
        """
        found = self.get(workflow)
        gone = self._store.delete_workflow(found.id, with_groups=groups, dry_run=dry_run)
        if gone is None:  # deleted since
            raise WorkflowNotFoundError(found.label)
        return gone

    def export(self, workflow: str | Workflow) -> dict[str, Any]:
        """Return a workflow as JSON that another database takes: no ids, no times, tasks by name.

        Of tasks that are of nothing but somebody's own packages it is warned.

        Raises:
            WorkflowNotFoundError: There is none.
        """
        return portable(self.get(workflow), self._store.tasks_of_packages)

    def import_(
        self,
        spec: Mapping[str, Any],
        *,
        study: str | None = None,
        version: int | Literal["next"] | None = None,
        allow_unknown: bool = False,
    ) -> Workflow:
        """Store a workflow that was exported; it says the same as the one that it was made of.

        Each of its tasks must be known once, by its full name: in this process, or as a task of one
        package that is active.

        Args:
            spec: What `export` gave.
            study: The name of the study that it is to be part of.
            version: In place of its own; ``"next"`` is the one after the highest.
            allow_unknown: Whether tasks may be named that are not known at all: of these nothing is
                checked, which is warned of.

        Raises:
            DuplicateVersionError: There is such a version.
            TaskNotFoundError: A task is not known, or several packages have one of its name.
            ValidationError: It is no workflow; names the place.
        """
        said = read_spec(spec)
        chosen = said.get("version", 1) if version is None else version
        wanted = NewWorkflow(
            id=uuid.uuid4().hex,
            namespace=_checked_namespace(said.get("namespace", "")),
            name=_checked_part("workflow", said["name"]),
            version=None if chosen == _NEXT else _checked_version(chosen),
            study=None if study is None else checked_name("study", study),
            steps=read_steps(
                said["steps"], self._store.tasks_of_packages, allow_unknown=allow_unknown
            ),
            meta=_checked_meta(said.get("meta")),
        )
        return self.get(self._store.create_workflow(wanted))


def _listed(given: Any) -> Iterable[Step]:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise ValidationError("steps", f"expected a list of steps, not {given!r}.")
    return given


def _checked_version(given: Any) -> int:
    check_between("version", given, 1, _MOST_VERSIONS)
    return int(given)


def _checked_meta(given: Mapping[str, Any] | None) -> dict[str, Any]:
    meta = checked_object("meta", given)
    check_labels("meta", meta)
    return meta


def _checked_namespace(given: str) -> str:
    return _checked_part("namespace", given) if given else ""


def _checked_part(what: str, given: str) -> str:
    name = checked_name(what, given)
    check_labels(what, name)
    if "@" in name:
        raise ValidationError(what, f"{name!r}: what follows an @ is a version.")
    if what == "workflow" and "." in name:
        raise ValidationError(what, f"{name!r}: what stands before a dot is a namespace=.")
    if what == "workflow" and _ID.fullmatch(name):
        raise ValidationError(what, f"{name!r}: 32 hex digits are an id, and no name.")
    return name


__all__ = ["RESERVED_ARGUMENTS", "Step", "WorkflowManager", "WorkflowStore"]
