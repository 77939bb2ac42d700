"""Stored workflows are found and listed with their steps; in three statements at most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.workflow_rows import TaskOfPackage, Workflow, WorkflowStep
from taskgraph.errors import AmbiguousIdError
from taskgraph.jsontext import read_floats
from taskgraph_backend import models
from taskgraph_backend.finding import is_prefix, like_id
from taskgraph_backend.query.workflow_criteria import workflows_where

_SHOWN: Final = 5
_WHOLE: Final = 32


def look_up(session: Session, ref: str, version: int | None) -> Workflow | None:
    """Return a workflow by id, full name, or unique start of an id; steps and all.

    A whole id is that of the workflow, whatever others are called. Of a name it is the promoted
    version, or the highest if none is.

    Raises:
        AmbiguousIdError: More than one is meant.
    """
    row = models.Workflow
    start = ref.lower()
    is_start = version is None and is_prefix(start)
    found: Sequence[Any] = ()
    if is_start and len(start) == _WHOLE:
        found = session.execute(_select().where(row.id == start)).all()
    if not found:
        query = _select().where(fullname_is(ref))
        if version is not None:
            query = query.where(row.version == version)
        query = query.order_by(row.promoted.desc(), row.version.desc())
        found = session.execute(query.limit(1)).all()
    if not found and is_start and len(start) < _WHOLE:
        found = session.execute(_select().where(like_id(row.id, start)).limit(_SHOWN)).all()
    if len(found) > 1:
        raise AmbiguousIdError(ref, [each[0].id[:12] for each in found])
    return next(iter(_workflows(session, found)), None)


def page(session: Session, where: Criteria, limit: int | None, offset: int) -> list[Workflow]:
    """Return workflows by name and version, in two statements."""
    row = models.Workflow
    query = _select().where(workflows_where(where))
    query = query.order_by(row.namespace, row.name, row.version, row.id)
    return _workflows(session, session.execute(query.limit(limit).offset(offset)).all())


def count(session: Session, where: Criteria) -> int:
    """Return how many there are, in one statement."""
    query = select(func.count()).select_from(models.Workflow).where(workflows_where(where))
    return int(session.execute(query).scalar_one())


def look_up_step(session: Session, ref: str) -> tuple[str, WorkflowStep] | None:
    """Return a step by id or unique start of one, with the id of its workflow.

    Raises:
        AmbiguousIdError: More than one is meant.
    """
    row = models.WorkflowStep
    if not is_prefix(ref.lower()):
        return None
    query = select(row).where(like_id(row.id, ref.lower())).order_by(row.id).limit(_SHOWN)
    found = session.scalars(query).all()
    if len(found) > 1:
        raise AmbiguousIdError(ref, [each.id[:12] for each in found])
    return (found[0].workflow_id, _step(found[0])) if found else None


def tasks_of_packages(session: Session, names: list[str]) -> list[TaskOfPackage]:
    """Return what packages that are active say of tasks, the newest first; in one statement."""
    task, package = models.PackageTask, models.TaskPackage
    query = (
        select(task, package.name, package.version, package.owner_id)
        .join(package, package.id == task.package_id)
        .where(task.name.in_(names), package.active.is_(True))
        .order_by(package.created_at.desc(), package.id)
    )
    return [
        TaskOfPackage(
            each.name,
            f"{name}@{version}",
            each.version,
            read_floats(each.args_schema),
            each.input_type,
            each.output_type,
            owner is not None,
        )
        for each, name, version, owner in session.execute(query)
    ]


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
        found.setdefault(each.workflow_id, []).append(_step(each))
    return found


def _step(row: models.WorkflowStep) -> WorkflowStep:
    return WorkflowStep(
        row.id,
        row.position,
        row.task_name,
        read_floats(row.args),
        row.options,
        row.task_hash,
        row.input_type,
        row.output_type,
    )


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


__all__ = ["count", "fullname_is", "look_up", "look_up_step", "page", "tasks_of_packages"]
