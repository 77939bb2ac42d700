"""Pools and workers as plain data, and what a worker has taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from taskgraph.catalog.requests import checked_name, checked_queues
from taskgraph.errors import ValidationError
from taskgraph.hashing import hash_record
from taskgraph.records import Micros


class WorkerStatus(StrEnum):
    """What is known of a worker."""

    RUNNING = "running"
    STALLED = "stalled"
    STOPPED = "stopped"
    REBOOTING = "rebooting"

    @classmethod
    def parse(cls, given: str) -> WorkerStatus:
        """Return the status that a text stands for.

        Raises:
            ValidationError: It is none.
        """
        try:
            return cls(given.lower() if isinstance(given, str) else given)
        except ValueError:
            raise ValidationError(f"status {given!r}", f"there are: {', '.join(cls)}.") from None


#: Those of workers that are to live.
ALIVE = frozenset({WorkerStatus.RUNNING, WorkerStatus.REBOOTING})


class Wish(StrEnum):
    """What somebody asks of a worker."""

    STOP = "stop"
    STOP_NOW = "stop now"


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """A name and a set of queues, which workers of it serve.

    Attributes:
        id: 32 hex digits that follow from name and queues.
        name: What people call it.
        queues: Sorted, each once.
        workers: How many workers are of it.
    """

    id: str
    name: str
    queues: tuple[str, ...]
    created_at: datetime
    workers: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph worker pools --json`` has it."""
        return {
            "id": self.id,
            "name": self.name,
            "queues": list(self.queues),
            "created": self.created_at.isoformat(),
            "workers": self.workers,
        }


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that takes what was submitted, known by its name over restarts.

    Attributes:
        id: 32 hex digits.
        name: What people call it.
        pool: The pool that it is of; None once that was deleted.
        host: Where it runs, or ran last.
        pid: Its process; None once it was stopped.
        status: What is known of it.
        wish: What somebody asks of it.
        heartbeat_at: When it was last heard of.
        started_at: When it was started last.
        launch_cmd: The command that started it.
        args: What else was said when it was started, as JSON.
        restart_count: How often it was started again.
    """

    id: str
    name: str
    pool: WorkerPool | None
    host: str
    pid: int | None
    status: WorkerStatus
    heartbeat_at: datetime
    started_at: datetime
    wish: Wish | None = None
    launch_cmd: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    restart_count: int = 0

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that it serves: those of its pool."""
        return () if self.pool is None else self.pool.queues

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph worker list --json`` has it."""
        return {
            "id": self.id,
            "name": self.name,
            "pool": None if self.pool is None else self.pool.name,
            "queues": list(self.queues),
            "host": self.host,
            "pid": self.pid,
            "status": self.status.value,
            "wish": None if self.wish is None else self.wish.value,
            "heartbeat": self.heartbeat_at.isoformat(),
            "started": self.started_at.isoformat(),
            "launch_cmd": self.launch_cmd,
            "args": dict(self.args),
            "restart_count": self.restart_count,
        }


@dataclass(frozen=True, slots=True)
class NewWorker:
    """A worker that begins, checked."""

    id: str
    name: str
    pool_id: str
    host: str
    pid: int
    launch_cmd: str | None
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes executions: a process that runs one at a time.

    Attributes:
        worker_id: The worker that it is of.
        worker: The name of that.
        pool_id: The pool of that.
        queues: What it serves.
        host: Where it runs.
        pid: The process.
        started: When that was started.
    """

    worker_id: str
    worker: str
    pool_id: str | None
    queues: tuple[str, ...]
    host: str
    pid: int
    started: Micros


class Taken(NamedTuple):
    """An execution that a process has taken, and that nobody else runs as long as that lives.

    Attributes:
        execution_id: The execution.
        queue: Where it waited.
        holder: By which name the process holds its lease: each taking has one of its own.
        taken_at: When, by the clock of the database.
    """

    execution_id: str
    queue: str
    holder: str
    taken_at: Micros


class GivenBack(NamedTuple):
    """What became of executions that workers had taken, and run no more.

    Attributes:
        returned: Those that wait in their queues again.
        crashed: Those that too many workers were lost with.
    """

    returned: tuple[str, ...] = ()
    crashed: tuple[str, ...] = ()


def pool_key(name: str, queues: Iterable[str]) -> tuple[str, str, tuple[str, ...]]:
    """Return the id of a pool with its name and its queues, in whatever order these were given.

    Raises:
        ValidationError: The name is none, or there are no queues.
    """
    checked = checked_name("pool", name)
    wanted = checked_queues(queues)
    if not wanted:
        raise ValidationError("queues", f"pool {checked!r} serves none: name one or more.")
    return hash_record("pool", checked, *wanted), checked, wanted


__all__ = [
    "ALIVE",
    "GivenBack",
    "NewWorker",
    "Taken",
    "Taker",
    "Wish",
    "Worker",
    "WorkerPool",
    "WorkerStatus",
    "pool_key",
]
