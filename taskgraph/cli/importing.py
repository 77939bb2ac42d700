"""``taskgraph import``: records from files, whole files or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.options import ExitCode, load_settings

if TYPE_CHECKING:
    from taskgraph.exchange import Exchanged, Tell

_HELP = """Read records from files that `taskgraph export` wrote; - is standard input.

A file is read whole or not at all, and what is there already stays as it is. What is new is shown
by all commands and used for nothing, until `taskgraph trust` says that it may.
"""


@click.command("import", help=_HELP, short_help="Read records from files; they are not trusted.")
@click.option("--dryrun", "dry_run", is_flag=True, help="Only say how many would be new.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.pass_context
def command(ctx: click.Context, dry_run: bool, as_json: bool, files: tuple[str, ...]) -> int:
    """Read files one after another, and say what was new in each."""
    from taskgraph import exchange

    settings = load_settings(ctx)
    done = []
    for name in files:
        with telling(f"import {name}") as tell:
            done.append(exchange.import_file(settings, name, dry_run=dry_run, tell=tell))
        if not as_json:
            click.echo(said_of(done[-1]))
    if as_json:
        click.echo(json.dumps([as_dict(each) for each in done], indent=2))
    elif not dry_run and any(each.new for each in done):
        click.echo("It is not trusted yet: taskgraph trust --list")
    return ExitCode.OK


def said_of(done: Exchanged) -> str:
    """Return a line on what was moved."""
    count = sum(done.new.values())
    verb = "would be new" if done.dry_run else "new"
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(done.new.items()))
    shown = f": {kinds}" if kinds else ""
    return f"{done.place}: {done.records:,} records, {count:,} {verb}{shown}"


def as_dict(done: Exchanged) -> dict[str, Any]:
    """Return what was moved as plain data."""
    return {
        "place": done.place,
        "records": done.records,
        "new": dict(sorted(done.new.items())),
        "running": list(done.running),
        "dryrun": done.dry_run,
    }


@contextmanager
def telling(what: str) -> Iterator[Tell]:
    """Show on a terminal how far it is; nowhere else."""
    if not sys.stderr.isatty():
        yield lambda looked_at, new: None
        return
    shown = 0

    def tell(looked_at: int, new: int) -> None:
        nonlocal shown
        line = f"{what}: {looked_at:,} records" + (f", {new:,} new" if new else "")
        click.echo("\r" + line.ljust(shown), err=True, nl=False)
        shown = len(line)

    try:
        yield tell
    finally:
        if shown:
            click.echo("\r" + " " * shown + "\r", err=True, nl=False)
