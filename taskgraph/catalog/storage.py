"""What the records take up: ``archive.storage`` counts it, collects it and gives it back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from taskgraph.catalog.deletions import PIN, GcReport, GrowthStore, Policy, StorageStats
from taskgraph.errors import ValidationError
from taskgraph.sizes import read_size

#: Entries of the value store that were written or wanted so lately are left alone.
GRACE: Final = timedelta(hours=1)


class StorageManager:
    """What the records take up; ``archive.storage``.

    Args:
        store: What counts and takes away.
    """

    def __init__(self, store: GrowthStore) -> None:
        self._store = store

    def gc(
        self,
        *,
        max_size: int | str | None = None,
        older_than: timedelta | None = None,
        keep_last: int | None = None,
        pins: Iterable[str] = (PIN,),
        grace: timedelta = GRACE,
        dry_run: bool = False,
    ) -> GcReport:
        """Take away what nothing needs, and have values that nothing keeps give up their bytes.

        What is known of such a value stays: hash, type, size, preview, who made it and who used it;
        so lineage is the same as before. A call that needs it runs again. Values are only given up
        if a call makes them again, and never those of datasets, artifacts and files, or what people
        gave to a call. Without a policy only what nothing needs goes.

        Args:
            max_size: The values may have so many bytes together, or as text: "10 GiB". Those that
                were used longest ago go first. Without it, all go that nothing else keeps.
            older_than: What was made or used within this time is kept.
            keep_last: What the newest so many executions of each task made or used is kept, and
                what those did that have not ended.
            pins: Tags, as ``key`` or ``key=value``, or one of them: what is tagged so keeps its
                values. An execution or a group keeps all that it made and used, a job and a call
                theirs and those below, a task all of its results.
            grace: Entries of the value store that were written or wanted within this time stay.
            dry_run: Whether to say only what would be done.

        Raises:
            ValidationError: Something that was given is not what it must be.
            ValueStoreError: The value store cannot be reached.
        """
        policy = Policy(
            max_size=None if max_size is None else _size(max_size),
            older_than=_time("older_than", older_than),
            keep_last=_count(keep_last),
            pins=_pins(pins),
        )
        return self._store.collect(
            policy, grace=_time("grace", grace) or GRACE * 0, dry_run=dry_run
        )

    def stats(self) -> StorageStats:
        """Count rows and bytes, values by type and size, and what could be given back."""
        return self._store.stats()

    def compact(self) -> int:
        """Give space that holds nothing back to the file system; returns how many bytes.

        A SQLite file is written anew, while nobody else writes; that takes as much space again.
        """
        return self._store.compact()


def _size(given: int | str) -> int:
    try:
        size = read_size(given) if isinstance(given, str) else int(given)
    except (TypeError, ValueError, OverflowError):
        size = -1
    if size < 0:
        raise ValidationError(
            f"max_size {given!r}", "expected a number of bytes, or a text such as '10 GiB'."
        )
    return size


def _time(what: str, given: timedelta | None) -> timedelta | None:
    if given is not None and (not isinstance(given, timedelta) or given < timedelta(0)):
        raise ValidationError(
            f"{what} {given!r}", "expected a timedelta that is not negative: timedelta(days=90)."
        )
    return given


def _count(given: int | None) -> int | None:
    if given is not None and (not isinstance(given, int) or given < 0):
        raise ValidationError(f"keep_last {given!r}", "expected a number: 0 or more.")
    return given


def _pins(given: Iterable[str]) -> tuple[str, ...]:
    """Return the tags that keep what has them; one text is one tag."""
    pins = (given,) if isinstance(given, str) else tuple(given or ())
    if not all(isinstance(each, str) and each for each in pins):
        raise ValidationError(f"pins {given!r}", "expected tags, as 'key' or 'key=value'.")
    return pins


__all__ = ["GRACE", "StorageManager"]
