"""A worker is started: known by a name on this host, with what looks after its slots."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from taskgraph.assembly.managing import routing_of
from taskgraph.catalog.worker_rows import Worker, WorkerPool
from taskgraph.catalog.workers import WorkerManager
from taskgraph.config import Settings
from taskgraph.errors import WorkerInUseError
from taskgraph.serving.calls import CallServer
from taskgraph.serving.companions import Teller
from taskgraph.serving.duties import duties_of
from taskgraph.serving.orders import SlotOrder
from taskgraph.serving.supervisor import Supervisor

if TYPE_CHECKING:
    from taskgraph_backend import SqlBackend

_MOST_NAMES: Final = 100


def register(
    workers: WorkerManager, name: str | None, pool: WorkerPool, args: Mapping[str, Any]
) -> Worker:
    """Have this process be a worker; without a name, by the first that is free on this host.

    Args:
        workers: The workers there are.
        name: What it is called.
        pool: Its pool.
        args: What was said when it was started.

    Raises:
        WorkerInUseError: A worker of that name lives.
    """
    from taskgraph_backend.holders import host_name

    host = host_name()

    def begin(wanted: str) -> Worker:
        return workers.register(
            wanted, pool, host=host, pid=os.getpid(), launch_cmd=shlex.join(sys.argv), args=args
        )

    if name is not None:
        return begin(name)
    own = f"{pool.name}-{host.partition('/')[0].partition('.')[0]}"
    for number in range(1, _MOST_NAMES):
        try:
            return begin(own if number == 1 else f"{own}-{number}")
        except WorkerInUseError:
            continue
    return begin(f"{own}-{_MOST_NAMES}")


def supervisor_of(
    settings: Settings,
    backend: SqlBackend,
    worker: Worker,
    order: SlotOrder,
    command: Sequence[str],
    *,
    concurrency: int,
    say: Callable[[str], None],
) -> Supervisor:
    """Return what looks after the slots of a worker, and has it serve calls and tell people.

    Args:
        settings: Those of the project.
        backend: The database.
        worker: The worker, which is this process.
        order: What each slot is told.
        command: What starts a slot.
        concurrency: How many slots there are, and how many calls run at once besides.
        say: Told a line now and then.
    """
    calls = CallServer(
        settings,
        backend,
        worker.queues,
        slots=concurrency,
        worker_id=worker.id,
        poll=order.poll,
        tell=say,
    )
    return Supervisor(
        routing_of(backend, _nothing),
        worker,
        order,
        command,
        concurrency=concurrency,
        say=say,
        duties=duties_of(backend),
        companions=[calls, Teller(backend, say)],
        silence=backend.silence,
    )


def _nothing() -> None:
    """It is closed by who has opened it, when the worker has ended."""


__all__ = ["register", "supervisor_of"]
