"""Packages of tasks as rows: a version is there once for an owner, a group, or everybody.

Of each of these one version of a package is active: another one that becomes so takes its place, in
the same transaction. What needs a package is asked in the transaction that puts it aside or deletes
it; see `package_uses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from taskgraph.catalog.operations import Report
from taskgraph.catalog.package_rows import NewPackage
from taskgraph.catalog.packages import Recorded
from taskgraph.errors import DuplicatePackageError, PackageInUseError, ValidationError
from taskgraph.jsontext import mark_floats, to_json
from taskgraph_backend import claims
from taskgraph_backend.catalog import operations, package_uses
from taskgraph_backend.catalog.naming import find_id
from taskgraph_backend.catalog.package_uses import Frozen
from taskgraph_backend.catalog.people import get_group, get_user
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_PACKAGE: Final = (
    "INSERT INTO task_package (id, name, version, origin, active, owner_id, user_group_id,"
    " requirements, frozen, created_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_TASK: Final = (
    "INSERT INTO package_task (package_id, name, task_hash, version, args_schema, input_type,"
    " output_type, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_VERSION: Final = (
    "SELECT id, owner_id, user_group_id FROM task_package WHERE name = ? AND version = ?"
)
_TASKS: Final = "SELECT name, task_hash FROM package_task WHERE package_id = ?"
_LABEL: Final = "SELECT name, version, active FROM task_package WHERE id = ?"
_NEWEST: Final = (
    "SELECT id, owner_id, user_group_id, active FROM task_package WHERE name = ?"
    " ORDER BY active DESC, created_at DESC, id DESC"
)
_MEMBER: Final = "SELECT 1 FROM user_group_member WHERE group_id = ? AND user_id = ?"
_SWITCH: Final = "UPDATE task_package SET active = ? WHERE id = ?"


def create(
    driver: Driver, wanted: NewPackage, report: Callable[[Recorded], Report], frozen: Frozen
) -> Recorded | None:
    """Write a package down with the end of its operation; within a transaction that is alone.

    Returns:
        It, or the one that is there with the same tasks; None if something was submitted that
        ``frozen`` has not.

    Raises:
        PackageInUseError: The version that is active has tasks in use that this one has not.
        DuplicatePackageError: The owner, the group, or everybody has this version, with others.
        UserNotFoundError: The owner was deleted since.
        UserGroupNotFoundError: The group was deleted since.
        ValidationError: The owner left the group since.
    """
    if package_uses.unread(driver, frozen):
        return None
    if wanted.owner is not None:
        get_user(driver, wanted.owner)
    if wanted.group is not None:
        get_group(driver, wanted.group)
    _check_member(driver, wanted)
    found = _same_version(driver, wanted)
    if found is None:
        _insert(driver, wanted)
        aside = _put_others_aside(driver, wanted.id, frozen)
        recorded = Recorded(wanted.id, True, tuple(aside))
    else:
        recorded = Recorded(found, False)
    operations.report(driver, report(recorded))
    return recorded


def _check_member(driver: Driver, wanted: NewPackage) -> None:
    if wanted.owner is None or wanted.group is None:
        return
    owner = _binary(wanted.owner)
    if driver.execute(_MEMBER, (_binary(wanted.group), owner)).fetchone() is None:
        raise ValidationError("group", f"{_whose(driver, owner, None)} is not in it any more.")


def _insert(driver: Driver, wanted: NewPackage) -> None:
    key = _binary(wanted.id)
    row = (
        key,
        wanted.name,
        wanted.version,
        wanted.origin,
        True,
        None if wanted.owner is None else _binary(wanted.owner),
        None if wanted.group is None else _binary(wanted.group),
        to_json(list(wanted.requirements)),
        wanted.frozen,
        claims.clock(driver),
        None,
    )
    driver.executemany(_PACKAGE, [row])
    tasks = [
        (
            key,
            each.name,
            None if each.task_hash is None else _binary(each.task_hash),
            each.version,
            None if each.args_schema is None else to_json(mark_floats(each.args_schema)),
            each.input_type,
            each.output_type,
            each.description,
        )
        for each in wanted.tasks
    ]
    driver.executemany(_TASK, tasks)


def _same_version(driver: Driver, wanted: NewPackage) -> str | None:
    """Return the package that is this very one already, if there is one.

    Raises:
        DuplicatePackageError: There is this version, and it is another one.
    """
    rows = driver.execute(_VERSION, (wanted.name, wanted.version)).fetchall()
    whose = wanted.owner, wanted.group
    for id, owner, group in rows:
        if (_maybe(owner), _maybe(group)) == whose:
            found = bytes(id).hex()
            if found == wanted.id or _has_tasks(driver, id, wanted):
                return found
            raise DuplicatePackageError(wanted.name, wanted.version, _whose(driver, owner, group))
    # Each owner has a version once, in whatever group; and each group, whoever owns it.
    for _, owner, _ in rows:
        if owner is not None and _maybe(owner) == wanted.owner:
            raise DuplicatePackageError(wanted.name, wanted.version, _whose(driver, owner, None))
    for _, _, group in rows:
        if group is not None and _maybe(group) == wanted.group:
            raise DuplicatePackageError(wanted.name, wanted.version, _whose(driver, None, group))
    return None


def _has_tasks(driver: Driver, key: Any, wanted: NewPackage) -> bool:
    there = {(name, _maybe(code)) for name, code in driver.execute(_TASKS, (key,)).fetchall()}
    return there == {(each.name, each.task_hash) for each in wanted.tasks}


def _whose(driver: Driver, owner: Any, group: Any) -> str:
    if owner is not None:
        sql = "SELECT email FROM user_account WHERE id = ?"
        return str(driver.execute(sql, (owner,)).fetchone()[0])
    if group is not None:
        sql = "SELECT name FROM user_group WHERE id = ?"
        return f"Group {driver.execute(sql, (group,)).fetchone()[0]!r}"
    return "Everybody"


def find(driver: Driver, ref: str) -> str | None:
    """Return the id of a package by name, NAME@VERSION, id or unique start of one.

    Raises:
        AmbiguousIdError: Several are meant: of different owners, or with ids that start so.
    """

    def named() -> list[Any]:
        name, at, version = ref.rpartition("@")
        if at:
            return driver.execute(_VERSION, (name, version)).fetchall()
        rows = driver.execute(_NEWEST, (ref,)).fetchall()
        # Of each owner the first one, and of these the active ones, where there are any.
        first: dict[tuple[Any, Any], Any] = {}
        for row in rows:
            first.setdefault((_maybe(row[1]), _maybe(row[2])), row)
        every = list(first.values())
        return [row for row in every if row[3]] or every

    return find_id(driver, "task_package", ref, named)


def switch(driver: Driver, package_id: str, is_active: bool, frozen: Frozen) -> bool | None:
    """Have the tasks of a package be usable, or not; within a transaction that is alone.

    Where they are to be, the version that was active is put aside.

    Returns:
        Whether there is such a package; None if something was submitted that ``frozen`` has not.

    Raises:
        PackageInUseError: Active executions use tasks that are not to be used any more.
    """
    if package_uses.unread(driver, frozen):
        return None
    row = driver.execute(_LABEL, (_binary(package_id),)).fetchone()
    if row is None:
        return False
    if is_active:
        driver.execute(_SWITCH, (True, _binary(package_id)))
        _put_others_aside(driver, package_id, frozen)
    elif row[2]:
        _put_aside(driver, package_id, _label(row), frozen)
    return True


def _put_others_aside(driver: Driver, package_id: str, frozen: Frozen) -> list[str]:
    """Put the other versions of a package aside, which is active by now; returns these."""
    name = driver.execute(_LABEL, (_binary(package_id),)).fetchone()[0]
    rows = driver.execute(_NEWEST, (name,)).fetchall()
    whose = {bytes(id).hex(): (_maybe(owner), _maybe(group)) for id, owner, group, _ in rows}
    aside = []
    for id, _, _, is_active in rows:
        other = bytes(id).hex()
        if is_active and other != package_id and whose[other] == whose[package_id]:
            label = _label(driver.execute(_LABEL, (_binary(other),)).fetchone())
            _put_aside(driver, other, label, frozen)
            aside.append(label)
    return aside


def _put_aside(driver: Driver, package_id: str, label: str, frozen: Frozen) -> None:
    uses = package_uses.executions(driver, package_id, frozen)
    if uses:
        raise PackageInUseError(label, uses)
    driver.execute(_SWITCH, (False, _binary(package_id)))


def delete(driver: Driver, package_id: str, dry_run: bool, frozen: Frozen) -> bool | None:
    """Delete a package; within a transaction that is alone.

    Returns:
        Whether there was one; None if something was submitted that ``frozen`` has not.

    Raises:
        PackageInUseError: Active executions use its tasks, or workflows have them as steps.
    """
    if package_uses.unread(driver, frozen):
        return None
    key = _binary(package_id)
    row = driver.execute(_LABEL, (key,)).fetchone()
    if row is None:
        return False
    uses = package_uses.executions(driver, package_id, frozen)
    uses += package_uses.workflows(driver, package_id)
    if uses:
        raise PackageInUseError(_label(row), uses)
    if not dry_run:
        driver.execute("DELETE FROM package_task WHERE package_id = ?", (key,))
        driver.execute("DELETE FROM task_package WHERE id = ?", (key,))
    return True


def _label(row: Any) -> str:
    return f"{row[0]}@{row[1]}"


def _maybe(key: Any) -> str | None:
    return None if key is None else bytes(key).hex()


__all__ = ["create", "delete", "find", "switch"]
