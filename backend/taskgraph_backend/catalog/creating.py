"""Executions are created: once for a key, with their study, first state, tags and snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from taskgraph.catalog.queueing import UNCLAIMED, WAITING, priority_of
from taskgraph.catalog.requests import Request
from taskgraph.catalog.rows import QUEUE_TAG
from taskgraph.catalog.states import Books, State, keep_books
from taskgraph.catalog.uses import NO_USES
from taskgraph.errors import UnknownRecordError, WorkspaceInUseError
from taskgraph.jsontext import to_json
from taskgraph.records import PackedValue, RecordBatch
from taskgraph.tags import OwnTags
from taskgraph_backend import claims
from taskgraph_backend.catalog import applying, studies, using
from taskgraph_backend.catalog.history import write_state
from taskgraph_backend.dialects import Driver
from taskgraph_backend.routing import queueing
from taskgraph_backend.tags import record_tags
from taskgraph_backend.times import from_micros, to_micros

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

_binary = bytearray.fromhex

_COLUMNS: Final = (
    "id, args, state_type, state_name, state_time, name, entrypoint, parameters, options,"
    " idempotency_key, request_hash, snapshot_hash, study_id, workspace, parent_job_id,"
    " submitted_by, code_version, created_at, start_time, end_time, expected_start_time,"
    " next_scheduled_start_time, run_count, workflow_id, group_id, dataset_hash, first_step,"
    " last_step"
)
_INSERT: Final = (
    f"INSERT INTO execution ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(', ')))})"
)
_UNDER_KEY: Final = (
    "SELECT id, request_hash FROM execution WHERE entrypoint = ? AND idempotency_key = ?"
)

_SNAPSHOT: Final = (
    "SELECT 1 FROM value WHERE value_hash = ? AND format NOT IN ('evicted', 'damaged')"
)


class Known(NamedTuple):
    """An execution that is there, and what was asked for when it was created."""

    execution_id: str
    request_hash: str | None


class SnapshotGoneError(Exception):
    """The snapshot of an execution was collected before anything named it: it is recorded again."""


def find_under_key(driver: Driver, request: Request) -> Known | None:
    """Return the execution that is there under the key of a request, if it has one."""
    if request.idempotency_key is None:
        return None
    return find_key(driver, request.entrypoint, request.idempotency_key)


def find_key(driver: Driver, entrypoint: str, key: str) -> Known | None:
    """Return the execution of an entrypoint that is there under a key."""
    row = driver.execute(_UNDER_KEY, (entrypoint, key)).fetchone()
    return None if row is None else Known(_hex(row[0]), _maybe_hex(row[1]))


def submit(backend: SqlBackend, request: Request, snapshot: PackedValue | None = None) -> Known:
    """Record an execution with its snapshot, or return the one that is there under its key.

    Args:
        backend: The database.
        request: What is asked for.
        snapshot: What is frozen of it; by default, all that the request says.

    Raises:
        WorkspaceInUseError: Another execution has its folder.
        UnknownRecordError: There is no job of the id that it is said to be run in.
    """
    known = backend._ask(find_under_key, request)
    if known is not None:
        return known
    while True:
        if snapshot is None:
            frozen = str(backend.record_value(request.snapshot()))
        else:
            frozen = snapshot.values[0].value_hash
            backend.record(RecordBatch(values=list(snapshot.values)))
        made = backend._transact(create, request, frozen)
        # Whoever deletes what nothing names may have come in between.
        if made is not None:
            return made


def create(driver: Driver, request: Request, snapshot: str) -> Known | None:
    """Record an execution; within a transaction that is alone.

    Returns:
        It, or the one that is there under its key; None if its snapshot is not there (any more).

    Raises:
        WorkspaceInUseError: Another execution has its folder.
        UnknownRecordError: There is no job of the id that it is said to be run in.
        ConflictError: Somebody else writes its output, or its group is in progress.
        ValidationError: It is for workers, and its priority is no number.
        TaskgraphError: It may not be submitted on these terms, or by who asks.
    """
    known = find_under_key(driver, request)
    if known is not None:
        return known
    if driver.execute(_SNAPSHOT, (_binary(snapshot),)).fetchone() is None:
        return None
    _check_workspace(driver, request)
    _check_job(driver, request.parent_job_id)
    uses = request.uses
    if uses != NO_USES:
        using.check(driver, uses, is_active=request.state.is_active)
    if request.terms is not None:
        applying.check(driver, request, request.terms)
    elif request.state.is_active:
        applying.check_submitter(driver, request, None)
    study = None if request.study is None else studies.get_or_create(driver, request.study)
    now = claims.clock(driver)
    state = State(
        request.state.type,
        request.state.name,
        from_micros(now),
        request.state.message,
        request.state.details,
    )
    books = keep_books(Books(), None, state)
    row = (
        _binary(request.id),
        request.args,
        state.type.value,
        state.name,
        now,
        request.name,
        request.entrypoint,
        to_json(request.parameters),
        to_json(dict(request.options)),
        request.idempotency_key,
        _binary(request.hash()),
        _binary(snapshot),
        _maybe_binary(study),
        request.workspace,
        _maybe_binary(request.parent_job_id),
        request.submitted_by,
        request.code_version,
        now,
        *map(_maybe_micros, (books.start_time, books.end_time)),
        *map(_maybe_micros, (books.expected_start_time, books.next_scheduled_start_time)),
        books.run_count,
        None if uses.workflow is None else _binary(uses.workflow.id),
        _maybe_binary(uses.group_id),
        _maybe_binary(uses.dataset_hash),
        uses.first_step,
        uses.last_step,
    )
    driver.executemany(_INSERT, [row])
    using.write(driver, request.id, uses, is_active=state.is_active)
    write_state(driver, request.id, state)
    record_tags(driver, "Execution", request.id, request.tags)
    queues = OwnTags((QUEUE_TAG, each) for each in request.queues)
    record_tags(driver, "Execution", request.id, queues)
    if request.queues and request.args == UNCLAIMED and state.type in WAITING:
        due = queueing.due_of(state, books.next_scheduled_start_time, now)
        priority = priority_of(request.options)
        queueing.enter(driver, request.id, request.queues, priority, due)
    return Known(request.id, request.hash())


def _check_workspace(driver: Driver, request: Request) -> None:
    if request.workspace is None:
        return
    sql = "SELECT id FROM execution WHERE workspace = ?"
    row = driver.execute(sql, (request.workspace,)).fetchone()
    if row is not None:
        raise WorkspaceInUseError(request.workspace, _hex(row[0]))


def _check_job(driver: Driver, job_id: str | None) -> None:
    if job_id is None:
        return
    try:
        key = _binary(job_id)
    except ValueError:
        raise UnknownRecordError(job_id) from None
    if driver.execute("SELECT id FROM job WHERE id = ?", (key,)).fetchone() is None:
        raise UnknownRecordError(job_id)


def _hex(key: Any) -> str:
    return bytes(key).hex()


def _maybe_binary(key: str | None) -> bytearray | None:
    return None if key is None else _binary(key)


def _maybe_hex(key: Any) -> str | None:
    return None if key is None else bytes(key).hex()


def _maybe_micros(when: Any) -> int | None:
    return None if when is None else to_micros(when)


__all__ = ["Known", "SnapshotGoneError", "create", "find_key", "find_under_key", "submit"]
