"""The vocabulary as rows: keys are defined, and removed once nothing has them."""

from __future__ import annotations

import json
from typing import Any, Final

from taskgraph.catalog.data_rows import TagKey
from taskgraph.catalog.vocabulary import may_be
from taskgraph.errors import VocabularyInUseError
from taskgraph.jsontext import to_json
from taskgraph_backend.dialects import Driver

#: Which records have the keys of a scope.
_ENTITIES: Final = {"artifact": "Artifact"}
_COLUMNS: Final = "scope, key, description, allowed_values"
_DEFINE: Final = (
    f"INSERT INTO tag_key ({_COLUMNS}) VALUES (?, ?, ?, ?) ON CONFLICT (scope, key) DO UPDATE SET"
    " description = excluded.description, allowed_values = excluded.allowed_values"
)
_USES: Final = "SELECT value FROM tag WHERE key = ? AND entity_type = ? AND is_current"


def define(driver: Driver, wanted: TagKey) -> TagKey:
    """Add a key, or change what it may be; within a transaction that is alone.

    Raises:
        VocabularyInUseError: Something has a value that it may not have any more.
    """
    known = {each.key: each for each in keys(driver, wanted.scope)}.get(wanted.key)
    if known == wanted:
        return known
    used = driver.execute(_USES, (wanted.key, _ENTITIES[wanted.scope])).fetchall()
    outside = [text for (text,) in used if not may_be(wanted, json.loads(text))]
    if outside:
        raise VocabularyInUseError(wanted.key, wanted.scope, len(outside))
    allowed = None if wanted.allowed is None else to_json(list(wanted.allowed))
    row = (wanted.scope, wanted.key, wanted.description, allowed)
    driver.executemany(_DEFINE, [row])
    return wanted


def keys(driver: Driver, scope: str | None = None) -> list[TagKey]:
    """Return the keys of a scope, or all; in one statement."""
    rows = driver.execute(f"SELECT {_COLUMNS} FROM tag_key").fetchall()
    found = [_key(row) for row in rows if scope in (None, row[0])]
    return sorted(found, key=lambda each: (each.scope, each.key))


def remove(driver: Driver, key: str, scope: str) -> bool:
    """Remove a key; within a transaction that is alone.

    Returns:
        Whether it was there.

    Raises:
        VocabularyInUseError: Something has it.
    """
    used = driver.execute(_USES, (key, _ENTITIES[scope])).fetchall()
    is_there = any(each.key == key for each in keys(driver, scope))
    if used and is_there:
        raise VocabularyInUseError(key, scope, len(used))
    driver.execute("DELETE FROM tag_key WHERE scope = ? AND key = ?", (scope, key))
    return is_there


def _key(row: Any) -> TagKey:
    scope, key, description, allowed = row
    values = json.loads(allowed) if isinstance(allowed, str) else allowed
    return TagKey(key, scope, None if values is None else tuple(values), description)


__all__ = ["define", "keys", "remove"]
