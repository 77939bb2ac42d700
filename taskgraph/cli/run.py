"""``taskgraph run``: run a task of the user's script.

The result goes to stdout; progress and errors go to stderr.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from taskgraph.cli.again import debug, failures_as_text, script_of
from taskgraph.cli.context import context_options, read_context
from taskgraph.cli.limits import Limit
from taskgraph.cli.options import ExitCode, load_settings
from taskgraph.cli.pairs import Pair, TagPair
from taskgraph.garbage import keep_loaded
from taskgraph.provenance.page import clean_text

if TYPE_CHECKING:
    from datetime import timedelta
    from types import ModuleType

    from taskgraph.app import Scheduler
    from taskgraph.cli.gauges import Gauges
    from taskgraph.cli.progress import Progress
    from taskgraph.cli.telling import AfterRun
    from taskgraph.config import Settings
    from taskgraph.provenance.explain import Explanation
    from taskgraph.tasks.task import Task

_MOST_CHARACTERS = 4000
_LAST_LINES = 10

_HELP = """Run a task of a script or module.

SCRIPT is the path of a Python file or the dotted name of a module, TASK one of its tasks. What
follows are flags made from the task's parameters.

\b
taskgraph run flow.py --help           the tasks in flow.py
taskgraph run flow.py main --help      the flags of main
taskgraph run flow.py main --n 3
"""


@click.command(
    "run",
    help=_HELP,
    short_help="Run a task of a script or module.",
    options_metavar="[OPTIONS]",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--no-cache", is_flag=True, help="Run every call, whatever is stored; store as ever.")
@click.option("--no-prov", is_flag=True, help="Write nothing of this run down, and use no results.")
@click.option("--dryrun", is_flag=True, help="Run nothing; say which calls would run first.")
@click.option("--explain", is_flag=True, help="Say on stderr why each call that runs does so.")
@click.option("--executor", metavar="NAME", help="Executor of the tasks that name none.")
@click.option("--queue", metavar="NAME", help="Queue of the tasks that name none.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr, errors only.")
@click.option(
    "--max-rerun",
    type=Limit(),
    metavar="LIMIT",
    help="Stop before more calls are made again than this: 500, or 2h of what they took last time.",
)
@click.option(
    "--option",
    "options",
    type=Pair(),
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of all tasks in this run, as retries=2; may be repeated.",
)
@click.option(
    "--tag",
    "tags",
    type=TagPair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="A tag of this execution; may be repeated.",
)
@click.option(
    "--name", metavar="NAME", help="What to call this execution. Default: the task's name."
)
@click.option("--study", metavar="NAME", help="The study that this execution is part of.")
@click.option(
    "--workspace", metavar="DIR", help="The folder of this execution, which no other one has."
)
@click.option(
    "--idempotency-key",
    "--key",
    metavar="KEY",
    help="Run the task once under this key: where it was, stop.",
)
@click.option(
    "--project", metavar="NAME", help="What the run is for. Default: the name of the folder."
)
@click.option("--user", metavar="NAME", help="Who runs it. Default: the user of this machine.")
@click.option("--doc", metavar="TEXT", help="What there is to say of this run.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="After a failure go on with all that does not depend on it.",
)
@click.option("--rerun", metavar="JOB", help="Run the call of a recorded job once more, alone.")
@click.option("--pdb", is_flag=True, help="Open the debugger where a task fails; runs inline.")
@context_options
@click.argument("script", metavar="SCRIPT", required=False)
@click.argument("words", metavar="[TASK] [FLAGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    no_cache: bool,
    no_prov: bool,
    dryrun: bool,
    explain: bool,
    executor: str | None,
    queue: str | None,
    quiet: bool,
    max_rerun: int | timedelta | None,
    options: tuple[tuple[str, Any], ...],
    tags: tuple[tuple[str, Any], ...],
    name: str | None,
    study: str | None,
    workspace: str | None,
    idempotency_key: str | None,
    project: str | None,
    user: str | None,
    doc: str | None,
    keep_going: bool,
    rerun: str | None,
    pdb: bool,
    context: tuple[tuple[str, Any], ...],
    context_file: Path | None,
    script: str | None,
    words: tuple[str, ...],
) -> int:
    """Load the script, read the flags of the task, run it and print what it returns."""
    if no_cache and max_rerun is not None:
        raise click.UsageError("--no-cache runs everything again: --max-rerun has no use.", ctx)
    if script is None and rerun is None:
        raise click.UsageError("Missing argument 'SCRIPT'.", ctx)
    if rerun is not None and words:
        raise click.UsageError(
            f"--rerun runs the call of job {rerun} as it was: it takes no task and no flags.", ctx
        )
    chosen = dict(options)
    _check_options(ctx, chosen if queue is None else {**chosen, "queue": queue})
    if no_prov:
        chosen["prov"] = False
    if pdb:
        chosen["executor"] = "inline"
    how = _How(
        no_cache=no_cache,
        dryrun=dryrun,
        explain=explain,
        quiet=quiet,
        max_rerun=max_rerun,
        options=chosen,
        tags=tags,
        labels={"project": project, "user": user, "doc": doc},
        known_by={
            "name": name,
            "study": study,
            "workspace": workspace,
            "idempotency_key": idempotency_key,
            "queue": queue,
        },
        context=read_context(dict(context), context_file),
        keep_going=keep_going,
        pdb=pdb,
        rerun=rerun,
        script=script,
    )
    if rerun is not None:
        return _run(ctx, None, executor, how)
    assert script is not None
    if not words or words[0] in ("--help", "-h"):
        return show_tasks(ctx, script, is_asked=bool(words))
    return _run(ctx, read_call(ctx, script, words), executor, how)


def show_tasks(ctx: click.Context, script: str, *, is_asked: bool) -> int:
    """List the tasks of a script: because somebody asked, or said nothing else."""
    from taskgraph.cli.scripts import load_script

    click.echo(_list_of_tasks(ctx, script, load_script(script)))
    return ExitCode.OK if is_asked else ExitCode.USAGE


def read_call(ctx: click.Context, script: str, words: Sequence[str]) -> Any:
    """Return the lazy call that a script, the name of a task and its flags stand for."""
    from taskgraph.cli.flags import TaskFlags
    from taskgraph.cli.scripts import find_task, load_script

    keep_loaded("taskgraph.app")
    module = load_script(script)
    name, *rest = words
    if name.startswith("-"):
        raise click.UsageError(f"Expected the name of a task, not {name!r}.{_hint(ctx, name)}", ctx)
    task = find_task(module, name)
    flags = TaskFlags(task, f"{ctx.command_path} {script} {name}")
    try:
        args, kwargs = flags.parse(rest)
    except click.NoSuchOption as error:
        hint = _hint(ctx, error.option_name)
        if not hint:
            raise
        raise click.UsageError(f"{task.fullname} has no {error.option_name}.{hint}", ctx) from None
    return _call(task, args, kwargs)


class _How(NamedTuple):
    """How the run was asked for."""

    no_cache: bool
    dryrun: bool
    explain: bool
    quiet: bool
    max_rerun: int | timedelta | None
    options: dict[str, Any]
    tags: Sequence[tuple[str, Any]]
    labels: dict[str, str | None]
    known_by: dict[str, str | None]
    context: dict[str, Any]
    keep_going: bool
    pdb: bool
    rerun: str | None
    script: str | None


def _check_options(ctx: click.Context, options: dict[str, Any]) -> None:
    from taskgraph.errors import TaskOptionError
    from taskgraph.tasks.options import shared_options

    try:
        shared_options("All tasks of this run", options)
    except TaskOptionError as error:
        raise click.UsageError(str(error), ctx) from error


def _call(task: Task[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return task(*args, **kwargs)
    except TypeError as error:
        raise click.UsageError(str(error)) from error


def _run(ctx: click.Context, expression: Any, executor: str | None, how: _How) -> int:
    from taskgraph.cli.telling import AfterRun

    after = AfterRun(is_wanted=not how.dryrun, is_quiet=how.quiet)
    try:
        return _run_call(ctx, expression, executor, how, after)
    finally:
        after.tell()


def _run_call(
    ctx: click.Context, expression: Any, executor: str | None, how: _How, after: AfterRun
) -> int:
    from taskgraph import app
    from taskgraph.assembly.surroundings import labels_of_run
    from taskgraph.cli.progress import make_progress
    from taskgraph.config import write_default_config
    from taskgraph.errors import ConflictError, DryRunResult
    from taskgraph.executors.types import registered_types
    from taskgraph.tags import OwnTags

    # What the script has registered is in no settings.
    own = executor if executor in registered_types() else None
    settings = load_settings(ctx, {"scheduler.executor": executor} if executor and not own else {})
    write_default_config(settings.config_dir)
    progress = None
    if not how.quiet:
        progress = make_progress(settings.scheduler.job_status_interval, gauges=_gauges(settings))
    observers = [progress] if progress else []
    scheduler = app.Scheduler(settings, executor=own, observers=observers)
    execution_id = uuid.uuid4().hex
    try:
        job = how.rerun
        if job is not None:
            how = how._replace(script=how.script or script_of(scheduler, job, ctx.command))
            expression = _recorded(ctx, scheduler, job, how.script)
        result = scheduler.run(
            expression,
            exec_argv=sys.argv,
            dryrun=how.dryrun,
            cache=not how.no_cache,
            explain=_miss_teller(progress) if how.explain else None,
            max_rerun=how.max_rerun,
            options=how.options,
            tags=OwnTags([*how.tags, *labels_of_run(settings, **how.labels)]),
            context=how.context,
            fail_fast=not how.keep_going,
            execution_id=execution_id,
            **how.known_by,
        )
    except DryRunResult as answer:
        if progress:
            progress.close(summary=False)
        calls = "call" if len(answer.calls) == 1 else "calls"
        click.echo(f"{len(answer.calls)} {calls} would run next:")
        for call in answer.calls:
            click.echo(f"  {call}")
        return ExitCode.OK
    except Exception as error:
        failures = getattr(error, "__taskgraph_failures__", None)
        if failures is None:
            if progress and isinstance(error, ConflictError):  # nothing was run
                progress.close(summary=False)
            raise
        if progress:
            progress.close()
        text = failures_as_text(failures, how.script or "", _last_lines_of(settings, execution_id))
        click.echo(clean_text(text), err=True)
        if how.pdb:
            debug(error)
        return ExitCode.RUN_FAILED
    finally:
        if progress:
            progress.close()
        after.look(settings, scheduler.backend)
        scheduler.close()
    shown = show_result(result)
    if shown is not None:
        click.echo(shown)
    return ExitCode.OK


def _gauges(settings: Settings) -> Gauges:
    """Return what tells of a run how fast it goes and what is left, by how it went before."""
    from taskgraph.assembly.databases import usual_seconds
    from taskgraph.cli.gauges import Gauges, History

    return Gauges(History(lambda tasks: usual_seconds(settings, tasks)))


def _last_lines_of(settings: Settings, execution_id: str) -> Callable[[str], Sequence[str]]:
    """Return what tells the last lines that a job of an execution wrote to stderr."""
    from taskgraph.assembly.databases import logs_folder
    from taskgraph.provenance.printed import last_lines

    root = logs_folder(settings)

    def tell(job: str) -> Sequence[str]:
        return () if root is None else last_lines(root, execution_id, job, "stderr", _LAST_LINES)

    return tell


def _recorded(ctx: click.Context, scheduler: Scheduler, job: str, script: str | None) -> Any:
    """Return the call of a recorded job; its script is loaded, so that its task is defined."""
    from taskgraph.cli.scripts import load_script

    if script is None:
        raise click.UsageError(
            f"The records do not say which script job {job} was run from: name it.", ctx
        )
    load_script(script)
    return scheduler.recorded_call(job)


def _miss_teller(progress: Progress | None) -> Callable[[Explanation], None]:
    """Return what writes on stderr why calls run, as they do."""
    from taskgraph.provenance.explain_page import MissTeller
    from taskgraph.provenance.page import print_page

    teller = MissTeller()
    if progress is None:
        return lambda explanation: print_page(teller.blocks(explanation), sys.stderr)
    return lambda explanation: progress.show(teller.blocks(explanation))


def show_result(result: Any) -> str | None:
    """Return a result as it is printed: text in full, all else as it is written in Python.

    None is printed as nothing, and what would fill the screen is cut.
    """
    if result is None or isinstance(result, str):
        return result
    text = repr(result)
    if len(text) > _MOST_CHARACTERS:
        return f"{text[:_MOST_CHARACTERS]}... ({len(text):,} characters)"
    return text


def _list_of_tasks(ctx: click.Context, script: str, module: ModuleType) -> str:
    from taskgraph.cli.flags import summaries
    from taskgraph.cli.scripts import tasks_of

    formatter = click.HelpFormatter(width=100)
    formatter.write_usage(f"{ctx.command_path} {script}", "TASK [FLAGS]")
    tasks = tasks_of(module)
    about = (module.__doc__ or "").strip().split("\n", 1)[0]
    if about:
        formatter.write_paragraph()
        formatter.write_text(about)
    if not tasks:
        formatter.write_paragraph()
        formatter.write_text("There are no tasks in it: put @task above a function.")
        return formatter.getvalue().rstrip()
    with formatter.section("Tasks"):
        formatter.write_dl(list(summaries(tasks)))
    formatter.write_paragraph()
    formatter.write_text(f"`{ctx.command_path} {script} TASK --help` shows the flags of a task.")
    return formatter.getvalue().rstrip()


def _hint(ctx: click.Context, word: str) -> str:
    """Return what to say of an option of ``run`` that stands where those of the task belong."""
    own = {name for parameter in ctx.command.params for name in parameter.opts}
    name = word.partition("=")[0]
    if name not in own:
        return ""
    return f" {name} is an option of `{ctx.command_path}`: put it before the script."
