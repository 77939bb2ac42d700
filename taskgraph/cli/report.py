"""``taskgraph report``: what an execution was, as a page to keep or to send."""

from __future__ import annotations

from pathlib import Path

import click

from taskgraph.cli.log import has_database
from taskgraph.cli.options import ExitCode, load_settings
from taskgraph.cli.streams import write_utf8

_HELP = """Write a report on an execution: one page of HTML that stands by itself.

It has what ran, from what code and inputs and when, what failed, which files were made, and how the
result came to be. EXECUTION is an id or its first digits, - for the newest one, or ~2 for the one
before that.
"""


@click.command(
    "report", help=_HELP, short_help="Write a report on an execution, as a page of HTML."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write. Default: standard output.",
)
@click.argument("execution", default="-")
@click.pass_context
def command(ctx: click.Context, output: Path | None, execution: str) -> int:
    """Write the report."""
    from taskgraph.assembly import reading
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance.report import report_on
    from taskgraph.provenance.report_page import report_html

    settings = load_settings(ctx)
    if not has_database(settings):
        raise UnknownRecordError(execution)
    reader = reading.open_reader(settings)
    try:
        found = reader.find(execution, include_files=False)
        if type(found).__name__ == "Job":
            found = found.execution
        if type(found).__name__ != "Execution":
            raise click.UsageError(
                f"{execution} is a {type(found).__name__.lower()}, and reports are on executions.",
                ctx,
            )
        page = report_html(report_on(reader, found))
    finally:
        reader.close()
    if output is None:
        write_utf8(page)
    else:
        output.write_text(page, encoding="utf-8")
        click.echo(f"wrote {output}")
    return ExitCode.OK
