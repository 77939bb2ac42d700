"""Connections on which rows are taken away, and whether anybody may be about to name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from taskgraph_backend import claims
from taskgraph_backend.dialects import Driver

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

_LEASES: Final = "SELECT key FROM lease WHERE key >= 'execution:' AND key < 'execution;'"


@contextmanager
def loosened(backend: SqlBackend) -> Iterator[SqlBackend]:
    """Give a connection of its own on which what refers to a row is not looked for at each one.

    It is looked for here, for many rows at once: of the tables that name values not all have an
    index for that.
    """
    other = backend.clone()
    try:
        other.database.trust_references(other._connection())
        yield other
    finally:
        if other.database.only_lock is None:
            other.close()


def somebody_runs(driver: Driver) -> bool:
    """Tell whether any run is on its way: it may be about to name what it has seen."""
    keys = [key for (key,) in driver.execute(_LEASES).fetchall()]
    return bool(keys and claims.living(driver, keys))


__all__ = ["loosened", "somebody_runs"]
