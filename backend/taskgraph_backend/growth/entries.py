"""Entries of the value store go that no row refers to, and that nobody is about to refer to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskgraph.catalog.storage import GRACE
from taskgraph.hashing import ContentDigest
from taskgraph.values.valuestore import ValueStore, name_of
from taskgraph_backend.dialects import Driver
from taskgraph_backend.growth.alone import somebody_runs
from taskgraph_backend.growth.asking import Key, keys_of
from taskgraph_backend.growth.choosing import HAS_BYTES

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

_OUTSIDE: Final = "length(value) = 0 AND size > 0"
_LIVE_ENTRIES: Final = f"SELECT DISTINCT content_digest FROM value WHERE {_OUTSIDE} AND {HAS_BYTES}"
_FREED_ENTRIES: Final = (
    "SELECT DISTINCT content_digest FROM value WHERE format = 'evicted' AND size > 0"
)


def sweep_store(
    own: SqlBackend,
    store: ValueStore,
    freed: Collection[bytes],
    grace: timedelta,
    foretold: set[Key] | None,
    is_own: bool,
) -> tuple[int, int]:
    """Remove the entries that no row refers to; of a store that others may use, those known here.

    With ``foretold``, the entries that would still be needed, it is only counted what would go.

    What is there is listed before it is asked what is needed: what comes later is new, and stays.
    """
    sizes = {each.digest: each.size for each in store.entries()} if is_own else None
    wanted: Iterable[bytes]
    if sizes is None:
        wanted = {*freed, *own._ask(keys_of_all, _FREED_ENTRIES)}
    else:
        wanted = {bytes.fromhex(each) for each in sizes}
    live = own._ask(keys_of_all, _LIVE_ENTRIES) if foretold is None else foretold
    number = size = 0
    for key in sorted(set(wanted) - live):
        digest = ContentDigest(key.hex())
        if foretold is not None:
            found = sizes.get(digest) if sizes is not None else store.folder.size(name_of(digest))
        elif store.is_remote:
            # Nobody can say there that an entry is wanted: so it goes while nobody runs.
            found = own._transact(_remove_alone, store, digest, grace)
        else:
            found = store.remove(digest, grace.total_seconds())
        if found is not None:
            number += 1
            size += found
    return number, size


def entries_without(driver: Driver, freed: Collection[Key]) -> tuple[set[Key], set[Key]]:
    """Return the digests of entries that rows refer to, without some values; and those of these."""
    rows = driver.execute(
        f"SELECT value_hash, content_digest FROM value WHERE {_OUTSIDE} AND {HAS_BYTES}"
    ).fetchall()
    live: set[Key] = set()
    gone: set[Key] = set()
    for key, digest in rows:
        (gone if bytes(key) in freed else live).add(bytes(digest))
    return live, gone - live


def _remove_alone(
    driver: Driver, store: ValueStore, digest: ContentDigest, grace: timedelta
) -> int | None:
    return None if somebody_runs(driver) else store.remove(digest, grace.total_seconds())


def keys_of_all(driver: Driver, sql: str) -> set[Key]:
    """Return the keys that a statement gives."""
    return {bytes(key) for (key,) in driver.execute(sql).fetchall()}


def forget_entries(
    own: SqlBackend, store: ValueStore, digests: Collection[bytes], grace: timedelta = GRACE
) -> None:
    """Remove those of some entries that no row refers to any more, and that nobody wants."""
    live = own._ask(
        keys_of,
        f"SELECT content_digest FROM value WHERE content_digest IN ({{keys}}) AND {HAS_BYTES}",
        digests,
    )
    for key in sorted(set(digests) - live):
        digest = ContentDigest(key.hex())
        if store.is_remote:
            own._transact(_remove_alone, store, digest, grace)
        else:
            store.remove(digest, grace.total_seconds())


__all__ = ["entries_without", "forget_entries", "keys_of_all", "sweep_store"]
