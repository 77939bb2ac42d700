"""Notification policies as rows: a name is there once, and what came before one counts for nothing.

In `seen_until` lies since when states are looked at: since a policy was made or became active, and
later since the moment before which nothing new is awaited.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from taskgraph.catalog.fitting import label_json, read_label
from taskgraph.catalog.policy_rows import ATTEMPTS, NotificationPolicy
from taskgraph.catalog.targets import read_target
from taskgraph.errors import AmbiguousIdError, PolicyExistsError
from taskgraph.jsontext import to_json
from taskgraph_backend import claims
from taskgraph_backend.dialects import Driver
from taskgraph_backend.times import from_micros

_binary = bytearray.fromhex

_SHOWN: Final = 5
_START: Final = re.compile(r"[0-9a-f]{1,32}")
_COLUMNS: Final = "id, name, active, state_names, tags, template, target, created_at"
_INSERT: Final = (
    f"INSERT INTO notification_policy ({_COLUMNS}, seen_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CHANGE: Final = (
    "UPDATE notification_policy SET name = ?, active = ?, state_names = ?, tags = ?, template = ?,"
    " target = ? WHERE id = ?"
)
_WAITING: Final = "delivered_at IS NULL AND given_up_at IS NULL"
_GIVE_UP: Final = (
    "UPDATE notification SET given_up_at = ?, error = 'the policy was made inactive'"
    f" WHERE policy_id = ? AND {_WAITING}"
)
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
    _check_name(driver, wanted)
    now = claims.clock(driver)
    id, *fields = _row(wanted)
    driver.executemany(_INSERT, [(id, *fields, now, now)])


def update(driver: Driver, wanted: NotificationPolicy) -> bool:
    """Change a policy to what is wanted; within a transaction that is alone.

    Returns:
        Whether it was there.

    Raises:
        PolicyExistsError: Another one has its name.
    """
    key = _binary(wanted.id)
    sql = "SELECT active, state_names, tags FROM notification_policy WHERE id = ?"
    row = driver.execute(sql, (key,)).fetchone()
    if row is None:
        return False
    _check_name(driver, wanted)
    now = claims.clock(driver)
    was_active, before = bool(row[0]), (_read(row[1]), _read(row[2]))
    id, *fields = _row(wanted)
    driver.execute(_CHANGE, (*fields, id))
    after = (_read(fields[2]), _read(fields[3]))
    if wanted.active and (not was_active or before != after):
        driver.execute("UPDATE notification_policy SET seen_until = ? WHERE id = ?", (now, key))
    if was_active and not wanted.active:
        driver.execute(_GIVE_UP, (now, key))
    return True


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


def target_and_attempts(said: Any) -> tuple[Any, int]:
    """Return where notifications go and how often each is tried, as a column has it. Any: JSON."""
    kept = dict(_read(said))
    attempts = int(kept.pop("attempts", ATTEMPTS))
    return read_target(kept), attempts


def _check_name(driver: Driver, wanted: NotificationPolicy) -> None:
    sql = "SELECT id FROM notification_policy WHERE name = ?"
    row = driver.execute(sql, (wanted.name,)).fetchone()
    if row is not None and bytes(row[0]).hex() != wanted.id:
        raise PolicyExistsError(wanted.name)


def _row(policy: NotificationPolicy) -> tuple[Any, ...]:
    """Return what a policy says, in the order of the columns."""
    return (
        _binary(policy.id),
        policy.name,
        policy.active,
        to_json(list(policy.states)),
        to_json([label_json(each) for each in policy.tags]),
        policy.template,
        to_json({**policy.target.to_json(), "attempts": policy.attempts}),
    )


def _policies(driver: Driver, rows: list[Any]) -> list[NotificationPolicy]:
    if not rows:
        return []
    counts = {bytes(row[0]).hex(): row[1:] for row in driver.execute(_COUNTS)}
    found = []
    for key, name, active, states, tags, template, target, created in rows:
        id = bytes(key).hex()
        delivered, given_up, total = (int(each) for each in counts.get(id, (0, 0, 0)))
        where, attempts = target_and_attempts(target)
        found.append(
            NotificationPolicy(
                id=id,
                name=name,
                states=tuple(_read(states)),
                tags=tuple(read_label(each) for each in _read(tags)),
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


def _read(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


__all__ = ["create", "delete", "every", "look_up", "target_and_attempts", "update"]
