"""Studies as rows: a name is there once, however many ask for it at once."""

from __future__ import annotations

import json
import uuid
from typing import Final

from taskgraph_backend import claims
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_INSERT: Final = (
    "INSERT INTO study (id, name, meta, owner_id, created_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)


def find(driver: Driver, name: str) -> str | None:
    """Return the id of the study of a name, if there is one."""
    row = driver.execute("SELECT id FROM study WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0]).hex()


def get_or_create(driver: Driver, name: str) -> str:
    """Return the id of the study of a name; within a transaction that is alone."""
    known = find(driver, name)
    if known is not None:
        return known
    made = uuid.uuid4().hex
    row = (_binary(made), name, json.dumps({}), None, claims.clock(driver))
    driver.executemany(_INSERT, [row])
    return made


__all__ = ["find", "get_or_create"]
