"""``NAME=VALUE`` on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from taskgraph.errors import TagKeyError
from taskgraph.jsontext import to_json
from taskgraph.tags import check_key, parse_tag_key_value

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
        try:
            return parse_tag_key_value(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class TagPair(Pair):
    """The type of an option that is a tag: a key that may be written, and a value."""

    name = "tag"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return key and value."""
        key, found = super().convert(value, param, ctx)
        try:
            check_key(key)
            to_json(found)
        except TagKeyError as error:
            self.fail(str(error), param, ctx)
        except ValueError as error:
            self.fail(f"this cannot be the value of {key!r}: {error}", param, ctx)
        return key, found


class TagChoice(_ParamType):
    """The type of an argument that names tags: a key alone, or with one of its values."""

    name = "tag choice"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, bool, Any]:
        """Return the key, whether a value was said, and that value."""
        if isinstance(value, tuple):
            return value
        text = str(value)
        try:
            key, found = parse_tag_key_value(text, value_required=False)
            return check_key(key), "=" in text, found
        except ValueError as error:
            self.fail(str(error), param, ctx)
