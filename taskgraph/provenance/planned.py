"""Plans as pages: what would run, grouped by task and reason, and where more may come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskgraph.provenance.page import (
    Block,
    Column,
    Grid,
    Heading,
    Line,
    Note,
    Span,
    Tree,
    TreeRow,
    clean,
    line,
)
from taskgraph.provenance.render import byte_size, duration
from taskgraph.provenance.views import PlannedCallView, PlanView

_CALL_WIDTH: Final = 80
_WHY_WIDTH: Final = 120
_MOST_OPEN: Final = 20
_MOST_TASKS: Final = 6


def plan_page(plan: PlanView) -> list[Block]:
    """Return a page that says what would run."""
    blocks: list[Block] = [Heading(_summary(plan))]
    if plan.error is not None:
        blocks.append(Note(line(Span("It would fail: ", "failed"), clean(plan.error))))
    groups = _groups([each for each in plan.calls if each.is_body])
    if groups:
        columns = [
            Column("calls", is_right=True),
            Column("what", may_shrink=True),
            Column("why", may_shrink=True),
            Column("last time", is_right=True, may_drop=True),
            Column("size", is_right=True, may_drop=True),
        ]
        blocks.append(Grid(columns, [_row(each) for each in groups]))
    blocks += _open_calls([each for each in plan.calls if each.is_open])
    return blocks


def _summary(plan: PlanView) -> Line:
    cached = f"{_calls(plan.cached)} cached" if plan.cached else "nothing is cached"
    if not plan.certain and not plan.possible:
        may_come = any(each.is_open for each in plan.calls)
        what = "Nothing is known to run yet" if may_come else "Nothing would run"
        return line(Span(what, "strong"), f"; {cached}.")
    parts: list[str | Span] = [Span(f"{_calls(plan.certain)} would run", "strong")]
    if plan.possible:
        parts.append(f", {plan.possible} more if what they are given changes")
    parts.append(f"; {cached}.")
    if plan.seconds:
        who = "it" if plan.certain == 1 else "they"
        parts.append(f" Last time {who} took {duration(plan.seconds).text}.")
    return line(*parts)


def _calls(count: int) -> str:
    return f"{count:,} {'call' if count == 1 else 'calls'}"


def _groups(calls: Sequence[PlannedCallView]) -> list[list[PlannedCallView]]:
    """Return calls of one task with one reason together; those that run for sure come first."""
    groups: dict[tuple[bool, str, str], list[PlannedCallView]] = {}
    for each in calls:
        groups.setdefault((not each.is_certain, each.task, each.why), []).append(each)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def _row(group: Sequence[PlannedCallView]) -> list[Line]:
    first = group[0]
    sizes = [each.size for each in group if each.size is not None]
    times = [each.seconds for each in group if each.seconds is not None]
    name, _, rest = clean(first.call, _CALL_WIDTH).partition("(")
    more = f" and {len(group) - 1:,} more" if len(group) > 1 else ""
    return [
        line(f"{len(group):,}"),
        line(Span(name, "task"), f"({rest}" if rest else "", Span(more, "dim")),
        line(Span(clean(first.why, _WHY_WIDTH), "" if first.is_certain else "dim")),
        duration(sum(times) if times else None),
        line(Span(byte_size(sum(sizes)) if sizes else "-", "dim")),
    ]


def _open_calls(calls: Sequence[PlannedCallView]) -> list[Block]:
    """Return what is said of calls that may make others, which are known only when they ran."""
    if not calls:
        return []
    rows = [TreeRow(0, _open_line(each)) for each in calls[:_MOST_OPEN]]
    if len(calls) > _MOST_OPEN:
        rows.append(TreeRow(0, line(Span(f"and {len(calls) - _MOST_OPEN:,} more", "dim"))))
    return [Heading(line("These may make further calls:"), is_part=True), Tree(rows)]


def _open_line(call: PlannedCallView) -> Line:
    name, _, rest = clean(call.call, _CALL_WIDTH).partition("(")
    shown = line(Span(name, "task"), f"({rest}" if rest else "")
    if not call.below:
        return line(shown, Span("  what it will call is not known", "dim"))
    total = sum(each.calls for each in call.below)
    names = [f"{each.calls:,} {clean(each.task)}" for each in call.below[:_MOST_TASKS]]
    names += ["..."] if len(call.below) > _MOST_TASKS else []
    took = duration(sum(each.seconds for each in call.below)).text
    return line(
        shown, Span(f"  made {_calls(total)} the last time, in {took}: {', '.join(names)}", "dim")
    )
