"""Finds of which states somebody is to be told, and writes that down: each policy and state once.

The rows of states are all that is asked. A run writes them with the clock of its machine, and up to
seconds later: so a look goes back to what may still come in, and what is known is left alone. A
crash is the exception, for its time is when a run was last heard of, perhaps days ago: who writes
that down queues it as well.

How far one has looked is a time, and clocks are put back: it is never later than the newest state
that there is, and one that lies ahead of the clock of the database is not believed. A state is
judged by what a policy was about at the time of the state, however late its row comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.catalog.fitting import fits_state, fits_tags, types_of
from taskgraph.catalog.policy_rows import unreadable
from taskgraph.errors import ValidationError
from taskgraph.hashing import hash_record
from taskgraph_backend import claims, statements
from taskgraph_backend.catalog.policy_columns import About, Earlier, read_about, read_kept
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.tags import current_tags

_binary = bytearray.fromhex

#: So late the row of a state may come, and so far the clock of its machine be behind: microseconds.
LATE: Final = 10 * 60 * 1_000_000
# So far a look goes back where the clock of the database was put back: microseconds.
_DAY: Final = 24 * 3600 * 1_000_000
# So seldom it is written down how far one has looked, where nothing was found; and by so much two
# clocks may differ.
_SELDOM: Final = 60 * 1_000_000
_AT_ONCE: Final = 1_000
_POLICIES: Final = (
    "SELECT id, name, state_names, tags, target, created_at, seen_until,"
    f" (SELECT max(s.timestamp) FROM state s), {NOW} FROM notification_policy WHERE active"
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
_SEEN: Final = (
    "UPDATE notification_policy SET seen_until = ?"
    f" WHERE id = ? AND (seen_until < ? OR seen_until > {NOW})"
)
# What is written down as it comes is judged by what policies are about now.
_LAST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Watch:
    """An active policy, as one who looks needs it.

    Attributes:
        key: Its id.
        about: Of which states somebody is to be told.
        earlier: What it was about before it was changed, the first first.
        since: What came before is nothing to it, or was looked at: microseconds.
        until: Before that nothing new is awaited any more.
        held_until: Until then its receiver wants nothing.
        is_ahead: Whether somebody looked whose clock was ahead, so that what is kept is wrong.
    """

    key: bytes
    about: About
    earlier: tuple[Earlier, ...]
    since: int
    until: int
    held_until: int
    is_ahead: bool

    def about_at(self, moment: int) -> About:
        """Return what it was about at some time."""
        return next((each.about for each in self.earlier if moment < each.until), self.about)

    @property
    def types(self) -> tuple[str, ...]:
        """The types that all of its states are; nothing where they are not known."""
        every = [types_of(each.states) for each in (self.about, *(e.about for e in self.earlier))]
        return tuple(dict.fromkeys(type for types in every for type in types)) if all(every) else ()


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
        watch = self.watch
        return bool(self.states) or watch.is_ahead or watch.until - watch.since >= _SELDOM


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look at all policies has found.

    Attributes:
        looks: For each active policy what is new.
        unreadable: In a sentence each, which policies cannot be read here.
    """

    looks: tuple[Look, ...]
    unreadable: tuple[str, ...]


def look(driver: Driver) -> Looked:
    """Return for each active policy what is new; a statement or two for each, and one for all."""
    watches, wrong = _watches(driver)
    return Looked(tuple(Look(each, tuple(_fitting(driver, each))) for each in watches), wrong)


def write(driver: Driver, looks: Sequence[Look]) -> int:
    """Write down what was found; within a transaction that is alone.

    A policy that was deleted or made inactive since, and a state that was deleted, is left out.

    Returns:
        How many notifications are new.
    """
    active = {each.key: each for each in _watches(driver)[0]}
    written = 0
    for each in looks:
        watch = active.get(each.watch.key)
        if watch is None:
            continue
        written += _queue(driver, watch, _still_there(driver, each.states))
        until = each.watch.until
        driver.execute(_SEEN, (until, watch.key, until))
    return written


def queue_crash(driver: Driver, execution_id: str, state_id: bytes, type: str, name: str) -> None:
    """Queue a state whose time is past, as it is written; within that transaction, alone.

    Where no policy is active this is one statement.
    """
    for each in _watches(driver)[0]:
        if _meant(driver, each, [(state_id, _binary(execution_id), type, name, _LAST)]):
            _queue(driver, each, [state_id])


def _watches(driver: Driver) -> tuple[list[Watch], tuple[str, ...]]:
    """Return the active policies, and which cannot be read: these are left to who can."""
    found, wrong = [], []
    for key, name, states, tags, target, made, seen, newest, now in driver.execute(
        _POLICIES
    ).fetchall():
        try:
            about, kept = read_about(states, tags), read_kept(target)
        except ValidationError as error:
            wrong.append(unreadable(name, bytes(key).hex(), error))
            continue
        is_ahead = seen - now > _SELDOM
        since = _after_a_jump(kept.active_since or made, now) if is_ahead else seen
        # Without a newer state there is nothing to be awaited earlier.
        until = max(since, min(now, newest or 0) - LATE)
        held = kept.held_at(now)
        found.append(Watch(bytes(key), about, kept.earlier, since, until, held, is_ahead))
    return found, tuple(wrong)


def _after_a_jump(active: int, now: int) -> int:
    """Return since when states are looked at where a clock that was ahead said how far one was.

    What was told is known, so that looking at too much tells nothing twice. What came before the
    policy was active is nothing to it.
    """
    return max(active, now - _DAY) if active <= now else now - LATE


def _fitting(driver: Driver, watch: Watch) -> Iterable[bytes]:
    """Give the ids of the states that a policy is about and that are not queued, oldest first."""
    types = watch.types
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
    judged = [(row, watch.about_at(row[4])) for row in rows]
    named = [(row, about) for row, about in judged if fits_state(about.states, row[2], row[3])]
    asked = {bytes(row[1]).hex() for row, about in named if about.labels}
    tags = current_tags(driver, asked) if asked else {}
    return [
        bytes(row[0])
        for row, about in named
        if not about.labels or fits_tags(about.labels, tags[bytes(row[1]).hex()])
    ]


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
    # Each a microsecond after the one before: so they are sent in order.
    first = max(now - len(states), watch.held_until)
    rows = [
        (notification_id(watch.key, each), watch.key, each, now, first + index, 0)
        for index, each in enumerate(states)
    ]
    return driver.executemany(_INSERT, rows).rowcount


def notification_id(policy: bytes, state: bytes) -> bytearray:
    """Return the id of the notification of a policy and a state, whoever makes it."""
    return _binary(hash_record("notification", policy.hex(), state.hex()))


__all__ = ["LATE", "Look", "Looked", "Watch", "look", "queue_crash", "write"]
