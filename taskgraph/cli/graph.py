"""``taskgraph graph``: what led to a value or file, or what was made of it, as a graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from taskgraph.cli.log import has_database
from taskgraph.cli.options import COUNT, ExitCode, load_settings
from taskgraph.cli.streams import write_utf8

if TYPE_CHECKING:
    from taskgraph.provenance.charts import Chart

_DEFAULT_LIMIT = 100
_FORMATS: Final = ("text", "json", "dot", "mermaid", "svg")
_SUFFIXES: Final = {
    ".json": "json",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".svg": "svg",
}

_HELP = """Show what led to a value or file, or what was made of it.

RECORD is the path of a file, the first digits of an id, or - for what the newest execution gave.

\b
taskgraph graph results/table.csv           the calls and files behind it
taskgraph graph raw/a.fastq --down          what was made of it
taskgraph graph - --type File -o flow.svg   a run's calls and files, drawn
"""


@click.command(
    "graph", help=_HELP, short_help="Show what led to a value or file, or what was made of it."
)
@click.option("--down", is_flag=True, help="Show what was made of it.")
@click.option(
    "--all",
    "is_all",
    is_flag=True,
    help="Follow files from one execution to another. Default: one execution, the newest that "
    "made it.",
)
@click.option("--depth", type=COUNT, help="Go no further than so many calls.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Show only values of this type, such as File; may be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="How to write it. Default: what the name of the output says, else text.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write. Default: standard output.",
)
@click.option(
    "-n",
    "--limit",
    type=COUNT,
    default=_DEFAULT_LIMIT,
    show_default=True,
    help="Show at most so many calls and values, the nearest ones.",
)
@click.argument("record")
@click.pass_context
def command(
    ctx: click.Context,
    down: bool,
    is_all: bool,
    depth: int | None,
    types: tuple[str, ...],
    form: str | None,
    output: Path | None,
    limit: int,
    record: str,
) -> int:
    """Look a record up and write its graph."""
    from taskgraph.assembly import reading
    from taskgraph.errors import UnknownRecordError
    from taskgraph.provenance.reading import chart_of

    settings = load_settings(ctx)
    if not has_database(settings):
        raise UnknownRecordError(record)
    reader = reading.open_reader(settings)
    try:
        found = reading.find_record(reader, settings, record)
        chart = chart_of(
            reader, found, record, down=down, all=is_all, depth=depth, types=types, most=limit
        )
    finally:
        reader.close()
    by_name = _SUFFIXES.get(output.suffix.lower()) if output else None
    _write(chart, form or by_name or "text", output)
    return ExitCode.OK


def _write(chart: Chart, form: str, output: Path | None) -> None:
    from taskgraph.provenance.chart_tree import chart_page
    from taskgraph.provenance.page import print_page

    if form == "text" and output is None and sys.stdout.isatty():
        print_page(chart_page(chart), sys.stdout)
        return
    text = _text_of(chart, form)
    if output is None and form == "text":
        sys.stdout.write(text)
    elif output is None:
        write_utf8(text)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"wrote {output}")


def _text_of(chart: Chart, form: str) -> str:
    from taskgraph.provenance import chart_formats
    from taskgraph.provenance.chart_tree import chart_text
    from taskgraph.provenance.graphviz import chart_svg

    writers = {
        "text": chart_text,
        "json": chart_formats.chart_json,
        "dot": chart_formats.chart_dot,
        "mermaid": chart_formats.chart_mermaid,
        "svg": chart_svg,
    }
    return writers[form](chart)
