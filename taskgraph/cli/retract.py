"""``taskgraph retract``: a result is not to be used any more, nor what came from it."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode


@click.command(
    "retract",
    short_help="Have a bad result, and all that came from it, not be used any more.",
)
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who ask later.")
@click.option("--by", metavar="NAME", help="Who says so. Default: the user of the settings.")
@click.option("--no-cascade", is_flag=True, help="Only itself, and not what came from it.")
@click.option("--dry-run", is_flag=True, help="Only show what would be marked.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("target")
@click.pass_context
def command(
    ctx: click.Context,
    reason: str,
    by: str | None,
    no_cascade: bool,
    dry_run: bool,
    as_json: bool,
    target: str,
) -> int:
    """Have TARGET not be used any more, with all that came from it.

    TARGET is an execution, a job or a call by its id, a file by its path, or a dataset by its name.
    """
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.retraction_page import retraction_blocks

    with opened_archive(ctx) as archive:
        if archive is None:
            raise UnknownRecordError(target)
        made = archive.retract(
            target, reason=reason, by=by, cascade=not no_cascade, dry_run=dry_run
        )
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
    else:
        print_page(retraction_blocks(made), sys.stdout)
    return ExitCode.OK
