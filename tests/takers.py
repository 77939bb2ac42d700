"""What tests of queues need: executions that wait in them, and a process that takes these."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph.archive import Archive
from taskgraph.assembly.managing import routing_of
from taskgraph.catalog.worker_rows import Taker
from taskgraph_backend.holders import this_process
from taskgraph_backend.routing.store import Routing


@pytest.fixture
def routing(tg: Archive) -> Routing:
    return routing_of(tg.backend, lambda: None)


@pytest.fixture
def taker(tg: Archive) -> Taker:
    """A process that serves two queues: this one."""
    pool = tg.pools.get_or_create("p", ["a", "b"])
    worker = tg.workers.register("w", pool, host=this_process().host, pid=this_process().pid)
    return Taker(worker.id, worker.name, pool.id, pool.queues, *this_process())


def rows(tg: Archive, execution_id: str) -> list[tuple[str, int]]:
    """Return where an execution waits: queues with priorities."""
    sql = "SELECT queue, priority FROM queued WHERE execution_id = ? ORDER BY queue"
    key = bytearray.fromhex(execution_id)
    return [tuple(row) for row in tg.backend._ask(lambda d: d.execute(sql, (key,)).fetchall())]


def hurry(tg: Archive) -> None:
    """Have all that waits be to start by now."""
    tg.backend._transact(lambda d: d.execute("UPDATE queued SET due = ?", (1_000,)).rowcount)


def submit(tg: Archive, *queues: str, **how: Any) -> str:
    made = tg.executions.create("routing.double", {"x": 2}, queues=queues or ("a",), **how)
    return made.execution.id


__all__ = ["hurry", "routing", "rows", "submit", "taker"]
