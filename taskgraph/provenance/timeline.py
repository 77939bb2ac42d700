"""When the jobs of an execution ran: bars over a common axis, as SVG."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final

from taskgraph.hashing import digest_bytes
from taskgraph.provenance.render import duration
from taskgraph.provenance.views import JobView

_WIDTH: Final = 960
_BAR: Final = 14  # height of a lane
_GAP: Final = 3
_AXIS: Final = 22
_LEAST: Final = 1.5  # what is shorter is drawn so wide
_LEAST_SECONDS: Final = 0.001  # no axis is finer than times are shown
_TEXT_FROM: Final = 60  # bars at least so wide bear the name of their task
_LETTER: Final = 6.5  # about the width of one
_STEPS: Final = (1, 2, 5, 10, 20)
_MOST_TICKS: Final = 8


def timeline(jobs: Sequence[JobView], started: datetime, ended: datetime) -> str:
    """Return bars for jobs that have ended; those of one task have one colour.

    Args:
        jobs: The jobs.
        started: The left end of the axis.
        ended: Its right end.
    """
    total = max((ended - started).total_seconds(), _LEAST_SECONDS)
    scale = _WIDTH / total
    ordered = sorted((each for each in jobs if each.ended is not None), key=lambda job: job.started)
    lanes = lanes_of(ordered)
    height = _AXIS + (max(lanes, default=-1) + 1) * (_BAR + _GAP)
    bars = "".join(
        _bar(job, lane, (job.started - started).total_seconds() * scale, scale)
        for job, lane in zip(ordered, lanes, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="100%" role="img" '
        f'aria-label="When the jobs ran">{_axis(total, scale, height)}{bars}</svg>'
    )


def lanes_of(jobs: Sequence[JobView]) -> list[int]:
    """Return for jobs, in the order of their start, the first lane that is free by then."""
    lanes: list[int] = []
    free: list[int] = []
    taken: list[tuple[datetime, int]] = []
    for job in jobs:
        while taken and taken[0][0] <= job.started:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        lanes.append(lane)
        heapq.heappush(taken, (job.ended or job.started, lane))
    return lanes


def _bar(job: JobView, lane: int, x: float, scale: float) -> str:
    seconds = job.seconds or 0.0
    width = max(seconds * scale, _LEAST)
    y = _AXIS + lane * (_BAR + _GAP)
    hue = int(digest_bytes(job.task.encode())[:4], 16) % 360
    color = "#d6453d" if job.status == "FAILED" else f"hsl({hue} 45% 40%)"
    told = escape(f"{job.task}  {duration(seconds).text}  {job.status.lower()}  {job.id[:8]}")
    name = ""
    if width >= _TEXT_FROM:
        shown = escape(job.task[: int(width / _LETTER) - 1])
        name = f'<text x="{x + 4:.1f}" y="{y + _BAR - 3.5:.1f}" fill="#fff">{shown}</text>'
    return (
        f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" '
        f'rx="2" fill="{color}"/>{name}</g>'
    )


def _axis(total: float, scale: float, height: int) -> str:
    step = _tick(total)
    ticks = [number * step for number in range(int(total / step) + 1)]
    return "".join(
        f'<line x1="{at * scale:.1f}" y1="{_AXIS - 6}" x2="{at * scale:.1f}" y2="{height}" '
        'stroke="currentColor" opacity=".15"/>'
        f"{_label(at * scale, duration(at).text if at else '0')}"
        for at in ticks
    )


def _label(x: float, text: str) -> str:
    """Return what is written at a tick: behind it, or before it where there is no room."""
    at, anchor = x + 3, ""
    if at + len(text) * _LETTER > _WIDTH:
        at, anchor = x - 3, ' text-anchor="end"'
    return (
        f'<text x="{at:.1f}" y="{_AXIS - 9}"{anchor} fill="currentColor" opacity=".65">'
        f"{escape(text)}</text>"
    )


def _tick(total: float) -> float:
    """Return the seconds between two ticks: 1, 2 or 5 of some power of ten."""
    power = 10.0 ** math.floor(math.log10(total / _MOST_TICKS))
    return next(power * each for each in _STEPS if total / (power * each) <= _MOST_TICKS)
