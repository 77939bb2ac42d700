"""Users and groups of users as rows: an address and a name are of one only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from taskgraph.catalog.people_rows import NewUser, is_linked
from taskgraph.catalog.requests import one_form
from taskgraph.errors import (
    LastSuperuserError,
    UserExistsError,
    UserGroupNotFoundError,
    UserInUseError,
    UserNotFoundError,
)
from taskgraph.jsontext import to_json
from taskgraph_backend import claims
from taskgraph_backend.catalog.naming import find_id
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_USER: Final = (
    "INSERT INTO user_account (id, email, username, active, superuser, verified, settings,"
    " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_GROUP: Final = "INSERT INTO user_group (id, name, created_at) VALUES (?, ?, ?)"
_MEMBER: Final = (
    "INSERT INTO user_group_member (group_id, user_id, created_at) VALUES (?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_NAMED: Final = "SELECT id FROM user_account WHERE email = ? OR username = ?"
_SETTINGS: Final = "UPDATE user_account SET settings = ? WHERE id = ?"
_OWNED: Final = (
    "SELECT 'package', name, version FROM task_package WHERE owner_id = ?",
    "SELECT 'study', name, '' FROM study WHERE owner_id = ?",
)
_FLAGS: Final = "SELECT email, active, superuser FROM user_account WHERE id = ?"
# Those who are left, and whether one of them may force any state.
_OTHERS: Final = (
    "SELECT COUNT(*), COUNT(CASE WHEN active AND superuser THEN 1 END) FROM user_account"
    " WHERE id <> ?"
)
_OF_GROUP: Final = "SELECT 'package', name, version FROM task_package WHERE user_group_id = ?"


def find_user(driver: Driver, ref: str, *, may_start: bool = True) -> str | None:
    """Return the id of a user by id, address, name or unique start of an id.

    Args:
        driver: The connection.
        ref: What was typed.
        may_start: Whether the start of an id will do: not for who acts.

    Raises:
        AmbiguousIdError: More than one starts so.
    """
    given = one_form(ref)

    def named() -> list[Any]:
        return driver.execute(_NAMED, (given.lower(), given)).fetchall()

    return find_id(driver, "user_account", given, named, may_start=may_start)


def get_user(driver: Driver, ref: str) -> str:
    """Return the same as `find_user` of a user that must be there.

    Raises:
        UserNotFoundError: There is none.
        AmbiguousIdError: More than one starts so.
    """
    found = find_user(driver, ref)
    if found is None:
        raise UserNotFoundError(ref)
    return found


def create_user(driver: Driver, wanted: NewUser) -> str:
    """Create a user; within a transaction that is alone. Returns the id.

    Raises:
        UserExistsError: The address or the name is taken.
    """
    _check_free(driver, wanted.id, {"email": wanted.email, "username": wanted.username})
    row = (
        _binary(wanted.id),
        wanted.email,
        wanted.username,
        wanted.active,
        wanted.superuser,
        wanted.verified,
        to_json(dict(wanted.settings)),
        claims.clock(driver),
    )
    driver.executemany(_USER, [row])
    return wanted.id


def update_user(driver: Driver, user_id: str, changes: Mapping[str, Any]) -> bool:
    """Change columns of a user; within a transaction that is alone.

    ``default_account`` is no column: it is that one of the settings as they are then.

    Returns:
        Whether there is such a user.

    Raises:
        UserExistsError: The address or the name is taken.
        LastSuperuserError: Nobody would be left who may force any state.
    """
    if not _is_there(driver, "user_account", user_id):
        return False
    _check_free(driver, user_id, changes)
    if changes.get("active") is False or changes.get("superuser") is False:
        _check_not_last(driver, user_id, stays=True)
    for column in ("email", "username", "active", "superuser", "verified", "settings"):
        if column in changes:
            value = changes[column]
            given = to_json(value) if column == "settings" else value
            sql = f"UPDATE user_account SET {column} = ? WHERE id = ?"
            driver.execute(sql, (given, _binary(user_id)))
    if "default_account" in changes:
        settings = _settings(driver, user_id) or {}
        settings["default_account"] = changes["default_account"]
        if settings["default_account"] is None:
            del settings["default_account"]
        driver.execute(_SETTINGS, (to_json(settings), _binary(user_id)))
    return True


def change_accounts(
    driver: Driver, user_id: str, provider: str, account_id: str, said: Mapping[str, Any] | None
) -> bool:
    """Have a user have an account as it is said, or not; within a transaction that is alone.

    Returns:
        Whether there is such a user.
    """
    settings = _settings(driver, user_id)
    if settings is None:
        return False
    others = [
        each
        for each in settings.get("accounts", [])
        if not is_linked(each) or (each["provider"], each["account_id"]) != (provider, account_id)
    ]
    settings["accounts"] = others if said is None else [*others, dict(said)]
    driver.execute(_SETTINGS, (to_json(settings), _binary(user_id)))
    return True


def delete_user(driver: Driver, user_id: str) -> bool:
    """Delete a user; within a transaction that is alone.

    Returns:
        Whether there was one.

    Raises:
        UserInUseError: Packages or studies belong to the user.
        LastSuperuserError: Others would be left, and none who may force any state.
    """
    key = _binary(user_id)
    row = driver.execute("SELECT email FROM user_account WHERE id = ?", (key,)).fetchone()
    if row is None:
        return False
    owned = [each for sql in _OWNED for each in driver.execute(sql, (key,)).fetchall()]
    _check_unused(f"User {row[0]}", owned)
    _check_not_last(driver, user_id, stays=False)
    driver.execute("DELETE FROM user_group_member WHERE user_id = ?", (key,))
    driver.execute("DELETE FROM user_account WHERE id = ?", (key,))
    return True


# Groups of users


def find_group(driver: Driver, ref: str) -> str | None:
    """Return the id of a group by id, name or unique start of an id.

    Raises:
        AmbiguousIdError: More than one starts so.
    """
    given = one_form(ref)

    def named() -> list[Any]:
        sql = "SELECT id FROM user_group WHERE name = ?"
        return driver.execute(sql, (given,)).fetchall()

    return find_id(driver, "user_group", given, named)


def get_group(driver: Driver, ref: str) -> str:
    """Return the same as `find_group` of a group that must be there.

    Raises:
        UserGroupNotFoundError: There is none.
        AmbiguousIdError: More than one starts so.
    """
    found = find_group(driver, ref)
    if found is None:
        raise UserGroupNotFoundError(ref)
    return found


def create_group(driver: Driver, id: str, name: str) -> str:
    """Create a group; within a transaction that is alone. Returns its id.

    Raises:
        UserExistsError: There is a group of this name.
    """
    row = driver.execute("SELECT id FROM user_group WHERE name = ?", (name,)).fetchone()
    if row is not None and bytes(row[0]).hex() != id:
        raise UserExistsError(f"The name {name!r} of a group of users")
    if row is None:
        driver.executemany(_GROUP, [(_binary(id), name, claims.clock(driver))])
    return id


def change_member(driver: Driver, group_id: str, user: str, is_member: bool) -> bool:
    """Have a user be in a group, or not; within a transaction that is alone.

    Returns:
        Whether that is news.

    Raises:
        UserGroupNotFoundError: The group was deleted since.
        UserNotFoundError: There is no such user.
    """
    if not _is_there(driver, "user_group", group_id):
        raise UserGroupNotFoundError(group_id)
    keys = _binary(group_id), _binary(get_user(driver, user))
    sql = "SELECT 1 FROM user_group_member WHERE group_id = ? AND user_id = ?"
    is_now = driver.execute(sql, keys).fetchone() is not None
    if is_member and not is_now:
        driver.executemany(_MEMBER, [(*keys, claims.clock(driver))])
    elif is_now and not is_member:
        driver.execute("DELETE FROM user_group_member WHERE group_id = ? AND user_id = ?", keys)
    return is_now != is_member


def delete_group(driver: Driver, group_id: str) -> bool:
    """Delete a group; within a transaction that is alone.

    Returns:
        Whether there was one.

    Raises:
        UserInUseError: Packages belong to it.
    """
    key = _binary(group_id)
    row = driver.execute("SELECT name FROM user_group WHERE id = ?", (key,)).fetchone()
    if row is None:
        return False
    _check_unused(f"Group {row[0]!r}", driver.execute(_OF_GROUP, (key,)).fetchall())
    driver.execute("DELETE FROM user_group_member WHERE group_id = ?", (key,))
    driver.execute("DELETE FROM user_group WHERE id = ?", (key,))
    return True


def _check_free(driver: Driver, user_id: str, wanted: Mapping[str, Any]) -> None:
    """Check that nobody else has an address or a name."""
    for column, what in (("email", "The address"), ("username", "The name")):
        value = wanted.get(column)
        if value is None:
            continue
        sql = f"SELECT id FROM user_account WHERE {column} = ?"
        row = driver.execute(sql, (value,)).fetchone()
        if row is not None and bytes(row[0]).hex() != user_id:
            raise UserExistsError(f"{what} {value!r}")


def _check_not_last(driver: Driver, user_id: str, *, stays: bool) -> None:
    """Check that a user is not the only one who may force any state.

    Without any user anybody may, so that the last one of all can go.
    """
    email, is_active, is_superuser = driver.execute(_FLAGS, (_binary(user_id),)).fetchone()
    others, superusers = driver.execute(_OTHERS, (_binary(user_id),)).fetchone()
    if is_active and is_superuser and not superusers and (stays or others):
        raise LastSuperuserError(email)


def _check_unused(what: str, owned: list[Any]) -> None:
    if owned:
        uses = [f"{kind} {name}{version and f'@{version}'}" for kind, name, version in owned]
        raise UserInUseError(what, sorted(uses))


def _settings(driver: Driver, user_id: str) -> dict[str, Any] | None:
    sql = "SELECT settings FROM user_account WHERE id = ?"
    row = driver.execute(sql, (_binary(user_id),)).fetchone()
    return None if row is None else dict(json.loads(row[0]))


def _is_there(driver: Driver, table: str, id: str) -> bool:
    row = driver.execute(f"SELECT 1 FROM {table} WHERE id = ?", (_binary(id),)).fetchone()
    return row is not None


__all__ = [
    "change_accounts",
    "change_member",
    "create_group",
    "create_user",
    "delete_group",
    "delete_user",
    "find_group",
    "find_user",
    "get_group",
    "get_user",
    "update_user",
]
