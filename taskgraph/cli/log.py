"""``taskgraph log``: what was run, and where values and files came from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.options import load_settings

if TYPE_CHECKING:
    from taskgraph.config import Settings
    from taskgraph.provenance.page import Block
    from taskgraph.provenance.rows import Reader

_DEFAULT_LIMIT = 20
_DEFAULT_JOBS = 100

_HELP = """Show what was run, and where values and files came from.

Without RECORD, the executions, newest first. With one, its details:

\b
taskgraph log -                   the newest execution (~2: the second newest)
taskgraph log 3fa8                any record, by the first digits of its id
taskgraph log results/table.csv   which call wrote a file, from what, and who used it
taskgraph log flow.main           a task, by its full name
"""


@click.command(
    "log",
    help=_HELP,
    short_help="Show what was run, and where values and files came from.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    help=f"Show at most so many rows. Default: {_DEFAULT_LIMIT}, or {_DEFAULT_JOBS} jobs of an "
    "execution.",
)
@click.argument("record", required=False)
@click.pass_context
def command(ctx: click.Context, as_json: bool, limit: int | None, record: str | None) -> None:
    """Look a record up, and show it as a page or as JSON."""
    from taskgraph import assembly
    from taskgraph.provenance import views
    from taskgraph.provenance.page import print_page

    settings = load_settings(ctx)
    if not has_database(settings):
        view, page = _nothing(record)
    else:
        reader = assembly.open_reader(settings)
        try:
            view, page = _look_up(reader, settings, record, limit)
        finally:
            reader.close()
    if as_json:
        click.echo(views.as_json(view))
    else:
        print_page(page, sys.stdout)


def has_database(settings: Settings) -> bool:
    """Tell whether there can be records; asking for them would make a SQLite file."""
    uri = settings.backend.db_uri
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()


def _nothing(record: str | None) -> tuple[Any, list[Block]]:
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance.render import executions_page

    if record is not None:
        raise UnknownRecordError(record)
    return [], executions_page([])


def _look_up(
    reader: Reader, settings: Settings, record: str | None, limit: int | None
) -> tuple[Any, list[Block]]:
    """Return the view of what was asked for, and its page."""
    from taskgraph.assembly import find_record
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance import reading
    from taskgraph.provenance.render import executions_page

    if record is None:
        most = limit or _DEFAULT_LIMIT
        listed = reading.list_executions(reader, most + 1)
        return listed[:most], executions_page(listed[:most], is_cut=len(listed) > most)
    view = reading.look_at(reader, find_record(reader, settings, record), limit)
    if view is None:
        raise UnknownRecordError(record)
    return view, reading.page_of(view)
