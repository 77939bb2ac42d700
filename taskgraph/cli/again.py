"""``taskgraph run --rerun JOB``, and ``--pdb``: one recorded call again, under a debugger."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from taskgraph.app import Scheduler
    from taskgraph.archive import Archive
    from taskgraph.engine.trace import TaskTrace

_MOST_IN_FULL: Final = 10
_ID_DIGITS: Final = 8


def script_of(records: Scheduler | Archive, job: str, command: click.Command) -> str | None:
    """Return the script that a recorded job, or execution, was run from, if a command line says so.

    Raises:
        UntrustedRecordError: The command line came from elsewhere, and nobody trusts it.
    """
    from taskgraph.errors import UntrustedRecordError

    with records.reading() as reader:
        found = reader.find(job)
        execution = getattr(found, "execution", found)
        words = json.loads(getattr(execution, "args", "[]"))
        key = getattr(execution, "id", None)
        origin = None if key is None else reader.origin_of(key)
    if origin is not None:
        raise UntrustedRecordError(str(key), origin)
    if "run" not in words:
        return None
    context = click.Context(command, allow_interspersed_args=False, resilient_parsing=True)
    options, _, _ = command.make_parser(context).parse_args(words[words.index("run") + 1 :])
    script = options.get("script")
    return script if isinstance(script, str) else None


def failures_as_text(
    failures: Sequence[TaskTrace],
    script: str,
    last_lines: Callable[[str], Sequence[str]] = lambda job: (),
) -> str:
    """Return what is said at the end of a run in which calls failed: of each, and what to do.

    Args:
        failures: Where calls failed.
        script: What was run.
        last_lines: Tells the last lines that a job wrote to stderr.
    """

    def told(failure: TaskTrace) -> str:
        job = failure.tasks[-1].job_id
        lines = [_how_to_debug(failure, script), failure.format()]
        if said := last_lines(job):
            job = job[:_ID_DIGITS]
            lines.append(f"The last it wrote to stderr (all: taskgraph log {job} --output):")
            lines += [f"  {each}" for each in said]
        return "\n".join(lines)

    if len(failures) == 1:
        return told(failures[0])
    lines = [f"{len(failures):,} calls failed."]
    for number, each in enumerate(failures[:_MOST_IN_FULL], start=1):
        lines += ["", f"{number}. {told(each)}"]
    rest = failures[_MOST_IN_FULL:]
    if rest:
        lines += ["", f"{len(rest):,} more:"]
        lines += [f"  {each.tasks[-1].job_id[:_ID_DIGITS]}  {each.shown}" for each in rest]
    return "\n".join(lines)


def _how_to_debug(failure: TaskTrace, script: str) -> str:
    if not failure.is_body:
        return f"{failure.tasks[-1].task} failed."
    job = failure.tasks[-1].job_id[:_ID_DIGITS]
    return (
        f"{failure.tasks[-1].task} failed. To run this call alone, under a debugger:\n"
        f"  taskgraph run --rerun {job} --pdb {script}"
    )


def debug(error: BaseException) -> None:
    """Open Python's debugger where an error was raised."""
    import pdb

    trace: TracebackType | None = error.__traceback__
    click.echo(f"{type(error).__name__}: {error}", err=True)
    debugger = pdb.Pdb(stdin=sys.stdin, stdout=sys.stderr)
    debugger.reset()
    debugger.interaction(None, trace)
