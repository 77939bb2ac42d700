"""Views of what a reader finds: the way from an id, a name or a path to what is shown.

Each view is bounded: so many jobs, so many calls, whatever the size of the execution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from taskgraph.provenance.lineage import tell_story, users_of
from taskgraph.provenance.page import Block
from taskgraph.provenance.render import (
    call_page,
    execution_page,
    job_page,
    task_page,
    value_page,
)
from taskgraph.provenance.rows import CallRow, ExecutionRow, FileRow, JobRow, TaskRow, ValueRow
from taskgraph.provenance.views import (
    CallDetail,
    CallReference,
    CallView,
    ExecutionDetail,
    ExecutionView,
    JobDetail,
    JobView,
    TaskCount,
    TaskDetail,
    ValueDetail,
    ValueView,
)

_JOBS_OF_AN_EXECUTION: Final = 100
_JOBS_OF_A_RECORD: Final = 10
_MOST_CHILDREN: Final = 100
# A failure 10,000 calls deep is shown by its ends.
_MOST_TRACE: Final = 40


class SummaryRow(Protocol):
    """An execution in a list, with the number of its jobs by status."""

    @property
    def execution(self) -> ExecutionRow:
        """The execution."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs it has by status."""
        ...


class JobTreeRows(Protocol):
    """The jobs of an execution."""

    @property
    def jobs(self) -> Sequence[JobRow]:
        """The jobs, by start."""
        ...


class Reader(Protocol):
    """What is asked of the archive."""

    def executions(self, limit: int = 50, offset: int = 0) -> Sequence[SummaryRow]:
        """Return a page of the executions, newest first."""
        ...

    def job_counts(self, execution_id: str) -> dict[str, dict[str, int]]:
        """Return how many jobs of an execution are in which status, by task."""
        ...

    def job_tree(
        self, execution_id: str, *, arguments: bool = False, limit: int | None = None
    ) -> JobTreeRows:
        """Return the jobs of an execution."""
        ...

    def find(self, text: str) -> Any:
        """Return the row that an id, a name or a path stands for; Any, for it may be of any table.

        Raises:
            UnknownRecordError: There is none.
            AmbiguousIdError: There are several.
        """
        ...

    def find_file(self, path: tuple[str, str]) -> tuple[FileRow, JobRow, str] | None:
        """Return the file of a root and path, a job, and ``result`` or ``arg``."""
        ...


def list_executions(reader: Reader, limit: int) -> list[ExecutionView]:
    """Return the newest executions."""
    return [ExecutionView.of(each.execution, each.counts) for each in reader.executions(limit)]


View = ExecutionDetail | JobDetail | CallDetail | TaskDetail | ValueDetail


def look_at(reader: Reader, found: Any, limit: int | None = None) -> View | None:
    """Return the view of a record that a reader found; None for a kind that has none.

    Args:
        reader: Where it was found.
        found: A row, or a file with a job and the part that it played there. Any: which kind of
            row it is is what this function finds out.
        limit: At most so many jobs; by default what fits the kind of record.
    """
    if isinstance(found, tuple):
        file: FileRow = found[0]
        return _value(file.value, limit or _JOBS_OF_A_RECORD)
    makers: dict[str, Callable[[], View]] = {
        "Execution": lambda: _execution(reader, found, limit or _JOBS_OF_AN_EXECUTION),
        "Job": lambda: _job(found),
        "CallNode": lambda: _call(found, limit or _JOBS_OF_A_RECORD),
        "Task": lambda: _task(found, limit or _JOBS_OF_A_RECORD),
        "Value": lambda: _value(found, limit or _JOBS_OF_A_RECORD),
        "File": lambda: _value(found.value, limit or _JOBS_OF_A_RECORD),
    }
    maker = makers.get(type(found).__name__)
    return None if maker is None else maker()


def page_of(view: View) -> list[Block]:
    """Return the page of a view."""
    match view:
        case ExecutionDetail():
            return execution_page(view)
        case JobDetail():
            return job_page(view)
        case CallDetail():
            return call_page(view)
        case TaskDetail():
            return task_page(view)
        case ValueDetail():
            return value_page(view)


def _execution(reader: Reader, row: ExecutionRow, limit: int) -> ExecutionDetail:
    counts = reader.job_counts(row.id)
    total: dict[str, int] = {}
    for of_task in counts.values():
        for status, number in of_task.items():
            total[status] = total.get(status, 0) + number
    jobs = reader.job_tree(row.id, arguments=True, limit=limit).jobs
    return ExecutionDetail(
        execution=ExecutionView.of(row, total),
        tasks=tuple(TaskCount(task, numbers) for task, numbers in counts.items()),
        jobs_total=sum(total.values()),
        jobs=tuple(map(JobView.of, jobs)),
    )


def _job(row: JobRow) -> JobDetail:
    trace = [row]
    above = row.parent_job
    while above is not None and len(trace) < _MOST_TRACE:
        trace.append(above)
        above = above.parent_job
    call = row.call_node
    return JobDetail(
        job=JobView.of(row),
        trace=tuple(JobView.of(each) for each in reversed(trace)),
        call=None if call is None else CallView.of(call),
        source=row.task.source,
    )


def _call(row: CallRow, limit: int) -> CallDetail:
    children = [CallReference.of(child) for child in row.children[:_MOST_CHILDREN]]
    return CallDetail(
        call=CallView.of(row),
        children=tuple(children),
        jobs=_newest(row.jobs, limit),
        source=row.task.source,
    )


def _task(row: TaskRow, limit: int) -> TaskDetail:
    return TaskDetail(row.hash, row.fullname, row.source, _newest(row.jobs, limit))


def _value(row: ValueRow, limit: int) -> ValueDetail:
    users = users_of(row)
    jobs = [job for call in users[:limit] for job in call.jobs[-1:]]
    return ValueDetail(
        value=ValueView.of(row),
        story=tell_story(row),
        used_by=tuple(map(JobView.of, jobs)),
        used_by_total=len(users),
    )


def _newest(jobs: Sequence[JobRow], limit: int) -> tuple[JobView, ...]:
    newest = sorted(jobs, key=lambda job: job.start_time, reverse=True)
    return tuple(map(JobView.of, newest[:limit]))
