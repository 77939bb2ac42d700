"""The port of the managers of workflows and groups on a database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.group_rows import (
    Candidate,
    Decision,
    Derived,
    ExecutionGroup,
    GroupStats,
    Rules,
)
from taskgraph.catalog.requests import Request
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.submitters import Submitter
from taskgraph.catalog.uses import Uses, WantedUses
from taskgraph.catalog.workflow_rows import (
    NewStep,
    NewWorkflow,
    StepChange,
    TaskOfPackage,
    Workflow,
    WorkflowDeletion,
    WorkflowStep,
)
from taskgraph_backend.catalog import (
    applying,
    creating,
    group_lists,
    groups,
    pinning,
    steps,
    workflow_lists,
    workflows,
)
from taskgraph_backend.opened import OpenedPort

if TYPE_CHECKING:
    pass


class GroupCatalog(OpenedPort):
    """The port of the managers of workflows and groups on a database."""

    # Workflows

    def create_workflow(self, wanted: NewWorkflow) -> str:
        """Store a workflow; returns its id.

        Raises:
            DuplicateVersionError: There is such a version.
        """
        return self._backend._transact(workflows.create, wanted)

    def copy_workflow(self, workflow_id: str, new_id: str) -> bool:
        """Store a workflow once more, as the next version; returns whether it is there."""
        return self._backend._transact(workflows.copy, workflow_id, new_id)

    def promote_workflow(self, workflow_id: str) -> bool:
        """Have this version be the one that is meant; returns whether there is such a workflow."""
        return self._backend._transact(workflows.promote, workflow_id)

    def enable_workflow(self, workflow_id: str, is_enabled: bool) -> bool:
        """Have a workflow be applied, or not; returns whether there is such a workflow."""
        return self._backend._transact(workflows.enable, workflow_id, is_enabled)

    def delete_workflow(
        self, workflow_id: str, *, with_groups: bool, dry_run: bool
    ) -> WorkflowDeletion | None:
        """Delete a version; None where there is none.

        Raises:
            StillInUseError: An active execution runs it.
            WorkflowInUseError: It has groups, and these are not to go with it.
        """
        return self._backend._transact(workflows.delete, workflow_id, with_groups, dry_run)

    def find_workflow(self, ref: str, version: int | None) -> Workflow | None:
        """Return a workflow by full name, id or unique start of one.

        Raises:
            AmbiguousIdError: More than one is meant.
        """
        with self._backend.reader() as session:
            return workflow_lists.look_up(session, ref, version)

    def workflows(self, where: Criteria, limit: int | None, offset: int) -> list[Workflow]:
        """Return workflows by name and version."""
        with self._backend.reader() as session:
            return workflow_lists.page(session, where, limit, offset)

    def count_workflows(self, where: Criteria) -> int:
        """Return how many there are."""
        with self._backend.reader() as session:
            return workflow_lists.count(session, where)

    def tasks_of_packages(self, names: Sequence[str]) -> list[TaskOfPackage]:
        """Return what packages that are active say of tasks, the newest first."""
        with self._backend.reader() as session:
            return workflow_lists.tasks_of_packages(session, list(names))

    # Their steps

    def find_step(self, ref: str) -> tuple[str, WorkflowStep] | None:
        """Return a step by id or unique start of one, with the id of its workflow.

        Raises:
            AmbiguousIdError: More than one is meant.
        """
        with self._backend.reader() as session:
            return workflow_lists.look_up_step(session, ref)

    def add_step(self, workflow_id: str, step_id: str, step: NewStep, position: int | None) -> None:
        """Put a step before the one at a position, or behind all.

        Raises:
            WorkflowNotFoundError: The workflow was deleted since.
            ValidationError: There is no such position.
        """
        self._backend._transact(steps.add, workflow_id, step_id, step, position)

    def change_step(self, wanted: StepChange) -> bool:
        """Change what is given of a step; returns whether it is there."""
        return self._backend._transact(steps.change, wanted)

    def reorder_steps(self, workflow_id: str, step_ids: Sequence[str]) -> None:
        """Give the steps of a workflow a new order.

        Raises:
            WorkflowNotFoundError: The workflow was deleted since.
            NotAPermutationError: These are not all of its steps, each once.
        """
        self._backend._transact(steps.reorder, workflow_id, list(step_ids))

    def remove_step(self, step_id: str) -> bool:
        """Take a step out of its workflow; returns whether it was there."""
        return self._backend._transact(steps.remove, step_id)

    # What they are applied on

    def count_files(self, value_hashes: Sequence[str]) -> dict[str, int]:
        """Return how many files each of some contents has."""
        return self._backend._ask(applying.count_files, list(value_hashes))

    def submitter(self, name: str) -> Submitter | None:
        """Return the user of an e-mail address, a name or an id; None if nobody is registered."""
        return self._backend._ask(applying.submitter, name)

    # Groups

    def candidates(self, refs: Sequence[str] | None, study: str | None) -> list[Candidate]:
        """Return datasets with their facets; all that may be used if none are named.

        Raises:
            DatasetNotFoundError: There is no such dataset.
            AmbiguousIdError: A name or the start of an id is that of several.
        """
        return self._backend._ask(groups.candidates, refs, study)

    def plan(
        self, workflow: Workflow, wanted: Sequence[Derived], rules: Rules, *, auto_promote: bool
    ) -> list[Decision]:
        """Make the groups that are missing, and decide on each."""
        given = workflow.id, wanted, rules, auto_promote
        return self._backend._transact(groups.plan, *given)

    def judge(self, group_id: str, dataset_hash: str, rules: Rules) -> Decision | None:
        """Decide on a group; None where there is none."""
        return self._backend._transact(groups.judge, group_id, dataset_hash, rules)

    def pin(self, wanted: WantedUses) -> Uses:
        """Return what an execution is to use, with the content that it has now.

        Raises:
            NotFoundError: There is no such workflow, dataset or group.
        """
        return self._backend._ask(pinning.pin, wanted)

    def launch(self, decision: Decision, request: Request) -> ExecutionGroup | None:
        """Write an execution of a group down; None where somebody was quicker."""
        while True:
            frozen = str(self._backend.record_value(request.snapshot()))
            # Whoever collects what nothing names may come in between.
            with suppress(creating.SnapshotGoneError):
                return self._backend._transact(groups.launch, decision, request, frozen)

    def find_group(self, ref: str) -> ExecutionGroup | None:
        """Return a group by key, id or unique start of one.

        Raises:
            AmbiguousIdError: More than one is meant.
        """
        with self._backend.reader() as session:
            return group_lists.look_up(session, ref)

    def groups(
        self,
        where: Criteria,
        *,
        is_successful: bool,
        include_superseded: bool,
        limit: int | None,
        offset: int,
    ) -> list[tuple[ExecutionGroup, Execution | None]]:
        """Return groups with their newest execution, or the newest that ended well."""
        with self._backend.reader() as session:
            return group_lists.page(
                session,
                where,
                is_successful=is_successful,
                include_superseded=include_superseded,
                limit=limit,
                offset=offset,
            )

    def count_groups(self, where: Criteria, *, include_superseded: bool) -> int:
        """Return how many groups there are."""
        with self._backend.reader() as session:
            return group_lists.count(session, where, include_superseded=include_superseded)

    def flag_dirty(self, group_id: str, *, recompute: bool, reason: str) -> bool:
        """Have a group run when it is next planned; returns whether there is such a group."""
        given = [group_id], recompute, reason
        return self._backend._transact(groups.flag_dirty, *given) > 0

    def delete_groups(self, group_ids: Sequence[str]) -> list[str]:
        """Delete groups that have no executions; returns which."""
        return self._backend._transact(groups.delete, group_ids)

    def group_stats(self, by: Sequence[str]) -> list[GroupStats]:
        """Return the numbers of groups."""
        with self._backend.reader() as session:
            return group_lists.stats(session, list(by))


__all__ = ["GroupCatalog"]
