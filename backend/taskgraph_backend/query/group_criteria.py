"""What criteria mean for groups of executions: each is asked together with its workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import false, func, literal, not_, or_, select, true
from sqlalchemy.orm import aliased

from taskgraph.catalog.criteria import Criteria
from taskgraph.filters import AnyValue
from taskgraph.jsontext import storable
from taskgraph_backend import models
from taskgraph_backend.columns import JSON
from taskgraph_backend.query.columns import either, every
from taskgraph_backend.query.criteria import (
    _Condition,
    _condition,
    _flag,
    _key,
    _study,
    _text,
    _time,
    is_workflow,
)


def groups_where(criteria: Criteria) -> _Condition:
    """Return the condition that a group is meant, of a query that has its workflow."""
    return _condition(criteria, models.ExecutionGroup, _GROUP)


def newest_of(group: Any, column: Any, *, is_successful: bool = False) -> Any:
    """Return what a column says of the newest execution of a group. Any: a subquery."""
    row = models.Execution
    query = select(column).where(row.group_id == group.id).correlate(group)
    if is_successful:
        query = query.where(row.state_type == "COMPLETED", row.retracted.is_(False))
    return query.order_by(row.created_at.desc(), row.id.desc()).limit(1).scalar_subquery()


def _workflow_of_group(row: Any, operator: str, value: Any) -> _Condition:
    named = is_workflow(models.Workflow, [storable(each) for each in value])
    return named if operator == "any_" else not_(named)


def _of_workflow(ask: Callable[[Any, str, Any], _Condition]) -> Callable[..., _Condition]:
    return lambda row, operator, value: ask(models.Workflow, operator, value)


def _facet_of_group(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for facets: of one key any of the values, and that for each of the keys."""
    if operator == "not_any_":
        return not_(either(_selects(row, key, each) for key, each in value))
    by_key: dict[str, list[_Condition]] = {}
    for key, each in value:
        by_key.setdefault(key, []).append(_selects(row, key, each))
    return every(either(each) for each in by_key.values())


def _selects(row: Any, key: str, value: Any) -> _Condition:
    """Ask for a facet as it was planned by, with its type or without."""
    tag = aliased(models.Tag)
    ending = f".{storable(key)}"
    tail = func.substr(tag.key, func.length(tag.key) - len(ending) + 1, len(ending))
    same = true() if isinstance(value, AnyValue) else tag.value == literal(value, JSON)
    found = select(literal(1)).where(
        tag.entity_id == row.id,
        tag.entity_type == "ExecutionGroup",
        tag.is_current.is_(True),
        or_(tag.key == storable(key), tail == ending),
        same,
    )
    return found.exists()


def _successful(row: Any, operator: str, value: bool) -> _Condition:
    state = newest_of(row, models.Execution.state_type)
    over = ["COMPLETED"] if value and operator == "is_" else ["FAILED", "CRASHED", "CANCELLED"]
    if operator == "is_null_":
        ended = func.coalesce(state.in_(["COMPLETED", *over]), false())
        return not_(ended) if value else ended
    return state.in_(over)  # type: ignore[no-any-return]


_GROUP: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    "id": _key("id"),
    "key": _text("key"),
    "workflow": _workflow_of_group,
    "namespace": _of_workflow(_text("namespace")),
    "study": _of_workflow(_study),
    "facet": _facet_of_group,
    "dirty": _flag("dirty"),
    "dirty_reason": _text("dirty_reason"),
    "successful": _successful,
    "created": _time("created_at"),
    "updated": _time("updated_at"),
}

__all__ = ["groups_where", "newest_of"]
