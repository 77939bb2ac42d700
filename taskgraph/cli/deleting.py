"""``taskgraph execution delete``: executions go, with what only they need."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from taskgraph.cli.managed import actor_of, filter_options, filters_of, opened_archive
from taskgraph.cli.options import ExitCode

if TYPE_CHECKING:
    from taskgraph.archive import Archive
    from taskgraph.catalog.criteria import Criteria
    from taskgraph.catalog.deletions import DeletionReport

# A filter names no more ids than a database takes at once.
_AT_A_TIME: Final = 5_000

_HELP = """Delete executions, with everything that only they need.

REF is an id or its first digits, the folder that is the workspace of one, or - for the newest.
Without one, filters say which are meant, or --all.

Calls, entries of the cache and values stay that another execution or a tag needs.
"""


@click.command("delete", help=_HELP, short_help="Delete executions, with what only they need.")
@filter_options
@click.option("--all", "every", is_flag=True, help="Every execution.")
@click.option("--force", is_flag=True, help="Those too that have not ended.")
@click.option("--as", "actor", metavar="USER", help="Who forces it: an address, a name or an id.")
@click.option("--keep-cache", is_flag=True, help="Keep results in the cache, and what they are of.")
@click.option(
    "--remove-workspace", is_flag=True, help="Remove their folders, which must be inside of a root."
)
@click.option("--missing-ok", is_flag=True, help="A REF that there is not is no error.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; asks only without --yes.")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.pass_context
def delete(
    ctx: click.Context,
    /,
    every: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    refs: tuple[str, ...],
    force: bool,
    actor: str | None,
    keep_cache: bool,
    remove_workspace: bool,
    missing_ok: bool,
    **filters: Any,
) -> int:
    """Delete what is meant."""
    from taskgraph.catalog.deletions import DeletionReport
    from taskgraph.errors import ExecutionNotFoundError
    from taskgraph.provenance.storage_page import deletion_lines

    where, written = filters_of(filters)
    if refs and (written or every):
        raise click.UsageError("Name executions, or say by filters which are meant: not both.", ctx)
    if not refs and not written and not every:
        raise click.UsageError(
            "Name the executions, or say which are meant by filters, or by --all.", ctx
        )
    given: dict[str, Any] = {
        "force": force,
        "keep_cache": keep_cache,
        "remove_workspace": remove_workspace,
    }
    report = DeletionReport(is_dry_run=dry_run)
    with opened_archive(ctx) as archive:
        if archive is None:
            if refs and not missing_ok:
                raise ExecutionNotFoundError(refs[0])
        else:
            given["actor"] = actor_of(archive, actor, is_forced=True) if force else None
            chosen = _named(archive, refs, missing_ok) if refs else where
            if chosen is not None:
                report = archive.executions.delete_many(chosen, all=every, dry_run=True, **given)
            if report.executions and not dry_run:
                if not yes:
                    # What is read is JSON: the question goes where errors go.
                    for text in deletion_lines(report):
                        click.echo(text, err=as_json)
                    if not click.confirm(_question(report), err=as_json):
                        return ExitCode.OK
                report = _delete(archive, report.executions, given)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    elif not report.executions:
        click.echo("Nothing is meant by that: nothing was deleted.")
    else:
        for text in deletion_lines(report):
            click.echo(text)
    sys.stdout.flush()
    return ExitCode.OK


def _named(archive: Archive, refs: tuple[str, ...], missing_ok: bool) -> Criteria | None:
    """Return the executions that were named, as criteria; None if there is none."""
    from taskgraph.catalog.writing import F

    find = archive.executions.find if missing_ok else archive.executions.get
    found = [each.id for each in map(find, refs) if each is not None]
    return F.id(*found) if found else None


def _delete(
    archive: Archive, executions: tuple[str, ...], given: Mapping[str, Any]
) -> DeletionReport:
    """Delete those that were asked about, whatever has come to fit the filters since."""
    from taskgraph.catalog.deletions import DeletionReport
    from taskgraph.catalog.writing import F

    report = DeletionReport()
    for start in range(0, len(executions), _AT_A_TIME):
        some = F.id(*executions[start : start + _AT_A_TIME])
        report += archive.executions.delete_many(some, **given)
    return report


def _question(report: DeletionReport) -> str:
    number = len(report.executions)
    return f"Delete {'this execution' if number == 1 else f'these {number:,} executions'}?"


__all__ = ["delete"]
