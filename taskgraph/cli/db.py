"""``taskgraph db``: the state of the database's schema, and its upgrade."""

from __future__ import annotations

import json

import click

from taskgraph.cli.options import ExitCode, load_settings
from taskgraph.errors import without_password


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
