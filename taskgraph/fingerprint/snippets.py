"""Snippets: free-standing code, such as a cell of a notebook, as a function of names.

    the snippet     total = sum(raw)               runs in names that it shares with other code
    it reads        sum, raw                       their values before it runs count
    it binds        total
    its function    def total(raw): total = ...    is fingerprinted in its place, never called

Which names a function reads, `taskgraph.fingerprint.syntax` knows; all that it binds is its own. A
snippet may read a name first and bind it then, so that here the order counts. Each statement is
compiled, and its names are taken from the instructions in their order. A body of a loop is taken to
run, and of the branches of an ``if`` only what all of them bind is bound. What a function reads is
read when its name is first used.
"""

from __future__ import annotations

import ast
import dis
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from taskgraph.fingerprint.named import namer_of, unwrapper_of
from taskgraph.fingerprint.sources import remember_text

_FLAGS: Final = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_READS: Final = frozenset({"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"})
_BINDS: Final = frozenset({"STORE_NAME"})
_LEAVING: Final = (ast.Raise, ast.Continue, ast.Break)
_IMPORTS: Final = (ast.Import, ast.ImportFrom)
_DEFINITIONS: Final = (*_IMPORTS, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MOST_IN_NAME: Final = 3


class _Pattern(ast.Match):
    """One pattern, apart from what comes after it."""


class Snippet:
    """The names of a snippet; each as a dict or set of them, in the order of the code.

    Attributes:
        body: Its statements.
        reads: Names whose value before it runs counts: read before they are bound, or perhaps left
            as they are.
        binds: All that it may bind.
        deletes: All that it may delete.
        loops: Those that it binds in loops only.
        definitions: Its imports, functions and classes, as far as they need nothing else in it.
        defined: The names of its definitions that nothing else in it binds.
        awaits: Whether it awaits something at its top.
        binds_unknown: Whether it has an ``import *``.

    Args:
        text: The code.
        filename: Where it stands, for tracebacks.

    Raises:
        SyntaxError: It is no Python.
    """

    def __init__(self, text: str, filename: str = "<snippet>") -> None:
        tree = ast.parse(text, filename)
        self.body = tree.body
        self.reads: dict[str, None] = {}
        self.binds: dict[str, None] = {}
        self.deletes: set[str] = set()
        self.awaits = bool(_compiled(tree, filename).co_flags & inspect.CO_COROUTINE)
        imports = (each for each in tree.body if isinstance(each, ast.ImportFrom))
        self.binds_unknown = any(each.names[0].name == "*" for each in imports)
        self._firm: set[str] = set()
        self._depth = 0  # how many loops are around
        self._waiting: dict[str, list[str]] = {}  # what functions read that nobody has called
        bound = self._follow(tree.body, set())
        self.loops = set(self.binds) - self._firm
        for name in self.binds:
            if name not in bound | self.deletes | self.loops:
                self._read(name, set())
        self.definitions = [each for each in tree.body if self._is_definition(each)]
        others = [each for each in tree.body if each not in self.definitions]
        self.defined = _names_in(self.definitions, _BINDS) - _names_in(others, _BINDS)

    @property
    def name(self) -> str:
        """What to call it: by the first names that it binds; "" if it binds none."""
        plain = [each for each in self.binds if each.strip("_")]
        return "_".join(plain[:_MOST_IN_NAME])

    def inputs(self, names: Mapping[str, Any]) -> list[str]:
        """Return the names of the values that it reads; of code, those that it binds anew.

        Args:
            names: What is known where it runs.
        """
        known = [each for each in self.reads if each in names]
        return [each for each in known if each in self.binds or not is_code(names[each])]

    def as_function(
        self, name: str, parameters: Collection[str], names: dict[str, Any], *, is_shown: bool
    ) -> FunctionType:
        """Return the function that stands for it. It is weighed, and never called.

        Args:
            name: Its name.
            parameters: Their names.
            names: Those that it sees.
            is_shown: Whether it gives the value at its end.
        """
        body = [each for each in self.body if not isinstance(each, ast.Global)]
        if is_shown and body and isinstance(last := body[-1], ast.Expr):
            body[-1] = ast.Return(last.value)
        module = ast.parse(f"def {name}({', '.join(sorted(parameters))}): pass")
        (function,) = module.body
        assert isinstance(function, ast.FunctionDef)
        function.body = body or [ast.Pass()]
        text = ast.unparse(module)
        made: dict[str, Any] = {}
        exec(compile(text, f"<snippet {name}>", "exec", dont_inherit=True), names, made)
        func: FunctionType = made[name]
        remember_text(func, text)
        return func

    # Statements

    def _follow(self, body: Sequence[ast.stmt], bound: set[str]) -> set[str]:
        """Go through statements; returns what is bound after them, in the same set."""
        for each in body:
            match each:
                case ast.If():
                    self._take(ast.Expr(each.test), bound)
                    self._join([each.body, each.orelse], bound)
                case ast.For() | ast.AsyncFor():
                    self._take(ast.Expr(each.iter), bound)
                    self._loop([_binding(each.target), *each.body], each.orelse, bound)
                case ast.While():
                    self._take(ast.Expr(each.test), bound)
                    self._loop(each.body, each.orelse, bound)
                case ast.With() | ast.AsyncWith():
                    for item in each.items:
                        self._take(ast.Expr(item.context_expr), bound)
                        self._follow([_binding(item.optional_vars)], bound)
                    self._follow(each.body, bound)
                case ast.Try() | ast.TryStar():
                    caught = [_handled(handler) for handler in each.handlers]
                    self._join([[*each.body, *each.orelse], *caught], bound)
                    self._follow(each.finalbody, bound)
                case ast.Match() if not isinstance(each, _Pattern):
                    self._take(ast.Expr(each.subject), bound)
                    self._join(list(_ways(each)), bound)
                case ast.Break() | ast.Continue() | ast.Pass() | ast.Global():
                    continue
                case _:
                    self._take(each, bound)
        return bound

    def _loop(self, body: list[ast.stmt], after: list[ast.stmt], bound: set[str]) -> None:
        self._depth += 1
        self._follow(body, bound)
        self._depth -= 1
        self._follow(after, bound)

    def _join(self, ways: Sequence[list[ast.stmt]], bound: set[str]) -> None:
        """Go through branches; what is bound after all that have an end is bound."""
        ends = [(way, self._follow(way, set(bound))) for way in ways]
        open_ends = [end for way, end in ends if not (way and isinstance(way[-1], _LEAVING))]
        if open_ends:
            bound |= set.intersection(*open_ends)

    def _take(self, statement: ast.stmt, bound: set[str]) -> None:
        """Go through one statement."""
        for instruction in dis.get_instructions(_compiled(ast.Module([statement], []))):
            name = instruction.argval
            if instruction.opname in _READS:
                self._read(name, bound)
            elif instruction.opname in _BINDS and not _is_special(name):
                self.binds[name] = None
                bound.add(name)
                if not self._depth:
                    self._firm.add(name)
            elif instruction.opname == "DELETE_NAME":
                self.deletes.add(name)
                bound.discard(name)
            elif isinstance(name, CodeType):
                self._enter(name, bound)

    def _enter(self, code: CodeType, bound: set[str]) -> None:
        """Go through the body of a function when it is called, of anything else at once."""
        if not code.co_flags & inspect.CO_OPTIMIZED:  # of a class
            own = {each.argval for each in dis.get_instructions(code) if "STORE" in each.opname}
            for each in _names_of(code, _READS):
                if each not in own:
                    self._read(each, bound)
        names = list(_globals_of(code))
        if code.co_name.startswith("<"):  # a lambda, a comprehension
            for name in names:
                self._read(name, bound)
        else:
            self._waiting.setdefault(code.co_name, []).extend(names)

    def _read(self, name: str, bound: set[str]) -> None:
        if name not in bound and not _is_special(name):
            self.reads.setdefault(name)
        for each in self._waiting.pop(name, ()):
            self._read(each, bound)

    def _is_definition(self, statement: ast.stmt) -> bool:
        is_lambda = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Lambda)
        is_import = isinstance(statement, ast.Try) and all(
            isinstance(each, _IMPORTS) for each in statement.body
        )
        if not (is_lambda or is_import or isinstance(statement, _DEFINITIONS)):
            return False
        others = [each for each in self.body if not isinstance(each, _DEFINITIONS)]
        made = _names_in([each for each in others if each is not statement], _BINDS)
        return made.isdisjoint(_names_in([statement], _READS))


def is_code(value: Any) -> bool:
    """Tell whether a value counts as code that is reached, and not as an input."""
    return (
        isinstance(value, ModuleType | type)
        or inspect.isroutine(value)
        or namer_of(value) is not None
        or unwrapper_of(value) is not None
    )


def _compiled(module: ast.Module, filename: str = "<snippet>") -> CodeType:
    ast.fix_missing_locations(module)
    code: CodeType = compile(module, filename, "exec", flags=_FLAGS, dont_inherit=True)
    return code


def _names_of(code: CodeType, operations: Collection[str]) -> Iterator[str]:
    """Yield the names that instructions of some kinds are about."""
    for each in dis.get_instructions(code):
        if each.opname in operations:
            yield each.argval


def _names_in(body: Sequence[ast.stmt], operations: Collection[str]) -> set[str]:
    codes = (_compiled(ast.Module([each], [])) for each in body)
    return {name for code in codes for name in _names_of(code, operations)}


def _globals_of(code: CodeType) -> Iterator[str]:
    """Yield the global names that a function reads, and those in it."""
    yield from _names_of(code, _READS)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)


def _is_special(name: str) -> bool:
    """Tell whether a name is Python's own, or a prompt's: ``__name__``, ``_``."""
    return not name.strip("_") or (name.startswith("__") and name.endswith("__"))


# Statements as others that do the same to names


def _binding(target: ast.expr | None) -> ast.stmt:
    return ast.Pass() if target is None else ast.Assign([target], ast.Constant(None))


def _handled(handler: ast.ExceptHandler) -> list[ast.stmt]:
    kind = [] if handler.type is None else [ast.Expr(handler.type)]
    if handler.name is None:
        return [*kind, *handler.body]
    named = _binding(ast.Name(handler.name, ast.Store()))
    body = [*kind, named, *handler.body]
    if not isinstance(body[-1], _LEAVING):
        body.append(ast.Delete([ast.Name(handler.name, ast.Del())]))
    return body


def _ways(statement: ast.Match) -> Iterator[list[ast.stmt]]:
    is_open = True
    for case in statement.cases:
        only = ast.match_case(case.pattern, case.guard, [ast.Pass()])
        yield [_Pattern(ast.Constant(None), [only]), *case.body]
        is_any = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
        is_open &= not is_any or case.guard is not None
    if is_open:
        yield []
