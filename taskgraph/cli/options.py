"""What all commands share: the options before the command, and the codes at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    # Read when a command needs settings, not for `--help`.
    from taskgraph.config import Settings


class ExitCode(IntEnum):
    """What the shell is told."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    STATE_REFUSED = 5
    INTERRUPTED = 130
    PIPE_CLOSED = 141


#: How many of something: from 1 to more than anybody reads, and less than databases count to.
COUNT = click.IntRange(min=1, max=10**9)


@dataclass(frozen=True, slots=True)
class Globals:
    """Options that stand before the command."""

    config_dir: Path | None
    traceback: bool


def load_settings(ctx: click.Context, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Load the settings that the options before the command ask for."""
    from taskgraph.config import load_settings as load

    found = ctx.find_object(Globals)
    return load(found.config_dir if found else None, overrides)


def config_dir(ctx: click.Context) -> Path | None:
    """Return the folder given with ``--config``, if one was."""
    found = ctx.find_object(Globals)
    return found.config_dir if found else None
