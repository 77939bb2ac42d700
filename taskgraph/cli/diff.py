"""``taskgraph diff``: what is not the same in two executions, and why."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.log import has_database
from taskgraph.cli.options import COUNT, ExitCode, load_settings
from taskgraph.errors import NothingToCompareError, UnknownRecordError

if TYPE_CHECKING:
    from taskgraph.provenance.diff_views import ExecutionsDiff

_HELP = """Show which calls of two executions are new, gone or changed, and by what.

OLD and NEW are ids or their first digits, - for the newest execution, ~2 for the one before that.
With one, it is held against the execution of the same task before it; without any, the newest is.
A job stands for its execution.

\b
taskgraph diff              the newest execution against the one before
taskgraph diff 3fa8         that one against the one before
taskgraph diff 3fa8 -       that one against the newest
"""


@click.command(
    "diff",
    help=_HELP,
    short_help="Show which calls of two executions are new, gone or changed, and by what.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option(
    "-n",
    "--limit",
    type=COUNT,
    default=20,
    help="Show at most so many calls of each kind. Default: 20.",
)
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.pass_context
def command(ctx: click.Context, as_json: bool, limit: int, old: str | None, new: str | None) -> int:
    """Compare two executions."""
    from taskgraph.assembly import reading
    from taskgraph.provenance import diff_page
    from taskgraph.provenance.page import print_page

    settings = load_settings(ctx)
    if not has_database(settings):
        if old is not None:
            raise UnknownRecordError(old)
        raise NothingToCompareError(None, None)
    with closing(reading.open_reader(settings)) as reader:
        found = _compare(reader, old, new, limit)
    if as_json:
        click.echo(diff_page.as_json(found))
    else:
        print_page(diff_page.diff_page(found), sys.stdout)
    return ExitCode.OK


def _compare(reader: Any, old: str | None, new: str | None, limit: int) -> ExecutionsDiff:
    """Find the executions that were named, or not, and hold them against each other."""
    from taskgraph.provenance.diff import compare

    if new is not None and old is not None:
        return compare(reader, _find(reader, old), _find(reader, new), limit=limit)
    if old is None and reader.newest_execution() is None:
        raise NothingToCompareError(None, None)
    later = _find(reader, old or "-")
    before = reader.execution_before(later.id)
    if before is None:
        raise NothingToCompareError(later.id, None if later.task is None else later.task.fullname)
    return compare(reader, reader.find(before, include_files=False), later, limit=limit)


def _find(reader: Any, text: str) -> Any:
    """Return an execution; a job stands for its own."""
    found = reader.find(text, include_files=False)
    if type(found).__name__ == "Job":
        found = found.execution
    if type(found).__name__ != "Execution":
        raise UnknownRecordError(text)
    return found
