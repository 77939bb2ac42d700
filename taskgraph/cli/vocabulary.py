"""``taskgraph vocabulary``: which dimensions artifacts may have."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.managed import made_archive, opened_archive
from taskgraph.cli.options import ExitCode
from taskgraph.tags import parse_tag_value


@click.group("vocabulary", help="Say which dimensions artifacts may have.")
def command() -> None:
    """Hold the commands below ``vocabulary`` together."""


@command.command("define", help="Add a dimension KEY; the same again changes nothing.")
@click.option(
    "--allowed", metavar="VALUE", multiple=True, help="A value that it may have; repeatable."
)
@click.option("--description", metavar="TEXT", default="", help="What it says.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("key")
@click.pass_context
def define(
    ctx: click.Context, allowed: tuple[str, ...], description: str, as_json: bool, key: str
) -> int:
    """Define a key."""
    values = [parse_tag_value(each) for each in allowed] or None
    with made_archive(ctx) as archive:
        made = archive.vocabulary.define(key, allowed=values, description=description)
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
    else:
        click.echo(f"{made.key} is a dimension of artifacts.")
    return ExitCode.OK


@command.command("list", help="List the dimensions that artifacts may have.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """Show the vocabulary."""
    from taskgraph.provenance.data_page import vocabulary_page
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        found = [] if archive is None else archive.vocabulary.list()
    if as_json:
        click.echo(json.dumps({"keys": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(vocabulary_page(found), sys.stdout)
    return ExitCode.OK


@command.command("remove", help="Remove a dimension that no artifact has.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("key")
@click.pass_context
def remove(ctx: click.Context, as_json: bool, key: str) -> int:
    """Remove a key."""
    from taskgraph.errors import UnknownDimensionError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise UnknownDimensionError(key, "the vocabulary is empty.")
        archive.vocabulary.remove(key)
    click.echo(json.dumps({"removed": key}) if as_json else f"{key} was removed.")
    return ExitCode.OK
