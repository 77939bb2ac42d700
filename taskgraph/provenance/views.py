"""What is shown of a record: plain data, made from rows, drawn as a page or written as JSON.

The names of the fields are the keys of ``--json`` and change only with a line in the changelog.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any

from taskgraph.jsontext import words_of
from taskgraph.plans import Plan, PlannedCall
from taskgraph.provenance.flow_page import FlowView
from taskgraph.provenance.rows import (
    ArgumentRow,
    CallRow,
    ExecutionRow,
    FileRow,
    JobRow,
    UpstreamRow,
    ValueRow,
)
from taskgraph.records import Micros, TaskAliasRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FileView:
    """A path under a root, and what was seen there."""

    root: str
    path: str
    content_hash: str
    size: int

    @classmethod
    def of(cls, row: FileRow) -> FileView:
        """Make a view of a row."""
        return cls(row.root, row.path, row.content_hash, row.size)


@dataclass(frozen=True, slots=True)
class ValueView:
    """A value, by its preview."""

    value_hash: str
    type: str
    size: int
    preview: str
    file: FileView | None

    @classmethod
    def of(cls, row: ValueRow) -> ValueView:
        """Make a view of a row."""
        file = FileView.of(row.file) if row.file is not None else None
        return cls(row.value_hash, row.type, row.size, row.preview, file)


@dataclass(frozen=True, slots=True)
class CallReference:
    """A call, by its name."""

    call_hash: str
    task: str

    @classmethod
    def of(cls, row: CallRow) -> CallReference:
        """Make a view of a row."""
        return cls(row.call_hash, row.task_name)


@dataclass(frozen=True, slots=True)
class ArgumentView:
    """An argument, and the calls that it came from."""

    name: str
    value: ValueView
    upstream: tuple[CallReference, ...]

    @classmethod
    def of(cls, row: UpstreamRow) -> ArgumentView:
        """Make a view of a row."""
        given = row.argument
        name = given.arg_key if given.arg_key is not None else f"*{given.arg_position}"
        return cls(name, ValueView.of(given.value), tuple(map(CallReference.of, row.calls)))


@dataclass(frozen=True, slots=True)
class CallView:
    """What was computed: a task on arguments gave a result."""

    call_hash: str
    eval_hash: str
    task: str
    task_hash: str
    time: datetime
    arguments: tuple[ArgumentView, ...]
    result: ValueView
    retracted: bool = False

    @classmethod
    def of(cls, row: CallRow, arguments: tuple[ArgumentView, ...]) -> CallView:
        """Make a view of a row."""
        return cls(
            call_hash=row.call_hash,
            eval_hash=row.eval_hash,
            task=row.task_name,
            task_hash=row.task_hash,
            time=row.timestamp,
            arguments=arguments,
            result=ValueView.of(row.value),
            retracted=bool(row.retracted),
        )


@dataclass(frozen=True, slots=True)
class JobView:
    """One attempt to reduce a call; ``arguments`` and ``result`` are previews."""

    id: str
    execution_id: str
    parent_id: str | None
    task: str
    task_hash: str
    call_hash: str | None
    status: str
    started: datetime
    ended: datetime | None
    arguments: tuple[tuple[str, str], ...]
    result: str | None
    retracted: bool = False
    queue: str | None = None

    @classmethod
    def of(cls, row: JobRow) -> JobView:
        """Make a view of a row."""
        call = row.call_node
        arguments = () if call is None else tuple(_previews(call.arguments[:_MOST_ARGUMENTS]))
        return cls(
            id=row.id,
            execution_id=row.execution_id,
            parent_id=row.parent_id,
            task=row.task.fullname,
            task_hash=row.task.hash,
            call_hash=None if call is None else call.call_hash,
            status=row.status,
            started=row.start_time,
            ended=row.end_time,
            arguments=arguments,
            result=None if call is None else call.value.preview,
            retracted=call is not None and bool(call.retracted),
            queue=row.queue,
        )

    @property
    def seconds(self) -> float | None:
        """How long it took, once it has ended."""
        return None if self.ended is None else (self.ended - self.started).total_seconds()


# A call of ten thousand arguments is shown by the first ones.
_MOST_ARGUMENTS = 50


def _previews(arguments: Iterable[ArgumentRow]) -> Iterable[tuple[str, str]]:
    for argument in arguments:
        yield argument.arg_key or "", argument.value.preview


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """One run; ``counts`` has the number of its jobs by status."""

    id: str
    task: str | None
    status: str
    started: datetime | None
    ended: datetime | None
    command: tuple[str, ...]
    counts: dict[str, int]
    retracted: bool = False

    @classmethod
    def of(cls, row: ExecutionRow, counts: dict[str, int]) -> ExecutionView:
        """Make a view of a row and the number of its jobs by status."""
        job = row.job
        ended = row.state_time if row.status not in ("RUNNING", "PENDING") else None
        return cls(
            id=row.id,
            task=(row.entrypoint or None) if job is None else job.task.fullname,
            status=row.status,
            started=None if job is None else job.start_time,
            ended=ended,
            command=words_of(row.args),
            counts=counts,
            retracted=bool(row.retracted),
        )

    @property
    def seconds(self) -> float | None:
        """How long it took, once it has ended."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()

    @property
    def command_line(self) -> str:
        """The command as it was typed, with the program's name alone."""
        if not self.command:
            return ""
        program, *rest = self.command
        name = PurePath(program).name
        # `python -m taskgraph.cli.main` is how a program without a script is found.
        return shlex.join(["taskgraph" if name == "main.py" else name, *rest])


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many jobs of a task came to which state."""

    task: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class ExecutionDetail:
    """One run with its jobs: at most as many as were asked for, of ``jobs_total``."""

    execution: ExecutionView
    tasks: tuple[TaskCount, ...]
    jobs_total: int
    jobs: tuple[JobView, ...]
    tags: dict[str, list[Any]] = field(default_factory=dict)
    message: str | None = None


@dataclass(frozen=True, slots=True)
class JobDetail:
    """One job, with the jobs that led to it, outermost first."""

    job: JobView
    trace: tuple[JobView, ...]
    call: CallView | None
    source: str
    tags: dict[str, list[Any]] = field(default_factory=dict)
    data_flow: FlowView | None = None


@dataclass(frozen=True, slots=True)
class CallDetail:
    """One call node, and the newest jobs that it stands for."""

    call: CallView
    children: tuple[CallReference, ...]
    jobs: tuple[JobView, ...]
    source: str
    tags: dict[str, list[Any]] = field(default_factory=dict)
    data_flow: FlowView | None = None


@dataclass(frozen=True, slots=True)
class TaskDetail:
    """A task's code, and the newest of its jobs."""

    hash: str
    task: str
    source: str
    jobs: tuple[JobView, ...]
    tags: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoryStep:
    """A call in the story of a value.

    Attributes:
        depth: How many steps from the value.
        role: What it was for the step before: ``argument NAME``, ``part`` for a call that made a
            part of that one's result, or nothing for the first.
        call: The call.
        inputs: Its arguments that no call made, with a file in them: the story's beginnings.
        more: How many more calls and files there are behind it than are told of.
        job: The newest job that ran it.
        seen_before: Whether it was told further up, with what led to it.
    """

    depth: int
    role: str
    call: CallView
    inputs: tuple[FileView, ...]
    more: int
    job: JobView | None
    seen_before: bool


@dataclass(frozen=True, slots=True)
class Story:
    """How a value came to be: the call that made it, and what led to that, each call once."""

    steps: tuple[StoryStep, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ValueDetail:
    """A value or file: how it came to be, and who used it.

    Attributes:
        value: The value.
        story: How it came to be; without steps if it came from outside.
        used_by: Calls that had it among their arguments, newest first.
        used_by_total: How many there are.
        data_flow: Where it came from, as text.
        kept_at: Where its bytes are if they are not in the database.
    """

    value: ValueView
    story: Story
    used_by: tuple[JobView, ...]
    used_by_total: int
    tags: dict[str, list[Any]] = field(default_factory=dict)
    data_flow: FlowView | None = None
    kept_at: str | None = None


@dataclass(frozen=True, slots=True)
class BelowView:
    """The calls of one task below another call, and how long they took."""

    task: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PlannedCallView:
    """A call that would run; see `taskgraph.plans.PlannedCall`."""

    task: str
    call: str
    reason: str
    why: str
    is_certain: bool
    is_rerun: bool
    is_open: bool
    is_body: bool
    seconds: float | None
    size: int | None
    task_hash: str
    args_hash: str | None
    below: list[BelowView]

    @classmethod
    def of(cls, call: PlannedCall) -> PlannedCallView:
        """Make a view of a planned call."""
        return cls(
            call.task,
            call.call,
            call.reason,
            call.why,
            call.is_certain,
            call.is_rerun,
            call.is_open,
            call.is_body,
            call.seconds,
            call.size,
            call.task_hash,
            call.args_hash,
            [BelowView(*each) for each in call.below],
        )


@dataclass(frozen=True, slots=True)
class PlanView:
    """What a run would do: how many calls for sure, how many perhaps, and each of them."""

    certain: int
    possible: int
    cached: int
    reruns: int
    seconds: float
    error: str | None
    calls: list[PlannedCallView]

    @classmethod
    def of(cls, plan: Plan) -> PlanView:
        """Make a view of a plan."""
        return cls(
            plan.certain,
            plan.possible,
            sum(plan.cached.values()),
            len(plan.reruns),
            plan.seconds,
            plan.error,
            [PlannedCallView.of(each) for each in plan.calls],
        )


@dataclass(frozen=True, slots=True)
class AliasView:
    """An alias: results of ``old`` count for ``new``, from ``time`` until ``ended``."""

    old: str
    old_hash: str
    new: str
    new_hash: str
    time: datetime
    author: str
    why: str
    ended: datetime | None
    ended_by: str | None

    @classmethod
    def of(cls, row: TaskAliasRecord) -> AliasView:
        """Make a view of a row."""
        return cls(
            row.old_name,
            row.old_hash,
            row.new_name,
            row.new_hash,
            _when(row.timestamp),
            row.author,
            row.why,
            None if row.end_time is None else _when(row.end_time),
            row.end_author,
        )


def _when(micros: Micros) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def as_json(view: Any) -> str:
    """Return a view, or a list of them, as JSON text."""
    if isinstance(view, list | tuple):
        return json.dumps([_record(each) for each in view], indent=2, default=_plain)
    return json.dumps(_record(view), indent=2, default=_plain)


def _record(view: Any) -> dict[str, Any]:
    if hasattr(view, "as_record"):
        own: dict[str, Any] = view.as_record()
        return own
    if hasattr(view, "json_type"):
        return {"type": view.json_type, **asdict(view)}
    return {"type": _TYPE_NAMES[type(view)], **asdict(view)}


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


_TYPE_NAMES = {
    ExecutionView: "execution",
    ExecutionDetail: "execution",
    JobDetail: "job",
    CallDetail: "call",
    TaskDetail: "task",
    ValueDetail: "value",
    AliasView: "alias",
    PlanView: "plan",
}
