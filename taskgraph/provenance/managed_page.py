"""How executions, their states and dependencies, and studies are shown as they are managed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from taskgraph.catalog.rows import DependencyNode, Execution, Study
from taskgraph.catalog.states import State
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
    clean,
    line,
)
from taskgraph.provenance.render import duration, moment, short_id
from taskgraph.provenance.tag_page import tag_blocks

_NAME_WIDTH: Final = 60
_MOST_SOURCES: Final = 5  # of an argument, which may have come from thousands of jobs
_STYLES: Final = {
    "COMPLETED": "done",
    "FAILED": "failed",
    "CRASHED": "failed",
    "RUNNING": "running",
    "SCHEDULED": "pending",
    "PENDING": "pending",
}


def executions_list(executions: Sequence[Execution], more: str | None) -> list[Block]:
    """Return a page of executions, and what to type for the next one."""
    columns = [
        Column("id"),
        Column("state"),
        Column("created"),
        Column("ran", is_right=True, may_drop=True),
        Column("study", may_shrink=True, may_drop=True),
        Column("name", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            _state_of(each),
            moment(each.created_at),
            duration(_seconds(each)),
            line(clean(each.study or "", _NAME_WIDTH)),
            line(Span(clean(each.name, _NAME_WIDTH), "task")),
        ]
        for each in executions
    ]
    blocks: list[Block] = [Grid(columns, rows)]
    if more is not None:
        blocks.append(Note(line(Span(f"There are more: add --after {more}", "dim"))))
    return blocks


def nothing_found(total: int, filters: Sequence[str], retracted: int = 0) -> list[Block]:
    """Return what is said where a list is empty: how many there are, and what was asked for."""
    if retracted:
        each = "1 was retracted" if retracted == 1 else f"{retracted:,} were retracted"
        return [Note(line(f"Nothing else is there, and {each}: add --include-retracted"))]
    if not total:
        return [Note(line("There are no executions yet: taskgraph run SCRIPT TASK"))]
    asked = clean(" ".join(filters)) or "no filter"
    number = "1 execution" if total == 1 else f"{total:,} executions"
    return [Note(line(f"None of {number} is meant by {asked}."))]


def execution_detail(
    execution: Execution, states: Sequence[State], nodes: Sequence[DependencyNode]
) -> list[Block]:
    """Return all that is managed of an execution; its states and jobs, where these are given."""
    facts = [
        ("State", _state_of(execution)),
        ("Message", line(clean(execution.state.message or ""))),
        ("Runs", line(clean(execution.entrypoint))),
        ("Study", line(clean(execution.study or ""))),
        ("Workspace", line(Span(clean(execution.workspace or ""), "path"))),
        ("Key", line(clean(execution.idempotency_key or ""))),
        ("Created", moment(execution.created_at)),
        ("Scheduled", _maybe(execution.next_scheduled_start_time)),
        ("Started", _maybe(execution.start_time)),
        ("Ended", _maybe(execution.end_time)),
        ("Ran", line("") if execution.start_time is None else duration(_seconds(execution))),
        ("Times run", line("" if execution.run_count < 2 else f"{execution.run_count}")),
        ("By", line(clean(execution.submitted_by or ""))),
        ("Code", line(clean(execution.code_version or ""))),
    ]
    blocks: list[Block] = [
        Heading(line("Execution ", short_id(execution.id), " ", clean(execution.name))),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    blocks += _object("Parameters", execution.parameters)
    blocks += _object("Options", dict(execution.options))
    blocks += tag_blocks(execution.tags)
    if states:
        blocks += [Heading(line("States"), is_part=True), _states(states)]
    if nodes:
        blocks += [Heading(line("Dependencies"), is_part=True), _dependencies(nodes)]
    return blocks


def snapshot_blocks(snapshot: Any) -> list[Block]:
    """Return what was frozen at submit. Any: JSON."""
    text = json.dumps(snapshot, indent=2, ensure_ascii=False, sort_keys=True)
    return [Heading(line("Snapshot"), is_part=True), Source(text, "text")]


def studies_page(studies: Sequence[Study]) -> list[Block]:
    """Return a table of studies."""
    if not studies:
        return [Note(line("There are no studies yet: taskgraph run --study NAME SCRIPT TASK"))]
    columns = [
        Column("id"),
        Column("created"),
        Column("executions", is_right=True),
        Column("name", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            moment(each.created_at),
            line(f"{each.executions:,}"),
            line(Span(clean(each.name, _NAME_WIDTH), "name")),
        ]
        for each in studies
    ]
    return [Grid(columns, rows)]


def study_page(
    study: Study, executions: Sequence[Execution], more: str | None = None
) -> list[Block]:
    """Return a study with its newest executions."""
    facts = [
        ("Created", moment(study.created_at)),
        ("Executions", line(f"{study.executions:,}")),
        *([] if study.owner is None else [("Owner", line(clean(study.owner)))]),
    ]
    blocks: list[Block] = [
        Heading(line("Study ", short_id(study.id), " ", clean(study.name))),
        Facts(facts),
    ]
    blocks += _object("Meta", dict(study.meta))
    if executions:
        blocks.append(Heading(line("Newest executions"), is_part=True))
        blocks += executions_list(executions, more)
    return blocks


def _object(title: str, given: Any) -> Iterator[Block]:
    if not given:
        return
    yield Heading(line(title), is_part=True)
    if not isinstance(given, dict):
        yield Source(json.dumps(given, indent=2, ensure_ascii=False), "text")
        return
    rows = [
        (clean(str(name)), line(clean(json.dumps(value, ensure_ascii=False), 200)))
        for name, value in given.items()
    ]
    yield Facts(rows)


def _states(states: Sequence[State]) -> Grid:
    columns = [
        Column("state"),
        Column("since"),
        Column("message", may_shrink=True, may_wrap=True),
        Column("details", may_shrink=True, may_wrap=True),
    ]
    rows = [
        [
            state_line(each),
            _maybe(each.timestamp),
            line(clean(each.message or "")),
            line(clean(_details(each))),
        ]
        for each in states
    ]
    return Grid(columns, rows)


def _details(state: State) -> str:
    return ", ".join(f"{key}: {_word(value)}" for key, value in sorted(state.details.items()))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _dependencies(nodes: Sequence[DependencyNode]) -> Grid:
    columns = [Column("job"), Column("state"), Column("task"), Column("needs", may_shrink=True)]
    rows = [
        [
            line(short_id(each.id)),
            line("Cached") if each.cached else state_line(each.state),
            line(Span(clean(each.task), "task")),
            line(", ".join(_need(each))),
        ]
        for each in nodes
    ]
    return Grid(columns, rows)


def _need(node: DependencyNode) -> Iterator[str]:
    for argument, each in groupby(node.upstream, attrgetter("argument")):
        sources = [source.kind if source.job_id is None else source.job_id[:8] for source in each]
        more = f" and {len(sources) - _MOST_SOURCES:,} more" if len(sources) > _MOST_SOURCES else ""
        yield f"{clean(argument)}: {' '.join(sources[:_MOST_SOURCES])}{more}"


def state_line(state: State) -> Line:
    """Return the name of a state, in the colour of its type."""
    return line(Span(clean(state.name, _NAME_WIDTH), _STYLES.get(state.type.value, "")))


def _state_of(execution: Execution) -> Line:
    if not execution.retracted:
        return state_line(execution.state)
    return line(state_line(execution.state), " ", Span("retracted", "failed"))


def _seconds(execution: Execution) -> float | None:
    if execution.start_time is None:
        return None
    return execution.estimated_run_time().total_seconds()


def _maybe(when: datetime | None) -> Line:
    return line("") if when is None else moment(when)


__all__ = [
    "execution_detail",
    "executions_list",
    "nothing_found",
    "snapshot_blocks",
    "state_line",
    "studies_page",
    "study_page",
]
