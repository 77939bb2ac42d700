"""Records of executions and their jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph.records import State
from taskgraph_backend import models
from taskgraph_backend.serializers.base import Record, Rows, Serializer, grouped, head
from taskgraph_backend.serializers.fields import Fields, serialize_timestamp, shown

_STATES = frozenset(each.value for each in State)
#: The states of executions that go on no more: what may still change is not moved.
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})


class ExecutionSerializer(Serializer):
    """One run of a root expression."""

    type = "Execution"
    pk_field = "id"
    model = models.Execution

    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        execution = models.Execution
        rows = session.execute(
            select(
                execution.id,
                execution.args,
                execution.job_id,
                execution.state_type,
                execution.state_time,
                execution.updated_time,
                execution.environment_hash,
            ).where(execution.id.in_(ids))
        )
        found = {row.id: row for row in rows}
        for key in ids:
            row = found.pop(key, None)
            if row is not None:
                yield {
                    **head(self.type),
                    "id": key,
                    "args": row.args,
                    "job_id": row.job_id,
                    "status": row.state_type,
                    "state_time": serialize_timestamp(row.state_time),
                    "updated_time": serialize_timestamp(row.updated_time),
                    "environment_hash": row.environment_hash,
                }

    def _rows(self, fields: Fields) -> Rows:
        key = fields.hash("id")
        found = Rows(self.type, key)
        columns: dict[str, Any] = {
            "id": key,
            "args": fields.text("args"),
            "job_id": fields.maybe(fields.hash, "job_id"),
            "state_type": _state(fields),
            "state_time": fields.time("state_time"),
            "updated_time": fields.maybe(fields.time, "updated_time"),
            "environment_hash": fields.maybe(fields.hash, "environment_hash"),
        }
        if columns["state_type"] not in ENDED:
            fields.refuse(f"it is {columns['state_type']}: only what has ended can be moved")
        words = _json(columns["args"])
        if not isinstance(words, list) or not all(isinstance(each, str) for each in words):
            fields.refuse("the field args is a JSON list of words as text")
        found.add(models.Execution, **columns)
        return found


class JobSerializer(Serializer):
    """One attempt to reduce one call within an execution."""

    type = "Job"
    pk_field = "id"
    model = models.Job

    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        job = models.Job
        rows = session.execute(
            select(
                job.id,
                job.execution_id,
                job.parent_id,
                job.task_hash,
                job.eval_hash,
                job.call_hash,
                job.start_time,
                job.end_time,
                job.cached,
                job.state_type,
                job.miss,
            ).where(job.id.in_(ids))
        )
        found = {row.id: row for row in rows}
        children = grouped(
            session.execute(
                select(job.parent_id, job.id).where(job.parent_id.in_(ids)).order_by(job.id)
            ),
            "parent_id",
        )
        for key in ids:
            row = found.pop(key, None)
            if row is not None:
                yield {
                    **head(self.type),
                    "id": key,
                    "execution_id": row.execution_id,
                    "parent_id": row.parent_id,
                    "task_hash": row.task_hash,
                    "eval_hash": row.eval_hash,
                    "call_hash": row.call_hash,
                    "start_time": serialize_timestamp(row.start_time),
                    "end_time": serialize_timestamp(row.end_time),
                    "cached": row.cached,
                    "status": row.state_type,
                    "miss": row.miss,
                    "children": [each.id for each in children.get(key, ())],
                }

    def _rows(self, fields: Fields) -> Rows:
        key = fields.hash("id")
        found = Rows(self.type, key)
        columns: dict[str, Any] = {
            "id": key,
            "execution_id": fields.hash("execution_id"),
            "parent_id": fields.maybe(fields.hash, "parent_id"),
            "task_hash": fields.hash("task_hash"),
            "eval_hash": fields.maybe(fields.hash, "eval_hash"),
            "call_hash": fields.maybe(fields.hash, "call_hash"),
            "start_time": fields.time("start_time"),
            "end_time": fields.maybe(fields.time, "end_time"),
            "cached": fields.flag("cached"),
            "state_type": _state(fields),
            "miss": fields.maybe(fields.text, "miss"),
        }
        # They say themselves whose children they are.
        fields.hashes("children")
        if columns["end_time"] is None or columns["state_type"] not in ENDED:
            fields.refuse("it has not ended: only what has ended can be moved")
        if columns["end_time"] < columns["start_time"]:
            fields.refuse("it ends before it starts")
        _check_miss(fields, columns["miss"])
        found.add(models.Job, **columns)
        return found


def _state(fields: Fields) -> str:
    state = fields.text("status")
    if state not in _STATES:
        fields.refuse(
            f"the field status is one of {', '.join(sorted(_STATES))}, not {shown(state)}"
        )
    return state


def _check_miss(fields: Fields, text: str | None) -> None:
    if text is None:
        return
    noted = _json(text)
    if not isinstance(noted, dict) or not all(
        isinstance(noted.get(name), str) for name in ("reason", "detail")
    ):
        fields.refuse("the field miss is a JSON object with the texts reason and detail")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
