"""Runs a snippet in somebody's names, and tells what it did to them.

before       y is not bound, x is [1]
the snippet  x.append(2); y = len(x)
its effects  y is bound; x is changed in place
"""

from __future__ import annotations

import ast
from codeop import Compile
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from taskgraph.errors import UnhashableValueError
from taskgraph.fingerprint.snippets import Snippet
from taskgraph.hashing import ValueHash
from taskgraph.values import walk
from taskgraph.values.weigh import hash_value

_UNBOUND: Final = object()
_LEFT: Final = (
    "{0!r} is bound in a loop that did not run, so what it was before does not count. If that is "
    "meant, write `{0} = {0}` above the loop."
)


class Effects(NamedTuple):
    """What a snippet did to names.

    Attributes:
        values: The names that it bound, with their values; not those of its definitions.
        deleted: The names that it deleted.
    """

    values: Mapping[str, Any]
    deleted: list[str]

    def apply(self, names: dict[str, Any]) -> None:
        """Do the same to names without running it."""
        names.update(self.values)
        for each in self.deleted:
            names.pop(each, None)


class SnippetRun:
    """A snippet that may run.

    Args:
        snippet: Its code.
        names: Those that it runs in.
        is_shown: Whether the value at its end goes to `sys.displayhook`, as at a prompt.
        filename: Where it stands, for tracebacks.
        compiler: Compiles its statements; by default without the future imports of other code.
    """

    def __init__(
        self,
        snippet: Snippet,
        names: dict[str, Any],
        *,
        is_shown: bool,
        filename: str,
        compiler: Compile | None,
    ) -> None:
        self._snippet = snippet
        self._names = names
        self._is_shown = is_shown
        self._filename = filename
        self._compiler = compiler or Compile()

    def define(self) -> tuple[str, Exception] | None:
        """Run its imports, functions and classes alone.

        Returns:
            The first line of one that fails, if one does, and its error: it may need what the
            snippet does before.
        """
        for each in self._snippet.definitions:
            try:
                self._execute(ast.Module([each], []))
            except Exception as error:
                return ast.unparse(each).partition("\n")[0], error
        return None

    def run(self) -> Effects:
        """Run all of it.

        Raises:
            Exception: What it raises.
        """
        __tracebackhide__ = True
        snippet, names = self._snippet, self._names
        before = dict(names)
        # Whether a loop bound them must show.
        aside = snippet.loops - set(snippet.reads) & set(before)
        for each in aside:
            del names[each]
        try:
            self._execute_all()
        except NameError as error:
            if error.name in aside:
                error.add_note(_LEFT.format(error.name))
            raise
        finally:
            left = [each for each in aside if each not in names]
            names.update({each: before[each] for each in left if each not in snippet.deletes})
        others = snippet.defined.union(left)
        bound = {each: names[each] for each in self._bound(before) if each not in others}
        deleted = [each for each in snippet.deletes if each in before and each not in names]
        return Effects(bound, deleted)

    def _bound(self, before: Mapping[str, Any]) -> Iterator[str]:
        """Yield names that it bound itself, and then those that code bound that it called."""
        yield from (each for each in self._snippet.binds if each in self._names)
        for name, value in self._names.items():
            if before.get(name, _UNBOUND) is not value and not name.startswith("_"):
                yield name

    def _execute_all(self) -> None:
        __tracebackhide__ = True
        body, last = self._snippet.body, None
        if self._is_shown and body and isinstance(body[-1], ast.Expr):
            *body, last = body
        self._execute(ast.Module(body, []))
        if last is not None:
            self._execute(ast.Interactive([last]))

    def _execute(self, tree: ast.Module | ast.Interactive) -> None:
        __tracebackhide__ = True
        mode = "single" if isinstance(tree, ast.Interactive) else "exec"
        # Any: the standard library's stubs have it compile text only.
        compiler: Any = self._compiler
        exec(compiler(tree, self._filename, mode), self._names)


def changed_in_place(
    before: Mapping[str, ValueHash],
    inputs: Mapping[str, Any],
    effects: Effects,
    names: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the inputs that a snippet changed and did not bind, by their names.

    Args:
        before: Their hashes before it ran.
        inputs: They themselves.
        effects: What it did to names.
        names: Those that it ran in.
    """
    changed: dict[str, Any] = {}
    for name, value in inputs.items():
        if name in effects.values or names.get(name) is not value:
            continue
        walk.refresh(value)
        try:
            is_same = hash_value(value) == before[name]
        except UnhashableValueError:  # it was given something that has no stable hash
            is_same = False
        if not is_same:
            changed[name] = value
    return changed
