"""``taskgraph log``: what was run, and where values and files came from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.filters import setup_query_parser, take_filters
from taskgraph.cli.options import COUNT, load_settings
from taskgraph.filters import RECORD_TYPES

if TYPE_CHECKING:
    from taskgraph.config import Settings
    from taskgraph.filters import RecordFilters
    from taskgraph.provenance.listing import ListingReader
    from taskgraph.provenance.page import Block
    from taskgraph.provenance.printed import PrintedReader

_DEFAULT_LIMIT = 20
_DEFAULT_JOBS = 100
_DEFAULT_DETAILS = 5

_HELP = """Show what was run, and where values and files came from.

Without RECORD, the executions, newest first, or the records that filters ask for. With one, its
details:

\b
taskgraph log -                   the newest execution (~2: the second newest)
taskgraph log 3fa8                any record, by the first digits of its id
taskgraph log results/table.csv   which call wrote a file, from what, for whom
taskgraph log flow.main           a task, by its full name
taskgraph log 3fa8 --output       what a job printed
taskgraph log --task align --status FAILED --since 7d
                                  the jobs of a task that failed lately
taskgraph log --file 'out/*.vcf' --type execution --type job
                                  the runs and jobs that had such files
"""


@click.command(
    "log",
    help=_HELP,
    short_help="Show what was run, and where values and files came from.",
)
@setup_query_parser
@click.option("--count", "as_counts", is_flag=True, help="Show how many records there are.")
@click.option("--detail", "in_detail", is_flag=True, help="Show each record with its details.")
@click.option(
    "--output",
    "as_output",
    is_flag=True,
    help="Show what RECORD, a job or an execution, printed; of a cached job, what the call printed "
    "when it ran. With -n the last lines only.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option(
    "-n",
    "--limit",
    type=COUNT,
    help=f"Show at most so many rows. Default: {_DEFAULT_LIMIT}, {_DEFAULT_JOBS} jobs of an "
    f"execution, or {_DEFAULT_DETAILS} records with their details.",
)
@click.option("--page", type=click.IntRange(min=0, max=10**9), help="Which page of a list, from 0.")
@click.option(
    "--after",
    metavar="CURSOR",
    help="What follows a record of a list: pages that runs which come in do not move.",
)
@click.argument("record", required=False)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    as_counts: bool,
    in_detail: bool,
    as_output: bool,
    as_json: bool,
    limit: int | None,
    page: int | None,
    after: str | None,
    record: str | None,
    **given: Any,  # what was given for each filter
) -> None:
    """Look a record up, or list records, and show them as a page or as JSON."""
    from taskgraph.assembly import reading
    from taskgraph.provenance import views
    from taskgraph.provenance.page import print_page

    filters = take_filters(given)
    wanted = _Wanted(as_counts, in_detail, limit, page, after)
    if record is not None and (filters or wanted.is_list):
        raise click.UsageError(
            "Filters, --count, --detail, --page and --after are for lists, and RECORD is one "
            f"record. Of an execution: taskgraph log --execution {record} ...",
            ctx,
        )
    if page and after is not None:
        raise click.UsageError("Give --page or --after, not both.", ctx)
    if as_output and record is None:
        raise click.UsageError("--output is of one RECORD: taskgraph log JOB --output", ctx)
    settings = load_settings(ctx)
    if not has_database(settings):
        view, blocks = _nothing(record, filters, wanted)
    else:
        reader = reading.open_reader(settings)
        try:
            if record is not None and as_output:
                view, blocks = _printed(reader, settings, record, limit)
            elif record is not None:
                view, blocks = _look_up(reader, settings, record, limit)
            else:
                view, blocks = _list(reader, reading.located(settings, filters), wanted)
        finally:
            reader.close()
    if as_json:
        click.echo(views.as_json(view))
    else:
        print_page(blocks, sys.stdout)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How a list is wanted."""

    as_counts: bool
    in_detail: bool
    limit: int | None
    page: int | None
    after: str | None

    @property
    def is_list(self) -> bool:
        return self.as_counts or self.in_detail or self.page is not None or self.after is not None

    @property
    def is_later(self) -> bool:
        return bool(self.page) or self.after is not None


def has_database(settings: Settings) -> bool:
    """Tell whether there can be records; asking for them would make a SQLite file."""
    from taskgraph.assembly import databases

    return databases.has_database(settings)


def _nothing(
    record: str | None, filters: RecordFilters, wanted: _Wanted
) -> tuple[Any, list[Block]]:
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance.listing import Counts, Listing, counts_page, listing_page
    from taskgraph.provenance.render import executions_page

    if record is not None:
        raise UnknownRecordError(record)
    if wanted.as_counts:
        counts = Counts({_name_of(kind): 0 for kind in filters.listed_types})
        return counts, counts_page(counts)
    return [], listing_page(Listing((), None)) if filters else executions_page([])


def _look_up(
    reader: PrintedReader, settings: Settings, record: str, limit: int | None
) -> tuple[Any, list[Block]]:
    """Return the view of what was asked for, and its page."""
    from taskgraph.assembly.databases import logs_folder
    from taskgraph.assembly.reading import find_record
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance import reading
    from taskgraph.provenance.printed import note_of_output
    from taskgraph.provenance.views import JobDetail

    row = find_record(reader, settings, record)
    view = reading.look_at(reader, row, limit)
    if view is None:
        raise UnknownRecordError(record)
    blocks = reading.page_of(view)
    if isinstance(view, JobDetail):
        blocks += note_of_output(reader, row, logs_folder(settings))
    return view, blocks


def _printed(
    reader: PrintedReader, settings: Settings, record: str, limit: int | None
) -> tuple[Any, list[Block]]:
    """Return what a job, or those of an execution, printed, and its page."""
    from taskgraph.assembly.databases import logs_folder
    from taskgraph.assembly.reading import find_record
    from taskgraph.provenance.printed import printed_by, printed_page

    found = find_record(reader, settings, record)
    view = printed_by(reader, found, logs_folder(settings), settings.logs.keep_days, limit)
    return view, printed_page(view)


def _list(
    reader: ListingReader, filters: RecordFilters, wanted: _Wanted
) -> tuple[Any, list[Block]]:
    """Return the views of a list, and its page."""
    from taskgraph.provenance import listing, reading
    from taskgraph.provenance.render import executions_page
    from taskgraph.provenance.views import ExecutionView

    if wanted.as_counts:
        found = {_name_of(kind): number for kind, number in reader.counted(filters)}
        counts = listing.Counts(found)
        return counts, listing.counts_page(counts)
    limit = wanted.limit or (_DEFAULT_DETAILS if wanted.in_detail else _DEFAULT_LIMIT)
    rows = reader.listed(filters, limit, page=wanted.page or 0, after=wanted.after)
    if wanted.in_detail:
        details = [view for each in rows.records if (view := reading.look_at(reader, each))]
        pages = [block for view in details for block in reading.page_of(view)]
        nothing = listing.listing_page(listing.Listing((), None), is_later=wanted.is_later)
        return details, [*(pages or nothing), *listing.more_note(rows.next)]
    views = listing.view_listing(rows)
    if filters or wanted.is_list:
        return views.records, listing.listing_page(views, is_later=wanted.is_later)
    executions = views.of(ExecutionView)
    return views.records, executions_page(executions, is_cut=views.next is not None)


def _name_of(kind: str) -> str:
    return next(name for name, each in RECORD_TYPES.items() if each == kind)
