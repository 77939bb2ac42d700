"""Datasets as rows: registered, and deleted with what refers to them left whole."""

from __future__ import annotations

import uuid
from typing import Any, Final, NamedTuple

from taskgraph.errors import DatasetReadOnlyError, StillInUseError
from taskgraph.jsontext import to_json
from taskgraph.tags import RESERVED, Tags
from taskgraph_backend import claims
from taskgraph_backend.catalog import studies, using
from taskgraph_backend.catalog.using import IS_ACTIVE
from taskgraph_backend.dialects import Driver
from taskgraph_backend.tags import current_tags, delete_tags, record_tags

_binary = bytearray.fromhex

_INSERT: Final = (
    "INSERT INTO dataset (id, study_id, name, type, value_hash, read_only, meta, retracted,"
    " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KNOWN: Final = "SELECT id, type, value_hash, read_only FROM dataset WHERE name = ? AND "
# New content has not been retracted.
_REFRESH: Final = (
    "UPDATE dataset SET value_hash = ?, retracted = FALSE, updated_at = ? WHERE id = ?"
)
_DESCRIBE: Final = "UPDATE dataset SET type = ?, read_only = ? WHERE id = ?"
_USERS: Final = (
    "SELECT DISTINCT e.id FROM execution_dataset u JOIN execution e ON e.id = u.execution_id"
    f" WHERE u.dataset_id = ? AND e.state_type IN {IS_ACTIVE}"
)
_TAGS_OF: Final = "SELECT tag_hash FROM tag WHERE entity_id = ?"
_ANY: Final = "Any"


class Wanted(NamedTuple):
    """A dataset as it is to be; None for what stays."""

    name: str
    value_hash: str
    type: str | None
    study: str | None
    facets: Tags | None
    read_only: bool | None


def register(driver: Driver, wanted: Wanted) -> str:
    """Make a dataset, or have it point at new content; within a transaction that is alone.

    Returns:
        Its id.

    Raises:
        DatasetReadOnlyError: Its content would be another, and it is read-only.
        OutputDatasetInUseError: Its content would be another, and an active execution writes it.
    """
    study = None if wanted.study is None else studies.get_or_create(driver, wanted.study)
    where, given = ("study_id IS NULL", ()) if study is None else ("study_id = ?", (study,))
    keys = [_binary(each) for each in given]
    row = driver.execute(_KNOWN + where, (wanted.name, *keys)).fetchone()
    id = _insert(driver, wanted, study) if row is None else _change(driver, wanted, row)
    if wanted.facets is not None:
        replace_facets(driver, id, wanted.facets)
    return id


def _insert(driver: Driver, wanted: Wanted, study: str | None) -> str:
    id = uuid.uuid4().hex
    now = claims.clock(driver)
    row = (
        _binary(id),
        None if study is None else _binary(study),
        wanted.name,
        _ANY if wanted.type is None else wanted.type,
        _binary(wanted.value_hash),
        bool(wanted.read_only),
        "{}",
        False,
        now,
        now,
    )
    driver.executemany(_INSERT, [row])
    return id


def _change(driver: Driver, wanted: Wanted, row: Any) -> str:
    key, type, value, read_only = row
    if bytes(value).hex() != wanted.value_hash:
        if read_only and wanted.read_only is not False:
            raise DatasetReadOnlyError(wanted.name)
        # Neither is it overwritten by who is writing it, nor by one that was given up for dead.
        using.free(driver, bytes(key).hex(), wanted.name)
        driver.execute(_REFRESH, (_binary(wanted.value_hash), claims.clock(driver), key))
    described = (
        type if wanted.type is None else wanted.type,
        bool(read_only if wanted.read_only is None else wanted.read_only),
    )
    if described != (type, bool(read_only)):
        driver.execute(_DESCRIBE, (*described, key))
    return bytes(key).hex()


def replace_facets(driver: Driver, dataset_id: str, wanted: Tags) -> None:
    """Have a dataset have these facets and no others; what they were is kept."""
    keep = {(key, to_json(value)) for key, value in wanted}
    gone = [
        (key, value)
        for key, values in current_tags(driver, [dataset_id]).get(dataset_id, {}).items()
        for value in values
        if not key.startswith(RESERVED) and (key, to_json(value)) not in keep
    ]
    if gone:
        delete_tags(driver, dataset_id, tuple(gone), ())
    record_tags(driver, "Dataset", dataset_id, wanted, new=True)


def delete(driver: Driver, dataset_id: str, dry_run: bool) -> bool:
    """Delete a dataset with its tags; within a transaction that is alone.

    Executions that used it keep its content, which is gone when they are.

    Returns:
        Whether it was there.

    Raises:
        StillInUseError: An active execution uses it.
    """
    key = _binary(dataset_id)
    row = driver.execute("SELECT name FROM dataset WHERE id = ?", (key,)).fetchone()
    if row is None:
        return False
    check_unused(driver, f"Dataset {row[0]!r}", _USERS, key)
    if not dry_run:
        drop(driver, dataset_id)
    return True


def drop(driver: Driver, dataset_id: str) -> None:
    """Delete a dataset of which it is known that nothing active uses it."""
    key = _binary(dataset_id)
    drop_tags(driver, dataset_id)
    driver.execute("UPDATE execution_dataset SET dataset_id = NULL WHERE dataset_id = ?", (key,))
    driver.execute("DELETE FROM dataset WHERE id = ?", (key,))


def drop_tags(driver: Driver, entity_id: str) -> None:
    """Delete all tags of a record that goes, with their history."""
    tags = driver.execute(_TAGS_OF, (_binary(entity_id),)).fetchall()
    for (tag,) in tags:
        driver.execute("DELETE FROM tag_edit WHERE parent_id = ? OR child_id = ?", (tag, tag))
    driver.execute("DELETE FROM tag WHERE entity_id = ?", (_binary(entity_id),))


def check_unused(driver: Driver, what: str, users: str, key: bytearray) -> None:
    """Check that a question for active executions has no answer.

    Raises:
        StillInUseError: It has.
    """
    found = [bytes(row[0]).hex() for row in driver.execute(users, (key,)).fetchall()]
    if found:
        raise StillInUseError(what, found)


__all__ = [
    "Wanted",
    "check_unused",
    "delete",
    "drop",
    "drop_tags",
    "register",
    "replace_facets",
]
