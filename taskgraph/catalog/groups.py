"""The manager of groups: which are to run and why, and running them.

A group is planned, and what is planned is launched: a row is written only if nobody was quicker,
and all rows are there before anything runs.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, Final, Literal, Protocol

from taskgraph.catalog.admission import Admission
from taskgraph.catalog.criteria import GROUP_FIELDS, Criteria
from taskgraph.catalog.executions import ExecutionManager
from taskgraph.catalog.group_launching import Asked, GroupLaunching, LaunchStore
from taskgraph.catalog.group_rows import (
    Candidate,
    Decision,
    Derived,
    ExecutionGroup,
    GroupDeletionReport,
    GroupStats,
    Rules,
)
from taskgraph.catalog.grouping import checked_facets, derive
from taskgraph.catalog.launches import Launch, Launcher
from taskgraph.catalog.reading import any_of, parse
from taskgraph.catalog.requests import check_page, checked_name, checked_submitter
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.uses import ref_of
from taskgraph.catalog.workflow_finding import WorkflowStore
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.catalog.workflows import WorkflowManager
from taskgraph.errors import GroupNotFoundError, ValidationError

_MOST: Final = 100
_BY: Final = ("namespace", "workflow")

#: Which groups: criteria, or the JSON that they are written as.
Where = Criteria | Mapping[str, Any] | None


class GroupStore(WorkflowStore, LaunchStore, Protocol):
    """What the manager of groups needs of a database."""

    def candidates(self, refs: Sequence[str] | None, study: str | None) -> list[Candidate]:
        """Return datasets with their facets; all that may be used if none are named."""

    def plan(
        self, workflow: Workflow, wanted: Sequence[Derived], rules: Rules, *, auto_promote: bool
    ) -> list[Decision]:
        """Make the groups that are missing, and decide on each."""

    def judge(self, group_id: str, dataset_hash: str, rules: Rules) -> Decision | None:
        """Decide on a group; None where there is none."""

    def find_group(self, ref: str) -> ExecutionGroup | None:
        """Return a group by key, id or unique start of one."""

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

    def count_groups(self, where: Criteria, *, include_superseded: bool) -> int:
        """Return how many groups there are."""

    def flag_dirty(self, group_id: str, *, recompute: bool, reason: str) -> bool:
        """Have a group run when it is next planned; returns whether there is such a group."""

    def delete_groups(self, group_ids: Sequence[str]) -> list[str]:
        """Delete groups that have no executions; returns which."""

    def group_stats(self, by: Sequence[str]) -> list[GroupStats]:
        """Return the numbers of groups."""


class GroupManager:
    """Groups of executions: ``archive.groups``.

    Args:
        store: Where they are.
        workflows: Those that they are of.
        executions: Those that they have.
        launcher: Returns what runs them.
        admission: Says whether something may be submitted.
    """

    def __init__(
        self,
        store: GroupStore,
        workflows: WorkflowManager,
        executions: ExecutionManager,
        launcher: Callable[[], Launcher],
        admission: Admission,
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._executions = executions
        self._launcher = launcher
        self._admission = admission
        self._launching = GroupLaunching(store, workflows, admission)

    def plan(
        self,
        workflow: str | Workflow,
        datasets: Iterable[Any] | None = None,
        *,
        group_by: Iterable[str],
        rerun_failed: bool = False,
        stale_after: timedelta | None = None,
        auto_promote: bool = True,
    ) -> builtins.list[Decision]:
        """Derive groups from the facets of datasets, and say of each whether it is to run, and why.

        Groups that are missing are made, and are dirty. Nothing is launched.

        Args:
            workflow: What they are groups of: its name, which is the promoted version, or itself.
            datasets: Datasets that were found, their names or ids; by default all that are not
                retracted.
            group_by: Facets by whose values they are told apart: ``key``, or ``type.key``.
            rerun_failed: Whether groups run again whose newest execution did not end well.
            stale_after: After what silence an execution that is in progress is marked CRASHED.
            auto_promote: Whether the first groups of a higher version promote it.

        Raises:
            WorkflowNotFoundError: There is no such workflow.
            DatasetNotFoundError: There is no such dataset.
            ValidationError: Something that was given is not what it must be.
        """
        found = self._workflows.get(workflow)
        facets = checked_facets(group_by)
        if isinstance(datasets, str | Mapping):
            raise ValidationError("datasets", f"expected a list of datasets, not {datasets!r}.")
        refs = None if datasets is None else [ref_of(each) for each in datasets]
        derived = derive(self._store.candidates(refs, found.study), facets)
        rules = _rules(rerun_failed, stale_after)
        return self._store.plan(found, derived, rules, auto_promote=auto_promote)

    def should_run(
        self,
        group: str | ExecutionGroup,
        dataset_hash: str,
        *,
        rerun_failed: bool = False,
        stale_after: timedelta | None = None,
    ) -> Decision:
        """Decide on one group: true if it is to run on datasets of this hash.

        The hash is noted as what the group was last planned on.

        Raises:
            GroupNotFoundError: There is no such group.
            ValidationError: The hash is none.
        """
        if not isinstance(dataset_hash, str) or not _is_hash(dataset_hash):
            raise ValidationError("dataset_hash", f"expected 32 hex digits, not {dataset_hash!r}.")
        found = self.get(group)
        rules = _rules(rerun_failed, stale_after)
        decision = self._store.judge(found.id, dataset_hash.lower(), rules)
        if decision is None:  # deleted since
            raise GroupNotFoundError(found.key)
        return decision

    def run(
        self,
        decisions: Iterable[Decision],
        *,
        limit: int | None = None,
        one_per: Literal["workflow", "namespace"] | None = None,
        dry_run: bool = False,
        recompute: bool = False,
        account: str | None = None,
        submitted_by: str | None = None,
    ) -> builtins.list[Execution]:
        """Run what was decided to run, in this process, one execution after the other.

        All rows are written before anything runs. Each is decided on once more as it is written: a
        group that somebody else has launched since it was planned is left to him.

        Args:
            decisions: What `plan` gave.
            limit: At most so many.
            one_per: At most one of each workflow, or of each namespace.
            dry_run: Whether nothing is written and nothing runs; see `choose` for what would.
            recompute: Whether no results of before are used.
            account: From what is paid; by default that of who submits it, if that is registered.
            submitted_by: Who asks for it; by default the user that the settings name.

        Returns:
            The executions as they ended. One whose task failed is FAILED, and the others go on.

        Raises:
            UnknownTaskError: A task is not defined in this process; nothing was launched.
            RerunError: A step is pinned to other code than there is here; nothing was launched.
            DisabledWorkflowError: A workflow is disabled; nothing was launched.
            EmptyWorkflowError: A workflow has no steps; nothing was launched.
            IncompatibleDatasetError: A dataset is of a type that does not fit, or has no files;
                nothing is run.
            InactiveTaskError: A step is a task of packages that are not active; nothing is run.
            PermissionDeniedError: Who asks may not use the account; nothing was launched.
            ValidationError: It is not known which datasets a decision is of, or a step has
                arguments that its task does not take; nothing was launched.
            DatasetNotFoundError: A dataset was deleted since; nothing is run.
        """
        wanted = [each for each in decisions if each.run]
        launcher = self._launcher()
        _check_choice(limit, one_per)
        user = self._executions.user if submitted_by is None else submitted_by
        who = checked_submitter(user)
        paid = self._admission.account(who, account)
        flows = self._launching.checked(wanted, launcher)
        asked = Asked(who, paid, recompute)
        launches: builtins.list[Launch] = []
        taken: set[str] = set()
        try:
            for each in wanted:
                if dry_run or (limit is not None and len(launches) >= limit):
                    break
                lane = _lane(each, one_per)
                launch = None
                if lane not in taken:
                    flow = flows[each.group.workflow_id]
                    launch = self._launching.launch(each, flow, asked)
                if launch is not None:
                    taken.add(lane)
                    launches.append(launch)
        except BaseException:
            launcher.give_up(launches)
            raise
        return launcher.run_all(launches)

    def choose(
        self,
        decisions: Iterable[Decision],
        *,
        limit: int | None = None,
        one_per: Literal["workflow", "namespace"] | None = None,
    ) -> builtins.list[Decision]:
        """Return what of some decisions `run` would launch if nobody else does anything.

        Raises:
            ValidationError: Something that was given is not what it must be.
        """
        _check_choice(limit, one_per)
        found: builtins.list[Decision] = []
        taken: set[str] = set()
        for each in decisions:
            lane = _lane(each, one_per)
            if each.run and lane not in taken and (limit is None or len(found) < limit):
                taken.add(lane)
                found.append(each)
        return found

    def find(self, ref: str | ExecutionGroup) -> ExecutionGroup | None:
        """Return a group by its key, its id or the start of one; None where there is none.

        A key that groups of several workflows have is written ``workflow/key``.

        Raises:
            AmbiguousIdError: More than one is meant.
        """
        return self._store.find_group(ref_of(ref))

    def get(self, ref: str | ExecutionGroup) -> ExecutionGroup:
        """Return the same as `find` of a group that must be there.

        Raises:
            GroupNotFoundError: There is none.
            AmbiguousIdError: More than one is meant.
        """
        found = self.find(ref)
        if found is None:
            raise GroupNotFoundError(ref.key if isinstance(ref, ExecutionGroup) else ref)
        return found

    def list(
        self,
        where: Where = None,
        *,
        latest: Literal["any", "successful"] = "any",
        include_superseded: bool = False,
        limit: int | None = _MOST,
        offset: int = 0,
    ) -> builtins.list[tuple[ExecutionGroup, Execution | None]]:
        """Return groups, each with its newest execution, by workflow and key.

        Args:
            where: Which: ``{"workflow": ..., "facet": ..., "dirty": ..., "successful": ...}``.
            latest: Whether the newest execution is given, or the newest that ended well.
            include_superseded: Whether groups of versions are listed that are not promoted.
            limit: At most so many.
            offset: After so many.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: Something that was given is not what it must be.
        """
        if latest not in ("any", "successful"):
            raise ValidationError("latest", f"expected any or successful, not {latest!r}.")
        check_page(limit, offset)
        return self._store.groups(
            _meant(where),
            is_successful=latest == "successful",
            include_superseded=include_superseded,
            limit=limit,
            offset=offset,
        )

    def count(self, where: Where = None, *, include_superseded: bool = False) -> int:
        """Return how many groups the same criteria would list."""
        meant = _meant(where)
        return self._store.count_groups(meant, include_superseded=include_superseded)

    def flag_dirty(
        self, group: str | ExecutionGroup, *, recompute: bool = False, reason: str = "manual"
    ) -> None:
        """Have a group run again when it is next planned, whatever it was run on.

        Args:
            group: Which.
            recompute: Whether that run uses no results of before.
            reason: Why, in a word.

        Raises:
            GroupNotFoundError: There is no such group.
        """
        found = self.get(group)
        why = checked_name("reason", reason)
        if not self._store.flag_dirty(found.id, recompute=recompute, reason=why):
            raise GroupNotFoundError(found.key)

    def delete(
        self, where: Where, *, remove_workspaces: bool = False, dry_run: bool = False
    ) -> GroupDeletionReport:
        """Delete groups with their executions, and what only these need; datasets stay.

        Args:
            where: Which, of all versions; without a filter nothing is deleted.
            remove_workspaces: Whether the folders of the executions go, which must be inside of a
                root.
            dry_run: Whether to say only what would be done.

        Raises:
            ValidationError: Nothing says which are meant.
            ActiveExecutionError: One of the executions has not ended; nothing was done.
            UnsafePathError: A folder may not be removed; nothing was done.
        """
        meant = _meant(where)
        if meant.is_empty:
            raise ValidationError("where", "without a filter this is every group. Say which.")
        found = self._store.groups(
            meant, is_successful=False, include_superseded=True, limit=None, offset=0
        )
        ids = [group.id for group, _ in found]
        if not ids:
            return GroupDeletionReport(is_dry_run=dry_run)
        report = self._executions.delete_many(
            any_of("group", ids), remove_workspace=remove_workspaces, dry_run=dry_run
        )
        gone = ids if dry_run else self._store.delete_groups(ids)
        said = {each.name: getattr(report, each.name) for each in fields(report)}
        return GroupDeletionReport(**said, groups=tuple(gone))

    def stats(self, by: Iterable[str] = _BY) -> builtins.list[GroupStats]:
        """Return how many groups run, failed, ended well, never ran, are dirty; in one statement.

        Only those of promoted versions count.

        Args:
            by: By ``namespace``, ``workflow``, both or none.

        Raises:
            ValidationError: It is none of these.
        """
        wanted = (by,) if isinstance(by, str) else tuple(by)
        for each in wanted:
            if each not in _BY:
                raise ValidationError("by", f"expected namespace or workflow, not {each!r}.")
        return self._store.group_stats([each for each in _BY if each in wanted])


def _rules(rerun_failed: bool, stale_after: timedelta | None) -> Rules:
    if stale_after is not None and not isinstance(stale_after, timedelta):
        raise ValidationError("stale_after", f"expected a timedelta, not {stale_after!r}.")
    return Rules(bool(rerun_failed), stale_after)


def _check_choice(limit: int | None, one_per: str | None) -> None:
    is_number = isinstance(limit, int) and not isinstance(limit, bool)
    if limit is not None and not (is_number and limit >= 0):
        raise ValidationError("limit", f"expected 0 or more, not {limit!r}.")
    if one_per not in (None, *_BY):
        raise ValidationError("one_per", f"expected workflow or namespace, not {one_per!r}.")


def _meant(where: Where) -> Criteria:
    given = where.to_json() if isinstance(where, Criteria) else where
    return parse(given, GROUP_FIELDS)


def _lane(decision: Decision, one_per: str | None) -> str:
    """Return what at most one execution is launched of."""
    match one_per:
        case "workflow":
            return decision.group.workflow
        case "namespace":
            return decision.group.namespace
        case _:
            return decision.group.id


def _is_hash(text: str) -> bool:
    return len(text) == 32 and all(each in "0123456789abcdefABCDEF" for each in text)


__all__ = ["GroupManager", "GroupStore", "Launch", "Launcher", "Where"]
