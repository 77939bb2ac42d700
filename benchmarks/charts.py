"""Draws bars and lines as SVG, from figures alone: no library, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 760, 22, 190, 90, 46
_OURS, _OTHERS, _INK, _PALE = "#0b6e4f", "#8fb8ca", "#222", "#ddd"
_STYLE = "font-family: system-ui, sans-serif; font-size: 13px"


def bars(title: str, groups: Mapping[str, Mapping[str, float]], unit: str, first: str) -> str:
    """Return a chart of bars on a logarithmic scale, a group for each workload.

    Args:
        title: What stands above.
        groups: Figures by tool, by workload.
        unit: Of the figures.
        first: The tool whose bars are the dark ones.
    """
    values = [each for group in groups.values() for each in group.values() if each > 0]
    low, high = log10(min(values)) - 0.3, log10(max(values))
    room = _WIDTH - _LEFT - _RIGHT
    parts: list[str] = []
    y = _TOP
    for name, group in groups.items():
        parts.append(_text(10, y + 14, name, weight="bold"))
        y += _ROW
        for tool, value in group.items():
            width = max(2.0, (log10(value) - low) / (high - low) * room) if value > 0 else 0
            colour = _OURS if tool == first else _OTHERS
            parts.append(_text(_LEFT - 8, y + 14, tool, anchor="end"))
            parts.append(
                f'<rect x="{_LEFT}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 7}"'
                f' fill="{colour}"/>'
            )
            parts.append(_text(_LEFT + width + 6, y + 14, f"{_number(value)} {unit}"))
            y += _ROW
        y += 8
    return _page(title + " (logarithmic)", parts, y + 8)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], unit: str) -> str:
    """Return a chart of lines over a logarithmic axis, from 0 up.

    Args:
        title: What stands above.
        series: Points by name.
        unit: Of what goes up.
    """
    points = [each for line in series.values() for each in line]
    xs = sorted({x for x, _ in points})
    low, high = log10(xs[0]), max(log10(xs[-1]), log10(xs[0]) + 0.1)
    most = max(y for _, y in points) * 1.1
    height, bottom = 240, _TOP + 240

    def at(x: float, y: float) -> tuple[float, float]:
        across = 60 + (log10(x) - low) / (high - low) * (_WIDTH - 230)
        return across, bottom - y / most * height

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        _, y = at(xs[0], most * share)
        parts.append(f'<path d="M60 {y:.1f} H{_WIDTH - 160}" stroke="{_PALE}"/>')
        parts.append(_text(54, y + 4, _number(most * share), anchor="end"))
    parts += [_text(at(x, 0)[0], bottom + 18, f"{x:,.0f}", anchor="middle") for x in xs]
    colours = (_OURS, "#d1495b", "#edae49", "#30638e", "#8d6a9f", "#888")
    for number, (name, line) in enumerate(series.items()):
        colour = colours[number % len(colours)]
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*each) for each in line))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
            for x, y in (at(*each) for each in line)
        ]
        y = _TOP + 14 + number * 20
        parts.append(
            f'<rect x="{_WIDTH - 150}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
        )
        parts.append(_text(_WIDTH - 132, y, name))
    return _page(f"{title}, {unit}", parts, bottom + 34)


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
        f' fill="{_INK}">{escape(text)}</text>'
    )


def _page(title: str, parts: Sequence[str], height: float) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {_WIDTH} {height:.0f}" style="{_STYLE}" role="img">'
    )
    back = f'<rect width="{_WIDTH}" height="{height:.0f}" fill="white"/>'
    return "\n".join([head, back, _text(10, 24, title, weight="bold"), *parts, "</svg>", ""])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
