"""``taskgraph pull``: records from a repo, those that the other side lacks."""

from __future__ import annotations

import json

import click

from taskgraph.cli.export import tell_running
from taskgraph.cli.importing import as_dict, said_of, telling
from taskgraph.cli.options import ExitCode, load_settings

_HELP = """Read from a repo what is lacking here of RECORD and all that it names; by default of all
executions. What is new is not trusted.

Whatever breaks it off, the next one goes on from there. REPO is a name that `taskgraph repo add`
gave.
"""


@click.command("pull", help=_HELP, short_help="Read from a repo what is lacking here.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.argument("repo")
@click.argument("records", nargs=-1, metavar="[RECORD]...")
@click.pass_context
def command(ctx: click.Context, as_json: bool, repo: str, records: tuple[str, ...]) -> int:
    """Move records, and say what was new."""
    from taskgraph import exchange

    with telling(f"pull {repo}") as tell:
        done = exchange.pull(load_settings(ctx), repo, records, tell)
    click.echo(json.dumps(as_dict(done), indent=2) if as_json else said_of(done))
    tell_running(done.running)
    return ExitCode.OK
