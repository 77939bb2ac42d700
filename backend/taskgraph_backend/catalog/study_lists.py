"""Studies are listed, each with how many executions it has; in one statement or two."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from taskgraph.catalog.rows import Study
from taskgraph.errors import AmbiguousIdError
from taskgraph_backend import models
from taskgraph_backend.finding import is_prefix, like_id

_SHOWN: Final = 5


def look_up(session: Session, ref: str) -> Study | None:
    """Return a study by name, id or unique start of one; in two statements at most.

    Raises:
        AmbiguousIdError: More than one starts so.
    """
    rows = session.execute(_select().where(models.Study.name == ref)).all()
    if not rows and is_prefix(ref.lower()):
        starts = like_id(models.Study.id, ref.lower())
        rows = session.execute(_select().where(starts).limit(_SHOWN)).all()
    if len(rows) > 1:
        raise AmbiguousIdError(ref, [row[0].id[:12] for row in rows])
    return _study(rows[0]) if rows else None


def every(session: Session) -> list[Study]:
    """Return all studies by name, in one statement."""
    return [_study(row) for row in session.execute(_select()).all()]


def _select() -> Select[Any]:
    execution, study, user = models.Execution, models.Study, models.UserAccount
    number = (
        select(func.count()).where(execution.study_id == study.id).correlate(study)
    ).scalar_subquery()
    query = select(study, number, user.email).outerjoin(user, user.id == study.owner_id)
    return query.order_by(study.name, study.id)


def _study(row: Any) -> Study:
    study, executions, owner = row
    return Study(
        study.id, study.name, study.created_at, study.meta, executions, owner, study.owner_id
    )


__all__ = ["every", "look_up"]
