"""Views of what a reader finds: the way from an id, a name or a path to what is shown.

Each view is bounded: so many jobs, so many calls, whatever the size of the execution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.errors import LineageError
from taskgraph.provenance.chart_formats import chart_dot, chart_json, chart_mermaid
from taskgraph.provenance.chart_tree import chart_page, chart_text
from taskgraph.provenance.charts import MOST_NODES, Chart, ChartArrow, make_chart
from taskgraph.provenance.flow_page import view_flow
from taskgraph.provenance.html import notebook
from taskgraph.provenance.lineage import job_of, tell_story, view_call
from taskgraph.provenance.page import Block, plain_text
from taskgraph.provenance.render import (
    call_page,
    execution_page,
    job_page,
    task_page,
    value_page,
)
from taskgraph.provenance.rows import (
    CallRow,
    ExecutionRow,
    FileRow,
    JobRow,
    Reader,
    TaskRow,
    ValueRow,
)
from taskgraph.provenance.tag_detail import TagDetail, tag_page, view_tag
from taskgraph.provenance.tagged import current_tags
from taskgraph.provenance.views import (
    CallDetail,
    CallReference,
    ExecutionDetail,
    ExecutionView,
    JobDetail,
    JobView,
    Story,
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
_WITH_RESULT: Final = frozenset({"Execution", "Job"})


View = ExecutionDetail | JobDetail | CallDetail | TaskDetail | ValueDetail | TagDetail


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
        return _value(reader, file.value, limit or _JOBS_OF_A_RECORD)
    makers: dict[str, Callable[[], View]] = {
        "Execution": lambda: _execution(reader, found, limit or _JOBS_OF_AN_EXECUTION),
        "Job": lambda: _job(reader, found),
        "CallNode": lambda: _call(reader, found, limit or _JOBS_OF_A_RECORD),
        "Task": lambda: _task(reader, found, limit or _JOBS_OF_A_RECORD),
        "Value": lambda: _value(reader, found, limit or _JOBS_OF_A_RECORD),
        "File": lambda: _value(reader, found.value, limit or _JOBS_OF_A_RECORD),
        "Tag": lambda: view_tag(reader, found),
    }
    maker = makers.get(type(found).__name__)
    return None if maker is None else maker()


@dataclass(frozen=True, slots=True)
class Lineage:
    """How a value came to be, or what was made of it; shown as a page by ``print``.

    Attributes:
        value: The value, or the file.
        story: The calls that led to it; without steps if it came from outside.
        used_by: Calls that had it among their arguments, newest first.
        chart: Calls, and the values between them, as a graph.
    """

    value: ValueView
    story: Story
    used_by: tuple[JobView, ...]
    chart: Chart
    _page: str

    @property
    def edges(self) -> tuple[ChartArrow, ...]:
        """The arrows of the chart, in the direction in which data went."""
        return self.chart.arrows

    @property
    def text(self) -> str:
        """The chart as an indented tree."""
        return chart_text(self.chart)

    def to_json(self) -> str:
        """Return the chart as JSON."""
        return chart_json(self.chart)

    def to_dot(self) -> str:
        """Return the chart in the language of Graphviz."""
        return chart_dot(self.chart)

    def to_mermaid(self) -> str:
        """Return the chart as a flowchart of Mermaid."""
        return chart_mermaid(self.chart)

    def _repr_html_(self) -> str:
        return notebook(chart_page(self.chart))

    def __str__(self) -> str:
        return self._page


def chart_of(
    reader: Reader,
    found: Any,
    text: str,
    *,
    down: bool = False,
    all: bool = False,
    depth: int | None = None,
    types: Sequence[str] | None = None,
    most: int | None = MOST_NODES,
) -> Chart:
    """Return the chart of what a reader found: what led to it, or what was made of it.

    Args:
        reader: Where it was found.
        found: A row, or a file with its job. Any: it may be of any table.
        text: What it was found by.
        down: Whether to ask what was made of it.
        all: Whether to follow files from one execution to another.
        depth: At most so many calls away.
        types: Only values of these types.
        most: At most so many calls and values.

    Raises:
        LineageError: It has no value.
    """
    flow = reader.data_flow(found, down=down, all=all)
    if flow is None:
        kind = type(found).__name__
        reason = (
            "it has no result yet."
            if kind in _WITH_RESULT
            else f"it is a {kind.lower()}, no value."
        )
        raise LineageError(text, reason)
    return make_chart(
        flow.start,
        flow.edges,
        down=down,
        execution_id=flow.execution_id,
        types=types,
        depth=depth,
        most=most,
    )


def lineage_of(
    reader: Reader,
    found: Any,
    text: str,
    *,
    down: bool = False,
    all: bool = False,
    depth: int | None = None,
    types: Sequence[str] | None = None,
) -> Lineage:
    """Return how what a reader found came to be; of a job or a call, how its result did.

    Args:
        reader: Where it was found.
        found: A row, or a file with its job. Any: it may be of any table.
        text: What it was found by.
        down: Whether the chart is of what was made of it.
        all: Whether the chart follows files from one execution to another.
        depth: At most so many calls away.
        types: Only values of these types.

    Raises:
        LineageError: It is no value and has none.
    """
    # A task is a value too: its text, which came from no call.
    asked = found.value if type(found).__name__ == "Task" else found
    chart = chart_of(reader, asked, text, down=down, all=all, depth=depth, types=types)
    view = look_at(reader, _value_row(asked))
    assert isinstance(view, ValueDetail)
    page = plain_text(value_page(view))
    return Lineage(view.value, view.story, view.used_by, chart, page)


def _value_row(found: Any) -> Any:
    """Return the row of a value, which a found one is, has, or gave as its result."""
    if isinstance(found, tuple):
        found = found[0]
    if type(found).__name__ == "Value":  # Its column of this name has the bytes.
        return found
    call = getattr(found, "call_node", None)
    return found.value if call is None else call.value


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
        case TagDetail():
            return tag_page(view)


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
        tags=current_tags(row),
        message=row.message,
    )


def _job(reader: Reader, row: JobRow) -> JobDetail:
    trace = [row]
    above = row.parent_job
    while above is not None and len(trace) < _MOST_TRACE:
        trace.append(above)
        above = above.parent_job
    call = row.call_node
    return JobDetail(
        job=JobView.of(row),
        trace=tuple(JobView.of(each) for each in reversed(trace)),
        call=None if call is None else view_call(reader, call),
        source=row.task.source,
        tags=current_tags(row),
        data_flow=view_flow(reader, row),
    )


def _call(reader: Reader, row: CallRow, limit: int) -> CallDetail:
    return CallDetail(
        call=view_call(reader, row),
        children=tuple(map(CallReference.of, reader.children(row.call_hash, _MOST_CHILDREN))),
        jobs=tuple(map(JobView.of, reader.jobs_of_call(row.call_hash, limit))),
        source=row.task.source,
        tags=current_tags(row),
        data_flow=view_flow(reader, row),
    )


def _task(reader: Reader, row: TaskRow, limit: int) -> TaskDetail:
    jobs = tuple(map(JobView.of, reader.jobs_of_task(row.hash, limit)))
    return TaskDetail(row.hash, row.fullname, row.source, jobs, current_tags(row))


def _value(reader: Reader, row: ValueRow, limit: int) -> ValueDetail:
    users, total = reader.users(row.value_hash, limit)
    jobs = [job for call in users if (job := job_of(reader, call)) is not None]
    return ValueDetail(
        value=ValueView.of(row),
        story=tell_story(reader, row),
        used_by=tuple(map(JobView.of, jobs)),
        used_by_total=total,
        tags=current_tags(row),
        data_flow=view_flow(reader, row),
        kept_at=reader.entry_of(row.value_hash),
    )
