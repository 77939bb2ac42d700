"""Draw the census as one HTML page: plain SVG and a few lines of CSS, no script, no download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log1p
from typing import Any

_BARS = 24
_MATRIX = 18
_ROW = 22
_LABEL = 150
_WIDTH = 860

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --dim: #667085; --paper: #fcfcfd; --line: #e4e7ec;
  --code: #3056d3; --rest: #c3d0f7; --cell: 48, 86, 211; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --dim: #98a2b3; --paper: #12151c;
  --line: #2a3040; --code: #7c9bff; --rest: #2f3f73; --cell: 124, 155, 255; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 880px; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.9rem; margin: 0; letter-spacing: -.02em; }
h2 { font-size: 1.1rem; margin: 2.8rem 0 .2rem; }
p { color: var(--dim); margin: .2rem 0 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); gap: .6rem;
  margin-top: 1.6rem; }
.tiles div { border: 1px solid var(--line); border-radius: 10px; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--dim); font-size: .8rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .dim { fill: var(--dim); } svg .code { fill: var(--code); } svg .rest { fill: var(--rest); }
svg .grid { stroke: var(--line); }
svg .gap { fill: none; stroke: var(--paper); stroke-width: 5; }
svg .cell { fill: rgb(var(--cell)); }
"""


def render_page(packages: Sequence[Mapping[str, Any]], totals: Mapping[str, int]) -> str:
    """Return the page as text."""
    largest = sorted(packages, key=lambda each: (-each["lines"], each["package"]))
    tiles = "".join(
        f"<div><b>{count:,}</b><span>{escape(name)}</span></div>" for name, count in totals.items()
    )
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>A census of the library</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>A census of the library</h1>\n"
        f'<div class="tiles">{tiles}</div>\n'
        f"<h2>The {min(_BARS, len(largest))} largest packages</h2>\n"
        "<p>Lines of code (dark), and comments, docstrings and blank lines (pale). "
        "A broken bar is longer than there is room.</p>\n"
        f"{_draw_bars(largest[:_BARS])}\n"
        "<h2>Who imports whom</h2>\n"
        "<p>Import statements of the package on the left for the package above; "
        "the darker, the more.</p>\n"
        f"{_draw_matrix(_most_connected(packages))}\n"
        "</body></html>\n"
    )


def _draw_bars(packages: Sequence[Mapping[str, Any]]) -> str:
    """Draw one bar for each package: lines of code and other lines, end to end."""
    height = len(packages) * _ROW + 8
    lengths = [each["lines"] for each in packages] or [1]
    # One giant (a suite of tests, say) must not press all others flat: its bar is broken instead.
    longest = lengths[1] * 1.25 if lengths[1:] and lengths[0] > 4 * lengths[1] else lengths[0]
    room = _WIDTH - _LABEL - 90
    scale = room / (longest or 1)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Lines by package">']
    for row, each in enumerate(packages):
        top = row * _ROW + 4
        lines = min(each["lines"] * scale, room)
        code = lines * each["code"] / (each["lines"] or 1)
        name = escape(each["package"])
        parts.append(
            f"<g><title>{name}: {each['code']:,} of {each['lines']:,} lines are code, "
            f"{each['files']:,} files</title>"
            f'<text x="{_LABEL - 10}" y="{top + 13}" text-anchor="end">{name}</text>'
            f'<rect class="rest" x="{_LABEL}" y="{top}" rx="3" width="{lines:.1f}" height="16"/>'
            f'<rect class="code" x="{_LABEL}" y="{top}" rx="3" width="{code:.1f}" height="16"/>'
            f'<text class="dim" x="{_LABEL + lines + 8:.1f}" y="{top + 13}">{each["lines"]:,}'
            "</text>"
        )
        if each["lines"] > longest:
            parts.append(
                f'<path class="gap" d="M{_LABEL + room * 0.9} {top - 2}l8 10l-8 0l8 10" />'
            )
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def _most_connected(packages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the packages that import, or are imported, most often within the library."""
    known = {each["package"] for each in packages}
    ties = dict.fromkeys(known, 0)
    for each in packages:
        for target in known.intersection(each["imports"]):
            ties[each["package"]] += 1
            ties[target] += 1
    chosen = sorted(packages, key=lambda each: (-ties[each["package"]], each["package"]))[:_MATRIX]
    return sorted(chosen, key=lambda each: str(each["package"]))


def _draw_matrix(packages: Sequence[Mapping[str, Any]]) -> str:
    """Draw a square for each pair of packages, as dark as there are imports between them."""
    side = 30
    top = 110
    size = len(packages) * side
    names = [each["package"] for each in packages]
    most = max([each["imports"].get(name, 0) for each in packages for name in names], default=0)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {top + size + 4}" role="img" aria-label="Imports by package">'
    ]
    for place, name in enumerate(names):
        middle = place * side + side / 2
        x, y = _LABEL + middle, top + middle
        parts.append(
            f'<text x="{x + 4}" y="{top - 8}" transform="rotate(-50 {x + 4} {top - 8})">'
            f"{escape(name)}</text>"
            f'<text x="{_LABEL - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
            f'<line class="grid" x1="{_LABEL}" x2="{_LABEL + size}" y1="{y}" y2="{y}"/>'
            f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{top + size}"/>'
        )
    for row, each in enumerate(packages):
        for column, name in enumerate(names):
            count = each["imports"].get(name, 0)
            if count:
                # Logarithms keep single imports visible beside the hundreds of a test suite.
                shade = 0.2 + 0.8 * log1p(count) / log1p(most)
                parts.append(
                    f'<rect class="cell" x="{_LABEL + column * side + 3}" '
                    f'y="{top + row * side + 3}" width="{side - 6}" height="{side - 6}" rx="4" '
                    f'opacity="{shade:.2f}"><title>{escape(each["package"])} imports '
                    f"{escape(name)} {count:,} times</title></rect>"
                )
    return "".join([*parts, "</svg>"])
