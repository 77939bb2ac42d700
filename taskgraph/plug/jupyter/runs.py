"""Runs a cell in the user's names, and finds out what it bound there."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from taskgraph.errors import UnhashableValueError
from taskgraph.hashing import ValueHash
from taskgraph.plug.jupyter.cells import Cell
from taskgraph.plug.jupyter.output import Recorder
from taskgraph.values import walk
from taskgraph.values.weigh import hash_value

_UNBOUND: Final = object()
_AWAITS = (
    "%%cached cannot wait for what is awaited at the top of a cell. Put it into an `async def` "
    "with @taskgraph.cached, and await that in a plain cell."
)
_STAR = "%%cached cannot know what `import *` binds. Put it into a cell of its own."
_ALONE = "put it, and what it needs, into a cell of its own"
_MAGIC = "%%cached must be the last magic of a cell: put {!r} above it."


class Bound(NamedTuple):
    """What a cell did to the user's names.

    Attributes:
        values: The names that it bound, with their values; not those of its definitions.
        deleted: The names that it deleted.
    """

    values: dict[str, Any]
    deleted: list[str]


class CellRun:
    """A cell that may be run.

    Attributes:
        cell: Its names.
        names: The user's.
        shell: Where it runs.
        is_shown: Whether the value at its end is shown: no semicolon is behind it.

    Args:
        shell: Where it runs.
        source: What stands in it.

    Raises:
        UsageError: It does what cannot be kept.
        SyntaxError: It is no Python.
    """

    def __init__(self, shell: InteractiveShell, source: str) -> None:
        if source.lstrip().startswith("%%"):
            raise UsageError(_MAGIC.format(source.split(maxsplit=1)[0]))
        # The first line is that of the magic: lines in tracebacks are those of the cell.
        text = "\n" + shell.transform_cell(source)
        history = shell.history_manager
        number = len(history.input_hist_parsed) - 1 if history else 0  # what stands before the cell
        self._filename: Any = shell.compile.cache(text, number)
        self._flags: int = shell.compile.flags
        tree = ast.parse(text, self._filename)
        if self._compile(tree, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).co_flags & inspect.CO_COROUTINE:
            raise UsageError(_AWAITS)
        imports = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
        if any(alias.name == "*" for each in imports for alias in each.names):
            raise UsageError(_STAR)
        self.cell = Cell(tree)
        self.names: dict[str, Any] = shell.user_ns
        self.shell = shell
        self.is_shown = not DisplayHook.semicolon_at_end_of_expression(source)
        self._body = tree.body

    def define(self) -> str:
        """Run its imports, functions and classes; returns why one cannot be, or ""."""
        for each in self.cell.definitions:
            try:
                exec(self._compile(ast.Module([each], [])), self.names)
            except Exception as error:  # it may need what the cell does before
                text = ast.unparse(each).partition("\n")[0]
                return f"`{text}` fails before the cell has run ({error}): {_ALONE}"
        return ""

    def run(self, recorder: Recorder) -> Bound:
        """Run all of it.

        Raises:
            Exception: What it raises.
        """
        __tracebackhide__ = True
        before = dict(self.names)
        # Whether a loop bound them must show.
        aside = {
            each: before[each] for each in self.cell.loops - set(self.cell.reads) & set(before)
        }
        for each in aside:
            del self.names[each]
        try:
            with recorder.listening():
                self._execute(recorder)
        except NameError as error:
            if error.name in aside:
                error.add_note(
                    f"The cell binds {error.name!r} in a loop that did not run, so what it was "
                    f"before the cell does not count. If that is meant, write "
                    f"`{error.name} = {error.name}` above the loop."
                )
            raise
        finally:
            left = [each for each in aside if each not in self.names]
            self.names.update({each: aside[each] for each in left if each not in self.cell.deletes})
        bound = dict.fromkeys(each for each in self._bound(before) if each not in left)
        return Bound(
            {each: self.names[each] for each in bound},
            [each for each in self.cell.deletes if each in before and each not in self.names],
        )

    def _bound(self, before: dict[str, Any]) -> Iterator[str]:
        """Yield names that it bound itself, and then those that code bound that it called."""
        defined = self.cell.defined
        yield from (each for each in self.cell.binds if each in self.names and each not in defined)
        for name, value in self.names.items():
            is_new = before.get(name, _UNBOUND) is not value
            if is_new and not name.startswith("_") and name not in defined:
                yield name

    def _execute(self, recorder: Recorder) -> None:
        __tracebackhide__ = True
        body, last = self._body, None
        if body and isinstance(body[-1], ast.Expr):
            *body, last = body
        exec(self._compile(ast.Module(body, [])), self.names)
        if isinstance(last, ast.Expr):
            value = eval(self._compile(ast.Expression(last.value)), self.names)
            if self.is_shown and value is not None:
                recorder.show_value(value)

    def _compile(self, tree: ast.Module | ast.Expression, flags: int = 0) -> Any:
        mode = "eval" if isinstance(tree, ast.Expression) else "exec"
        return compile(tree, self._filename, mode, flags=self._flags | flags, dont_inherit=True)


def bind(names: dict[str, Any], bound: Bound) -> None:
    """Bind and delete names as a cell did that does not run."""
    names.update(bound.values)
    for each in bound.deleted:
        names.pop(each, None)


def check_known(wanted: Collection[str], names: Collection[str], option: str) -> None:
    """Refuse names in an option that stand for nothing.

    Raises:
        UsageError: One does.
    """
    for each in wanted:
        if each not in names:
            raise UsageError(f"%%cached {option}: there is no {each!r}.")


def changed_in_place(
    before: Mapping[str, ValueHash],
    inputs: Mapping[str, Any],
    bound: Bound,
    names: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the inputs that a cell changed and did not bind, by their names.

    Args:
        before: Their hashes before it ran.
        inputs: They themselves.
        bound: What it bound.
        names: The user's.
    """
    changed: dict[str, Any] = {}
    for name, value in inputs.items():
        if name in bound.values or names.get(name) is not value:
            continue
        walk.refresh(value)
        try:
            is_same = hash_value(value) == before[name]
        except UnhashableValueError:  # it was given something that has no stable hash
            is_same = False
        if not is_same:
            changed[name] = value
    return changed
