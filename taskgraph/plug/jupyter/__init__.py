"""`%%cached`: cells of a notebook that do not run again while all that they need is as it was.

What of a cell counts, and what becomes of it, is the affair of `taskgraph.plug.cells`. Here is the
magic: its options, the cell as IPython would run it, and its state below it.

``%load_ext taskgraph`` makes it known.
"""

from __future__ import annotations

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from taskgraph.plug.cells import Cell
from taskgraph.plug.jupyter.screen import NotebookScreen


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make ``%%cached`` known; called by ``%load_ext taskgraph``."""
    shell.register_magic_function(magic_cached, "cell", "cached")


def _names(text: str) -> list[str]:
    plain = [each.strip(" '\"") for each in text.split(",")]  # IPython leaves quotes where they are
    return [each for each in plain if each]


@magic_arguments()
@argument("--name", help="what to record the cell as; by default the names that it binds")
@argument("--inputs", type=_names, help="names whose values alone count, as in a,b")
@argument("--outputs", type=_names, help="names that alone are kept, as in x,y")
@argument("--no-cache", action="store_true", help="run it whatever is recorded")
@no_var_expand
def magic_cached(line: str, source: str) -> None:
    """Run a cell, or bind the names that it bound when all that it needs was as it is now.

    Inputs are the values of the names that it reads before it binds them; functions, classes and
    modules count by their code, as for tasks. On a hit what it printed and displayed is shown
    again. Imports, functions and classes in the cell are defined in any case.
    """
    __tracebackhide__ = True
    given = parse_argstring(magic_cached, line)
    if source.lstrip().startswith("%%"):
        magic = source.split(maxsplit=1)[0]
        raise UsageError(f"%%cached must be the last magic of a cell: put {magic!r} above it.")
    shell = InteractiveShell.instance()
    # The first line is that of the magic: lines in tracebacks are those of the cell.
    text = "\n" + shell.transform_cell(source)
    history = shell.history_manager
    number = len(history.input_hist_parsed) - 1 if history else 0  # what stands before the cell
    try:
        cell = Cell(
            text,
            shell.user_ns,
            name=given.name,
            inputs=given.inputs,
            outputs=given.outputs,
            is_shown=not DisplayHook.semicolon_at_end_of_expression(source),
            filename=shell.compile.cache(text, number),
            compiler=shell.compile,
            option="%%cached --{}",
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    display(cell.call(NotebookScreen(shell), why="--no-cache" if given.no_cache else ""))
