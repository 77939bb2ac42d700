"""A slot: a process that takes what waits and runs it, one execution after the other.

It belongs to a supervisor, and ends with that at once: the pipe on which it is told what to do ends
when the supervisor does, however that comes about. What it ran is found by its lease then.

    begin        modules and scripts are loaded, and the supervisor is told that it is ready
    repeat       until it is to drain, its quota is used up, or nothing waits any more
      take       nothing waits: it looks again after a while
      run        to the end
    edited       its code was: it ends, and another one begins with the new one
    lost         what it runs is somebody else's by now: it ends at once, and is started again
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import NoReturn, Protocol

from taskgraph.app.scheduler import Scheduler
from taskgraph.assembly.databases import database_uri, has_others
from taskgraph.assembly.managing import catalog_of, groups_of, routing_of
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.worker_rows import Taken, Taker
from taskgraph.config import load_settings
from taskgraph.errors import DatabaseError, LeaseLostError, TaskgraphError, without_password
from taskgraph.serving.loading import Loader
from taskgraph.serving.orders import DONE, DRAIN, EDITED, FAILED, Report, SlotOrder
from taskgraph.serving.running import TakenRunner

_LONGEST_PAUSE = 30.0  # seconds between two looks at a database that is away


class Source(Protocol):
    """Something of which a slot takes one piece of work after the other."""

    def step(self) -> bool:
        """Take a piece of work and do it, if there is any; returns whether there was."""


class Pipes:
    """The two pipes between a slot and its supervisor.

    Args:
        orders: What the supervisor says is read here.
        reports: What the slot says is written here.
    """

    def __init__(self, orders: int, reports: int) -> None:
        for each in (orders, reports):
            os.set_inheritable(each, False)
        self._orders = os.fdopen(orders, "rb", buffering=0)
        self._reports = reports
        self.drained = threading.Event()

    def read_order(self) -> SlotOrder:
        """Return what is to be done."""
        line = self._orders.readline()
        if not line:
            end_at_once()
        return SlotOrder.parse(line)

    def watch(self) -> None:
        """Hear what the supervisor says from now on, on a thread of its own."""
        threading.Thread(target=self._hear, name="taskgraph-orders", daemon=True).start()

    def _hear(self) -> None:
        while line := self._orders.readline():
            if line.strip() == DRAIN.encode():
                self.drained.set()
        end_at_once()

    def say(self, report: Report) -> None:
        """Tell the supervisor something."""
        try:
            os.write(self._reports, report.to_line())
        except OSError:
            end_at_once()  # nobody is there to be told


def end_at_once() -> NoReturn:
    """End this process and all that it started, without another word to anybody."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


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

    def step(self) -> bool:
        """Take an execution and run it; returns whether any waited.

        Raises:
            DatabaseError: The database is away.
            LeaseLostError: What was run is somebody else's by now.
        """
        taken = self._routing.take(self._taker)
        if taken is None:
            return False
        found = self._catalog.find(taken.execution_id)
        self._say_took(taken, found)
        began = time.monotonic()
        state = self._runner.run(taken, found)
        seconds = time.monotonic() - began
        self._pipes.say(Report("ended", taken.execution_id, state or "deleted", seconds=seconds))
        return True

    def _on_lost(self) -> None:
        """End at once: what runs is somebody else's, and nobody could stop a body otherwise."""
        said = "what a slot ran is not its own any more: it was given to another one, or cancelled"
        self._pipes.say(Report("said", text=said))
        end_at_once()

    def _say_took(self, taken: Taken, found: Execution | None) -> None:
        name = "" if found is None else found.entrypoint
        self._pipes.say(Report("took", taken.execution_id, name, taken.queue))


def serve(orders: int, reports: int, load: Callable[[str], object]) -> int:
    """Be a slot, until there is nothing to do any more.

    Args:
        orders: The pipe on which the supervisor says what to do.
        reports: The pipe on which it is told.
        load: Loads a script or a module.

    Returns:
        The exit code.
    """
    pipes = Pipes(orders, reports)
    order = pipes.read_order()
    pipes.watch()
    try:
        settings = load_settings(order.config_dir, order.overrides)
        scheduler = Scheduler(settings, serves=order.queues)
        if not has_others(scheduler.backend):
            shown = without_password(database_uri(settings))
            raise DatabaseError(shown, "it is in memory, where nobody submits anything.")
        loader = Loader(settings, load)
        for each in (*order.modules, *order.scripts):
            loader(each)
        source = TakenSource(scheduler, order, pipes, loader)
    except Exception as error:
        # Whatever is wrong with what it was given: the worker says so, and is not started.
        is_ours = isinstance(error, TaskgraphError)
        said = str(error) if is_ours else f"{type(error).__name__}: {error}"
        pipes.say(Report("failed", text=said))
        return FAILED
    pipes.say(Report("ready"))
    try:
        return _work([source], order, pipes, loader)
    except LeaseLostError:
        end_at_once()
    finally:
        scheduler.close()


def _work(sources: Iterable[Source], order: SlotOrder, pipes: Pipes, loader: Loader) -> int:
    """Do one piece of work after the other, of one source after the other.

    Returns:
        The exit code.
    """
    every = list(sources)
    left = order.quota
    pause = order.poll
    while not pipes.drained.is_set() and (left is None or left > 0):
        edited = loader.find_edited()
        if edited is not None:
            pipes.say(Report("said", text=f"{edited} was edited: a slot begins anew with it"))
            return EDITED
        try:
            worked = [each.step() for each in every]
            has_worked = any(worked)
            pause = order.poll
        except LeaseLostError:
            raise
        except DatabaseError as error:
            # A server that is away for a while does not end a worker.
            pipes.say(Report("said", text=str(error)))
            has_worked = False
            pause = min(_LONGEST_PAUSE, 2 * max(pause, order.poll))
        if has_worked:
            left = None if left is None else left - 1
        elif order.is_burst:
            return DONE
        else:
            pipes.drained.wait(pause)
    return DONE


def _nothing() -> None:
    """It is not closed before the slot ends."""


__all__ = ["Pipes", "Source", "TakenSource", "end_at_once", "serve"]
