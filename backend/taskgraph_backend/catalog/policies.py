"""Notification policies as rows: a name is there once, and what came before one counts for nothing.

In `seen_until` lies since when states are looked at: since a policy was made or became active, and
later since the moment before which nothing new is awaited. A policy is changed in one transaction,
and only what is given of it: what it was about until then is kept, for states whose rows come late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from taskgraph.catalog.delivering import CLAIM
from taskgraph.catalog.policy_rows import ATTEMPTS, Held, NotificationPolicy
from taskgraph.catalog.targets import Target, Unreadable, Webhook
from taskgraph.errors import AmbiguousIdError, PolicyExistsError, ValidationError
from taskgraph_backend import claims
from taskgraph_backend.catalog.policy_columns import (
    About,
    Earlier,
    Kept,
    about_columns,
    held_at,
    kept_column,
    read_about,
    read_kept,
)
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.times import from_micros

_binary = bytearray.fromhex

_SECOND: Final = 1_000_000
_SHOWN: Final = 5
_START: Final = re.compile(r"[0-9a-f]{1,32}")
_COLUMNS: Final = "id, name, active, state_names, tags, template, target, created_at"
_INSERT: Final = (
    f"INSERT INTO notification_policy ({_COLUMNS}, seen_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ROW: Final = (
    "SELECT active, state_names, tags, target, seen_until FROM notification_policy WHERE id = ?"
)
_WAITING: Final = "delivered_at IS NULL AND given_up_at IS NULL"
_EARLIER: Final = (
    "SELECT id, due FROM notification WHERE policy_id = ? AND due < ?"
    f" AND {_WAITING} ORDER BY due, id"
)
_LATER: Final = _EARLIER.replace("due < ?", "due > ?")
_MOVE: Final = f"UPDATE notification SET due = ? WHERE id = ? AND {_WAITING}"
_GIVE_UP: Final = (
    "UPDATE notification SET given_up_at = ?, error = 'the policy was made inactive'"
    f" WHERE policy_id = ? AND {_WAITING}"
)
_HELD: Final = (
    f"SELECT p.name, p.target, {NOW}, (SELECT count(*) FROM notification n"
    f" WHERE n.policy_id = p.id AND {_WAITING})"
    " FROM notification_policy p WHERE p.active ORDER BY p.name"
)
# More often than that nobody changes one while rows of states may still come.
_MOST_EARLIER: Final = 20
_COUNTS: Final = (
    "SELECT policy_id, sum(CASE WHEN delivered_at IS NOT NULL THEN 1 ELSE 0 END),"
    " sum(CASE WHEN delivered_at IS NULL AND given_up_at IS NOT NULL THEN 1 ELSE 0 END), count(*)"
    " FROM notification GROUP BY policy_id"
)


def create(driver: Driver, wanted: NotificationPolicy) -> None:
    """Write a policy down; within a transaction that is alone.

    Raises:
        PolicyExistsError: There is one of this name.
    """
    _check_name(driver, wanted.id, wanted.name)
    now = claims.clock(driver)
    if isinstance(wanted.target, Unreadable):
        raise ValidationError("target", wanted.target.reason)
    states, tags = about_columns(About(wanted.states, wanted.tags))
    target = kept_column(Kept(wanted.target, wanted.attempts))
    key, name, active = _binary(wanted.id), wanted.name, wanted.active
    row = (key, name, active, states, tags, wanted.template, target, now, now)
    driver.executemany(_INSERT, [row])


def update(driver: Driver, policy_id: str, changes: Mapping[str, Any]) -> bool:
    """Change what is given of a policy; within a transaction that is alone.

    States that came until now are judged by what it was about until now, whenever their rows come.

    Args:
        driver: The connection.
        policy_id: The policy.
        changes: Fields of a `NotificationPolicy`, checked.

    Returns:
        Whether it was there.

    Raises:
        PolicyExistsError: Another one has its name.
        ValidationError: What cannot be read of it would have to be.
    """
    key = _binary(policy_id)
    row = driver.execute(_ROW, (key,)).fetchone()
    if row is None:
        return False
    was_active, states, tags, target, seen = row
    now = claims.clock(driver)
    columns = {each: changes[each] for each in ("name", "active", "template") if each in changes}
    if "name" in changes:
        _check_name(driver, policy_id, changes["name"])
    kept = _changed_target(target, changes)
    before = _about(states, tags)
    after = _changed_about(before, states, tags, changes)
    is_other = after is not None and after != before
    if after is not None and is_other:
        columns["state_names"], columns["tags"] = about_columns(after)
    is_active = bool(changes.get("active", was_active))
    if is_active and not was_active:
        kept = None if kept is None else replace(kept, earlier=(), active_since=now)
        columns["seen_until"] = now
    elif is_other and (before is None or kept is None):
        columns["seen_until"] = now  # nobody could look so far
    elif is_other and is_active and before is not None and kept is not None:
        still = [each for each in kept.earlier if each.until > seen]
        still.append(Earlier(now, before))
        kept = replace(kept, earlier=tuple(still[-_MOST_EARLIER:]))
    if kept is not None:
        columns["target"] = kept_column(kept)
    _set(driver, key, columns)
    if was_active and not is_active:
        driver.execute(_GIVE_UP, (now, key))
    was = _kept(target)
    if was is not None and kept is not None and was.target != kept.target:
        # What waits for long is due now at the other place; what may be on its way is left alone.
        on_its_way = now + int((was.target.timeout + CLAIM) * _SECOND)
        _move(driver, driver.execute(_LATER, (key, on_its_way)).fetchall(), now)
    return True


def _set(driver: Driver, key: bytes | bytearray, columns: Mapping[str, Any]) -> None:
    if columns:
        marks = ", ".join(f"{name} = ?" for name in sorted(columns))
        given = [columns[name] for name in sorted(columns)]
        driver.execute(f"UPDATE notification_policy SET {marks} WHERE id = ?", (*given, key))


def _about(states: Any, tags: Any) -> About | None:
    try:
        return read_about(states, tags)
    except ValidationError:
        return None


def _changed_about(
    before: About | None, states: Any, tags: Any, changes: Mapping[str, Any]
) -> About | None:
    """Return what a policy is to be about; None where that stays what cannot be read."""
    if before is None:
        if "states" not in changes and "tags" not in changes:
            return None
        # What is not given has to be read.
        given = [] if "states" in changes else states, [] if "tags" in changes else tags
        before = read_about(*given)
    return About(changes.get("states", before.states), changes.get("tags", before.labels))


def _changed_target(said: Any, changes: Mapping[str, Any]) -> Kept | None:
    """Return what the column of the target is to hold; None where it stays what cannot be read."""
    try:
        kept = read_kept(said)
    except ValidationError as error:
        if "target" not in changes and "attempts" not in changes:
            return None
        if "target" not in changes:
            reason = f"what there is cannot be read here ({error}) Give one as well."
            raise ValidationError("target", reason) from error
        kept = Kept(changes["target"])
    if "target" in changes and changes["target"] != kept.target:
        kept = replace(kept, target=changes["target"], held_until=0)
    return replace(kept, attempts=changes.get("attempts", kept.attempts))


def hold(driver: Driver, policy_id: str, seconds: float) -> None:
    """Have nothing be sent to the receiver of a policy for a while; within a transaction, alone.

    That is for all policies whose notifications go there: it is the receiver who asks for it.
    """
    until = claims.clock(driver) + int(seconds * _SECOND)
    rows = driver.execute("SELECT id, target FROM notification_policy").fetchall()
    every = {bytes(key): _kept(target) for key, target in rows}
    place = _place(every.get(bytes(_binary(policy_id))))
    for key, kept in every.items():
        if place is None or kept is None or _place(kept) != place or kept.held_until >= until:
            continue
        _set(driver, key, {"target": kept_column(replace(kept, held_until=until))})
        _move(driver, driver.execute(_EARLIER, (key, until)).fetchall(), until)


def held(driver: Driver) -> tuple[Held, ...]:
    """Return what waits because its receiver has asked for a pause, by policy; in one statement."""
    found = []
    for name, target, now, waiting in driver.execute(_HELD):
        until = held_at(target, now)
        if until and waiting:
            found.append(Held(name, from_micros(until), int(waiting)))
    return tuple(found)


def _move(driver: Driver, rows: Sequence[Any], first: int) -> None:
    """Have notifications be due, each a microsecond after the one before: so is their order."""
    moved = [(first + index, bytes(row[0])) for index, row in enumerate(rows)]
    if moved:
        driver.executemany(_MOVE, moved)


def _kept(target: Any) -> Kept | None:
    try:
        return read_kept(target)
    except ValidationError:
        return None


def _place(kept: Kept | None) -> str | None:
    if kept is None or not isinstance(kept.target, Webhook):
        return None
    return kept.target.place


def delete(driver: Driver, policy_id: str) -> bool:
    """Delete a policy with its notifications; within a transaction that is alone."""
    key = _binary(policy_id)
    driver.execute("DELETE FROM notification WHERE policy_id = ?", (key,))
    return driver.execute("DELETE FROM notification_policy WHERE id = ?", (key,)).rowcount > 0


def look_up(driver: Driver, ref: str) -> NotificationPolicy | None:
    """Return a policy by name, id or unique start of one; in three statements at most.

    Raises:
        AmbiguousIdError: More than one starts so.
    """
    select = f"SELECT {_COLUMNS} FROM notification_policy WHERE"
    rows = driver.execute(f"{select} name = ?", (ref,)).fetchall()
    start = ref.lower()
    if not rows and _START.fullmatch(start):
        edges = _binary(start.ljust(32, "0")), _binary(start.ljust(32, "f"))
        rows = driver.execute(f"{select} id BETWEEN ? AND ? LIMIT {_SHOWN}", edges).fetchall()
    if len(rows) > 1:
        raise AmbiguousIdError(ref, [bytes(row[0]).hex()[:12] for row in rows])
    return _policies(driver, rows)[0] if rows else None


def every(driver: Driver, active: bool | None) -> list[NotificationPolicy]:
    """Return policies by name, in two statements."""
    which = "" if active is None else " WHERE active" if active else " WHERE NOT active"
    rows = driver.execute(f"SELECT {_COLUMNS} FROM notification_policy{which}").fetchall()
    return sorted(_policies(driver, rows), key=lambda each: (each.name, each.id))


def _check_name(driver: Driver, policy_id: str, name: str) -> None:
    sql = "SELECT id FROM notification_policy WHERE name = ?"
    row = driver.execute(sql, (name,)).fetchone()
    if row is not None and bytes(row[0]).hex() != policy_id:
        raise PolicyExistsError(name)


def _policies(driver: Driver, rows: list[Any]) -> list[NotificationPolicy]:
    if not rows:
        return []
    counts = {bytes(row[0]).hex(): row[1:] for row in driver.execute(_COUNTS)}
    found = []
    for key, name, active, states, tags, template, target, created in rows:
        id = bytes(key).hex()
        delivered, given_up, total = (int(each) for each in counts.get(id, (0, 0, 0)))
        about, where, attempts = _read(states, tags, target)
        found.append(
            NotificationPolicy(
                id=id,
                name=name,
                states=about.states,
                tags=about.labels,
                target=where,
                template=template,
                active=bool(active),
                attempts=attempts,
                created_at=from_micros(created),
                waiting=total - delivered - given_up,
                delivered=delivered,
                given_up=given_up,
            )
        )
    return found


def _read(states: Any, tags: Any, target: Any) -> tuple[About, Target | Unreadable, int]:
    """Return what a policy is about, where it goes and how often that is tried."""
    try:
        kept = read_kept(target)
        return read_about(states, tags), kept.target, kept.attempts
    except ValidationError as error:
        return About((), ()), Unreadable(f"{error}"), ATTEMPTS


__all__ = ["create", "delete", "every", "held", "hold", "look_up", "update"]
