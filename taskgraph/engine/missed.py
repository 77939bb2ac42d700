"""What is told of a call that missed the cache, for those who explain why."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from taskgraph.engine.jobs import Job
from taskgraph.engine.reduction import jobs_behind
from taskgraph.events import GivenBy, JobMissed, WeighedCall, WeighedValue
from taskgraph.expression import SchedulerExpression

# Looking for a call among those of its caller costs their number.
_MOST_SIBLINGS = 10_000


def describe_miss(job: Job, made: Container[str]) -> JobMissed:
    """Return what is known of a call that is about to run, and of the call that wrote it down.

    Args:
        job: The call.
        made: The keys of all calls of this execution so far.
    """
    # Scheduler tasks are stepped through in each run and write nothing down by themselves.
    caller = job.owner
    while caller is not None and isinstance(caller.expr, SchedulerExpression):
        caller = caller.owner
    return JobMissed(
        _weighed(job, job.owner),
        None if caller is None else _weighed(caller, None),
        caller is not None and not caller.is_cached,
        _order_of(job, caller),
        job.note,
        made,
    )


def _weighed(job: Job, owner: Job | None) -> WeighedCall:
    arguments = [
        WeighedValue(
            each.position,
            each.key,
            each.weight.value_hash,
            each.value,
            () if owner is None or each.given is each.value else _givers(each.given, owner),
        )
        for each in job.arguments
        if each.weight is not None
    ]
    return WeighedCall(
        job.id, job.task, job.task_hash, job.eval_hash, job.args_hash, tuple(arguments)
    )


def _givers(given: Any, owner: Job) -> tuple[GivenBy, ...]:
    return tuple(
        GivenBy(each.id, each.task.fullname, not each.is_cached)
        for each in jobs_behind(given, owner)
    )


def _order_of(job: Job, owner: Job | None) -> int | None:
    """Return where the call will stand among those of its caller, if all of these end well."""
    if owner is None or len(owner.children) > _MOST_SIBLINGS:
        return None
    return next((order for order, each in enumerate(owner.children) if each is job), None)
