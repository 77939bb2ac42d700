"""Which values may give up their bytes: those that a call makes again, and that nothing keeps."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from taskgraph.catalog.deletions import Policy
from taskgraph.records import ACTIVE
from taskgraph.values.failures import ERROR_TYPE
from taskgraph_backend import claims
from taskgraph_backend.dialects import Driver
from taskgraph_backend.growth.asking import Key, keys_of, rows_of
from taskgraph_backend.growth.reach import calls_below

HAS_BYTES: Final = "size > 0 AND format NOT IN ('evicted', 'damaged', 'unstored')"
TOTAL: Final = f"SELECT coalesce(sum(size), 0) FROM value WHERE {HAS_BYTES}"

# What no call makes again, or what is of use without its call: code, files and services (whose
# values are small), what a dataset or an artifact is, what somebody gave to a call.
_FREE: Final = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{column} = v.value_hash)"
    for table, column in (
        ("task", "hash"),
        ("file", "value_hash"),
        ("handle", "value_hash"),
        ("dataset", "value_hash"),
        ("execution_dataset", "value_hash"),
        ("artifact", "value_hash"),
    )
)
_GIVEN: Final = (
    "NOT EXISTS (SELECT 1 FROM argument a WHERE a.value_hash = v.value_hash AND NOT EXISTS"
    " (SELECT 1 FROM argument_result r WHERE r.arg_hash = a.arg_hash))"
)
_CANDIDATES: Final = (
    f"SELECT v.value_hash, v.size FROM value v WHERE {HAS_BYTES} AND v.type <> '{ERROR_TYPE}'"
    f" AND {_FREE} AND {_GIVEN}"
)
_PROTECTED: Final = (
    "SELECT DISTINCT value_hash FROM call_context",
    "SELECT DISTINCT snapshot_hash FROM execution WHERE snapshot_hash IS NOT NULL",
    "SELECT DISTINCT environment_hash FROM execution WHERE environment_hash IS NOT NULL",
)
_MADE: Final = (
    "SELECT c.value_hash, max(c.timestamp), max(j.start_time) FROM call_node c"
    " LEFT JOIN job j ON j.call_hash = c.call_hash"
)
_KEPT_IN: Final = "SELECT value_hash, max(timestamp) FROM evaluation"
_NAMED_BY: Final = (
    "SELECT value_hash FROM call_node WHERE call_hash IN ({keys})",
    "SELECT value_hash FROM argument WHERE call_hash IN ({keys})",
    "SELECT e.value_hash FROM evaluation e JOIN call_node c ON c.eval_hash = e.eval_hash"
    " WHERE c.call_hash IN ({keys})",
)
_CALLS_OF: Final = {
    "Execution": "SELECT DISTINCT call_hash FROM job WHERE execution_id IN ({keys})"
    " AND call_hash IS NOT NULL",
    "Job": "SELECT DISTINCT call_hash FROM job WHERE id IN ({keys}) AND call_hash IS NOT NULL",
    "CallNode": "SELECT call_hash FROM call_node WHERE call_hash IN ({keys})",
    "Task": "SELECT call_hash FROM call_node WHERE task_hash IN ({keys})",
    # A facet of a dataset is a tag as well, and that of the groups which are planned by it.
    "ExecutionGroup": "SELECT DISTINCT j.call_hash FROM job j JOIN execution e"
    " ON e.id = j.execution_id WHERE e.group_id IN ({keys}) AND j.call_hash IS NOT NULL",
}
_ACTIVE: Final = frozenset(each.value for each in ACTIVE)
_MICROSECOND: Final = timedelta(microseconds=1)


class Candidate(NamedTuple):
    """A value that may give up its bytes.

    Attributes:
        used: When it was last made or used, in microseconds.
    """

    used: int
    key: Key
    size: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy comes to.

    Attributes:
        total: How many bytes all values have.
        values: Those that are to give up theirs, the one that was used longest ago first.
    """

    total: int
    values: tuple[Candidate, ...]

    @property
    def size(self) -> int:
        """How many bytes these have."""
        return sum(each.size for each in self.values)


def choose(driver: Driver, policy: Policy) -> Choice:
    """Return which values are to give up their bytes; only reads."""
    total = int(driver.execute(TOTAL).fetchone()[0])
    if policy.max_size is not None and total <= policy.max_size:
        return Choice(total, ())
    free = sorted(candidates(driver, policy))
    if policy.max_size is None:
        return Choice(total, tuple(free))
    chosen: list[Candidate] = []
    left = total
    for each in free:
        if left <= policy.max_size:
            break
        chosen.append(each)
        left -= each.size
    return Choice(total, tuple(chosen))


def candidates(driver: Driver, policy: Policy) -> Iterator[Candidate]:
    """Give the values that may give up their bytes."""
    used = last_used(driver)
    kept = _kept(driver, policy)
    before = None
    if policy.older_than is not None:
        before = claims.clock(driver) - policy.older_than // _MICROSECOND
    for found, size in driver.execute(_CANDIDATES).fetchall():
        key = bytes(found)
        when = used.get(key)
        if when is None or key in kept or (before is not None and when >= before):
            continue
        yield Candidate(when, key, int(size))


def last_used(driver: Driver, keys: Collection[Key] | None = None) -> dict[Key, int]:
    """Return when results were last made or taken from the cache; of all, or of some values."""
    found: dict[Key, int] = {}
    rows: list[Any] = []
    if keys is None:
        for sql, column in ((_MADE, "c.value_hash"), (_KEPT_IN, "value_hash")):
            rows += driver.execute(f"{sql} GROUP BY {column}").fetchall()
    else:
        # Entries have no index by value. Who uses one has a job of its call, as a rule.
        by_value = f"{_MADE} WHERE c.value_hash IN ({{keys}}) GROUP BY c.value_hash"
        rows += rows_of(driver, by_value, keys)
    for value, *times in rows:
        key = bytes(value)
        found[key] = max(found.get(key, 0), *(int(each or 0) for each in times))
    return found


def still_free(driver: Driver, chosen: Collection[Candidate]) -> list[Candidate]:
    """Return those that nobody has used or bound since they were chosen; within a transaction."""
    known = {each.key: each for each in chosen}
    used = last_used(driver, list(known))
    free = keys_of(driver, f"{_CANDIDATES} AND v.value_hash IN ({{keys}})", list(known))
    for sql in _PROTECTED:
        column = sql.split()[2]
        clause = "AND" if "WHERE" in sql else "WHERE"
        free -= keys_of(driver, f"{sql} {clause} {column} IN ({{keys}})", free)
    return [each for key, each in known.items() if key in free and used.get(key, 0) <= each.used]


def _kept(driver: Driver, policy: Policy) -> set[Key]:
    """Return the values that are kept whatever their age."""
    kept = {bytes(key) for sql in _PROTECTED for (key,) in driver.execute(sql).fetchall()}
    roots = pinned(driver, policy.pins)
    kept |= roots.pop("Value", set())
    executions = roots.setdefault("Execution", set())
    if policy.keep_last is not None:
        executions |= _newest(driver, policy.keep_last)
    seeds: set[Key] = set()
    for kind, ids in roots.items():
        if kind in _CALLS_OF:  # datasets and artifacts are never given up
            seeds |= keys_of(driver, _CALLS_OF[kind], ids)
    calls = calls_below(driver, seeds)
    for sql in _NAMED_BY:
        kept |= keys_of(driver, sql, calls)
    return kept


def _newest(driver: Driver, number: int) -> set[Key]:
    """Return the newest executions of each task, and those that have not ended."""
    seen: dict[str, int] = {}
    found = set()
    rows = driver.execute(
        "SELECT id, entrypoint, state_type FROM execution ORDER BY created_at DESC, id DESC"
    )
    for key, entrypoint, state in rows.fetchall():
        seen[entrypoint] = seen.get(entrypoint, 0) + 1
        if seen[entrypoint] <= number or state in _ACTIVE:
            found.add(bytes(key))
    return found


def pinned(driver: Driver, pins: Iterable[str]) -> dict[str, set[Key]]:
    """Return the records that have one of some tags, by what they are."""
    found: dict[str, set[Key]] = {}
    for pin in pins:
        key, is_valued, text = pin.partition("=")
        rows = driver.execute(
            "SELECT entity_type, entity_id, value FROM tag WHERE key = ? AND is_current", (key,)
        )
        for kind, entity, value in rows.fetchall():
            if kind == "Null" or (is_valued and not _says(value, text)):
                continue
            found.setdefault(kind, set()).add(bytes(entity))
    return found


def _says(value: Any, text: str) -> bool:
    said = json.loads(value) if isinstance(value, str) else value
    return text == said or text == json.dumps(said)


__all__ = [
    "HAS_BYTES",
    "TOTAL",
    "Candidate",
    "Choice",
    "candidates",
    "choose",
    "last_used",
    "pinned",
    "still_free",
]
