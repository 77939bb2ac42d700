"""Aliases of tasks as people see them: which earlier code counts for which later code."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.provenance.page import Block, Column, Grid, Line, Note, Span, clean, line
from taskgraph.provenance.render import moment, short_id
from taskgraph.provenance.views import AliasView

_WHY_WIDTH = 60


def aliases_page(aliases: Sequence[AliasView]) -> list[Block]:
    """Return a table of aliases, oldest first; those that ended say so."""
    if not aliases:
        return [Note(line("Nothing is blessed."))]
    names = ("EARLIER CODE", "COUNTS FOR", "SINCE", "BY", "WHY")
    shrinking = {"BY", "WHY"}
    columns = [Column(name, may_shrink=name in shrinking) for name in names]
    return [Grid(columns, [_row(each) for each in aliases])]


def _row(alias: AliasView) -> list[Line]:
    why = clean(alias.why, _WHY_WIDTH)
    reason = line(why)
    if alias.ended is not None:
        taken_back = f"taken back {moment(alias.ended).text} by {clean(alias.ended_by or '?')}"
        reason = line(Span(taken_back, "failed"), f". {why}" if why else "")
    return [
        version(alias.old, alias.old_hash),
        version(alias.new, alias.new_hash),
        moment(alias.time),
        line(Span(clean(alias.author), "dim")),
        reason,
    ]


def version(fullname: str, task_hash: str) -> Line:
    """Return a task's name with the first digits of its hash."""
    return line(Span(clean(fullname), "task"), " ", short_id(task_hash))
