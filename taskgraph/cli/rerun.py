"""``taskgraph execution rerun``: the same request again, as a new execution."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskgraph.cli.aside import printed_aside
from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import ExitCode, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from taskgraph.archive import Archive
    from taskgraph.catalog.rows import Execution

_HELP = """Run an execution once more, as it was submitted.

What it was given, its workflow and the contents of its datasets are those of then; tasks are what
they are now. Results of before are used.
"""


@click.command("rerun", help=_HELP, short_help="Run an execution once more, as it was submitted.")
@click.option("--today", is_flag=True, help="On the workflow and the datasets as they are now.")
@click.option("--no-cache", is_flag=True, help="Use no results of before; store as ever.")
@click.option(
    "--idempotency-key",
    "--key",
    metavar="KEY",
    help="Run it once under this key; where it was, not at all.",
)
@click.option(
    "--script", metavar="SCRIPT", help="Where its tasks are. Default: what it was run from."
)
@click.option("--queue", is_flag=True, help="Have a worker of its queues run it.")
@click.option("--account", metavar="NAME", help="From which account it is paid.")
@click.option("--submitted-by", metavar="WHO", help="Who asks for it.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("ref")
@click.pass_context
def command(
    ctx: click.Context,
    today: bool,
    no_cache: bool,
    idempotency_key: str | None,
    script: str | None,
    queue: bool,
    account: str | None,
    submitted_by: str | None,
    as_json: bool,
    ref: str,
) -> int:
    """Run one execution again."""
    from taskgraph.cli.workflow import script_as_kept
    from taskgraph.errors import ExecutionNotFoundError

    with opened_archive(ctx) as archive, printed_aside():
        if archive is None:
            raise ExecutionNotFoundError(ref)
        origin = archive.executions.get(ref)
        if not queue:
            load_tasks(ctx, script or _script_of(ctx, archive, origin))
        made = archive.executions.rerun(
            origin,
            from_snapshot=not today,
            no_cache=no_cache,
            idempotency_key=idempotency_key,
            queue=queue,
            account=account,
            submitted_by=submitted_by,
            script=None if script is None else script_as_kept(ctx, script),
        )
    return tell_ends([made], as_json)


def load_tasks(ctx: click.Context, script: str | None) -> ModuleType | None:
    """Load the script or module that tasks are in; a path may be one from the project's folder.

    What it prints goes to stderr.

    Returns:
        The module; None where there is no script.
    """
    from taskgraph.cli.scripts import load_aside
    from taskgraph.garbage import keep_loaded

    if script is None:
        return None
    keep_loaded("taskgraph.app")
    path = Path(script)
    if path.suffix == ".py" and not path.is_absolute() and not path.is_file():
        path = load_settings(ctx).project_dir / path
        return load_aside(str(path))
    return load_aside(script)


def _script_of(ctx: click.Context, archive: Archive, origin: Execution) -> str | None:
    """Return the script that an execution was run from, as far as it is known."""
    from taskgraph.catalog.requests import SCRIPT
    from taskgraph.cli.again import script_of
    from taskgraph.cli.run import command as run

    said = origin.options.get(SCRIPT)
    if isinstance(said, str):
        return said
    return script_of(archive, origin.id, run)


def tell_ends(executions: Sequence[Execution], as_json: bool) -> int:
    """Show executions as they ended; the exit code says whether all of them ended well."""
    from taskgraph.provenance.managed_page import executions_list
    from taskgraph.provenance.page import print_page

    failed = [each for each in executions if each.successful is False]
    if as_json:
        shown = {"executions": [each.to_json() for each in executions]}
        click.echo(json.dumps(shown, indent=2))
    elif executions:
        print_page(executions_list(executions, None), sys.stdout)
        for each in failed:
            start = each.id[:8]
            click.echo(f"{start} is {each.state.type.value}. Why: taskgraph log {start}", err=True)
    return ExitCode.RUN_FAILED if failed else ExitCode.OK


__all__ = ["command", "load_tasks", "tell_ends"]
