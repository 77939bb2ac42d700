"""Executions are deleted, with what only they need: what `ExecutionManager` does for that."""

from __future__ import annotations

import builtins
import os
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike

from taskgraph.catalog.cards import remove_card
from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.deletions import DeletionReport, GrowthStore
from taskgraph.catalog.folders import Folders
from taskgraph.catalog.reading import leaf
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.store import CatalogStore
from taskgraph.errors import (
    ActiveExecutionError,
    ExecutionNotFoundError,
    UnsafePathError,
    ValidationError,
)

_AT_A_TIME = 500


class Deletion:
    """Deletes executions.

    Args:
        store: Where they are found.
        growth: What takes them away.
        folders: What they leave beside the database.
    """

    def __init__(self, store: CatalogStore, growth: GrowthStore, folders: Folders) -> None:
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
        actor: str | None = None,
    ) -> DeletionReport | None:
        """Delete one; None where there is none, and that is no error."""
        text = ref.id if isinstance(ref, Execution) else str(ref)
        found = self._store.find(text)
        if found is None:
            if missing_ok:
                return None
            raise ExecutionNotFoundError(text)
        every = [found]
        self._check(every, force, remove_workspace, actor)
        if dry_run:
            return self._plan(every, force, keep_cache, remove_workspace, actor)
        report = self._delete(found, force, keep_cache, remove_workspace, actor)
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
        actor: str | None = None,
    ) -> DeletionReport:
        """Delete all that are meant; which these are is settled before the first one goes."""
        every = self._every(where)
        self._check(every, force, remove_workspace, actor)
        if dry_run:
            return self._plan(every, force, keep_cache, remove_workspace, actor)
        report = DeletionReport()
        for each in every:
            done = self._delete(each, force, keep_cache, remove_workspace, actor)
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

    def _check(
        self, every: Sequence[Execution], force: bool, remove_workspace: bool, actor: str | None
    ) -> None:
        for each in every:
            if each.state.is_active and not force:
                raise ActiveExecutionError(each.id, each.state.name)
        if force:
            self._growth.check_deletion([each.id for each in every], actor=actor)
        if remove_workspace:
            self._check_workspaces(every)

    def _check_workspaces(self, every: Sequence[Execution]) -> None:
        """Check that the folders may go, and that no other execution has its own in one of them."""
        mine = [each.workspace for each in every if each.workspace is not None]
        for folder in mine:
            self._folders.check(folder)
        if not mine:
            return
        going = {each.id for each in every}
        near = leaf("workspace", "like_", mine[0] + os.sep)
        where = near if len(mine) == 1 else leaf("workspace", "is_null_", False)
        others = sorted(
            each.workspace
            for each in self._every(where)
            if each.workspace is not None and each.id not in going
        )
        for folder in mine:
            found = bisect(others, folder + os.sep)
            if found < len(others) and others[found].startswith(folder + os.sep):
                reason = f"another execution has its workspace there, {others[found]}"
                raise UnsafePathError(folder, reason, [str(each) for each in self._folders.roots])

    def _plan(
        self,
        every: Sequence[Execution],
        force: bool,
        keep_cache: bool,
        remove_workspace: bool,
        actor: str | None,
    ) -> DeletionReport:
        ids = [each.id for each in every]
        report = self._growth.plan_deletion(ids, force=force, keep_cache=keep_cache, actor=actor)
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
        self,
        found: Execution,
        force: bool,
        keep_cache: bool,
        remove_workspace: bool,
        actor: str | None,
    ) -> DeletionReport | None:
        report = self._growth.delete(found.id, force=force, keep_cache=keep_cache, actor=actor)
        if report is None:
            return None
        self._folders.forget_output(found.id)
        if found.workspace is not None:
            remove_card(found.workspace, found.id)
        if remove_workspace and found.workspace and self._remove(found.workspace):
            return replace(report, workspaces=(found.workspace,))
        return report

    def _remove(self, folder: str) -> bool:
        try:
            return self._folders.remove(folder)
        except OSError as error:
            reason = f"its execution is deleted, but it cannot be ({error.strerror or error})"
            roots = [str(each) for each in self._folders.roots]
            raise UnsafePathError(folder, reason, roots) from error


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
