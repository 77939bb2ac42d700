"""What needs the tasks of a package: what was submitted and has not ended, and stored workflows.

What was submitted is judged by the steps that were frozen then, whatever became of its workflow.
They are values, which are read before the transaction that decides; within it is asked whether all
of them were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from taskgraph.catalog.rerunning import RERUN_TAG, uses_of
from taskgraph.catalog.uses import StepPin
from taskgraph.tasks.names import join_name
from taskgraph_backend.catalog.using import IS_ACTIVE
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

#: The steps that something was submitted with, by its snapshot; None for one that cannot be read.
Frozen = Mapping[str, tuple[StepPin, ...] | None]

# What is run again by its snapshot alone may be of a workflow that is gone.
_SUBMITTED: Final = (
    "SELECT e.id, e.workflow_id, e.snapshot_hash FROM execution e"
    f" WHERE e.state_type IN {IS_ACTIVE} AND (e.workflow_id IS NOT NULL OR EXISTS ("
    "SELECT 1 FROM tag t WHERE t.entity_id = e.id AND t.entity_type = 'Execution'"
    f" AND t.is_current AND t.key = '{RERUN_TAG}'))"
)
_CALLED: Final = (
    "SELECT e.id, e.entrypoint FROM package_task t JOIN execution e ON e.entrypoint = t.name"
    f" WHERE t.package_id = ? AND e.state_type IN {IS_ACTIVE}"
)
_TODAY: Final = "SELECT task_name, task_hash FROM workflow_step WHERE workflow_id = ?"
_STEPS: Final = (
    "SELECT w.namespace, w.name, w.version, s.task_name, s.task_hash FROM package_task t"
    " JOIN workflow_step s ON s.task_name = t.name JOIN workflow w ON w.id = s.workflow_id"
    " WHERE t.package_id = ?"
)
_OWN: Final = "SELECT name, task_hash FROM package_task WHERE package_id = ?"
_OTHERS: Final = (
    "SELECT t.name, t.task_hash FROM package_task t JOIN task_package p ON p.id = t.package_id"
    " WHERE p.active AND p.id <> ?"
    " AND t.name IN (SELECT own.name FROM package_task own WHERE own.package_id = ?)"
)


def steps_of(snapshot: Any) -> tuple[StepPin, ...] | None:
    """Return the steps that something was submitted with. Any: what was frozen, or nothing."""
    return uses_of(snapshot).steps if isinstance(snapshot, dict) else None


def unread(driver: Driver, frozen: Frozen) -> list[str]:
    """Return the snapshots of what is on its way that nobody has read yet."""
    wanted = {_hex(row[2]) for row in driver.execute(_SUBMITTED).fetchall() if row[2] is not None}
    return sorted(wanted - frozen.keys())


def executions(driver: Driver, package_id: str, frozen: Frozen) -> list[str]:
    """Return the executions on their way that need a task of a package, as an error names them."""
    needs = _Needs(driver, package_id)
    called = driver.execute(_CALLED, (_binary(package_id),)).fetchall()
    found = {_hex(key) for key, entrypoint in called if needs(entrypoint, None)}
    for key, workflow, snapshot in driver.execute(_SUBMITTED).fetchall():
        steps = _submitted_steps(driver, workflow, snapshot, frozen)
        if any(needs(task, pinned) for task, pinned in steps):
            found.add(_hex(key))
    return [f"execution {each[:8]}" for each in sorted(found)]


def workflows(driver: Driver, package_id: str) -> list[str]:
    """Return the stored workflows that need a task of a package, as an error names them."""
    needs = _Needs(driver, package_id)
    rows = driver.execute(_STEPS, (_binary(package_id),)).fetchall()
    found = {
        f"workflow {join_name(namespace, name)}@{version}"
        for namespace, name, version, task, pinned in rows
        if needs(task, _maybe(pinned))
    }
    return sorted(found)


def _submitted_steps(
    driver: Driver, workflow: Any, snapshot: Any, frozen: Frozen
) -> Iterator[tuple[str, str | None]]:
    """Yield the names of tasks, with the one version that is meant where only that one is."""
    steps = None if snapshot is None else frozen[_hex(snapshot)]
    if steps is not None:
        yield from ((each.task_name, each.task_hash) for each in steps)
    elif workflow is not None:  # nothing better is known than what it is today
        for task, pinned in driver.execute(_TODAY, (workflow,)).fetchall():
            yield task, _maybe(pinned)


class _Needs:
    """Tells whether a task is to be had of one package, and of no other one that is active.

    A step that names one version of a task by its hash is of no package that has another one.
    """

    def __init__(self, driver: Driver, package_id: str) -> None:
        key = _binary(package_id)
        self._own = _tasks(driver.execute(_OWN, (key,)).fetchall())
        self._others = _tasks(driver.execute(_OTHERS, (key, key)).fetchall())

    def __call__(self, task: str, pinned: str | None) -> bool:
        return _has(self._own, task, pinned) and not _has(self._others, task, pinned)


def _tasks(rows: Iterable[Any]) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for name, code in rows:
        found.setdefault(name, set()).add(_maybe(code))
    return found


def _has(tasks: Mapping[str, set[str | None]], task: str, pinned: str | None) -> bool:
    known = tasks.get(task)
    return known is not None and (pinned is None or pinned in known)


def _hex(key: Any) -> str:
    return bytes(key).hex()


def _maybe(key: Any) -> str | None:
    return None if key is None else _hex(key)


__all__ = ["Frozen", "executions", "steps_of", "unread", "workflows"]
