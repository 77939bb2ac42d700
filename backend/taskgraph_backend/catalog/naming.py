"""From what a person typed to the row that is meant: a whole id, a name, or the start of an id."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from taskgraph.errors import AmbiguousIdError
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_START: Final = re.compile(r"[0-9a-f]{1,32}")
_WHOLE: Final = 32
_SHOWN: Final = 5


def find_id(
    driver: Driver,
    table: str,
    ref: str,
    named: Callable[[], list[Any]] = list,
    *,
    may_start: bool = True,
) -> str | None:
    """Return the id of the row that is meant, if there is one.

    Args:
        driver: The connection.
        table: Where it is.
        ref: What was typed.
        named: Returns the rows that have it as a name, each with its id first.
        may_start: Whether the start of an id will do.

    Raises:
        AmbiguousIdError: Several are meant.
    """
    if "\0" in ref:  # no database keeps it, and some refuse to be asked for it
        return None
    start = ref.lower()
    is_start = _START.fullmatch(start) is not None
    rows: list[Any] = []
    if len(start) == _WHOLE and is_start:
        rows = _between(driver, table, start)
    rows = rows or named()
    if not rows and may_start and is_start and len(start) < _WHOLE:
        rows = _between(driver, table, start)
    ids = [bytes(row[0]).hex() for row in rows]
    if len(ids) > 1:
        raise AmbiguousIdError(ref, [each[:12] for each in ids[:_SHOWN]])
    return ids[0] if ids else None


def _between(driver: Driver, table: str, start: str) -> list[Any]:
    edges = _binary(start.ljust(32, "0")), _binary(start.ljust(32, "f"))
    sql = f"SELECT id FROM {table} WHERE id BETWEEN ? AND ? LIMIT {_SHOWN}"
    return driver.execute(sql, edges).fetchall()


__all__ = ["find_id"]
