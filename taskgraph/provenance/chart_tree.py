"""A chart as an indented tree: each node once, and what hangs on it below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from taskgraph.provenance.charts import Chart, ChartArrow, ChartNode
from taskgraph.provenance.page import Block, Heading, Line, Note, Span, Tree, TreeRow, clean, line

_DIGITS: Final = 8
_MOST_DEPTH: Final = 60
_MOST_GIVEN: Final = 80
_MOST_PREVIEW: Final = 44
_STYLES: Final = {"call": "task", "file": "path", "value": ""}


class _Visit(NamedTuple):
    depth: int
    node: ChartNode
    role: str


def chart_page(chart: Chart) -> list[Block]:
    """Return a chart as a page."""
    return [
        Heading(line("What was made of it" if chart.is_down else "Where it came from")),
        Tree([TreeRow(depth, text) for depth, text in _rows(chart)]),
        *(Note(each) for each in _notes(chart)),
    ]


def chart_text(chart: Chart) -> str:
    """Return a chart as plain text, with a line for each node."""
    rows = list(_rows(chart))
    guides = _guides([depth for depth, _ in rows])
    lines = [guide + text.text for guide, (_, text) in zip(guides, rows, strict=True)]
    return "".join(f"{each.rstrip()}\n" for each in [*lines, *(n.text for n in _notes(chart))])


def _notes(chart: Chart) -> Iterator[Line]:
    if len(chart.nodes) == sum(node.is_start for node in chart.nodes) and not chart.left_out:
        came = "Nothing recorded was made of it." if chart.is_down else "It came from no call."
        yield line(Span(came, "dim"))
    if chart.left_out:
        nodes = "node is" if chart.left_out == 1 else "nodes are"
        yield line(
            Span(f"{chart.left_out:,} more {nodes} left out; see --limit and --depth.", "dim")
        )


def _rows(chart: Chart) -> Iterator[tuple[int, Line]]:
    """Give the rows of the tree: depth and text."""
    by_id = {node.id: node for node in chart.nodes}
    further = _further(chart)
    told: set[str] = set()
    waiting = [_Visit(0, node, "") for node in reversed(chart.nodes) if node.is_start]
    while waiting:
        depth, node, role = waiting.pop()
        beside = _beside(chart, node, further, by_id)
        is_again = node.id in told
        told.add(node.id)
        parts: list[str | Span | Line] = []
        if role:
            parts += [Span(role, "name"), ": "]
        parts.append(_node_line(node))
        if is_again:
            yield depth, line(*parts, Span("  (seen above)", "dim"))
            continue
        behind = node
        if beside is not None:
            parts += [Span(" -> " if chart.is_down else " <- ", "dim"), _node_line(beside)]
            if beside.id in told:
                yield depth, line(*parts, Span("  (seen above)", "dim"))
                continue
            told.add(beside.id)
            behind = beside
        yield depth, line(*parts)
        below = min(depth + 1, _MOST_DEPTH)
        if behind.more:
            # On a stack what is told last is put down first.
            waiting.append(_Visit(below, _more(behind), ""))
        waiting.extend(
            _Visit(below, by_id[_far_end(chart, arrow)], _role(chart, arrow))
            for arrow in reversed(further.get(behind.id, []))
        )


def _more(node: ChartNode) -> ChartNode:
    return ChartNode(f"more of {node.id}", "more", f"... {node.more:,} more", "")


def _further(chart: Chart) -> dict[str, list[ChartArrow]]:
    """Return the arrows that lead on from each node, arguments in their order."""
    found: dict[str, list[ChartArrow]] = {}
    for arrow in chart.arrows:
        near = arrow.source if chart.is_down else arrow.target
        found.setdefault(near, []).append(arrow)
    return found


def _far_end(chart: Chart, arrow: ChartArrow) -> str:
    return arrow.target if chart.is_down else arrow.source


def _role(chart: Chart, arrow: ChartArrow) -> str:
    if arrow.kind == "argument":
        return f"as {arrow.name}" if chart.is_down else arrow.name
    return "part" if arrow.kind == "part" and not chart.is_down else ""


def _beside(
    chart: Chart,
    node: ChartNode,
    further: dict[str, list[ChartArrow]],
    by_id: dict[str, ChartNode],
) -> ChartNode | None:
    """Return what fits on the same line: the only maker of a value, the only result of a call."""
    arrows = further.get(node.id, [])
    if node.kind == "more" or (node.kind == "call") is not chart.is_down or node.more:
        return None
    if len(arrows) != 1 or arrows[0].kind != "result":
        return None
    return by_id[_far_end(chart, arrows[0])]


def _node_line(node: ChartNode) -> Line:
    if node.kind == "more":
        return line(Span(node.label, "dim"))
    label = clean(node.label, _MOST_PREVIEW) if node.kind == "value" else node.label
    parts: list[str | Span | Line] = [Span(label, _STYLES[node.kind])]
    if node.given:
        given = ", ".join(f"{name}={value}" for name, value in node.given)
        parts.append(f"({clean(given, _MOST_GIVEN)})")
    return line(*parts, " ", Span(node.hash[:_DIGITS], "id"))


def _guides(depths: Sequence[int]) -> list[str]:
    """Return what is drawn before each row: which lines go on is known from what follows it."""
    drawn: list[str] = []
    goes_on: list[bool] = []
    for depth in reversed(depths):
        goes_on += [False] * (depth + 1 - len(goes_on))
        above = "".join("│   " if goes_on[level] else "    " for level in range(1, depth))
        drawn.append(above + ("├── " if goes_on[depth] else "└── ") if depth else "")
        goes_on = [*goes_on[:depth], True]
    return drawn[::-1]


__all__ = ["chart_page", "chart_text"]
