"""Studies are deleted: their workflows and datasets go with them, their executions stay."""

from __future__ import annotations

from typing import Final

from taskgraph.catalog.rows import DeletedStudy
from taskgraph.errors import (
    StillInUseError,
    StudyInUseError,
    StudyNotFoundError,
    WorkflowInUseError,
)
from taskgraph.tasks.names import join_name
from taskgraph_backend.catalog import datasets
from taskgraph_backend.catalog.using import IS_ACTIVE
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

# Those that are part of it, those that use its datasets, and those that run its workflows.
_ACTIVE: Final = (
    f"SELECT id FROM execution WHERE study_id = ? AND state_type IN {IS_ACTIVE}",
    "SELECT DISTINCT e.id FROM dataset d JOIN execution_dataset u ON u.dataset_id = d.id"
    " JOIN execution e ON e.id = u.execution_id WHERE d.study_id = ?"
    f" AND e.state_type IN {IS_ACTIVE}",
    "SELECT e.id FROM execution e JOIN workflow w ON w.id = e.workflow_id"
    f" WHERE w.study_id = ? AND e.state_type IN {IS_ACTIVE}",
)
_OF_WORKFLOWS: Final = "(SELECT id FROM workflow WHERE study_id = ?)"
_OF_GROUPS: Final = f"(SELECT id FROM execution_group WHERE workflow_id IN {_OF_WORKFLOWS})"
_GROUPS: Final = (
    "SELECT w.namespace, w.name, w.version, count(*) FROM workflow w"
    " JOIN execution_group g ON g.workflow_id = w.id WHERE w.study_id = ?"
    " GROUP BY w.namespace, w.name, w.version ORDER BY w.namespace, w.name, w.version"
)
# What refers to others goes before them.
_FORGET: Final = (
    "UPDATE execution SET study_id = NULL WHERE study_id = ?",
    f"UPDATE execution SET group_id = NULL WHERE group_id IN {_OF_GROUPS}",
    f"UPDATE execution SET workflow_id = NULL WHERE workflow_id IN {_OF_WORKFLOWS}",
    f"DELETE FROM tag WHERE entity_type = 'ExecutionGroup' AND entity_id IN {_OF_GROUPS}",
    f"DELETE FROM execution_group WHERE workflow_id IN {_OF_WORKFLOWS}",
    f"DELETE FROM workflow_step WHERE workflow_id IN {_OF_WORKFLOWS}",
    "DELETE FROM workflow WHERE study_id = ?",
    "DELETE FROM study WHERE id = ?",
)


def delete(
    driver: Driver, study_id: str, must_be_empty: bool, with_groups: bool, dry_run: bool
) -> DeletedStudy:
    """Delete a study; within a transaction that is alone.

    Raises:
        StillInUseError: An active execution is part of it, or uses something of it.
        StudyInUseError: It has executions, and must not.
        WorkflowInUseError: A workflow has groups, and these are not to go with it.
        StudyNotFoundError: It was deleted since.
    """
    key = _binary(study_id)
    row = driver.execute("SELECT name FROM study WHERE id = ?", (key,)).fetchone()
    if row is None:
        raise StudyNotFoundError(study_id)
    name = str(row[0])
    executions = _count(driver, "execution", key)
    if must_be_empty and executions:
        raise StudyInUseError(name, executions)
    active = {
        bytes(id).hex() for sql in _ACTIVE for (id,) in driver.execute(sql, (key,)).fetchall()
    }
    if active:
        raise StillInUseError(f"Study {name!r}", sorted(active))
    found = driver.execute("SELECT id FROM dataset WHERE study_id = ?", (key,)).fetchall()
    grouped = driver.execute(_GROUPS, (key,)).fetchall()
    if grouped and not with_groups:
        namespace, workflow, version, count = grouped[0]
        raise WorkflowInUseError(f"{join_name(namespace, workflow)}@{version}", int(count))
    groups = sum(int(row[3]) for row in grouped)
    gone = DeletedStudy(name, executions, 0, _count(driver, "workflow", key), len(found), groups)
    if dry_run:
        return gone
    for (dataset,) in found:
        datasets.drop(driver, bytes(dataset).hex())
    for sql in _FORGET:
        driver.execute(sql, (key,))
    return gone


def _count(driver: Driver, table: str, key: bytearray) -> int:
    row = driver.execute(f"SELECT count(*) FROM {table} WHERE study_id = ?", (key,)).fetchone()
    return int(row[0])


__all__ = ["delete"]
