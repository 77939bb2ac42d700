"""Datasets are listed with their facets, and their paths without reading a value."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.data_rows import Dataset
from taskgraph_backend import models
from taskgraph_backend.query.criteria import datasets_where


def every(
    session: Session, where: Criteria, limit: int | None = None, offset: int = 0
) -> list[Dataset]:
    """Return datasets by name, in two statements."""
    row, study = models.Dataset, models.Study
    query = (
        select(row, study.name)
        .outerjoin(study, study.id == row.study_id)
        .where(datasets_where(where))
        .order_by(row.name, row.id)
        .offset(offset)
    )
    meant = select(row.id).where(datasets_where(where))
    if limit is not None:
        query = query.limit(limit)
        page = meant.order_by(row.name, row.id).offset(offset).limit(limit).subquery()
        meant = select(page.c.id)
    rows = session.execute(query).all()
    facets = tags_of(session, "Dataset", meant) if rows else {}
    return [_dataset(each, name, facets.get(each.id, {})) for each, name in rows]


def count(session: Session, where: Criteria) -> int:
    """Return how many there are, in one statement."""
    query = select(func.count()).select_from(models.Dataset).where(datasets_where(where))
    return int(session.execute(query).scalar_one())


def paths(session: Session, value_hash: str) -> list[str]:
    """Return the paths below their roots of the files that a value is or holds."""
    file, inner = models.File, models.Subvalue
    held = select(inner.value_hash).where(inner.parent_value_hash == value_hash)
    query = (
        select(file.root, file.path)
        .where(or_(file.value_hash == value_hash, file.value_hash.in_(held)))
        .order_by(file.root, file.path)
    )
    return [path for _, path in session.execute(query)]


def tags_of(session: Session, kind: str, meant: Any) -> dict[str, dict[str, list[Any]]]:
    """Return the current tags of records of a kind, in one statement.

    Args:
        session: The session.
        kind: As in `models.TagEntity`.
        meant: Which: a selection of ids, or a list of them. Any: one or the other.
    """
    tag = models.Tag
    found: dict[str, dict[str, list[Any]]] = {}
    query = (
        select(tag.entity_id, tag.key, tag.value)
        .where(tag.entity_type == kind, tag.is_current.is_(True), tag.entity_id.in_(meant))
        .order_by(tag.key, tag.tag_hash)
    )
    for entity_id, key, value in session.execute(query):
        found.setdefault(entity_id, {}).setdefault(key, []).append(value)
    return found


def _dataset(row: models.Dataset, study: str | None, facets: dict[str, list[Any]]) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        type=row.type,
        value_hash=row.value_hash,
        created_at=row.created_at,
        updated_at=row.updated_at,
        study=study,
        study_id=row.study_id,
        facets=facets,
        read_only=row.read_only,
        retracted=row.retracted,
        meta=row.meta,
    )


__all__ = ["count", "every", "paths", "tags_of"]
