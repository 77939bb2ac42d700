"""Rows in the place of lost ones: whatever refers to them stays, and they are used for nothing.

A lost value is marked as damaged, so that it is written again when it is made again; so is a lost
task when it runs again.
"""

from __future__ import annotations

from typing import Any

from taskgraph.hashing import digest_bytes
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity.problems import Add, Change, Mend

#: What is shown of a row that is lost.
LOST = "<lost>"
_EMPTY = bytes.fromhex(digest_bytes(b""))


def lost_value(key: Any, type_name: str = "taskgraph.Lost") -> Add:
    """Return a value that has no bytes any more."""
    return Add(
        "value",
        {
            "value_hash": key,
            "type": type_name,
            "format": statements.DAMAGED,
            "size": 0,
            "preview": LOST,
            "content_digest": _EMPTY,
            "trusted": True,
            "value": b"",
        },
    )


def lost_task(driver: Driver, key: Any) -> tuple[Mend, ...]:
    """Return a task without its code, named as its calls name it."""
    row = driver.execute(
        "SELECT task_name FROM call_node WHERE task_hash = ? LIMIT 1", (key,)
    ).fetchone()
    namespace, _, name = (row[0] if row else LOST).rpartition(".")
    columns = {"hash": key, "name": name, "namespace": namespace, "source": ""}
    return lost_value(key, "taskgraph.Task"), Add("task", columns)


def lost_execution(driver: Driver, key: Any) -> tuple[Mend, ...]:
    """Return an execution of which its jobs alone are known."""
    row = driver.execute(
        "SELECT min(start_time), max(end_time) FROM job WHERE execution_id = ?", (key,)
    ).fetchone()
    start, end = row
    return (
        Add(
            "execution",
            {
                "id": key,
                "args": "[]",
                "job_id": None,
                "updated_time": end,
                "state_type": "CRASHED",
                "state_time": end or start,
                "environment_hash": None,
            },
        ),
    )


def without_bytes(key: Any, seen: dict[str, Any]) -> Change:
    """Return how a value is marked as damaged, as a run does that comes upon one."""
    columns = {"format": statements.DAMAGED, "value": b"", "size": 0, "seal": None}
    return Change("value", {"value_hash": key}, columns, seen)


__all__ = ["LOST", "lost_execution", "lost_task", "lost_value", "without_bytes"]
