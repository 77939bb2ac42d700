"""Times as databases keep them: whole microseconds since 1970, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(when: datetime) -> int:
    """Return whole microseconds since 1970 of an aware datetime.

    Raises:
        ValueError: The datetime has no time zone.
    """
    if when.tzinfo is None:
        raise ValueError(f"{when!r} has no time zone; times are stored in UTC")
    return (when - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware datetime in UTC of whole microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


__all__ = ["from_micros", "to_micros"]
