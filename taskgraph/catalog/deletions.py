"""What was taken away, and what was kept, as plain data; and what is asked of a database for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, Protocol

#: The key of the tags that keep what they are on, by default.
PIN: Final = "pin"


@dataclass(frozen=True, slots=True)
class DeletionReport:
    """What a deletion took away, or would.

    Attributes:
        executions: The ids of the executions that went.
        jobs: How many jobs went with them.
        calls: How many recorded calls went: those that nothing else needed.
        entries: How many entries of the cache went.
        values: How many values went, those that are in others included.
        size: How many bytes these had as they were stored.
        kept: How many calls were kept because something else needs them.
        left: How many calls are needed by nothing, and were left for ``taskgraph gc``: a run that
            is on its way might be about to name them.
        workspaces: The folders that went.
        is_dry_run: Whether nothing was done.
    """

    executions: tuple[str, ...] = ()
    jobs: int = 0
    calls: int = 0
    entries: int = 0
    values: int = 0
    size: int = 0
    kept: int = 0
    left: int = 0
    workspaces: tuple[str, ...] = ()
    is_dry_run: bool = False

    def __add__(self, other: DeletionReport) -> DeletionReport:
        """Return the sum of two reports."""
        names = [each.name for each in fields(self) if each.name != "is_dry_run"]
        summed = {name: getattr(self, name) + getattr(other, name) for name in names}
        return DeletionReport(**summed, is_dry_run=self.is_dry_run or other.is_dry_run)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found["executions"] = list(self.executions)
        found["workspaces"] = list(self.workspaces)
        found["dry_run"] = found.pop("is_dry_run")
        return found


@dataclass(frozen=True, slots=True)
class Policy:
    """What of the stored values a collection keeps; each says what stays, but for ``max_size``.

    Attributes:
        max_size: The values may have so many bytes together: those that were used longest ago go
            first, until they do. None: all go that nothing says to keep.
        older_than: What was made or used within this time stays.
        keep_last: What the newest so many executions of each task made or used stays.
        pins: Tags whose records keep their values: keys, or ``KEY=VALUE``.
    """

    max_size: int | None = None
    older_than: timedelta | None = None
    keep_last: int | None = None
    pins: tuple[str, ...] = (PIN,)

    @property
    def evicts(self) -> bool:
        """Whether any value is to go that something names."""
        return not (self.max_size is None and self.older_than is None and self.keep_last is None)


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a collection took away, or would.

    Attributes:
        evicted: How many values gave up their bytes; what is known of them stays.
        evicted_size: How many bytes these had.
        calls: How many calls went that nothing needed.
        values: How many values went that nothing named.
        size: How many bytes these had.
        entries: How many entries of the value store went, and how many bytes they had.
        entries_size: How many bytes these had.
        left: How many calls were left because a run is on its way that might name them.
        size_before: How many bytes all values had.
        size_after: How many bytes they have now.
        over: How many bytes too many are left, because all that is left is kept by something.
        is_dry_run: Whether nothing was done.
    """

    evicted: int = 0
    evicted_size: int = 0
    calls: int = 0
    values: int = 0
    size: int = 0
    entries: int = 0
    entries_size: int = 0
    left: int = 0
    size_before: int = 0
    size_after: int = 0
    over: int = 0
    is_dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        found: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        found["dry_run"] = found.pop("is_dry_run")
        return found


@dataclass(frozen=True, slots=True)
class ValueStats:
    """Values of one type.

    Attributes:
        type: Their type.
        count: How many there are.
        size: How many bytes they have together.
        outside: How many of these bytes are in the value store.
        evicted: How many of them have given up their bytes.
    """

    type: str
    count: int
    size: int
    outside: int
    evicted: int


@dataclass(frozen=True, slots=True)
class StorageStats:
    """How much a database holds.

    Attributes:
        tables: How many rows each table has, and how many bytes where that is known.
        types: Its values by type, the largest first.
        sizes: How many values have so many bytes at most, by powers of 16, and their bytes.
        file_size: How many bytes the database takes up; None where that is not known.
        free_size: How many of these hold nothing: ``taskgraph db compact`` gives them back.
        store_entries: How many values are in the value store.
        store_size: How many bytes these have.
        unneeded_calls: How many calls nothing needs: ``taskgraph gc`` takes them away.
        unneeded_values: How many values nothing names.
        evictable: How many values could give up their bytes, for a call makes them again.
        evictable_size: How many bytes these have.
    """

    tables: Mapping[str, tuple[int, int | None]]
    types: Sequence[ValueStats]
    sizes: Sequence[tuple[int, int, int]]
    file_size: int | None
    free_size: int | None
    store_entries: int
    store_size: int
    unneeded_calls: int
    unneeded_values: int
    evictable: int
    evictable_size: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "tables": {
                name: {"rows": rows, "size": size} for name, (rows, size) in self.tables.items()
            },
            "types": [
                {each.name: getattr(kind, each.name) for each in fields(kind)}
                for kind in self.types
            ],
            "sizes": [
                {"at_most": most, "count": count, "size": size} for most, count, size in self.sizes
            ],
            **{
                each.name: getattr(self, each.name)
                for each in fields(self)
                if each.name not in ("tables", "types", "sizes")
            },
        }


class GrowthStore(Protocol):
    """What deletion and collection ask of a database."""

    def delete(
        self, execution_id: str, *, force: bool, keep_cache: bool, actor: str | None = None
    ) -> DeletionReport | None:
        """Delete an execution with what only it needs; None where there is none."""

    def check_deletion(self, execution_ids: Sequence[str], *, actor: str | None) -> None:
        """Check that somebody may delete executions although they have not ended."""

    def plan_deletion(
        self,
        execution_ids: Sequence[str],
        *,
        force: bool,
        keep_cache: bool,
        actor: str | None = None,
    ) -> DeletionReport:
        """Return what deleting executions would take away; nothing changes."""

    def collect(self, policy: Policy, *, grace: timedelta, dry_run: bool) -> GcReport:
        """Take away what nothing needs, and the bytes of values that no policy keeps."""

    def stats(self) -> StorageStats:
        """Count what there is."""

    def compact(self) -> int:
        """Give space that holds nothing back to the file system; returns how many bytes."""


__all__ = [
    "PIN",
    "DeletionReport",
    "GcReport",
    "GrowthStore",
    "Policy",
    "StorageStats",
    "ValueStats",
]
