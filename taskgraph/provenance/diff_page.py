"""How the difference of two executions is shown: the numbers first, then what changed and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from taskgraph.provenance.diff_views import (
    DiffArgument,
    DiffCall,
    DiffChange,
    DiffCode,
    ExecutionsDiff,
    Ingredient,
    Some,
)
from taskgraph.provenance.explain_words import brief
from taskgraph.provenance.page import (
    Block,
    Column,
    Diff,
    Facts,
    Grid,
    Heading,
    Line,
    Note,
    Span,
    clean,
    line,
)
from taskgraph.provenance.render import called, moment, more_of, preview, short_id, status
from taskgraph.provenance.views import ExecutionView

_VALUE_WIDTH: Final = 40
_MOST_DIFF_LINES: Final = 20
_WORDS: Final = {
    Ingredient.CODE: "code",
    Ingredient.FILE: "a file",
    Ingredient.ARGUMENT: "arguments",
    Ingredient.CONTEXT: "context",
    Ingredient.STATE: "how it ended",
    Ingredient.ENVIRONMENT: "environment",
    Ingredient.RESULT: "result only",
    Ingredient.CHILDREN: "calls below",
}


def diff_page(diff: ExecutionsDiff) -> list[Block]:
    """Return the page of a difference."""
    old, new = diff.old, diff.new
    blocks: list[Block] = [
        Heading(line("Execution ", short_id(old.id), " against ", short_id(new.id))),
        _executions(old, new),
        Heading(line("Calls"), is_part=True),
        Facts(list(_numbers(diff))),
    ]
    if diff.is_same:
        blocks.append(Note(line(Span("Nothing that was called is new, gone or changed.", "dim"))))
        return blocks
    blocks += [Heading(line("By task"), is_part=True), _tasks(diff)]
    blocks += _more(diff.tasks.left_out, "tasks")
    for code in diff.codes.shown:
        blocks += _code(code)
    blocks += _more(diff.codes.left_out, "tasks with other code")
    if diff.changes.shown:
        blocks += [Heading(line("Changed"), is_part=True), _changes(diff.changes.shown)]
        blocks += _more(diff.changes.left_out, "changed calls", "--limit")
    blocks += _calls("New", diff.added_calls)
    blocks += _calls("Gone", diff.gone_calls)
    return blocks


def as_json(diff: ExecutionsDiff) -> str:
    """Return a difference as JSON text."""
    return json.dumps({"type": "diff", **asdict(diff)}, indent=2, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _executions(*views: ExecutionView) -> Grid:
    columns = [
        *(Column(""), Column("id"), Column("task", may_shrink=True), Column("status")),
        *(Column("started", may_drop=True), Column("jobs", is_right=True, may_drop=True)),
    ]
    rows = [
        [
            line(Span(name, "dim")),
            short_line(view.id),
            line(Span(clean(view.task or "-"), "task")),
            status(view.status),
            moment(view.started),
            line(f"{sum(view.counts.values()):,}"),
        ]
        for name, view in zip(("old", "new"), views, strict=True)
    ]
    return Grid(columns, rows)


def short_line(identity: str) -> Line:
    """Return the first digits of an id as a line of its own."""
    return line(short_id(identity))


def _numbers(diff: ExecutionsDiff) -> Iterator[tuple[str, Line]]:
    yield "same", line(f"{diff.same:,}")
    changed = Span(f"{diff.changed:,}", "running" if diff.changed else "dim")
    yield "changed", line(changed, _by(diff))
    yield "new", line(Span(f"{diff.added:,}", "done" if diff.added else "dim"))
    yield "gone", line(Span(f"{diff.gone:,}", "failed" if diff.gone else "dim"))
    if diff.reused:
        why = "below calls that the other execution took whole from the records"
        yield "not made", line(f"{diff.reused:,}", Span(f"  {why}", "dim"))
    if diff.is_environment_changed:
        yield "environment", line("not the same: `taskgraph report` shows it")


def _by(diff: ExecutionsDiff) -> Line:
    if not diff.by:
        return line()
    words = [f"{_WORDS[Ingredient(name)]} {count:,}" for name, count in diff.by.items()]
    return line(Span(f"  ({', '.join(words)})", "dim"))


def _tasks(diff: ExecutionsDiff) -> Grid:
    columns = [Column("task", may_shrink=True)]
    columns += [Column(name, is_right=True) for name in ("same", "changed", "new", "gone")]
    rows = []
    for each in diff.tasks.shown:
        numbers = (each.same, each.changed, each.new, each.gone)
        styles = ("", "running", "done", "failed")
        cells = [
            line(Span(f"{number:,}" if number else "-", style if number else "dim"))
            for number, style in zip(numbers, styles, strict=True)
        ]
        rows.append([line(Span(clean(each.task), "task")), *cells])
    return Grid(columns, rows)


def _code(code: DiffCode) -> Iterator[Block]:
    calls = "1 call" if code.calls == 1 else f"{code.calls:,} calls"
    yield Heading(
        line(
            *("Code of ", Span(clean(code.task), "task"), " ", short_id(code.old_hash), " -> "),
            *(short_id(code.new_hash), Span(f"  {calls}", "dim")),
        ),
        is_part=True,
    )
    if not code.changes:
        yield Note(line("in a part that is not recorded"))
    for change in code.changes:
        yield Note(line(clean(brief(change))))
        if change.diff:
            lines = change.diff.splitlines()
            yield Diff("\n".join(lines[:_MOST_DIFF_LINES]))
            yield from _more(len(lines) - _MOST_DIFF_LINES, "lines", "taskgraph explain")
    yield from _more(code.changes_left_out, "parts", "taskgraph explain")


def _changes(changes: Sequence[DiffChange]) -> Grid:
    columns = [
        Column("task", may_shrink=True),
        Column("by", may_shrink=True, may_drop=True),
        Column("what", may_shrink=True),
        Column("old job", may_drop=True),
        Column("new job"),
    ]
    rows = [
        [
            line(Span(clean(each.task), "task")),
            line(", ".join(_WORDS[name] for name in each.ingredients)),
            _what(each),
            short_line(each.old_job),
            short_line(each.new_job),
        ]
        for each in changes
    ]
    return Grid(columns, rows)


def _what(change: DiffChange) -> Line:
    """Return in a few words what is not the same of a call; else how its result changed."""
    parts: list[Line] = [_argument(each) for each in change.arguments]
    parts += [line("context ", Span(clean(path), "name")) for path in change.contexts]
    if change.old_status != change.new_status and Ingredient.STATE in change.ingredients:
        before, after = status(change.old_status), status(change.new_status)
        parts.append(line(before, " -> ", after))
    old, new = change.old_result, change.new_result
    if not parts and old != new:
        if _value(old) == _value(new):  # the same path
            parts.append(line("result: content of ", _value(new)))
        else:
            parts.append(line("result ", _value(old), " -> ", _value(new)))
    joined: list[str | Span | Line] = []
    for each in parts:
        joined += ["; ", each] if joined else [each]
    return line(*joined)


def _argument(argument: DiffArgument) -> Line:
    name = Span(clean(argument.name), "name")
    if argument.is_file:
        return line(name, ": content of ", _value(argument.new))
    giver = () if argument.given_by is None else (Span(f" from {clean(argument.given_by)}", "dim"),)
    old, new = _value(argument.old), _value(argument.new)
    if old == new:  # a file of one path
        return line(name, ": content of ", new, *giver)
    return line(name, ": ", old, " -> ", new, *giver)


def _value(shown: str | None) -> Line:
    return line(Span("-", "dim") if shown is None else preview(shown, _VALUE_WIDTH))


def _calls(title: str, calls: Some[DiffCall]) -> Iterator[Block]:
    if not calls.shown:
        return
    columns = [Column("call", may_shrink=True), Column("status"), Column("job")]
    rows = [
        [
            called(each.task, [(_named(name), _value(shown)) for name, shown in each.arguments]),
            status(each.status),
            short_line(each.job_id),
        ]
        for each in calls.shown
    ]
    yield Heading(line(title), is_part=True)
    yield Grid(columns, rows)
    yield from _more(calls.left_out, "calls", "--limit")


def _named(name: str) -> str:
    return "" if name.startswith("*") else name


def _more(count: int, what: str, option: str = "") -> Iterator[Block]:
    if count > 0:
        hint = f" ({option} shows more)" if option else ""
        yield Note(line(Span(f"{more_of(count, what)}{hint}", "dim")))


__all__ = ["as_json", "diff_page"]
