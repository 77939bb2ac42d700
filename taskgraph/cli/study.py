"""``taskgraph study``: what executions are part of."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode

_SHOWN = 20


@click.group("study", help="Show studies: names for bodies of work.")
def command() -> None:
    """Hold the commands below ``study`` together."""


@command.command("list", help="List studies by name.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """Show all studies."""
    from taskgraph.provenance.managed_page import studies_page
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        found = [] if archive is None else archive.studies.list()
    if as_json:
        shown = {"studies": [each.to_json() for each in found]}
        click.echo(json.dumps(shown, indent=2))
    else:
        print_page(studies_page(found), sys.stdout)
    return ExitCode.OK


@command.command("show", help="Show a study, by name or id, with its newest executions.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("study", metavar="STUDY")
@click.pass_context
def show(ctx: click.Context, as_json: bool, study: str) -> int:
    """Show one study."""
    from taskgraph.catalog.writing import F
    from taskgraph.errors import StudyNotFoundError
    from taskgraph.provenance.managed_page import study_page
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        if archive is None:
            raise StudyNotFoundError(study)
        found = archive.studies.get(study)
        page = archive.executions.list(F.study(found.name), limit=_SHOWN)
    if as_json:
        shown = {**found.to_json(), "newest": [each.to_json() for each in page]}
        click.echo(json.dumps(shown, indent=2))
    else:
        print_page(study_page(found, page), sys.stdout)
        if page.next is not None:
            click.echo(f"All of them: taskgraph execution list --study {found.name}")
    return ExitCode.OK
