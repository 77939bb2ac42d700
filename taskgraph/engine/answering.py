"""Answering scheduler tasks: what they ask of the engine is done here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskgraph.engine import phases
from taskgraph.engine.forking import Forks
from taskgraph.engine.jobs import Job
from taskgraph.engine.options import RunOptions
from taskgraph.engine.recorder import Recorder
from taskgraph.expression import TaskExpression
from taskgraph.records import JobId
from taskgraph.tasks.requests import (
    AddMade,
    AddTags,
    AskStanding,
    Fork,
    Join,
    ReadContext,
    Request,
    Standing,
)


class Answering:
    """Does what scheduler tasks ask for.

    Args:
        recorder: Where rows go.
        options: What the run was asked to do.
        forks: Begins what goes on by itself.

    Attributes:
        execution_id: The run.
        scheduler: What scheduler tasks are given that ask for it.
    """

    def __init__(self, recorder: Recorder, options: RunOptions, forks: Forks) -> None:
        self._recorder = recorder
        self._options = options
        self.execution_id = options.execution_id
        self.scheduler = options.scheduler
        self._answers: dict[type[Request], Callable[[Job, Any], Any]] = {
            AddTags: self._add_tags,
            ReadContext: _read_context,
            AskStanding: self._tell_standing,
            AddMade: _add_made,
            Fork: lambda job, request: forks.begin(job, request.forked),
            Join: lambda job, request: forks.join(job, request.forked),
        }

    def answer(self, job: Job, request: Request) -> Any:
        """Return the answer to what a job asked for.

        Raises:
            TypeError: There is nothing that could answer it.
        """
        try:
            answer = self._answers[type(request)]
        except KeyError:
            raise TypeError(f"nobody answers a {type(request).__name__}") from None
        return answer(job, request)

    def _add_tags(self, job: Job, request: AddTags) -> None:
        if not job.is_recorded:
            return
        recorder = self._recorder
        if request.tags:
            packed, reason = recorder.pack_result(request.value)
            if packed is None:
                raise ValueError(f"a value that cannot be stored has no tags: {reason}")
            recorder.add_value(packed)
            recorder.add_tags("Value", packed.values[0].value_hash, request.tags)
        recorder.add_tags("Job", (job.owner or job).id, request.job_tags)
        recorder.add_tags("Execution", self._options.execution_id, request.execution_tags)

    def _tell_standing(self, job: Job, request: AskStanding) -> Standing:
        known = {name: each for name, each in job.exported.items() if name not in job.lazy_exports}
        run = self._options
        options = run.options if run.queue is None else {**run.options, "queue": run.queue}
        return Standing(
            job.context.data, known, job.is_recorded, options, run.use_cache, run.fail_fast
        )


def _add_made(job: Job, request: AddMade) -> None:
    """Have what stands for a call that was made elsewhere be a child of a job."""
    made = request.made
    assert isinstance(job.expr, TaskExpression)
    child = Job(JobId(made.job_id), job.task, job.task_hash, job.expr, job, job.options)
    child.phase = phases.DONE
    child.context = job.context
    child.call_hash, child.is_cached = made.call_hash, made.is_cached
    child.subtree, child.reads = made.subtree, made.reads
    child.is_recorded = made.call_hash is not None
    job.add_children(child)


def _read_context(job: Job, request: ReadContext) -> Any:
    job.context.hash_at(request.path)  # what has none cannot be read
    job.reads |= {request.path}
    return job.context.get(request.path)
