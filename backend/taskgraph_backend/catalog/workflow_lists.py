"""Stored workflows are found and listed with their steps; in three statements at most."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from taskgraph.catalog.workflow_rows import Workflow, WorkflowStep
from taskgraph.errors import AmbiguousIdError
from taskgraph_backend import models
from taskgraph_backend.finding import is_prefix, like_id

_SHOWN: Final = 5


def look_up(session: Session, ref: str, version: int | None) -> Workflow | None:
    """Return a workflow by full name, id or unique start of one; steps and all.

    Of a name it is the promoted version, or the highest if none is.

    Raises:
        AmbiguousIdError: More than one is meant.
    """
    row = models.Workflow
    query = _select().where(fullname_is(ref))
    if version is not None:
        query = query.where(row.version == version)
    query = query.order_by(row.promoted.desc(), row.version.desc())
    found = session.execute(query.limit(1)).all()
    if not found and version is None and is_prefix(ref.lower()):
        found = session.execute(_select().where(like_id(row.id, ref.lower())).limit(_SHOWN)).all()
    if len(found) > 1:
        raise AmbiguousIdError(ref, [each[0].id[:12] for each in found])
    return next(iter(_workflows(session, found)), None)


def every(session: Session, include_superseded: bool) -> list[Workflow]:
    """Return workflows by name and version, in two statements."""
    row = models.Workflow
    query = _select().order_by(row.namespace, row.name, row.version, row.id)
    if not include_superseded:
        query = query.where(row.promoted.is_(True))
    return _workflows(session, session.execute(query).all())


def fullname_is(name: str) -> ColumnElement[bool]:
    """Return the condition that a workflow has a full name."""
    row = models.Workflow
    bare = and_(row.namespace == "", row.name == name)
    return or_(bare, and_(row.namespace != "", row.namespace + "." + row.name == name))


def _select() -> Select[Any]:
    row, study = models.Workflow, models.Study
    name: Any = study.name.label("study_name")
    return select(row, name).outerjoin(study, study.id == row.study_id)


def _workflows(session: Session, rows: Any) -> list[Workflow]:
    steps = _steps(session, [row[0].id for row in rows])
    return [_workflow(row[0], row.study_name, tuple(steps.get(row[0].id, ()))) for row in rows]


def _steps(session: Session, ids: list[str]) -> dict[str, list[WorkflowStep]]:
    found: dict[str, list[WorkflowStep]] = {}
    if not ids:
        return found
    step = models.WorkflowStep
    query = select(step).where(step.workflow_id.in_(ids)).order_by(step.position, step.id)
    for each in session.scalars(query):
        found.setdefault(each.workflow_id, []).append(
            WorkflowStep(
                each.id, each.position, each.task_name, each.args, each.options, each.task_hash
            )
        )
    return found


def _workflow(row: models.Workflow, study: str | None, steps: tuple[WorkflowStep, ...]) -> Workflow:
    return Workflow(
        id=row.id,
        namespace=row.namespace,
        name=row.name,
        version=row.version,
        promoted=row.promoted,
        enabled=row.enabled,
        created_at=row.created_at,
        steps=steps,
        study=study,
        study_id=row.study_id,
        meta=row.meta,
    )


__all__ = ["every", "fullname_is", "look_up"]
