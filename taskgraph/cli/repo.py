"""``taskgraph repo``: the databases that records move to and from, by name."""

from __future__ import annotations

import json

import click

from taskgraph.cli.options import ExitCode, load_settings


@click.group("repo", help="Name the databases that records move to and from.")
def command() -> None:
    """Hold the commands below ``repo`` together."""


@command.command("add", help="Name a repo: a URL, a SQLite file, or a project's folder.")
@click.argument("name")
@click.argument("place")
@click.pass_context
def add(ctx: click.Context, name: str, place: str) -> int:
    """Write a repo down."""
    from taskgraph import exchange

    repo = exchange.add_repo(load_settings(ctx), name, place)
    click.echo(f"{repo.name} is {repo.shown}")
    return ExitCode.OK


@command.command("list", help="Show the repos.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """Show names and places, without what may be secret in them."""
    from taskgraph.provenance.page import clean
    from taskgraph.repos import list_repos

    found = list_repos(load_settings(ctx).config_dir)
    if as_json:
        shown = [{"name": each.name, "place": each.shown} for each in found]
        click.echo(json.dumps(shown, indent=2))
        return ExitCode.OK
    if not found:
        click.echo("There are no repos yet: taskgraph repo add NAME PLACE")
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        click.echo(f"{each.name:<{width}}  {clean(each.shown)}")
    return ExitCode.OK


@command.command("remove", help="Forget a repo; what it holds stays as it is.")
@click.argument("name")
@click.pass_context
def remove(ctx: click.Context, name: str) -> int:
    """Take a repo off the list."""
    from taskgraph.repos import remove_repo

    repo = remove_repo(load_settings(ctx).config_dir, name)
    click.echo(f"{repo.name} ({repo.shown}) is forgotten.")
    return ExitCode.OK
