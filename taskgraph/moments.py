"""Moments: times of day that know that they are in UTC, which all records have."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return what time it is, in UTC, with the zone."""
    return datetime.now(UTC)


__all__ = ["utcnow"]
