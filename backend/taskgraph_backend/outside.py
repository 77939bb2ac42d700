"""Values whose bytes are outside of the database: which store a database has, and its rows.

A row of such a value has no bytes, and the digest and size of those that its entry has. Whoever
lists or shows rows asks for nothing here: type, size and preview are in the row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from taskgraph.errors import ValueStoreError, without_password
from taskgraph.hashing import ContentDigest
from taskgraph.values.compression import ZSTD, check_compression
from taskgraph.values.places import is_url
from taskgraph.values.stored import EVICTED
from taskgraph.values.valuestore import MIN_SIZE, Outside, ValueStore, locate, name_of
from taskgraph_backend.dialects import Database, Driver

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from taskgraph_backend.models import Value

#: What stands behind the name of a SQLite file in that of the folder beside it.
BESIDE = "-values"
_NONE = "none"
# What was found to be damaged, or never stored, has no size; what was given up keeps it.
_OUTSIDE = f"length(value) = 0 AND size > 0 AND format <> '{EVICTED}'"


def value_store_of(database: Database, settings: Mapping[str, Any]) -> ValueStore | None:
    """Return the value store of a database: the one that is set, or the folder beside its file.

    Args:
        database: The database.
        settings: ``value_store``, ``value_store_min_size`` and ``value_store_compression``.

    Raises:
        ValueCompressionError: Values are to be compressed, and the package for it is not there.
    """
    place = settings.get("value_store") or ""
    if not place and database.path is not None:
        place = os.path.abspath(database.path) + BESIDE
    if place in {"", _NONE}:
        return None
    compression = settings.get("value_store_compression") or _NONE
    if compression == ZSTD:
        check_compression()
    return ValueStore(
        place if is_url(place) else os.path.abspath(place),
        settings.get("value_store_min_size") or MIN_SIZE,
        "" if compression == _NONE else compression,
    )


def content_of(value: Value) -> bytes | Outside:
    """Return the bytes of a row that a session has read, or where they are."""
    from sqlalchemy.orm import object_session

    digest = ContentDigest(value.content_digest)
    return locate(value.value, digest, store_of(object_session(value)))


def store_of(session: Session | None) -> ValueStore | None:
    """Return the value store of what a session reads."""
    backend = getattr(session, "backend", None)
    return getattr(backend, "value_store", None)


def shown(session: Session, digest: str) -> str:
    """Return where an entry is, as it may be shown."""
    store = store_of(session)
    if store is None:
        return f"{name_of(ContentDigest(digest))} in a value store that is not set here"
    return f"{without_password(store.url)}/{name_of(ContentDigest(digest))}"


def read_outside(session: Session, row: Any) -> bytes | None:
    """Return the bytes of a row that has none itself; None if they are damaged or gone.

    Raises:
        ValueStoreError: The store cannot be read, or is not known here.
    """
    content = locate(b"", row.content_digest, store_of(session))
    if isinstance(content, bytes) or row.size == 0:
        return b""
    if content.store is None:
        raise _unknown_store()
    return content.store.read(content.digest)


def put_outside(row: dict[str, Any], store: ValueStore) -> None:
    """Put the bytes of a row of the table of values in a store, if there are many.

    As they are: what came from elsewhere keeps the digest that it came with.
    """
    if len(row["value"]) >= store.min_size:
        store._replace(compression="").publish(row["format"], row["value"])
        row["value"] = b""


def check_outside(store: ValueStore | None, digest: str) -> str | None:
    """Return what is wrong with the entry of a row that has no bytes itself, in words.

    Raises:
        ValueStoreError: The store cannot be read, or is not known here.
    """
    if store is None:
        raise _unknown_store()
    return store.check(ContentDigest(digest))


def _unknown_store() -> ValueStoreError:
    return ValueStoreError("", "values are kept in one, and none is set here")


class OutsideValue(NamedTuple):
    """A row whose bytes are outside.

    Attributes:
        digest: What the entry is called.
        size: How many bytes it has, as the row says.
    """

    value_hash: str
    digest: ContentDigest
    size: int


def outside_values(database: Database, driver: Driver) -> Iterator[OutsideValue]:
    """Yield all rows whose bytes are outside; needs a transaction (`Database.begin_looking`)."""
    rows = database.stream(
        driver,
        f"SELECT value_hash, content_digest, size FROM value WHERE {_OUTSIDE}",
    )
    for key, digest, size in rows:
        yield OutsideValue(key.hex(), ContentDigest(digest.hex()), size)


class Totals(NamedTuple):
    """How many values are outside of a database, and how many bytes they have by their rows."""

    values: int
    size: int


def count_outside(driver: Driver) -> Totals:
    """Count the rows whose bytes are outside."""
    row = driver.execute(
        f"SELECT count(*), coalesce(sum(size), 0) FROM value WHERE {_OUTSIDE}"
    ).fetchone()
    return Totals(int(row[0]), int(row[1]))


__all__ = [
    "BESIDE",
    "OutsideValue",
    "Totals",
    "check_outside",
    "content_of",
    "count_outside",
    "outside_values",
    "put_outside",
    "read_outside",
    "shown",
    "store_of",
    "value_store_of",
]
