"""Stored workflows as rows: a version is there once, and one of a name at most is promoted."""

from __future__ import annotations

from typing import Any, Final

from taskgraph.catalog.workflow_rows import NewWorkflow, WorkflowDeletion
from taskgraph.errors import (
    DuplicateVersionError,
    StillInUseError,
    ValidationError,
    WorkflowInUseError,
)
from taskgraph.jsontext import to_json
from taskgraph.tasks.names import join_name
from taskgraph_backend import claims
from taskgraph_backend.catalog import steps, studies
from taskgraph_backend.catalog.using import IS_ACTIVE
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

# What a column can count to.
_MOST_VERSIONS: Final = 2**31 - 1

_VERSIONS: Final = "SELECT version FROM workflow WHERE namespace = ? AND name = ?"
_WORKFLOW: Final = (
    "INSERT INTO workflow (id, study_id, namespace, name, version, promoted, enabled, meta,"
    " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NAME: Final = "SELECT namespace, name FROM workflow WHERE id = ?"
_WHOLE: Final = "SELECT namespace, name, version, promoted FROM workflow WHERE id = ?"
_COPIED: Final = "SELECT study_id, namespace, name, meta FROM workflow WHERE id = ?"
_DEMOTE: Final = (
    "UPDATE workflow SET promoted = ? WHERE namespace = ? AND name = ? AND promoted AND id <> ?"
)
_PROMOTE: Final = "UPDATE workflow SET promoted = ? WHERE id = ? AND NOT promoted"
_ENABLE: Final = "UPDATE workflow SET enabled = ? WHERE id = ?"
_HIGHEST: Final = (
    "SELECT id, version FROM workflow WHERE namespace = ? AND name = ? AND id <> ?"
    " ORDER BY version DESC LIMIT 1"
)
_ACTIVE: Final = f"SELECT id FROM execution WHERE workflow_id = ? AND state_type IN {IS_ACTIVE}"
_OF_GROUPS: Final = "(SELECT id FROM execution_group WHERE workflow_id = ?)"
# What refers to others goes before them.
_FORGET: Final = (
    f"UPDATE execution SET group_id = NULL WHERE group_id IN {_OF_GROUPS}",
    "UPDATE execution SET workflow_id = NULL WHERE workflow_id = ?",
    f"DELETE FROM tag WHERE entity_type = 'ExecutionGroup' AND entity_id IN {_OF_GROUPS}",
    "DELETE FROM execution_group WHERE workflow_id = ?",
    "DELETE FROM workflow_step WHERE workflow_id = ?",
    "DELETE FROM workflow WHERE id = ?",
)


def create(driver: Driver, wanted: NewWorkflow) -> str:
    """Store a workflow; within a transaction that is alone. Returns its id.

    Raises:
        DuplicateVersionError: There is such a version.
        ValidationError: There is no higher version than the highest one that is there.
    """
    if driver.execute(_NAME, (_binary(wanted.id),)).fetchone() is not None:  # it is done again
        return wanted.id
    known = _versions(driver, wanted.namespace, wanted.name)
    version = _next(known) if wanted.version is None else wanted.version
    if version in known:
        raise DuplicateVersionError(wanted.fullname, version, max(known))
    study = None if wanted.study is None else studies.get_or_create(driver, wanted.study)
    row = (
        _binary(wanted.id),
        None if study is None else _binary(study),
        wanted.namespace,
        wanted.name,
        version,
        not known,
        True,
        to_json(dict(wanted.meta)),
        claims.clock(driver),
    )
    driver.executemany(_WORKFLOW, [row])
    steps.insert(driver, wanted.id, wanted.steps)
    return wanted.id


def copy(driver: Driver, workflow_id: str, new_id: str) -> bool:
    """Store a workflow once more as the next version, not promoted; within a transaction alone.

    Returns:
        Whether there is such a workflow.

    Raises:
        ValidationError: There is no higher version than the highest one that is there.
    """
    if driver.execute(_NAME, (_binary(new_id),)).fetchone() is not None:  # it is done again
        return True
    row = driver.execute(_COPIED, (_binary(workflow_id),)).fetchone()
    if row is None:
        return False
    study, namespace, name, meta = row
    made = (
        _binary(new_id),
        None if study is None else bytearray(study),
        namespace,
        name,
        _next(_versions(driver, namespace, name)),
        False,
        True,
        meta if isinstance(meta, str) else to_json(meta),
        claims.clock(driver),
    )
    driver.executemany(_WORKFLOW, [made])
    steps.copy(driver, workflow_id, new_id)
    return True


def promote(driver: Driver, workflow_id: str) -> bool:
    """Have a version be the one that is meant; within a transaction that is alone.

    Returns:
        Whether there is such a workflow.
    """
    key = _binary(workflow_id)
    row = driver.execute(_NAME, (key,)).fetchone()
    if row is None:
        return False
    driver.execute(_DEMOTE, (False, *row, key))
    driver.execute(_PROMOTE, (True, key))
    return True


def promote_newer(driver: Driver, workflow_id: str) -> None:
    """Promote a version if it is higher than the one that is; within a transaction."""
    row = driver.execute(
        "SELECT count(*) FROM workflow w JOIN workflow other ON other.namespace = w.namespace"
        " AND other.name = w.name AND other.promoted AND other.version >= w.version"
        " WHERE w.id = ?",
        (_binary(workflow_id),),
    ).fetchone()
    if not row[0]:
        promote(driver, workflow_id)


def enable(driver: Driver, workflow_id: str, is_enabled: bool) -> bool:
    """Have a workflow be applied, or not, from now on; tells whether it is there."""
    return driver.execute(_ENABLE, (is_enabled, _binary(workflow_id))).rowcount > 0


def delete(
    driver: Driver, workflow_id: str, with_groups: bool, dry_run: bool
) -> WorkflowDeletion | None:
    """Delete a version with its steps; within a transaction that is alone.

    Executions that ran it stay, with their snapshot. If it was the one that is meant, the highest
    of the others is from now on.

    Returns:
        What went; None where there is no such workflow.

    Raises:
        StillInUseError: An active execution runs it.
        WorkflowInUseError: It has groups, and these are not to go with it.
    """
    key = _binary(workflow_id)
    row = driver.execute(_WHOLE, (key,)).fetchone()
    if row is None:
        return None
    namespace, name, version, is_promoted = row
    label = f"{join_name(namespace, name)}@{version}"
    active = [bytes(id).hex() for (id,) in driver.execute(_ACTIVE, (key,)).fetchall()]
    if active:
        raise StillInUseError(f"Workflow {label}", active)
    groups = _count(driver, "execution_group", key)
    if groups and not with_groups:
        raise WorkflowInUseError(label, groups)
    heir = driver.execute(_HIGHEST, (namespace, name, key)).fetchone() if is_promoted else None
    gone = WorkflowDeletion(
        label,
        _count(driver, "execution", key),
        groups,
        None if heir is None else f"{join_name(namespace, name)}@{heir[1]}",
        dry_run,
    )
    if not dry_run:
        for sql in _FORGET:
            driver.execute(sql, (key,))
        if heir is not None:
            promote(driver, bytes(heir[0]).hex())
    return gone


def _versions(driver: Driver, namespace: str, name: str) -> set[int]:
    rows: Any = driver.execute(_VERSIONS, (namespace, name)).fetchall()
    return {version for (version,) in rows}


def _next(known: set[int]) -> int:
    """Return the version after the highest one."""
    highest = max(known, default=0)
    if highest >= _MOST_VERSIONS:
        raise ValidationError(
            "version",
            f"there is a version {highest}, and no higher one can be kept. Say which it is to be, "
            "or delete that one.",
        )
    return highest + 1


def _count(driver: Driver, table: str, key: bytearray) -> int:
    row = driver.execute(f"SELECT count(*) FROM {table} WHERE workflow_id = ?", (key,)).fetchone()
    return int(row[0])


__all__ = ["copy", "create", "delete", "enable", "promote", "promote_newer"]
