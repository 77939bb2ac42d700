"""Queues that executions wait in: which of them wait, and which comes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from taskgraph.catalog.states import StateType
from taskgraph.errors import ValidationError

#: The command line of what nobody has claimed: workers may take it.
UNCLAIMED: Final = "[]"
#: The states in which an execution waits for a worker.
WAITING: Final = frozenset({StateType.SCHEDULED, StateType.PENDING})
#: The option of an execution by which it is ordered within its queues.
PRIORITY: Final = "priority"
_MOST: Final = 2**31


def priority_of(options: Mapping[str, Any]) -> int:
    """Return the priority that options say; the smallest is the first, and 0 that of most.

    Raises:
        ValidationError: It is no whole number that any database can keep.
    """
    given = options.get(PRIORITY, 0)
    if isinstance(given, bool) or not isinstance(given, int) or not -_MOST <= given < _MOST:
        reason = f"expected a whole number, of which the smallest is the first, not {given!r}."
        raise ValidationError(PRIORITY, reason)
    return given


__all__ = ["PRIORITY", "UNCLAIMED", "WAITING", "priority_of"]
