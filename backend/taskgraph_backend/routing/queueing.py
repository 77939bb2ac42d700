"""Executions that wait for workers, as rows: one for each of their queues.

A row says where an execution waits, and no more: whether it waits at all is said by its state. Who
writes a state has the rows follow it in the same transaction; whoever takes an execution looks at
its state once more, so that a row which was left behind is nobody's work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from taskgraph.catalog.queueing import PRIORITY, UNCLAIMED, WAITING, priority_of
from taskgraph.catalog.rows import QUEUE_TAG
from taskgraph.catalog.states import State, StateType
from taskgraph.errors import ExecutionNotFoundError, NotQueuedError, ValidationError
from taskgraph.jsontext import to_json
from taskgraph.records import ExecutionId
from taskgraph.tags import OwnTags
from taskgraph_backend import claims, statements
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.tags import delete_tags, record_tags
from taskgraph_backend.times import to_micros

_binary = bytearray.fromhex

_ENTER: Final = (
    "INSERT INTO queued (execution_id, queue, priority, due) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_LEAVE: Final = "DELETE FROM queued WHERE execution_id = ?"
_DECLARED: Final = (
    "SELECT value FROM tag WHERE entity_id = ? AND entity_type = 'Execution' AND is_current"
    f" AND key = '{QUEUE_TAG}'"
)
_SAID: Final = "SELECT args, options FROM execution WHERE id = ?"
_OPTIONS: Final = "UPDATE execution SET options = ? WHERE id = ?"
_FORGIVE: Final = "UPDATE assignment SET losses = 0 WHERE execution_id = ?"
_HELD: Final = "SELECT 1 FROM assignment WHERE execution_id = ? AND ended_at IS NULL"
_CLOSE: Final = "UPDATE assignment SET ended_at = ? WHERE execution_id = ? AND ended_at IS NULL"
_WAITS: Final = "SELECT min(due) FROM queued WHERE execution_id = ?"
_STATE: Final = (
    "SELECT state_type, next_scheduled_start_time, options, args FROM execution WHERE id = ?"
)


def enter(
    driver: Driver, execution_id: str, queues: Iterable[str], priority: int, due: int
) -> None:
    """Have an execution wait in queues; within the transaction in which its state is written."""
    key = _binary(execution_id)
    driver.executemany(_ENTER, [(key, each, priority, due) for each in sorted(set(queues))])


def leave(driver: Driver, execution_id: str) -> bool:
    """Have an execution wait in no queue; returns whether it did."""
    return driver.execute(_LEAVE, (_binary(execution_id),)).rowcount > 0


def order_by(driver: Driver, execution_id: str, priority: int) -> None:
    """Have an execution that waits come before others, or after them; within a transaction."""
    sql = "UPDATE queued SET priority = ? WHERE execution_id = ?"
    driver.execute(sql, (priority, _binary(execution_id)))


def follow(driver: Driver, execution_id: str, state: State, due: int | None) -> None:
    """Have an execution wait, or not, as its state says; within the transaction that writes it.

    Args:
        driver: The connection.
        execution_id: The execution.
        state: The state that is written.
        due: When it is to start, in microseconds; None for now.
    """
    if state.type not in WAITING:
        leave(driver, execution_id)
        return
    key = _binary(execution_id)
    queues = declared(driver, execution_id)
    row = driver.execute(_SAID, (key,)).fetchone() if queues else None
    if row is None or row[0] != UNCLAIMED:
        return
    leave(driver, execution_id)
    moment = claims.clock(driver) if due is None else due
    enter(driver, execution_id, queues, priority_of(_object(row[1])), moment)
    if state.type is StateType.SCHEDULED:  # who has it wait anew does not count what was lost
        driver.execute(_FORGIVE, (key,))


def take_back(driver: Driver, execution_id: str) -> None:
    """Have no worker have an execution any more; within the transaction that says why."""
    key, moment = _binary(execution_id), claims.clock(driver)
    if driver.execute(_CLOSE, (moment, key)).rowcount:
        claims.revoke(driver, ExecutionId(execution_id))
        # Who had it writes nothing more of it.
        claims.end_jobs(driver, key, moment, StateType.CANCELLED)
        driver.execute(statements.ROUTED_FORGET, (key,))


def restore(driver: Driver, execution_id: str, queue: str, earliest: int) -> None:
    """Have an execution wait that is said to, if no queue has it; within a transaction.

    Args:
        driver: The connection.
        execution_id: The execution.
        queue: Where it came from: it waits there if nobody declares its queues any more.
        earliest: Before this it is not to start, in microseconds.
    """
    key = _binary(execution_id)
    row = driver.execute(_STATE, (key,)).fetchone()
    if row is None or row[0] not in WAITING or row[3] != UNCLAIMED or _due(driver, key) is not None:
        return
    _, due, options, _ = row
    moment = earliest if due is None else max(due, earliest)
    queues = declared(driver, execution_id) or [queue]
    enter(driver, execution_id, queues, priority_of(_object(options)), moment)


def _due(driver: Driver, key: bytearray) -> int | None:
    """Return when what waits is to start, in microseconds; None of what does not wait."""
    (due,) = driver.execute(_WAITS, (key,)).fetchone()
    return None if due is None else int(due)


def declared(driver: Driver, execution_id: str) -> list[str]:
    """Return the queues that an execution was declared for."""
    rows = driver.execute(_DECLARED, (_binary(execution_id),)).fetchall()
    return sorted(str(_json(value)) for (value,) in rows)


def enqueue(
    driver: Driver, execution_id: str, queues: tuple[str, ...], priority: int | None
) -> None:
    """Give an execution to the workers of queues, in place of those that it was declared for.

    Within a transaction that is alone.

    Args:
        driver: The connection.
        execution_id: The execution.
        queues: Where it is to wait; without any, where it was declared for.
        priority: In place of the one that its options say.

    Raises:
        ExecutionNotFoundError: There is no such execution.
        NotQueuedError: It does not wait: it has ended, or a process has it.
        ValidationError: Nobody says which queues.
    """
    key = _binary(execution_id)
    row = driver.execute(_STATE, (key,)).fetchone()
    if row is None:
        raise ExecutionNotFoundError(execution_id)
    state, due, options, args = row
    if state not in WAITING:
        raise NotQueuedError(execution_id, state)
    if args != UNCLAIMED or driver.execute(_HELD, (key,)).fetchone() is not None:
        raise NotQueuedError(execution_id, f"{state}, and a process has claimed it")
    said = _object(options)
    if priority is not None:
        said[PRIORITY] = priority
        driver.execute(_OPTIONS, (to_json(said), key))
    before = declared(driver, execution_id)
    wanted = queues or tuple(before)
    if not wanted:
        reason = f"execution {execution_id[:8]} was declared for none: name one or more."
        raise ValidationError("queues", reason)
    _declare(driver, execution_id, before, wanted)
    # What has waited for long keeps its place among those of its priority.
    since = _due(driver, key)
    leave(driver, execution_id)
    if due is None:
        due = claims.clock(driver) if since is None else since
    enter(driver, execution_id, wanted, priority_of(said), due)
    driver.execute(_FORGIVE, (key,))


def _declare(driver: Driver, execution_id: str, before: list[str], wanted: tuple[str, ...]) -> None:
    gone = tuple((QUEUE_TAG, each) for each in before if each not in wanted)
    if gone:
        delete_tags(driver, execution_id, gone, ())
    new = OwnTags((QUEUE_TAG, each) for each in wanted if each not in before)
    if new:
        record_tags(driver, "Execution", execution_id, new, new=True)


def due_of(state: State, scheduled: Any, now: int) -> int:
    """Return when what is in a state is to start, in microseconds. Any: a time, or None."""
    is_later = state.type is StateType.SCHEDULED and scheduled is not None
    return to_micros(scheduled) if is_later else now


def waiting(driver: Driver, queues: Iterable[str]) -> bool:
    """Tell whether anything in some queues is to start by now."""
    wanted = list(queues)
    sql = f"SELECT 1 FROM queued WHERE queue IN ({_marks(wanted)}) AND due <= {NOW} LIMIT 1"
    return driver.execute(sql, wanted).fetchone() is not None


def _marks(wanted: list[str]) -> str:
    return ", ".join("?" * len(wanted))


def _object(given: Any) -> dict[str, Any]:
    found: Mapping[str, Any] = _json(given)
    return dict(found)


def _json(given: Any) -> Any:
    """Return what a column of JSON says. Any: JSON."""
    return json.loads(given) if isinstance(given, str) else given


__all__ = [
    "declared",
    "due_of",
    "enqueue",
    "enter",
    "follow",
    "leave",
    "order_by",
    "restore",
    "take_back",
    "waiting",
]
