"""The context on the command line: ``--context`` and ``--context-file``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from taskgraph.cli.pairs import Pair

_Command = TypeVar("_Command", bound=Callable[..., Any])


def context_options(command: _Command) -> _Command:
    """Give a command the options ``context`` and ``context_file``."""
    one = click.option(
        "--context",
        "context",
        type=Pair(),
        multiple=True,
        metavar="PATH=VALUE",
        help="A value that tasks read with get_context, as genome.build=hg38; may be repeated.",
    )
    file = click.option(
        "--context-file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="A TOML or JSON file with such values.",
    )
    return one(file(command))


def read_context(values: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """Return the context that a command line gives: the values are on top of those in the file.

    Raises:
        ConfigError: The file cannot be read.
    """
    if not values and file is None:
        return {}
    from taskgraph.config import read_context_file
    from taskgraph.tasks.context import checked_context, context_of_paths, merge_context

    below = read_context_file(file) if file is not None else {}
    found = merge_context(below, context_of_paths(values))
    try:
        checked_context(found)
    except TypeError as error:
        raise click.UsageError(f"The context of this run: {error}") from error
    return found
