"""``taskgraph plan``: what a run would do now, and why. Nothing runs, and nothing is recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from taskgraph.cli.context import context_options, read_context
from taskgraph.cli.options import ExitCode, load_settings

_HELP = """Show what a run would do now, and why: nothing runs.

Takes what `taskgraph run` takes. The exit code is 0 if nothing would run, and 1 if something would.

\b
taskgraph plan flow.py main --n 3
taskgraph plan --json flow.py main
"""


@click.command(
    "plan",
    help=_HELP,
    short_help="Show what a run would do now, and why.",
    options_metavar="[OPTIONS]",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--no-cache", is_flag=True, help="As if nothing were stored.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@context_options
@click.argument("script")
@click.argument("words", metavar="[TASK] [FLAGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    no_cache: bool,
    as_json: bool,
    context: tuple[tuple[str, Any], ...],
    context_file: Path | None,
    script: str,
    words: tuple[str, ...],
) -> int:
    """Load the script, read the flags of the task, and plan the call."""
    from taskgraph import app
    from taskgraph.cli.run import read_call, show_tasks
    from taskgraph.config import write_default_config
    from taskgraph.provenance import views
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.planned import plan_page

    if not words or words[0] in ("--help", "-h"):
        return show_tasks(ctx, script, is_asked=bool(words))
    expression = read_call(ctx, script, words)
    settings = load_settings(ctx)
    write_default_config(settings.config_dir)
    with app.Scheduler(settings) as scheduler:
        values = read_context(dict(context), context_file)
        plan = scheduler.plan(expression, cache=not no_cache, context=values)
    view = views.PlanView.of(plan)
    if as_json:
        click.echo(views.as_json(view))
    else:
        print_page(plan_page(view), sys.stdout)
    return ExitCode.OK if plan.is_nothing else ExitCode.RUN_FAILED
