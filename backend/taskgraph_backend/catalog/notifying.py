"""Finds of which states somebody is to be told, and writes that down: each policy and state once.

The rows of states are all that is asked. A run writes them with the clock of its machine, and up to
seconds later: so a look goes back to what may still come in, and what is known is left alone. A
crash is the exception, for its time is when a run was last heard of, perhaps days ago: who writes
that down queues it as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.catalog.fitting import fits_state, fits_tags, read_label, types_of
from taskgraph.filters import TagFilter
from taskgraph.hashing import hash_record
from taskgraph_backend import claims, statements
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.tags import current_tags

_binary = bytearray.fromhex

#: So late the row of a state may come, and so far the clock of its machine be behind: microseconds.
LATE: Final = 10 * 60 * 1_000_000
# So seldom it is written down how far one has looked, where nothing was found.
_SELDOM: Final = 60 * 1_000_000
_AT_ONCE: Final = 1_000
_POLICIES: Final = (
    f"SELECT id, state_names, tags, seen_until, {NOW} FROM notification_policy WHERE active"
)
_STATES: Final = (
    "SELECT s.id, s.execution_id, s.type, s.name, s.timestamp FROM state s"
    " WHERE s.timestamp >= ? AND s.execution_id IS NOT NULL{types}{after}"
    " AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.state_id = s.id AND n.policy_id = ?)"
    f" ORDER BY s.timestamp, s.id LIMIT {_AT_ONCE}"
)
_AFTER: Final = " AND (s.timestamp > ? OR (s.timestamp = ? AND s.id > ?))"
_INSERT: Final = (
    "INSERT INTO notification (id, policy_id, state_id, queued_at, due, attempts)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_SEEN: Final = "UPDATE notification_policy SET seen_until = ? WHERE id = ? AND seen_until < ?"


@dataclass(frozen=True, slots=True)
class Watch:
    """An active policy, as one who looks needs it.

    Attributes:
        key: Its id.
        states: The states that it is about.
        labels: The tags of which an execution has one.
        since: What came before is nothing to it, or was looked at: microseconds.
        now: The time of the look, by the clock of the database.
    """

    key: bytes
    states: tuple[str, ...]
    labels: tuple[TagFilter, ...]
    since: int
    now: int


@dataclass(frozen=True, slots=True)
class Look:
    """What one look has found.

    Attributes:
        watch: For whom.
        states: The ids of the states that somebody is to be told of.
    """

    watch: Watch
    states: tuple[bytes, ...]

    @property
    def is_worth_writing(self) -> bool:
        """Whether something was found, or nobody has said for a while how far one has looked."""
        return bool(self.states) or self.until - self.watch.since >= _SELDOM

    @property
    def until(self) -> int:
        """Before when nothing new is awaited any more."""
        return self.watch.now - LATE


def look(driver: Driver) -> list[Look]:
    """Return for each active policy what is new; a statement or two for each, and one for all."""
    return [Look(each, tuple(_fitting(driver, each))) for each in _watches(driver)]


def write(driver: Driver, looks: Sequence[Look]) -> int:
    """Write down what was found; within a transaction that is alone.

    A policy that was deleted or made inactive since, and a state that was deleted, is left out.

    Returns:
        How many notifications are new.
    """
    active = {each.key for each in _watches(driver)}
    written = 0
    for each in looks:
        if each.watch.key not in active:
            continue
        written += _queue(driver, each.watch, _still_there(driver, each.states))
        driver.execute(_SEEN, (each.until, each.watch.key, each.until))
    return written


def queue_crash(driver: Driver, execution_id: str, state_id: bytes, type: str, name: str) -> None:
    """Queue a state whose time is past, as it is written; within that transaction, alone.

    Where no policy is active this is one statement.
    """
    for each in _watches(driver):
        if _meant(driver, each, [(state_id, _binary(execution_id), type, name, 0)]):
            _queue(driver, each, [state_id])


def _watches(driver: Driver) -> list[Watch]:
    return [
        Watch(
            bytes(key),
            tuple(_read(states)),
            tuple(read_label(label) for label in _read(tags)),
            since,
            now,
        )
        for key, states, tags, since, now in driver.execute(_POLICIES).fetchall()
    ]


def _fitting(driver: Driver, watch: Watch) -> Iterable[bytes]:
    """Give the ids of the states that a policy is about and that are not queued, oldest first."""
    types = types_of(watch.states)
    marks = f" AND s.type IN ({', '.join('?' * len(types))})" if types else ""
    last: tuple[Any, ...] = ()
    while True:
        sql = _STATES.format(types=marks, after=_AFTER if last else "")
        rows = driver.execute(sql, (watch.since, *types, *last, watch.key)).fetchall()
        yield from _meant(driver, watch, rows)
        if len(rows) < _AT_ONCE:
            return
        id, _, _, _, moment = rows[-1]
        last = (moment, moment, id)


def _meant(driver: Driver, watch: Watch, rows: Sequence[Any]) -> list[bytes]:
    named = [row for row in rows if fits_state(watch.states, row[2], row[3])]
    if not named or not watch.labels:
        return [bytes(row[0]) for row in named]
    tags = current_tags(driver, {bytes(row[1]).hex() for row in named})
    return [bytes(row[0]) for row in named if fits_tags(watch.labels, tags[bytes(row[1]).hex()])]


def _still_there(driver: Driver, states: Sequence[bytes]) -> list[bytes]:
    found = set()
    for keys in statements.padded(states):
        marks = ", ".join("?" * len(keys))
        rows = driver.execute(f"SELECT id FROM state WHERE id IN ({marks})", keys)
        found |= {bytes(row[0]) for row in rows}
    return [each for each in states if each in found]


def _queue(driver: Driver, watch: Watch, states: Sequence[bytes]) -> int:
    if not states:
        return 0
    now = claims.clock(driver)
    first = now - len(states)  # each a microsecond after the one before: so they are sent in order
    rows = [
        (notification_id(watch.key, each), watch.key, each, now, first + index, 0)
        for index, each in enumerate(states)
    ]
    return driver.executemany(_INSERT, rows).rowcount


def notification_id(policy: bytes, state: bytes) -> bytearray:
    """Return the id of the notification of a policy and a state, whoever makes it."""
    return _binary(hash_record("notification", policy.hex(), state.hex()))


def _read(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


__all__ = ["LATE", "Look", "Watch", "look", "queue_crash", "write"]
