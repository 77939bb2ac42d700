"""The port of the managers of workflows and groups on a database."""

from __future__ import annotations

from collections.abc import Sequence
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
from taskgraph.catalog.uses import Uses, WantedUses
from taskgraph.catalog.workflow_rows import NewWorkflow, Workflow
from taskgraph_backend.catalog import group_lists, groups, pinning, workflow_lists, workflows
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

    def promote_workflow(self, workflow_id: str) -> bool:
        """Have this version be the one that is meant; returns whether there is such a workflow."""
        return self._backend._transact(workflows.promote, workflow_id)

    def find_workflow(self, ref: str, version: int | None) -> Workflow | None:
        """Return a workflow by full name, id or unique start of one.

        Raises:
            AmbiguousIdError: More than one is meant.
        """
        with self._backend.reader() as session:
            return workflow_lists.look_up(session, ref, version)

    def workflows(self, include_superseded: bool) -> list[Workflow]:
        """Return workflows by name and version."""
        with self._backend.reader() as session:
            return workflow_lists.every(session, include_superseded)

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
        frozen = str(self._backend.record_value(request.snapshot()))
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
