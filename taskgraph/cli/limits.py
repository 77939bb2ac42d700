"""Limits on the command line: a number of calls, or a time."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    # Generic for type checkers only: older versions of click cannot be subscribed.
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)")


def parse_limit(text: str) -> int | timedelta:
    """Read ``500`` as a number of calls, and ``2h``, ``30m`` or ``90s`` as a time.

    Raises:
        ValueError: The text is neither.
    """
    wanted = text.strip().lower()
    if wanted.isdecimal():
        return int(wanted)
    match = _TIME.fullmatch(wanted)
    if match is None:
        raise ValueError("expected a number of calls, as 500, or a time, as 2h, 30m or 90s")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError("it is longer than any run") from None


class Limit(_ParamType):
    """The type of an option that is a number of calls or a time."""

    name = "LIMIT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was given."""
        if not isinstance(value, str):
            return value
        try:
            return parse_limit(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)


class Duration(_ParamType):
    """The type of an option that is a time, which may be none at all: ``0``."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was given."""
        if not isinstance(value, str):
            return value
        try:
            found = parse_limit(value)
        except ValueError:
            found = 1
        if found == 0:
            return timedelta(0)
        if isinstance(found, int):
            self.fail(f"{value!r}: expected a time, as 6h, 30m or 2d.", param, ctx)
        return found
