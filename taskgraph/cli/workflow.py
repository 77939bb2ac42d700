"""``taskgraph workflow``: stored lists of steps, in versions."""

from __future__ import annotations

import json
import os
import shlex
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from taskgraph.cli import workflow_apply, workflow_steps
from taskgraph.cli.managed import made_archive, opened_archive, read_json
from taskgraph.cli.options import COUNT, ExitCode, load_settings
from taskgraph.cli.rerun import load_tasks
from taskgraph.cli.workflow_steps import asked, tell

if TYPE_CHECKING:
    from taskgraph.catalog.workflow_rows import Workflow, WorkflowDeletion

_HELP = """Store workflows, edit them, and apply them to datasets.

The first step is given the files of the datasets that the workflow is run on, each other one what
the step before it returned. WORKFLOW is a name, NAME@VERSION, or an id or its first digits; STEP is
WORKFLOW:POSITION, or an id or its first digits.

\b
taskgraph workflow create mean flow.py read 'average unit=K' --group-by model
taskgraph workflow add-step mean plot dpi=200 --position 2
taskgraph workflow apply mean --input tas --output means
taskgraph workflow promote mean@2
"""

# Of the highest version that there can be.
_MOST_DIGITS: Final = 10


@click.group("workflow", help=_HELP, short_help="Store workflows: lists of steps, in versions.")
def command() -> None:
    """Hold the commands below ``workflow`` together."""


for each in workflow_steps.COMMANDS:
    command.add_command(each)
command.add_command(workflow_apply.apply)


@command.command("create", help="Store a workflow NAME of the tasks of a SCRIPT, in their order.")
@click.option("--version", type=click.IntRange(1), default=1, show_default=True, help="Which.")
@click.option("--study", metavar="NAME", help="The study that it is part of.")
@click.option("--group-by", metavar="KEY,...", help="By which facets its groups are told apart.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("name")
@click.argument("script")
@click.argument("steps", metavar="['TASK [KEY=VALUE]...']...", nargs=-1)
@click.pass_context
def create(
    ctx: click.Context,
    version: int,
    study: str | None,
    group_by: str | None,
    as_json: bool,
    name: str,
    script: str,
    steps: tuple[str, ...],
) -> int:
    """Store a workflow."""
    from taskgraph.cli.scripts import find_task, load_aside

    module = load_aside(script)
    read = [_step(ctx, each) for each in steps]
    found = [(find_task(module, task), args) for task, args in read]
    meta: dict[str, Any] = {"script": script_as_kept(ctx, script)}
    if group_by is not None:
        meta["group_by"] = facets_of(group_by)
    namespace, _, own = name.rpartition(".")
    with made_archive(ctx) as archive:
        made = archive.workflows.create(
            own, namespace=namespace, study=study, version=version, steps=found, meta=meta
        )
    return tell(made, as_json, _stored(made))


@command.command("list", help="List workflows by name.")
@click.option("--all", "superseded", is_flag=True, help="Also versions that are not promoted.")
@click.option("--name", metavar="PART", help="With this in their name, whatever the case.")
@click.option("--namespace", "namespaces", metavar="NAME", multiple=True, help="Of this one.")
@click.option("--study", "studies", metavar="NAME", multiple=True, help="Of this study.")
@click.option("--task", "tasks", metavar="NAME", multiple=True, help="With a step of this task.")
@click.option("--enabled/--disabled", default=None, help="Only those that may be applied, or not.")
@click.option("--filter", "where", metavar="JSON", help="What is meant, as JSON; beside the rest.")
@click.option("-n", "--limit", type=COUNT, help="At most so many.")
@click.option("--count", "is_count", is_flag=True, help="Only how many there are.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(
    ctx: click.Context,
    /,
    superseded: bool,
    limit: int | None,
    is_count: bool,
    as_json: bool,
    **filters: Any,
) -> int:
    """Show workflows."""
    from taskgraph.provenance.group_page import workflows_page
    from taskgraph.provenance.page import print_page

    where = _where(filters)
    found: list[Workflow] = []
    total = 0
    with opened_archive(ctx) as archive:
        if archive is not None and is_count:
            total = archive.workflows.count(where, include_superseded=superseded)
        elif archive is not None:
            found = archive.workflows.list(where, include_superseded=superseded, limit=limit)
            total = 0 if found else archive.workflows.count(include_superseded=True)
    if is_count:
        click.echo(json.dumps({"count": total}) if as_json else str(total))
    elif as_json:
        click.echo(json.dumps({"workflows": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(workflows_page(found, total, _written(filters)), sys.stdout)
    return ExitCode.OK


def _where(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the filters mean, as JSON."""
    found: list[Any] = []
    if given["name"] is not None:
        found.append({"name": {"like_": given["name"]}})
    for key, name in (("namespace", "namespaces"), ("study", "studies"), ("task", "tasks")):
        if given[name]:
            found.append({key: {"any_": list(given[name])}})
    if given["enabled"] is not None:
        found.append({"enabled": {"is_": given["enabled"]}})
    if given["where"] is not None:
        found.append(read_json(given["where"]))
    return {"and_": found} if found else {}


def _written(given: Mapping[str, Any]) -> list[str]:
    """Return the filters as they were written."""
    found = [] if given["name"] is None else [f"--name {given['name']}"]
    for flag, name in (("--namespace", "namespaces"), ("--study", "studies"), ("--task", "tasks")):
        found += [f"{flag} {each}" for each in given[name]]
    if given["enabled"] is not None:
        found.append("--enabled" if given["enabled"] else "--disabled")
    return found if given["where"] is None else [*found, f"--filter {given['where']}"]


@command.command("show", help="Show a workflow with its steps.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow")
@click.pass_context
def show(ctx: click.Context, as_json: bool, workflow: str) -> int:
    """Show one workflow."""
    from taskgraph.provenance.group_page import workflow_detail
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        found = asked(archive, workflow).workflows.get(workflow)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_page(workflow_detail(found), sys.stdout)
    return ExitCode.OK


@command.command("new-version", help="Copy a workflow as the next version, which is not promoted.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow")
@click.pass_context
def new_version(ctx: click.Context, as_json: bool, workflow: str) -> int:
    """Copy a version."""
    with opened_archive(ctx) as archive:
        made = asked(archive, workflow).workflows.new_version(workflow)
    return tell(made, as_json, _stored(made))


@command.command("promote", help="Have a version of a workflow be the one that is meant.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow", metavar="WORKFLOW@VERSION")
@click.pass_context
def promote(ctx: click.Context, as_json: bool, workflow: str) -> int:
    """Promote a version."""
    with opened_archive(ctx) as archive:
        found = asked(archive, workflow).workflows.promote(workflow)
    return tell(found, as_json, f"{found.label} is promoted.")


@command.command("enable", help="Have a workflow be applied that was disabled.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow")
@click.pass_context
def enable(ctx: click.Context, as_json: bool, workflow: str) -> int:
    """Switch a version on."""
    with opened_archive(ctx) as archive:
        found = asked(archive, workflow).workflows.enable(workflow)
    return tell(found, as_json, f"{found.label} is enabled.")


@command.command("disable", help="Have a workflow not be applied; what runs goes on.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow")
@click.pass_context
def disable(ctx: click.Context, as_json: bool, workflow: str) -> int:
    """Switch a version off."""
    with opened_archive(ctx) as archive:
        found = asked(archive, workflow).workflows.disable(workflow)
    return tell(found, as_json, f"{found.label} is disabled: it is not applied.")


@command.command("export", help="Write a workflow as JSON that another database takes.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where. Default: here."
)
@click.option("--script", metavar="SCRIPT", help="Where its tasks are, for their versions.")
@click.argument("workflow")
@click.pass_context
def export(ctx: click.Context, output: Path | None, script: str | None, workflow: str) -> int:
    """Export one workflow."""
    with opened_archive(ctx) as archive, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        load_tasks(ctx, script)
        spec = asked(archive, workflow).workflows.export(workflow)
    _warn(told)
    text = json.dumps(spec, indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return ExitCode.OK
    output.write_text(f"{text}\n", encoding="utf-8")
    click.echo(f"{spec['name']}@{spec['version']} is in {output}.")
    return ExitCode.OK


def _warn(told: Iterable[warnings.WarningMessage]) -> None:
    """Say what was warned of."""
    for each in told:
        click.echo(f"Warning: {each.message}", err=True)


_IMPORT = """Store a workflow that was exported to a FILE.

No code is loaded that the FILE names. What is known of its tasks is held against it: those of
packages, and those of the script that is given by --script. Of others it is warned.
"""


@command.command("import", help=_IMPORT, short_help="Store a workflow that was exported to a FILE.")
@click.option("--study", metavar="NAME", help="The study that it is to be part of.")
@click.option("--version", metavar="N|next", help="In place of its own; next: after the highest.")
@click.option("--script", metavar="SCRIPT", help="Where its tasks are: loaded, to check them.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.pass_context
def import_(
    ctx: click.Context,
    study: str | None,
    version: str | None,
    script: str | None,
    as_json: bool,
    file: Any,
) -> int:
    """Import one workflow."""
    from taskgraph.errors import ValidationError

    try:
        spec = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise ValidationError(file.name, f"this is no JSON: {error}.") from error
    load_tasks(ctx, script)
    with made_archive(ctx) as archive, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made = archive.workflows.import_(
            spec, study=study, version=_version(ctx, version), allow_unknown=script is None
        )
    _warn(told)
    return tell(made, as_json, _stored(made))


def _version(ctx: click.Context, text: str | None) -> Any:
    """Return a version as it is imported. Any: a number, the word next, or None."""
    if text is None or text == "next":
        return text
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise click.UsageError(f"--version: expected a number or next, not {text!r}.", ctx)
    return int(text)


@command.command("delete", help="Delete versions of workflows; executions keep what they ran.")
@click.option("--groups", is_flag=True, help="Their groups too; executions of these stay.")
@click.option("--dry-run", is_flag=True, help="Only say which would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.argument("workflows", metavar="WORKFLOW...", nargs=-1, required=True)
@click.pass_context
def delete(
    ctx: click.Context,
    groups: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    workflows: tuple[str, ...],
) -> int:
    """Delete versions."""
    with opened_archive(ctx) as archive:
        manager = asked(archive, workflows[0]).workflows
        every = [manager.get(each) for each in workflows]
        found = list({each.id: each for each in every}.values())
        # None goes unless all can.
        gone = [manager.delete(each, groups=groups, dry_run=True) for each in found]
        if not (dry_run or yes or as_json):
            for each in gone:
                click.echo(_told(each))
            number = "this workflow" if len(found) == 1 else f"these {len(found)} workflows"
            if not click.confirm(f"Delete {number}?"):
                return ExitCode.OK
        if not dry_run:
            gone = [manager.delete(each, groups=groups) for each in found]
    if as_json:
        shown = [each.to_json() for each in gone]
        click.echo(json.dumps({"workflows": shown, "dry_run": dry_run}, indent=2))
    elif dry_run or yes:
        for each in gone:
            click.echo(_told(each))
    else:
        click.echo(f"{len(gone)} deleted.")
    return ExitCode.OK


def _told(gone: WorkflowDeletion) -> str:
    """Return what goes with a workflow, or would."""
    said = f"{gone.workflow} {'would be' if gone.is_dry_run else 'is'} deleted"
    if gone.groups:
        said += f", with {gone.groups:,} group{'' if gone.groups == 1 else 's'}"
    if gone.executions:
        said += f"; {gone.executions:,} execution{'' if gone.executions == 1 else 's'} kept"
    if gone.promoted is not None:
        said += f"; {gone.promoted} is promoted then"
    return f"{said}."


def facets_of(text: str) -> list[str]:
    """Return facets that are written with commas between them."""
    return [each.strip() for each in text.split(",") if each.strip()]


def _stored(made: Workflow) -> str:
    number = "1 step" if len(made.steps) == 1 else f"{len(made.steps)} steps"
    promoted = "" if made.promoted else f" It is not promoted: `workflow promote {made.label}`."
    return f"{made.id[:8]} is {made.label}, of {number}.{promoted}"


def _step(ctx: click.Context, text: str) -> tuple[str, dict[str, Any]]:
    """Return the task of a step, and its arguments."""
    from taskgraph.tags import parse_tag_key_value

    try:
        task, *words = shlex.split(text)
        return task, dict(parse_tag_key_value(each) for each in words)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"Step {text!r}: {error}", ctx) from None


def script_as_kept(ctx: click.Context, script: str) -> str:
    """Return a script as it is found from anywhere: a path from the project's folder."""
    path = Path(script)
    if not path.is_file():
        return script
    return os.path.relpath(path.absolute(), load_settings(ctx).project_dir)
