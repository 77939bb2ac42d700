"""Calls that are held back until the temporary files are there that their bodies will read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from taskgraph.engine import phases
from taskgraph.engine.finishing import Finisher
from taskgraph.engine.jobs import Job
from taskgraph.engine.looking import Looking
from taskgraph.engine.reduction import Graph
from taskgraph.engine.temporaries import Temporaries
from taskgraph.expression import SchedulerExpression
from taskgraph.records import JobId
from taskgraph.values.files import File
from taskgraph.values.temporaries import is_gone, temporaries_in


class _Starting(Protocol):
    """Starts calls: the dispatcher, as far as it is needed here."""

    def is_over(self, job: Job) -> bool: ...

    def submit(self, jobs: Sequence[Job]) -> None: ...

    def look_at(self, live: Sequence[tuple[Job, list[Any]]]) -> None: ...


class Holding:
    """Looks for temporary files that bodies are given, and has those made again that are gone.

    Args:
        temporaries: Those of this execution, and who gives them.
        graph: What waits for what.
        finisher: Where calls end.
        looking: Looks for files.
        starting: Starts the calls again that were held back.
    """

    def __init__(
        self,
        temporaries: Temporaries,
        graph: Graph,
        finisher: Finisher,
        looking: Looking,
        starting: _Starting,
    ) -> None:
        self._temporaries = temporaries
        self._graph = graph
        self._finisher = finisher
        self._looking = looking
        self._starting = starting
        self._found: set[JobId] = set()

    def hold_back(self, jobs: Sequence[Job]) -> list[Job]:
        """Have the temporary files of calls looked for; returns the calls without any."""
        free: list[Job] = []
        for job in jobs:
            is_free = job.id in self._found or isinstance(job.expr, SchedulerExpression)
            given = [] if is_free else temporaries_in([*job.args, *job.kwargs.values()])
            if given:
                self._look_for(job, given)
            else:
                self._found.discard(job.id)
                free.append(job)
        return free

    def _look_for(self, job: Job, given: Sequence[File]) -> None:
        job.phase = phases.AWAY

        def done(gone: Sequence[Any | None]) -> None:
            job.phase = phases.READY
            error = next((each for each in gone if isinstance(each, BaseException)), None)
            if error is not None:
                self._finisher.fail(job, error, job)
            elif self._starting.is_over(job):
                job.phase = phases.DROPPED
            else:
                self._have_made([each for each in gone if each is not None], job)

        self._looking.find(given, lambda each: each if is_gone(each) else None, done)

    def _have_made(self, gone: Sequence[File], job: Job) -> None:
        """Let a call wait for those that give it the files that are gone, or else run without."""
        if not gone:
            self._found.add(job.id)
            self._starting.submit([job])
            return
        job.is_given_anew = True
        needed = {each: self._temporaries.need(each, job) for each in gone}
        givers = list({id(e): e for e in needed.values() if e is not None}.values())
        self._graph.ready += self._temporaries.take_new()
        failed = next((each for each in givers if each.error is not None), None)
        if failed is not None:
            assert failed.error is not None
            self._graph.fail(job, failed.error, failed.origin or failed)
            return
        lost = [each for each, giver in needed.items() if giver is None]
        for each in lost:
            # Nobody gives them: the call is one that was given files that are not there.
            each.forget()
        if givers:
            self._graph.wait_before(job, givers)
        else:
            self._starting.look_at([(job, lost)])
