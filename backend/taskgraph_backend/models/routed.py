"""What waits for workers, and who they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Index,
    Integer,
)
from sqlalchemy.orm import (
    Mapped,
    mapped_column,
)

from taskgraph_backend.columns import JSON, Hash16
from taskgraph_backend.models.base import Base, partial, reference


class WorkerPool(Base):
    """A name and a set of queues, from which the id follows; workers of it serve these queues."""

    __tablename__ = "worker_pool"
    __table_args__ = (Index(None, "name"),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    name: Mapped[str]
    # Sorted, each once.
    queues: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime]


class Worker(Base):
    """A process that takes what was submitted, known by its name over restarts."""

    __tablename__ = "worker"
    __table_args__ = (Index("uq_worker_name", "name", unique=True), Index(None, "pool_id"))

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    pool_id: Mapped[str | None] = mapped_column(Hash16, reference("worker_pool.id", "SET NULL"))
    name: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int | None]
    # running, stalled, stopped or rebooting
    status: Mapped[str]
    # What somebody asks of it: stop, or stop now.
    wish: Mapped[str | None]
    heartbeat_at: Mapped[datetime]
    started_at: Mapped[datetime]
    launch_cmd: Mapped[str | None]
    args: Mapped[Any] = mapped_column(JSON)
    restart_count: Mapped[int] = mapped_column(Integer)


class ExecutionPool(Base):
    """A pool whose workers have run an execution."""

    __tablename__ = "execution_pool"
    __table_args__ = (Index(None, "pool_id"), {"sqlite_with_rowid": False})

    execution_id: Mapped[str] = mapped_column(
        Hash16, reference("execution.id", "CASCADE"), primary_key=True
    )
    pool_id: Mapped[str] = mapped_column(
        Hash16, reference("worker_pool.id", "CASCADE"), primary_key=True
    )


class Queued(Base):
    """An execution that waits for a worker of a queue; its rows go when one takes it."""

    __tablename__ = "queued"
    __table_args__ = (
        Index(None, "queue", "priority", "due", "execution_id"),
        {"sqlite_with_rowid": False},
    )

    execution_id: Mapped[str] = mapped_column(
        Hash16, reference("execution.id", "CASCADE"), primary_key=True
    )
    queue: Mapped[str] = mapped_column(primary_key=True)
    # The smallest is the first.
    priority: Mapped[int] = mapped_column(Integer)
    due: Mapped[datetime]


class Assignment(Base):
    """Which worker took an execution last, and how many have died with it."""

    __tablename__ = "assignment"
    __table_args__ = (
        Index(None, "worker_id"),
        partial("ix_assignment_taken_at", "taken_at", where="ended_at IS NULL"),
        {"sqlite_with_rowid": False},
    )

    execution_id: Mapped[str] = mapped_column(
        Hash16, reference("execution.id", "CASCADE"), primary_key=True
    )
    worker_id: Mapped[str | None] = mapped_column(Hash16, reference("worker.id", "SET NULL"))
    # By which queue it came there.
    queue: Mapped[str]
    taken_at: Mapped[datetime]
    losses: Mapped[int] = mapped_column(Integer)
    # When the worker was done with it, however it ended.
    ended_at: Mapped[datetime | None]


class RoutedCall(Base):
    """A call that a run sends to the workers of a queue; it goes when the run has its answer."""

    __tablename__ = "routed_call"
    __table_args__ = (
        partial(
            "ix_routed_call_queue_created_at_id",
            "queue",
            "created_at",
            "id",
            where="taken_at IS NULL",
        ),
        Index(None, "execution_id"),
        Index(None, "worker_id"),
        partial("ix_routed_call_holder", "holder", where="holder IS NOT NULL"),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    # No foreign keys: the rows of a run come in batches, and may come later.
    execution_id: Mapped[str] = mapped_column(Hash16)
    job_id: Mapped[str] = mapped_column(Hash16)
    queue: Mapped[str]
    task_name: Mapped[str]
    created_at: Mapped[datetime]
    worker_id: Mapped[str | None] = mapped_column(Hash16, reference("worker.id", "SET NULL"))
    # The lease of the process that has taken it, which is another one each time it is started.
    holder: Mapped[str | None]
    taken_at: Mapped[datetime | None]
    losses: Mapped[int] = mapped_column(Integer)
    ended_at: Mapped[datetime | None]
    # Last, for what asks for the others does not read past them. Without an answer it has ended
    # where each worker that took it died.
    message: Mapped[bytes]
    answer: Mapped[bytes | None]
