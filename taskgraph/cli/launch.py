"""``taskgraph launch``: hand a whole ``run`` command to an executor, and return at once."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.aside import printed_aside
from taskgraph.cli.options import ExitCode, config_dir, load_settings

if TYPE_CHECKING:
    from taskgraph.ports import Resources

_HELP = """Hand a whole `run` command to an executor, and return at once.

RUN is what follows `taskgraph run`: its options, the script, the task and its flags. They are
checked here. The run itself, with its scheduler, is a process of this machine (processes), a task
of a Dask cluster (dask with an address) or a job of SLURM (submitit). It writes to the same
database, and its output goes to a file.

\b
taskgraph launch flow.py main --n 3
taskgraph launch --on slurm --cpus 2 --executor slurm flow.py main --n 3
"""


@click.command(
    "launch",
    help=_HELP,
    short_help="Hand a whole run to an executor, and return at once.",
    options_metavar="[OPTIONS]",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
@click.option(
    "--on", "name", default="processes", metavar="NAME", help="The executor. Default: processes."
)
@click.option("--cpus", type=float, metavar="N", help="How many cores the scheduler is given.")
@click.option("--memory", metavar="SIZE", help='How much memory: GiB, or a size as "4GB".')
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where its output goes. Default: a new file in the config directory.",
)
@click.argument("words", metavar="RUN...", nargs=-1, type=click.UNPROCESSED, required=True)
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    cpus: float | None,
    memory: str | None,
    output: Path | None,
    words: tuple[str, ...],
) -> int:
    """Check the words, have an executor begin the run, and say where it is."""
    from taskgraph.assembly.executors import launch_on
    from taskgraph.config import write_default_config
    from taskgraph.ports import Command

    wanted = _resources(ctx, cpus, memory)
    title = _checked(ctx, words)
    settings = load_settings(ctx)
    write_default_config(settings.config_dir)
    moment = time.strftime("%Y%m%d-%H%M%S")
    log = output or settings.config_dir / "launched" / f"{moment}-{title}.log"
    log = Path(os.path.abspath(log))
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = config_dir(ctx)
    chosen = [] if folder is None else ["--config", os.path.abspath(folder)]
    line = Command(
        (*chosen, "run", *words),
        os.getcwd(),
        os.fspath(log),
        wanted,
        os.environ.get("PYTHONPATH", ""),
    )
    place = launch_on(settings, name, line)
    click.echo(f"{title} was launched on {name}: {place}")
    click.echo(f"Its output goes to {log}; `taskgraph log` shows what it records.")
    return ExitCode.OK


def _checked(ctx: click.Context, words: Sequence[str]) -> str:
    """Return what is run, in a word; what `run` would refuse is refused here.

    Raises:
        UsageError: It is no such command.
    """
    from taskgraph.cli import run

    asked: click.Context = run.command.make_context("taskgraph run", list(words), parent=ctx.parent)
    given: dict[str, Any] = asked.params
    if given["pdb"]:
        raise click.UsageError("--pdb needs a terminal, and a run that is launched has none.", ctx)
    script, rest = given["script"], given["words"]
    if given["rerun"] is not None:
        return f"rerun-{given['rerun'][:8]}"
    if script is None or not rest or rest[0] in ("--help", "-h"):
        raise click.UsageError("Expected SCRIPT TASK [FLAGS], as `taskgraph run` takes them.", ctx)
    with printed_aside():
        run.read_call(asked, script, rest)
    return str(rest[0])


def _resources(ctx: click.Context, cpus: float | None, memory: str | None) -> Resources:
    from taskgraph.errors import TaskOptionError
    from taskgraph.ports import Resources
    from taskgraph.tasks.options import GIB, shared_options

    given = {"cpus": cpus, "memory": _number(memory)}
    try:
        checked = shared_options("The run", {key: e for key, e in given.items() if e is not None})
    except TaskOptionError as error:
        raise click.UsageError(str(error), ctx) from error
    size = checked.get("memory")
    return Resources(checked.get("cpus", 1), 0, None if size is None else round(size * GIB))


def _number(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
