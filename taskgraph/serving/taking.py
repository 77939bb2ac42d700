"""A slot takes what waits in the queues of its worker, and sees each to its end.

take         the lease is held from now on
look         what was submitted; the supervisor is told of it, once
run          to the end: from its beginning on the run holds the lease
finish       it is said that the worker is done with it
away         the database was: what was taken is taken up where that was, before anything else
"""

from __future__ import annotations

import time
from typing import Protocol

from taskgraph.app.scheduler import Scheduler
from taskgraph.assembly.managing import catalog_of, groups_of, routing_of
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.worker_rows import Taken, Taker
from taskgraph.serving.holding import Holding
from taskgraph.serving.loading import Loader
from taskgraph.serving.orders import Report, SlotOrder
from taskgraph.serving.pipes import Pipes, end_at_once
from taskgraph.serving.running import TakenRunner


class Source(Protocol):
    """Something of which a slot takes one piece of work after the other."""

    @property
    def is_busy(self) -> bool:
        """Whether it has taken a piece of work that it is not done with."""

    def step(self) -> bool:
        """Take a piece of work and do it, if there is any; returns whether there was."""


class TakenSource:
    """Executions that wait in the queues of a worker.

    Args:
        scheduler: Runs them.
        order: What the supervisor said.
        pipes: Where it is told.
        load: Loads what tasks are defined in.
    """

    def __init__(self, scheduler: Scheduler, order: SlotOrder, pipes: Pipes, load: Loader) -> None:
        from taskgraph_backend import SqlBackend
        from taskgraph_backend.leases import this_process

        backend = scheduler.backend
        assert isinstance(backend, SqlBackend)
        self._backend = backend
        self._catalog = catalog_of(backend, _nothing)
        self._routing = routing_of(backend, _nothing)
        self._pipes = pipes
        place = this_process()
        pool = order.pool_id
        self._taker = Taker(order.worker_id, order.worker, pool, order.queues, *place)
        workflows = groups_of(backend, _nothing)
        self._runner = TakenRunner(
            scheduler,
            self._catalog,
            self._routing,
            load,
            lambda id: workflows.find_workflow(id, None),
            self._on_lost,
        )
        self._taken: Taken | None = None
        self._is_told = False  # the supervisor, of what is taken now

    @property
    def is_busy(self) -> bool:
        """Whether it has taken an execution that it is not done with: the database was away."""
        return self._taken is not None

    def step(self) -> bool:
        """Take an execution and run it; returns whether any waited.

        Raises:
            DatabaseError: The database is away; what was taken is gone on with the next time.
            LeaseLostError: What was run is somebody else's by now.
        """
        if self._taken is None:
            self._taken, self._is_told = self._routing.take(self._taker), False
        taken = self._taken
        if taken is None:
            return False
        holding = Holding(self._backend, taken.holder, self._on_lost)
        try:
            self._run(taken, holding)
        finally:
            holding.end()
        self._taken = None
        return True

    def _run(self, taken: Taken, holding: Holding) -> None:
        found = self._catalog.find(taken.execution_id)
        if not self._is_told:
            self._say_took(taken, found)
            self._is_told = True
        began = time.monotonic()
        state = self._runner.run(taken, found, holding.end)
        seconds = time.monotonic() - began
        self._pipes.say(Report("ended", taken.execution_id, state or "deleted", seconds=seconds))

    def _on_lost(self) -> None:
        """End at once: what runs is somebody else's, and nobody could stop a body otherwise."""
        how = "it was given to another one, deleted or cancelled"
        said = f"what a slot ran is not its own any more: {how}"
        self._pipes.say(Report("said", text=said))
        end_at_once()

    def _say_took(self, taken: Taken, found: Execution | None) -> None:
        name = "" if found is None else found.entrypoint
        self._pipes.say(Report("took", taken.execution_id, name, taken.queue))


def _nothing() -> None:
    """It is not closed before the slot ends."""


__all__ = ["Source", "TakenSource"]
