"""Executions are deleted: with their jobs, and with the calls and values that nothing else needs.

A small one goes in one transaction. A large one goes piece by piece, so that nobody waits for long:
first the entries of the cache, then its jobs, its own row, the calls, the values. Whoever is killed
on the way leaves calls that nothing needs, which a collection finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskgraph.catalog.deletions import DeletionReport
from taskgraph.errors import ActiveExecutionError
from taskgraph.records import ACTIVE, State
from taskgraph_backend import claims
from taskgraph_backend.catalog.permissions import check_force
from taskgraph_backend.dialects import Driver
from taskgraph_backend.growth.alone import loosened, somebody_runs
from taskgraph_backend.growth.asking import Key, keys_of, pieces
from taskgraph_backend.growth.entries import forget_entries
from taskgraph_backend.growth.reach import Doomed, Without, doomed_calls, rooted, still_doomed
from taskgraph_backend.growth.removing import (
    count_entries,
    remove_calls,
    remove_entries,
    remove_jobs,
    remove_tags,
    remove_values,
)
from taskgraph_backend.routing import queueing

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

#: So many jobs, calls or values are taken away in one transaction: a tenth of a second's work.
TOGETHER: Final = 1_000
#: So many values, for which some tables are read as a whole.
VALUES_TOGETHER: Final = 5_000
#: Of more than this a plan does not say which values would go: to know it is to do it.
MOST_PLANNED: Final = 20_000

_ACTIVE: Final = frozenset(each.value for each in ACTIVE)
_EXECUTION_VALUES: Final = (
    "SELECT snapshot_hash FROM execution WHERE id IN ({keys}) AND snapshot_hash IS NOT NULL",
    "SELECT environment_hash FROM execution WHERE id IN ({keys}) AND environment_hash IS NOT NULL",
    "SELECT value_hash FROM execution_dataset WHERE execution_id IN ({keys})",
    "SELECT value_hash FROM artifact WHERE execution_id IN ({keys}) AND value_hash IS NOT NULL",
)
_CALLS: Final = (
    "SELECT DISTINCT call_hash FROM job WHERE execution_id IN ({keys}) AND call_hash IS NOT NULL"
)
_NOTIFICATIONS: Final = (
    "DELETE FROM notification WHERE state_id IN (SELECT id FROM state WHERE execution_id = ?)"
)
# What is said of an execution and of nothing else.
_OF_EXECUTION: Final = (
    "state",
    "artifact",
    "execution_dataset",
    "execution_pool",
    "queued",
    "assignment",
    "routed_call",
)
_ARTIFACTS: Final = "SELECT id FROM artifact WHERE execution_id IN ({keys})"


def delete(
    backend: SqlBackend,
    execution_id: str,
    *,
    force: bool,
    keep_cache: bool,
    actor: str | None = None,
) -> DeletionReport | None:
    """Delete an execution; None where there is none.

    Raises:
        ActiveExecutionError: It has not ended, and it is not forced.
        PermissionDeniedError: It has not ended, and who forces it may not.
    """
    key = bytes.fromhex(execution_id)
    with loosened(backend) as own:
        if not own._ask(_check, key, force, actor):
            return None
        plan = _Plan(key, force, keep_cache, own._ask(_find, key, keep_cache), actor)
        jobs = own._ask(_count_jobs, key)
        is_small = jobs + len(plan.doomed.calls) + len(plan.doomed.circles) <= TOGETHER
        done = own._transact(_at_once, plan) if is_small else _in_pieces(own, plan)
        if done is None:
            return None
        report, entries = done
        if entries and backend.value_store is not None:
            forget_entries(own, backend.value_store, entries)
        return report


def plan_deletion(
    backend: SqlBackend,
    execution_ids: Sequence[str],
    *,
    force: bool,
    keep_cache: bool,
    actor: str | None = None,
) -> DeletionReport:
    """Return what deleting executions would take away.

    It is done, and taken back. Of very many calls it is only counted which would go.

    Raises:
        ActiveExecutionError: One has not ended, and it is not forced.
        PermissionDeniedError: One has not ended, and who forces it may not.
    """
    keys = [bytes.fromhex(each) for each in execution_ids]
    with loosened(backend) as own:
        there = [key for key in keys if own._ask(_check, key, force, actor)]
        without = Without(frozenset(there), entries=keep_cache)
        seeds = own._ask(keys_of, _CALLS, there)
        doomed = own._ask(doomed_calls, seeds, without)
        every = {*doomed.calls, *doomed.circles}
        jobs = sum(own._ask(_count_jobs, key) for key in there)
        if jobs + len(every) > MOST_PLANNED:
            return DeletionReport(
                tuple(key.hex() for key in there),
                jobs,
                len(every),
                own._ask(count_entries, every),
                kept=doomed.kept,
                is_dry_run=True,
            )
        try:
            own._transact(_take_back, [_Plan(key, force, keep_cache, None, actor) for key in there])
        except _TakenBack as done:
            return replace(done.report, kept=doomed.kept, is_dry_run=True)
        raise AssertionError("it is always taken back")


# What went, and the digests of values whose bytes are outside.
_Done = tuple[DeletionReport, set[bytes]]


class _TakenBack(Exception):
    """Ends a transaction of which nothing is to be kept."""

    def __init__(self, report: DeletionReport) -> None:
        super().__init__(report)
        self.report = report


class _Plan:
    """What is to be deleted, and how.

    Args:
        key: The execution.
        force: Whether it goes even if it has not ended.
        keep_cache: Whether entries of the cache stay, with what they need.
        doomed: The calls that nothing else needs; None if they are to be found.
        actor: Who forces it.
    """

    def __init__(
        self,
        key: Key,
        force: bool,
        keep_cache: bool,
        doomed: Doomed | None,
        actor: str | None = None,
    ) -> None:
        self.key = key
        self.force = force
        self.keep_cache = keep_cache
        self.actor = actor
        self._doomed = doomed

    @property
    def doomed(self) -> Doomed:
        """The calls that nothing else needs."""
        assert self._doomed is not None
        return self._doomed

    @property
    def without(self) -> Without:
        """What counts once its jobs are gone."""
        return Without(entries=self.keep_cache)

    def found(self, driver: Driver) -> _Plan:
        """Return it with the calls that go."""
        if self._doomed is not None:
            return self
        doomed = _find(driver, self.key, self.keep_cache)
        return _Plan(self.key, self.force, self.keep_cache, doomed, self.actor)


def check(driver: Driver, execution_ids: Sequence[str], actor: str | None) -> None:
    """Check that somebody may delete executions, whether they have ended or not.

    Raises:
        PermissionDeniedError: One has not ended, and is for others.
    """
    for each in execution_ids:
        _check(driver, bytes.fromhex(each), True, actor)


def _check(driver: Driver, key: Key, force: bool, actor: str | None) -> bool:
    """Return whether there is such an execution.

    Raises:
        ActiveExecutionError: It has not ended, and it is not forced.
        PermissionDeniedError: It has not ended, and who forces it may not.
    """
    row = driver.execute("SELECT state_type FROM execution WHERE id = ?", (key,)).fetchone()
    if row is None:
        return False
    # One that was cancelled may still be on its way.
    lives = claims.living(driver, [f"execution:{key.hex()}"])
    if row[0] not in _ACTIVE and not lives:
        return True
    if not force:
        raise ActiveExecutionError(key.hex(), row[0] if row[0] in _ACTIVE else "still running")
    action = f"delete execution {key.hex()[:8]}, which has not ended"
    check_force(driver, key.hex(), actor, State.CANCELLED, action)
    return True


def _count_jobs(driver: Driver, key: Key) -> int:
    row = driver.execute("SELECT count(*) FROM job WHERE execution_id = ?", (key,)).fetchone()
    return int(row[0])


def _find(driver: Driver, key: Key, keep_cache: bool) -> Doomed:
    without = Without(frozenset([key]), entries=keep_cache)
    return doomed_calls(driver, keys_of(driver, _CALLS, [key]), without)


def _at_once(driver: Driver, plan: _Plan) -> _Done | None:
    """Delete an execution; within a transaction that is alone."""
    if not _check(driver, plan.key, plan.force, plan.actor):
        return None
    queueing.take_back(driver, plan.key.hex())
    plan = plan.found(driver)
    jobs = _jobs(driver, plan.key)
    remove_jobs(driver, jobs)
    values = _remove_row(driver, plan.key)
    every = {*plan.doomed.calls, *plan.doomed.circles}
    entries = calls = left = number = size = 0
    outside: set[bytes] = set()
    if somebody_runs(driver):
        dead = still_doomed(driver, every, plan.without)
        entries, _ = remove_entries(driver, dead)
        left = len(dead)
    else:
        for piece in plan.doomed.pieces(TOGETHER):
            gone, cached, named = remove_calls(driver, piece, plan.without)
            calls += gone
            entries += cached
            values |= named
        number, size, outside = remove_values(driver, values)
    report = DeletionReport(
        (plan.key.hex(),),
        len(jobs),
        calls,
        entries,
        number,
        size,
        plan.doomed.kept + len(every) - calls - left,
        left,
    )
    return report, outside


def _take_back(driver: Driver, plans: Sequence[_Plan]) -> None:
    report = DeletionReport()
    for plan in plans:
        done = _at_once(driver, plan)
        report += DeletionReport() if done is None else done[0]
    raise _TakenBack(report)


def _in_pieces(own: SqlBackend, plan: _Plan) -> _Done | None:
    """Delete an execution in many transactions; the first says that it is being deleted."""
    if not own._transact(_begin, plan):
        return None
    every = {*plan.doomed.calls, *plan.doomed.circles}
    entries = jobs = calls = left = number = size = 0
    values: set[Key] = set()
    outside: set[bytes] = set()
    for piece in plan.doomed.pieces(TOGETHER):
        cached, named = own._transact(_remove_entries, plan, set(piece), every)
        entries += cached
        values |= named
    while removed := own._transact(_remove_some_jobs, plan.key):
        jobs += removed
    values |= own._transact(_remove_row, plan.key)
    for piece in plan.doomed.pieces(TOGETHER):
        gone, waits, named = own._transact(_remove_calls, plan, piece)
        calls += gone
        left += waits
        values |= named
    for some in pieces(sorted(values), VALUES_TOGETHER):
        removed, freed, digests = own._transact(_remove_values, some)
        number += removed
        size += freed
        outside |= digests
    kept = plan.doomed.kept + len(every) - calls - left
    report = DeletionReport((plan.key.hex(),), jobs, calls, entries, number, size, kept, left)
    return report, outside


def _begin(driver: Driver, plan: _Plan) -> bool:
    if not _check(driver, plan.key, plan.force, plan.actor):
        return False
    # No worker has it any more, nor takes it.
    queueing.take_back(driver, plan.key.hex())
    queueing.leave(driver, plan.key.hex())
    # Its jobs go before it: it has no root from here on, and is named by what becomes of it.
    driver.execute(
        "UPDATE execution SET job_id = NULL, state_name = 'Deleting' WHERE id = ?", (plan.key,)
    )
    return True


def _remove_entries(
    driver: Driver, plan: _Plan, piece: set[Key], every: set[Key]
) -> tuple[int, set[Key]]:
    """Take away the entries of calls that are used by nobody since they were looked at."""
    without = Without(frozenset([plan.key]), entries=plan.keep_cache)
    return remove_entries(driver, piece - rooted(driver, piece, without), every)


def _jobs(driver: Driver, key: Key, most: int | None = None) -> list[Key]:
    limit = "" if most is None else f" LIMIT {most}"
    rows = driver.execute(f"SELECT id FROM job WHERE execution_id = ?{limit}", (key,))
    return [bytes(row[0]) for row in rows.fetchall()]


def _remove_some_jobs(driver: Driver, key: Key) -> int:
    return remove_jobs(driver, _jobs(driver, key, TOGETHER))


def _remove_row(driver: Driver, key: Key) -> set[Key]:
    """Take away the row of an execution, with what is said of it; returns the values it named."""
    values: set[Key] = set()
    for sql in _EXECUTION_VALUES:
        values |= keys_of(driver, sql, [key])
    remove_tags(driver, keys_of(driver, _ARTIFACTS, [key]), "Artifact")
    # Before the states that they are about.
    driver.execute(_NOTIFICATIONS, (key,))
    for table in _OF_EXECUTION:
        driver.execute(f"DELETE FROM {table} WHERE execution_id = ?", (key,))
    remove_tags(driver, [key], "Execution")
    driver.execute("DELETE FROM foreign_record WHERE id = ?", (key,))
    # One that goes on against all advice may have written jobs since.
    remove_jobs(driver, _jobs(driver, key))
    driver.execute("DELETE FROM execution WHERE id = ?", (key,))
    return values


def _remove_calls(driver: Driver, plan: _Plan, piece: Sequence[Key]) -> tuple[int, int, set[Key]]:
    if somebody_runs(driver):
        return 0, len(piece), set()
    gone, _, values = remove_calls(driver, piece, plan.without)
    return gone, 0, values


def _remove_values(driver: Driver, values: Sequence[Key]) -> tuple[int, int, set[bytes]]:
    return (0, 0, set()) if somebody_runs(driver) else remove_values(driver, values)


__all__ = ["MOST_PLANNED", "TOGETHER", "VALUES_TOGETHER", "check", "delete", "plan_deletion"]
