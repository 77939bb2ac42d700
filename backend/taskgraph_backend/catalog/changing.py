"""Executions are changed: a state is proposed, decided and written in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from taskgraph.catalog.queueing import WAITING, priority_of
from taskgraph.catalog.rows import TransitionResult
from taskgraph.catalog.states import (
    AWAITING_RETRY,
    Books,
    Decision,
    Rule,
    State,
    StateType,
    Subject,
    decide,
    keep_books,
    name_in_force,
)
from taskgraph.errors import ValidationError
from taskgraph.jsontext import to_json
from taskgraph.records import ExecutionId, execution_lease, is_assigned
from taskgraph.tags import RESERVED, Tags
from taskgraph_backend import claims, statements
from taskgraph_backend.catalog import using
from taskgraph_backend.catalog.history import state_id, write_state
from taskgraph_backend.dialects import Driver
from taskgraph_backend.routing import queueing
from taskgraph_backend.tags import current_tags, delete_tags, record_tags
from taskgraph_backend.times import from_micros, to_micros

_binary = bytearray.fromhex

_SUBJECT: Final = (
    "SELECT state_type, state_name, state_time, start_time, end_time, run_count, total_run_time,"
    " expected_start_time, next_scheduled_start_time, options, workflow_id, snapshot_hash"
    " FROM execution WHERE id = ?"
)
_WRITE: Final = (
    "UPDATE execution SET state_type = ?, state_name = ?, state_time = ?, start_time = ?,"
    " end_time = ?, run_count = ?, total_run_time = ?, expected_start_time = ?,"
    " next_scheduled_start_time = ? WHERE id = ?"
)
_FORGET_HOLDER: Final = (
    "DELETE FROM lease WHERE holder IN (SELECT l.holder FROM lease l WHERE l.key = ?)"
)
_MICROSECOND: Final = timedelta(microseconds=1)
#: In seconds a hundred years, which is later than any run.
_MOST: Final = 100 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Changes:
    """What is changed of an execution; None for what stays."""

    name: str | None
    parameters: Any | None
    options: Mapping[str, Any] | None
    tags: Tags | None
    snapshot: str | None


def set_state(
    driver: Driver,
    execution_id: str,
    proposed: State,
    rules: frozenset[Rule],
    details: Mapping[str, Any],
    *,
    is_taken: bool = False,
) -> TransitionResult | None:
    """Propose a state; within a transaction that is alone.

    What is to wait is taken from the worker that has it, which sees that and ends.

    Args:
        driver: The connection.
        execution_id: The execution.
        proposed: The state.
        rules: Those that count.
        details: What is written down with it.
        is_taken: Whether a worker has just taken it, and proposes this.

    Returns:
        What became of it; None where there is no such execution.

    Raises:
        OutputDatasetInUseError: It had ended, and somebody else writes its output by now.
    """
    row = driver.execute(_SUBJECT, (_binary(execution_id),)).fetchone()
    if row is None:
        return None
    subject, books = _read(row)
    assert subject.state is not None and subject.state.timestamp is not None
    # Each state has a time of its own, so that the history has an order.
    now = max(from_micros(claims.clock(driver)), subject.state.timestamp + _MICROSECOND)
    decision = decide(subject, proposed, now, rules)
    if decision.state is None:
        return _result(decision, subject.state)
    said = {**decision.state.details, **details}
    if decision.reason is not None:
        said["reason"] = decision.reason
    state = replace(decision.state, details=said)
    if state.is_active and not subject.state.is_active:
        using.take_again(driver, execution_id)
    _write(driver, execution_id, state, keep_books(books, subject.state, state))
    if state.type in WAITING and not is_taken:
        queueing.take_back(driver, execution_id)
    if not state.is_active and claims.unheld(driver, [ExecutionId(execution_id)]):
        # No process is left that would say what became of its jobs.
        moment = to_micros(now)
        claims.end_jobs(driver, _binary(execution_id), moment, StateType.CANCELLED)
    return _result(decision, state)


def type_of(driver: Driver, execution_id: str) -> str:
    """Return the type of the state that an execution is in; nothing if there is none."""
    row = driver.execute(_SUBJECT, (_binary(execution_id),)).fetchone()
    return "" if row is None else str(row[0])


def settle(driver: Driver, execution_id: str, state: StateType) -> None:
    """Bring an execution that is still PENDING to its end; within a transaction that is alone."""
    row = driver.execute(_SUBJECT, (_binary(execution_id),)).fetchone()
    if row is not None and row[0] == StateType.PENDING.value:
        said = State(state, message="nothing of it was recorded")
        set_state(driver, execution_id, said, frozenset(), {})


def mark_crashed(driver: Driver, execution_id: str, why: str, when: int | None = None) -> bool:
    """Have an execution that runs be CRASHED, with its jobs; within a transaction that is alone.

    Args:
        driver: The connection.
        execution_id: The execution.
        why: What is written down of it.
        when: When it was last heard of, in microseconds; by default what is known of that.

    Returns:
        Whether it was said to run.
    """
    return _take_from_process(driver, execution_id, State(StateType.CRASHED, message=why), when)


def put_back(driver: Driver, execution_id: str, why: str) -> bool:
    """Have an execution that runs wait to be tried again; within a transaction that is alone.

    Args:
        driver: The connection.
        execution_id: The execution, which no living process runs any more.
        why: What is written down of it.

    Returns:
        Whether it was said to run.
    """
    state = State.scheduled(from_micros(claims.clock(driver)), AWAITING_RETRY)
    details = {**state.details, "forced": True, "actor": "sweep"}
    state = replace(state, message=why, details=details)
    return _take_from_process(driver, execution_id, state, None)


def _take_from_process(driver: Driver, execution_id: str, state: State, when: int | None) -> bool:
    """Have an execution that runs be in another state: its process is gone."""
    key = _binary(execution_id)
    row = driver.execute(_SUBJECT, (key,)).fetchone()
    if row is None or row[0] not in (StateType.RUNNING.value, StateType.PENDING.value):
        return False
    subject, books = _read(row)
    assert subject.state is not None and subject.state.timestamp is not None
    if when is None:
        (when,) = claims.last_alive(driver, [ExecutionId(execution_id)]).values()
    heard = from_micros(claims.clock(driver) if state.is_active else when)
    state = replace(state, timestamp=max(heard, subject.state.timestamp + _MICROSECOND))
    _write(driver, execution_id, state, keep_books(books, subject.state, state))
    _tell_of_crash(driver, execution_id, state)
    claims.end_jobs(driver, key, when, StateType.CRASHED)
    lease = execution_lease(ExecutionId(execution_id))
    held = claims.living(driver, [lease]).get(lease)
    if held is not None and is_assigned(held.holder):
        # It lives all the same: it is in the way of others until it has ended.
        claims.revoke(driver, ExecutionId(execution_id))
    else:
        # Whose execution was taken by a worker holds it by another name.
        driver.execute(_FORGET_HOLDER, (lease,))
        driver.execute(statements.LEASE_FORGET, (lease, execution_id))
    driver.execute(statements.ROUTED_FORGET, (key,))
    return True


def _tell_of_crash(driver: Driver, execution_id: str, state: State) -> None:
    """Queue notifications of a state whose time may be long past: nobody looks back so far."""
    from taskgraph_backend.catalog.notifying import queue_crash

    assert state.timestamp is not None
    key = state_id(execution_id, state.type.value, to_micros(state.timestamp))
    queue_crash(driver, execution_id, bytes(key), state.type.value, state.name)


def update(driver: Driver, execution_id: str, changes: Changes) -> bool:
    """Change what is given of an execution; within a transaction that is alone.

    Raises:
        ValidationError: What was submitted is frozen by now.
    """
    key = _binary(execution_id)
    row = driver.execute("SELECT state_type FROM execution WHERE id = ?", (key,)).fetchone()
    if row is None:
        return False
    submitted = changes.parameters is not None or changes.options is not None
    if submitted and row[0] != StateType.SCHEDULED.value:
        raise ValidationError(
            "parameters and options",
            f"they were frozen when execution {execution_id[:8]} was submitted, which is {row[0]}"
            " by now. Create another execution.",
        )
    columns = {
        "name": changes.name,
        "parameters": None if changes.parameters is None else to_json(changes.parameters),
        "options": None if changes.options is None else to_json(dict(changes.options)),
        "snapshot_hash": None if changes.snapshot is None else _binary(changes.snapshot),
    }
    for column, value in columns.items():
        if value is not None:
            driver.execute(f"UPDATE execution SET {column} = ? WHERE id = ?", (value, key))
    if changes.options is not None:
        queueing.order_by(driver, execution_id, priority_of(changes.options))
    if changes.tags is not None:
        _replace_tags(driver, execution_id, changes.tags)
    return True


def _replace_tags(driver: Driver, execution_id: str, wanted: Tags) -> None:
    """Have an execution have these tags and no others, but those of the library itself."""
    keep = {(key, to_json(value)) for key, value in wanted}
    gone = [
        (key, value)
        for key, values in current_tags(driver, [execution_id]).get(execution_id, {}).items()
        for value in values
        if not key.startswith(RESERVED) and (key, to_json(value)) not in keep
    ]
    if gone:
        delete_tags(driver, execution_id, tuple(gone), ())
    record_tags(driver, "Execution", execution_id, wanted, new=True)


def _read(row: Any) -> tuple[Subject, Books]:
    kind, name, since, start, end, count, total, expected, scheduled, options, flow, frozen = row
    type = StateType(kind)
    details = {}
    if type is StateType.SCHEDULED and scheduled is not None:
        details["scheduled_time"] = from_micros(scheduled).isoformat()
    said = json.loads(options) if isinstance(options, str) else options
    subject = Subject(
        State(type, name_in_force(type, name), from_micros(since), details=details),
        run_count=count,
        retries=int(_number(said.get("retries"))),
        retry_delay=timedelta(seconds=_number(said.get("retry_delay"))),
        is_resubmittable=flow is not None or frozen is not None,
    )
    books = Books(
        start_time=_time(start),
        end_time=_time(end),
        run_count=count,
        total_run_time=timedelta(microseconds=total),
        expected_start_time=_time(expected),
        next_scheduled_start_time=_time(scheduled),
    )
    return subject, books


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _number(given: Any) -> int | float:
    """Return a number that somebody said, as far as one can count with it."""
    return min(given, _MOST) if isinstance(given, int | float) and given > 0 else 0


def _write(driver: Driver, execution_id: str, state: State, books: Books) -> None:
    assert state.timestamp is not None
    driver.execute(
        _WRITE,
        (
            state.type.value,
            state.name,
            to_micros(state.timestamp),
            _maybe(books.start_time),
            _maybe(books.end_time),
            books.run_count,
            books.total_run_time // _MICROSECOND,
            _maybe(books.expected_start_time),
            _maybe(books.next_scheduled_start_time),
            _binary(execution_id),
        ),
    )
    write_state(driver, execution_id, state)
    queueing.follow(driver, execution_id, state, _maybe(books.next_scheduled_start_time))
    if not state.is_active:
        driver.execute(statements.GROUP_SETTLED, (_binary(execution_id),) * 3)


def _maybe(when: Any) -> int | None:
    return None if when is None else to_micros(when)


def _result(decision: Decision, state: State) -> TransitionResult:
    return TransitionResult(decision.outcome, state, decision.reason, decision.delay_seconds)


__all__ = ["Changes", "mark_crashed", "put_back", "set_state", "settle", "type_of", "update"]
