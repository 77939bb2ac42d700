"""What nothing needs goes, and values give up their bytes as a policy says.

What gives up its bytes keeps its row: hash, type, size, preview, who made it and who used it. No
look-up finds it, so a call that needs it runs again, and what that makes takes its place. Each step
is a transaction of its own that asks once more; whoever is killed in between has done less.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from taskgraph.catalog.deletions import GcReport, Policy
from taskgraph.errors import DatabaseError
from taskgraph_backend.dialects import Driver
from taskgraph_backend.growth.alone import loosened, somebody_runs
from taskgraph_backend.growth.asking import Key, change, pieces
from taskgraph_backend.growth.choosing import (
    HAS_BYTES,
    TOTAL,
    Candidate,
    Choice,
    choose,
    still_free,
)
from taskgraph_backend.growth.deleting import MOST_PLANNED, TOGETHER, VALUES_TOGETHER
from taskgraph_backend.growth.entries import entries_without, sweep_store
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
        live: set[Key] | None = None
        if dry_run:
            calls, left, number, size, entries, choice, live = _foretell(own, doomed, policy)
            evicted, freed = len(choice.values), choice.size
            after = before - size - freed
        else:
            calls, left = _remove_calls(own, doomed)
            number, size, entries = _remove_values(own)
            evicted, freed = _evict(own, policy)
            after = int(own._ask(_total))
        removed = removed_size = 0
        if backend.value_store is not None:
            removed, removed_size = sweep_store(
                own, backend.value_store, entries, grace, live, is_own_store
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


class _Foretold(NamedTuple):
    """What a collection would do.

    Attributes:
        calls: How many calls would go.
        left: How many would be left.
        number: How many values would go.
        size: Their bytes.
        entries: The digests of those whose bytes are outside.
        choice: The values that would give up their bytes.
        live: The digests of entries of the value store that would still be needed.
    """

    calls: int
    left: int
    number: int
    size: int
    entries: set[bytes]
    choice: Choice
    live: set[Key]


class _TakenBack(Exception):
    """Ends a transaction of which nothing is to be kept."""

    def __init__(self, found: _Foretold) -> None:
        super().__init__(found)
        self.found = found


def _foretell(own: SqlBackend, doomed: Doomed, policy: Policy) -> _Foretold:
    """Return what would be done. What goes is taken away, and taken back; of very much, counted."""
    number = len(doomed.calls) + len(doomed.circles) + len(own._ask(loose_values))
    if 0 < number <= MOST_PLANNED:
        try:
            own._transact(_take_back, doomed, policy)
        except _TakenBack as done:
            return done.found
        except DatabaseError:  # it can only be read
            pass
    return own._ask(_count, doomed, policy)


def _take_back(driver: Driver, doomed: Doomed, policy: Policy) -> None:
    calls = left = 0
    for piece in doomed.pieces(TOGETHER):
        gone, waits = _remove_some_calls(driver, piece)
        calls += gone
        left += waits
    number, size, entries = _remove_some_values(driver, loose_values(driver))
    raise _TakenBack(_after(driver, calls, left, (number, size, entries), policy))


def _count(driver: Driver, doomed: Doomed, policy: Policy) -> _Foretold:
    calls = len(doomed.calls) + len(doomed.circles)
    if somebody_runs(driver):
        return _after(driver, 0, calls, (0, 0, set()), policy)
    loose = loose_values(driver)
    return _after(driver, calls, 0, (len(loose), _sizes(driver, loose), set()), policy)


def _after(
    driver: Driver, calls: int, left: int, values: tuple[int, int, set[bytes]], policy: Policy
) -> _Foretold:
    """Return what would be done, once what nothing needs is gone."""
    choice = choose(driver, policy) if policy.evicts else Choice(0, ())
    freed = {each.key for each in choice.values}
    live, gone = entries_without(driver, freed)
    number, size, entries = values
    return _Foretold(calls, left, number, size, entries | gone, choice, live)


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


def _evict(own: SqlBackend, policy: Policy) -> tuple[int, int]:
    if not policy.evicts:
        return 0, 0
    choice = own._ask(choose, policy)
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


__all__ = ["WITHOUT", "collect", "loose_calls", "loose_values"]
