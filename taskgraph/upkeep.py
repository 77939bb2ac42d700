"""Looking after what is recorded: whether it is sound, and mending it where it is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskgraph.assembly.databases import open_existing
from taskgraph.assembly.reading import finish_writing
from taskgraph.assembly.surroundings import in_force, places_of
from taskgraph.config import Settings
from taskgraph.errors import UnknownRootError
from taskgraph.values.contents import find_stale
from taskgraph.values.places import Place, current_places
from taskgraph.values.statcache import stat_cache

if TYPE_CHECKING:
    from taskgraph_backend import SqlBackend

#: Told which part of a check begins, and how many rows of it were looked at since.
Tell = Callable[[str, int], None]

# Files that were seen when they were recorded are read once more up to this size.
_MOST_BYTES = 16 * 1024 * 1024
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the records, or in what is kept beside them, that must not be.

    Attributes:
        rule: What must hold.
        table: Where it does not: a table, ``database`` or ``stat cache``.
        key: The row's id, or what is known of it.
        detail: What was found.
        remedy: What mending does about it; "" where it can do nothing.
    """

    rule: str
    table: str
    key: str
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found.

    Attributes:
        found: All faults, in the order in which they were met.
        left: Those that are still there: all of them if nothing was to be mended.
        mended: Whether mending was asked for.
    """

    found: tuple[Fault, ...]
    left: tuple[Fault, ...]
    mended: bool


def check_database(
    settings: Settings,
    *,
    repair: bool = False,
    values_lost: bool = False,
    quick: bool = False,
    tell: Tell = lambda part, rows: None,
) -> Report:
    """Look whether the records of a project are sound; runs no code of what is stored.

    Args:
        settings: Those of the project.
        repair: Whether to mend what is not.
        values_lost: Whether values that are not in the value store are lost, however many.
        quick: Whether to leave out what is in values, and hashes that take all of them.
        tell: Told how far it is.

    Raises:
        DatabaseError: There is no database, or it cannot be read at all.
    """
    from taskgraph_backend import integrity

    finish_writing()
    with (
        in_force(settings, places_of(settings)),
        closing(open_existing(settings)) as backend,
    ):
        torn = _check_stat_cache(backend, repair, quick)
        if repair:
            found, left = integrity.repair(backend, values_lost=values_lost, tell=tell)
        else:
            found = left = integrity.check(backend, deep=not quick, tell=tell)
    return Report(
        (*_faults(found), *torn),
        (*_faults(left), *(() if repair else torn)),
        repair,
    )


def _faults(problems: Sequence[tuple[str, str, str, str, str]]) -> Iterator[Fault]:
    return (Fault(*each) for each in problems)


_STALE = "what is known of a file by its stat is its content"


def _check_stat_cache(backend: SqlBackend, repair: bool, quick: bool) -> list[Fault]:
    cache = stat_cache(current_places().cache_dir)
    torn = cache.find_torn()
    faults = [
        Fault(_STALE, "stat cache", str(offset), "the entry is damaged", "it is taken away")
        for offset in torn
    ]
    if repair:
        cache.clear(torn)
    if quick:
        return faults
    for path in _local_files(backend):
        try:
            stat = find_stale(path, _MOST_BYTES)
        except OSError:
            continue
        if stat is None:
            continue
        faults.append(
            Fault(_STALE, "stat cache", path, "its content is another", "it is read again")
        )
        if repair:
            cache.forget(path, stat)
    return faults


def _local_files(backend: SqlBackend) -> Iterator[str]:
    with backend.reader() as reader:
        for root, path in reader.known_files(_MOST_FILES):
            try:
                place = current_places().find(Place(root, path))
            except UnknownRootError:
                continue
            if place.startswith("/") and os.path.isfile(place):
                yield place


__all__ = ["Fault", "Report", "Tell", "check_database"]
