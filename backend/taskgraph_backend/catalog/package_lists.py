"""Packages of tasks are listed with whom they belong to and what is in them; in two statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from taskgraph.catalog.package_rows import PackagedTask, TaskPackage
from taskgraph.jsontext import read_floats
from taskgraph_backend import models
from taskgraph_backend.query.columns import every as all_of
from taskgraph_backend.query.criteria import _has_part


class Meant:
    """Which packages are meant, with people as ids.

    Args:
        owner: Of this user.
        group: Of this group.
        active: Only those that may be used, or only those that may not.
        visible_to: Of nobody, of this user, or of a group that this user is in.
        name: With this in their name.
    """

    def __init__(
        self,
        owner: str | None = None,
        group: str | None = None,
        active: bool | None = None,
        visible_to: str | None = None,
        name: str | None = None,
    ) -> None:
        row = models.TaskPackage
        self._parts: list[ColumnElement[bool]] = []
        if owner is not None:
            self._parts.append(row.owner_id == owner)
        if group is not None:
            self._parts.append(row.user_group_id == group)
        if active is not None:
            self._parts.append(row.active.is_(active))
        if visible_to is not None:
            self._parts.append(_is_visible(visible_to))
        if name is not None:
            self._parts.append(_has_part(row.name, name))

    @property
    def condition(self) -> ColumnElement[bool]:
        """What of a package must hold."""
        return all_of(self._parts)


def _is_visible(user_id: str) -> ColumnElement[bool]:
    row, member = models.TaskPackage, models.UserGroupMember
    groups = select(member.group_id).where(member.user_id == user_id)
    return or_(
        and_(row.owner_id.is_(None), row.user_group_id.is_(None)),
        row.owner_id == user_id,
        row.user_group_id.in_(groups),
    )


def every(
    session: Session, meant: Meant, limit: int | None = None, offset: int = 0
) -> list[TaskPackage]:
    """Return packages by name, the version that was collected last first."""
    row = models.TaskPackage
    order = row.name, row.created_at.desc(), row.id.desc()
    return _packages(session, meant.condition, order, limit, offset)


def one(session: Session, package_id: str) -> TaskPackage | None:
    """Return a package by id."""
    row = models.TaskPackage
    return next(iter(_packages(session, row.id == package_id, (row.id,), None, 0)), None)


def count(session: Session, meant: Meant) -> int:
    """Return how many packages there are, in one statement."""
    query = select(func.count()).select_from(models.TaskPackage).where(meant.condition)
    return int(session.execute(query).scalar_one())


def _packages(
    session: Session, where: ColumnElement[bool], order: Any, limit: int | None, offset: int
) -> list[TaskPackage]:
    row, user, group = models.TaskPackage, models.UserAccount, models.UserGroup
    name: Any = group.name.label("group_name")
    query = (
        select(row, user.email, name)
        .outerjoin(user, user.id == row.owner_id)
        .outerjoin(group, group.id == row.user_group_id)
        .where(where)
        .order_by(*order)
        .offset(offset)
        .limit(limit)
    )
    rows = session.execute(query).all()
    tasks = _tasks(session, [each[0].id for each in rows])
    return [_package(each, tuple(tasks.get(each[0].id, ()))) for each in rows]


def _tasks(session: Session, ids: list[str]) -> dict[str, list[PackagedTask]]:
    found: dict[str, list[PackagedTask]] = {}
    if not ids:
        return found
    task = models.PackageTask
    query = select(task).where(task.package_id.in_(ids)).order_by(task.name)
    for each in session.scalars(query):
        found.setdefault(each.package_id, []).append(
            PackagedTask(
                name=each.name,
                task_hash=each.task_hash,
                version=each.version,
                args_schema=read_floats(each.args_schema),
                input_type=each.input_type,
                output_type=each.output_type,
                description=each.description,
            )
        )
    return found


def _package(found: Any, tasks: tuple[PackagedTask, ...]) -> TaskPackage:
    row, owner, group = found
    return TaskPackage(
        id=row.id,
        name=row.name,
        version=row.version,
        origin=row.origin,
        active=row.active,
        created_at=row.created_at,
        owner=owner,
        owner_id=row.owner_id,
        group=group,
        group_id=row.user_group_id,
        requirements=tuple(row.requirements),
        frozen=row.frozen,
        last_used_at=row.last_used_at,
        tasks=tasks,
    )


__all__ = ["Meant", "count", "every", "one"]
