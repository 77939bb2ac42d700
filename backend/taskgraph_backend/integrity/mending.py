"""Mends what a check found: each problem in one transaction, nothing taken away without a copy.

A row that was changed since it was looked at is left alone: whoever wrote it knew better. Killed in
between, what was mended is mended, and the rest is found the next time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.integrity.pages import columns_of
from taskgraph_backend.integrity.problems import Add, Change, Finding, Remove, Schema

# Larger ones are put aside without their bytes, of which nobody knows what they are.
_MOST_BYTES = 64 * 1024 * 1024


def mend(driver: Driver, findings: Sequence[Finding]) -> int:
    """Take the steps of findings, in a transaction; returns how many changed anything."""
    return sum([_mend(driver, each) for each in findings])


def _mend(driver: Driver, finding: Finding) -> int:
    reason = str(finding.problem)
    changed = 0
    for step in finding.steps:
        match step:
            case Schema(sql):
                driver.execute(sql)
                changed = 1
            case Add(table, columns):
                changed |= _add(driver, table, dict(columns))
            case Remove(table, key, seen):
                row = _row(driver, table, dict(key))
                if row is None or _is_other(row, dict(seen)):
                    break
                _put_aside(driver, table, row, reason)
                where, given = _where(dict(key))
                driver.execute(f"DELETE FROM {table} WHERE {where}", given)
                changed = 1
            case Change(table, key, columns, seen):
                row = _row(driver, table, dict(key))
                if row is None or _is_other(row, dict(seen)):
                    break
                _put_aside(driver, table, row, reason)
                names = ", ".join(f"{name} = ?" for name in columns)
                where, given = _where(dict(key))
                driver.execute(
                    f"UPDATE {table} SET {names} WHERE {where}", (*columns.values(), *given)
                )
                changed = 1
    return changed


def _add(driver: Driver, table: str, columns: dict[str, Any]) -> int:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    sql = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    return driver.executemany(sql, [tuple(columns.values())]).rowcount


def _where(key: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    return " AND ".join(f"{name} = ?" for name in key), tuple(key.values())


def _row(driver: Driver, table: str, key: dict[str, Any]) -> dict[str, Any] | None:
    where, given = _where(key)
    names = columns_of(table)
    row = driver.execute(f"SELECT {', '.join(names)} FROM {table} WHERE {where}", given).fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def _is_other(row: dict[str, Any], seen: dict[str, Any]) -> bool:
    return any(_plain(row[name]) != _plain(value) for name, value in seen.items())


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else value


def _put_aside(driver: Driver, table: str, row: dict[str, Any], reason: str) -> None:
    content = json.dumps({name: _shown(value) for name, value in row.items()}, default=str)
    key = next(iter(row.values()))
    name = _plain(key).hex() if isinstance(_plain(key), bytes) else str(key)
    driver.execute(
        "INSERT INTO quarantine (timestamp, table_name, row_key, reason, content)"
        f" SELECT {NOW}, ?, ?, ?, ?",
        (table, name, reason, content.replace("\\u0000", "\\\\x00")),
    )


def _shown(value: Any) -> Any:
    plain = _plain(value)
    if not isinstance(plain, bytes):
        return plain
    if len(plain) == 16:
        return {"hash": plain.hex()}
    if len(plain) > _MOST_BYTES:
        return {"bytes": len(plain)}
    return {"base64": base64.b64encode(plain).decode("ascii")}


__all__ = ["mend"]
