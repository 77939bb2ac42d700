"""What is to be run is held against what is there, in the transaction that writes it down.

The workflow and its tasks may have been switched off since they were looked at, the output may have
become read-only, and somebody else may have submitted the same a moment ago.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from taskgraph.catalog.requests import Request, Terms, one_form
from taskgraph.catalog.submitters import Submitter
from taskgraph.catalog.uses import DatasetPin, WorkflowPin
from taskgraph.errors import (
    DatasetReadOnlyError,
    DisabledWorkflowError,
    InactiveTaskError,
    RateLimitedError,
)
from taskgraph_backend import claims, statements
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_SECOND: Final = 1_000_000
_WHOLE: Final = re.compile(r"[0-9a-f]{32}")
_ENABLED: Final = "SELECT enabled FROM workflow WHERE id = ?"
_READ_ONLY: Final = "SELECT read_only FROM dataset WHERE id = ?"
_NEWEST: Final = (
    "SELECT e.id, e.created_at FROM execution_dataset u JOIN execution e ON e.id = u.execution_id"
    " WHERE u.dataset_id = ? AND u.role = 'output' AND e.entrypoint = ?"
    " AND e.workflow_id IS NOT NULL ORDER BY e.created_at DESC, e.id DESC LIMIT 1"
)
_PACKAGES: Final = (
    "SELECT t.name, t.task_hash, p.id, p.name, p.version, p.active FROM package_task t"
    " JOIN task_package p ON p.id = t.package_id WHERE t.name IN ({marks}) ORDER BY p.name, p.id"
)
_USED: Final = "UPDATE task_package SET last_used_at = ? WHERE id = ?"
_USER: Final = "SELECT active, settings FROM user_account WHERE email IN (?, ?) OR username = ?"
_USER_BY_ID: Final = "SELECT active, settings FROM user_account WHERE id = ?"
_FILES: Final = (
    "SELECT s.parent_value_hash, count(*) FROM subvalue s JOIN file f"
    " ON f.value_hash = s.value_hash WHERE s.parent_value_hash IN ({marks})"
    " GROUP BY s.parent_value_hash"
)


def check(driver: Driver, request: Request, terms: Terms) -> None:
    """Check that what is to be run may be; within the transaction alone that writes it.

    Args:
        driver: The connection.
        request: What is asked for: a task, a workflow that is applied, a group, or something once
            more.
        terms: Who pays, and which steps are run of a workflow.

    Raises:
        DisabledWorkflowError: The workflow is disabled.
        DatasetReadOnlyError: The output is read-only.
        InactiveTaskError: What is to run is of packages that are not active.
        PermissionDeniedError: Who asks is not active, or may not use the account.
        RateLimitedError: The same was submitted a moment ago.
    """
    flow, output = request.uses.workflow, request.uses.output
    if flow is not None:
        (is_enabled,) = driver.execute(_ENABLED, (_binary(flow.id),)).fetchone()
        if not is_enabled:
            raise DisabledWorkflowError(flow.label)
    if output is not None:
        (is_fixed,) = driver.execute(_READ_ONLY, (_binary(output.dataset_id),)).fetchone()
        if is_fixed:
            raise DatasetReadOnlyError(output.name)
    steps = [(each.task_name, each.task_hash) for each in terms.steps]
    used = _check_tasks(driver, steps or [(request.entrypoint, None)])
    check_submitter(driver, request, terms.account)
    if flow is not None and output is not None:
        _check_interval(driver, request.entrypoint, flow, output, terms)
    if used:
        now = claims.clock(driver)
        driver.executemany(_USED, [(now, each) for each in used])


def check_submitter(driver: Driver, request: Request, account: str | None) -> None:
    """Check that who asks is active, and may use an account; of nobody nothing is asked.

    Raises:
        PermissionDeniedError: That may not be.
    """
    if request.submitted_by is None:
        return
    user = submitter(driver, request.submitted_by)
    if user is not None:
        user.check(request.submitted_by, account)


def submitter(driver: Driver, name: str) -> Submitter | None:
    """Return the user of an e-mail address, a name or an id; None if nobody is registered so."""
    given = one_form(name)
    row = driver.execute(_USER, (given, given.lower(), given)).fetchone()
    if row is None and _WHOLE.fullmatch(given.lower()):
        row = driver.execute(_USER_BY_ID, (_binary(given),)).fetchone()
    return None if row is None else Submitter.of(bool(row[0]), _read(row[1]))


def count_files(driver: Driver, value_hashes: Sequence[str]) -> dict[str, int]:
    """Return how many files each of some contents has, in one statement for many."""
    found: dict[str, int] = {}
    for keys in statements.padded([_binary(each) for each in value_hashes]):
        sql = _FILES.format(marks=", ".join("?" * len(keys)))
        for key, count in driver.execute(sql, keys):
            found[bytes(key).hex()] = int(count)
    return found


def _check_tasks(driver: Driver, wanted: Sequence[tuple[str, str | None]]) -> list[bytearray]:
    """Check that no task is of packages that are all switched off; return those used.

    Args:
        driver: The connection.
        wanted: The names of tasks, and the version of their code where they are pinned to one.

    Raises:
        InactiveTaskError: One is.
    """
    names = sorted({name for name, _ in wanted})
    rows: list[Any] = []
    for keys in statements.padded(names):
        sql = _PACKAGES.format(marks=", ".join("?" * len(keys)))
        rows += driver.execute(sql, keys).fetchall()
    used: set[bytes] = set()
    for name, task_hash in wanted:
        of_task = [row for row in rows if row[0] == name]
        if task_hash is not None:
            of_task = [row for row in of_task if row[1] and bytes(row[1]).hex() == task_hash]
        active = [row for row in of_task if row[5]]
        if of_task and not active:
            _, _, _, package, version, _ = of_task[0]
            raise InactiveTaskError(name, f"{package}@{version}")
        used.update(bytes(row[2]) for row in active)
    return [bytearray(each) for each in sorted(used)]


def _check_interval(
    driver: Driver, entrypoint: str, flow: WorkflowPin, output: DatasetPin, terms: Terms
) -> None:
    if not terms.min_interval:
        return
    row = driver.execute(_NEWEST, (_binary(output.dataset_id), entrypoint)).fetchone()
    if row is None:
        return
    left = terms.min_interval - (claims.clock(driver) - row[1]) / _SECOND
    if left > 0:
        what = f"Workflow {flow.label} on dataset {output.name!r}"
        raise RateLimitedError(what, bytes(row[0]).hex(), left)


def _read(given: Any) -> Any:
    return json.loads(given) if isinstance(given, str) else given


__all__ = ["check", "check_submitter", "count_files", "submitter"]
