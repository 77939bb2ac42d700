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


def get_or_create(driver: Driver, name: str, owner: str | None = None) -> str:
    """Return the id of the study of a name; within a transaction that is alone.

    Args:
        driver: The connection.
        name: The name.
        owner: The user that a new one belongs to.

    Raises:
        UserNotFoundError: There is no such user.
    """
    known = find(driver, name)
    if known is not None:
        return known
    made = uuid.uuid4().hex
    whose = _key_of(driver, owner)
    row = (_binary(made), name, json.dumps({}), whose, claims.clock(driver))
    driver.executemany(_INSERT, [row])
    return made


def set_owner(driver: Driver, study_id: str, owner: str | None) -> bool:
    """Have a study belong to a user, or to nobody; within a transaction that is alone.

    Returns:
        Whether there is such a study.

    Raises:
        UserNotFoundError: There is no such user.
    """
    whose = _key_of(driver, owner)
    sql = "UPDATE study SET owner_id = ? WHERE id = ?"
    return driver.execute(sql, (whose, _binary(study_id))).rowcount > 0


def _key_of(driver: Driver, owner: str | None) -> bytearray | None:
    if owner is None:
        return None
    # Runs make studies and know nobody.
    from taskgraph_backend.catalog.people import get_user

    return _binary(get_user(driver, owner))


__all__ = ["find", "get_or_create", "set_owner"]
