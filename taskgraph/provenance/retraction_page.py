"""How retractions are shown: what is not to be used, why, and what came from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskgraph.catalog.retractions import Retraction
from taskgraph.provenance.page import Block, Column, Facts, Grid, Heading, Note, Span, clean, line
from taskgraph.provenance.render import moment, short_id

_WIDTH: Final = 80
_MOST: Final = 20


def retraction_blocks(made: Retraction) -> list[Block]:
    """Return what was retracted, or would be, with how it is taken back."""
    what = clean(made.target, _WIDTH)
    if made.is_dry:
        title = line("Would retract ", what)
    elif made.is_new:
        title = line("Retracted ", what)
    else:
        title = line("Retracted before: ", what)
    facts = [
        ("Reason", line(clean(made.reason, _WIDTH))),
        ("By", line(clean(made.by))),
        ("At", moment(made.at)),
        ("Calls", line(_calls(made))),
        ("Executions", line(_ids(made.executions))),
        ("Groups", line(_ids(made.groups) if made.groups else "")),
    ]
    blocks: list[Block] = [
        Heading(title),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    if made.running:
        number = "An execution runs" if len(made.running) == 1 else "Executions run"
        blocks.append(
            Note(
                line(
                    f"{number} now, and may have used some of it already: {_ids(made.running)}. "
                    "Say the same again when it has ended."
                )
            )
        )
    if not made.is_dry:
        undo = Span(f"taskgraph unretract {made.id[:8]}", "dim")
        blocks.append(Note(line("Taken back by: ", undo)))
    return blocks


def undone_blocks(found: Retraction) -> list[Block]:
    """Return what was taken back, with what it had marked."""
    if found.ended_at is not None:
        ended = line("It was taken back before: ", clean(found.target, _WIDTH))
        return [Note(ended)]
    calls, executions = len(found.calls), len(found.executions)
    return [
        Note(line("Taken back: ", clean(found.target, _WIDTH), ", ", clean(found.reason, _WIDTH))),
        Note(
            line(
                f"It had marked {_number(calls, 'call')} and {_number(executions, 'execution')}; "
                "what no other retraction marks counts again."
            )
        ),
    ]


def retractions_list(found: Sequence[Retraction]) -> list[Block]:
    """Return a table of retractions."""
    if not found:
        return [
            Note(line("Nothing is retracted. taskgraph retract TARGET --reason TEXT does that."))
        ]
    columns = [
        Column("id"),
        Column("at"),
        Column("by", may_shrink=True, may_drop=True),
        Column("calls", is_right=True),
        Column("executions", is_right=True),
        Column("target", may_shrink=True),
        Column("reason", may_shrink=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            moment(each.at),
            line(clean(each.by, _WIDTH)),
            line("taken back" if each.ended_at else f"{len(each.calls):,}"),
            line("" if each.ended_at else f"{len(each.executions):,}"),
            line(Span(clean(each.target, _WIDTH), "task")),
            line(clean(each.reason, _WIDTH)),
        ]
        for each in found
    ]
    return [Grid(columns, rows)]


def _calls(made: Retraction) -> str:
    if not made.calls:
        return "none"
    shown = [f"{clean(name, _WIDTH)} {count:,}" for name, count in made.tasks[:_MOST]]
    more = ", ..." if len(made.tasks) > _MOST else ""
    return f"{len(made.calls):,}: {', '.join(shown)}{more}" if shown else f"{len(made.calls):,}"


def _ids(ids: Sequence[str]) -> str:
    if not ids:
        return "none"
    more = f" and {len(ids) - _MOST:,} more" if len(ids) > _MOST else ""
    return " ".join(each[:8] for each in ids[:_MOST]) + more


def _number(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


__all__ = ["retraction_blocks", "retractions_list", "undone_blocks"]
