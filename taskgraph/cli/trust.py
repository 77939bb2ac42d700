"""``taskgraph trust``: records from elsewhere count as if they were made here."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from taskgraph.cli.options import ExitCode, load_settings

if TYPE_CHECKING:
    from taskgraph.exchange import Trusting, Untrusted

_HELP = """Let records from elsewhere count as if they were made here: loaded, and used as results.

Stored values can run any code when they are loaded: trust only those whose makers you trust.

\b
taskgraph trust --list          where records came from that are not trusted
taskgraph trust 3fa8            a record with all that it names
taskgraph trust --from lab      all that came from a repo or a file
taskgraph trust 3fa8 --from lab what of it came from there
taskgraph trust --all           all there is
"""


@click.command("trust", help=_HELP, short_help="Let records from elsewhere count as if made here.")
@click.option("--all", "everything", is_flag=True, help="Trust all there is.")
@click.option(
    "--from",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="Trust what came from a repo or a file; may be repeated.",
)
@click.option("--list", "is_list", is_flag=True, help="Show what is not trusted.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("records", nargs=-1, metavar="[RECORD]...")
@click.pass_context
def command(
    ctx: click.Context,
    everything: bool,
    origins: tuple[str, ...],
    is_list: bool,
    as_json: bool,
    records: tuple[str, ...],
) -> int:
    """Trust records, or list what is not trusted."""
    from taskgraph import exchange

    if sum((everything, is_list, bool(records or origins))) != 1:
        raise click.UsageError("Say what: RECORD, --from ORIGIN, --all, or --list.", ctx)
    settings = load_settings(ctx)
    if is_list:
        _show(exchange.list_untrusted(settings), as_json)
        return ExitCode.OK
    if records:
        done = exchange.trust(settings, records, origins)
    else:
        done = exchange.trust_origins(settings, origins)
    if as_json:
        click.echo(json.dumps({**done.counts, "left": done.left}, indent=2))
    else:
        _tell(done)
    return ExitCode.OK


def _tell(done: Trusting) -> None:
    shown = _counted(done.counts)
    if shown:
        click.echo(f"Trusted: {shown}")
    elif not done.left:
        click.echo("All of it was trusted already.")
    for origin, count in done.left.items():
        records = "record" if count == 1 else "records"
        click.echo(f"Not trusted: {count:,} {records} in it came from {origin} first.")
    if done.left:
        click.echo("To trust these too, name the origin: taskgraph trust RECORD --from ORIGIN")


def _show(found: list[Untrusted], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
        return
    if not found:
        click.echo("There is nothing that is not trusted.")
    for each in found:
        counts = dataclasses.asdict(each)
        del counts["origin"]
        click.echo(f"{each.origin}: {_counted(counts)}")


_ONE = {
    "values": "value",
    "calls": "call",
    "executions": "execution",
    "evaluations": "cache entry",
    "aliases": "alias",
}


def _counted(counts: dict[str, int]) -> str:
    names = {**{kind: kind for kind in counts}, "evaluations": "cache entries"}
    return ", ".join(
        f"{count:,} {_ONE[kind] if count == 1 else names[kind]}"
        for kind, count in counts.items()
        if count
    )
