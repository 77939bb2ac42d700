"""A chart for other programs: JSON, DOT and Mermaid. Whatever is in a record, it is only text."""

from __future__ import annotations

import json
from typing import Any, Final

from taskgraph.provenance.charts import Chart, ChartNode

#: Changes when a key of the JSON changes its meaning, or goes.
JSON_VERSION: Final = 1
_DIGITS: Final = 8
_MOST_LABEL: Final = 72
_SHAPES: Final = {"call": "box", "file": "note", "value": "ellipse"}
_MERMAID_SHAPES: Final = {"call": ('["', '"]'), "file": ('[/"', '"/]'), "value": ('(["', '"])')}
_MERMAID_SAFE: Final = frozenset(" _-.,:=/*+!?@$%^~'")


def chart_data(chart: Chart) -> dict[str, Any]:
    """Return a chart as plain dicts and lists: what `chart_json` writes."""
    return {
        "version": JSON_VERSION,
        "direction": "downstream" if chart.is_down else "upstream",
        "execution_id": chart.execution_id,
        "start": [node.id for node in chart.nodes if node.is_start],
        "nodes": [_node_data(node) for node in chart.nodes],
        "arrows": [
            {"source": each.source, "target": each.target, "kind": each.kind, "name": each.name}
            for each in chart.arrows
        ],
        "left_out": chart.left_out,
    }


def _node_data(node: ChartNode) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "label": node.label,
        "hash": node.hash,
        "type": node.type or None,
        "given": dict(node.given),
        "more": node.more,
    }


def chart_json(chart: Chart) -> str:
    """Return a chart as JSON."""
    return json.dumps(chart_data(chart), indent=2) + "\n"


def chart_dot(chart: Chart) -> str:
    """Return a chart in the language of Graphviz."""
    lines = [
        "digraph lineage {",
        '  graph [rankdir=LR, bgcolor="transparent", fontcolor="#808080"];',
        '  node [fontname="sans-serif", fontsize=11, style=filled, fillcolor="#ffffff"];',
        '  edge [fontname="sans-serif", fontsize=9, color="#808080", fontcolor="#808080"];',
    ]
    for node in chart.nodes:
        look = f"shape={_SHAPES[node.kind]}"
        if node.kind == "call":
            look += ', fillcolor="#dbe7f6"'
        if node.is_start:
            look += ", penwidth=2"
        text = "\\n".join(map(_dot_escaped, _texts(node)))
        lines.append(f'  {node.id} [label="{text}", {look}];')
    for arrow in chart.arrows:
        look = f'label="{_dot_escaped(arrow.name)}"' if arrow.name else ""
        if arrow.kind == "part":
            look = "style=dashed"
        lines.append(f"  {arrow.source} -> {arrow.target}{f' [{look}]' if look else ''};")
    if chart.left_out:
        lines.append(f'  label="{chart.left_out:,} more left out";')
    return "\n".join([*lines, "}"]) + "\n"


def chart_mermaid(chart: Chart) -> str:
    """Return a chart as a flowchart of Mermaid."""
    lines = ["flowchart LR"]
    for node in chart.nodes:
        before, after = _MERMAID_SHAPES[node.kind]
        text = "<br/>".join(map(_mermaid_escaped, _texts(node)))
        lines.append(f"  {node.id}{before}{text}{after}")
    for arrow in chart.arrows:
        line = "-.->" if arrow.kind == "part" else "-->"
        name = f'|"{_mermaid_escaped(arrow.name)}"|' if arrow.name else ""
        lines.append(f"  {arrow.source} {line}{name} {arrow.target}")
    if chart.left_out:
        lines.append(f'  more["{chart.left_out:,} more left out"]')
    starts = ",".join(node.id for node in chart.nodes if node.is_start)
    if starts:
        lines += ["  classDef start stroke-width:3px", f"  class {starts} start"]
    return "\n".join(lines) + "\n"


def _texts(node: ChartNode) -> list[str]:
    given = [f"{name}={value}" for name, value in node.given]
    label = node.label
    if len(label) > _MOST_LABEL:  # of a path, the end says more
        label = f"...{label[3 - _MOST_LABEL :]}"
    return [label, *given, node.hash[:_DIGITS]]


def _dot_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _mermaid_escaped(text: str) -> str:
    """Return text with all that Mermaid or HTML could take for their own as character codes."""
    return "".join(
        each if each.isalnum() or each in _MERMAID_SAFE else f"#{ord(each)};" for each in text
    )


__all__ = ["JSON_VERSION", "chart_data", "chart_dot", "chart_json", "chart_mermaid"]
