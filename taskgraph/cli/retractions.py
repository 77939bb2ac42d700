"""``taskgraph retractions``: what is not to be used any more, and why."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode


@click.command("retractions", short_help="Show what was retracted, by whom, when and why.")
@click.option("--all", "with_ended", is_flag=True, help="Those too that were taken back.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def command(ctx: click.Context, with_ended: bool, as_json: bool) -> int:
    """Show what was retracted, the newest first."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.retraction_page import retractions_list

    with opened_archive(ctx) as archive:
        found = [] if archive is None else archive.retractions.list(include_ended=with_ended)
    if as_json:
        click.echo(json.dumps({"retractions": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(retractions_list(found), sys.stdout)
    return ExitCode.OK
