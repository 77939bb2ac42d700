"""Equal calls of one execution: the first one is made, the others get what comes of it.

What they are equal by is their `Job.call_key`, which `engine.weighing` makes:

    the eval_hash                    the same task with the same arguments
    with a digest of the context     of calls in another context than the run's
    with " for ..."                  of a scheduler task that may look at who calls it
    with "after a failure ..."       what it is equal to may have been given up by that failure
    with "... again"                 the first one gave a temporary file that is gone (made here)

Who is not found by any key shares nothing: calls that leave no rows, and those with an argument
that has no hash. Calls in other contexts may share a body all the same: see `engine.twins`.
"""

from __future__ import annotations

from collections.abc import Callable

from taskgraph.engine import phases
from taskgraph.engine.cache import allowed_of
from taskgraph.engine.finishing import Finisher
from taskgraph.engine.jobs import Job
from taskgraph.engine.reduction import Graph
from taskgraph.engine.temporaries import Temporaries
from taskgraph.tasks.options import CacheResult


class Equals:
    """Gives calls what comes of the first equal one.

    Args:
        calls: The first call of each ``call_key``.
        temporaries: The temporary files of this execution.
        graph: Where calls wait for others.
        finisher: Copies what came of a call.
        make: Has a call be made whose first one was dropped. That one was looked up before, as a
            rule in vain.
    """

    def __init__(
        self,
        calls: dict[str, Job],
        temporaries: Temporaries,
        graph: Graph,
        finisher: Finisher,
        make: Callable[[Job], object],
    ) -> None:
        self._calls = calls
        self._temporaries = temporaries
        self._graph = graph
        self._finisher = finisher
        self._make = make

    def join(self, job: Job, first: Job) -> bool:
        """Give a call what comes of an equal one; False if it goes its own way.

        Args:
            job: The call.
            first: The first call of its ``call_key``: another one.
        """
        assert job.call_key is not None
        if self._temporaries.is_stale(first, job):
            job.call_key += " again"
            first = self._calls.setdefault(job.call_key, job)
            if first is job:
                return False
        if CacheResult.CSE not in allowed_of(job):
            return False
        if first.phase in {phases.DONE, phases.FAILED}:
            self._finisher.copy(job, first)
        elif first.phase is phases.DROPPED:
            self._calls[job.call_key] = job
            self._make(job)
        else:
            self._graph.follow(first, job)
        return True
