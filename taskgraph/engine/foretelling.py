"""Foretelling what would become of one call now: weighed and looked up as in a run, and not run."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from taskgraph.engine.aliases import Aliases, aliases_of
from taskgraph.engine.branches import Branches
from taskgraph.engine.cache import Hit, Miss, Reason, scope_of, unasked
from taskgraph.engine.jobs import Job
from taskgraph.engine.lookup import Lookup
from taskgraph.engine.making import JobMaker
from taskgraph.engine.missed import describe_miss
from taskgraph.engine.recorder import Recorder
from taskgraph.engine.weighing import evaluate_inputs, find_live_arguments, weigh
from taskgraph.errors import ExplanationError
from taskgraph.events import JobMissed
from taskgraph.expression import TaskExpression
from taskgraph.ports import Backend
from taskgraph.records import ExecutionId
from taskgraph.tasks.options import NO_OPTIONS, CacheScope
from taskgraph.values import walk


class Foretold(NamedTuple):
    """A call that was asked about, and whether a recorded result would be used for it."""

    call: JobMissed
    is_hit: bool


@runtime_checkable
class Askable(Protocol):
    """A call that can tell what would become of it."""

    def ask(self) -> Foretold:
        """Return what would become of it now."""
        ...


def foretell(expr: TaskExpression, backend: Backend) -> Foretold:
    """Weigh a call whose arguments are values, and look it up. Blocks on files.

    Raises:
        UnhashableValueError: An argument has no stable hash.
        UnknownTaskError: Its task is not defined here.
        ExplanationError: It leaves no records.
    """
    aliases = aliases_of(backend)
    job = JobMaker(NO_OPTIONS, aliases)(expr, None)
    if not job.is_recorded:
        raise ExplanationError(job.task.fullname, "with prov=False it leaves no records.")
    evaluate_inputs(job)
    for each in find_live_arguments(job):
        # Anew, as a run does: it may have changed since anybody looked.
        walk.refresh(each)
    weigh(job)
    Branches(backend, Recorder(backend, ExecutionId(""), None)).enter(job)
    miss = _look_up(job, backend, aliases)
    if miss is not None:
        job.note = miss.note
    return Foretold(describe_miss(job, ()), miss is None)


def _look_up(job: Job, backend: Backend, aliases: Aliases) -> Miss | None:
    """Return why a job would miss, or None if it would not; it is then one of the code it uses."""
    if scope_of(job, use_cache=True) is not CacheScope.BACKEND:
        return unasked(job)
    (decision,) = Lookup(backend, aliases).ask([job])
    if isinstance(decision, Miss):
        return decision
    assert isinstance(decision, Hit)
    invalid = walk.find_invalid(decision.value)
    if invalid is not None:
        return Miss(Reason.INVALID, walk.describe_change(invalid))
    if decision.earlier is not None:
        job.stand_in_for(decision.earlier)
    return None
