"""``taskgraph workflow``: stored lists of steps, in versions."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from taskgraph.cli.managed import made_archive, opened_archive
from taskgraph.cli.options import ExitCode, load_settings

_HELP = """Store workflows: lists of steps, in versions.

The first step is given the files of the datasets that the workflow is run on, each other one what
the step before it returned. WORKFLOW is a name, NAME@VERSION, or an id or its first digits.

\b
taskgraph workflow create mean flow.py read 'average unit=K' --group-by model
taskgraph workflow list
taskgraph workflow promote mean@2
"""


@click.group("workflow", help=_HELP, short_help="Store workflows: lists of steps, in versions.")
def command() -> None:
    """Hold the commands below ``workflow`` together."""


@command.command("create", help="Store a workflow NAME of the tasks of a SCRIPT, in their order.")
@click.option("--version", type=click.IntRange(1), default=1, show_default=True, help="Which.")
@click.option("--study", metavar="NAME", help="The study that it is part of.")
@click.option("--group-by", metavar="KEY,...", help="By which facets its groups are told apart.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("name")
@click.argument("script")
@click.argument("steps", metavar="'TASK [KEY=VALUE]...'...", nargs=-1, required=True)
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
    from taskgraph.cli.scripts import find_task, load_script

    module = load_script(script)
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
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
        return ExitCode.OK
    number = "1 step" if len(made.steps) == 1 else f"{len(made.steps)} steps"
    promoted = "" if made.promoted else f" It is not promoted: `workflow promote {made.label}`."
    click.echo(f"{made.id[:8]} is {made.label}, of {number}.{promoted}")
    return ExitCode.OK


@command.command("list", help="List workflows by name.")
@click.option("--all", "superseded", is_flag=True, help="Also versions that are not promoted.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(ctx: click.Context, superseded: bool, as_json: bool) -> int:
    """Show workflows."""
    from taskgraph.provenance.group_page import workflows_page
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        found = []
        if archive is not None:
            found = archive.workflows.list(include_superseded=superseded)
    if as_json:
        click.echo(json.dumps({"workflows": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(workflows_page(found), sys.stdout)
    return ExitCode.OK


@command.command("promote", help="Have a version of a workflow be the one that is meant.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow", metavar="WORKFLOW@VERSION")
@click.pass_context
def promote(ctx: click.Context, as_json: bool, workflow: str) -> int:
    """Promote a version."""
    from taskgraph.errors import WorkflowNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise WorkflowNotFoundError(workflow)
        found = archive.workflows.promote(workflow)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo(f"{found.label} is promoted.")
    return ExitCode.OK


def facets_of(text: str) -> list[str]:
    """Return facets that are written with commas between them."""
    return [each.strip() for each in text.split(",") if each.strip()]


def _step(ctx: click.Context, text: str) -> tuple[str, dict[str, Any]]:
    """Return the task of a step, and its arguments."""
    from taskgraph.tags import parse_tag_key_value

    try:
        task, *words = shlex.split(text)
        return task, dict(parse_tag_key_value(each) for each in words)
    except ValueError as error:
        raise click.UsageError(f"Step {text!r}: {error}", ctx) from None


def script_as_kept(ctx: click.Context, script: str) -> str:
    """Return a script as it is found from anywhere: a path from the project's folder."""
    path = Path(script)
    if not path.is_file():
        return script
    return os.path.relpath(path.absolute(), load_settings(ctx).project_dir)
