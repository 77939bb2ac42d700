"""Whether anybody is to be told of states: one statement, which loads nothing else."""

from __future__ import annotations

from typing import Final

from taskgraph_backend.dialects import Driver

_ACTIVE: Final = "SELECT 1 FROM notification_policy WHERE active LIMIT 1"


def has_policies(driver: Driver) -> bool:
    """Tell whether any policy is active."""
    return driver.execute(_ACTIVE).fetchone() is not None


__all__ = ["has_policies"]
