"""The trace of a failed run in the user's words: tasks and values, outermost first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskgraph.engine.jobs import Job
from taskgraph.expression import SchedulerExpression, TaskExpression
from taskgraph.ports import FrameRecord
from taskgraph.records import JobId
from taskgraph.values.preview import preview
from taskgraph.worker import describe_error

_MOST_JOBS = 30


@dataclass(frozen=True, slots=True)
class TaskFrame:
    """A call on the way from the root to the failure."""

    job_id: str
    task: str
    filename: str
    lineno: int
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TaskTrace:
    """Where a run failed.

    Attributes:
        tasks: The calls from the root to the one that raised.
        frames: The user's frames inside of that one.
        error: The exception in one line.
        is_body: Whether a task's own body raised, which can be run again alone.
    """

    tasks: tuple[TaskFrame, ...]
    frames: tuple[FrameRecord, ...]
    error: str
    is_body: bool = True

    @property
    def shown(self) -> str:
        """The call that raised and the exception, in one line."""
        call = self.tasks[-1]
        given = ", ".join(f"{name}={value}" for name, value in call.arguments)
        return f"{call.task}({given}): {self.error}"

    def format(self) -> str:
        """Return the trace as text, in the form of Python's own."""
        lines = ["Task trace (outermost task first):"]
        hidden = len(self.tasks) - _MOST_JOBS
        for index, task in enumerate(self.tasks):
            if hidden > 0 and index == _MOST_JOBS // 2:
                lines.append(f"  ... {hidden} more tasks ...")
            if hidden > 0 and _MOST_JOBS // 2 <= index < _MOST_JOBS // 2 + hidden:
                continue
            where = f'file "{task.filename}", line {task.lineno}'
            lines.append(f"  Job {task.job_id[:8]}, task {task.task}, {where}")
            lines += [f"    {name} = {shown}" for name, shown in task.arguments]
        for frame in self.frames:
            lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
            if frame.line:
                lines.append(f"    {frame.line}")
        lines.append(self.error)
        return "\n".join(lines)


def traces_of(failed: Sequence[tuple[Job, BaseException]]) -> list[TaskTrace]:
    """Return the traces from the root to the jobs whose bodies raised; each call is shown once."""
    frames: dict[JobId, TaskFrame] = {}
    return [_trace_of(job, error, frames) for job, error in failed]


def _trace_of(origin: Job, error: BaseException, frames: dict[JobId, TaskFrame]) -> TaskTrace:
    tasks: list[TaskFrame] = []
    job: Job | None = origin
    while job is not None:
        if job.id not in frames:
            frames[job.id] = _frame_of(job)
        tasks.append(frames[job.id])
        job = job.owner
    is_body = not isinstance(origin.expr, SchedulerExpression) and origin.args_hash is not None
    return TaskTrace(tuple(reversed(tasks)), origin.frames, describe_error(error), is_body)


def _frame_of(job: Job) -> TaskFrame:
    code = getattr(job.task.func, "__code__", None)
    filename = code.co_filename if code is not None else "?"
    lineno = code.co_firstlineno if code is not None else 0
    return TaskFrame(job.id, job.task.fullname, filename, lineno, _arguments_of(job))


def _arguments_of(job: Job) -> tuple[tuple[str, str], ...]:
    if job.arguments:
        return tuple(
            (each.key or f"*{each.position}", preview(each.value)) for each in job.arguments
        )
    assert isinstance(job.expr, TaskExpression)
    given: list[tuple[str, Any]] = [(f"*{i}", each) for i, each in enumerate(job.expr.args)]
    given += list(job.expr.kwargs.items())
    return tuple((name, preview(value)) for name, value in given)
