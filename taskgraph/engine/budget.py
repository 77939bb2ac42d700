"""The budget of a run for calls that were made before: it stops before an expensive invalidation.

A call counts if its task ran before and either the same call was made, by whatever code, and its
result is not used any more, or it is given or made by a call that counts. All others are new work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from taskgraph.engine.cache import miss_of
from taskgraph.engine.jobs import Job, Node
from taskgraph.engine.past import Past
from taskgraph.engine.reduction import inputs_of
from taskgraph.errors import RerunLimitError
from taskgraph.expression import SchedulerExpression
from taskgraph.plans import Plan
from taskgraph.ports import Backend
from taskgraph.records import JobId

#: Calls, or the time that they took the last time.
RerunLimit = int | timedelta

_MOST_CAUSES = 3

_Causes = Counter[tuple[str, str]]  # calls by task and why it would run


def check_plan(plan: Plan, limit: RerunLimit) -> None:
    """Check what is known before anything runs.

    Raises:
        RerunLimitError: It is more than the limit.
    """
    reruns = plan.reruns
    causes: _Causes = Counter((each.task, each.why) for each in reruns if each.is_certain)
    waiting: _Causes = Counter((each.task, each.why) for each in reruns if not each.is_certain)
    seconds = sum(each.seconds or 0.0 for each in reruns)
    _check(limit, len(reruns), seconds, [*causes.most_common(), *waiting.most_common()], True)


def _check(
    limit: RerunLimit,
    calls: int,
    seconds: float,
    causes: Sequence[tuple[tuple[str, str], int]],
    is_before: bool,
) -> None:
    if seconds > limit.total_seconds() if isinstance(limit, timedelta) else calls > limit:
        named = tuple((task, why, count) for (task, why), count in causes[:_MOST_CAUSES])
        raise RerunLimitError(limit, calls, seconds, named, is_before)


class RerunBudget:
    """Counts the calls of one execution that were made before, as they are about to run.

    Args:
        backend: What is recorded.
        limit: How much may be made again.
    """

    def __init__(self, backend: Backend, limit: RerunLimit) -> None:
        self._past = Past(backend)
        self._limit = limit
        self._reruns: set[JobId] = set()
        self._calls = 0
        self._seconds = 0.0
        self._causes: _Causes = Counter()

    def charge(self, jobs: Sequence[Job]) -> None:
        """Take note of calls that are about to run.

        Raises:
            RerunLimitError: With them it is more than the limit; none of them has run.
        """
        bodies = [
            each
            for each in jobs
            if not isinstance(each.expr, SchedulerExpression) and not each.is_aftermath
        ]
        if not bodies:
            return
        self._past.learn(bodies)
        for job in bodies:
            usual = self._past.usual(job.task.fullname)
            if usual is None:
                continue
            miss = miss_of(job)
            is_rerun = self._past.is_rerun(job, miss)
            if not is_rerun and not self._depends(job):
                continue
            last = self._past.of(job)
            seconds = last.seconds if last is not None else None
            self._reruns.add(job.id)
            self._calls += 1
            self._seconds += (usual.seconds if seconds is None else seconds) or 0.0
            why = self._past.why(job, miss) if is_rerun else "something above it is made again"
            self._causes[job.task.fullname, why] += 1
        causes = self._causes.most_common()
        _check(self._limit, self._calls, self._seconds, causes, False)

    def pass_on(self, job: Job) -> None:
        """Take note that what a call gave was put together from the results of its child calls."""
        if any(each.id in self._reruns for each in job.children):
            self._reruns.add(job.id)

    def pass_over(self, job: Job, first: Job) -> None:
        """Take note that a call takes over what came of an equal one."""
        if first.id in self._reruns:
            self._reruns.add(job.id)

    def _depends(self, job: Job) -> bool:
        """Tell whether a call is made by, or given what comes from, one that counts."""
        owner = job.owner
        while owner is not None and isinstance(owner.expr, SchedulerExpression):
            owner = owner.owner
        if owner is not None and owner.id in self._reruns:
            return True
        if job.owner is None:
            return False
        nodes: list[Node] = [job]
        seen: set[int] = set()
        while nodes:
            node = nodes.pop()
            for expr in inputs_of(node):
                above = job.owner.nodes[id(expr)]
                if id(above) in seen:
                    continue
                seen.add(id(above))
                if not isinstance(above, Job):
                    nodes.append(above)
                elif above.id in self._reruns:
                    return True
        return False
