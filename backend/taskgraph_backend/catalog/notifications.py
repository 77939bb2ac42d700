"""Notifications as rows: claimed, told, marked and listed.

A claim moves `due` ahead, for whoever still has the row as it was: of two one has it, on either
database, and nobody waits for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from taskgraph.catalog.delivering import CUT_SHORT, Due
from taskgraph.catalog.policies import WantedNotifications
from taskgraph.catalog.policy_rows import Notification, QueuedNotification
from taskgraph.catalog.states import State, StateType
from taskgraph.errors import ValidationError
from taskgraph.jsontext import storable
from taskgraph.tasks.names import join_name
from taskgraph_backend import claims
from taskgraph_backend.catalog.policy_columns import held_at, read_kept
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.tags import current_tags
from taskgraph_backend.times import from_micros

_binary = bytearray.fromhex

_SECOND: Final = 1_000_000
_TYPES: Final = tuple(each.value for each in StateType)
_WAITING: Final = "n.delivered_at IS NULL AND n.given_up_at IS NULL"
_FOUND: Final = "notification n JOIN notification_policy p ON p.id = n.policy_id"
_ABOUT: Final = (
    f"{_FOUND} JOIN state s ON s.id = n.state_id JOIN execution e ON e.id = s.execution_id"
)
_NEXT: Final = (
    "SELECT n.id, n.policy_id, p.target, p.template, n.attempts, n.due, n.error"
    f" FROM {_FOUND} WHERE {_WAITING} AND n.due <= {NOW} AND p.active{{others}}"
    " ORDER BY n.due, n.id LIMIT 1"
)
_CLAIM: Final = (
    "UPDATE notification SET due = ?, attempts = attempts + 1 WHERE id = ? AND due = ?"
    " AND delivered_at IS NULL AND given_up_at IS NULL"
)
_RELEASE: Final = (
    "UPDATE notification SET due = ?, attempts = attempts - 1, error = ? WHERE id = ? AND due = ?"
    " AND delivered_at IS NULL AND given_up_at IS NULL"
)
_ARRIVED: Final = (
    "UPDATE notification SET delivered_at = ?, given_up_at = NULL, error = NULL"
    " WHERE id = ? AND delivered_at IS NULL"
)
_LATER: Final = (
    "UPDATE notification SET error = ?, due = ? WHERE id = ? AND due = ?"
    " AND delivered_at IS NULL AND given_up_at IS NULL"
)
_NEVER: Final = (
    "UPDATE notification SET error = ?, given_up_at = ? WHERE id = ? AND due = ?"
    " AND delivered_at IS NULL AND given_up_at IS NULL"
)
_TOLD: Final = (
    "SELECT p.name, s.type, s.name, s.timestamp, s.message, e.id, e.name, e.entrypoint,"
    " e.workspace, e.submitted_by, e.total_run_time, y.name, w.namespace, w.name, w.version"
    f" FROM {_ABOUT} LEFT JOIN study y ON y.id = e.study_id"
    " LEFT JOIN workflow w ON w.id = e.workflow_id WHERE n.id = ?"
)
_BEFORE: Final = (
    "SELECT name FROM state WHERE execution_id = ? AND timestamp < ?"
    " ORDER BY timestamp DESC, id LIMIT 1"
)
_LISTED: Final = (
    "SELECT n.id, p.name, e.id, e.name, e.entrypoint, s.name, s.timestamp, n.queued_at, n.due,"
    f" n.attempts, n.delivered_at, n.given_up_at, n.error, p.target, {NOW} FROM {_ABOUT}"
)
_OF_STATUS: Final = {
    "waiting": f"({_WAITING})",
    "delivered": "n.delivered_at IS NOT NULL",
    "given_up": "(n.delivered_at IS NULL AND n.given_up_at IS NOT NULL)",
}


def next_due(driver: Driver, passed_over: Sequence[str], with_cut_short: bool) -> Due | None:
    """Return the notification whose turn it is, but for those of some policies.

    That is one statement, and one for each policy that cannot be read: those are passed over.

    Args:
        driver: The connection.
        passed_over: The policies.
        with_cut_short: Whether it may be one that somebody in a hurry has tried.
    """
    others = "" if with_cut_short else " AND (n.error IS NULL OR n.error <> ?)"
    first: list[Any] = [] if with_cut_short else [CUT_SHORT]
    passed = [bytes(_binary(each)) for each in passed_over]
    while True:
        sql = _NEXT.format(others=others + " AND n.policy_id <> ?" * len(passed))
        row = driver.execute(sql, [*first, *passed]).fetchone()
        if row is None:
            return None
        id, policy, target, template, attempts, due, error = row
        try:
            kept = read_kept(target)
        except ValidationError:
            passed.append(bytes(policy))
            continue
        key, whose = bytes(id).hex(), bytes(policy).hex()
        return Due(key, whose, kept.target, template, kept.attempts, attempts, due, error)


def claim(driver: Driver, due: Due, seconds: float) -> int | None:
    """Have nobody else try a notification for a while; within a transaction.

    Returns:
        Until when, in microseconds; None where somebody was quicker.
    """
    until = claims.clock(driver) + int(seconds * _SECOND)
    changed = driver.execute(_CLAIM, (until, _binary(due.id), due.until)).rowcount
    return until if changed else None


def release(driver: Driver, claimed: Due, due: Due) -> None:
    """Have a notification be due as it was, and the attempt be none; within a transaction."""
    driver.execute(_RELEASE, (due.until, CUT_SHORT, _binary(claimed.id), claimed.until))


def arrived(driver: Driver, id: str) -> None:
    """Write down that a notification was delivered; within a transaction."""
    driver.execute(_ARRIVED, (claims.clock(driver), _binary(id)))


def failed(driver: Driver, claimed: Due, error: str, pause: float | None) -> bool:
    """Write down that a notification did not arrive; within a transaction.

    Returns:
        Whether it was still claimed by who says so.
    """
    now = claims.clock(driver)
    when = now if pause is None else now + int(pause * _SECOND)
    text = storable(error).replace("\0", "\\x00")
    given = (text, when, _binary(claimed.id), claimed.until)
    return driver.execute(_NEVER if pause is None else _LATER, given).rowcount > 0


def told(driver: Driver, id: str) -> Notification | None:
    """Return what a notification says, as the execution is now; in three statements.

    Raises:
        ValidationError: A newer library wrote the state.
    """
    row = driver.execute(_TOLD, (_binary(id),)).fetchone()
    if row is None:
        return None
    (
        policy, type, state, moment, message, key, name, entrypoint,
        workspace, submitted_by, micros, study, namespace, workflow, version,
    ) = row  # fmt: skip
    if type not in _TYPES:
        reason = f"this library knows no such type, but {', '.join(_TYPES)}. Update taskgraph."
        raise ValidationError(f"state {type}", reason)
    execution = bytes(key).hex()
    before = driver.execute(_BEFORE, (key, moment)).fetchone()
    return Notification(
        id=id,
        policy=policy,
        text="",
        execution_id=execution,
        name=name or entrypoint.rpartition(".")[2],
        entrypoint=entrypoint,
        state=State(StateType(type), state, from_micros(moment), message),
        previous_state=None if before is None else before[0],
        study=study,
        workflow=None if workflow is None else f"{join_name(namespace, workflow)}@{version}",
        submitted_by=submitted_by,
        tags=current_tags(driver, [execution])[execution],
        run_seconds=int(micros) / _SECOND,
        workspace=workspace,
    )


def every(
    driver: Driver, wanted: WantedNotifications, limit: int | None, offset: int
) -> list[QueuedNotification]:
    """Return notifications, those that were found last first; in one statement."""
    where, given = _meant(wanted)
    # SQLite takes an offset after a limit alone.
    cut = f" LIMIT {2**62 if limit is None else limit} OFFSET {offset}"
    order = " ORDER BY n.queued_at DESC, s.timestamp DESC, n.id DESC"
    return [_queued(row) for row in driver.execute(_LISTED + where + order + cut, given)]


def count(driver: Driver, wanted: WantedNotifications) -> int:
    """Return how many notifications are meant, in one statement."""
    where, given = _meant(wanted)
    (number,) = driver.execute(f"SELECT count(*) FROM {_ABOUT}{where}", given).fetchone()
    return int(number)


def count_waiting(driver: Driver) -> int:
    """Return how many notifications are to be delivered, in one statement."""
    sql = f"SELECT count(*) FROM notification n WHERE {_WAITING}"
    (number,) = driver.execute(sql).fetchone()
    return int(number)


def _meant(wanted: WantedNotifications) -> tuple[str, list[Any]]:
    parts: list[str] = []
    given: list[Any] = []
    if wanted.policy_id is not None:
        parts.append("n.policy_id = ?")
        given.append(_binary(wanted.policy_id))
    if wanted.execution_id is not None:
        parts.append("s.execution_id = ?")
        given.append(_binary(wanted.execution_id))
    if wanted.statuses:
        parts.append(f"({' OR '.join(_OF_STATUS[each] for each in wanted.statuses)})")
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), given


def _queued(row: Any) -> QueuedNotification:
    (
        id, policy, execution, name, entrypoint, state, moment, queued, due,
        attempts, delivered, given_up, error, target, now,
    ) = row  # fmt: skip
    is_over = delivered is not None or given_up is not None
    held = 0 if is_over else held_at(target, now)
    return QueuedNotification(
        id=bytes(id).hex(),
        policy=policy,
        execution_id=bytes(execution).hex(),
        execution=name or entrypoint.rpartition(".")[2],
        state=state,
        state_time=from_micros(moment),
        queued_at=from_micros(queued),
        due=from_micros(due),
        attempts=attempts,
        delivered_at=None if delivered is None else from_micros(delivered),
        given_up_at=None if given_up is None else from_micros(given_up),
        error=error,
        held_until=from_micros(held) if held else None,
    )


__all__ = [
    "arrived",
    "claim",
    "count",
    "count_waiting",
    "every",
    "failed",
    "next_due",
    "release",
    "told",
]
