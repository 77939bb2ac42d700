"""``taskgraph bless``: keep results after a refactor that changes no meaning."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from taskgraph.cli.options import COUNT, ExitCode, load_settings

if TYPE_CHECKING:
    from taskgraph.engine.blessing import Version
    from taskgraph.ports import Backend
    from taskgraph.records import TaskAliasRecord
    from taskgraph.tasks.registry import AnyTask

_HELP = """Keep results after a refactor, a rename or a move that changes no meaning.

From then on, results that are recorded for OLD count for NEW as well. OLD is a task's full name
(its newest recorded code that is not NEW's) or the first digits of a task's hash; NEW is a task of
--script, or again a name or digits of what is recorded. Without NEW it is OLD's own name.

\b
taskgraph bless flow.clean --script flow.py             clean was rewritten
taskgraph bless flow.tidy flow.clean --script flow.py   tidy has a new name
taskgraph bless flow.clean --script flow.py --check 5   try five calls first
taskgraph bless --list                                  all that is blessed
"""


@click.command(
    "bless",
    help=_HELP,
    short_help="Keep results after a refactor that changes no meaning.",
)
@click.option("--script", metavar="FILE", help="Script or module that NEW is defined in.")
@click.option("--why", default="", metavar="TEXT", help="The reason, for those who read it later.")
@click.option(
    "--check",
    "count",
    type=COUNT,
    metavar="N",
    help="Make N recorded calls of OLD again with NEW's function first, and compare the results.",
)
@click.option("--list", "is_list", is_flag=True, help="Show what is blessed, and what was.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.pass_context
def command(
    ctx: click.Context,
    script: str | None,
    why: str,
    count: int | None,
    is_list: bool,
    as_json: bool,
    old: str | None,
    new: str | None,
) -> int:
    """List the aliases, or make one."""
    from taskgraph.assembly import databases
    from taskgraph.assembly.surroundings import author

    settings = load_settings(ctx)
    if is_list and (old or count):
        raise click.UsageError("--list takes no tasks.", ctx)
    if not is_list and old is None:
        raise click.UsageError("Say which earlier code counts: OLD, or --list.", ctx)
    task = _defined(ctx, script, new or old) if script and old is not None else None
    if count and task is None:
        raise click.UsageError("--check needs NEW's function: --script FILE.", ctx)
    with databases.opened(settings) as backend:
        if old is None:
            show(backend.load_aliases(), as_json)
            return ExitCode.OK
        wanted = _Wanted(old, new or old, author(settings), why)
        alias, said = _bless(backend, task, wanted, count)
    if as_json:
        show([alias], as_json)
    else:
        click.echo(said)
    return ExitCode.OK


def _defined(ctx: click.Context, script: str, name: str | None) -> AnyTask:
    from taskgraph.cli.scripts import find_task, load_aside

    assert name is not None
    return find_task(load_aside(script), name)


class _Wanted(NamedTuple):
    """What is said to count for what, by whom and why."""

    old: str
    new: str
    by: str
    why: str


def _bless(
    backend: Backend, task: AnyTask | None, said: _Wanted, count: int | None
) -> tuple[TaskAliasRecord, str]:
    from taskgraph.engine import blessing

    later = blessing.defined(task) if task is not None else blessing.recorded(backend, said.new)
    # A bare name of a task in the script will do for both.
    wanted = later.fullname if task is not None and said.old == task.name else said.old
    earlier = blessing.recorded(backend, wanted, later.hash)
    checked = blessing.check(backend, earlier, later, count) if count else None
    alias = blessing.bless(backend, earlier, later, said.by, said.why)
    lines = [f"Results of {_name(earlier)} count for {_name(later)} now."]
    if checked is not None:
        calls = "call" if checked.calls == 1 else "calls"
        lines.append(f"{checked.calls} {calls} made again gave the same results.")
        lines += [f"Not made again: {each}" for each in checked.skipped]
    return alias, "\n".join(lines)


def _name(version: Version) -> str:
    return f"{version.fullname} ({version.hash[:8]})"


def show(aliases: list[TaskAliasRecord], as_json: bool) -> None:
    """Write aliases as a table or as JSON."""
    from taskgraph.provenance import views
    from taskgraph.provenance.blessed import aliases_page
    from taskgraph.provenance.page import print_page

    shown = [views.AliasView.of(each) for each in aliases]
    if as_json:
        click.echo(views.as_json(shown))
    else:
        print_page(aliases_page(shown), sys.stdout)
