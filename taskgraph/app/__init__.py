"""The public Scheduler, and the functions that use one: run, plan, explain.

What they are made of is put together in `taskgraph.assembly`.
"""

from taskgraph.app.current import get_current_scheduler, set_current_scheduler
from taskgraph.app.functions import (
    explain,
    hash_args_eval,
    lineage,
    plan,
    release,
    run,
    scheduler_for,
)
from taskgraph.app.running import ExtendedRun
from taskgraph.app.scheduler import Scheduler

# Where something is from is part of its name, and names are hashed: it is this room that is public.
for _each in (
    ExtendedRun,
    Scheduler,
    explain,
    get_current_scheduler,
    hash_args_eval,
    lineage,
    plan,
    release,
    run,
    scheduler_for,
    set_current_scheduler,
):
    _each.__module__ = __name__

__all__ = [
    "ExtendedRun",
    "Scheduler",
    "explain",
    "get_current_scheduler",
    "hash_args_eval",
    "lineage",
    "plan",
    "release",
    "run",
    "scheduler_for",
    "set_current_scheduler",
]
