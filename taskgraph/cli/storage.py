"""``taskgraph db stats`` and ``db compact``: what the records take up, and giving it back."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode


@click.command("stats", help="Show what the records take up: tables, values by type, by size.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_context
def stats(ctx: click.Context, as_json: bool) -> int:
    """Count what there is."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.storage_page import stats_page

    with opened_archive(ctx) as archive:
        found = None if archive is None else archive.storage.stats()
    if as_json:
        click.echo(json.dumps(None if found is None else found.to_json(), indent=2))
    elif found is None:
        click.echo("There are no records yet: taskgraph run SCRIPT TASK")
    else:
        print_page(stats_page(found), sys.stdout)
    return ExitCode.OK


@click.command("compact", help="Give space that holds nothing back to the file system.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_context
def compact(ctx: click.Context, as_json: bool) -> int:
    """Write a SQLite file anew without its free pages."""
    from taskgraph.provenance.render import byte_size

    with opened_archive(ctx) as archive:
        freed = 0 if archive is None else archive.storage.compact()
    if as_json:
        click.echo(json.dumps({"freed": freed}))
    else:
        click.echo(f"{byte_size(freed)} were given back.")
    return ExitCode.OK


__all__ = ["compact", "stats"]
