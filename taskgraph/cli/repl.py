"""``taskgraph repl``: Python with the records at hand.

What is typed is the user's own code: its errors are shown with their traceback, as Python does.
"""

from __future__ import annotations

import ast
import code
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from taskgraph._version import __version__
from taskgraph.cli.options import ExitCode, load_settings
from taskgraph.errors import TaskgraphError, without_password

_HISTORY: Final = "repl_history"
_MOST_LINES: Final = 10_000

_HELP = """Open Python with the records of the project at hand.

There are archive, session, backend, models, executions, history(), query(), find(), log() and
lineage(). Code may come from a pipe as well.

\b
taskgraph repl
taskgraph repl -c "log('-')"
echo "history()[0].status" | taskgraph repl
"""


@click.command("repl", help=_HELP, short_help="Open Python with the records at hand.")
@click.option("-c", "--code", "source", metavar="CODE", help="Run this code and end.")
@click.option("--ipython", is_flag=True, help="Use IPython's prompt.")
@click.pass_context
def command(ctx: click.Context, source: str | None, ipython: bool) -> int:
    """Run code, from wherever it comes, with names for the records."""
    from taskgraph.archive import Archive
    from taskgraph.assembly import databases, reading, surroundings
    from taskgraph.cli.repl_display import showing_pages

    settings = load_settings(ctx)
    with (
        Archive(settings, databases.open_existing(settings)) as archive,
        surroundings.in_force(settings, surroundings.places_of(settings)),
        showing_pages(),
    ):
        names: dict[str, Any] = {"__name__": "__console__", "__doc__": None}
        names |= reading.repl_names(archive)
        names["log"] = lambda what=None: click.echo(archive.page(what), nl=False)
        if source is not None:
            return _run(source, names)
        banner = _banner(archive.backend.db_uri)
        if ipython:
            return _ipython(names, banner)
        if not sys.stdin.isatty():
            return _Piped(names).run(sys.stdin)
        _prompt(names, banner, settings.config_dir)
    return ExitCode.OK


def _banner(uri: str) -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return "\n".join(
        [
            f"taskgraph {__version__} on Python {python}",
            f"records     {without_password(uri)}",
            "to look     find(ID)  log(ID)  lineage(PATH)  history()",
            "to query    query().filter_types(['Job']).limit(10)  session.scalars(...)",
            "to leave    exit() or Ctrl-D",
        ]
    )


def _run(source: str, names: dict[str, Any]) -> int:
    """Run code at once; what its last line gives is shown, as at a prompt."""
    try:
        tree = ast.parse(source, "<command>")
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body.pop()
            exec(compile(tree, "<command>", "exec"), names)
            shown = eval(compile(ast.Expression(last.value), "<command>", "eval"), names)
            sys.displayhook(shown)
        else:
            exec(compile(tree, "<command>", "exec"), names)
    except (TaskgraphError, BrokenPipeError):
        raise
    except Exception:
        # A wide net on purpose: whatever the user's code raises is the user's to see.
        code.InteractiveInterpreter(names).showtraceback()
        return ExitCode.RUN_FAILED
    return ExitCode.OK


class _Piped(code.InteractiveConsole):
    """Runs lines as they come, without prompts; goes on after an error, and remembers it."""

    has_failed = False

    def run(self, lines: Iterator[str] | Any) -> int:
        """Run all lines; a block that is open at the end is run as well."""
        is_open = False
        for each in lines:
            is_open = self.push(each.rstrip("\n"))
        if is_open and self.push(""):
            self.resetbuffer()
            self.write("The code ends in the middle of a statement.\n")
            self.has_failed = True
        return ExitCode.RUN_FAILED if self.has_failed else ExitCode.OK

    def showtraceback(self) -> None:
        """Show the error: of this library's own, what it says."""
        self.has_failed = True
        error = sys.exc_info()[1]
        if isinstance(error, TaskgraphError):
            self.write(f"Error: {error}\n")
        else:
            super().showtraceback()

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        """Show where the code cannot be read."""
        self.has_failed = True
        super().showsyntaxerror(*args, **kwargs)


def _prompt(names: dict[str, Any], banner: str, folder: Path) -> None:
    with _line_editing(names, folder):
        code.interact(banner=banner, local=names, exitmsg="")


@contextlib.contextmanager
def _line_editing(names: dict[str, Any], folder: Path) -> Iterator[None]:
    """Complete names with Tab and keep what was typed, where Python can edit lines."""
    try:
        import readline
        import rlcompleter
    except ImportError:  # Python was built without it
        yield
        return
    history = folder / _HISTORY
    before = readline.get_completer()
    readline.set_completer(rlcompleter.Completer(names).complete)
    is_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
    with contextlib.suppress(OSError):  # there is none yet
        readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_completer(before)
        readline.set_history_length(_MOST_LINES)
        with contextlib.suppress(OSError):  # a folder that cannot be written is no reason to fail
            readline.write_history_file(history)


def _ipython(names: dict[str, Any], banner: str) -> int:
    try:
        from IPython import start_ipython
        from IPython.terminal.ipapp import load_default_config
    except ImportError:
        raise click.UsageError("IPython is not installed: pip install ipython") from None
    config = load_default_config()
    config.TerminalInteractiveShell.banner1 = f"{banner}\n"
    start_ipython(argv=[], user_ns=names, config=config)
    return ExitCode.OK
