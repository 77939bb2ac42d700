"""Questions about many keys: one statement for a piece of them, whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver

Key = bytes

#: What stands in a statement for a list of keys.
KEYS = "{keys}"


def rows_of(
    driver: Driver, sql: str, keys: Iterable[Key], *more: Any, before: Sequence[Any] = ()
) -> Iterator[Any]:
    """Give the rows of a statement that has a list of keys in it.

    Args:
        driver: The connection.
        sql: With `KEYS` where the list stands.
        keys: The keys, of which so many are asked for at a time.
        more: Parameters that come after the list. Any: whatever a column has.
        before: Parameters that come before it.
    """
    for piece in statements.padded(list(keys)):
        marks = ", ".join("?" * len(piece))
        yield from driver.execute(sql.replace(KEYS, marks), (*before, *piece, *more)).fetchall()


def keys_of(
    driver: Driver, sql: str, keys: Iterable[Key], *more: Any, before: Sequence[Any] = ()
) -> set[Key]:
    """Return the first column of the same, each key once."""
    return {bytes(row[0]) for row in rows_of(driver, sql, keys, *more, before=before)}


def change(driver: Driver, sql: str, keys: Iterable[Key]) -> int:
    """Execute a statement that changes the rows of some keys; returns how many."""
    changed = 0
    for piece in statements.padded(list(keys)):
        marks = ", ".join("?" * len(piece))
        changed += driver.execute(sql.replace(KEYS, marks), piece).rowcount
    return changed


def pieces(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    """Cut keys into pieces, in their order."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


__all__ = ["KEYS", "Key", "change", "keys_of", "pieces", "rows_of"]
