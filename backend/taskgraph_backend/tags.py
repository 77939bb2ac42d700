"""Writes tags: what one supersedes stays, and what is deleted stays behind a marker.

Each function is given a connection with a transaction that has the write lock: what it reads is
still so when it writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from taskgraph.errors import UnknownRecordError, UnknownTagError
from taskgraph.jsontext import normalize_json, to_json
from taskgraph.tags import TagRecord, Tags, format_tag_key_value, tag_record
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver

#: A tag as the verbs give it: its hash, the record's id, its key and its value.
TagRow = tuple[str, str, str, Any]

#: What stands in the place of a record's type in the marker of a deletion.
DELETED: Final = "Null"
_DELETION: Final = None  # the value of a marker
_TABLES: Final = {
    "Execution": ("execution", "id"),
    "Job": ("job", "id"),
    "CallNode": ("call_node", "call_hash"),
    "Task": ("task", "hash"),
    "Value": ("value", "value_hash"),
    "Dataset": ("dataset", "id"),
    "Artifact": ("artifact", "id"),
}

_binary = bytearray.fromhex


class _Known(NamedTuple):
    """A tag that a record has or had."""

    tag_hash: str
    entity_type: str
    key: str
    text: str
    is_current: bool


def tag_row(tag: TagRecord) -> tuple[Any, ...]:
    """Return the row of a tag as its statement wants it."""
    return (
        _binary(tag.tag_hash),
        tag.entity_type,
        _binary(tag.entity_id),
        tag.key,
        normalize_json(tag.value),
        tag.is_current,
    )


def record_tags(
    driver: Driver,
    entity_type: str,
    entity_id: str,
    tags: Tags,
    parents: Iterable[str] = (),
    update: bool = False,
    new: bool = False,
) -> list[TagRow]:
    """Tag a record; see `SqlBackend.record_tags`."""
    _check_record(driver, entity_type, entity_id)
    given = set(parents)
    _check_tags(driver, given)
    every = _known(driver, entity_id)
    found: dict[str, list[_Known]] = {key: [] for key, _ in tags}
    for each in every:
        if each.key in found and each.entity_type != DELETED:
            found[each.key].append(each)
    recorded = []
    for key, value in tags:
        old, text = found[key], to_json(value)
        current = [each for each in old if each.is_current]
        above = set(given)
        if update:
            above.update(each.tag_hash for each in current)
        alike = [each.tag_hash for each in current if each.text == text]
        if alike and above <= set(alike):  # there is nothing to say that is not said already
            recorded.append((alike[0], entity_id, key, json.loads(text)))
            continue
        if new:
            above.update(each.tag_hash for each in old if each.text == text)
        record = tag_record(entity_type, entity_id, key, value, above)
        _put(driver, record, above)
        recorded.append((record.tag_hash, entity_id, key, json.loads(record.value)))
    return recorded


def update_tags(
    driver: Driver,
    entity_type: str,
    entity_id: str,
    old_keys: Sequence[str],
    new_tags: Tags,
) -> list[TagRow]:
    """Put tags in the place of others; see `SqlBackend.update_tags`."""
    _check_record(driver, entity_type, entity_id)
    current = [each for each in _known(driver, entity_id) if each.is_current]
    for key in old_keys:
        if key not in {each.key for each in current}:
            raise UnknownTagError(entity_id, key)
    above = {each.tag_hash for each in current if each.key in old_keys}
    return record_tags(driver, entity_type, entity_id, new_tags, above)


def replace_tags(driver: Driver, entity_type: str, entity_id: str, tags: Tags) -> list[TagRow]:
    """Put tags in the place of those of their keys; see `SqlBackend.replace_tags`."""
    _check_record(driver, entity_type, entity_id)
    current = {each.key for each in _known(driver, entity_id) if each.is_current}
    for key, _ in tags:
        if key not in current:
            raise UnknownTagError(entity_id, key)
    return record_tags(driver, entity_type, entity_id, tags, update=True)


def delete_tags(driver: Driver, entity_id: str, tags: Tags, keys: Sequence[str]) -> list[TagRow]:
    """Delete tags; see `SqlBackend.delete_tags`."""
    current = [each for each in _known(driver, entity_id) if each.is_current]
    gone: dict[str, _Known] = {}
    for key in keys:
        found = [each for each in current if each.key == key]
        if not found:
            raise UnknownTagError(entity_id, key)
        gone.update((each.tag_hash, each) for each in found)
    for key, value in tags:
        text = to_json(value)
        found = [each for each in current if (each.key, each.text) == (key, text)]
        if not found:
            raise UnknownTagError(entity_id, format_tag_key_value(key, value))
        gone.update((each.tag_hash, each) for each in found)
    for each in gone.values():
        _put(driver, deletion_of(each.tag_hash, entity_id, each.key), {each.tag_hash})
    return [(each.tag_hash, entity_id, each.key, json.loads(each.text)) for each in gone.values()]


def deletion_of(tag_hash: str, entity_id: str, key: str) -> TagRecord:
    """Return the marker that says that a tag was deleted; it is current nowhere."""
    record = tag_record(DELETED, entity_id, key, _DELETION, [tag_hash])
    return record._replace(is_current=False)


def current_tags(driver: Driver, entity_ids: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """Return the current tags of records; see `SqlBackend.get_tags`."""
    found: dict[str, dict[str, list[Any]]] = {each: {} for each in entity_ids}
    for keys in statements.padded(list(found)):
        marks = ", ".join("?" * len(keys))
        rows = driver.execute(
            "SELECT entity_id, key, value FROM tag WHERE is_current AND entity_type <>"
            f" '{DELETED}' AND entity_id IN ({marks})",
            [_binary(key) for key in keys],
        )
        # Not by the database: one orders texts, another one what they stand for.
        for entity_id, key, value in sorted(rows, key=itemgetter(1, 2)):
            found[entity_id.hex()].setdefault(key, []).append(json.loads(value))
    return found


def _put(driver: Driver, record: TagRecord, above: Iterable[str]) -> None:
    driver.execute(statements.TAG, tag_row(record))
    for parent in above:
        driver.execute(statements.TAG_EDIT, (_binary(parent), _binary(record.tag_hash)))
        driver.execute("UPDATE tag SET is_current = FALSE WHERE tag_hash = ?", (_binary(parent),))


def _known(driver: Driver, entity_id: str) -> list[_Known]:
    """Return all tags that a record has or had; a record has few."""
    rows = driver.execute(
        "SELECT tag_hash, entity_type, key, value, is_current FROM tag WHERE entity_id = ?",
        (_id(entity_id),),
    )
    found = [
        _Known(tag_hash.hex(), entity_type, key, value, bool(is_current))
        for tag_hash, entity_type, key, value, is_current in rows
    ]
    return sorted(found, key=lambda each: (each.key, each.text, each.tag_hash))


def _check_record(driver: Driver, entity_type: str, entity_id: str) -> None:
    place = _TABLES.get(str(entity_type))
    if place is None:
        known = ", ".join(_TABLES)
        raise ValueError(f"{entity_type!r} has no tags; these have: {known}")
    table, column = place
    query = f"SELECT 1 FROM {table} WHERE {column} = ?"
    if driver.execute(query, (_id(entity_id),)).fetchone() is None:
        raise UnknownRecordError(entity_id)


def _check_tags(driver: Driver, tag_hashes: Iterable[str]) -> None:
    for each in tag_hashes:
        query = "SELECT 1 FROM tag WHERE tag_hash = ?"
        if driver.execute(query, (_id(each),)).fetchone() is None:
            raise UnknownRecordError(each)


def _id(text: str) -> bytearray:
    try:
        found = _binary(text)
    except ValueError:
        raise UnknownRecordError(text) from None
    if len(found) != 16:
        raise UnknownRecordError(text)
    return found


__all__ = [
    "DELETED",
    "TagRow",
    "current_tags",
    "delete_tags",
    "deletion_of",
    "record_tags",
    "replace_tags",
    "tag_row",
    "update_tags",
]
