"""``taskgraph workflow add-step`` and its like: the steps of a stored workflow are edited."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode
from taskgraph.cli.rerun import load_tasks

if TYPE_CHECKING:
    from taskgraph.archive import Archive
    from taskgraph.catalog.workflow_rows import Workflow, WorkflowStep
    from taskgraph.tasks.registry import AnyTask

# Shorter ones are positions, longer ones may be the start of an id.
_MOST_DIGITS: Final = 3

_OPTION = click.option(
    "--option",
    "options",
    metavar="KEY=VALUE",
    multiple=True,
    help="An option of its calls, as retries=2; may be repeated.",
)
_SCRIPT = click.option(
    "--script", metavar="SCRIPT", help="Where the task is. Default: what the workflow was made of."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


def asked(archive: Archive | None, workflow: str) -> Archive:
    """Return the archive in which a workflow is asked for.

    Raises:
        WorkflowNotFoundError: Nothing was recorded yet.
    """
    from taskgraph.errors import WorkflowNotFoundError

    if archive is None:
        raise WorkflowNotFoundError(workflow)
    return archive


def tell(flow: Workflow, as_json: bool, said: str) -> int:
    """Show a workflow, as JSON or in a line."""
    click.echo(json.dumps(flow.to_json(), indent=2) if as_json else said)
    return ExitCode.OK


@click.command("add-step", help="Put a TASK into a workflow, before a position or behind all.")
@click.option("--position", type=click.IntRange(0), help="Before the step that is there, from 0.")
@_OPTION
@_SCRIPT
@_JSON
@click.argument("workflow")
@click.argument("task")
@click.argument("args", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_context
def add_step(
    ctx: click.Context,
    position: int | None,
    options: tuple[str, ...],
    script: str | None,
    as_json: bool,
    workflow: str,
    task: str,
    args: tuple[str, ...],
) -> int:
    """Add one step."""
    with opened_archive(ctx) as archive:
        manager = asked(archive, workflow).workflows
        found = manager.get(workflow)
        made = manager.add_step(
            found,
            _task(ctx, script or found.meta.get("script"), task),
            position=position,
            args=_pairs(ctx, args),
            options=_pairs(ctx, options),
        )
        flow = manager.get(found.id)
    return _show(flow, made, as_json)


@click.command("update-step", help="Change arguments or options of a STEP.")
@_OPTION
@click.option(
    "--no-option", "unwanted", metavar="KEY", multiple=True, help="An option that is to go."
)
@click.option("--reset", is_flag=True, help="Only the defaults of the task as arguments.")
@_SCRIPT
@_JSON
@click.argument("step")
@click.argument("args", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_context
def update_step(
    ctx: click.Context,
    options: tuple[str, ...],
    unwanted: tuple[str, ...],
    reset: bool,
    script: str | None,
    as_json: bool,
    step: str,
    args: tuple[str, ...],
) -> int:
    """Change one step: arguments that are given replace those that it had."""
    from taskgraph.catalog.store import UNSET

    said = {**_pairs(ctx, options), **dict.fromkeys(unwanted)}
    with opened_archive(ctx) as archive:
        manager = asked(archive, step).workflows
        flow, known = _find(asked(archive, step), step)
        load_tasks(ctx, script or (flow.meta.get("script") if args or reset else None))
        changed = manager.update_step(
            known,
            args=_pairs(ctx, args) if args or reset else UNSET,
            options=said or UNSET,
        )
        flow = manager.get(flow.id)
    return _show(flow, changed, as_json)


@click.command("remove-step", help="Take a STEP out of its workflow; those behind it move up.")
@_JSON
@click.argument("step")
@click.pass_context
def remove_step(ctx: click.Context, as_json: bool, step: str) -> int:
    """Remove one step."""
    with opened_archive(ctx) as archive:
        _, known = _find(asked(archive, step), step)
        flow = asked(archive, step).workflows.remove_step(known)
    return tell(flow, as_json, f"{known.task} is no step of {flow.label} any more.")


_REORDER = """Give the steps of a workflow a new order.

STEP is the position that it has, from 0, or an id or its first digits (4 or more). Each step is
named once.
"""


@click.command("reorder", help=_REORDER, short_help="Give the steps of a workflow a new order.")
@_JSON
@click.argument("workflow")
@click.argument("steps", metavar="STEP...", nargs=-1, required=True)
@click.pass_context
def reorder(ctx: click.Context, as_json: bool, workflow: str, steps: tuple[str, ...]) -> int:
    """Reorder the steps."""
    with opened_archive(ctx) as archive:
        manager = asked(archive, workflow).workflows
        found = manager.get(workflow)
        flow = manager.reorder(found, [_at(found.steps, each) for each in steps])
    if as_json:
        return tell(flow, as_json, "")
    return _page(flow)


def _show(flow: Workflow, step: WorkflowStep, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(step.to_json(), indent=2))
        return ExitCode.OK
    click.echo(f"{step.id[:8]} is step {step.position} of {flow.label}.")
    return _page(flow)


def _page(flow: Workflow) -> int:
    from taskgraph.provenance.group_page import workflow_detail
    from taskgraph.provenance.page import print_page

    print_page(workflow_detail(flow), sys.stdout)
    return ExitCode.OK


def _find(archive: Archive, text: str) -> tuple[Workflow, WorkflowStep]:
    """Return a step, with its workflow: by its place there, or by id.

    Raises:
        StepNotFoundError: There is none.
    """
    from taskgraph.errors import StepNotFoundError

    name, colon, place = text.rpartition(":")
    if colon and place.isdecimal():
        flow = archive.workflows.get(name)
        for each in flow.steps:
            if str(each.position) == place:
                return flow, each
        raise StepNotFoundError(text)
    known = archive.workflows.step(text)
    return archive.workflows.of_step(known), known


def _at(steps: Sequence[WorkflowStep], text: str) -> str:
    """Return the id of a step that is named by its place; all else as it is."""
    if text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) < len(steps):
        return steps[int(text)].id
    return text


def _task(ctx: click.Context, script: str | None, name: str) -> AnyTask | str:
    """Return a task of a script; without one, a name that need not be defined here."""
    from taskgraph.cli.scripts import find_task

    module = load_tasks(ctx, script)
    return name if module is None else find_task(module, name)


def _pairs(ctx: click.Context, words: Sequence[str]) -> dict[str, Any]:
    from taskgraph.tags import parse_tag_key_value

    try:
        return dict(parse_tag_key_value(each) for each in words)
    except ValueError as error:
        raise click.UsageError(f"{error}", ctx) from None


COMMANDS: Final = (add_step, update_step, remove_step, reorder)

__all__ = ["COMMANDS", "asked", "tell"]
