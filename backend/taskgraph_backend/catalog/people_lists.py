"""Users and groups of users are listed, each with whom they belong to; in two statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.people_rows import User, UserGroup
from taskgraph_backend import models
from taskgraph_backend.query.people_criteria import users_where


def every(
    session: Session, where: Criteria, limit: int | None = None, offset: int = 0
) -> list[User]:
    """Return users by e-mail address."""
    row = models.UserAccount
    query = select(row).where(users_where(where)).order_by(row.email, row.id)
    return _users(session, query.offset(offset).limit(limit))


def one(session: Session, user_id: str) -> User | None:
    """Return a user by id."""
    row = models.UserAccount
    return next(iter(_users(session, select(row).where(row.id == user_id))), None)


def count(session: Session, where: Criteria) -> int:
    """Return how many users there are, in one statement."""
    query = select(func.count()).select_from(models.UserAccount).where(users_where(where))
    return int(session.execute(query).scalar_one())


def members(session: Session, group_id: str) -> list[User]:
    """Return the users in a group by e-mail address."""
    row, member = models.UserAccount, models.UserGroupMember
    inside = select(member.user_id).where(member.group_id == group_id)
    return _users(session, select(row).where(row.id.in_(inside)).order_by(row.email, row.id))


def groups(session: Session, user_id: str | None = None) -> list[UserGroup]:
    """Return groups by name; of a user, those that the user is in."""
    row, member = models.UserGroup, models.UserGroupMember
    query = _groups()
    if user_id is not None:
        query = query.where(row.id.in_(select(member.group_id).where(member.user_id == user_id)))
    found = session.execute(query.order_by(row.name, row.id))
    return [_group(each, number) for each, number in found]


def group(session: Session, group_id: str) -> UserGroup | None:
    """Return a group by id."""
    found = session.execute(_groups().where(models.UserGroup.id == group_id)).first()
    return None if found is None else _group(*found)


def _groups() -> Select[Any]:
    row, member = models.UserGroup, models.UserGroupMember
    number = select(func.count()).where(member.group_id == row.id).correlate(row)
    return select(row, number.scalar_subquery())


def _users(session: Session, query: Select[Any]) -> list[User]:
    rows = session.scalars(query).all()
    names = _names(session, [each.id for each in rows])
    return [_user(each, tuple(names.get(each.id, ()))) for each in rows]


def _names(session: Session, ids: list[str]) -> dict[str, list[str]]:
    """Return the names of the groups that users are in."""
    row, member = models.UserGroup, models.UserGroupMember
    found: dict[str, list[str]] = {}
    if not ids:
        return found
    query = select(member.user_id, row.name).join(row, row.id == member.group_id)
    if len(ids) == 1:
        query = query.where(member.user_id == ids[0])
    for user_id, name in session.execute(query.order_by(row.name)):
        found.setdefault(user_id, []).append(name)
    return found


def _user(row: models.UserAccount, groups: tuple[str, ...]) -> User:
    return User(
        id=row.id,
        email=row.email,
        created_at=row.created_at,
        username=row.username,
        active=row.active,
        superuser=row.superuser,
        verified=row.verified,
        settings=row.settings,
        groups=groups,
    )


def _group(row: models.UserGroup, members: int) -> UserGroup:
    return UserGroup(row.id, row.name, row.created_at, members)


__all__ = ["count", "every", "group", "groups", "members", "one"]
