"""Lists of records of all kinds: a table for each kind, or JSON with a cursor for each record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol

from taskgraph.filters import RecordFilters
from taskgraph.provenance.page import Block, Column, Grid, Heading, Line, Note, Span, clean, line
from taskgraph.provenance.render import (
    byte_size,
    called,
    duration,
    executions_page,
    file_line,
    moment,
    preview,
    short_id,
    status,
)
from taskgraph.provenance.rows import CallRow, Reader, TaskRow
from taskgraph.provenance.views import ExecutionView, JobView, ValueView

_ARGUMENT_WIDTH: Final = 40
_RESULT_WIDTH: Final = 60
_VALUE_WIDTH: Final = 100
# A call of ten thousand arguments is shown by the first ones.
_MOST_ARGUMENTS: Final = 50


class TaskUseRow(Protocol):
    """How much a version of a task was used."""

    @property
    def calls(self) -> int:
        """How many calls are recorded."""
        ...

    @property
    def first(self) -> datetime:
        """When the first was computed."""
        ...

    @property
    def last(self) -> datetime:
        """When the last was computed."""
        ...


class ListedRows(Protocol):
    """A page of rows."""

    @property
    def records(self) -> Sequence[Any]:
        """The rows; Any, for they are of several tables."""
        ...

    @property
    def cursors(self) -> Sequence[str]:
        """Of each, what to be after for what follows it."""
        ...

    @property
    def next(self) -> str | None:
        """The same for the next page, or None."""
        ...

    @property
    def counts(self) -> Mapping[str, dict[str, int]]:
        """Of each execution, how many jobs it has by status."""
        ...

    @property
    def uses(self) -> Mapping[str, TaskUseRow]:
        """Of each task that was called, how much."""
        ...


class ListingReader(Reader, Protocol):
    """What is asked of the archive for lists."""

    def listed(
        self, filters: RecordFilters, limit: int, *, page: int = 0, after: str | None = None
    ) -> ListedRows:
        """Return a page of records, the newest first."""
        ...

    def counted(self, filters: RecordFilters) -> Sequence[tuple[str, int]]:
        """Return how many records there are of each kind."""
        ...


@dataclass(frozen=True, slots=True)
class CallSummary:
    """A call in a list; ``arguments`` and ``result`` are previews."""

    json_type: ClassVar = "call"

    call_hash: str
    task: str
    task_hash: str
    time: datetime
    arguments: tuple[tuple[str, str], ...]
    result: str

    @classmethod
    def of(cls, row: CallRow) -> CallSummary:
        """Make a view of a row."""
        given = row.arguments[:_MOST_ARGUMENTS]
        arguments = tuple((each.arg_key or "", each.value.preview) for each in given)
        preview = row.value.preview
        return cls(row.call_hash, row.task_name, row.task_hash, row.timestamp, arguments, preview)


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """A version of a task in a list, and how much it was called."""

    json_type: ClassVar = "task"

    hash: str
    task: str
    calls: int
    first: datetime | None
    last: datetime | None

    @classmethod
    def of(cls, row: TaskRow, use: TaskUseRow | None) -> TaskSummary:
        """Make a view of a row."""
        if use is None:
            return cls(row.hash, row.fullname, 0, None, None)
        return cls(row.hash, row.fullname, use.calls, use.first, use.last)


AnyView = ExecutionView | JobView | CallSummary | TaskSummary | ValueView
_TYPES: Final = {
    ExecutionView: "execution",
    JobView: "job",
    CallSummary: "call",
    TaskSummary: "task",
    ValueView: "value",
}


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A record in a list, and what to be after for what follows it."""

    view: AnyView
    cursor: str

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON has it. Any: what the fields hold."""
        of_view = asdict(self.view)
        # A value's own type has the place of the kind of record.
        if isinstance(self.view, ValueView):
            of_view["value_type"] = of_view.pop("type")
        return {"type": _TYPES[type(self.view)], **of_view, "cursor": self.cursor}


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of records, kind by kind, and what the next page is after."""

    records: tuple[ListedRecord, ...]
    next: str | None

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the views of one kind. Any: of that kind."""
        return [each.view for each in self.records if isinstance(each.view, kind)]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many records there are of each kind."""

    counts: dict[str, int]

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON has it. Any: what the fields hold."""
        return {"type": "counts", "counts": self.counts}


def view_listing(found: ListedRows) -> Listing:
    """Return the views of a page of rows."""
    records = zip(found.records, found.cursors, strict=True)
    return Listing(
        tuple(ListedRecord(_view(row, found), cursor) for row, cursor in records), found.next
    )


def _view(row: Any, found: ListedRows) -> AnyView:
    match type(row).__name__:
        case "Execution":
            return ExecutionView.of(row, found.counts.get(row.id, {}))
        case "Job":
            return JobView.of(row)
        case "CallNode":
            return CallSummary.of(row)
        case "Task":
            return TaskSummary.of(row, found.uses.get(row.hash))
        case _:
            return ValueView.of(row)


# Pages


def listing_page(listing: Listing, *, is_later: bool = False) -> list[Block]:
    """Return the tables of a list, one for each kind that is there.

    Args:
        listing: What is on this page.
        is_later: Whether there are pages before it.
    """
    if not listing.records:
        return [Note(line("There are no more records." if is_later else "No record is like that."))]
    tables = [
        ("Executions", _executions(listing.of(ExecutionView))),
        ("Jobs", _jobs(listing.of(JobView))),
        ("Calls", _calls(listing.of(CallSummary))),
        ("Tasks", _tasks(listing.of(TaskSummary))),
        ("Values", _values(listing.of(ValueView))),
    ]
    shown = [(name, blocks) for name, blocks in tables if blocks]
    page: list[Block] = []
    for name, blocks in shown:
        if len(shown) > 1:
            page.append(Heading(line(name), is_part=True))
        page += blocks
    return [*page, *more_note(listing.next)]


def more_note(cursor: str | None) -> list[Block]:
    """Say how to come to the next page, if there is one."""
    if cursor is None:
        return []
    return [Note(line(Span("... and more: --limit, or --after ", "dim"), cursor))]


def counts_page(counts: Counts) -> list[Block]:
    """Return how many records there are of each kind."""
    columns = [Column("type"), Column("count", is_right=True)]
    rows = [[line(kind), line(f"{number:,}")] for kind, number in counts.counts.items()]
    return [Grid(columns, rows)]


def _executions(views: Sequence[ExecutionView]) -> list[Block]:
    return executions_page(views) if views else []


def _jobs(views: Sequence[JobView]) -> list[Block]:
    columns = [
        Column("job"),
        Column("status"),
        Column("started", may_drop=True),
        Column("time", is_right=True, may_drop=True),
        Column("execution", may_drop=True),
        Column("call", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            status(each.status),
            moment(each.started),
            duration(each.seconds),
            line(short_id(each.execution_id)),
            _call_text(each.task, each.arguments, each.result),
        ]
        for each in views
    ]
    return [Grid(columns, rows)] if rows else []


def _calls(views: Sequence[CallSummary]) -> list[Block]:
    columns = [Column("call"), Column("computed", may_drop=True), Column("what", may_shrink=True)]
    rows = [
        [
            line(short_id(each.call_hash)),
            moment(each.time),
            _call_text(each.task, each.arguments, each.result),
        ]
        for each in views
    ]
    return [Grid(columns, rows)] if rows else []


def _tasks(views: Sequence[TaskSummary]) -> list[Block]:
    columns = [
        Column("task"),
        Column("name", may_shrink=True),
        Column("calls", is_right=True),
        Column("first", may_drop=True),
        Column("last", may_drop=True),
    ]
    rows = [
        [
            line(short_id(each.hash)),
            line(Span(clean(each.task), "task")),
            line(f"{each.calls:,}"),
            moment(each.first),
            moment(each.last),
        ]
        for each in views
    ]
    return [Grid(columns, rows)] if rows else []


def _values(views: Sequence[ValueView]) -> list[Block]:
    columns = [
        Column("value"),
        Column("type", may_shrink=True),
        Column("size", is_right=True),
        Column("preview", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.value_hash)),
            line(clean(each.type)),
            line(byte_size(each.size if each.file is None else each.file.size)),
            line(clean(each.preview, _VALUE_WIDTH)) if each.file is None else file_line(each.file),
        ]
        for each in views
    ]
    return [Grid(columns, rows)] if rows else []


def _call_text(task: str, arguments: Sequence[tuple[str, str]], result: str | None) -> Line:
    shown = [(name, line(preview(text, _ARGUMENT_WIDTH))) for name, text in arguments]
    call = called(task, shown)
    if result is None:
        return call
    return line(call, Span(" -> ", "dim"), preview(result, _RESULT_WIDTH))


__all__ = [
    "CallSummary",
    "Counts",
    "ListedRecord",
    "Listing",
    "ListingReader",
    "TaskSummary",
    "counts_page",
    "listing_page",
    "more_note",
    "view_listing",
]
