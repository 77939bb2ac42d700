"""``taskgraph db``: the schema of the database, its changes, and whether all is sound."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from taskgraph.cli import storage
from taskgraph.cli.options import ExitCode, load_settings
from taskgraph.errors import DowngradeRefusedError, without_password
from taskgraph.provenance.page import clean_text

if TYPE_CHECKING:
    from taskgraph.upkeep import Fault, Report


@click.group("db", help="Look after the database.")
def command() -> None:
    """Hold the commands below ``db`` together."""


@command.command("info", help="Show which database is used, and the version of its schema.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_context
def info(ctx: click.Context, as_json: bool) -> int:
    """Show where the database is and whether this library can use it."""
    from taskgraph.assembly import databases
    from taskgraph.provenance.render import byte_size

    settings = load_settings(ctx)
    database = databases.database(settings)
    store = database.value_store
    oldest, newest = database.get_db_version_required()
    facts = {
        "config_dir": str(settings.config_dir),
        "database": without_password(settings.backend.db_uri),
        "value_store": None if store is None else without_password(store.url),
        "version": str(database.get_db_version()),
        "needed_from": str(oldest),
        "needed_to": str(newest),
        "compatible": bool(database.is_db_compatible()),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return ExitCode.OK
    needed = facts["needed_to"]
    if facts["needed_from"] != needed:
        needed = f"{facts['needed_from']} to {needed}"
    state = "ready" if facts["compatible"] else "cannot be used as it is: taskgraph db upgrade"
    lines = {
        "config": facts["config_dir"],
        "database": facts["database"],
        "values": f"in {facts['value_store']} from {byte_size(store.min_size)} on"
        if store is not None
        else "all in the database",
        "schema": f"{facts['version']} (this library needs {needed})",
        "state": state,
    }
    for name, text in lines.items():
        click.echo(f"{name:<10}{text}")
    return ExitCode.OK


@command.command("upgrade", help="Bring the schema of the database up to date.")
@click.pass_context
def upgrade(ctx: click.Context) -> None:
    """Upgrade the schema; one that is up to date is left alone."""
    from taskgraph.assembly import databases

    database = databases.database(load_settings(ctx))
    before = database.get_db_version()
    database.migrate()
    after = database.get_db_version()
    if before == after:
        click.echo(f"The schema is up to date: {after}")
    else:
        click.echo(f"Upgraded the schema: {before} -> {after}")


@command.command("check", help="Look whether what is recorded is sound; --repair mends it.")
@click.option("--repair", is_flag=True, help="Mend what is found; what is taken away is put aside.")
@click.option(
    "--values-lost",
    is_flag=True,
    help="With --repair: what is not in the value store is lost, however much that is.",
)
@click.option("--quick", is_flag=True, help="Do not look at what is inside of values.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_context
def check(ctx: click.Context, repair: bool, values_lost: bool, quick: bool, as_json: bool) -> int:
    """Check the database; exit code 4 where something is wrong, and still is."""
    from taskgraph import upkeep

    if repair and quick:
        raise click.UsageError("--repair looks at everything: leave out --quick.", ctx)
    if values_lost and not repair:
        raise click.UsageError("--values-lost says what --repair may do: add --repair.", ctx)
    settings = load_settings(ctx)
    progress = _Progress()
    report = upkeep.check_database(
        settings, repair=repair, values_lost=values_lost, quick=quick, tell=progress.tell
    )
    progress.end()
    code = ExitCode.CONFLICT if report.left else ExitCode.OK
    if as_json:
        click.echo(json.dumps(_as_json(report), indent=2))
        return code
    for line in _lines(report):
        click.echo(clean_text(line))
    return code


class _Progress:
    """One line on a terminal that says which part is looked at; nothing elsewhere."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._part, self._rows = "", 0

    def tell(self, part: str, rows: int) -> None:
        """Take note of how far a check is."""
        self._rows = self._rows + rows if part == self._part else rows
        self._part = part
        if self._is_shown:
            count = f" {self._rows:,}" if self._rows else ""
            click.echo(f"\r\x1b[Kchecking {part}{count}", err=True, nl=False)

    def end(self) -> None:
        """Take the line away."""
        if self._is_shown:
            click.echo("\r\x1b[K", err=True, nl=False)


# Of one rule; all of them are in the JSON.
_MOST_LINES = 20


def _as_json(report: Report) -> dict[str, object]:
    return {
        "sound": not report.left,
        "repaired": report.mended,
        "found": [dataclasses.asdict(each) for each in report.found],
        "left": [dataclasses.asdict(each) for each in report.left],
    }


def _lines(report: Report) -> Iterator[str]:
    if not report.found:
        yield "Nothing is wrong."
        return
    rules: dict[tuple[str, str], list[Fault]] = {}
    for each in report.found:
        rules.setdefault((each.table, each.rule), []).append(each)
    left = set(report.left)
    for (table, rule), faults in rules.items():
        yield f"{table}: {len(faults):,} x not so: {rule}"
        for each in faults[:_MOST_LINES]:
            what = _outcome(each, report, each in left)
            yield f"  {each.key[:32]:<32}  {each.detail}{what}"
        if len(faults) > _MOST_LINES:
            yield f"  ... and {len(faults) - _MOST_LINES:,} more; --json has all"
    if not report.mended:
        can = sum(bool(each.remedy) for each in report.found)
        yield f"{len(report.found):,} found. `taskgraph db check --repair` mends {can:,} of them."
    elif report.left:
        yield f"{len(report.found):,} found, {len(report.left):,} of them could not be mended."
    else:
        yield f"{len(report.found):,} found and mended; what was there before is put aside."


def _outcome(fault: Fault, report: Report, is_left: bool) -> str:
    if report.mended and is_left:
        return "; it could not be mended"
    if not fault.remedy:
        return "; nothing can be done about it here"
    return f"; {fault.remedy}"


_DOWNGRADE_HELP = """Bring the schema of the database back to VERSION, for an earlier taskgraph.

What the earlier schema has no place for is lost: it is told how much that is, and asked.
"""


@command.command("downgrade", help=_DOWNGRADE_HELP, short_help="Bring the schema back to VERSION.")
@click.option("--yes", is_flag=True, help="Do not ask, whatever is lost.")
@click.argument("version")
@click.pass_context
def downgrade(ctx: click.Context, yes: bool, version: str) -> None:
    """Downgrade the schema; what would be lost is told before."""
    from taskgraph.assembly import databases

    database = databases.database(load_settings(ctx))
    try:
        losses = [str(each) for each in database.find_losses(version)]
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    before = database.get_db_version()
    if before is None or not database.is_older(version):
        raise click.UsageError(f"The schema is {before}: there is nothing to go back to {version}.")
    if losses and not yes:
        _ask_or_refuse(database.db_uri, version, losses)
    database.migrate(version)
    click.echo(f"Downgraded the schema: {before} -> {database.get_db_version()}")
    click.echo("Use it with an earlier taskgraph: this one needs the schema as it was.")


def _ask_or_refuse(uri: str, version: str, losses: list[str]) -> None:
    if sys.stdin.isatty():
        click.echo(f"Schema {version} has no place for:", err=True)
        for each in losses:
            click.echo(f"  {each}", err=True)
        if click.confirm("Lose them?", err=True):
            return
    raise DowngradeRefusedError(uri, version, losses)


command.add_command(storage.stats)
command.add_command(storage.compact)
