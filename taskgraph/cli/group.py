"""``taskgraph group``: a workflow on datasets of the same facets, run where something changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from taskgraph.cli.aside import printed_aside
from taskgraph.cli.limits import Duration
from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import COUNT, ExitCode
from taskgraph.cli.pairs import TagPair
from taskgraph.cli.rerun import load_tasks, tell_ends
from taskgraph.cli.workflow import facets_of

if TYPE_CHECKING:
    from taskgraph.archive import Archive
    from taskgraph.catalog.group_rows import Decision, GroupDeletionReport
    from taskgraph.catalog.workflow_rows import Workflow

_HELP = """Plan and run groups: a workflow on datasets of the same facets.

A group runs if it never did, if its datasets have changed, or if it was flagged dirty. GROUP is its
key, WORKFLOW/KEY, or an id or its first digits.

\b
taskgraph group plan climate.mean --group-by model
taskgraph group run climate.mean --limit 10
taskgraph group flag-dirty model=A --recompute
taskgraph group stats
"""
_MOST: Final = 100

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(
    "group",
    help=_HELP,
    short_help="Plan and run groups: a workflow on datasets of the same facets.",
)
def command() -> None:
    """Hold the commands below ``group`` together."""


_PLANNING: Final = (
    click.option(
        "--group-by",
        metavar="KEY,...",
        help="Facets, KEY or TYPE.KEY. Default: those of the workflow, or of its groups.",
    ),
    click.option(
        "--dataset", "datasets", metavar="DATASET", multiple=True, help="Only of these datasets."
    ),
    click.option("--study", metavar="NAME", help="Only datasets of this study."),
    click.option("--rerun-failed", is_flag=True, help="Groups that failed run again."),
    click.option(
        "--stale-after",
        type=Duration(),
        metavar="TIME",
        help="What was not heard of for so long is CRASHED: 6h, 2d.",
    ),
)


def _planning(command: Command) -> Command:
    """Give a command the options of planning, as one argument: ``asked``."""
    for option in reversed(_PLANNING):
        command = option(command)
    return command


@command.command("plan", help="Show which groups of a WORKFLOW are to run, and why; run nothing.")
@_planning
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow")
@click.pass_context
def plan(ctx: click.Context, /, as_json: bool, workflow: str, **asked: Any) -> int:
    """Plan groups."""
    with opened_archive(ctx) as archive:
        _, decisions = _planned(ctx, archive, workflow, asked)
    _show(decisions, as_json)
    return ExitCode.OK


@command.command("run", help="Run the groups of a WORKFLOW that are to run.")
@_planning
@click.option("-n", "--limit", type=click.IntRange(0), help="At most so many.")
@click.option(
    "--one-per",
    type=click.Choice(["workflow", "namespace"]),
    help="At most one of each.",
)
@click.option("--recompute", is_flag=True, help="Use no results of before; store as ever.")
@click.option("--account", metavar="NAME", help="From which account it is paid.")
@click.option("--submitted-by", metavar="WHO", help="Who asks for it.")
@click.option("--script", metavar="SCRIPT", help="Where the tasks are. Default: as was stored.")
@click.option("--dry-run", is_flag=True, help="Only show what would run.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    limit: int | None,
    one_per: Any,
    recompute: bool,
    account: str | None,
    submitted_by: str | None,
    script: str | None,
    dry_run: bool,
    as_json: bool,
    workflow: str,
    **asked: Any,
) -> int:
    """Plan groups and run what is to run."""
    with opened_archive(ctx) as archive:
        flow, decisions = _planned(ctx, archive, workflow, asked)
        assert archive is not None
        if dry_run:
            chosen = archive.groups.choose(decisions, limit=limit, one_per=one_per)
            _show(chosen, as_json)
            return ExitCode.OK
        load_tasks(ctx, script or flow.meta.get("script"))
        with printed_aside():
            made = archive.groups.run(
                decisions,
                limit=limit,
                one_per=one_per,
                recompute=recompute,
                account=account,
                submitted_by=submitted_by,
            )
    if not made and not as_json:
        groups = "1 group" if len(decisions) == 1 else f"{len(decisions):,} groups"
        click.echo(f"Nothing is to run: {groups} of {flow.label}.")
    return tell_ends(made, as_json)


def _planned(
    ctx: click.Context, archive: Archive | None, workflow: str, asked: Mapping[str, Any]
) -> tuple[Workflow, list[Decision]]:
    from taskgraph.errors import WorkflowNotFoundError

    if archive is None:
        raise WorkflowNotFoundError(workflow)
    flow = archive.workflows.get(workflow)
    return flow, archive.groups.plan(
        flow,
        _datasets(archive, asked["datasets"], asked["study"]),
        group_by=_facets(ctx, archive, flow, asked["group_by"]),
        rerun_failed=asked["rerun_failed"],
        stale_after=asked["stale_after"],
    )


def _datasets(archive: Archive, refs: Sequence[str], study: str | None) -> Sequence[Any] | None:
    """Return the datasets that are meant; None for all."""
    from taskgraph.catalog.writing import F

    if study is None:
        return refs or None
    if refs:
        return [archive.datasets.get(each, study=study) for each in refs]
    return archive.datasets.list(F.study(archive.studies.get(study).name))


def _facets(ctx: click.Context, archive: Archive, flow: Workflow, given: str | None) -> list[str]:
    """Return by which facets groups are told apart, if it is said anywhere."""
    if given is not None:
        return facets_of(given)
    known = flow.meta.get("group_by")
    if isinstance(known, list):
        return [str(each) for each in known]
    where = {"workflow": {"any_": [flow.id]}}
    found = archive.groups.list(where, include_superseded=True, limit=1)
    if not found:
        raise click.UsageError(
            f"By which facets are the groups of {flow.label} told apart? Say --group-by KEY,...",
            ctx,
        )
    return list(found[0][0].selectors)


def _show(decisions: list[Decision], as_json: bool) -> None:
    from taskgraph.provenance.group_page import decisions_page
    from taskgraph.provenance.page import print_page

    if as_json:
        click.echo(json.dumps({"decisions": [each.to_json() for each in decisions]}, indent=2))
    else:
        print_page(decisions_page(decisions), sys.stdout)


_FILTERS: Final = (
    click.option(
        "--workflow", "workflows", metavar="WORKFLOW", multiple=True, help="Of this workflow."
    ),
    click.option(
        "--facet",
        "facets",
        type=TagPair(),
        multiple=True,
        metavar="KEY=VALUE",
        help="With this facet: of one key any of the values, and that for each key.",
    ),
    click.option("--key", "keys", metavar="KEY", multiple=True, help="With this key."),
    click.option("--dirty/--clean", default=None, help="Only those that are to run again, or not."),
    click.option(
        "--successful/--failed", default=None, help="Only those that ended well last, or did not."
    ),
)


def _filtering(command: Command) -> Command:
    """Give a command the filters of groups."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def _where(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the filters mean, as JSON."""
    found: dict[str, Any] = {}
    for name, key in (("workflow", "workflows"), ("key", "keys")):
        if given[key]:
            found[name] = {"any_": list(given[key])}
    if given["facets"]:
        pairs = [{"key": key, "value": value} for key, value in given["facets"]]
        found["facet"] = {"any_": pairs}
    for name in ("dirty", "successful"):
        if given[name] is not None:
            found[name] = {"is_": given[name]}
    return found


def _written(given: Mapping[str, Any]) -> list[str]:
    """Return the filters as they were written."""
    from taskgraph.tags import format_tag_key_value

    found = [f"--workflow {each}" for each in given["workflows"]]
    found += [f"--facet {format_tag_key_value(*each)}" for each in given["facets"]]
    found += [f"--key {each}" for each in given["keys"]]
    for name, yes, no in (
        ("dirty", "--dirty", "--clean"),
        ("successful", "--successful", "--failed"),
    ):
        if given[name] is not None:
            found.append(yes if given[name] else no)
    return found


@command.command("list", help="List groups, each with its newest execution.")
@_filtering
@click.option("--all", "superseded", is_flag=True, help="Also of versions that are not promoted.")
@click.option(
    "--latest",
    type=click.Choice(["any", "successful"]),
    default="any",
    show_default=True,
    help="The newest execution, or the newest that ended well.",
)
@click.option(
    "-n", "--limit", type=COUNT, default=_MOST, show_default=True, help="At most so many."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(
    ctx: click.Context,
    /,
    superseded: bool,
    latest: Any,
    limit: int,
    as_json: bool,
    **filters: Any,
) -> int:
    """Show groups."""
    from taskgraph.provenance.group_page import groups_page
    from taskgraph.provenance.page import print_page

    total, found = 0, []
    with opened_archive(ctx) as archive:
        if archive is not None:
            found = archive.groups.list(
                _where(filters), latest=latest, include_superseded=superseded, limit=limit
            )
            total = 0 if found else archive.groups.count(include_superseded=True)
    if as_json:
        shown = [
            {**group.to_json(), "newest": None if newest is None else newest.to_json()}
            for group, newest in found
        ]
        click.echo(json.dumps({"groups": shown}, indent=2))
    else:
        print_page(groups_page(found, total, _written(filters)), sys.stdout)
    return ExitCode.OK


@command.command("flag-dirty", help="Have a GROUP run again when it is next planned.")
@click.option("--recompute", is_flag=True, help="That run uses no results of before.")
@click.option("--reason", default="manual", show_default=True, metavar="WORD", help="Why.")
@click.argument("group")
@click.pass_context
def flag_dirty(ctx: click.Context, recompute: bool, reason: str, group: str) -> int:
    """Flag a group."""
    from taskgraph.errors import GroupNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise GroupNotFoundError(group)
        found = archive.groups.get(group)
        archive.groups.flag_dirty(found, recompute=recompute, reason=reason)
    click.echo(f"{found.workflow}/{found.key} is dirty: it runs when it is next planned.")
    return ExitCode.OK


@command.command("delete", help="Delete groups with their executions; datasets stay.")
@_filtering
@click.option(
    "--remove-workspaces",
    is_flag=True,
    help="Remove the folders of the executions, which must be inside of a root.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; asks only without --yes.")
@click.pass_context
def delete(
    ctx: click.Context,
    /,
    remove_workspaces: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **filters: Any,
) -> int:
    """Delete what is meant."""
    from taskgraph.catalog.group_rows import GroupDeletionReport

    where = _where(filters)
    if not where:
        raise click.UsageError("Say by filters which groups are meant.", ctx)
    report = GroupDeletionReport(is_dry_run=dry_run)
    with opened_archive(ctx) as archive:
        if archive is not None:
            how = {"remove_workspaces": remove_workspaces}
            report = archive.groups.delete(where, dry_run=True, **how)
            if report.groups and not dry_run:
                question = f"Delete {_counted(report)}?"
                if not yes and not click.confirm(question, err=as_json):
                    return ExitCode.OK
                meant = {"id": {"any_": list(report.groups)}}  # those that were asked about
                report = archive.groups.delete(meant, **how)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    elif not report.groups:
        click.echo("Nothing is meant by that: nothing was deleted.")
    else:
        click.echo(f"{_counted(report)} {'would go' if dry_run else 'went'}.")
    return ExitCode.OK


def _counted(report: GroupDeletionReport) -> str:
    groups, executions = len(report.groups), len(report.executions)
    one = "1 group" if groups == 1 else f"{groups:,} groups"
    return f"{one} with {executions:,} execution{'' if executions == 1 else 's'}"


@command.command("stats", help="Show how many groups run, failed, ended well, never ran.")
@click.option(
    "--by", metavar="WORD,...", default="namespace,workflow", show_default=True, help="By which."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def stats(ctx: click.Context, by: str, as_json: bool) -> int:
    """Show numbers of groups."""
    from taskgraph.provenance.group_page import stats_page
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        found = [] if archive is None else archive.groups.stats(facets_of(by))
    if as_json:
        click.echo(json.dumps({"stats": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(stats_page(found), sys.stdout)
    return ExitCode.OK
