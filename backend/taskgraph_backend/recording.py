"""A batch of records as rows: which statements write it, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from taskgraph.errors import LeaseLostError
from taskgraph.hashing import CallHash
from taskgraph.jsontext import storable
from taskgraph.records import (
    ACTIVE,
    ExecutionRecord,
    RecordBatch,
    State,
    execution_of_holder,
)
from taskgraph_backend import foreign, statements
from taskgraph_backend.catalog.history import state_id
from taskgraph_backend.dialects import Database, Driver
from taskgraph_backend.seals import seal_alias, seal_call, seal_evaluation, seal_text, seal_value
from taskgraph_backend.tags import tag_row

# The driver binds a bytearray without asking for adapters, which it does for bytes: half the time.
_binary = bytearray.fromhex

# Neighbours mostly have the same parent: for that of a million calls one key is enough.
_FIRST = itemgetter(0)

_STATE_OF = "SELECT state_type FROM execution WHERE id = ?"

_Row = tuple[Any, ...]


class _AsWritten:
    """Rows that are made one by one as they are written: the root may have a million of them."""

    __slots__ = ("_make", "_records")

    def __init__(
        self, records: Sequence[_Row], make: Callable[[Sequence[_Row]], Iterator[_Row]]
    ) -> None:
        self._records = records
        self._make = make

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[_Row]:
        return self._make(self._records)


def _edge_rows(records: Sequence[_Row]) -> Iterator[_Row]:
    for parent, edges in groupby(records, _FIRST):
        key = _binary(parent)
        for _, child, order in edges:
            yield key, _binary(child), order


def _result_rows(records: Sequence[_Row]) -> Iterator[_Row]:
    for argument, results in groupby(records, _FIRST):
        key = _binary(argument)
        for _, call in results:
            yield key, _binary(call)


_Rows = Sequence[_Row] | _AsWritten
#: A statement, and what it is executed with.
Step = tuple[str, _Rows]

_Below = dict[CallHash, list[bytearray]]
_Reads = dict[CallHash, list[tuple[str, bytearray]]]


def _optional(key: str | None) -> bytearray | None:
    return None if key is None else _binary(key)


def steps_of(batch: RecordBatch) -> list[Step]:
    """Return the statements of a batch with their rows, parents before children."""
    h = _binary
    maybe = _optional
    # That a call's own task ran in it is known from the call: without a row for it, calls that
    # make no others need none, and those are nearly all of them.
    own_tasks = {node.call_hash: node.task_hash for node in batch.call_nodes}
    below, reads = _below_and_read(batch)
    # Nearly each entry is recorded with the call that gave its value.
    calls = {(node.eval_hash, node.value_hash): node.call_hash for node in batch.call_nodes}
    return [
        (
            statements.VALUE,
            [
                (
                    (key := h(name)),
                    type,
                    format,
                    value,
                    size,
                    preview,
                    (digest := h(content)),
                    trusted,
                    seal_value(key, digest, type, format, has_bytes=bool(value)),
                )
                for name, type, format, value, size, preview, content, trusted in batch.values
            ],
        ),
        (statements.SUBVALUE, [(h(parent), h(child)) for parent, child in batch.subvalues]),
        (
            statements.FILE,
            [(h(key), root, path, content, size) for key, root, path, content, size in batch.files],
        ),
        (
            statements.TASK,
            [
                (h(key), name, namespace, source, seal_text(key, name, namespace, source))
                for key, name, namespace, source in batch.tasks
            ],
        ),
        (
            statements.PART,
            [
                (h(key), kind, name, source, seal_text(key, kind, name, source))
                for key, kind, name, source in batch.parts
            ],
        ),
        (statements.TASK_PART, [(h(task), h(part)) for task, part in batch.task_parts]),
        (
            statements.CALL_NODE,
            [
                (
                    (call := h(name)),
                    (key := h(eval_hash)),
                    fullname,
                    (task := h(task_hash)),
                    h(args),
                    (result := h(value)),
                    time,
                    seal_call(
                        call, key, task, result, time, below.get(name, ()), reads.get(name, ())
                    ),
                )
                for name, eval_hash, fullname, task_hash, args, value, time in batch.call_nodes
            ],
        ),
        (
            statements.CALL_EDGE,
            _AsWritten(batch.call_edges, _edge_rows),
        ),
        (
            statements.ARGUMENT,
            [
                (h(key), h(call), h(value), position, name)
                for key, call, value, position, name in batch.arguments
            ],
        ),
        (
            statements.ARGUMENT_RESULT,
            _AsWritten(batch.argument_results, _result_rows),
        ),
        (
            statements.SUBTREE_TASK,
            [
                (h(call), h(task))
                for call, task in batch.subtree_tasks
                if own_tasks.get(call) != task
            ],
        ),
        (
            statements.CALL_CONTEXT,
            [(h(call), path, h(value)) for call, path, value in batch.call_contexts],
        ),
        (
            statements.EVALUATION,
            [
                (
                    *(keys := (h(key), h(task), h(args), h(value))),
                    time,
                    seal_evaluation(*keys, time),
                    maybe(calls.get((key, value))),
                )
                for key, task, args, value, time in batch.evaluations
            ],
        ),
        *(step for each in batch.executions for step in _steps_of_execution(each)),
        (
            statements.JOB,
            [
                (
                    h(job.id),
                    h(job.execution_id),
                    None if job.parent_id is None else h(job.parent_id),
                    h(job.task_hash),
                    None if job.eval_hash is None else h(job.eval_hash),
                    None if job.call_hash is None else h(job.call_hash),
                    job.start_time,
                    job.end_time,
                    1 if job.cached else 0,
                    job.state_type._value_,  # as ``value``, which takes ten times as long
                    job.miss,
                )
                for job in batch.jobs
            ],
        ),
        (statements.JOB_QUEUE, [(queue, h(job)) for queue, job in batch.job_queues]),
        (statements.TAG, [tag_row(tag) for tag in batch.tags]),
        (
            statements.TASK_ALIAS,
            [
                (
                    h(alias.old_hash),
                    h(alias.new_hash),
                    *alias[2:],
                    seal_alias(alias.old_hash, alias.new_hash, alias.timestamp, alias.end_time),
                )
                for alias in batch.task_aliases
            ],
        ),
        (statements.LEASE_RELEASE, sorted(batch.released)),
        (
            statements.DATASET_WRITTEN,
            [(h(made), h(id), h(made), h(id)) for id, made in batch.outputs],
        ),
        (statements.GROUP_SETTLED, [(h(each),) * 3 for each in batch.grouped]),
    ]


def _steps_of_execution(execution: ExecutionRecord) -> list[Step]:
    """Return what writes an execution with the states that it came to: twice in a run."""
    key, kind, moment = _binary(execution.id), execution.state_type.value, execution.state_time
    created = moment if execution.created_at is None else execution.created_at
    is_running = execution.state_type is State.RUNNING
    began = moment if is_running else None
    is_over = execution.state_type not in ACTIVE
    row = (
        key,
        execution.args,
        _optional(execution.job_id),
        execution.updated_time,
        kind,
        moment,
        _optional(execution.environment_hash),
        execution.name,
        execution.entrypoint,
        execution.parameters,
        _optional(execution.snapshot_hash),
        created,
        kind.capitalize(),
        began,
        moment if is_over else None,
        1 if is_running else 0,
        created,
    )
    return [
        (statements.EXECUTION, [row]),
        (statements.PENDING, [(state_id(execution.id, "PENDING", created), key, created)]),
        (statements.STATE, [(state_id(execution.id, kind, moment), key, kind, moment)]),
    ]


def _below_and_read(batch: RecordBatch) -> tuple[_Below, _Reads]:
    """Return what the calls of a batch are held against; it has all that was below, and read."""
    below: _Below = {}
    for call, task in batch.subtree_tasks:
        below.setdefault(call, []).append(_binary(task))
    reads: _Reads = {}
    for call, path, value in batch.call_contexts:
        reads.setdefault(call, []).append((storable(path), _binary(value)))
    return below, reads


def write(driver: Driver, database: Database, batch: RecordBatch, steps: Sequence[Step]) -> None:
    """Write a batch; within a transaction.

    Raises:
        LeaseLostError: It is of a run whose execution somebody else has by now.
    """
    if batch.held:
        _check_held(driver, batch)
    foreign.reclaim(driver, batch)
    with database.sending(driver):
        for sql, rows in steps:
            _execute_many(driver, sql, rows)


def _check_held(driver: Driver, batch: RecordBatch) -> None:
    """Check that a worker still has what it runs, and that nobody has cancelled it before it began.

    Who gives it to another one, or changes its state, is alone: what is found here stays so.
    """
    for each in batch.held:
        execution_id = execution_of_holder(each.holder)
        if driver.execute(statements.LEASE_IS_HELD, each).fetchone() is None:
            raise LeaseLostError(execution_id, "another one has it, or it waits again")
    for execution in batch.executions:
        if execution.state_type is not State.RUNNING:
            continue
        row = driver.execute(_STATE_OF, (_binary(execution.id),)).fetchone()
        if row is None:
            raise LeaseLostError(execution.id, "it was deleted before it began")
        if row[0] not in ACTIVE:
            raise LeaseLostError(execution.id, f"it was {row[0]} before it began")


def _execute_many(driver: Driver, sql: str, rows: _Rows) -> None:
    try:
        driver.executemany(sql, rows)
    except UnicodeEncodeError:
        # A path that is not UTF-8 has half surrogates in it, which no database takes: it is shown
        # and looked up with backslashes. What was inserted before is met again, and left alone.
        driver.executemany(
            sql,
            [tuple(storable(each) if type(each) is str else each for each in row) for row in rows],
        )


__all__ = ["Step", "steps_of", "write"]
