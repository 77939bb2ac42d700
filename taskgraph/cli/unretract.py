"""``taskgraph unretract``: what a retraction has marked counts again."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode


@click.command("unretract", short_help="Take back what was retracted.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("retraction", metavar="ID")
@click.pass_context
def command(ctx: click.Context, as_json: bool, retraction: str) -> int:
    """Take back the retraction ID, which `taskgraph retractions` shows.

    What another retraction has marked as well stays retracted.
    """
    from taskgraph.errors import RetractionNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.retraction_page import undone_blocks

    with opened_archive(ctx) as archive:
        if archive is None:
            raise RetractionNotFoundError(retraction)
        found = archive.unretract(retraction)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_page(undone_blocks(found), sys.stdout)
    return ExitCode.OK
