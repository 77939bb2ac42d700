"""``taskgraph export``: records to a file."""

from __future__ import annotations

import json
import sys

import click

from taskgraph.cli.options import ExitCode, load_settings

_HELP = """Write records to a file, as lines of JSON; without RECORD, all executions.

RECORD is an id or the start of one, ``-`` for the newest execution, the path of a file, or the full
name of a task. All that it names is written along: an execution with its jobs, calls, values and
code. What people manage (studies, datasets, workflows, users) is not of that, and stays here.

\b
taskgraph export -o all.jsonl.gz            all executions; or .bz2, .xz, .zst
taskgraph export 3fa8 > one.jsonl           one record with all that it names
taskgraph export --all -o everything.jsonl  all records, whoever used them
"""


@click.command("export", help=_HELP, short_help="Write records to a file.")
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to: - is standard output.")
@click.option("--all", "everything", is_flag=True, help="Write all records, also unused ones.")
@click.option(
    "--execution", "executions", multiple=True, metavar="ID", help="An execution; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON, on stderr.")
@click.argument("records", nargs=-1, metavar="[RECORD]...")
@click.pass_context
def command(
    ctx: click.Context,
    output: str,
    everything: bool,
    executions: tuple[str, ...],
    as_json: bool,
    records: tuple[str, ...],
) -> int:
    """Write records, and say how many there were."""
    from taskgraph import exchange

    wanted = [*records, *executions]
    if everything and wanted:
        raise click.UsageError("--all takes no records.", ctx)
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("Records are not for a terminal: name a file with -o.", ctx)
    done = exchange.export(load_settings(ctx), wanted, output, everything=everything)
    if as_json:
        said = {"file": done.place, "records": done.records, "running": list(done.running)}
        click.echo(json.dumps(said), err=True)
    elif output != "-":
        click.echo(f"{done.records:,} records in {output}", err=True)
    tell_running(done.running)
    return ExitCode.OK


def tell_running(running: tuple[str, ...]) -> None:
    """Say on stderr which executions were left out."""
    if running:
        names = ", ".join(each[:8] for each in running)
        click.echo(f"Left out, for they have not ended: {names}", err=True)
