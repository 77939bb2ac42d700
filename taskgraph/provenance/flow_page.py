"""The text of a data flow within a page: paragraphs of what came from what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.provenance.page import Block, Heading, Note, Source, Span, clean, line
from taskgraph.provenance.rows import FlowReader

#: What a page has room for; `taskgraph graph` has the rest.
MOST_SECTIONS: Final = 8
_MOST_EDGES: Final = 5_000
_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class FlowView:
    """The text of where a value came from.

    Attributes:
        sections: The first paragraphs, the one on the value itself before all others.
        sections_left_out: How many more there are.
    """

    sections: tuple[dict[str, Any], ...]
    sections_left_out: int


def view_flow(reader: FlowReader, found: Any) -> FlowView | None:
    """Return the text of where a record came from; None of one that came from no call.

    Any: it may be of any table.
    """
    told = reader.tell_flow(found, MOST_SECTIONS, _MOST_EDGES)
    return None if told is None else FlowView(tuple(told.sections), told.left_out)


def flow_blocks(flow: FlowView | None) -> Iterator[Block]:
    """Give the blocks of a page."""
    if flow is None:
        return
    yield Heading(line("Data flow"), is_part=True)
    text = "\n\n".join("\n".join(_lines(each)) for each in flow.sections)
    yield Source(text, language="text")
    if flow.sections_left_out:
        more = f"... and {flow.sections_left_out:,} more; taskgraph graph draws all of it"
        yield Note(line(Span(more, "dim")))


def _lines(section: Mapping[str, Any]) -> Iterator[str]:
    assign = section["assign"]
    name = clean(assign["var_name"])
    yield f"{name} <-- {_step(assign)}"
    for step in section["routing"]:
        yield f"{' ' * len(name)} <-- {_step(step)}"
    args: Sequence[Mapping[str, str]] = section["args"]
    width = max((len(clean(arg["var_name"])) for arg in args), default=0)
    for arg in args:
        shown = f"<{arg['hash'][:_DIGITS]}> {clean(arg['value_display'])}"
        yield f"  {clean(arg['var_name']):<{width}} = {shown}"


def _step(step: Mapping[str, str]) -> str:
    return " ".join(filter(None, (step["prefix"], clean(step["display"]))))


__all__ = ["MOST_SECTIONS", "FlowView", "flow_blocks", "view_flow"]
