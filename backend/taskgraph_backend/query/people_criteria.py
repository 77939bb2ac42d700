"""What criteria mean for users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import func, not_, or_, select

from taskgraph.catalog.criteria import Criteria
from taskgraph.jsontext import storable
from taskgraph_backend import models
from taskgraph_backend.query.columns import one_of
from taskgraph_backend.query.criteria import (
    _Condition,
    _condition,
    _flag,
    _has_part,
    _key,
    _text,
    _time,
)


def users_where(criteria: Criteria) -> _Condition:
    """Return the condition that a user is meant."""
    return _condition(criteria, models.UserAccount, _USER)


def _email(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for an address, whatever its case: they are kept in lower case."""
    given = value.lower() if isinstance(value, str) else tuple(each.lower() for each in value)
    return _text("email")(row, operator, given)


def _name(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for a user by address or name."""
    if operator == "not_any_":
        return not_(_name(row, "any_", value))
    username = func.coalesce(row.username, "")
    if operator == "like_":
        return or_(_has_part(row.email, value), _has_part(username, value))
    wanted = [storable(each) for each in value]
    return or_(one_of(username, wanted), one_of(row.email, [each.lower() for each in wanted]))


def _group(row: Any, operator: str, value: Any) -> _Condition:
    if operator == "not_any_":
        return not_(_group(row, "any_", value))
    group, member = models.UserGroup, models.UserGroupMember
    inside = (
        select(member.user_id)
        .join(group, group.id == member.group_id)
        .where(one_of(group.name, [storable(each) for each in value]))
    )
    return row.id.in_(inside)  # type: ignore[no-any-return]


_USER: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    "id": _key("id"),
    "email": _email,
    "username": _text("username"),
    "name": _name,
    "active": _flag("active"),
    "superuser": _flag("superuser"),
    "verified": _flag("verified"),
    "group": _group,
    "created": _time("created_at"),
}

__all__ = ["users_where"]
