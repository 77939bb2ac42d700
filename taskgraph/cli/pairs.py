"""``NAME=VALUE`` on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    # Generic for type checkers only: older versions of click cannot be subscribed.
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType


class Pair(_ParamType):
    """The type of an option that is a name and a value: JSON if it can be read so, else text."""

    name = "pair"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return name and value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"expected NAME=VALUE, not {value!r}", param, ctx)
        try:
            return name, json.loads(text)
        except ValueError:
            return name, text
