"""Pages as HTML, for notebooks and reports: what `page` draws on a terminal, and no network.

All text is escaped, whatever is in the records; colours do on a light and on a dark ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

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
    Tree,
    clean_source,
)

#: A tree deeper than this is drawn no further to the right.
_MOST_DEPTH: Final = 24

#: The style of a fragment; all of it is below the class ``taskgraph``.
STYLE: Final = """
.taskgraph { font: 13px/1.5 system-ui, sans-serif; overflow-x: auto; }
.taskgraph h3 { font-size: 1.15em; margin: 1em 0 .4em; }
.taskgraph h4 { font-size: 1em; font-weight: 600; opacity: .65; margin: 1em 0 .3em; }
.taskgraph table { border-collapse: collapse; margin: .2em 0; background: none; }
.taskgraph tr, .taskgraph tr:nth-child(even) { background: none; }
.taskgraph td, .taskgraph th { text-align: left; vertical-align: top; padding: .1em 1.2em .1em 0;
  border: none; }
.taskgraph td, .taskgraph h3, .taskgraph p, .taskgraph summary { overflow-wrap: anywhere; }
.taskgraph th, .taskgraph .short, .taskgraph .id { white-space: nowrap; overflow-wrap: normal; }
.taskgraph th { font-weight: 400; opacity: .65; border-bottom: 1px solid rgba(128,128,128,.4); }
.taskgraph .long { min-width: 14em; }
.taskgraph .right { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.taskgraph .label { opacity: .65; white-space: nowrap; }
.taskgraph .tree td:first-child { padding-left: calc(var(--depth) * 1.4em); }
.taskgraph pre { font: 12px/1.45 ui-monospace, monospace; margin: .3em 0; padding: .6em .8em;
  background: rgba(128,128,128,.12); border-radius: 4px; overflow-x: auto; white-space: pre; }
.taskgraph .done, .taskgraph .added { color: #2e9e56; }
.taskgraph .cached, .taskgraph .place { color: #1f94ab; }
.taskgraph .failed, .taskgraph .removed { color: #d6453d; font-weight: 600; }
.taskgraph .running { color: #b8860b; }
.taskgraph .task, .taskgraph .strong { font-weight: 600; }
.taskgraph .id { opacity: .65; font-family: ui-monospace, monospace; }
.taskgraph .name { color: #4a7fd6; }
.taskgraph .path { color: #a65fb8; }
.taskgraph .dim, .taskgraph .pending { opacity: .65; }
.taskgraph pre :is(.k, .kn, .kc, .kd, .ow) { color: #b157ab; }
.taskgraph pre :is(.s1, .s2, .sa, .sd, .se, .si, .sb, .sh) { color: #2e8b57; }
.taskgraph pre :is(.mi, .mf, .mh, .mb) { color: #2b7fbd; }
.taskgraph pre :is(.c1, .ch, .cm) { opacity: .6; font-style: italic; }
.taskgraph pre :is(.nf, .nc) { font-weight: 600; }
.taskgraph pre .nd { color: #b8860b; }
"""

_LONG: Final = 24  # letters: more than fit into the least width of a column
_RIGHT: Final = ' class="right"'
_DIFF_CLASSES: Final = (("+", "added"), ("-", "removed"), ("@@", "place"))


def notebook(blocks: Iterable[Block]) -> str:
    """Return a page as HTML that stands by itself in a notebook."""
    return f'<div class="taskgraph"><style>{STYLE}</style>{fragment(blocks)}</div>'


def fragment(blocks: Iterable[Block]) -> str:
    """Return a page as HTML, for within an element of class ``taskgraph``."""
    return "\n".join(_drawn(each) for each in blocks)


def line_html(text: Line) -> str:
    """Return a line as HTML."""
    return "".join(_span(each.text, each.style) for each in text)


def _span(text: str, style: str) -> str:
    return f'<span class="{style}">{escape(text)}</span>' if style else escape(text)


def _drawn(block: Block) -> str:
    match block:
        case Heading():
            level = "h4" if block.is_part else "h3"
            drawn = f"<{level}>{line_html(block.line)}</{level}>"
        case Note():
            drawn = f"<p>{line_html(block.line)}</p>"
        case Source():
            drawn = source_html(block)
        case Diff():
            drawn = _diff(block)
        case Facts():
            drawn = _table(f'<td class="label">{escape(k)}</td>{_cell(v)}' for k, v in block.rows)
        case Grid():
            drawn = _grid(block)
        case Tree():
            drawn = _tree(block)
    return drawn


def source_html(block: Source) -> str:
    """Return source text as HTML, with the colours of its language."""
    text = clean_source(block.text)
    if block.language != "python":
        return f"<pre>{escape(text)}</pre>"
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return f"<pre>{highlight(text, PythonLexer(), HtmlFormatter(nowrap=True))}</pre>"


def _diff(block: Diff) -> str:
    lines = []
    for each in clean_source(block.text).splitlines():
        kind = next((kind for start, kind in _DIFF_CLASSES if each.startswith(start)), "")
        lines.append(_span(each, kind))
    return "<pre>" + "\n".join(lines) + "</pre>"


def _grid(block: Grid) -> str:
    classes = [
        _class(column, max((len(row[place].text) for row in block.rows), default=0))
        for place, column in enumerate(block.columns)
    ]
    header = "".join(
        f"<th{attribute}>{escape(column.name)}</th>"
        for column, attribute in zip(block.columns, classes, strict=True)
    )
    rows = ["".join(map(_cell, row, classes)) for row in block.rows]
    return _table(rows, header if any(column.name for column in block.columns) else "")


def _tree(block: Tree) -> str:
    drawn = []
    for row in block.rows:
        depth = min(row.depth, _MOST_DEPTH)
        cells = "".join(_cell(each, _RIGHT) for each in row.cells)
        drawn.append(f'<tr style="--depth:{depth}">{_cell(row.line)}{cells}</tr>')
    return f'<table class="tree">{"".join(drawn)}</table>'


def _table(rows: Iterable[str], header: str = "") -> str:
    head = f"<thead><tr>{header}</tr></thead>" if header else ""
    return f"<table>{head}<tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def _cell(text: Line, attribute: str = "") -> str:
    return f"<td{attribute}>{line_html(text)}</td>"


def _class(column: Column, longest: int) -> str:
    """Return what says how a column is set: what gives way on a terminal is broken into lines."""
    if column.is_right:
        return _RIGHT
    if not column.may_shrink:
        return ' class="short"'
    return ' class="long"' if longest > _LONG else ""


def details(summary: Line, blocks: Sequence[Block], is_open: bool = False) -> str:
    """Return a page that is folded away behind a line."""
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>{line_html(summary)}</summary>{fragment(blocks)}</details>"
