"""How workers and pools are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskgraph.catalog.worker_rows import Worker, WorkerPool, WorkerStatus
from taskgraph.provenance.page import Block, Column, Grid, Note, Span, clean, line
from taskgraph.provenance.render import moment, short_id

_WIDTH: Final = 60
_STYLES: Final = {
    WorkerStatus.RUNNING: "running",
    WorkerStatus.STALLED: "failed",
    WorkerStatus.STOPPED: "dim",
    WorkerStatus.REBOOTING: "dim",
}


def workers_page(workers: Sequence[Worker]) -> list[Block]:
    """Return a table of workers."""
    columns = [
        Column("id"),
        Column("status"),
        Column("heard of"),
        Column("pid", is_right=True, may_drop=True),
        Column("host", may_shrink=True, may_drop=True),
        Column("queues", may_shrink=True),
        Column("name", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            line(Span(_status_of(each), _STYLES[each.status])),
            moment(each.heartbeat_at),
            line("" if each.pid is None else str(each.pid)),
            line(clean(each.host, _WIDTH)),
            line(clean(", ".join(each.queues), _WIDTH)),
            line(Span(clean(each.name, _WIDTH), "name")),
        ]
        for each in workers
    ]
    return [Grid(columns, rows)]


def _status_of(worker: Worker) -> str:
    is_asked = worker.wish is not None and worker.status is WorkerStatus.RUNNING
    return "stopping" if is_asked else worker.status.value


def no_workers(total: int, filters: Sequence[str]) -> list[Block]:
    """Return what is said where a list is empty: how many there are, and what was asked for."""
    if not total:
        said = "There are no workers yet: taskgraph worker start --pool NAME --queues a,b"
        return [Note(line(said))]
    asked = clean(" ".join(filters)) or "no filter"
    number = "1 worker" if total == 1 else f"{total:,} workers"
    return [Note(line(f"None of {number} is meant by {asked}."))]


def pools_page(pools: Sequence[WorkerPool]) -> list[Block]:
    """Return a table of pools."""
    if not pools:
        said = "There are no pools yet: taskgraph worker start --pool NAME --queues a,b"
        return [Note(line(said))]
    columns = [
        Column("id"),
        Column("workers", is_right=True),
        Column("queues", may_shrink=True),
        Column("name", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            line(f"{each.workers:,}"),
            line(clean(", ".join(each.queues), _WIDTH)),
            line(Span(clean(each.name, _WIDTH), "name")),
        ]
        for each in pools
    ]
    return [Grid(columns, rows)]


__all__ = ["no_workers", "pools_page", "workers_page"]
