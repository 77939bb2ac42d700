"""What a database holds: rows, bytes, values by type and size, and what could be given back."""

from __future__ import annotations

from typing import Final

from taskgraph.catalog.deletions import Policy, StorageStats, ValueStats
from taskgraph_backend.dialects import Database, Driver
from taskgraph_backend.growth.choosing import HAS_BYTES, candidates
from taskgraph_backend.growth.collecting import loose_calls, loose_values
from taskgraph_backend.models import Base

_TYPES: Final = (
    "SELECT type, count(*), coalesce(sum(CASE WHEN format IN ('evicted', 'damaged', 'unstored')"
    " THEN 0 ELSE size END), 0), coalesce(sum(CASE WHEN length(value) = 0 AND format <> 'evicted'"
    " THEN size ELSE 0 END), 0), coalesce(sum(CASE WHEN format = 'evicted' THEN 1 ELSE 0 END), 0)"
    " FROM value GROUP BY type"
)
#: The classes of sizes that values are counted in: up to so many bytes.
SIZES: Final = tuple(16**power for power in range(2, 10))
_STORE: Final = (
    f"SELECT count(*), coalesce(sum(size), 0) FROM value WHERE {HAS_BYTES} AND length(value) = 0"
)


def count(database: Database, driver: Driver) -> StorageStats:
    """Count what there is; only reads."""
    known = database.table_sizes(driver)
    tables = {}
    for table in Base.metadata.sorted_tables:
        (rows,) = driver.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        tables[table.name] = (int(rows), known.get(table.name))
    types = [
        ValueStats(str(kind), *map(int, numbers))
        for kind, *numbers in driver.execute(_TYPES).fetchall()
    ]
    file_size, free_size = database.space(driver)
    store_entries, store_size = map(int, driver.execute(_STORE).fetchone())
    free = list(candidates(driver, Policy()))
    doomed = loose_calls(driver)
    return StorageStats(
        tables=tables,
        types=sorted(types, key=lambda each: (-each.size, each.type)),
        sizes=_by_size(driver),
        file_size=file_size,
        free_size=free_size,
        store_entries=store_entries,
        store_size=store_size,
        unneeded_calls=len(doomed.calls) + len(doomed.circles),
        unneeded_values=len(loose_values(driver)),
        evictable=len(free),
        evictable_size=sum(each.size for each in free),
    )


def _by_size(driver: Driver) -> list[tuple[int, int, int]]:
    classes = " ".join(f"WHEN size <= {most} THEN {most}" for most in SIZES)
    rows = driver.execute(
        f"SELECT CASE {classes} ELSE {16 * SIZES[-1]} END AS class, count(*), sum(size) FROM value"
        f" WHERE {HAS_BYTES} GROUP BY 1 ORDER BY 1"
    )
    return [(int(most), int(number), int(size)) for most, number, size in rows.fetchall()]


__all__ = ["SIZES", "count"]
