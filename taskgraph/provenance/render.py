"""Pages from views: how executions, jobs, calls, tasks, values and their stories are shown.

Previews only, and never more rows than the view has: what is long says how much more there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from taskgraph.durations import measured
from taskgraph.provenance.flow_page import flow_blocks
from taskgraph.provenance.page import (
    Block,
    Column,
    Facts,
    Grid,
    Heading,
    Line,
    Note,
    Source,
    Span,
    Tree,
    TreeRow,
    clean,
    line,
)
from taskgraph.provenance.tag_page import tag_blocks
from taskgraph.provenance.views import (
    ArgumentView,
    CallDetail,
    CallView,
    ExecutionDetail,
    ExecutionView,
    FileView,
    JobDetail,
    JobView,
    Story,
    StoryStep,
    TaskDetail,
    ValueDetail,
    ValueView,
)

_ID_DIGITS: Final = 8
_ARGUMENT_WIDTH: Final = 40
_RESULT_WIDTH: Final = 60
_VALUE_WIDTH: Final = 200
_COMMAND_WIDTH: Final = 100
_MOST_ARGUMENTS: Final = 8
_PLURAL: Final = re.compile(r"s\b")
# How files show themselves (`taskgraph.values.files`).
_FILE: Final = re.compile(r"File\(path=(?P<path>.+), hash=[0-9a-f]{8}\)")

#: A mark and a style for each status.
STATUSES: Final[Mapping[str, tuple[str, str]]] = {
    "DONE": ("✓", "done"),
    "CACHED": ("○", "cached"),
    "FAILED": ("✗", "failed"),
    "RUNNING": ("●", "running"),
    "PENDING": ("·", "pending"),
    "CANCELLED": ("⊘", "pending"),
}
# Stands behind what is not to be used any more.
_RETRACTED: Final = (" ", Span("retracted", "failed"))
_COUNTED: Final = ("DONE", "CACHED", "FAILED", "RUNNING", "CANCELLED")


# Pieces


def short_id(identity: str) -> Span:
    """Return the first digits of an id: enough to type it."""
    return Span(identity[:_ID_DIGITS], "id")


def status(word: str, *, is_marked: bool = True) -> Line:
    """Return a status as a mark and a word."""
    mark, style = STATUSES.get(word, ("?", ""))
    return line(Span(f"{mark} {word.lower()}" if is_marked else word.lower(), style))


def duration(seconds: float | None) -> Line:
    """Return a duration for people."""
    if seconds is None:
        return line(Span("-", "dim"))
    return line(Span(measured(seconds), "dim"))


def moment(when: datetime | None) -> Line:
    """Return a time in the reader's own time zone."""
    if when is None:
        return line(Span("-", "dim"))
    return line(f"{when.astimezone():%Y-%m-%d %H:%M:%S}")


def byte_size(size: int) -> str:
    """Return a size for people."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def preview(text: str, most: int) -> str:
    """Return the preview of a value for a row of a list: of a file, the path."""
    match = _FILE.fullmatch(text)
    return clean(text if match is None else match["path"], most)


def called(task: str, arguments: Sequence[tuple[str, Line]]) -> Line:
    """Return a call as it would be written, with what is shown of its arguments."""
    parts: list[str | Span | Line] = [Span(clean(task), "task"), "("]
    for index, (name, shown) in enumerate(arguments[:_MOST_ARGUMENTS]):
        parts.append(", " if index else "")
        if name:
            parts += [Span(clean(name), "name"), "="]
        parts.append(shown)
    return line(*parts, ", ...)" if len(arguments) > _MOST_ARGUMENTS else ")")


def _called(job: JobView) -> Line:
    arguments = [(name, line(preview(text, _ARGUMENT_WIDTH))) for name, text in job.arguments]
    return called(job.task, arguments)


def _job_line(job: JobView) -> Line:
    mark, style = STATUSES.get(job.status, ("?", ""))
    call = line(Span(clean(job.task), "task")) if job.call_hash is None else _called(job)
    parts: list[str | Span | Line] = [Span(mark, style), " ", call]
    if job.result is not None:
        parts += [Span(" -> ", "dim"), preview(job.result, _RESULT_WIDTH)]
    return line(*parts, *_RETRACTED) if job.retracted else line(*parts)


def _call_line(call: CallView) -> Line:
    arguments = [(_key(each), _brief(each.value, _ARGUMENT_WIDTH)) for each in call.arguments]
    result = _brief(call.result, _RESULT_WIDTH)
    shown = line(called(call.task, arguments), Span(" -> ", "dim"), result)
    return line(shown, *_RETRACTED) if call.retracted else shown


def _brief(value: ValueView, width: int) -> Line:
    """Return a value in a few words: of a file, the path."""
    return line(clean(value.preview, width)) if value.file is None else file_line(value.file)


def _key(argument: ArgumentView) -> str:
    return "" if argument.name.startswith("*") else argument.name


def file_line(file: FileView) -> Line:
    """Return a file by its path, and its root where that is not the project."""
    root = "" if file.root in ("project", "") else f"{file.root}:"
    return line(Span(clean(f"{root}{file.path}"), "path"))


def _value_line(value: ValueView) -> Line:
    return line(clean(value.preview, _VALUE_WIDTH))


# Executions


def executions_page(executions: Sequence[ExecutionView], *, is_cut: bool = False) -> list[Block]:
    """Return the list of executions, newest first.

    Args:
        executions: Those to show.
        is_cut: Whether there are more.
    """
    if not executions:
        return [Note(line("Nothing was run yet: taskgraph run SCRIPT TASK"))]
    columns = [
        Column("id"),
        Column("status"),
        Column("started", may_drop=True),
        Column("time", is_right=True, may_drop=True),
        Column("jobs", is_right=True, may_drop=True),
        Column("task", may_shrink=True),
        Column("command", may_shrink=True, may_drop=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            line(status(each.status), *(_RETRACTED if each.retracted else ())),
            moment(each.started),
            duration(each.seconds),
            _job_counts(each.counts),
            line(Span(clean(each.task or "-"), "task")),
            line(Span(clean(each.command_line, _COMMAND_WIDTH), "dim")),
        ]
        for each in executions
    ]
    blocks: list[Block] = [Grid(columns, rows)]
    if is_cut:
        blocks.append(Note(line(Span("... and older ones (--limit shows more)", "dim"))))
    return blocks


def _job_counts(counts: Mapping[str, int]) -> Line:
    """Return how many jobs there were, those that failed and that ran for themselves."""
    parts: list[str | Span | Line] = []
    for word in ("FAILED", "RUNNING", "DONE", "CACHED"):
        if counts.get(word):
            mark, style = STATUSES[word]
            parts += [" " if parts else "", Span(f"{counts[word]:,}{mark}", style)]
    return line(*parts) if parts else line(Span("-", "dim"))


def more_of(count: int, what: str) -> str:
    """Return how many more there are: ``... and 2 more calls``."""
    return f"... and {count:,} more {_PLURAL.sub('', what, count=1) if count == 1 else what}"


def _more(count: int, what: str, option: str) -> list[Block]:
    if count <= 0:
        return []
    return [Note(line(Span(f"{more_of(count, what)} ({option} shows more)", "dim")))]


def execution_page(detail: ExecutionDetail) -> list[Block]:
    """Return one execution: its facts, what came of its jobs, and their tree."""
    return [*execution_summary(detail), *tag_blocks(detail.tags), *execution_calls(detail)]


def execution_summary(detail: ExecutionDetail) -> list[Block]:
    """Return what there is to say of an execution as a whole."""
    execution = detail.execution
    facts = [
        ("status", status(execution.status)),
        ("message", line(clean(detail.message or ""))),
        ("started", moment(execution.started)),
        ("time", duration(execution.seconds)),
        ("command", line(clean(execution.command_line))),
    ]
    blocks: list[Block] = [
        Heading(
            line(
                *("Execution ", short_id(execution.id), "  "),
                Span(clean(execution.task or ""), "task"),
            )
        ),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    if detail.tasks:
        blocks += [Heading(line("Jobs"), is_part=True), _status_table(detail)]
    return blocks


def execution_calls(detail: ExecutionDetail) -> list[Block]:
    """Return the jobs of an execution as a tree."""
    blocks: list[Block] = []
    if detail.jobs:
        blocks += [Heading(line("Calls"), is_part=True), Tree(list(_tree_rows(detail.jobs)))]
    return [*blocks, *_more(detail.jobs_total - len(detail.jobs), "jobs", "--limit")]


def _status_table(detail: ExecutionDetail) -> Grid:
    words = [word for word in _COUNTED if any(each.counts.get(word) for each in detail.tasks)]
    columns = [Column("task", may_shrink=True)]
    columns += [Column(word.lower(), is_right=True) for word in words]
    columns.append(Column("total", is_right=True))
    rows = [
        [line(Span(clean(each.task), "task")), *_numbers(each.counts, words)]
        for each in detail.tasks
    ]
    if len(detail.tasks) > 1:
        total = {word: sum(each.counts.get(word, 0) for each in detail.tasks) for word in words}
        rows.append([line(Span("all", "dim")), *_numbers(total, words)])
    return Grid(columns, rows)


def _numbers(counts: Mapping[str, int], words: Sequence[str]) -> Iterator[Line]:
    for word in words:
        number = counts.get(word, 0)
        yield line(Span(f"{number:,}" if number else "-", STATUSES[word][1] if number else "dim"))
    yield line(f"{sum(counts.values()):,}")


def _tree_rows(jobs: Sequence[JobView]) -> Iterator[TreeRow]:
    """Yield the jobs as a tree: children below their parents, in the order of their start."""
    shown = {job.id for job in jobs}
    children: dict[str | None, list[JobView]] = {}
    for job in jobs:
        children.setdefault(job.parent_id if job.parent_id in shown else None, []).append(job)
    waiting = [(0, job) for job in reversed(children.get(None, []))]
    while waiting:
        depth, job = waiting.pop()
        yield TreeRow(depth, _job_line(job), [duration(job.seconds), line(short_id(job.id))])
        waiting += [(depth + 1, child) for child in reversed(children.get(job.id, []))]


# Single records


def job_page(detail: JobDetail) -> list[Block]:
    """Return one job: how it was come to, its arguments and where they came from, its code."""
    job = detail.job
    facts = [
        ("status", status(job.status)),
        ("started", moment(job.started)),
        ("time", duration(job.seconds)),
        ("execution", line(short_id(job.execution_id))),
    ]
    if job.call_hash is not None:
        facts.append(("call", line(short_id(job.call_hash))))
    if job.queue is not None:
        facts.append(("queue", line(clean(job.queue))))
    blocks: list[Block] = [
        Heading(line("Job ", short_id(job.id), "  ", Span(clean(job.task), "task"))),
        Facts(facts),
    ]
    if len(detail.trace) > 1:
        rows = [
            TreeRow(depth, _job_line(each), [duration(each.seconds), line(short_id(each.id))])
            for depth, each in enumerate(detail.trace)
        ]
        blocks += [Heading(line("Trace"), is_part=True), Tree(rows)]
    if detail.call is not None:
        blocks += _call_blocks(detail.call)
    blocks += flow_blocks(detail.data_flow)
    return [*blocks, *tag_blocks(detail.tags), *_source_blocks(detail.source, job.task_hash)]


def call_page(detail: CallDetail) -> list[Block]:
    """Return one call node: arguments, result, child calls, jobs and code."""
    call = detail.call
    blocks: list[Block] = [
        Heading(line("Call ", short_id(call.call_hash), "  ", Span(clean(call.task), "task"))),
        Facts([("computed", moment(call.time))]),
        *_call_blocks(call),
    ]
    if detail.children:
        rows = [
            [line(short_id(each.call_hash)), line(clean(each.task))] for each in detail.children
        ]
        columns = [Column(""), Column("", may_shrink=True)]
        blocks += [Heading(line("Child calls"), is_part=True), Grid(columns, rows)]
    blocks += flow_blocks(detail.data_flow)
    blocks += [*tag_blocks(detail.tags), *_jobs_blocks(detail.jobs)]
    return [*blocks, *_source_blocks(detail.source, call.task_hash)]


def task_page(detail: TaskDetail) -> list[Block]:
    """Return a task's code and its newest jobs."""
    heading = Heading(line("Task ", short_id(detail.hash), "  ", Span(clean(detail.task), "task")))
    return [
        heading,
        Source(detail.source),
        *tag_blocks(detail.tags),
        *_jobs_blocks(detail.jobs),
    ]


def value_page(detail: ValueDetail) -> list[Block]:
    """Return a value or file: how it came to be, and who used it."""
    value = detail.value
    if value.file is not None:
        heading = line("File ", file_line(value.file))
        facts = [
            ("size", line(byte_size(value.file.size))),
            ("content", line(Span(clean(value.file.content_hash), "id"))),
            ("value", line(short_id(value.value_hash))),
        ]
    else:
        heading = line("Value ", short_id(value.value_hash))
        facts = [
            ("type", line(clean(value.type))),
            ("size", line(byte_size(value.size))),
            ("preview", _value_line(value)),
        ]
    if detail.kept_at is not None:
        facts.append(("kept at", line(clean(detail.kept_at))))
    blocks: list[Block] = [
        Heading(heading),
        Facts(facts),
        *tag_blocks(detail.tags),
        *story_blocks(detail.story),
    ]
    blocks += flow_blocks(detail.data_flow)
    if detail.used_by:
        blocks += [
            Heading(line(f"Used by {detail.used_by_total:,}"), is_part=True),
            _jobs_grid(detail.used_by),
            *_more(detail.used_by_total - len(detail.used_by), "calls", "--limit"),
        ]
    return blocks


def _call_blocks(call: CallView) -> Iterator[Block]:
    if call.arguments:
        columns = [Column(""), Column(""), *[Column("", may_shrink=True)] * 2]
        rows = [
            [
                line(Span(clean(each.name), "name")),
                line(short_id(each.value.value_hash)),
                _value_line(each.value),
                _origin(each),
            ]
            for each in call.arguments
        ]
        yield Heading(line("Arguments"), is_part=True)
        yield Grid(columns, rows)
    yield Heading(line("Result"), is_part=True)
    yield Grid(
        [Column(""), Column("", may_shrink=True)],
        [[line(short_id(call.result.value_hash)), _value_line(call.result)]],
    )


def _origin(argument: ArgumentView) -> Line:
    if not argument.upstream:
        return line()
    parts: list[str | Span | Line] = [Span("from ", "dim")]
    for index, call in enumerate(argument.upstream[:3]):
        parts += [", " if index else "", Span(clean(call.task), "task"), " "]
        parts.append(short_id(call.call_hash))
    if len(argument.upstream) > 3:
        parts.append(Span(f" and {len(argument.upstream) - 3:,} more", "dim"))
    return line(*parts)


def _jobs_blocks(jobs: Sequence[JobView]) -> Iterator[Block]:
    if jobs:
        yield Heading(line("Jobs"), is_part=True)
        yield _jobs_grid(jobs)


def _jobs_grid(jobs: Sequence[JobView]) -> Grid:
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
            line(short_id(job.id)),
            status(job.status),
            moment(job.started),
            duration(job.seconds),
            line(short_id(job.execution_id)),
            line(_called(job), *_RETRACTED) if job.retracted else _called(job),
        ]
        for job in jobs
    ]
    return Grid(columns, rows)


def _source_blocks(source: str, task_hash: str) -> Iterator[Block]:
    if source:
        yield Heading(line("Code ", short_id(task_hash)), is_part=True)
        yield Source(source)


# Stories


def story_blocks(story: Story) -> Iterator[Block]:
    """Show how a value came to be."""
    if not story.steps:
        yield Heading(line("How it came to be"), is_part=True)
        yield Note(line("It came from outside: no recorded call made it."))
        return
    first = story.steps[0]
    yield Heading(line("Written by"), is_part=True)
    yield Facts(list(_maker_facts(first)))
    yield Heading(line("How it came to be"), is_part=True)
    yield Tree([row for step in story.steps for row in _story_rows(step)])
    if story.is_cut:
        yield Note(line(Span("... and more before that: `taskgraph log CALL` goes on.", "dim")))


def _maker_facts(step: StoryStep) -> Iterator[tuple[str, Line]]:
    yield "task", line(Span(clean(step.call.task), "task"), " ", short_id(step.call.task_hash))
    if step.call.retracted:
        yield "retracted", line(Span("its result is not to be used", "failed"))
    if step.job is not None:
        yield "when", line(moment(step.job.started), "  ", duration(step.job.seconds))
        yield "execution", line(short_id(step.job.execution_id))
        yield "job", line(short_id(step.job.id))
    for argument in step.call.arguments:
        yield (
            f"  {clean(argument.name)}",
            line(_value_line(argument.value), "  ", _origin(argument)),
        )


def _story_rows(step: StoryStep) -> Iterator[TreeRow]:
    role = step.role.removeprefix("argument ")
    parts: list[str | Span | Line] = []
    if role and role != "part":
        parts += [Span(clean(role), "name"), Span(" <- ", "dim")]
    elif role:
        parts.append(Span("part <- ", "dim"))
    parts.append(_call_line(step.call))
    if step.seen_before:
        parts.append(Span("  (as above)", "dim"))
    yield TreeRow(step.depth, line(*parts), [line(short_id(step.call.call_hash))])
    if not step.seen_before:
        for file in step.inputs:
            text = line(Span("input ", "dim"), file_line(file))
            yield TreeRow(step.depth + 1, text, [line()])
    if step.more:
        yield TreeRow(step.depth + 1, line(Span("... and more", "dim")), [line()])
