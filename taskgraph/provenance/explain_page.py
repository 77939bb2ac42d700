"""Explanations as pages and as JSON: the sentence that answers first, then what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from taskgraph.provenance.explain import (
    AnyExplanation,
    Cause,
    Change,
    ChangeKind,
    CodeExplanation,
    CodePart,
    ExecutionExplanation,
    Explanation,
    RootCause,
    TaskRuns,
)
from taskgraph.provenance.explain_words import brief_of, headline
from taskgraph.provenance.page import (
    Block,
    Column,
    Diff,
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
from taskgraph.provenance.render import called, duration, moment, preview, short_id

_VALUE_WIDTH: Final = 200
_ARGUMENT_WIDTH: Final = 40
_PART_WIDTH: Final = 120
_NAMES: Final = {
    Explanation: "explanation",
    ExecutionExplanation: "execution_explanation",
    CodeExplanation: "code",
}


def explanation_page(explanation: AnyExplanation) -> list[Block]:
    """Return the page of an explanation."""
    match explanation:
        case Explanation():
            return [_headline(explanation), *_call(explanation)]
        case ExecutionExplanation():
            return [_headline(explanation), *_execution(explanation)]
        case CodeExplanation():
            return [_headline(explanation), *_code(explanation)]


class MissTeller:
    """Tells misses while a run goes on: a line each, and each change of code in full but once."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, str]] = set()

    def blocks(self, explanation: Explanation) -> list[Block]:
        """Return what is to be told of a miss."""
        job = explanation.job
        words = line(Span("> ", "running"), headline(explanation))
        blocks: list[Block] = [Note(words if job is None else line(words, "  ", short_id(job.id)))]
        if len(explanation.changes) > 1:
            columns = [Column(""), Column(""), Column(""), Column("", may_shrink=True)]
            blocks.append(Grid(columns, [[line(" "), *_row(each)] for each in explanation.changes]))
        for each in explanation.changes:
            if each.diff and (each.name, each.diff) not in self._shown:
                self._shown.add((each.name, each.diff))
                blocks.append(Diff(each.diff))
        return blocks


def as_json(explanation: AnyExplanation) -> str:
    """Return an explanation as JSON text."""
    record = {
        "type": _NAMES[type(explanation)],
        "headline": headline(explanation),
        **asdict(explanation),
    }
    return json.dumps(record, indent=2, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _headline(explanation: AnyExplanation) -> Heading:
    return Heading(line(Span(headline(explanation), "strong")))


# Calls


def _call(explanation: Explanation) -> Iterator[Block]:
    facts = [("call", _called(explanation))]
    job = explanation.job
    if job is not None:
        facts.append(
            ("job", line(short_id(job.id), "  ", moment(job.started), "  ", duration(job.seconds)))
        )
        facts.append(("execution", line(short_id(job.execution_id))))
    against = explanation.against
    if against is not None:
        facts.append(
            (
                "compared",
                line("with call ", short_id(against.call_hash), " of ", moment(against.time)),
            )
        )
    made = explanation.made_by
    if made is not None:
        facts.append(
            (
                "made by",
                line(
                    "job ",
                    short_id(made.job_id),
                    "  ",
                    moment(made.started),
                    "  ",
                    duration(made.seconds),
                ),
            )
        )
        facts.append(("in", line("execution ", short_id(made.execution_id))))
        facts.append(("code", line(short_id(made.task_hash))))
    yield Facts(facts)
    yield from _changes(explanation)
    if made is not None and made.source:
        yield Heading(line("Code ", short_id(made.task_hash)), is_part=True)
        yield Source(made.source)


def _called(explanation: Explanation) -> Line:
    arguments = [
        ("" if name.startswith("*") else name, line(preview(shown, _ARGUMENT_WIDTH)))
        for name, shown in explanation.arguments
    ]
    return called(explanation.task, arguments)


def _changes(explanation: Explanation) -> Iterator[Block]:
    told = [each for each in explanation.changes if each.kind is not ChangeKind.NEW or each.causes]
    if told:
        columns = [Column(""), Column("", may_shrink=True), Column("", may_shrink=True)]
        yield Heading(line("Why"), is_part=True)
        yield Grid(columns, [_row(each) for each in told])
    if explanation.is_cut:
        yield Note(line(Span("... and more", "dim")))
    for each in explanation.changes:
        if each.diff:
            yield Heading(line(clean(each.name)), is_part=True)
            yield Diff(each.diff)


def _row(change: Change) -> list[Line]:
    name = change.path if change.kind is ChangeKind.ARGUMENT else change.name
    return [
        line(Span(change.kind.value, "dim")),
        line(Span(clean(name), "name")),
        line(*_what(change)),
    ]


def _what(change: Change) -> Iterator[str | Span | Line]:
    is_told = False
    if change.old is not None or change.new is not None:
        yield _value(change.old)
        yield Span(" -> ", "dim")
        yield _value(change.new)
        is_told = True
    if change.kind is ChangeKind.FILE and change.path:
        yield Span(f"{'  ' if is_told else ''}{clean(change.path)}: ", "dim")
        yield clean(change.detail)
        is_told = True
    elif change.detail:
        yield Span(f"{'  ' if is_told else ''}{clean(change.detail, _VALUE_WIDTH)}", "dim")
        is_told = True
    elif change.diff:
        added, removed = _counts(change.diff)
        yield Span(f"+{added} -{removed} lines", "dim")
        is_told = True
    if change.follows:
        yield Span(f"{'  ' if is_told else ''}with the change above", "dim")
        is_told = True
    for cause in change.causes:
        yield "  " if is_told else ""
        yield _cause(cause)
        is_told = True


def _value(shown: str | None) -> Line:
    if shown is None:
        return line(Span("(nothing)", "dim"))
    return line(clean(shown, _VALUE_WIDTH))


def _counts(diff: str) -> tuple[int, int]:
    lines = diff.splitlines()
    return sum(each.startswith("+") for each in lines), sum(each.startswith("-") for each in lines)


_RELATIONS: Final = {"gave": "from ", "called": "called by ", "below": "job "}


def _cause(cause: Cause) -> Line:
    relation = _RELATIONS[cause.relation]
    parts: list[str | Span | Line] = [Span(relation, "dim")]
    if cause.relation != "below":
        parts += [Span(clean(cause.task), "task"), " "]
    parts.append(short_id(cause.job_id))
    if cause.relation != "below":
        parts.append(Span(", which ran" if cause.ran else ", which did not run", "dim"))
    return line(*parts)


# Executions


def _execution(explanation: ExecutionExplanation) -> Iterator[Block]:
    yield Facts([("execution", line(short_id(explanation.execution_id)))])
    if explanation.causes:
        yield Heading(line("Why they ran"), is_part=True)
        yield Tree([row for cause in explanation.causes for row in _cause_rows(cause)])
    rest = explanation.ran - explanation.explained
    if rest > 0:
        calls = "call that is" if rest == 1 else "calls that are"
        yield Note(line(Span(f"... and {rest:,} more {calls} not explained here", "dim")))
    changes = {
        (change.kind, change.name): change
        for cause in explanation.causes
        for change in cause.changes
        if change.diff
    }
    for change in changes.values():
        yield Heading(line(clean(change.name)), is_part=True)
        yield Diff(change.diff)


def _cause_rows(cause: RootCause) -> Iterator[TreeRow]:
    count = sum(each.count for each in (*cause.tasks, *cause.followed))
    calls = f"{count:,} {'call' if count == 1 else 'calls'}"
    yield TreeRow(0, line(Span(brief_of(cause), "strong")), [line(calls)])
    for each in cause.tasks:
        yield TreeRow(1, _runs(each), [line(f"{each.count:,}")])
    for each in cause.followed:
        yield TreeRow(1, line(Span("then ", "dim"), _runs(each)), [line(f"{each.count:,}")])


def _runs(runs: TaskRuns) -> Line:
    parts: list[str | Span | Line] = [Span(clean(runs.task), "task")]
    for job_id in runs.job_ids:
        parts += ["  ", short_id(job_id)]
    if runs.count > len(runs.job_ids):
        parts.append(Span(" ...", "dim"))
    return line(*parts)


# Code


def _code(explanation: CodeExplanation) -> Iterator[Block]:
    yield Facts(
        [
            ("task", line(Span(clean(explanation.task), "task"))),
            ("code", line(short_id(explanation.task_hash))),
        ]
    )
    if explanation.parts:
        yield Heading(line("What counts"), is_part=True)
        yield _parts(explanation.parts)
    if explanation.unfollowed:
        yield Heading(line("What cannot be followed: a change there is not seen"), is_part=True)
        yield _parts(explanation.unfollowed)


def _parts(parts: tuple[CodePart, ...]) -> Grid:
    columns = [Column("kind"), Column("name", may_shrink=True), Column("what", may_shrink=True)]
    rows = [
        [
            line(Span(clean(each.kind), "dim")),
            line(Span(clean(each.name), "name")),
            line(_text(each)),
        ]
        for each in parts
    ]
    return Grid(columns, rows)


def _text(part: CodePart) -> Span:
    lines = part.text.splitlines()
    if len(lines) > 1:
        # Decorators say less than what they stand above.
        first = next((each for each in lines if each.lstrip()[:1] not in ("@", "")), lines[0])
        return Span(f"{clean(first, _PART_WIDTH)}  ({len(lines)} lines)", "dim")
    return Span(clean(part.text, _PART_WIDTH), "dim")


__all__ = ["MissTeller", "as_json", "explanation_page"]
