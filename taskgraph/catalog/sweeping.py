"""Sweeping: executions that are said to be on their way, and are not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from taskgraph.catalog.rows import Execution, Swept
from taskgraph.catalog.store import CatalogStore, QueueStore, Where, meant
from taskgraph.catalog.writing import F

_AT_ONCE: Final = 1_000


class SweepingVerbs:
    """The verbs of the manager of executions that put right what nobody says any more."""

    _store: CatalogStore
    _queues: QueueStore | None

    def fail_running(
        self,
        where: Where = None,
        *,
        older_than: timedelta | None = None,
        dry_run: bool = False,
    ) -> list[Execution]:
        """Mark executions CRASHED that are stuck.

        Args:
            where: Which of those that are said to run.
            older_than: Only those that were not heard of for so long; by default, those that no
                living process runs.
            dry_run: Whether they are only returned.

        Returns:
            Those that were marked, or would be.
        """
        found = self._store.find_stuck(meant(where, include_retracted=True), older_than)
        if dry_run or not found:
            return found
        return self._every(self._store.fail_stuck([each.id for each in found], older_than))

    def mark_late(
        self,
        where: Where = None,
        *,
        after: timedelta = timedelta(0),
        dry_run: bool = False,
    ) -> list[Execution]:
        """Have executions be called Late that are SCHEDULED, and should have started.

        They stay SCHEDULED for the time that was said. Of several who do so at once, one does.

        Args:
            where: Which of them.
            after: How late they may be before they are called so.
            dry_run: Whether they are only returned.

        Returns:
            Those that were marked, or would be.
        """
        found = self._store.find_late(meant(where, include_retracted=True), after)
        return self._every(found if dry_run or not found else self._store.mark_late(found, after))

    def sweep(
        self,
        *,
        late_after: timedelta = timedelta(0),
        stale_after: timedelta | None = None,
        dry_run: bool = False,
    ) -> Swept:
        """Put right what nobody says any more: what is late is Late, what died is CRASHED.

        What a worker had that died waits in its queues again, unless too many were lost with it.

        That a process is gone is known of each that ran on this machine, and of others once their
        heartbeat stops; of what was created here and is run elsewhere it is never known.

        Args:
            late_after: How late something may start before it is called so.
            stale_after: Have also those be CRASHED that run elsewhere, and were not heard of for so
                long.
            dry_run: Whether it is only told.
        """
        late = self.mark_late(after=late_after, dry_run=dry_run)
        returned: Iterable[str] = ()
        dead: list[str] = []
        if dry_run:
            returned = () if self._queues is None else self._queues.find_lost()
            dead = [each for each in self._store.find_dead() if each not in set(returned)]
        else:
            if self._queues is not None:
                returned, lost = self._queues.give_back()
                dead += lost
            dead += self._store.sweep()
        crashed = self._every(dead)
        if stale_after is not None:
            stale = self.fail_running(older_than=stale_after, dry_run=dry_run)
            crashed += [each for each in stale if each.id not in set(dead)]
        return Swept(tuple(late), tuple(crashed), tuple(self._every(returned)))

    def _every(self, ids: Iterable[str]) -> list[Execution]:
        """Return executions as they are now, the newest first."""
        wanted = sorted(set(ids))
        found: list[Execution] = []
        for start in range(0, len(wanted), _AT_ONCE):
            piece = wanted[start : start + _AT_ONCE]
            found += self._store.page(
                F.id(*piece),
                sort="created",
                descending=True,
                limit=len(piece),
                offset=0,
                after=None,
            )
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)


__all__ = ["SweepingVerbs"]
