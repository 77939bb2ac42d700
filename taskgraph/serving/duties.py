"""What a worker sees to every few seconds besides its slots: each duty is a function of nothing.

One that raises is said so, and called again the next time. None of them may take long: while it
does, the worker neither beats nor hears that it is to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskgraph_backend import SqlBackend

Duty = Callable[[], object]


def duties_of(backend: SqlBackend) -> list[Duty]:
    """Return the duties of a worker of a database, in the order in which they are called.

    Args:
        backend: The database.
    """
    # What plain runs left that died is CRASHED without anybody having to open the records.
    return [backend.sweep]


__all__ = ["Duty", "duties_of"]
