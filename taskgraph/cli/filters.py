"""Filters of records as flags: the same ones for every command that lists records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskgraph.filters import FILTER_OPTIONS, FilterOption

if TYPE_CHECKING:
    from taskgraph.filters import RecordFilters

_Command = TypeVar("_Command", bound=Callable[..., Any])


def setup_query_parser(command: _Command) -> _Command:
    """Give a command the flags of all filters; `take_filters` reads what was given."""
    for option in reversed(FILTER_OPTIONS):
        command = _flag(option)(command)
    return command


def _flag(option: FilterOption) -> Callable[[_Command], _Command]:
    return click.option(
        option.flag,
        option.field,
        metavar=option.metavar,
        multiple=option.is_repeated,
        help=option.help,
    )


def take_filters(given: dict[str, Any]) -> RecordFilters:
    """Take the filters out of a command's arguments, and return them.

    Raises:
        FilterError: One of them cannot be read.
    """
    from taskgraph.filters import read_filters

    return read_filters({each.field: given.pop(each.field, None) for each in FILTER_OPTIONS})
