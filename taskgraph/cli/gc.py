"""``taskgraph gc``: what nothing needs goes, and values that nothing keeps give up their bytes."""

from __future__ import annotations

import json
from datetime import timedelta

import click

from taskgraph.cli.limits import Duration
from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode

_HELP = """Take away what nothing needs, and the bytes of values that nothing keeps.

Of a value that gives up its bytes all else stays: hash, type, size, preview, who made it and who
used it. A call that needs it runs again. Without a policy only what nothing needs goes.

\b
taskgraph gc --dry-run --max-size 20GiB
  what would go
taskgraph gc --max-size 20GiB
  the longest unused, until the rest fits
taskgraph gc --older-than 90d --keep-last 3
  all older, but what the last 3 executions of each task made or used
"""


@click.command(
    "gc",
    help=_HELP,
    short_help="Take away what nothing needs, and the bytes of values that nothing keeps.",
)
@click.option(
    "--max-size", metavar="SIZE", help="So much may all values have: 20GiB. The oldest go first."
)
@click.option(
    "--older-than",
    type=Duration(),
    metavar="TIME",
    help="Keep what was made or used since: 12h, 90d.",
)
@click.option(
    "--keep-last",
    type=click.IntRange(0),
    metavar="N",
    help="Keep what the newest N executions of each task made or used.",
)
@click.option(
    "--pin",
    "pins",
    multiple=True,
    metavar="KEY[=VALUE]",
    help="Keep what is tagged so, and what that made and used; may be repeated.  [default: pin]",
)
@click.option(
    "--grace",
    type=Duration(),
    metavar="TIME",
    default="1h",
    show_default=True,
    help="Leave entries of the value store alone that were written or wanted so lately.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; asks only without --yes.")
@click.pass_context
def command(
    ctx: click.Context,
    max_size: str | None,
    older_than: timedelta | None,
    keep_last: int | None,
    pins: tuple[str, ...],
    grace: timedelta,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Collect what is meant."""
    from taskgraph.catalog.deletions import PIN, GcReport
    from taskgraph.provenance.storage_page import collection_lines

    report = GcReport(is_dry_run=dry_run)
    with opened_archive(ctx) as archive:
        if archive is not None:

            def collect(dry: bool) -> GcReport:
                return archive.storage.gc(
                    max_size=max_size,
                    older_than=older_than,
                    keep_last=keep_last,
                    pins=pins or (PIN,),
                    grace=grace,
                    dry_run=dry,
                )

            asks = not (dry_run or yes)
            report = collect(dry_run or asks)
            if asks:
                if report.evicted:
                    for text in collection_lines(report):
                        click.echo(text, err=as_json)
                    question = f"Have {report.evicted:,} values give up their bytes?"
                    if not click.confirm(question, err=as_json):
                        return ExitCode.OK
                report = collect(False)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
        return ExitCode.OK
    for text in collection_lines(report):
        click.echo(text)
    return ExitCode.OK
