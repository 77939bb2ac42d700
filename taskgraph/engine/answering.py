"""Answers to what scheduler tasks ask of the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskgraph.engine.forking import Forks
from taskgraph.engine.jobs import Job, Phase
from taskgraph.engine.recorder import Recorder
from taskgraph.expression import TaskExpression
from taskgraph.records import ExecutionId, JobId
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
from taskgraph.worker import weigh_result


class Answering:
    """Does what scheduler tasks ask for.

    Args:
        recorder: Where rows go.
        execution_id: That of the run.
        max_value_size: How many bytes a value that is stored may have.
        forks: Begins what goes on by itself.
    """

    def __init__(
        self,
        recorder: Recorder,
        execution_id: ExecutionId,
        max_value_size: int | None,
        forks: Forks,
    ) -> None:
        self._recorder = recorder
        self._execution_id = execution_id
        self._max_size = max_value_size
        self._answers: dict[type[Request], Callable[[Job, Any], Any]] = {
            AddTags: self._add_tags,
            ReadContext: _read_context,
            AskStanding: _tell_standing,
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
            packed, reason = weigh_result(request.value, self._max_size)
            if packed is None:
                raise ValueError(f"a value that cannot be stored has no tags: {reason}")
            recorder.add_value(packed)
            recorder.add_tags("Value", packed.values[0].value_hash, request.tags)
        recorder.add_tags("Job", (job.owner or job).id, request.job_tags)
        recorder.add_tags("Execution", self._execution_id, request.execution_tags)


def _tell_standing(job: Job, request: AskStanding) -> Standing:
    known = {name: each for name, each in job.exported.items() if name not in job.lazy_exports}
    return Standing(job.context.data, known)


def _add_made(job: Job, request: AddMade) -> None:
    """Have what stands for a call that was made elsewhere be a child of a job."""
    made = request.made
    assert isinstance(job.expr, TaskExpression)
    child = Job(JobId(made.job_id), job.task, job.task_hash, job.expr, job, job.options)
    child.phase = Phase.DONE
    child.context = job.context
    child.call_hash, child.is_cached = made.call_hash, made.is_cached
    child.subtree, child.reads = made.subtree, made.reads
    job.children.append(child)


def _read_context(job: Job, request: ReadContext) -> Any:
    job.context.hash_at(request.path)  # what has none cannot be read
    job.reads |= {request.path}
    return job.context.get(request.path)
