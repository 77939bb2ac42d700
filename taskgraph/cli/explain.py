"""``taskgraph explain``: why something ran, or did not; and what counts of a task's code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from taskgraph.cli.options import load_settings

if TYPE_CHECKING:
    from taskgraph.config import Settings
    from taskgraph.provenance.explain import AnyExplanation

_HELP = """Explain why something ran, or did not.

A call is held against the nearest earlier call of its task, and what differs is named: the
argument and the place in it, the function with its diff, the constant, the file, the option.

\b
taskgraph explain -                    the newest execution: what changed
taskgraph explain flow.clean           the newest call of a task
taskgraph explain 3fa8                 a job, call or execution by its id
taskgraph explain results/table.csv    the call that wrote a file
taskgraph explain --code flow.clean    all that counts of a task's code
"""


@click.command(
    "explain", help=_HELP, short_help="Explain why something ran, or did not.", no_args_is_help=True
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--code", is_flag=True, help="Show what counts of the code of the task WHAT.")
@click.option(
    "--script",
    metavar="FILE",
    help="With --code: the code as it is now in a script or module, not as it was last recorded.",
)
@click.argument("what")
@click.pass_context
def command(ctx: click.Context, as_json: bool, code: bool, script: str | None, what: str) -> None:
    """Explain a record, and show that as a page or as JSON."""
    from taskgraph.provenance import explain_page
    from taskgraph.provenance.page import print_page

    if script is not None and not code:
        raise click.UsageError("--script goes with --code.", ctx)
    settings = load_settings(ctx)
    if script is not None:
        explanation = _explain_current(script, what)
    else:
        explanation = _explain_recorded(settings, what, code=code)
    if as_json:
        click.echo(explain_page.as_json(explanation))
    else:
        print_page(explain_page.explanation_page(explanation), sys.stdout)


def _explain_current(script: str, name: str) -> AnyExplanation:
    from taskgraph.cli.scripts import find_task, load_aside
    from taskgraph.provenance.explain_runs import explain_current_code

    return explain_current_code(find_task(load_aside(script), name))


def _explain_recorded(settings: Settings, what: str, *, code: bool) -> AnyExplanation:
    from taskgraph import app
    from taskgraph.assembly.databases import has_database
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance import explain_runs

    if not has_database(settings):  # asking would make the file
        raise UnknownRecordError(what)
    with app.Scheduler(settings) as scheduler:
        if not code:
            return scheduler.explain(what)
        with scheduler.reading() as reader:
            return explain_runs.explain_recorded_code(reader, what)
