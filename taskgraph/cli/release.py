"""``taskgraph release``: delete temporary files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from taskgraph.cli.options import ExitCode, load_settings

if TYPE_CHECKING:
    from taskgraph.engine.releasing import Release

_HELP = """Delete temporary files; what was made of them stays valid.

A temporary file is one that a task gave as File(path, temp=True). PATH is a file, or a folder in
which all temporary files are meant. No call is made again because such a file is gone, until one
must run that reads it; then the call that gave it is made again first.

A file that is named and is no temporary one, was changed since, or was given by no recorded call is
refused, and then nothing is deleted.
"""


@click.command(
    "release",
    help=_HELP,
    short_help="Delete temporary files; what was made of them stays valid.",
)
@click.option("--dry-run", is_flag=True, help="Delete nothing; say what would be deleted.")
@click.option(
    "--force",
    is_flag=True,
    help="Delete the files that are named whatever is known of them, and while something runs. "
    "Calls that gave files that are not temporary are made again by the next run.",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.pass_context
def command(ctx: click.Context, dry_run: bool, force: bool, paths: tuple[str, ...]) -> int:
    """Delete the files, and say of each what became of it."""
    from taskgraph.assembly import reading

    settings = load_settings(ctx)
    released = reading.release_files(settings, paths, dry_run=dry_run, force=force)
    _tell(released, is_dry=dry_run)
    return ExitCode.OK


def _tell(released: Iterable[Release], *, is_dry: bool) -> None:
    from taskgraph.engine.releasing import Fate
    from taskgraph.values.places import printable

    by_fate: dict[Fate, list[Release]] = {each: [] for each in Fate}
    for each in released:
        by_fate[each.fate].append(each)
    deleted = by_fate[Fate.DELETED]
    verb = "would delete" if is_dry else "deleted"
    for each in deleted:
        note = f"  although {each.why}" if each.why else ""
        click.echo(f"{verb} {printable(each.path)}  {each.size:,} bytes{note}")
    for each in by_fate[Fate.GONE]:
        click.echo(f"gone already {printable(each.path)}")
    for why, count in Counter(each.why for each in by_fate[Fate.KEPT]).items():
        click.echo(f"kept {_files(count)}: {why}")
    total = sum(each.size for each in deleted)
    click.echo(f"{_files(len(deleted))} {'to delete' if is_dry else 'deleted'}, {total:,} bytes.")


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"
