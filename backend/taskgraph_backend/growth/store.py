"""The port of deletion and collection on a database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from taskgraph.catalog.deletions import DeletionReport, GcReport, Policy, StorageStats
from taskgraph_backend.growth import collecting, counting, deleting
from taskgraph_backend.opened import OpenedPort
from taskgraph_backend.outside import BESIDE

if TYPE_CHECKING:
    pass


class Growth(OpenedPort):
    """The port of deletion and collection on a database."""

    def delete(
        self, execution_id: str, *, force: bool, keep_cache: bool, actor: str | None = None
    ) -> DeletionReport | None:
        """Delete an execution with what only it needs; None where there is none.

        Raises:
            ActiveExecutionError: It has not ended, and it is not forced.
            PermissionDeniedError: One has not ended, and who forces it may not.
        """
        return deleting.delete(
            self._backend, execution_id, force=force, keep_cache=keep_cache, actor=actor
        )

    def check_deletion(self, execution_ids: Sequence[str], *, actor: str | None) -> None:
        """Check that somebody may delete executions although they have not ended.

        Raises:
            PermissionDeniedError: One is for others.
        """
        self._backend._ask(deleting.check, execution_ids, actor)

    def plan_deletion(
        self,
        execution_ids: Sequence[str],
        *,
        force: bool,
        keep_cache: bool,
        actor: str | None = None,
    ) -> DeletionReport:
        """Return what deleting executions would take away; nothing changes.

        Raises:
            ActiveExecutionError: One has not ended, and it is not forced.
            PermissionDeniedError: One has not ended, and who forces it may not.
        """
        return deleting.plan_deletion(
            self._backend, execution_ids, force=force, keep_cache=keep_cache, actor=actor
        )

    def collect(self, policy: Policy, *, grace: timedelta, dry_run: bool) -> GcReport:
        """Take away what nothing needs, and the bytes of values that no policy keeps."""
        backend = self._backend
        store, path = backend.value_store, backend.database.path
        is_own = (
            store is not None
            and path is not None
            and os.path.abspath(store.url) == os.path.abspath(path) + BESIDE
        )
        return collecting.collect(
            backend, policy, grace=grace, dry_run=dry_run, is_own_store=is_own
        )

    def stats(self) -> StorageStats:
        """Count what there is."""
        backend = self._backend
        return backend._ask(lambda driver: counting.count(backend.database, driver))

    def compact(self) -> int:
        """Give space that holds nothing back to the file system; returns how many bytes."""
        backend = self._backend
        before, _ = backend._ask(backend.database.space)
        backend._ask(backend.database.compact)
        after, _ = backend._ask(backend.database.space)
        return max(0, (before or 0) - (after or 0))


__all__ = ["Growth"]
