"""``taskgraph operation``: actions that take long, and what came of each."""

from __future__ import annotations

import json
import sys
from typing import Final

import click

from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import COUNT, ExitCode

_MOST: Final = 20
_ADVICE: Final = "taskgraph package collect MODULE is one."


@click.group("operation", help="Show operations: actions that take long, and what came of them.")
def command() -> None:
    """Hold the commands below ``operation`` together."""


@command.command("list", help="List operations, the newest first.")
@click.option("--kind", metavar="KIND", help="Of this kind: collect.")
@click.option("--status", metavar="STATUS", help="pending, ongoing, failed or ok.")
@click.option(
    "-n", "--limit", type=COUNT, default=_MOST, show_default=True, help="At most so many."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(
    ctx: click.Context, kind: str | None, status: str | None, limit: int, as_json: bool
) -> int:
    """Show operations."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.people_page import none_meant, operations_page

    found, total = [], 0
    with opened_archive(ctx) as archive:
        if archive is not None:
            found = archive.operations.list(kind=kind, status=status, limit=limit)
            total = 0 if found else archive.operations.count()
    if as_json:
        click.echo(json.dumps({"operations": [each.to_json() for each in found]}, indent=2))
    elif found:
        print_page(operations_page(found), sys.stdout)
    else:
        given = {"--kind": kind, "--status": status}
        written = [f"{flag} {value}" for flag, value in given.items() if value is not None]
        print_page(none_meant("operation", total, written, _ADVICE), sys.stdout)
    return ExitCode.OK


@command.command("show", help="Show an operation with what it said.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("operation", metavar="OPERATION")
@click.pass_context
def show(ctx: click.Context, as_json: bool, operation: str) -> int:
    """Show one operation."""
    from taskgraph.errors import OperationNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.people_page import operation_detail

    with opened_archive(ctx) as archive:
        if archive is None:
            raise OperationNotFoundError(operation)
        found = archive.operations.get(operation)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_page(operation_detail(found), sys.stdout)
    return ExitCode.OK
