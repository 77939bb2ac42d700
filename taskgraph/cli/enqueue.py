"""``taskgraph execution enqueue``: give an execution that waits to the workers of queues."""

from __future__ import annotations

import json

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode

_HELP = """Give an execution that waits to the workers of queues.

Without a queue it waits where it was declared for, perhaps with another priority.
"""


@click.command(
    "enqueue", help=_HELP, short_help="Give an execution that waits to the workers of queues."
)
@click.option(
    "--queue", "queues", metavar="NAME", multiple=True, help="Where it waits; may be repeated."
)
@click.option("--priority", type=int, metavar="N", help="What comes first, the smallest.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("ref")
@click.pass_context
def command(
    ctx: click.Context, queues: tuple[str, ...], priority: int | None, as_json: bool, ref: str
) -> int:
    """Give it to other workers."""
    from taskgraph.cli.submit import queues_of
    from taskgraph.errors import ExecutionNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise ExecutionNotFoundError(ref)
        found = archive.executions.enqueue(ref, queues, priority=priority)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo(f"{found.id[:8]} waits in {', '.join(queues_of(found.tags))}.")
    return ExitCode.OK


__all__ = ["command"]
