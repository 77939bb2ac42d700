"""Groups of executions as rows: made by planning, decided on and launched by one at a time.

Who decides holds the lock: of two planners one launches a group, and the other one sees that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

from taskgraph.catalog.freshness import Newest, Verdict, decide
from taskgraph.catalog.group_rows import Candidate, Decision, Derived, ExecutionGroup, Rules
from taskgraph.catalog.requests import Request
from taskgraph.catalog.states import ACTIVE, StateType
from taskgraph.catalog.uses import dataset_hash
from taskgraph.jsontext import to_json
from taskgraph.records import ExecutionId
from taskgraph.tags import tag_record
from taskgraph.tasks.names import join_name
from taskgraph_backend import claims, statements
from taskgraph_backend.catalog import changing, creating, pinning, workflows
from taskgraph_backend.dialects import Driver
from taskgraph_backend.tags import current_tags, tag_row
from taskgraph_backend.times import from_micros

_binary = bytearray.fromhex

#: What a group is tagged as.
TAGGED: Final = "ExecutionGroup"
_LIVE: Final = "SELECT id FROM dataset WHERE NOT retracted ORDER BY id"
_FIELDS: Final = (
    "g.id, g.workflow_id, w.namespace, w.name, w.version, g.key, g.selectors, g.dirty,"
    " g.dirty_reason, g.planned_dataset_hash, g.recompute, g.created_at, g.updated_at"
)
_GROUPS: Final = f"SELECT {_FIELDS} FROM execution_group g JOIN workflow w ON w.id = g.workflow_id"
_COUNT: Final = "SELECT count(*) FROM execution_group WHERE workflow_id = ?"
_INSERT: Final = (
    "INSERT INTO execution_group (id, workflow_id, key, selectors, dirty, dirty_reason,"
    " planned_dataset_hash, recompute, created_at, updated_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# A group that was made dirty has nothing planned, so that an execution that is in progress then
# does not clean it when it ends. Nor does planning meanwhile change that.
_PLAN: Final = (
    "UPDATE execution_group SET planned_dataset_hash = ?, updated_at = ? WHERE id = ?"
    " AND NOT (dirty AND planned_dataset_hash IS NULL AND EXISTS (SELECT 1 FROM execution e"
    " WHERE e.group_id = execution_group.id"
    " AND e.state_type IN ('SCHEDULED', 'PENDING', 'RUNNING')))"
)
_FLAG: Final = (
    "UPDATE execution_group SET dirty = TRUE, dirty_reason = ?, planned_dataset_hash = NULL,"
    " updated_at = ?, recompute = (recompute OR ?) WHERE id = ?"
)
_LAUNCHED: Final = (
    "UPDATE execution_group SET dirty = TRUE, dirty_reason = coalesce(dirty_reason, ?),"
    " planned_dataset_hash = ?, updated_at = ? WHERE id = ?"
)
_NEWEST: Final = (
    "SELECT group_id, id, state_type, dataset_hash FROM (SELECT group_id, id, state_type,"
    " dataset_hash, row_number() OVER (PARTITION BY group_id ORDER BY created_at DESC, id DESC)"
    " AS place FROM execution WHERE group_id IN ({marks})) ranked WHERE place = 1"
)
_OF_EXECUTIONS: Final = "SELECT DISTINCT group_id FROM execution WHERE id IN ({marks})"
_DELETE: Final = (
    "DELETE FROM execution_group WHERE id = ?"
    " AND NOT EXISTS (SELECT 1 FROM execution WHERE group_id = ?)"
)
_UNTAG: Final = "DELETE FROM tag WHERE entity_type = ? AND entity_id = ?"
_CRASHED: Final = "it was not heard of any more"


class _Known(NamedTuple):
    """The newest execution of a group."""

    execution_id: str
    state: StateType
    dataset_hash: str | None


def candidates(driver: Driver, refs: Sequence[str] | None, study: str | None) -> list[Candidate]:
    """Return datasets with their facets; all that are not retracted if none are named.

    Raises:
        DatasetNotFoundError: There is no such dataset.
        AmbiguousIdError: A name or the start of an id is that of several.
    """
    if refs is None:
        refs = [bytes(key).hex() for (key,) in driver.execute(_LIVE).fetchall()]
    if not refs:
        return []
    found = {each.id: each for each in pinning.find_datasets(driver, refs, study).values()}
    facets = current_tags(driver, found)
    return [Candidate(each.pin(), facets[each.id]) for each in found.values()]


def plan(
    driver: Driver,
    workflow_id: str,
    wanted: Sequence[Derived],
    rules: Rules,
    auto_promote: bool,
) -> list[Decision]:
    """Make the groups that are missing, and decide on each; within a transaction that is alone."""
    if not wanted:
        return []
    key = _binary(workflow_id)
    now = claims.clock(driver)
    known = {each.key for each in _of_workflow(driver, key, [each.key for each in wanted])}
    (count,) = driver.execute(_COUNT, (key,)).fetchone()
    missing = [each for each in wanted if each.key not in known]
    hashes = {each.key: dataset_hash(each.datasets) for each in wanted}
    if missing:
        driver.executemany(_INSERT, [_row(key, each, hashes[each.key], now) for each in missing])
        tags = [
            tag_row(tag_record(TAGGED, each.id, name, value))
            for each in missing
            for name, value in each.selectors.items()
        ]
        driver.executemany(statements.TAG, tags)
        if not count and auto_promote:
            workflows.promote_newer(driver, workflow_id)
    groups = _of_workflow(driver, key, [each.key for each in wanted])
    changed = [
        (_binary(hashes[each.key]), now, _binary(each.id))
        for each in groups
        if each.planned_dataset_hash != hashes[each.key]
    ]
    if changed:
        driver.executemany(_PLAN, changed)
    groups = [replace(each, planned_dataset_hash=hashes[each.key]) for each in groups]
    datasets = {each.key: each.datasets for each in wanted}
    return [
        replace(each, datasets=datasets[each.group.key])
        for each in _decide(driver, groups, hashes, rules)
    ]


def judge(driver: Driver, group_id: str, wanted: str, rules: Rules) -> Decision | None:
    """Decide on a group; within a transaction that is alone. None where there is none."""
    found = find(driver, group_id)
    if found is None:
        return None
    if found.planned_dataset_hash != wanted:
        driver.execute(_PLAN, (_binary(wanted), claims.clock(driver), _binary(group_id)))
        found = replace(found, planned_dataset_hash=wanted)
    (decision,) = _decide(driver, [found], {found.key: wanted}, rules)
    return decision


def launch(
    driver: Driver, decision: Decision, request: Request, snapshot: str
) -> ExecutionGroup | None:
    """Write an execution of a group down; within a transaction that is alone.

    Returns:
        The group as it is now; None where it is not to run any more: somebody else has launched it
        since it was decided on, or what was decided holds no longer.

    Raises:
        SnapshotGoneError: Its snapshot was collected since it was recorded.
    """
    found = find(driver, decision.group.id)
    if found is None:
        return None
    known = _newest(driver, [found.id]).get(found.id)
    if known is not None and known.execution_id == request.id:  # the transaction is done again
        return found
    if (None if known is None else known.execution_id) != decision.newest:
        return None
    rules = Rules(decision.rerun_failed, decision.stale_after)
    hashes = {found.key: decision.dataset_hash}
    (again,) = _decide(driver, [found], hashes, rules)
    if not again.run:
        return None
    if creating.create(driver, request, snapshot) is None:
        raise creating.SnapshotGoneError(request.id)
    row = (
        again.reason.value,
        _binary(decision.dataset_hash),
        claims.clock(driver),
        _binary(found.id),
    )
    driver.execute(_LAUNCHED, row)
    return found


def find(driver: Driver, group_id: str) -> ExecutionGroup | None:
    """Return a group by its id."""
    row = driver.execute(f"{_GROUPS} WHERE g.id = ?", (_binary(group_id),)).fetchone()
    return None if row is None else _group(row)


def flag_dirty(driver: Driver, group_ids: Iterable[str], recompute: bool, reason: str) -> int:
    """Have groups run when they are next planned; within a transaction. Returns how many."""
    now = claims.clock(driver)
    return sum(
        driver.execute(_FLAG, (reason, now, recompute, _binary(each))).rowcount
        for each in group_ids
    )


def flag_groups_of(driver: Driver, execution_ids: Sequence[str], reason: str) -> None:
    """Have the groups of executions run when they are next planned; within a transaction."""
    found: set[str] = set()
    for keys in statements.padded([_binary(each) for each in execution_ids]):
        sql = _OF_EXECUTIONS.format(marks=", ".join("?" * len(keys)))
        found.update(bytes(key).hex() for (key,) in driver.execute(sql, keys) if key is not None)
    if found:
        flag_dirty(driver, sorted(found), False, reason)


def delete(driver: Driver, group_ids: Iterable[str]) -> list[str]:
    """Delete groups that have no executions, with their tags; within a transaction alone.

    Returns:
        Those that went.
    """
    gone = []
    for each in group_ids:
        key = _binary(each)
        if driver.execute(_DELETE, (key, key)).rowcount:
            driver.execute(_UNTAG, (TAGGED, key))
            gone.append(each)
    return gone


def _decide(
    driver: Driver, groups: Sequence[ExecutionGroup], hashes: dict[str, str], rules: Rules
) -> list[Decision]:
    """Decide on groups, and mark what was silent for too long."""
    newest = _newest(driver, [each.id for each in groups])
    silence = _silence(driver, newest.values()) if rules.stale_after is not None else {}
    decisions = []
    for group in groups:
        known = newest.get(group.id)
        verdict = _verdict(group, known, hashes[group.key], rules, silence)
        if verdict.is_crashed and known is not None:
            changing.mark_crashed(driver, known.execution_id, _CRASHED)
        decisions.append(
            Decision(
                group,
                hashes[group.key],
                verdict.run,
                verdict.reason,
                newest=None if known is None else known.execution_id,
                rerun_failed=rules.rerun_failed,
                stale_after=rules.stale_after,
            )
        )
    return decisions


def _verdict(
    group: ExecutionGroup,
    known: _Known | None,
    wanted: str,
    rules: Rules,
    silence: dict[str, timedelta],
) -> Verdict:
    newest = None
    if known is not None:
        quiet = silence.get(known.execution_id, timedelta(0))
        newest = Newest(known.state, known.dataset_hash, quiet)
    return decide(
        newest,
        wanted,
        is_dirty=group.dirty,
        rerun_failed=rules.rerun_failed,
        stale_after=rules.stale_after,
    )


def _silence(driver: Driver, newest: Iterable[_Known]) -> dict[str, timedelta]:
    """Return for how long those were not heard of that are in progress."""
    active = [ExecutionId(each.execution_id) for each in newest if each.state in ACTIVE]
    now = claims.clock(driver)
    return {
        each: timedelta(microseconds=max(now - heard, 0))
        for each, heard in claims.last_alive(driver, active).items()
    }


def _newest(driver: Driver, group_ids: Sequence[str]) -> dict[str, _Known]:
    found = {}
    for keys in statements.padded([_binary(each) for each in group_ids]):
        sql = _NEWEST.format(marks=", ".join("?" * len(keys)))
        for group, key, state, datasets in driver.execute(sql, keys):
            known = _Known(bytes(key).hex(), StateType(state), _maybe_hex(datasets))
            found[bytes(group).hex()] = known
    return found


def _of_workflow(driver: Driver, workflow: bytearray, keys: list[str]) -> list[ExecutionGroup]:
    found = []
    for piece in statements.padded(keys):
        marks = ", ".join("?" * len(piece))
        sql = f"{_GROUPS} WHERE g.workflow_id = ? AND g.key IN ({marks}) ORDER BY g.key"
        found += [_group(row) for row in driver.execute(sql, (workflow, *piece))]
    return found


def _row(workflow: bytearray, group: Derived, planned: str, now: int) -> tuple[Any, ...]:
    selectors = to_json(dict(group.selectors))
    why = "new"
    return (
        _binary(group.id), workflow, group.key, selectors, True, why, _binary(planned), False,
        now, now,
    )  # fmt: skip


def _group(row: Any) -> ExecutionGroup:
    key, workflow, namespace, name, version, text, selectors, dirty, why, planned, *rest = row
    recompute, created, updated = rest
    return ExecutionGroup(
        id=bytes(key).hex(),
        workflow_id=bytes(workflow).hex(),
        workflow=join_name(namespace, name),
        version=version,
        key=text,
        selectors=json.loads(selectors) if isinstance(selectors, str) else selectors,
        dirty=bool(dirty),
        dirty_reason=why,
        planned_dataset_hash=_maybe_hex(planned),
        recompute=bool(recompute),
        created_at=from_micros(created),
        updated_at=from_micros(updated),
    )


def _maybe_hex(key: Any) -> str | None:
    return None if key is None else bytes(key).hex()


__all__ = [
    "TAGGED",
    "candidates",
    "delete",
    "find",
    "flag_dirty",
    "flag_groups_of",
    "judge",
    "launch",
    "plan",
]
