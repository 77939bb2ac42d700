"""Executions are listed: filtered, ordered and cut by SQL, in a bounded number of statements.

A place in a list is what it is ordered by and an id, never a number of rows: what is created in
between moves nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.rows import Execution, Page
from taskgraph.catalog.states import State, StateType, name_in_force
from taskgraph.errors import AmbiguousIdError, ValidationError
from taskgraph.jsontext import words_of
from taskgraph_backend import models
from taskgraph_backend.columns import DateTimeUTC
from taskgraph_backend.finding import is_prefix, like_id
from taskgraph_backend.query.columns import one_of
from taskgraph_backend.query.criteria import executions_where
from taskgraph_backend.times import from_micros, to_micros

_SHOWN: Final = 5
_AT_ONCE: Final = 10_000
_WHOLE_ID: Final = 32
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST: Final = "-"
#: The row of the state that is in force; filters look at the others by its table.
LAST: Final = aliased(models.State)
_COLUMNS: Final = {
    "created": "created_at",
    "expected_start": "expected_start_time",
    "name": "name",
    "next_scheduled_start": "next_scheduled_start_time",
    "start": "start_time",
    "end": "end_time",
    "id": "id",
}


@dataclass(frozen=True, slots=True)
class Order:
    """By what a list is ordered; the id breaks ties, in the same direction.

    Attributes:
        sort: As in `taskgraph.catalog.executions.SORTS`.
        descending: Whether the greatest comes first.
    """

    sort: str
    descending: bool

    @property
    def column(self) -> Any:
        """What is compared: what is empty counts as the start of 1970. Any: an expression."""
        row = models.Execution
        column = getattr(row, _COLUMNS[self.sort])
        is_full = self.sort in ("created", "name", "id")
        return column if is_full else _filled(column)

    def cursor(self, value: Any, id: str) -> str:
        """Return the text that stands for a place in the list."""
        said = to_micros(value) if isinstance(value, datetime) else value
        text = json.dumps([self.sort, self.descending, said, id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def read(self, cursor: str) -> tuple[Any, str]:
        """Return what was compared, and the id, of a place in the list.

        Raises:
            ValidationError: It is none of this list.
        """
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            said = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            sort, descending, value, id = said
            bytes.fromhex(id)
            is_text = self.sort in ("name", "id")
            if (sort, descending) != (self.sort, self.descending) or len(id) != 32:
                raise ValueError(cursor)
            if not isinstance(value, str if is_text else int):
                raise ValueError(cursor)
            return (from_micros(value) if isinstance(value, int) else value), id
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ValidationError(
                f"after {cursor[:40]!r}",
                "it is no place in this list: take `next` of the page before, with the same order.",
            ) from error

    def beyond(self, value: Any, id: str) -> ColumnElement[bool]:
        """Return the condition that a row comes after a place."""
        row, column = models.Execution, self.column
        if self.sort == "id":
            return row.id < id if self.descending else row.id > id
        if isinstance(value, datetime):
            value = literal(value, DateTimeUTC)
        later = column < value if self.descending else column > value
        same = row.id < id if self.descending else row.id > id
        # The first line is what an index is searched by.
        reached = column <= value if self.descending else column >= value
        return and_(reached, or_(later, same))

    def order(self, query: Select[Any]) -> Select[Any]:
        """Return a query in this order."""
        by = [self.column, models.Execution.id]
        return query.order_by(*(each.desc() if self.descending else each.asc() for each in by))


def _filled(column: Any) -> Any:
    return func.coalesce(column, literal(_EPOCH, DateTimeUTC), type_=DateTimeUTC())


def page(
    session: Session,
    where: Criteria,
    order: Order,
    limit: int,
    offset: int,
    after: str | None,
) -> Page[Execution]:
    """Return a page of a list, in two statements.

    Raises:
        ValidationError: ``after`` is no place in it.
    """
    query = order.order(_select(order.column.label("sorted_by")).where(executions_where(where)))
    if after is not None:
        query = query.where(order.beyond(*order.read(after)))
    rows = session.execute(query.limit(limit + 1).offset(offset)).all()
    shown = rows[:limit]
    next = None
    if len(rows) > limit:
        last = shown[-1]
        next = order.cursor(last.sorted_by, last[0].id)
    return Page(tuple(_executions(session, shown)), next)


def count(session: Session, where: Criteria) -> int:
    """Return how many there are, in one statement."""
    query = select(func.count()).select_from(models.Execution).where(executions_where(where))
    return int(session.execute(query).scalar_one())


def find(session: Session, ref: str) -> Execution | None:
    """Return an execution by id, unique start of one, or workspace; ``-`` is the newest.

    Raises:
        AmbiguousIdError: More than one starts so.
    """
    query = _select()
    if ref == _NEWEST:
        query = Order("created", descending=True).order(query).limit(1)
    else:
        query = query.where(_is_called(ref)).limit(_SHOWN)
    rows = session.execute(query).all()
    if len(rows) > 1:
        raise AmbiguousIdError(ref, [row[0].id[:12] for row in rows])
    return next(iter(_executions(session, rows)), None)


def _is_called(ref: str) -> ColumnElement[bool]:
    row = models.Execution
    starts_so = like_id(row.id, ref.lower()) if is_prefix(ref.lower()) else None
    if starts_so is not None and len(ref) == _WHOLE_ID:
        return starts_so
    in_folder: ColumnElement[bool] = row.workspace == _whole(ref)
    # A folder may be called like the start of an id.
    return in_folder if starts_so is None else or_(starts_so, in_folder)


def _whole(folder: str) -> str:
    from taskgraph.catalog.requests import whole_path

    # What is blank is no folder: nothing has it, where NULL would be what many have.
    return (whole_path(folder) or "") if folder.strip() else ""


def running(session: Session, where: Criteria) -> list[Execution]:
    """Return those that are said to run, oldest first, in two statements."""
    row = models.Execution
    is_running = row.state_type == StateType.RUNNING.value
    query = _select().where(is_running, executions_where(where)).order_by(row.created_at, row.id)
    return _executions(session, session.execute(query).all())


def states(session: Session, execution_id: str) -> list[State]:
    """Return the states of an execution, oldest first, in two statements.

    One that an older library brought it to is not among the rows, and comes last.
    """
    execution = models.Execution
    columns = execution.state_type, execution.state_name, execution.state_time
    row = session.execute(select(*columns).where(execution.id == execution_id)).one_or_none()
    if row is None:
        return []
    state = models.State
    query = select(state).where(state.execution_id == execution_id)
    found = [
        State(StateType(each.type), each.name, each.timestamp, each.message, each.details)
        for each in session.scalars(query.order_by(state.timestamp, state.id))
    ]
    current = state_of(*row)
    if not found or found[-1].type is not current.type:
        found.append(current)
    return found


def snapshot_of(session: Session, execution_id: str) -> str | None:
    """Return the hash of the value in which the submission of an execution is frozen."""
    row = models.Execution
    return session.scalar(select(row.snapshot_hash).where(row.id == execution_id))


def _select(*others: Any) -> Select[Any]:
    row, study = models.Execution, models.Study
    said = LAST.message.label("state_message"), LAST.details.label("state_details")
    query = select(row, study.name.label("study_name"), *said, *others)
    return query.outerjoin(study, study.id == row.study_id).outerjoin(LAST, is_in_force())


def is_in_force() -> ColumnElement[bool]:
    """Return the condition that `LAST` is the state of an execution; of older libraries none is."""
    row = models.Execution
    return and_(
        LAST.execution_id == row.id,
        LAST.timestamp == row.state_time,
        LAST.type == row.state_type,
    )


def state_of(
    kind: str,
    name: str,
    since: datetime,
    message: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> State:
    """Return the state that is in force, by the columns of an execution and of its last row."""
    type = StateType(kind)
    return State(type, name_in_force(type, name), since, message, details or {})


def _executions(session: Session, rows: Any) -> list[Execution]:
    tags = tags_of(session, [row[0].id for row in rows])
    return [_execution(row, tags.get(row[0].id, {})) for row in rows]


def tags_of(session: Session, ids: list[str]) -> dict[str, dict[str, list[Any]]]:
    """Return the current tags of executions, in one statement for ten thousand of them."""
    tag = models.Tag
    found: dict[str, dict[str, list[Any]]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = (
            select(tag.entity_id, tag.key, tag.value)
            .where(one_of(tag.entity_id, ids[start : start + _AT_ONCE]))
            .where(tag.entity_type == "Execution", tag.is_current.is_(True))
            .order_by(tag.key, tag.tag_hash)
        )
        for entity_id, key, value in session.execute(query):
            found.setdefault(entity_id, {}).setdefault(key, []).append(value)
    return found


def _execution(found: Any, tags: dict[str, list[Any]]) -> Execution:
    row: models.Execution = found[0]
    return Execution(
        id=row.id,
        name=row.name or row.entrypoint.rpartition(".")[2],
        entrypoint=row.entrypoint,
        state=state_of(
            row.state_type,
            row.state_name,
            row.state_time,
            found.state_message,
            found.state_details,
        ),
        created_at=row.created_at,
        parameters=row.parameters,
        options=row.options,
        tags=tags,
        study=found.study_name,
        workspace=row.workspace,
        command=words_of(row.args),
        start_time=row.start_time,
        end_time=row.end_time,
        expected_start_time=row.expected_start_time,
        next_scheduled_start_time=row.next_scheduled_start_time,
        run_count=row.run_count,
        total_run_time=timedelta(microseconds=row.total_run_time),
        retracted=row.retracted,
        idempotency_key=row.idempotency_key,
        request_hash=row.request_hash,
        snapshot_hash=row.snapshot_hash,
        dataset_hash=row.dataset_hash,
        workflow_id=row.workflow_id,
        study_id=row.study_id,
        group_id=row.group_id,
        parent_job_id=row.parent_job_id,
        job_id=row.job_id,
        first_step=row.first_step,
        last_step=row.last_step,
        output_path=row.output_path,
        code_version=row.code_version,
        submitted_by=row.submitted_by,
    )


__all__ = [
    "LAST",
    "Order",
    "count",
    "find",
    "is_in_force",
    "page",
    "running",
    "snapshot_of",
    "state_of",
    "states",
    "tags_of",
]
