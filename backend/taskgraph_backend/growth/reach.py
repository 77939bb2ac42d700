"""What is still needed: the one notion that deletion and collection share.

A call is needed by a job that had it, by a tag that somebody gave it, by a call that it is a child
of, and by a call that took its result as an argument: whatever is needed needs all that it was made
of. A value is needed by whatever names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from taskgraph_backend.dialects import Driver
from taskgraph_backend.growth.asking import KEYS, Key, keys_of, pieces, rows_of
from taskgraph_backend.statements import MOST_KEYS

_JOBS: Final = "SELECT DISTINCT call_hash, execution_id FROM job WHERE call_hash IN ({keys})"
_OTHER_JOBS: Final = (
    "SELECT DISTINCT call_hash FROM job WHERE call_hash IN ({keys}) AND execution_id <> ?"
)
_ANY_JOBS: Final = "SELECT DISTINCT call_hash FROM job WHERE call_hash IN ({keys})"
# What taskgraph says of a record itself keeps nothing.
_TAGGED: Final = (
    "SELECT entity_id FROM tag WHERE entity_id IN ({keys}) AND is_current"
    " AND entity_type = ? AND NOT key LIKE 'taskgraph.%'"
)
_ENTRIES: Final = (
    "SELECT c.call_hash FROM call_node c JOIN evaluation e ON e.eval_hash = c.eval_hash"
    " WHERE c.call_hash IN ({keys})",
    "SELECT c.call_hash FROM call_node c JOIN foreign_evaluation e ON e.eval_hash = c.eval_hash"
    " WHERE c.call_hash IN ({keys})",
)
_FOREIGN: Final = "SELECT id FROM foreign_record WHERE id IN ({keys})"
_CHILDREN: Final = "SELECT parent_id, child_id FROM call_edge WHERE parent_id IN ({keys})"
_PARENTS: Final = "SELECT child_id, parent_id FROM call_edge WHERE child_id IN ({keys})"
_MAKERS: Final = (
    "SELECT a.call_hash, r.result_call_hash FROM argument a"
    " JOIN argument_result r ON r.arg_hash = a.arg_hash WHERE a.call_hash IN ({keys})"
)
_USERS: Final = (
    "SELECT r.result_call_hash, a.call_hash FROM argument_result r"
    " JOIN argument a ON a.arg_hash = r.arg_hash WHERE r.result_call_hash IN ({keys})"
)
# What names a value, and can be found by an index.
_NAMED: Final = (
    "SELECT value_hash FROM call_node WHERE value_hash IN ({keys})",
    "SELECT value_hash FROM argument WHERE value_hash IN ({keys})",
    "SELECT hash FROM task WHERE hash IN ({keys})",
    "SELECT value_hash FROM subvalue WHERE value_hash IN ({keys})",
    "SELECT value_hash FROM handle WHERE value_hash IN ({keys})",
    "SELECT value_hash FROM dataset WHERE value_hash IN ({keys})",
    "SELECT value_hash FROM execution_dataset WHERE value_hash IN ({keys})",
    "SELECT value_hash FROM artifact WHERE value_hash IN ({keys})",
)
# What names a value and has no index for that, for each row that is written would pay for it: such
# a table is read once for many values.
_NAMED_ELSEWHERE: Final = (
    "SELECT DISTINCT value_hash FROM evaluation WHERE value_hash IN ({keys})",
    "SELECT DISTINCT value_hash FROM foreign_evaluation WHERE value_hash IN ({keys})",
    "SELECT DISTINCT value_hash FROM call_context WHERE value_hash IN ({keys})",
    "SELECT DISTINCT snapshot_hash FROM execution WHERE snapshot_hash IN ({keys})",
    "SELECT DISTINCT environment_hash FROM execution WHERE environment_hash IN ({keys})",
)


@dataclass(frozen=True, slots=True)
class Without:
    """What is taken as if it were gone already, and what counts besides.

    Attributes:
        executions: Whose jobs need nothing any more.
        entries: Whether an entry of the cache needs its call.
        foreign: Whether calls that came from elsewhere are needed, whoever uses them.
    """

    executions: frozenset[Key] = frozenset()
    entries: bool = False
    foreign: bool = False


@dataclass(slots=True)
class Doomed:
    """The calls that nothing needs, each after those that it is needed by.

    Attributes:
        calls: They, in the order in which they can be taken away.
        circles: Those that need each other, and what only these need: one was given what the other
            made, in another run each. They are taken away together.
        kept: How many of those that were looked at are needed by something else.
    """

    calls: list[Key] = field(default_factory=list)
    circles: list[Key] = field(default_factory=list)
    kept: int = 0

    def pieces(self, size: int) -> Iterator[Sequence[Key]]:
        """Cut them so that each piece can be taken away by itself."""
        yield from pieces(self.calls, size)
        if self.circles:
            yield self.circles


def doomed_calls(driver: Driver, seeds: Iterable[Key], without: Without) -> Doomed:
    """Return what nothing needs of some calls, of those below and of those that they were made of.

    The walk does not go on at a call that has a job of another execution: all that this one needs
    is needed. So it costs what the deleted alone has, and not what it shares.
    """
    candidates: dict[Key, None] = {}
    needed: set[Key] = set()
    below: dict[Key, list[Key]] = {}
    frontier = list(dict.fromkeys(seeds))
    while frontier:
        firm = rooted(driver, frontier, without)
        needed |= firm
        fresh = [each for each in frontier if each not in firm]
        candidates.update(dict.fromkeys(fresh))
        found: dict[Key, None] = {}
        for call, other in _needs(driver, fresh):
            below.setdefault(call, []).append(other)
            if other not in candidates and other not in needed:
                found[other] = None
        frontier = list(found)
    kept = _needed_by_others(driver, candidates)
    left = list(kept)
    while left:
        for other in below.get(left.pop(), ()):
            if other in candidates and other not in kept:
                kept.add(other)
                left.append(other)
    dead = {call: None for call in candidates if call not in kept}
    return Doomed(*_ordered(dead, below), len(kept) + len(needed))


def still_doomed(driver: Driver, calls: Collection[Key], without: Without) -> set[Key]:
    """Return those of some calls that nothing needs but one another; within a transaction."""
    firm = rooted(driver, calls, without)
    left = {call: None for call in calls if call not in firm}
    kept = _needed_by_others(driver, left)
    below: dict[Key, list[Key]] = {}
    if kept:
        for call, other in _needs(driver, left):
            below.setdefault(call, []).append(other)
    queue = list(kept)
    while queue:
        for other in below.get(queue.pop(), ()):
            if other in left and other not in kept:
                kept.add(other)
                queue.append(other)
    return {call for call in left if call not in kept}


def unneeded_values(driver: Driver, keys: Collection[Key]) -> set[Key]:
    """Return those of some values that nothing names; within a transaction, to be sure."""
    left = set(keys)
    for sql in _NAMED:
        if left:
            left -= keys_of(driver, sql, left)
    if left:
        left -= keys_of(driver, _TAGGED, left, "Value")
    return left - _named_elsewhere(driver, left) if left else left


def _named_elsewhere(driver: Driver, keys: Collection[Key]) -> set[Key]:
    """Return those of some values that tables name which have no index for that: read once each."""
    if len(keys) <= MOST_KEYS:
        return {key for sql in _NAMED_ELSEWHERE for key in keys_of(driver, sql, keys)}
    driver.execute("CREATE TEMPORARY TABLE IF NOT EXISTS asked (value_hash BLOB PRIMARY KEY)")
    driver.execute("DELETE FROM temp.asked")
    driver.executemany("INSERT INTO temp.asked (value_hash) VALUES (?)", [(key,) for key in keys])
    chosen = "SELECT value_hash FROM temp.asked"
    found = {
        bytes(key)
        for sql in _NAMED_ELSEWHERE
        for (key,) in driver.execute(sql.replace(KEYS, chosen)).fetchall()
    }
    driver.execute("DELETE FROM temp.asked")
    return found


def tagged(driver: Driver, kind: str, keys: Collection[Key]) -> set[Key]:
    """Return those of some records that somebody has tagged."""
    return keys_of(driver, _TAGGED, keys, kind)


def calls_below(driver: Driver, seeds: Iterable[Key]) -> set[Key]:
    """Return calls with all that were made in them, at any depth."""
    seen = set(seeds)
    frontier = list(seen)
    while frontier:
        found = {bytes(child) for _, child in rows_of(driver, _CHILDREN, frontier)} - seen
        seen |= found
        frontier = list(found)
    return seen


def rooted(driver: Driver, keys: Collection[Key], without: Without) -> set[Key]:
    """Return the calls that something needs which is no call."""
    gone = without.executions
    if not gone:
        found = keys_of(driver, _ANY_JOBS, keys)
    elif len(gone) == 1:
        found = keys_of(driver, _OTHER_JOBS, keys, *gone)
    else:
        rows = rows_of(driver, _JOBS, keys)
        found = {bytes(call) for call, execution in rows if bytes(execution) not in gone}
    found |= tagged(driver, "CallNode", keys)
    for sql in _ENTRIES if without.entries else ():
        found |= keys_of(driver, sql, keys)
    if without.foreign:
        found |= keys_of(driver, _FOREIGN, keys)
    return found


def _needs(driver: Driver, keys: Collection[Key]) -> Iterable[tuple[Key, Key]]:
    for sql in (_CHILDREN, _MAKERS):
        for call, other in rows_of(driver, sql, keys):
            yield bytes(call), bytes(other)


def _needed_by_others(driver: Driver, calls: Collection[Key]) -> set[Key]:
    return {
        bytes(call)
        for sql in (_PARENTS, _USERS)
        for call, other in rows_of(driver, sql, calls)
        if bytes(other) not in calls
    }


def _ordered(dead: dict[Key, None], below: dict[Key, list[Key]]) -> tuple[list[Key], list[Key]]:
    """Return calls so that none comes before one that needs it, and those that are in circles."""
    count = dict.fromkeys(dead, 0)
    for call in dead:
        for other in below.get(call, ()):
            if other in count:
                count[other] += 1
    ready = [call for call, number in count.items() if not number]
    found: list[Key] = []
    while ready:
        call = ready.pop()
        found.append(call)
        for other in below.get(call, ()):
            if other in count:
                count[other] -= 1
                if not count[other]:
                    ready.append(other)
    return found, [call for call, number in count.items() if number > 0]


__all__ = [
    "Doomed",
    "Without",
    "calls_below",
    "doomed_calls",
    "rooted",
    "still_doomed",
    "tagged",
    "unneeded_values",
]
