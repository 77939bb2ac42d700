"""``taskgraph unbless``: take back that results of earlier code count for later code."""

from __future__ import annotations

import click

from taskgraph.cli.options import ExitCode, load_settings

_HELP = """Take back that results of OLD count for NEW.

Both are full names, or first digits of task hashes; without NEW, OLD counts for nothing any more.
What was run meanwhile stays as it is. The alias stays in `taskgraph bless --list`, with its end.
"""


@click.command("unbless", help=_HELP, short_help="Take back what was blessed.")
@click.argument("old")
@click.argument("new", required=False)
@click.pass_context
def command(ctx: click.Context, old: str, new: str | None) -> int:
    """End the aliases that are meant, and say which they were."""
    from taskgraph.assembly import databases
    from taskgraph.assembly.surroundings import author
    from taskgraph.engine import blessing

    settings = load_settings(ctx)
    with databases.opened(settings) as backend:
        ended = blessing.unbless(backend, old, new, author(settings))
    for alias in ended:
        earlier = f"{alias.old_name} ({alias.old_hash[:8]})"
        later = f"{alias.new_name} ({alias.new_hash[:8]})"
        click.echo(f"Results of {earlier} count for {later} no more.")
    return ExitCode.OK
