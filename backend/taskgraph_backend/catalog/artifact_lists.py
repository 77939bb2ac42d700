"""Lists of artifacts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph.catalog.artifacts import Wanted
from taskgraph.catalog.data_rows import Artifact
from taskgraph_backend import models
from taskgraph_backend.catalog.dataset_lists import tags_of
from taskgraph_backend.query.columns import tagged_with


def every(session: Session, wanted: Wanted, *, include_retracted: bool) -> list[Artifact]:
    """Return artifacts by execution, the newest first, in two statements."""
    row, execution = models.Artifact, models.Execution
    meant = select(row.id).join(execution, execution.id == row.execution_id)
    if wanted.execution_id is not None:
        meant = meant.where(row.execution_id == wanted.execution_id)
    if wanted.kind is not None:
        meant = meant.where(row.kind == wanted.kind)
    if wanted.key is not None:
        meant = meant.where(row.key == wanted.key)
    for each in wanted.dimensions:
        meant = meant.where(row.id.in_(tagged_with("Artifact", each)))
    if not include_retracted:
        meant = meant.where(execution.retracted.is_(False))
    order = execution.created_at.desc(), execution.id.desc(), row.kind, row.key
    if wanted.limit is not None:
        page = meant.order_by(*order).offset(wanted.offset).limit(wanted.limit).subquery()
        meant = select(page.c.id)
    query = (
        select(row)
        .join(execution, execution.id == row.execution_id)
        .where(row.id.in_(meant))
        .order_by(*order)
    )
    if wanted.limit is None:
        query = query.offset(wanted.offset)
    rows = session.scalars(query).all()
    tags = tags_of(session, "Artifact", meant) if rows else {}
    return [_artifact(each, tags.get(each.id, {})) for each in rows]


def one(session: Session, id: str) -> Artifact:
    """Return an artifact that was just added, in two statements."""
    row = models.Artifact
    found = session.scalars(select(row).where(row.id == id)).one()
    return _artifact(found, tags_of(session, "Artifact", [id]).get(id, {}))


def _artifact(row: models.Artifact, dimensions: dict[str, list[Any]]) -> Artifact:
    return Artifact(
        id=row.id,
        execution_id=row.execution_id,
        kind=row.kind,
        key=row.key,
        path=row.path,
        value_hash=row.value_hash,
        title=row.title,
        description=row.description,
        dimensions=dimensions,
    )


__all__ = ["every", "one"]
