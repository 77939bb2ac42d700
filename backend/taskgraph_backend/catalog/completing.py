"""Executions that an older library wrote beside this one: what it left out is filled in later.

They are found by their time of creation, which is the start of 1970: at the beginning of an index.
"""

from __future__ import annotations

from typing import Final

from taskgraph.records import ACTIVE
from taskgraph_backend.dialects import Driver

_FIND: Final = "SELECT id FROM execution WHERE created_at = ? LIMIT 1"
_EVERY: Final = (
    "SELECT e.id, e.state_type, e.state_time, j.start_time, t.namespace, t.name"
    " FROM execution e LEFT JOIN job j ON j.id = e.job_id LEFT JOIN task t ON t.hash = j.task_hash"
    " WHERE e.created_at = ?"
)
_FILL: Final = (
    "UPDATE execution SET created_at = ?, start_time = ?, end_time = ?, entrypoint = ?,"
    " run_count = 1 WHERE id = ?"
)


def is_incomplete(driver: Driver) -> bool:
    """Tell whether there are executions of which something was left out."""
    return driver.execute(_FIND, (0,)).fetchone() is not None


def complete(driver: Driver) -> None:
    """Fill in what is known by now; within a transaction that is alone.

    One that runs gets its end when it is next looked for: until then it is found again.
    """
    for key, state, since, started, namespace, name in driver.execute(_EVERY, (0,)).fetchall():
        began = since if started is None else started
        fullname = ".".join(filter(None, (namespace, name)))
        ended = None if state in ACTIVE else since
        driver.execute(_FILL, (began, began, ended, fullname, key))


__all__ = ["complete", "is_incomplete"]
