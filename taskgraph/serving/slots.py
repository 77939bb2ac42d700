"""A slot: a process that takes what waits and runs it, one execution after the other.

It belongs to a supervisor, and ends with that at once: the pipe on which it is told what to do ends
when the supervisor does, however that comes about. What it ran is found by its lease then.

    begin        modules and scripts are loaded, and the supervisor is told that it is ready
    repeat       until it is to drain, its quota is used up, or nothing waits any more
      take       nothing waits: it looks again after a while
      run        to the end
      away       the database is: it looks again after a while, and goes on with what it has taken
    edited       its code was: it ends, and another one begins with the new one
    lost         what it runs is somebody else's by now: it ends at once, and is started again

What asks a worker to end may be sent to all processes of a service: a slot leaves that to its
supervisor, which has it drain.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from taskgraph.app.scheduler import Scheduler
from taskgraph.assembly.databases import database_uri, has_others
from taskgraph.config import load_settings
from taskgraph.errors import DatabaseError, LeaseLostError, TaskgraphError, without_password
from taskgraph.forks import go_on_at
from taskgraph.records import LEASE_SECONDS
from taskgraph.serving.loading import Loader
from taskgraph.serving.orders import DONE, EDITED, FAILED, Report, SlotOrder
from taskgraph.serving.pipes import Pipes, end_at_once
from taskgraph.serving.taking import Source, TakenSource

_LONGEST_PAUSE: Final = 30.0  # seconds between two looks at a database that is away
_LONGEST_BUSY_PAUSE: Final = LEASE_SECONDS / 6  # the same, of who has taken something


def serve(orders: int, reports: int, load: Callable[[str], object]) -> int:
    """Be a slot, until there is nothing to do any more.

    Args:
        orders: The pipe on which the supervisor says what to do.
        reports: The pipe on which it is told.
        load: Loads a script or a module.

    Returns:
        The exit code.
    """
    go_on_at({signal.SIGTERM, signal.SIGINT})  # the supervisor lets end what runs
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
        return work(source, order, pipes, loader.find_edited)
    except LeaseLostError:
        end_at_once()
    finally:
        scheduler.close()


def work(
    source: Source, order: SlotOrder, pipes: Pipes, find_edited: Callable[[], str | None]
) -> int:
    """Do one piece of work after the other.

    Args:
        source: Where they come from.
        order: What the supervisor said.
        pipes: Where it is told.
        find_edited: Returns a file that was edited since it was loaded.

    Returns:
        The exit code.

    Raises:
        LeaseLostError: What was run is somebody else's by now.
    """
    left = order.quota
    pause = order.poll
    while source.is_busy or not (pipes.drained.is_set() or left == 0):
        edited = None if source.is_busy else find_edited()
        if edited is not None:
            pipes.say(Report("said", text=f"{edited} was edited: a slot begins anew with it"))
            return EDITED
        try:
            has_worked = source.step()
        except LeaseLostError:
            raise
        except DatabaseError as error:
            # A server that is away for a while does not end a worker.
            pipes.say(Report("said", text=str(error)))
            pause = min(_LONGEST_PAUSE, 2 * max(pause, order.poll))
            if source.is_busy:
                time.sleep(min(pause, _LONGEST_BUSY_PAUSE))
            else:
                pipes.drained.wait(pause)
            continue
        pause = order.poll
        if has_worked:
            left = None if left is None else left - 1
        elif order.is_burst:
            return DONE
        else:
            pipes.drained.wait(pause)
    return DONE


__all__ = ["serve", "work"]
