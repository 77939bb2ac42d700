"""``taskgraph study``: what executions are part of."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode

if TYPE_CHECKING:
    from taskgraph.catalog.rows import DeletedStudy

_SHOWN = 20


@click.group("study", help="Show and delete studies: names for bodies of work.")
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


@command.command("owner", help="Have a study belong to a user; without one, to nobody.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("study", metavar="STUDY")
@click.argument("user", metavar="[USER]", required=False)
@click.pass_context
def owner(ctx: click.Context, as_json: bool, study: str, user: str | None) -> int:
    """Say whose a study is."""
    from taskgraph.errors import StudyNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise StudyNotFoundError(study)
        found = archive.studies.set_owner(study, user)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo(f"Study {found.name} belongs to {found.owner or 'nobody'}.")
    return ExitCode.OK


@command.command("delete", help="Delete a study with its workflows and datasets.")
@click.option(
    "--executions",
    type=click.Choice(("keep", "refuse", "delete")),
    default="keep",
    show_default=True,
    help="What becomes of its executions: they are of no study, must not be there, or go too.",
)
@click.option("--groups", is_flag=True, help="The groups of its workflows too.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.argument("study", metavar="STUDY")
@click.pass_context
def delete(
    ctx: click.Context,
    executions: str,
    groups: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    study: str,
) -> int:
    """Delete one study."""
    from taskgraph.errors import StudyNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise StudyNotFoundError(study)
        how: dict[str, Any] = {"executions": executions, "groups": groups}
        found = archive.studies.delete(study, **how, dry_run=True)
        assert found is not None
        if not (dry_run or yes or as_json):
            click.echo(_told(found, is_done=False))
            if not click.confirm(f"Delete study {found.name}?"):
                return ExitCode.OK
        if not dry_run:
            found = archive.studies.delete(study, **how) or found
    if as_json:
        click.echo(json.dumps({**found.to_json(), "dry_run": dry_run}, indent=2))
    else:
        click.echo(_told(found, is_done=not dry_run))
    return ExitCode.OK


def _told(gone: DeletedStudy, *, is_done: bool) -> str:
    """Return what went with a study, or would."""
    counts = {
        "workflow": gone.workflows,
        "group": gone.groups,
        "dataset": gone.datasets,
        "execution": gone.deleted,
    }
    went = [_number(count, noun) for noun, count in counts.items() if count]
    said = f"Study {gone.name} {'is' if is_done else 'would be'} deleted"
    said += f", with {', '.join(went)}" if went else ""
    if gone.kept:
        said += f"; {_number(gone.kept, 'execution')} kept, without a study"
    return f"{said}."


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
