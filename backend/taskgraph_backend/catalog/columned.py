"""Some columns of a page of executions: what nobody asks for is not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.rows import Page
from taskgraph.jsontext import words_of
from taskgraph_backend import models
from taskgraph_backend.catalog.listing import LAST, Order, is_in_force, state_of, tags_of
from taskgraph_backend.query.criteria import executions_where

_row = models.Execution
# What an attribute is made of that is not a column of its name, and how.
_MADE: Final[dict[str, tuple[tuple[Any, ...], Callable[..., Any]]]] = {
    "state": (
        (_row.state_type, _row.state_name, _row.state_time, LAST.message, LAST.details),
        state_of,
    ),
    "name": ((_row.name, _row.entrypoint), lambda name, entry: name or entry.rpartition(".")[2]),
    "study": ((models.Study.name,), lambda name: name),
    "command": ((_row.args,), words_of),
    "total_run_time": ((_row.total_run_time,), lambda micros: timedelta(microseconds=micros)),
    "tags": ((), dict),
}


def page(
    session: Session,
    where: Criteria,
    columns: Sequence[str],
    order: Order,
    limit: int,
    offset: int,
    after: str | None,
) -> Page[dict[str, Any]]:
    """Return a page of a list, in one statement, or two if it has tags.

    Raises:
        ValidationError: ``after`` is no place in it.
    """
    made = {name: _MADE.get(name) or ((getattr(_row, name),), _same) for name in columns}
    parts = [part for needs, _ in made.values() for part in needs]
    query = select(_row.id, order.column, *parts).select_from(_row)
    if "study" in made:
        query = query.outerjoin(models.Study, models.Study.id == _row.study_id)
    if "state" in made:
        query = query.outerjoin(LAST, is_in_force())
    query = order.order(query.where(executions_where(where)))
    if after is not None:
        query = query.where(order.beyond(*order.read(after)))
    rows = session.execute(query.limit(limit + 1).offset(offset)).all()
    shown = rows[:limit]
    tags = tags_of(session, [row[0] for row in shown]) if "tags" in made else {}
    found = []
    for row in shown:
        each, at = {}, 2
        for name, (needs, make) in made.items():
            each[name] = make(*row[at : at + len(needs)])
            at += len(needs)
        if "tags" in made:
            each["tags"] = tags.get(row[0], {})
        found.append(each)
    next = order.cursor(shown[-1][1], shown[-1][0]) if len(rows) > limit else None
    return Page(tuple(found), next)


def _same(value: Any) -> Any:
    return value


__all__ = ["page"]
