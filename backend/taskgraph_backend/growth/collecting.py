"""What nothing needs goes, and values give up their bytes as a policy says.

What gives up its bytes keeps its row: hash, type, size, preview, who made it and who used it. No
look-up finds it, so a call that needs it runs again, and what that makes takes its place. Each step
is a transaction of its own that asks once more; whoever is killed in between has done less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskgraph.catalog.deletions import GcReport, Policy
from taskgraph.hashing import ContentDigest
from taskgraph.values.valuestore import ValueStore
from taskgraph_backend.dialects import Driver
from taskgraph_backend.growth.asking import Key, change, keys_of, pieces
from taskgraph_backend.growth.choosing import HAS_BYTES, TOTAL, Candidate, choose, still_free
from taskgraph_backend.growth.deleting import TOGETHER, VALUES_TOGETHER, loosened, somebody_runs
from taskgraph_backend.growth.reach import Doomed, Without, doomed_calls
from taskgraph_backend.growth.removing import remove_calls, remove_values

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

# Values that give up their bytes in one transaction.
_EVICTED_TOGETHER: Final = 200

# An entry of the cache needs its call; so does whoever brought one from elsewhere.
WITHOUT: Final = Without(entries=True, foreign=True)

_LOOSE_CALLS: Final = (
    "SELECT c.call_hash FROM call_node c"
    " WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.call_hash = c.call_hash)"
    " AND NOT EXISTS (SELECT 1 FROM evaluation e WHERE e.eval_hash = c.eval_hash)"
    " AND NOT EXISTS (SELECT 1 FROM foreign_evaluation e WHERE e.eval_hash = c.eval_hash)"
    " AND NOT EXISTS (SELECT 1 FROM foreign_record f WHERE f.id = c.call_hash)"
)
_LOOSE_VALUES: Final = (
    "SELECT v.value_hash FROM value v WHERE "
    + " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{column} = v.value_hash)"
        for table, column in (
            ("call_node", "value_hash"),
            ("argument", "value_hash"),
            ("task", "hash"),
            ("subvalue", "value_hash"),
            ("handle", "value_hash"),
            ("dataset", "value_hash"),
            ("execution_dataset", "value_hash"),
            ("artifact", "value_hash"),
            ("foreign_record", "id"),
        )
    )
    + " AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.entity_id = v.value_hash AND t.is_current"
    " AND t.entity_type = 'Value' AND NOT t.key LIKE 'taskgraph.%')"
    " EXCEPT SELECT value_hash FROM evaluation EXCEPT SELECT value_hash FROM foreign_evaluation"
    " EXCEPT SELECT value_hash FROM call_context EXCEPT SELECT snapshot_hash FROM execution"
    " EXCEPT SELECT environment_hash FROM execution"
)
_EVICT: Final = (
    "UPDATE value SET format = 'evicted', value = x'', seal = NULL WHERE value_hash IN ({keys})"
)
_OUTSIDE: Final = "length(value) = 0 AND size > 0"
_LIVE_ENTRIES: Final = f"SELECT DISTINCT content_digest FROM value WHERE {_OUTSIDE} AND {HAS_BYTES}"
_FREED_ENTRIES: Final = (
    "SELECT DISTINCT content_digest FROM value WHERE format = 'evicted' AND size > 0"
)


def loose_calls(driver: Driver) -> Doomed:
    """Return the calls that nothing needs; only reads."""
    seeds = [bytes(key) for (key,) in driver.execute(_LOOSE_CALLS).fetchall()]
    return doomed_calls(driver, seeds, WITHOUT)


def loose_values(driver: Driver) -> list[Key]:
    """Return the values that nothing names; only reads."""
    return [bytes(key) for (key,) in driver.execute(_LOOSE_VALUES).fetchall()]


def collect(
    backend: SqlBackend, policy: Policy, *, grace: timedelta, dry_run: bool, is_own_store: bool
) -> GcReport:
    """Take away what nothing needs, and the bytes of what no policy keeps.

    Args:
        backend: The database.
        policy: What is kept.
        grace: Entries of the value store that were written or wanted within this time stay.
        dry_run: Whether to say only what would be done.
        is_own_store: Whether all in the value store is of this database.
    """
    with loosened(backend) as own:
        before = int(own._ask(_total))
        doomed = own._ask(loose_calls)
        calls = left = number = size = 0
        entries: set[bytes] = set()
        if dry_run:
            calls, loose = len(doomed.calls) + len(doomed.circles), own._ask(loose_values)
            number, size = len(loose), own._ask(_sizes, loose)
        else:
            calls, left = _remove_calls(own, doomed)
            number, size, entries = _remove_values(own)
        evicted, freed = _evict(own, policy, dry_run)
        after = before - freed - size if dry_run else int(own._ask(_total))
        removed = removed_size = 0
        if backend.value_store is not None:
            removed, removed_size = _sweep_store(
                own, backend.value_store, entries, grace, dry_run, is_own_store
            )
    over = 0 if policy.max_size is None else max(0, after - policy.max_size)
    return GcReport(
        evicted,
        freed,
        calls,
        number,
        size,
        removed,
        removed_size,
        left,
        before,
        after,
        over,
        dry_run,
    )


def _total(driver: Driver) -> int:
    return int(driver.execute(TOTAL).fetchone()[0])


def _sizes(driver: Driver, values: Sequence[Key]) -> int:
    total = 0
    for piece in pieces(values, TOGETHER):
        marks = ", ".join("?" * len(piece))
        row = driver.execute(
            f"SELECT coalesce(sum(size), 0) FROM value WHERE {HAS_BYTES}"
            f" AND value_hash IN ({marks})",
            list(piece),
        ).fetchone()
        total += int(row[0])
    return total


def _remove_calls(own: SqlBackend, doomed: Doomed) -> tuple[int, int]:
    calls = left = 0
    for piece in doomed.pieces(TOGETHER):
        gone, waits = own._transact(_remove_some_calls, piece)
        calls += gone
        left += waits
    return calls, left


def _remove_some_calls(driver: Driver, piece: Sequence[Key]) -> tuple[int, int]:
    if somebody_runs(driver):
        return 0, len(piece)
    return remove_calls(driver, piece, WITHOUT)[0], 0


def _remove_values(own: SqlBackend) -> tuple[int, int, set[bytes]]:
    number = size = 0
    entries: set[bytes] = set()
    for piece in pieces(own._ask(loose_values), VALUES_TOGETHER):
        removed, freed, digests = own._transact(_remove_some_values, piece)
        number += removed
        size += freed
        entries |= digests
    return number, size, entries


def _remove_some_values(driver: Driver, piece: Sequence[Key]) -> tuple[int, int, set[bytes]]:
    if somebody_runs(driver):
        return 0, 0, set()
    return remove_values(driver, piece)


# Values


def _evict(own: SqlBackend, policy: Policy, dry_run: bool) -> tuple[int, int]:
    if not policy.evicts:
        return 0, 0
    choice = own._ask(choose, policy)
    if dry_run:
        return len(choice.values), choice.size
    number = size = 0
    for start in range(0, len(choice.values), _EVICTED_TOGETHER):
        some = choice.values[start : start + _EVICTED_TOGETHER]
        done = own._transact(_evict_some, some)
        number += len(done)
        size += sum(each.size for each in done)
    return number, size


def _evict_some(driver: Driver, chosen: Sequence[Candidate]) -> list[Candidate]:
    free = still_free(driver, chosen)
    change(driver, _EVICT, [each.key for each in free])
    return free


# The value store


def _sweep_store(
    own: SqlBackend,
    store: ValueStore,
    freed: Collection[bytes],
    grace: timedelta,
    dry_run: bool,
    is_own: bool,
) -> tuple[int, int]:
    """Remove the entries that no row refers to; of a store that others may use, those known here.

    What is there is listed before it is asked what is needed: what comes later is new, and stays.
    """
    sizes = {each.digest: each.size for each in store.entries()} if is_own else None
    wanted: Iterable[bytes]
    if sizes is None:
        wanted = {*freed, *own._ask(keys_of_all, _FREED_ENTRIES)}
    else:
        wanted = {bytes.fromhex(each) for each in sizes}
    live = own._ask(keys_of_all, _LIVE_ENTRIES)
    number = size = 0
    for key in sorted(set(wanted) - live):
        digest = ContentDigest(key.hex())
        if dry_run:
            found = sizes.get(digest) if sizes is not None else store.folder.size(_name(digest))
        elif store.is_remote:
            # Nobody can say there that an entry is wanted: so it goes while nobody runs.
            found = own._transact(_remove_alone, store, digest, grace)
        else:
            found = store.remove(digest, grace.total_seconds())
        if found is not None:
            number += 1
            size += found
    return number, size


def _remove_alone(
    driver: Driver, store: ValueStore, digest: ContentDigest, grace: timedelta
) -> int | None:
    return None if somebody_runs(driver) else store.remove(digest, grace.total_seconds())


def keys_of_all(driver: Driver, sql: str) -> set[Key]:
    """Return the keys that a statement gives."""
    return {bytes(key) for (key,) in driver.execute(sql).fetchall()}


def _name(digest: ContentDigest) -> str:
    from taskgraph.values.valuestore import name_of

    return name_of(digest)


def forget_entries(
    own: SqlBackend, store: ValueStore, digests: Collection[bytes], grace: timedelta
) -> None:
    """Remove those of some entries that no row refers to any more."""
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


__all__ = ["WITHOUT", "collect", "forget_entries", "keys_of_all", "loose_calls", "loose_values"]
