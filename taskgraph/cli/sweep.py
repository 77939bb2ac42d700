"""``taskgraph execution sweep``: what is late is called so, what died is CRASHED."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import click

from taskgraph.cli.limits import Duration
from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode


@click.command("sweep", help="Have what is late be called Late, and what died be CRASHED.")
@click.option(
    "--late-after",
    type=Duration(),
    metavar="TIME",
    default="0",
    show_default=True,
    help="How late something may start: 5m.",
)
@click.option(
    "--stale-after",
    type=Duration(),
    metavar="TIME",
    help="Have also those be CRASHED that run elsewhere and were not heard of for so long: 6h.",
)
@click.option("--dry-run", is_flag=True, help="Only show them.")
@click.option("--yes", is_flag=True, help="Do not ask; without --stale-after nothing is asked.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.pass_context
def command(
    ctx: click.Context,
    late_after: timedelta,
    stale_after: timedelta | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Sweep."""
    from taskgraph.catalog.rows import Swept
    from taskgraph.provenance.managed_page import executions_list
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        swept = Swept()
        if archive is not None:
            if stale_after is not None and not (dry_run or yes or as_json):
                planned = archive.executions.fail_running(older_than=stale_after, dry_run=True)
                if planned:
                    print_page(executions_list(planned, None), sys.stdout)
                    if not click.confirm(f"Have {len(planned)} of them be CRASHED?"):
                        stale_after = None
            swept = archive.executions.sweep(
                late_after=late_after, stale_after=stale_after, dry_run=dry_run
            )
    if as_json:
        click.echo(json.dumps(swept.to_json(), indent=2))
        return ExitCode.OK
    found = [*swept.late, *swept.crashed, *swept.returned]
    if dry_run and found:
        print_page(executions_list(found, None), sys.stdout)
    would = "would be" if dry_run else "are"
    click.echo(f"{len(swept.late)} {would} Late, {len(swept.crashed)} {would} CRASHED.")
    if swept.returned:
        click.echo(f"{len(swept.returned)} {would} in their queues again: their workers died.")
    return ExitCode.OK
