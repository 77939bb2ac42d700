"""``taskgraph execution``: executions as they are managed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from taskgraph.cli import deleting
from taskgraph.cli.enqueue import command as enqueue
from taskgraph.cli.limits import Duration
from taskgraph.cli.managed import actor_of, filter_options, filters_of, opened_archive
from taskgraph.cli.options import COUNT, ExitCode
from taskgraph.cli.rerun import command as rerun
from taskgraph.cli.sweep import command as sweep

if TYPE_CHECKING:
    from datetime import timedelta

    from taskgraph.catalog.rows import TransitionResult

_HELP = """Manage executions: list them, show one, change its state.

REF is an id or its first digits, the folder that is the workspace of one, or - for the newest.

\b
taskgraph execution list --state RUNNING --since 7d
taskgraph execution show - --states --deps
taskgraph execution cancel 5a1f
taskgraph execution fail-running --older-than 6h --dry-run
taskgraph execution delete 5a1f
taskgraph execution delete --status FAILED --until 2026-01-31
"""
_MOST = 20


@click.group(
    "execution", help=_HELP, short_help="Manage executions: list them, show one, change its state."
)
def command() -> None:
    """Hold the commands below ``execution`` together."""


command.add_command(sweep)


@command.command("list", help="List executions, the newest first.")
@filter_options
@click.option(
    "--sort",
    default="created",
    show_default=True,
    metavar="KEY",
    help="By created, start, end, expected_start, next_scheduled_start, name or id.",
)
@click.option("--ascending", is_flag=True, help="The least first.")
@click.option(
    "-n", "--limit", type=COUNT, default=_MOST, show_default=True, help="At most so many."
)
@click.option("--after", metavar="CURSOR", help="What follows the page that ended with this.")
@click.option(
    "--include-retracted", "--retracted", is_flag=True, help="Those too that were retracted."
)
@click.option("--count", "is_count", is_flag=True, help="Only how many there are.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(
    ctx: click.Context,
    /,
    sort: str,
    ascending: bool,
    limit: int,
    after: str | None,
    include_retracted: bool,
    is_count: bool,
    as_json: bool,
    **filters: Any,
) -> int:
    """Show a page of executions."""
    from taskgraph.catalog.rows import Execution, Page
    from taskgraph.provenance.managed_page import executions_list, nothing_found
    from taskgraph.provenance.page import print_page

    where, written = filters_of(filters)
    with opened_archive(ctx) as archive:
        page: Page[Execution] = Page(())
        number = total = hidden = 0
        if archive is not None and is_count:
            number = archive.executions.count(where, include_retracted=include_retracted)
        elif archive is not None:
            page = archive.executions.list(
                where,
                sort=sort,
                descending=not ascending,
                limit=limit,
                after=after,
                include_retracted=include_retracted,
            )
            total = 0 if page else archive.executions.count(include_retracted=True)
            if not page and not include_retracted:
                hidden = archive.executions.count(where, include_retracted=True)
    if is_count:
        click.echo(json.dumps({"count": number}) if as_json else str(number))
    elif as_json:
        shown = {"executions": [each.to_json() for each in page], "next": page.next}
        click.echo(json.dumps(shown, indent=2))
    elif page:
        print_page(executions_list(page, page.next), sys.stdout)
    else:
        print_page(nothing_found(total, written, hidden), sys.stdout)
    return ExitCode.OK


@command.command("show", help="Show an execution: what is managed of it.")
@click.option("--states", "with_states", is_flag=True, help="Show also the states it was in.")
@click.option("--deps", "with_deps", is_flag=True, help="Show also its jobs and what each needed.")
@click.option("--snapshot", "with_snapshot", is_flag=True, help="Show also what was submitted.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("ref")
@click.pass_context
def show(
    ctx: click.Context,
    with_states: bool,
    with_deps: bool,
    with_snapshot: bool,
    as_json: bool,
    ref: str,
) -> int:
    """Show one execution."""
    from taskgraph.catalog.rows import state_json
    from taskgraph.errors import ExecutionNotFoundError
    from taskgraph.provenance.data_page import used_blocks
    from taskgraph.provenance.managed_page import execution_detail, snapshot_blocks
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        if archive is None:
            raise ExecutionNotFoundError(ref)
        found = archive.executions.get(ref)
        states = archive.executions.states(found) if with_states else []
        nodes = archive.executions.dependencies(found) if with_deps else []
        snapshot = archive.executions.snapshot(found) if with_snapshot else None
        used = archive.executions.datasets(found)
    if as_json:
        shown = {**found.to_json(), "datasets": [each.to_json() for each in used]}
        if with_states:
            shown["states"] = [state_json(each) for each in states]
        if with_deps:
            shown["dependencies"] = [each.to_json() for each in nodes]
        if with_snapshot:
            shown["submitted"] = snapshot
        click.echo(json.dumps(shown, indent=2))
        return ExitCode.OK
    blocks = [*execution_detail(found, states, nodes), *used_blocks(used)]
    if with_snapshot:
        blocks += snapshot_blocks(snapshot)
    print_page(blocks, sys.stdout)
    return ExitCode.OK


@command.command("set-state", help="Propose a STATE: COMPLETED, AwaitingRetry and their like.")
@click.option("--force", is_flag=True, help="Skip the rules; what is kept beside it is kept.")
@click.option("--as", "actor", metavar="USER", help="Who does: an address, a name or an id.")
@click.option("--message", metavar="TEXT", help="What there is to say of it.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("ref")
@click.argument("state")
@click.pass_context
def set_state(
    ctx: click.Context,
    force: bool,
    actor: str | None,
    message: str | None,
    as_json: bool,
    ref: str,
    state: str,
) -> int:
    """Propose a state."""
    how = _How(force, actor, message, as_json)
    return _propose(ctx, ref, state, how)


@command.command("cancel", help="Have an execution be CANCELLED, whether it runs or waits.")
@click.option("--as", "actor", metavar="USER", help="Who does: an address, a name or an id.")
@click.option("--message", metavar="TEXT", help="Why.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("ref")
@click.pass_context
def cancel(
    ctx: click.Context, actor: str | None, message: str | None, as_json: bool, ref: str
) -> int:
    """Propose CANCELLED."""
    return _propose(ctx, ref, "CANCELLED", _How(False, actor, message, as_json))


class _How(NamedTuple):
    """How a state is proposed."""

    force: bool
    actor: str | None
    message: str | None
    as_json: bool


def _propose(ctx: click.Context, ref: str, state: str, how: _How) -> int:
    from taskgraph.catalog.rows import state_json
    from taskgraph.catalog.states import State
    from taskgraph.errors import ExecutionNotFoundError, StateRefusedError

    proposed = State.parse(state)
    with opened_archive(ctx) as archive:
        if archive is None:
            raise ExecutionNotFoundError(ref)
        found = archive.executions.get(ref)
        actor = actor_of(archive, how.actor, is_forced=how.force)
        result = archive.executions.set_state(
            found, proposed, force=how.force, actor=actor, message=how.message
        )
    if how.as_json:
        shown = {
            "id": found.id,
            "outcome": result.outcome.value,
            "state": state_json(result.state),
            "reason": result.reason,
            "delay_seconds": result.delay_seconds,
        }
        click.echo(json.dumps(shown, indent=2))
        return ExitCode.OK if result.is_written else ExitCode.STATE_REFUSED
    if not result.is_written:
        raise StateRefusedError(found.id, proposed.name, result.reason or "")
    click.echo(_told(found.id, result))
    return ExitCode.OK


def _told(execution_id: str, result: TransitionResult) -> str:
    said = f"{execution_id[:8]} is {result.state.name} ({result.state.type.value})."
    return said if result.reason is None else f"{said[:-1]}: {result.reason}."


@command.command(
    "fail-running", help="Have executions be CRASHED that are said to run and that nobody runs."
)
@filter_options
@click.option(
    "--older-than",
    type=Duration(),
    metavar="TIME",
    help="Those that were not heard of for so long: 6h, 2d.",
)
@click.option("--dry-run", is_flag=True, help="Only show them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.pass_context
def fail_running(
    ctx: click.Context,
    /,
    older_than: timedelta | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **filters: Any,
) -> int:
    """Mark what is stuck."""
    from taskgraph.provenance.managed_page import executions_list
    from taskgraph.provenance.page import print_page

    where, _ = filters_of(filters)
    with opened_archive(ctx) as archive:
        found = []
        if archive is not None:
            found = archive.executions.fail_running(where, older_than=older_than, dry_run=True)
            if found and not dry_run and not as_json:
                print_page(executions_list(found, None), sys.stdout)
                question = f"Have {len(found)} of them be CRASHED?"
                if not yes and not click.confirm(question):
                    return ExitCode.OK
            if found and not dry_run:
                found = archive.executions.fail_running(where, older_than=older_than)
    if as_json:
        click.echo(json.dumps({"executions": [each.to_json() for each in found]}, indent=2))
    elif not found:
        click.echo("Nothing is stuck.")
    elif dry_run:
        print_page(executions_list(found, None), sys.stdout)
    else:
        click.echo(f"{len(found)} are CRASHED.")
    return ExitCode.OK


command.add_command(rerun)
command.add_command(enqueue)


command.add_command(deleting.delete)
