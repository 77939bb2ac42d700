"""The scheduler that runs here, or was set: what functions use where none is named."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from taskgraph.errors import NoCurrentSchedulerError

if TYPE_CHECKING:
    from taskgraph.app.scheduler import Scheduler

current_scheduler: ContextVar[Scheduler | None] = ContextVar("taskgraph_scheduler", default=None)
chosen_scheduler: ContextVar[Scheduler | None] = ContextVar(
    "taskgraph_chosen_scheduler", default=None
)


def get_current_scheduler(required: bool = True) -> Scheduler | None:
    """Return the scheduler that runs here, or was set.

    Raises:
        NoCurrentSchedulerError: There is none, and one is required.
    """
    scheduler = current_scheduler.get()
    if scheduler is None and required:
        raise NoCurrentSchedulerError()
    return scheduler


def set_current_scheduler(scheduler: Scheduler | None) -> None:
    """Set the scheduler of this context: what `run` and its like use where none is named."""
    current_scheduler.set(scheduler)
    chosen_scheduler.set(scheduler)
