"""A report on an execution: what ran, from what code and inputs, when, and what failed.

Everything in it is bounded: the longest jobs, the first files, so many failures; it says how many
more there are where that is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from taskgraph.provenance.lineage import tell_story, view_call
from taskgraph.provenance.reading import look_at
from taskgraph.provenance.rows import ExecutionRow, Reader
from taskgraph.provenance.tagged import current_tags
from taskgraph.provenance.views import (
    CallView,
    ExecutionDetail,
    FileView,
    JobDetail,
    JobView,
    Story,
)

_MOST_CALLS: Final = 300
_MOST_TASKS: Final = 200
_MOST_BARS: Final = 400
_MOST_FAILURES: Final = 20
_MOST_FILES: Final = 100
_MOST_STEPS: Final = 60

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskTimeView:
    """How long the calls of one version of a task took, with its code."""

    task: str
    task_hash: str
    source: str
    ran: int
    cached: int
    seconds: float
    longest: float


@dataclass(frozen=True, slots=True)
class Some(Generic[T]):
    """The first of some things, and whether there are more."""

    shown: tuple[T, ...]
    is_cut: bool

    @classmethod
    def of(cls, found: Sequence[T], most: int) -> Some[T]:
        """Make it of one more than are to be shown."""
        return cls(tuple(found[:most]), len(found) > most)


@dataclass(frozen=True, slots=True)
class Report:
    """A report on an execution.

    Attributes:
        execution: The execution, with its first jobs.
        tasks: How long its tasks took, longest first, with their code.
        longest: The jobs that took longest.
        failures: Those that failed by themselves.
        given: The files that its calls were given and none of them made.
        made: The files that its calls gave.
        root: The call that it was, if it came to an end.
        story: How its result came to be.
        environment: What it ran on; nothing where that was not recorded, or may not be read.
        tags: Its tags.
    """

    execution: ExecutionDetail
    tasks: Some[TaskTimeView]
    longest: Some[JobView]
    failures: Some[JobDetail]
    given: Some[FileView]
    made: Some[FileView]
    root: CallView | None
    story: Story
    environment: Mapping[str, Any]
    tags: Mapping[str, list[Any]]


def report_on(reader: Reader, row: ExecutionRow) -> Report:
    """Make a report on an execution; a fixed number of questions, but for its story."""
    detail = look_at(reader, row, _MOST_CALLS)
    assert isinstance(detail, ExecutionDetail)
    failed = Some.of(reader.failed_jobs(row.id, _MOST_FAILURES + 1), _MOST_FAILURES)
    failures = [look_at(reader, each) for each in failed.shown]
    times = [
        TaskTimeView(
            each.task.fullname,
            each.task.hash,
            each.task.source,
            each.ran,
            each.cached,
            each.seconds,
            each.longest,
        )
        for each in reader.task_times(row.id, _MOST_TASKS + 1)
    ]
    longest = list(map(JobView.of, reader.longest_jobs(row.id, _MOST_BARS + 1)))
    given = list(map(FileView.of, reader.files_given(row.id, _MOST_FILES + 1)))
    made = list(map(FileView.of, reader.files_made(row.id, _MOST_FILES + 1)))
    call = None if row.job is None else row.job.call_node
    environment = None if row.environment is None else row.environment.value_parsed
    return Report(
        execution=detail,
        tasks=Some.of(times, _MOST_TASKS),
        longest=Some.of(longest, _MOST_BARS),
        failures=Some(
            tuple(each for each in failures if isinstance(each, JobDetail)), failed.is_cut
        ),
        given=Some.of(given, _MOST_FILES),
        made=Some.of(made, _MOST_FILES),
        root=None if call is None else view_call(reader, call),
        story=Story((), False) if call is None else tell_story(reader, call.value, _MOST_STEPS),
        environment=environment if isinstance(environment, Mapping) else {},
        tags=current_tags(row),
    )
