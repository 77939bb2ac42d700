"""Walks through tables of any size a page at a time, in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from taskgraph_backend.dialects import Driver
from taskgraph_backend.models import Base

ROWS = 1_000
BYTES = 16 * 1024 * 1024


@cache
def columns_of(table: str) -> tuple[str, ...]:
    """Return the names of the columns of a table."""
    return tuple(column.name for column in Base.metadata.tables[table].columns)


@cache
def keys_of(table: str) -> tuple[str, ...]:
    """Return the names of the columns that name its rows."""
    return tuple(column.name for column in Base.metadata.tables[table].primary_key)


def pages(driver: Driver, table: str, columns: str) -> Iterator[list[Any]]:
    """Give the rows of a table whose key is its first column, some at a time.

    Args:
        driver: A connection.
        table: The table.
        columns: What is asked for, the key first.
    """
    key = columns.partition(",")[0]
    last: Any = None
    while True:
        # Without a key to start from, for there may be one that is empty.
        where, given = ("", ()) if last is None else (f" WHERE {key} > ?", (last,))
        rows = driver.execute(
            f"SELECT {columns} FROM {table}{where} ORDER BY {key} LIMIT {ROWS}", given
        ).fetchall()
        if rows:
            yield rows
        if len(rows) < ROWS:
            return
        last = rows[-1][0]


def of_keys(driver: Driver, table: str, columns: str, keys: Sequence[Any]) -> dict[Any, list[Any]]:
    """Return rows by their first column, of those keys, in the order of the others."""
    found: dict[Any, list[Any]] = {}
    for start in range(0, len(keys), 500):
        piece = list(keys[start : start + 500])
        marks = ", ".join("?" * len(piece))
        name = columns.partition(",")[0]
        for key, *row in driver.execute(
            f"SELECT {columns} FROM {table} WHERE {name} IN ({marks}) ORDER BY {columns}", piece
        ):
            found.setdefault(bytes(key), []).append(row)
    return found


def of_bounded_size(rows: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Cut rows into pieces whose values have no more bytes than may be in memory at a time.

    Args:
        rows: The rows.
        size: Which of their columns is a number of bytes.
    """
    piece: list[Any] = []
    total = 0
    for row in rows:
        if piece and total + row[size] > BYTES:
            yield piece
            piece, total = [], 0
        piece.append(row)
        total += row[size]
    if piece:
        yield piece


__all__ = ["columns_of", "keys_of", "of_bounded_size", "of_keys", "pages"]
