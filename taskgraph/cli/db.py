"""``taskgraph db``: the state of the database's schema, its upgrade and its downgrade."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.options import ExitCode, load_settings
from taskgraph.errors import DowngradeRefusedError, without_password


@click.group("db", help="Look after the database.")
def command() -> None:
    """Hold the commands below ``db`` together."""


@command.command("info", help="Show which database is used, and the version of its schema.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_context
def info(ctx: click.Context, as_json: bool) -> int:
    """Show where the database is and whether this library can use it."""
    from taskgraph import assembly
    from taskgraph.provenance.render import byte_size

    settings = load_settings(ctx)
    database = assembly.database(settings)
    store = database.value_store
    oldest, newest = database.get_db_version_required()
    facts = {
        "config_dir": str(settings.config_dir),
        "database": without_password(settings.backend.db_uri),
        "value_store": None if store is None else without_password(store.url),
        "version": str(database.get_db_version()),
        "needed_from": str(oldest),
        "needed_to": str(newest),
        "compatible": bool(database.is_db_compatible()),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return ExitCode.OK
    needed = facts["needed_to"]
    if facts["needed_from"] != needed:
        needed = f"{facts['needed_from']} to {needed}"
    state = "ready" if facts["compatible"] else "cannot be used as it is: taskgraph db upgrade"
    lines = {
        "config": facts["config_dir"],
        "database": facts["database"],
        "values": f"in {facts['value_store']} from {byte_size(store.min_size)} on"
        if store is not None
        else "all in the database",
        "schema": f"{facts['version']} (this library needs {needed})",
        "state": state,
    }
    for name, text in lines.items():
        click.echo(f"{name:<10}{text}")
    return ExitCode.OK


@command.command("upgrade", help="Bring the schema of the database up to date.")
@click.pass_context
def upgrade(ctx: click.Context) -> None:
    """Upgrade the schema; one that is up to date is left alone."""
    from taskgraph import assembly

    database = assembly.database(load_settings(ctx))
    before = database.get_db_version()
    database.migrate()
    after = database.get_db_version()
    if before == after:
        click.echo(f"The schema is up to date: {after}")
    else:
        click.echo(f"Upgraded the schema: {before} -> {after}")


_DOWNGRADE_HELP = """Bring the schema of the database back to VERSION, for an earlier taskgraph.

What the earlier schema has no place for is lost: it is told how much that is, and asked.
"""


@command.command("downgrade", help=_DOWNGRADE_HELP, short_help="Bring the schema back to VERSION.")
@click.option("--yes", is_flag=True, help="Do not ask, whatever is lost.")
@click.argument("version")
@click.pass_context
def downgrade(ctx: click.Context, yes: bool, version: str) -> None:
    """Downgrade the schema; what would be lost is told before."""
    from taskgraph import assembly

    database = assembly.database(load_settings(ctx))
    try:
        losses = [str(each) for each in database.find_losses(version)]
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    before = database.get_db_version()
    if before is None or not database.is_older(version):
        raise click.UsageError(f"The schema is {before}: there is nothing to go back to {version}.")
    if losses and not yes:
        _ask_or_refuse(database.db_uri, version, losses)
    database.migrate(version)
    click.echo(f"Downgraded the schema: {before} -> {database.get_db_version()}")
    click.echo("Use it with an earlier taskgraph: this one needs the schema as it was.")


def _ask_or_refuse(uri: str, version: str, losses: list[str]) -> None:
    if sys.stdin.isatty():
        click.echo(f"Schema {version} has no place for:", err=True)
        for each in losses:
            click.echo(f"  {each}", err=True)
        if click.confirm("Lose them?", err=True):
            return
    raise DowngradeRefusedError(uri, version, losses)
