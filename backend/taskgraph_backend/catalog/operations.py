"""Operations as rows, each with a lease of the process that it runs in as long as it does.

Written and ended in transactions that are alone. One that is not over and whose lease nobody alive
holds has failed; whoever looks next writes that down.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from taskgraph.catalog.operations import Operation, Report, Status
from taskgraph.jsontext import to_json
from taskgraph.records import LEASE_SECONDS, LeaseRecord, Micros
from taskgraph_backend import claims, statements
from taskgraph_backend.catalog.naming import find_id
from taskgraph_backend.dialects import Driver
from taskgraph_backend.holders import this_process
from taskgraph_backend.times import from_micros

_binary = bytearray.fromhex

_COLUMNS: Final = "id, kind, subject, status, data, log, started_at, ended_at"
_INSERT: Final = (
    f"INSERT INTO operation ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO NOTHING"
)
_REPORT: Final = "UPDATE operation SET status = ?, data = ?, log = ?, ended_at = NULL WHERE id = ?"
_ENDED: Final = "UPDATE operation SET ended_at = ? WHERE id = ?"
_OPEN: Final = "SELECT id FROM operation WHERE status IN ('ongoing', 'pending')"
_SELECT: Final = f"SELECT {_COLUMNS} FROM operation"
_SILENT: Final = "its process ended without a word"


def begin(driver: Driver, operation_id: str, kind: str, subject: str) -> None:
    """Write an operation down, with a lease on it; within a transaction that is alone."""
    now = claims.clock(driver)
    (last,) = driver.execute("SELECT max(started_at) FROM operation").fetchone()
    # Each has a time of its own, so that lists have an order.
    now = now if last is None else Micros(max(now, last + 1))
    row = (_binary(operation_id), kind, subject, Status.PENDING.value, "{}", None, now, None)
    driver.executemany(_INSERT, [row])
    expires = Micros(now + int(LEASE_SECONDS * 1_000_000))
    place = this_process()
    claims.take(driver, [LeaseRecord(_lease(operation_id), operation_id, *place, expires)])


def report(driver: Driver, wanted: Report) -> None:
    """Write down how an operation stands; within a transaction that is alone.

    Who does what it is about has the last word: it may have been taken for dead meanwhile.
    """
    key = _binary(wanted.id)
    data = to_json(dict(wanted.data))
    driver.execute(_REPORT, (wanted.status.value, data, wanted.log, key))
    if wanted.status in (Status.FAILED, Status.OK):
        driver.execute(_ENDED, (claims.clock(driver), key))
        claims.release(driver, wanted.id, [_lease(wanted.id)])


def find_dead(driver: Driver) -> list[str]:
    """Return the operations that are not over, and whose process is gone."""
    ids = [bytes(row[0]).hex() for row in driver.execute(_OPEN).fetchall()]
    if not ids:
        return []
    held = claims.living(driver, [_lease(each) for each in ids])
    return [each for each in ids if _lease(each) not in held]


def mark_dead(driver: Driver) -> list[str]:
    """Have operations be failed whose process is gone; within a transaction that is alone."""
    found = find_dead(driver)
    for each in found:
        key = _binary(each)
        row = driver.execute("SELECT data FROM operation WHERE id = ?", (key,)).fetchone()
        data = to_json({**json.loads(row[0]), "error": _SILENT})
        sql = "UPDATE operation SET status = 'failed', data = ? WHERE id = ?"
        driver.execute(sql, (data, key))
        driver.execute(_ENDED, (claims.clock(driver), key))
        driver.execute(statements.LEASE_FORGET, (_lease(each), each))
    return found


def find(driver: Driver, ref: str) -> Operation | None:
    """Return an operation by id or unique start of one.

    Raises:
        AmbiguousIdError: More than one starts so.
    """
    known = find_id(driver, "operation", ref)
    if known is None:
        return None
    row = driver.execute(f"{_SELECT} WHERE id = ?", (_binary(known),)).fetchone()
    return None if row is None else _operation(row)


def every(
    driver: Driver, kind: str | None, status: str | None, limit: int | None, offset: int
) -> list[Operation]:
    """Return operations, the newest first; in one statement."""
    where, given = _where(kind, status)
    page = f" LIMIT {limit}" if limit is not None else " LIMIT 9000000000000000000"
    sql = f"{_SELECT}{where} ORDER BY started_at DESC, id DESC{page} OFFSET {offset}"
    return [_operation(row) for row in driver.execute(sql, given).fetchall()]


def count(driver: Driver, kind: str | None, status: str | None) -> int:
    """Return how many operations there are; in one statement."""
    where, given = _where(kind, status)
    return int(driver.execute(f"SELECT count(*) FROM operation{where}", given).fetchone()[0])


def _where(kind: str | None, status: str | None) -> tuple[str, Sequence[str]]:
    wanted = {"kind": kind, "status": status}
    asked = {name: value for name, value in wanted.items() if value is not None}
    parts = " AND ".join(f"{name} = ?" for name in asked)
    return f" WHERE {parts}" if parts else "", tuple(asked.values())


def _operation(row: Any) -> Operation:
    id, kind, subject, status, data, log, started, ended = row
    return Operation(
        id=bytes(id).hex(),
        kind=kind,
        subject=subject,
        status=Status(status),
        started_at=from_micros(started),
        data=json.loads(data),
        log=log,
        ended_at=None if ended is None else from_micros(ended),
    )


def _lease(operation_id: str) -> str:
    return f"operation:{operation_id}"


__all__ = ["begin", "count", "every", "find", "find_dead", "mark_dead", "report"]
