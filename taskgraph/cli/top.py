"""``taskgraph top``: what runs now, here or on another machine, as the database says."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import click

from taskgraph.cli.log import has_database
from taskgraph.cli.options import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskgraph.provenance.top import Top

_HELP = """Show what runs now, on this machine and on others.

What is shown is read from the database alone: running executions with their processes, how many
jobs of each task are where, and the jobs that have been running for longest. On a terminal it is
drawn anew until Ctrl-C; in a pipe, or with --once, it is written once.
"""


@click.command("top", help=_HELP, short_help="Show what runs now, on this machine and on others.")
@click.option("--once", is_flag=True, help="Write it once, and end.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.2, max=3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Draw it anew after so many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, once.")
@click.pass_context
def command(ctx: click.Context, once: bool, interval: float, as_json: bool) -> None:
    """Ask the database what runs, and show it."""
    from datetime import UTC, datetime

    from taskgraph.assembly import databases
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.top import Top, look_at_top, top_page
    from taskgraph.provenance.views import as_json as as_text

    settings = load_settings(ctx)
    if not has_database(settings):
        top = Top(datetime.now(UTC), ())
        click.echo(as_text(top)) if as_json else print_page(top_page(top), sys.stdout)
        return
    with databases.opened(settings) as backend:

        def look() -> Top:
            with backend.reader() as reader:
                return look_at_top(reader)

        if as_json:
            click.echo(as_text(look()))
        elif once or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
            print_page(top_page(look()), sys.stdout)
        else:
            _draw_anew(look, interval)


def _draw_anew(look: Callable[[], Top], interval: float) -> None:
    """Draw what runs on the whole terminal, until a Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    from taskgraph.provenance.page import drawn_page
    from taskgraph.provenance.top import top_page

    console = Console(highlight=False, emoji=False, markup=False)
    pause = threading.Event()
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(drawn_page(top_page(look()), console), refresh=True)
                pause.wait(interval)
    except KeyboardInterrupt:  # as it is meant to end
        return
