"""The command ``taskgraph``: its subcommands by name, and what an error means to a shell.

A module of a subcommand is imported when that one is used, so that ``taskgraph --help`` is quick.
Errors become exit codes here and nowhere else.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from taskgraph import errors
from taskgraph._version import __version__
from taskgraph.cli.options import ExitCode, Globals
from taskgraph.cli.streams import have_streams, settle_streams
from taskgraph.garbage import rare_collections

# The first class that fits counts; every other error of ours is RUN_FAILED.
EXIT_CODES: Final[tuple[tuple[type[errors.TaskgraphError], ExitCode], ...]] = (
    (errors.UnknownTaskError, ExitCode.NOT_FOUND),
    (errors.UnknownRecordError, ExitCode.NOT_FOUND),
    (errors.UnknownAliasError, ExitCode.NOT_FOUND),
    (errors.UnknownTagError, ExitCode.NOT_FOUND),
    (errors.OutputNotFoundError, ExitCode.NOT_FOUND),
    (errors.NothingToCompareError, ExitCode.NOT_FOUND),
    (errors.LineageError, ExitCode.NOT_FOUND),
    (errors.ScriptNotFoundError, ExitCode.NOT_FOUND),
    (errors.AmbiguousIdError, ExitCode.USAGE),
    (errors.FilterError, ExitCode.USAGE),
    (errors.ConfigError, ExitCode.USAGE),
    (errors.TagKeyError, ExitCode.USAGE),
    (errors.ExecutorError, ExitCode.USAGE),
    (errors.DowngradeRefusedError, ExitCode.STATE_REFUSED),
    (errors.DatabaseVersionError, ExitCode.CONFLICT),
    (errors.ForeignDatabaseError, ExitCode.CONFLICT),
    (errors.DatabaseBusyError, ExitCode.CONFLICT),
    (errors.UnknownRepoError, ExitCode.NOT_FOUND),
    (errors.UnknownOriginError, ExitCode.NOT_FOUND),
    (errors.RecordFileError, ExitCode.NOT_FOUND),
    (errors.RepoExistsError, ExitCode.CONFLICT),
    (errors.RecordVersionError, ExitCode.CONFLICT),
    (errors.InvalidRecordError, ExitCode.STATE_REFUSED),
    (errors.UntrustedRecordError, ExitCode.STATE_REFUSED),
    (errors.BlessRefusedError, ExitCode.STATE_REFUSED),
    (errors.BlessCheckError, ExitCode.STATE_REFUSED),
    (errors.ReleaseRefusedError, ExitCode.STATE_REFUSED),
    (errors.StateRefusedError, ExitCode.STATE_REFUSED),
    (errors.ConflictError, ExitCode.CONFLICT),
    (errors.ValidationError, ExitCode.USAGE),
    (errors.IncompatibleDatasetError, ExitCode.USAGE),
    (errors.InactiveTaskError, ExitCode.CONFLICT),
    (errors.PermissionDeniedError, ExitCode.STATE_REFUSED),
    (errors.SecretError, ExitCode.USAGE),
    (errors.UnknownDimensionError, ExitCode.USAGE),
)


class _Entry(NamedTuple):
    """Where a subcommand lives, and its line in the help: known without importing it."""

    module: str
    help: str


COMMANDS: Final[dict[str, _Entry]] = {
    "init": _Entry("taskgraph.cli.init", "Make a folder a project: settings and a database."),
    "run": _Entry("taskgraph.cli.run", "Run a task of a script or module."),
    "submit": _Entry(
        "taskgraph.cli.submit", "Write a task down for workers, which run it where they are."
    ),
    "worker": _Entry("taskgraph.cli.worker", "Take what was submitted to queues, and run it."),
    "launch": _Entry(
        "taskgraph.cli.launch", "Hand a whole run to an executor, and return at once."
    ),
    "plan": _Entry("taskgraph.cli.plan", "Show what a run would do now, and why."),
    "explain": _Entry("taskgraph.cli.explain", "Explain why something ran, or did not."),
    "log": _Entry("taskgraph.cli.log", "Show what was run, and where values and files came from."),
    "top": _Entry("taskgraph.cli.top", "Show what runs now, on this machine and on others."),
    "diff": _Entry(
        "taskgraph.cli.diff",
        "Show which calls of two executions are new, gone or changed, and by what.",
    ),
    "execution": _Entry(
        "taskgraph.cli.execution", "Manage executions: list them, show one, change its state."
    ),
    "study": _Entry("taskgraph.cli.study", "Show and delete studies: names for bodies of work."),
    "dataset": _Entry("taskgraph.cli.dataset", "Manage datasets: names for files."),
    "artifact": _Entry("taskgraph.cli.artifact", "Manage artifacts: named outputs of executions."),
    "vocabulary": _Entry("taskgraph.cli.vocabulary", "Say which dimensions artifacts may have."),
    "workflow": _Entry("taskgraph.cli.workflow", "Store workflows: lists of steps, in versions."),
    "group": _Entry(
        "taskgraph.cli.group", "Plan and run groups: a workflow on datasets of the same facets."
    ),
    "user": _Entry("taskgraph.cli.user", "Manage users: people, and groups of them."),
    "package": _Entry(
        "taskgraph.cli.package", "Manage packages of tasks: collected from code, in versions."
    ),
    "operation": _Entry(
        "taskgraph.cli.operation",
        "Show operations: actions that take long, and what came of them.",
    ),
    "policy": _Entry("taskgraph.cli.policy", "Have somebody be told of states of executions."),
    "retract": _Entry(
        "taskgraph.cli.retract",
        "Have a bad result, and all that came from it, not be used any more.",
    ),
    "unretract": _Entry("taskgraph.cli.unretract", "Take back what was retracted."),
    "retractions": _Entry(
        "taskgraph.cli.retractions", "Show what was retracted, by whom, when and why."
    ),
    "repl": _Entry("taskgraph.cli.repl", "Open Python with the records at hand."),
    "tag": _Entry(
        "taskgraph.cli.tag", "Tag executions, jobs, calls, tasks and values, and show tags."
    ),
    "report": _Entry("taskgraph.cli.report", "Write a report on an execution, as a page of HTML."),
    "graph": _Entry(
        "taskgraph.cli.graph", "Show what led to a value or file, or what was made of it."
    ),
    "export": _Entry("taskgraph.cli.export", "Write records to a file."),
    "import": _Entry("taskgraph.cli.importing", "Read records from files; they are not trusted."),
    "trust": _Entry("taskgraph.cli.trust", "Let records from elsewhere count as if made here."),
    "repo": _Entry("taskgraph.cli.repo", "Name the databases that records move to and from."),
    "push": _Entry("taskgraph.cli.push", "Write to a repo what it lacks."),
    "pull": _Entry("taskgraph.cli.pull", "Read from a repo what is lacking here."),
    "bless": _Entry(
        "taskgraph.cli.bless", "Keep results after a refactor that changes no meaning."
    ),
    "unbless": _Entry("taskgraph.cli.unbless", "Take back what was blessed."),
    "release": _Entry(
        "taskgraph.cli.release", "Delete temporary files; what was made of them stays valid."
    ),
    "gc": _Entry(
        "taskgraph.cli.gc",
        "Take away what nothing needs, and the bytes of values that nothing keeps.",
    ),
    "db": _Entry("taskgraph.cli.db", "Look after the database."),
}


class _PipeClosed(Exception):
    """Nobody reads any more: click would make an exit of it that says nothing of the reason."""


class CommandGroup(click.Group):
    """A group whose subcommands are modules with an attribute ``command``."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the words; the help and the version are written here."""
        try:
            return super().make_context(*args, **kwargs)
        except BrokenPipeError as error:
            raise _PipeClosed from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Any: what it returns."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _PipeClosed from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return that command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-c",
    "--config",
    "config_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Config directory. Default: TASKGRAPH_CONFIG, else the nearest .taskgraph upward.",
)
@click.option("--traceback", is_flag=True, help="Show where in taskgraph an error was raised.")
@click.version_option(__version__, "--version", message="taskgraph %(version)s")
@click.pass_context
def cli(ctx: click.Context, config_dir: Path | None, traceback: bool) -> None:
    """Workflows of plain Python functions that remember every result.

    \b
    taskgraph run flow.py main --n 3     run a task of a script
    taskgraph explain -                  why it ran
    taskgraph log                        what was run
    taskgraph log results/table.csv      which call wrote a file, and from what
    taskgraph graph raw.csv --down       what was made of a file
    """
    ctx.obj = Globals(config_dir, traceback)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises.

    Args:
        argv: Arguments without the program's name; those of this process by default.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    have_streams()
    settle_streams()
    try:
        with rare_collections():
            result = cli.main(arguments, prog_name="taskgraph", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        # Whatever it is, it ends here: the shell gets a code and the user a sentence.
        return _report(error, arguments)
    return int(result) if isinstance(result, int) else ExitCode.OK


def _wants_traceback(arguments: Sequence[str]) -> bool:
    # Asked of the words themselves: an error may come before click has read them all.
    before_command = []
    for word in arguments:
        if word in COMMANDS:
            break
        before_command.append(word)
    return "--traceback" in before_command


def _report(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell the user about an error on stderr, and return the exit code."""
    match error:
        case _ if _is_closed_pipe(error):
            # Nobody reads any more, as after `| head`. Python would complain at exit otherwise.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = ExitCode.PIPE_CLOSED
        case click.Abort() if isinstance(error.__context__, EOFError):
            _say("Nobody answered, so nothing was done. With --yes it does not ask.")
            code = ExitCode.USAGE
        case KeyboardInterrupt() | click.Abort():
            _say("Interrupted. What had finished is kept. To go on from there:")
            _say(f"  {shlex.join(['taskgraph', *arguments])}")
            code = ExitCode.INTERRUPTED
        case SystemExit():
            return error.code if isinstance(error.code, int) else ExitCode.OK
        case click.UsageError():
            error.show()
            code = ExitCode.USAGE
        case click.ClickException():
            _say(f"Error: {error.format_message()}")
            code = ExitCode.USAGE
        case _:
            code = _report_failure(error, _wants_traceback(arguments))
    return code


def _report_failure(error: BaseException, with_traceback: bool) -> ExitCode:
    if with_traceback:
        import traceback

        _say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, errors.TaskgraphError):
        if isinstance(error, errors.ScriptLoadError) and error.trace:
            _say(error.trace.rstrip())
        _say(f"Error: {error}")
        fitting = (code for kind, code in EXIT_CODES if isinstance(error, kind))
        return next(fitting, ExitCode.RUN_FAILED)
    if isinstance(error, OSError) and error.filename is not None:
        _say(f"Error: {os.fsdecode(error.filename)!r}: {error.strerror}.")
        return ExitCode.USAGE
    _say(f"Error: {type(error).__name__}: {error}")
    if not with_traceback:
        _say("This was not expected. `taskgraph --traceback ...` shows where it happened.")
    return ExitCode.RUN_FAILED


def _is_closed_pipe(error: BaseException) -> bool:
    return isinstance(error, BrokenPipeError | _PipeClosed)


def _say(text: str) -> None:
    from taskgraph.provenance.page import clean_text

    # Names of files and what failed are said by others: none of it is obeyed by a terminal.
    click.echo(clean_text(text), err=True)


if __name__ == "__main__":
    sys.exit(main())
