"""Calls that are sent to the workers of queues: the two sides of them, on a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from taskgraph.assembly.databases import has_others
from taskgraph.config import Settings
from taskgraph.errors import ExecutorError
from taskgraph.ports import Backend, CallQueue

if TYPE_CHECKING:
    from taskgraph_backend.routing.served import ServedCalls

_DATA_ONLY = (
    'and what this database holds is trusted with data only (backend.trust = "data"): calls that '
    "travel through it are code. Let those who may write to it run code here as well, or use "
    "another executor."
)


def call_queue(settings: Settings, backend: Backend) -> CallQueue:
    """Return where runs on a backend put calls for the workers of queues.

    Raises:
        ExecutorError: No worker could see them, or they are not to be trusted.
    """
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.routing.calls import RoutedCalls

    if not isinstance(backend, SqlBackend) or not has_others(backend):
        raise ExecutorError(
            "Calls are sent to the workers of queues through the database, and that of this run is "
            "in memory, where no worker sees it. Give the scheduler settings with a database: "
            "Scheduler(load_settings())."
        )
    if settings.backend.trust == "data":
        raise ExecutorError(f"Calls are not sent to workers: answers are read here, {_DATA_ONLY}")
    return RoutedCalls(backend)


def served_calls(
    settings: Settings,
    backend: Backend,
    holder: str,
    queues: Sequence[str],
    worker_id: str | None,
    seconds: float,
) -> ServedCalls:
    """Return what a process asks that runs the calls of queues.

    Args:
        settings: Those of the project.
        backend: The database.
        holder: The name of the leases of that process.
        queues: What it serves.
        worker_id: The worker that it is part of, if that is registered.
        seconds: How long its leases live without a heartbeat.

    Raises:
        ExecutorError: Nobody could send it any, or they are not to be trusted.
    """
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.routing.served import ServedCalls

    if not isinstance(backend, SqlBackend) or not has_others(backend):
        raise ExecutorError(
            "A worker takes calls from the database of others, and this one is in memory. Name one "
            "in the settings: backend.db_uri."
        )
    if settings.backend.trust == "data":
        raise ExecutorError(f"This worker takes no calls: it would run them, {_DATA_ONLY}")
    return ServedCalls(backend, holder, queues, worker_id, seconds)


def queue_taken_by(backend: Backend, execution_id: str) -> str | None:
    """Return the queue by which a worker took an execution, or else the only one that it names."""
    from taskgraph.catalog.requests import QUEUE_TAG
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.routing.served import find_queue

    if not isinstance(backend, SqlBackend):
        return None
    return backend._ask(find_queue, execution_id, QUEUE_TAG)


__all__ = ["call_queue", "queue_taken_by", "served_calls"]
