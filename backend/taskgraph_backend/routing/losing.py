"""What workers had taken and run no more: it goes back to its queues, or is given up.

That a process is gone is told by its lease, as of any run. Which executions workers had is in their
assignments; those of plain runs have none, and are CRASHED.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from taskgraph.catalog.worker_rows import GivenBack
from taskgraph.records import ExecutionId, shown_host
from taskgraph_backend import claims
from taskgraph_backend.catalog import changing
from taskgraph_backend.dialects import Driver
from taskgraph_backend.routing import queueing

_binary = bytearray.fromhex

_ASSIGNED: Final = (
    "SELECT a.losses, a.queue, w.name, w.host FROM assignment a"
    " LEFT JOIN worker w ON w.id = a.worker_id"
    " WHERE a.execution_id = ? AND a.ended_at IS NULL"
)
_OPEN: Final = "SELECT execution_id FROM assignment WHERE ended_at IS NULL"
_OPEN_OF: Final = f"{_OPEN} AND worker_id = ?"
_LOST: Final = "UPDATE assignment SET losses = ?, ended_at = ? WHERE execution_id = ?"


class Fate(Enum):
    """What became of an execution that a worker had."""

    RETURNED = "returned"
    CRASHED = "crashed"
    #: It had ended, or waits already.
    SETTLED = "settled"


def give_back(
    driver: Driver,
    execution_id: str,
    max_losses: int,
    why: str | None = None,
    *,
    is_loss: bool = True,
) -> Fate | None:
    """Have an execution wait again that no living process runs; within a transaction alone.

    Args:
        driver: The connection.
        execution_id: The execution.
        max_losses: With so many losses it is CRASHED.
        why: What is written down of it; by default which worker was lost.
        is_loss: Whether it counts; a worker that was told to stop is no loss.

    Returns:
        What became of it; None if it is none that a worker has.
    """
    key = _binary(execution_id)
    row = driver.execute(_ASSIGNED, (key,)).fetchone()
    if row is None:
        return None
    losses, queue, worker, host = row
    losses += is_loss
    said = why or _lost(worker, host)
    if is_loss and losses >= max_losses:
        many = "1 worker was" if losses == 1 else f"{losses} workers were"
        said = f"{said}. {many} lost with it, and no other one is given it: workers.max_losses"
        is_done = changing.mark_crashed(driver, execution_id, said)
        fate = Fate.CRASHED if is_done else Fate.SETTLED
    else:
        is_done = changing.put_back(driver, execution_id, said)
        fate = Fate.RETURNED if is_done else Fate.SETTLED
        # Nobody may declare its queues any more, or it was said to wait while it ran.
        queueing.restore(driver, execution_id, queue, claims.clock(driver))
    driver.execute(_LOST, (losses, claims.clock(driver), key))
    return fate


def _lost(worker: str | None, host: str | None) -> str:
    if worker is None:
        return "the worker that had it was lost"
    where = shown_host(host or "an unknown host")
    return f"worker {worker} on {where} was lost with it"


def find_lost(
    driver: Driver, worker_id: str | None = None, may_judge: claims.Judge = claims.always
) -> list[str]:
    """Return what workers have taken, and no living process holds any more.

    Args:
        driver: The connection.
        worker_id: Only of this worker.
        may_judge: Tells whether silence says anything: see `claims.unheld`.
    """
    if worker_id is None:
        rows = driver.execute(_OPEN).fetchall()
    else:
        rows = driver.execute(_OPEN_OF, (_binary(worker_id),)).fetchall()
    ids = [ExecutionId(bytes(key).hex()) for (key,) in rows]
    return [str(each) for each in claims.unheld(driver, ids, may_judge)] if ids else []


def give_back_all(
    driver: Driver,
    execution_ids: Sequence[str],
    max_losses: int,
    why: str | None = None,
    is_loss: bool = True,
    may_judge: claims.Judge = claims.always,
) -> GivenBack:
    """Give those of some executions back that are still lost; within a transaction alone."""
    found: dict[Fate | None, list[str]] = {each: [] for each in (*Fate, None)}
    lost = claims.unheld(driver, [ExecutionId(each) for each in execution_ids], may_judge)
    for each in lost:
        found[give_back(driver, each, max_losses, why, is_loss=is_loss)].append(str(each))
    return GivenBack(tuple(found[Fate.RETURNED]), tuple(found[Fate.CRASHED]))


__all__ = ["Fate", "find_lost", "give_back", "give_back_all"]
