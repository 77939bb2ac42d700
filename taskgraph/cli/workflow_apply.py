"""``taskgraph workflow apply``: a stored workflow is run on datasets, here or by a worker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.aside import printed_aside
from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode
from taskgraph.cli.pairs import TagPair
from taskgraph.cli.rerun import load_tasks, tell_ends

if TYPE_CHECKING:
    from taskgraph.catalog.rows import Execution

_HELP = """Submit a stored workflow on datasets; what is submitted is frozen.

It waits in a queue until a worker takes it, or runs in this process (--here). Once it has ended
well, the files of its result are the content of the output. Later edits of the workflow and new
contents of the datasets change nothing about what was submitted.

\b
taskgraph workflow apply mean --input tas --input pr --output means --here
taskgraph workflow apply mean@2 --input raw=tas --output means --steps 1-2
"""


@click.command("apply", help=_HELP, short_help="Submit a stored workflow on datasets.")
@click.option(
    "--input",
    "inputs",
    metavar="[NAME=]DATASET",
    multiple=True,
    required=True,
    help="A dataset that it reads, called NAME within the execution; may be repeated.",
)
@click.option("--output", metavar="DATASET", required=True, help="The dataset that it writes.")
@click.option("--steps", metavar="FIRST-LAST", help="Only these steps, from 0: 1-2, 1-, 2.")
@click.option("--queue", metavar="NAME", help="Where it waits for a worker. Default: default.")
@click.option(
    "--priority", type=int, default=0, show_default=True, help="The smallest is taken first."
)
@click.option("--here", is_flag=True, help="Run it in this process, at once.")
@click.option("--idempotency-key", "--key", metavar="KEY", help="Submit it once under this key.")
@click.option("--strict", is_flag=True, help="A key that was used for something else is an error.")
@click.option("--account", metavar="NAME", help="From which account it is paid.")
@click.option("--submitted-by", metavar="WHO", help="Who asks for it.")
@click.option("--workspace", metavar="DIR", help="Its folder, which no other execution has.")
@click.option("--name", metavar="TEXT", help="What people call it.")
@click.option(
    "--tag", "tags", type=TagPair(), multiple=True, metavar="KEY=VALUE", help="A tag; repeatable."
)
@click.option("--script", metavar="SCRIPT", help="Where the tasks are. Default: as was stored.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("workflow")
@click.pass_context
def apply(
    ctx: click.Context,
    /,
    inputs: tuple[str, ...],
    steps: str | None,
    queue: str | None,
    here: bool,
    idempotency_key: str | None,
    tags: tuple[tuple[str, Any], ...],
    script: str | None,
    as_json: bool,
    workflow: str,
    **given: Any,
) -> int:
    """Apply one workflow."""
    from taskgraph.catalog.applying import DEFAULT_QUEUE
    from taskgraph.cli.workflow import script_as_kept
    from taskgraph.errors import WorkflowNotFoundError

    if here and queue is not None:
        raise click.UsageError("--here runs it in this process, and --queue has it wait.", ctx)
    first, last = _range(ctx, steps)
    with opened_archive(ctx) as archive, printed_aside():
        if archive is None:
            raise WorkflowNotFoundError(workflow)
        found = archive.workflows.find(workflow)
        if found is not None:
            _load(ctx, script, found.meta.get("script"), is_needed=here)
        made = archive.workflows.apply(
            workflow if found is None else found,
            inputs=_inputs(inputs),
            first_step=first,
            last_step=last,
            queue=DEFAULT_QUEUE if queue is None else queue,
            idempotency_key=idempotency_key,
            tags=tags,
            here=here,
            script=None if script is None else script_as_kept(ctx, script),
            **given,
        )
    if here:
        return tell_ends([made], as_json)
    return _tell(made, DEFAULT_QUEUE if queue is None else queue, as_json)


def _load(ctx: click.Context, script: str | None, stored: str | None, *, is_needed: bool) -> None:
    """Load the tasks, if they are to run here, or if it is said where they are."""
    if script is not None or is_needed:
        load_tasks(ctx, script or stored)


def _tell(made: Execution, queue: str, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
    elif made.is_active:
        click.echo(f"{made.id[:8]} is {made.name}: it waits in queue {queue} for a worker.")
    else:
        click.echo(f"{made.id[:8]} is {made.name}: it is {made.state.name}.")
    return ExitCode.OK


def _inputs(given: Sequence[str]) -> Any:
    """Return inputs as they are wanted. Any: a list of datasets, or a mapping of names to some."""
    if not any("=" in each for each in given):
        return list(given)
    pairs = [each.partition("=") for each in given]
    return {name: dataset if equals else name for name, equals, dataset in pairs}


def _range(ctx: click.Context, text: str | None) -> tuple[int | None, int | None]:
    """Return the first and the last step that are meant."""
    if text is None:
        return None, None
    first, dash, last = text.partition("-")
    ends = [each for each in (first, last) if each]
    if not first or not all(each.isdecimal() and len(each) < 10 for each in ends):
        raise click.UsageError(f"--steps: expected FIRST-LAST, as 1-2, 1- or 2; not {text!r}.", ctx)
    if not dash:
        return int(first), int(first)
    return int(first), int(last) if last else None


__all__ = ["apply"]
