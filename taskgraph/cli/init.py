"""``taskgraph init``: make a folder a project."""

from __future__ import annotations

from pathlib import Path

import click

from taskgraph.cli.options import config_dir


@click.command("init", help="Make a folder a project: settings and a database.")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.pass_context
def command(ctx: click.Context, folder: Path | None) -> None:
    """Write the default settings, if there are none, and create the database."""
    from taskgraph.assembly import databases
    from taskgraph.config import (
        CONFIG_DIR_NAME,
        CONFIG_FILE_NAME,
        load_settings,
        write_default_config,
    )

    given = config_dir(ctx)
    if given is not None and folder is not None:
        raise click.UsageError("Give either DIR or --config, not both.", ctx)
    # Not the nearest one upward: who says init means this folder.
    wanted = (given or (folder or Path()) / CONFIG_DIR_NAME).absolute()
    written = write_default_config(wanted)
    settings = load_settings(wanted)
    database = databases.database(settings)
    database.load(migrate=True)
    database.close()
    if written:
        click.echo(f"Wrote {wanted / CONFIG_FILE_NAME}")
    else:
        click.echo(f"{wanted / CONFIG_FILE_NAME} is there already and was left as it is.")
