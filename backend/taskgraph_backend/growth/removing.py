"""Rows are taken away: jobs, calls and values, each with all that belongs to it alone.

Everything here is done within a transaction that is alone, and asks there once more whether it is
still so that nothing needs what is taken away.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from taskgraph_backend.dialects import Driver
from taskgraph_backend.growth.asking import Key, change, keys_of, rows_of
from taskgraph_backend.growth.reach import Without, still_doomed, unneeded_values

_ENTRIES: Final = "SELECT DISTINCT eval_hash FROM call_node WHERE call_hash IN ({keys})"
_ENTRY_VALUES: Final = "SELECT DISTINCT value_hash FROM evaluation WHERE eval_hash IN ({keys})"
_MADE: Final = "SELECT call_hash, eval_hash FROM call_node WHERE eval_hash IN ({keys})"
# Entries that a retracted call has filled: where that one is not known, the newest of the key.
_SPOILED: Final = (
    "SELECT e.eval_hash, c.call_hash FROM evaluation e JOIN call_node c"
    " ON c.call_hash = coalesce(e.call_hash, (SELECT n.call_hash FROM call_node n"
    " WHERE n.eval_hash = e.eval_hash ORDER BY n.timestamp DESC, n.call_hash LIMIT 1))"
    " WHERE e.eval_hash IN ({keys}) AND c.retracted"
)
_OF_CALLS: Final = (
    "SELECT value_hash FROM call_node WHERE call_hash IN ({keys})",
    "SELECT value_hash FROM argument WHERE call_hash IN ({keys})",
    "SELECT value_hash FROM call_context WHERE call_hash IN ({keys})",
)
_CALL_ROWS: Final = (
    "DELETE FROM argument_result WHERE arg_hash IN"
    " (SELECT arg_hash FROM argument WHERE call_hash IN ({keys}))",
    "DELETE FROM argument WHERE call_hash IN ({keys})",
    "DELETE FROM call_edge WHERE parent_id IN ({keys})",
    "DELETE FROM call_subtree_task WHERE call_hash IN ({keys})",
    "DELETE FROM call_context WHERE call_hash IN ({keys})",
    "DELETE FROM foreign_record WHERE id IN ({keys})",
)
_VALUE_ROWS: Final = (
    "DELETE FROM subvalue WHERE parent_value_hash IN ({keys})",
    "DELETE FROM file WHERE value_hash IN ({keys})",
    "DELETE FROM foreign_record WHERE id IN ({keys})",
)
_INSIDE: Final = "SELECT DISTINCT value_hash FROM subvalue WHERE parent_value_hash IN ({keys})"
_SIZES: Final = (
    "SELECT sum(size) FROM value WHERE value_hash IN ({keys})"
    " AND format NOT IN ('evicted', 'damaged', 'unstored')"
)


def remove_entries(
    driver: Driver, calls: Collection[Key], gone: Collection[Key] = ()
) -> tuple[int, set[Key]]:
    """Take away the entries of the cache that calls stand behind.

    Args:
        driver: The connection.
        calls: Which nothing needs any more.
        gone: Those whose rows stay for now, and which count as gone all the same.

    Returns:
        How many were taken away, and their values.
    """
    entries = keys_of(driver, _ENTRIES, calls)
    kept = _kept(driver, entries, calls, gone)
    _forget_calls(driver, calls, kept)
    entries -= kept
    values = keys_of(driver, _ENTRY_VALUES, entries)
    number = change(driver, "DELETE FROM evaluation WHERE eval_hash IN ({keys})", entries)
    change(driver, "DELETE FROM foreign_evaluation WHERE eval_hash IN ({keys})", entries)
    return number, values


def _kept(
    driver: Driver, entries: Collection[Key], calls: Collection[Key], gone: Collection[Key] = ()
) -> set[Key]:
    """Return those of some entries that stay, for other calls have their keys."""
    kept = {
        bytes(entry)
        for call, entry in rows_of(driver, _MADE, entries)
        if bytes(call) not in calls and bytes(call) not in gone
    }
    # What a retracted call has filled goes with it: nothing would say any more that it is bad.
    return kept - {
        bytes(entry) for entry, call in rows_of(driver, _SPOILED, kept) if bytes(call) in calls
    }


def _forget_calls(driver: Driver, calls: Collection[Key], entries: Collection[Key]) -> None:
    """Have entries that stay name no call that goes."""
    named = rows_of(
        driver, "SELECT eval_hash, call_hash FROM evaluation WHERE eval_hash IN ({keys})", entries
    )
    lost = [bytes(entry) for entry, call in named if call is not None and bytes(call) in calls]
    change(driver, "UPDATE evaluation SET call_hash = NULL WHERE eval_hash IN ({keys})", lost)


def count_entries(driver: Driver, calls: Collection[Key]) -> int:
    """Return how many entries `remove_entries` would take away."""
    entries = keys_of(driver, _ENTRIES, calls)
    entries -= _kept(driver, entries, calls)
    known = "SELECT eval_hash FROM evaluation WHERE eval_hash IN ({keys})"
    return len(keys_of(driver, known, entries))


def remove_calls(
    driver: Driver, calls: Collection[Key], without: Without
) -> tuple[int, int, set[Key]]:
    """Take away those of some calls that nothing needs, with what belongs to them alone.

    Returns:
        How many were taken away, how many entries of the cache with them, and the values that they
        named.
    """
    dead = still_doomed(driver, calls, without)
    if not dead:
        return 0, 0, set()
    entries, values = remove_entries(driver, dead)
    for sql in _OF_CALLS:
        values |= keys_of(driver, sql, dead)
    # Who uses a result of theirs goes with them, and is among them.
    for sql in _CALL_ROWS:
        change(driver, sql, dead)
    remove_tags(driver, dead, "CallNode")
    change(driver, "DELETE FROM call_node WHERE call_hash IN ({keys})", dead)
    return len(dead), entries, values


def remove_values(driver: Driver, values: Collection[Key]) -> tuple[int, int, set[bytes]]:
    """Take away those of some values that nothing names, and what was in them alone.

    Returns:
        How many were taken away, their bytes, and the digests of those that are kept outside.
    """
    number = size = 0
    entries: set[bytes] = set()
    asked = set(values)
    while asked:
        dead = unneeded_values(driver, asked)
        asked = keys_of(driver, _INSIDE, dead)
        for (total,) in rows_of(driver, _SIZES, dead):
            size += int(total or 0)
        entries |= keys_of(
            driver,
            "SELECT content_digest FROM value WHERE value_hash IN ({keys})"
            " AND length(value) = 0 AND size > 0",
            dead,
        )
        for sql in _VALUE_ROWS:
            change(driver, sql, dead)
        remove_tags(driver, dead, "Value")
        number += change(driver, "DELETE FROM value WHERE value_hash IN ({keys})", dead)
    return number, size, entries


def remove_tags(driver: Driver, records: Collection[Key], kind: str) -> int:
    """Take away all tags of records, with what says which of them superseded which."""
    tags = keys_of(
        driver,
        "SELECT tag_hash FROM tag WHERE entity_id IN ({keys}) AND entity_type IN (?, 'Null')",
        records,
        kind,
    )
    if not tags:
        return 0
    above = keys_of(driver, "SELECT parent_id FROM tag_edit WHERE child_id IN ({keys})", tags)
    for column in ("child_id", "parent_id"):
        change(driver, f"DELETE FROM tag_edit WHERE {column} IN ({{keys}})", tags)
    removed = change(driver, "DELETE FROM tag WHERE tag_hash IN ({keys})", tags)
    # A tag of another record that one of these had superseded is superseded no more.
    change(
        driver,
        "UPDATE tag SET is_current = TRUE WHERE tag_hash IN ({keys}) AND entity_type <> 'Null'"
        " AND NOT EXISTS (SELECT 1 FROM tag_edit WHERE parent_id = tag.tag_hash)",
        above - tags,
    )
    return removed


def remove_jobs(driver: Driver, jobs: Collection[Key]) -> int:
    """Take away jobs; those below them that stay are below none."""
    change(driver, "DELETE FROM state WHERE job_id IN ({keys})", jobs)
    change(driver, "UPDATE job SET parent_id = NULL WHERE parent_id IN ({keys})", jobs)
    change(
        driver, "UPDATE execution SET parent_job_id = NULL WHERE parent_job_id IN ({keys})", jobs
    )
    remove_tags(driver, jobs, "Job")
    return change(driver, "DELETE FROM job WHERE id IN ({keys})", jobs)


__all__ = [
    "count_entries",
    "remove_calls",
    "remove_entries",
    "remove_jobs",
    "remove_tags",
    "remove_values",
]
