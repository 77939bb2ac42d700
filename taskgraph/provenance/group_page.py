"""How workflows, groups, what is decided of them and their numbers are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskgraph.catalog.group_rows import Decision, ExecutionGroup, GroupStats
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.provenance.managed_page import state_line
from taskgraph.provenance.page import (
    Block,
    Column,
    Facts,
    Grid,
    Heading,
    Note,
    Span,
    clean,
    line,
)
from taskgraph.provenance.render import moment, short_id

_WIDTH: Final = 60
_WORDS: Final = {
    "never_run": "it never ran",
    "inputs_changed": "its datasets changed",
    "in_progress": "it is in progress",
    "dirty": "it is dirty",
    "retry_failed": "it failed, and runs again",
    "up_to_date": "it is up to date",
    "failed_not_dirty": "it failed; --rerun-failed runs it again",
}


def workflows_page(
    workflows: Sequence[Workflow], total: int = 0, filters: Sequence[str] = ()
) -> list[Block]:
    """Return a table of workflows.

    Args:
        workflows: The workflows.
        total: How many there are, where none is meant.
        filters: What was asked for, as it was written.
    """
    if not workflows and total:
        number = "1 workflow" if total == 1 else f"{total:,} workflows"
        asked = clean(" ".join(filters)) or "no filter: --all lists other versions too"
        return [Note(line(f"None of {number} is meant by {asked}."))]
    if not workflows:
        said = "There are no workflows yet: taskgraph workflow create NAME SCRIPT TASK..."
        return [Note(line(said))]
    columns = [
        Column("id"),
        Column("created"),
        Column("study", may_shrink=True, may_drop=True),
        Column("steps", may_shrink=True),
        Column("name", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            moment(each.created_at),
            line(clean(each.study or "", _WIDTH)),
            line(clean(", ".join(step.task for step in each.steps), _WIDTH)),
            line(
                Span(clean(each.label, _WIDTH), "name"),
                Span("" if each.promoted else " (not promoted)", "dim"),
                Span("" if each.enabled else " (disabled)", "dim"),
            ),
        ]
        for each in workflows
    ]
    return [Grid(columns, rows)]


def workflow_detail(flow: Workflow) -> list[Block]:
    """Return what there is to say of a workflow, and its steps."""
    is_meant = "promoted" if flow.promoted else "not promoted"
    facts = [
        ("Version", line(f"{flow.version}, {is_meant}")),
        ("Study", line(clean(flow.study or ""))),
        ("Created", moment(flow.created_at)),
        ("Disabled", line("" if flow.enabled else "yes: it is not applied")),
        *((clean(key, _WIDTH), line(clean(json.dumps(each)))) for key, each in flow.meta.items()),
    ]
    blocks: list[Block] = [
        Heading(line("Workflow ", short_id(flow.id), " ", clean(flow.label))),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    if not flow.steps:
        said = f"It has no steps yet: taskgraph workflow add-step {clean(flow.label)} TASK"
        return [*blocks, Note(line(said))]
    columns = [
        Column("step", is_right=True),
        Column("id"),
        Column("task", may_shrink=True),
        Column("arguments", may_shrink=True),
        Column("options", may_shrink=True, may_drop=True),
        Column("takes", may_drop=True),
        Column("gives", may_drop=True),
    ]
    rows = [
        [
            line(str(each.position)),
            line(short_id(each.id)),
            line(Span(clean(each.task, _WIDTH), "name")),
            line(_pairs(each.args or {})),
            line(_pairs(each.options)),
            line(clean(each.input_type, _WIDTH)),
            line(clean(each.output_type, _WIDTH)),
        ]
        for each in flow.steps
    ]
    return [*blocks, Heading(line("Steps"), is_part=True), Grid(columns, rows)]


def _pairs(given: Mapping[str, Any]) -> str:
    return clean(" ".join(f"{key}={json.dumps(value)}" for key, value in given.items()), _WIDTH)


def decisions_page(decisions: Sequence[Decision]) -> list[Block]:
    """Return a table of groups with what was decided of them."""
    if not decisions:
        said = "No datasets make a group: taskgraph dataset list shows their facets."
        return [Note(line(said))]
    columns = [
        Column("id"),
        Column("runs"),
        Column("why"),
        Column("datasets", is_right=True),
        Column("group", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.group.id)),
            line(Span("yes", "running") if each.run else Span("no", "dim")),
            line(_WORDS[each.reason.value]),
            line(f"{len(each.datasets):,}"),
            line(Span(clean(each.group.key, _WIDTH), "name")),
        ]
        for each in decisions
    ]
    return [Grid(columns, rows)]


def groups_page(
    groups: Sequence[tuple[ExecutionGroup, Execution | None]],
    total: int,
    filters: Sequence[str] = (),
) -> list[Block]:
    """Return a table of groups, each with its newest execution.

    Args:
        groups: The groups.
        total: How many there are, where none is meant.
        filters: What was asked for, as it was written.
    """
    if not groups:
        if not total:
            return [Note(line("There are no groups yet: taskgraph group plan WORKFLOW"))]
        number = "1 group" if total == 1 else f"{total:,} groups"
        asked = clean(" ".join(filters)) or "no filter: --all lists those of other versions too"
        return [Note(line(f"None of {number} is meant by {asked}."))]
    columns = [
        Column("id"),
        Column("newest"),
        Column("state"),
        Column("dirty"),
        Column("workflow", may_shrink=True),
        Column("group", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(group.id)),
            line("" if newest is None else short_id(newest.id)),
            line("") if newest is None else state_line(newest.state),
            line(clean(group.dirty_reason or "yes", _WIDTH) if group.dirty else ""),
            line(clean(f"{group.workflow}@{group.version}", _WIDTH)),
            line(Span(clean(group.key, _WIDTH), "name")),
        ]
        for group, newest in groups
    ]
    return [Grid(columns, rows)]


def stats_page(stats: Sequence[GroupStats]) -> list[Block]:
    """Return a table of the numbers of groups."""
    if not stats:
        return [Note(line("There are no groups yet: taskgraph group plan WORKFLOW"))]
    told = [
        name
        for name in ("namespace", "workflow")
        if any(getattr(each, name) is not None for each in stats)
    ]
    numbers = ("running", "failed", "successful", "not_started", "dirty", "total")
    columns = [
        *(Column(name, may_shrink=True) for name in told),
        *(Column(name.replace("_", " "), is_right=True) for name in numbers),
    ]
    rows = [
        [
            *(line(clean(getattr(each, name) or "", _WIDTH)) for name in told),
            *(line(f"{getattr(each, name):,}") for name in numbers),
        ]
        for each in stats
    ]
    return [Grid(columns, rows)]


__all__ = ["decisions_page", "groups_page", "stats_page", "workflow_detail", "workflows_page"]
