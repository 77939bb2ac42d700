"""Durations for people: one that was measured, one that goes on, one that nobody knows exactly."""

from __future__ import annotations

import math


def measured(seconds: float) -> str:
    """Return how long something took: ``4.2 ms``, ``12.34 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 60 else _long(int(seconds))


def so_far(seconds: float) -> str:
    """Return how long something has been going on, which is drawn anew: ``0.42 s``, ``12.3 s``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.1f} s" if round(seconds, 1) < 60 else _long(round(seconds))


def about(seconds: float) -> str:
    """Return a time that nobody knows exactly: ``40 s``, ``3 min``, ``2 h 10 min``."""
    if seconds <= 55:
        step = 1 if seconds < 10 else 5
        return f"{max(1, math.ceil(seconds / step)) * step} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(math.ceil(minutes / 5) * 5, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _long(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
