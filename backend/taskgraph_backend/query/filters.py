"""What a query asks for, as plain data that is never changed: each filter makes another one.

Values of one filter are alternatives; filters that follow each other must all hold. What each
means for each kind of record is said in `taskgraph_backend.query.selects`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from taskgraph.catalog.criteria import Criteria
from taskgraph.filters import TagFilter

#: Alternatives: any of them will do.
Any_ = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a query was told, in the order in which it was told.

    Attributes:
        types: The kinds that are left.
        ids: Whole ids.
        prefixes: Starts of ids, or names of tasks.
        tags: Tags of the records themselves; all of them.
        execution_tags: Tags of their executions; all of them.
        files: Patterns of paths, some with their root.
        since: Not earlier.
        until: Earlier.
        meant: What their executions must be like; all of them.
    """

    types: frozenset[str]
    ids: tuple[Any_, ...] = ()
    prefixes: tuple[Any_, ...] = ()
    execution_ids: tuple[Any_, ...] = ()
    statuses: tuple[Any_, ...] = ()
    execution_statuses: tuple[Any_, ...] = ()
    job_statuses: tuple[Any_, ...] = ()
    tags: tuple[TagFilter, ...] = ()
    execution_tags: tuple[TagFilter, ...] = ()
    task_names: tuple[Any_, ...] = ()
    task_hashes: tuple[Any_, ...] = ()
    value_types: tuple[Any_, ...] = ()
    files: tuple[tuple[str | tuple[str, str], ...], ...] = ()
    arguments: tuple[Any_, ...] = ()
    results: tuple[Any_, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    meant: tuple[Criteria, ...] = ()

    def adding(self, **groups: tuple[Any, ...]) -> Wanted:
        """Return the same with one more condition for each name. Any: of what each name holds."""
        more: dict[str, Any] = {
            name: (*getattr(self, name), group) for name, group in groups.items()
        }
        return replace(self, **more)

    def tagged(self, name: str, tags: tuple[TagFilter, ...]) -> Wanted:
        """Return the same with more tags to be there."""
        more: dict[str, Any] = {name: (*getattr(self, name), *tags)}
        return replace(self, **more)

    def meaning(self, criteria: Criteria) -> Wanted:
        """Return the same for those executions only, and what belongs to them."""
        return replace(self, meant=(*self.meant, criteria))

    def of_types(self, types: frozenset[str]) -> Wanted:
        """Return the same for those of its kinds that are among some."""
        return replace(self, types=self.types & types)

    def within(self, since: datetime | None, until: datetime | None) -> Wanted:
        """Return the same for a part of its time."""
        starts = [each for each in (self.since, since) if each is not None]
        ends = [each for each in (self.until, until) if each is not None]
        return replace(self, since=max(starts, default=None), until=min(ends, default=None))
