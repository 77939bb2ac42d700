"""What criteria mean for workers: each is asked together with its pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import false, func, not_, or_, select
from sqlalchemy.orm import aliased

from taskgraph.catalog.criteria import Criteria
from taskgraph.jsontext import storable
from taskgraph_backend import models
from taskgraph_backend.query.criteria import (
    _Condition,
    _condition,
    _is_empty,
    _key,
    _of_text,
    _text,
    _time,
)


def workers_where(criteria: Criteria) -> _Condition:
    """Return the condition that a worker is meant."""
    return _condition(criteria, models.Worker, _WORKER)


def _pool(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for a pool, by name or by id."""
    if operator == "is_null_":
        return _is_empty(row.pool_id, value)
    if operator == "not_any_":
        return not_(func.coalesce(_pool(row, "any_", value), false()))
    pool = aliased(models.WorkerPool)
    named = select(pool.id).where(_of_text(pool.name, operator, value))
    return or_(row.pool_id.in_(named), _key("pool_id")(row, operator, value))


def _host(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for a host as people call it; what is kept says besides which machine that is."""
    if operator == "not_any_":
        return not_(func.coalesce(_host(row, "any_", value), false()))
    found = _of_text(row.host, operator, value)
    if operator != "any_":
        return found
    names = [storable(each) for each in value]
    return or_(found, *(func.substr(row.host, 1, len(each) + 1) == f"{each}/" for each in names))


_WORKER: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    "id": _key("id"),
    "name": _text("name"),
    "pool": _pool,
    "status": _text("status"),
    "host": _host,
    "heartbeat": _time("heartbeat_at"),
    "started": _time("started_at"),
}

__all__ = ["workers_where"]
