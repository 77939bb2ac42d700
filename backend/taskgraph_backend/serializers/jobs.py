"""Records of executions and their jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph.jsontext import to_json
from taskgraph.records import State
from taskgraph_backend import models
from taskgraph_backend.serializers.base import Record, Rows, Serializer, grouped, head
from taskgraph_backend.serializers.fields import Fields, shown
from taskgraph_backend.serializers.table import (
    Field,
    Table,
    flag,
    hash_of,
    lately,
    maybe,
    rarely,
    text,
    time,
)

_STATES = frozenset(each.value for each in State)
#: The states of executions that go on no more: what may still change is not moved.
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})


def _state(fields: Fields, name: str) -> str:
    state = fields.text(name)
    if state not in _STATES:
        fields.refuse(
            f"the field {name} is one of {', '.join(sorted(_STATES))}, not {shown(state)}"
        )
    return state


def _parameters(fields: Fields, name: str) -> Any:
    found = fields.take(name)
    try:
        to_json(found)
    except ValueError as error:
        fields.refuse(f"the field {name}: {error}")
    return found


_STATUS = Field("status", _state, "state_type")

_EXECUTION = Table(
    models.Execution,
    hash_of("id"),
    text("args"),
    maybe(hash_of("job_id")),
    _STATUS,
    time("state_time"),
    maybe(time("updated_time")),
    maybe(hash_of("environment_hash")),
    lately(text("name"), ""),
    lately(Field("parameters", _parameters, "parameters"), {}),
    lately(maybe(hash_of("snapshot_hash")), None),
)
_JOB = Table(
    models.Job,
    hash_of("id"),
    hash_of("execution_id"),
    maybe(hash_of("parent_id")),
    hash_of("task_hash"),
    maybe(hash_of("eval_hash")),
    maybe(hash_of("call_hash")),
    time("start_time"),
    maybe(time("end_time")),
    flag("cached"),
    _STATUS,
    maybe(text("miss")),
    rarely(text("queue")),
)
#: The columns that a record has; what is left out of an execution is completed when it is listed.
CARRIED = {
    each.model.__tablename__: frozenset(column.key for column in each.columns)
    for each in (_EXECUTION, _JOB)
}


class ExecutionSerializer(Serializer):
    """One run of a root expression."""

    type = "Execution"
    pk_field = "id"
    model = models.Execution

    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        found = _EXECUTION.fetch(session, ids)
        for key in ids:
            if key in found:
                yield {**head(self.type), **_EXECUTION.write(found.pop(key))}

    def _rows(self, fields: Fields) -> Rows:
        columns = _EXECUTION.read(fields)
        found = Rows(self.type, columns["id"])
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
        found = _JOB.fetch(session, ids)
        children = grouped(
            session.execute(
                select(job.parent_id, job.id).where(job.parent_id.in_(ids)).order_by(job.id)
            ),
            "parent_id",
        )
        for key in ids:
            if key in found:
                yield {
                    **head(self.type),
                    **_JOB.write(found.pop(key)),
                    "children": [each.id for each in children.get(key, ())],
                }

    def _rows(self, fields: Fields) -> Rows:
        columns = _JOB.read(fields)
        found = Rows(self.type, columns["id"])
        # They say themselves whose children they are.
        fields.hashes("children")
        if columns["end_time"] is None or columns["state_type"] not in ENDED:
            fields.refuse("it has not ended: only what has ended can be moved")
        if columns["end_time"] < columns["start_time"]:
            fields.refuse("it ends before it starts")
        _check_miss(fields, columns["miss"])
        found.add(models.Job, **columns)
        return found


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
