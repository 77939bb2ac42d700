"""``taskgraph artifact``: named outputs of executions."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import COUNT, ExitCode
from taskgraph.cli.pairs import TagPair

_HELP = """Manage artifacts: named outputs of executions.

REF is an execution: an id or its first digits, its workspace, or - for the newest.

\b
taskgraph artifact add - plot temperature plots/tas.png --dimension region=eu
taskgraph artifact list --kind plot --dimension region=eu
"""


@click.group("artifact", help=_HELP, short_help="Manage artifacts: named outputs of executions.")
def command() -> None:
    """Hold the commands below ``artifact`` together."""


@command.command("list", help="List artifacts, of the newest executions first.")
@click.option("--execution", metavar="REF", help="Only those of this execution.")
@click.option("--kind", metavar="KIND", help="Only those of this kind: plot, data, html, log.")
@click.option("--key", metavar="KEY", help="Only those that are called so.")
@click.option(
    "--dimension",
    "dimensions",
    type=TagPair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="Only those with this dimension; all of them, if repeated.",
)
@click.option(
    "--include-retracted",
    "--retracted",
    is_flag=True,
    help="Those too whose execution is not to be used.",
)
@click.option("-n", "--limit", type=COUNT, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(
    ctx: click.Context,
    execution: str | None,
    kind: str | None,
    key: str | None,
    dimensions: tuple[tuple[str, Any], ...],
    include_retracted: bool,
    limit: int | None,
    as_json: bool,
) -> int:
    """Show artifacts."""
    from taskgraph.errors import ExecutionNotFoundError
    from taskgraph.provenance.data_page import artifacts_page
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        if archive is None and execution is not None:
            raise ExecutionNotFoundError(execution)
        found = []
        if archive is not None:
            found = archive.artifacts.list(
                execution,
                kind=kind,
                key=key,
                dimensions=dimensions,
                include_retracted=include_retracted,
                limit=limit,
            )
    if as_json:
        click.echo(json.dumps({"artifacts": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(artifacts_page(found), sys.stdout)
    return ExitCode.OK


@command.command("add", help="Register PATH, in the workspace of REF, as its artifact KIND KEY.")
@click.option(
    "--dimension",
    "dimensions",
    type=TagPair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="What it is of: a key of the vocabulary; may be repeated.",
)
@click.option("--title", metavar="TEXT", help="What it is called at length.")
@click.option("--description", metavar="TEXT", help="What there is to say of it.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("ref")
@click.argument("kind")
@click.argument("key")
@click.argument("path")
@click.pass_context
def add(
    ctx: click.Context,
    dimensions: tuple[tuple[str, Any], ...],
    title: str | None,
    description: str | None,
    as_json: bool,
    ref: str,
    kind: str,
    key: str,
    path: str,
) -> int:
    """Register an artifact."""
    from taskgraph.errors import ExecutionNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise ExecutionNotFoundError(ref)
        made = archive.artifacts.add(
            ref, kind, key, path, dimensions=dimensions, title=title, description=description
        )
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
    else:
        click.echo(f"{made.path} is {made.kind} {made.key} of {made.execution_id[:8]}.")
    return ExitCode.OK
