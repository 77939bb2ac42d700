"""Packages of tasks as rows: a version is there once for an owner, a group, or everybody.

What uses a package is asked in the transaction that puts it aside or deletes it: an active
execution whose entrypoint is a task of it, or whose workflow has a step that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from taskgraph.catalog.operations import Report
from taskgraph.catalog.package_rows import NewPackage
from taskgraph.catalog.packages import Recorded
from taskgraph.errors import DuplicatePackageError, PackageInUseError
from taskgraph.jsontext import mark_floats, to_json
from taskgraph.tasks.names import join_name
from taskgraph_backend import claims
from taskgraph_backend.catalog import operations
from taskgraph_backend.catalog.naming import find_id
from taskgraph_backend.catalog.people import get_group, get_user
from taskgraph_backend.catalog.using import IS_ACTIVE
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
_LABEL: Final = "SELECT name, version FROM task_package WHERE id = ?"
_NEWEST: Final = (
    "SELECT id, owner_id, user_group_id, active FROM task_package WHERE name = ?"
    " ORDER BY active DESC, created_at DESC, id DESC"
)
_ACTIVE: Final = (
    "SELECT DISTINCT e.id FROM package_task t JOIN execution e ON e.entrypoint = t.name"
    f" WHERE t.package_id = ? AND e.state_type IN {IS_ACTIVE}",
    "SELECT DISTINCT e.id FROM package_task t JOIN workflow_step s ON s.task_name = t.name"
    " JOIN execution e ON e.workflow_id = s.workflow_id"
    f" WHERE t.package_id = ? AND e.state_type IN {IS_ACTIVE}",
)
# A step that names one version of a task by its hash is of no package that has another one.
_WORKFLOWS: Final = (
    "SELECT DISTINCT w.namespace, w.name, w.version FROM package_task t"
    " JOIN workflow_step s ON s.task_name = t.name JOIN workflow w ON w.id = s.workflow_id"
    " WHERE t.package_id = ? AND (s.task_hash IS NULL OR s.task_hash = t.task_hash)"
)
_SWITCH: Final = "UPDATE task_package SET active = ? WHERE id = ?"


def create(driver: Driver, wanted: NewPackage, report: Callable[[Recorded], Report]) -> Recorded:
    """Write a package down with the end of its operation; within a transaction that is alone.

    Returns:
        It, or the one that is there with the same tasks.

    Raises:
        DuplicatePackageError: The owner, the group, or everybody has this version, with others.
        UserNotFoundError: The owner was deleted since.
        UserGroupNotFoundError: The group was deleted since.
    """
    if wanted.owner is not None:
        get_user(driver, wanted.owner)
    if wanted.group is not None:
        get_group(driver, wanted.group)
    found = _same_version(driver, wanted)
    recorded = Recorded(wanted.id if found is None else found, found is None)
    if recorded.is_new:
        _insert(driver, wanted)
    operations.report(driver, report(recorded))
    return recorded


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


def switch(driver: Driver, package_id: str, is_active: bool) -> bool:
    """Have the tasks of a package be usable, or not; within a transaction that is alone.

    Returns:
        Whether there is such a package.

    Raises:
        PackageInUseError: Active executions use its tasks, which are not to be used any more.
    """
    label = _label(driver, package_id)
    if label is None:
        return False
    if not is_active:
        _check_unused(label, _executions(driver, package_id))
    driver.execute(_SWITCH, (is_active, _binary(package_id)))
    return True


def delete(driver: Driver, package_id: str, dry_run: bool) -> bool:
    """Delete a package; within a transaction that is alone.

    Returns:
        Whether there was one.

    Raises:
        PackageInUseError: Active executions use its tasks, or workflows have them as steps.
    """
    label = _label(driver, package_id)
    if label is None:
        return False
    key = _binary(package_id)
    flows = [
        f"workflow {join_name(namespace, name)}@{version}"
        for namespace, name, version in driver.execute(_WORKFLOWS, (key,)).fetchall()
    ]
    _check_unused(label, [*_executions(driver, package_id), *sorted(flows)])
    if not dry_run:
        driver.execute("DELETE FROM package_task WHERE package_id = ?", (key,))
        driver.execute("DELETE FROM task_package WHERE id = ?", (key,))
    return True


def _executions(driver: Driver, package_id: str) -> list[str]:
    key = _binary(package_id)
    found = {bytes(row[0]).hex() for sql in _ACTIVE for row in driver.execute(sql, (key,))}
    return [f"execution {each[:8]}" for each in sorted(found)]


def _check_unused(label: str, uses: list[str]) -> None:
    if uses:
        raise PackageInUseError(label, uses)


def _label(driver: Driver, package_id: str) -> str | None:
    row = driver.execute(_LABEL, (_binary(package_id),)).fetchone()
    return None if row is None else f"{row[0]}@{row[1]}"


def _maybe(key: Any) -> str | None:
    return None if key is None else bytes(key).hex()


__all__ = ["create", "delete", "find", "switch"]
