"""Executions are deleted, with what only they need: what `ExecutionManager` does for that."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Protocol

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.deletions import DeletionReport, GrowthStore
from taskgraph.catalog.folders import Folders
from taskgraph.catalog.rows import Execution, Page
from taskgraph.errors import ActiveExecutionError, ExecutionNotFoundError, ValidationError

_AT_A_TIME = 500


class ExecutionLists(Protocol):
    """Where executions are found."""

    def find(self, ref: str) -> Execution | None:
        """Return an execution by id, unique start of one, or workspace."""

    def page(
        self,
        where: Criteria,
        *,
        sort: str,
        descending: bool,
        limit: int,
        offset: int,
        after: str | None,
    ) -> Page[Execution]:
        """Return a page of executions."""


class Deletion:
    """Deletes executions.

    Args:
        store: Where they are found.
        growth: What takes them away.
        folders: What they leave beside the database.
    """

    def __init__(self, store: ExecutionLists, growth: GrowthStore, folders: Folders) -> None:
        self._store = store
        self._growth = growth
        self._folders = folders

    def delete(
        self,
        ref: str | PathLike[str] | Execution,
        *,
        missing_ok: bool,
        force: bool,
        keep_cache: bool,
        remove_workspace: bool,
        dry_run: bool,
    ) -> DeletionReport | None:
        """Delete one; None where there is none, and that is no error."""
        text = ref.id if isinstance(ref, Execution) else str(ref)
        found = self._store.find(text)
        if found is None:
            if missing_ok:
                return None
            raise ExecutionNotFoundError(text)
        every = [found]
        self._check(every, force, remove_workspace)
        if dry_run:
            return self._plan(every, force, keep_cache, remove_workspace)
        report = self._delete(found, force, keep_cache, remove_workspace)
        if report is None and not missing_ok:  # deleted since
            raise ExecutionNotFoundError(text)
        return report

    def delete_many(
        self,
        where: Criteria,
        *,
        force: bool,
        keep_cache: bool,
        remove_workspace: bool,
        dry_run: bool,
    ) -> DeletionReport:
        """Delete all that are meant; which these are is settled before the first one goes."""
        every = self._every(where)
        self._check(every, force, remove_workspace)
        if dry_run:
            return self._plan(every, force, keep_cache, remove_workspace)
        report = DeletionReport()
        for each in every:
            done = self._delete(each, force, keep_cache, remove_workspace)
            report += done or DeletionReport()
        return report

    def _every(self, where: Criteria) -> builtins.list[Execution]:
        found: builtins.list[Execution] = []
        after: str | None = None
        while True:
            page = self._store.page(
                where,
                sort="created",
                descending=True,
                limit=_AT_A_TIME,
                offset=0,
                after=after,
            )
            found += page
            after = page.next
            if after is None:
                return found

    def _check(self, every: Sequence[Execution], force: bool, remove_workspace: bool) -> None:
        for each in every:
            if each.state.is_active and not force:
                raise ActiveExecutionError(each.id, each.state.name)
            if remove_workspace and each.workspace is not None:
                self._folders.check(each.workspace)

    def _plan(
        self,
        every: Sequence[Execution],
        force: bool,
        keep_cache: bool,
        remove_workspace: bool,
    ) -> DeletionReport:
        ids = [each.id for each in every]
        report = self._growth.plan_deletion(ids, force=force, keep_cache=keep_cache)
        folders = [each.workspace for each in every if each.workspace is not None]
        return replace(
            report,
            workspaces=tuple(
                str(path)
                for path in map(self._folders.check, folders if remove_workspace else ())
                if path.is_dir()
            ),
        )

    def _delete(
        self, found: Execution, force: bool, keep_cache: bool, remove_workspace: bool
    ) -> DeletionReport | None:
        report = self._growth.delete(found.id, force=force, keep_cache=keep_cache)
        if report is None:
            return None
        self._folders.forget_output(found.id)
        if remove_workspace and found.workspace and self._folders.remove(found.workspace):
            return replace(report, workspaces=(found.workspace,))
        return report


def checked_where(where: Criteria, every: bool) -> Criteria:
    """Return which executions are meant; those that were retracted too.

    Raises:
        ValidationError: Nothing says which, or both a filter and all of them are asked for.
    """
    if where.is_empty and not every:
        raise ValidationError(
            "where",
            "without a filter this is every execution. Say which are meant, or ask for all of them "
            "with all=True (--all).",
        )
    if every and not where.is_empty:
        raise ValidationError("all", "it goes with no filter: give one of both.")
    return where


__all__ = ["Deletion", "checked_where"]
