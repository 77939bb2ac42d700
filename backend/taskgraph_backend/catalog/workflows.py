"""Stored workflows as rows: a version is there once, and one of a name at most is promoted."""

from __future__ import annotations

import uuid
from typing import Final

from taskgraph.catalog.workflow_rows import NewWorkflow
from taskgraph.errors import DuplicateVersionError
from taskgraph.jsontext import to_json
from taskgraph_backend import claims
from taskgraph_backend.catalog import studies
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_VERSIONS: Final = "SELECT version FROM workflow WHERE namespace = ? AND name = ?"
_WORKFLOW: Final = (
    "INSERT INTO workflow (id, study_id, namespace, name, version, promoted, enabled, meta,"
    " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_STEP: Final = (
    "INSERT INTO workflow_step (id, workflow_id, position, task_name, args, options)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_NAME: Final = "SELECT namespace, name FROM workflow WHERE id = ?"
_DEMOTE: Final = (
    "UPDATE workflow SET promoted = ? WHERE namespace = ? AND name = ? AND promoted AND id <> ?"
)
_PROMOTE: Final = "UPDATE workflow SET promoted = ? WHERE id = ? AND NOT promoted"


def create(driver: Driver, wanted: NewWorkflow) -> str:
    """Store a workflow; within a transaction that is alone. Returns its id.

    Raises:
        DuplicateVersionError: There is such a version.
    """
    rows = driver.execute(_VERSIONS, (wanted.namespace, wanted.name)).fetchall()
    known = {version for (version,) in rows}
    if wanted.version in known:
        raise DuplicateVersionError(wanted.fullname, wanted.version, max(known))
    study = None if wanted.study is None else studies.get_or_create(driver, wanted.study)
    row = (
        _binary(wanted.id),
        None if study is None else _binary(study),
        wanted.namespace,
        wanted.name,
        wanted.version,
        not known,
        True,
        to_json(dict(wanted.meta)),
        claims.clock(driver),
    )
    driver.executemany(_WORKFLOW, [row])
    steps = [
        (
            _binary(uuid.uuid4().hex),
            _binary(wanted.id),
            position,
            step.task,
            None if step.args is None else to_json(dict(step.args)),
            to_json(dict(step.options)),
        )
        for position, step in enumerate(wanted.steps)
    ]
    driver.executemany(_STEP, steps)
    return wanted.id


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


__all__ = ["create", "promote", "promote_newer"]
