"""Pools and workers are listed, each in one statement."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.worker_rows import Wish, Worker, WorkerPool, WorkerStatus
from taskgraph.errors import AmbiguousIdError
from taskgraph.records import shown_host
from taskgraph_backend import models
from taskgraph_backend.finding import is_prefix, like_id
from taskgraph_backend.query.worker_criteria import workers_where

_SHOWN: Final = 5


def look_up_pool(session: Session, ref: str) -> WorkerPool | None:
    """Return a pool by id, unique start of one, or a name that only one has.

    Raises:
        AmbiguousIdError: Several are meant.
    """
    row = models.WorkerPool
    rows = session.execute(_pools().where(row.name == ref).limit(_SHOWN)).all()
    if not rows and is_prefix(ref.lower()):
        rows = session.execute(_pools().where(like_id(row.id, ref.lower())).limit(_SHOWN)).all()
    if len(rows) > 1:
        raise AmbiguousIdError(ref, [f"{each[0].id[:12]} {_said(each[0])}" for each in rows])
    return _pool(rows[0]) if rows else None


def pools(session: Session) -> list[WorkerPool]:
    """Return all pools by name and queues."""
    found = [_pool(each) for each in session.execute(_pools()).all()]
    return sorted(found, key=lambda each: (each.name, each.queues))


def look_up(session: Session, ref: str) -> Worker | None:
    """Return a worker by name, id or unique start of one.

    Raises:
        AmbiguousIdError: Several are meant.
    """
    row = models.Worker
    rows = session.execute(_workers().where(row.name == ref)).all()
    if not rows and is_prefix(ref.lower()):
        rows = session.execute(_workers().where(like_id(row.id, ref.lower())).limit(_SHOWN)).all()
    if len(rows) > 1:
        raise AmbiguousIdError(ref, [f"{each[0].id[:12]} {each[0].name}" for each in rows])
    return _worker(rows[0]) if rows else None


def workers(session: Session, where: Criteria) -> list[Worker]:
    """Return workers by name."""
    return [_worker(each) for each in session.execute(_workers().where(workers_where(where)))]


def _pools() -> Select[Any]:
    pool, worker = models.WorkerPool, models.Worker
    number = (
        select(func.count()).where(worker.pool_id == pool.id).correlate(pool)
    ).scalar_subquery()
    return select(pool, number).order_by(pool.name, pool.id)


def _workers() -> Select[Any]:
    worker, pool = models.Worker, models.WorkerPool
    pair: Any = select(worker, pool)  # its type is another one in each version
    found: Select[Any] = pair.outerjoin(pool, pool.id == worker.pool_id).order_by(worker.name)
    return found


def _said(row: models.WorkerPool) -> str:
    return f"{row.name} ({', '.join(row.queues)})"


def _pool(found: Any) -> WorkerPool:
    row, number = found
    return WorkerPool(row.id, row.name, tuple(row.queues), row.created_at, number)


def _worker(found: Any) -> Worker:
    row, pool = found
    return Worker(
        id=row.id,
        name=row.name,
        pool=None if pool is None else _pool((pool, 0)),
        host=shown_host(row.host),
        pid=row.pid,
        status=WorkerStatus(row.status),
        heartbeat_at=row.heartbeat_at,
        started_at=row.started_at,
        wish=None if row.wish is None else Wish(row.wish),
        launch_cmd=row.launch_cmd,
        args=row.args,
        restart_count=row.restart_count,
    )


__all__ = ["look_up", "look_up_pool", "pools", "workers"]
