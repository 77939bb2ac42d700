"""Executables that the scripts of a task call and that do not count: advice, read from its source.

Only text that stands in the code is looked at, where it is returned by a script task or handed to
`script`; what is put in when it runs may be anything.
"""

from __future__ import annotations

import ast
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from taskgraph.provenance.explain import ChangeKind, CodePart
from taskgraph.scripting.words import find_executables

#: The kind under which they are listed.
EXECUTABLE = "executable"

# Stands for what is put into a text: no name of a command.
_FIELD = "$_"
_CALLS = frozenset({"script", "exec_script"})
_MOST_SOURCES = 500
_ADVICE = "called by a script: it counts with {}"


class _Text(NamedTuple):
    """Shell text, and what is said of the tools that it calls."""

    text: str
    tools: frozenset[str] | None  # of the call that runs it; None if they are those of the task


def undeclared_executables(source: str, parts: Sequence[CodePart]) -> list[CodePart]:
    """Return a part for each executable that the scripts of a task call and that does not count.

    Args:
        source: The text of the task's function.
        parts: All that counts of its code.
    """
    is_script = any((e.kind, e.name, e.text) == _SCRIPT_OPTION for e in parts)
    sources = [each.text for each in parts if each.kind == ChangeKind.FUNCTION]
    texts = list(_returned_texts(source)) if is_script else []
    for each in dict.fromkeys([source, *sources][:_MOST_SOURCES]):
        texts += _texts_of_calls(each)
    of_task = frozenset(_program(each.name) for each in parts if each.kind == ChangeKind.TOOL)
    found: dict[str, CodePart] = {}
    for text, tools in texts:
        declared = of_task if tools is None else tools
        for name in find_executables(text):
            if _program(name) not in declared:
                advice = f"tools=[{name!r}]" if tools is None else f"script(..., tools=[{name!r}])"
                found.setdefault(name, CodePart(EXECUTABLE, name, _ADVICE.format(advice)))
    return list(found.values())


_SCRIPT_OPTION = (ChangeKind.OPTION, "script", "True")


def _program(tool: str) -> str:
    with suppress(ValueError):
        tool = (shlex.split(tool) or [""])[0]
    return tool.rpartition("/")[2]


def _returned_texts(source: str) -> Iterator[_Text]:
    """Yield the texts that a function returns, as far as they stand in it."""
    for function in _functions(source)[:1]:
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                yield from (_Text(each, None) for each in _texts(node.value, function))


def _texts_of_calls(source: str) -> Iterator[_Text]:
    """Yield the texts that code hands to `script`."""
    if not any(each in source for each in _CALLS):
        return
    for function in _functions(source):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and _name_of(node.func) in _CALLS:
                tools = None if _name_of(node.func) == "exec_script" else _tools_of(node)
                given = [*node.args[:1], *(e.value for e in node.keywords if e.arg == "command")]
                for each in given:
                    yield from (_Text(text, tools) for text in _texts(each, function))


def _tools_of(call: ast.Call) -> frozenset[str]:
    """Return the programs that a call of `script` declares: a task around it does not do so."""
    for each in call.keywords:
        if each.arg == "tools":
            named = (
                each.value.elts if isinstance(each.value, ast.List | ast.Tuple) else [each.value]
            )
            return frozenset(_program(_text(one)) for one in named)
    return frozenset()


def _functions(source: str) -> list[ast.AST]:
    try:
        return list(ast.parse(textwrap.dedent(source)).body)
    except SyntaxError:  # a lambda with what stands around it
        return []


def _name_of(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _texts(node: ast.expr, function: ast.AST) -> Iterator[str]:
    """Yield the shell text of an expression; of a list of words, its program."""
    if isinstance(node, ast.Name):
        for assigned in _assigned(node.id, function):
            if not isinstance(assigned, ast.Name):
                yield from _texts(assigned, function)
    elif isinstance(node, ast.List | ast.Tuple):
        yield from (shlex.quote(_text(each)) for each in node.elts[:1])
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, function)
        yield from _texts(node.orelse, function)
    else:
        yield _text(node)


def _assigned(name: str, function: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign):
            targets = [node.target]
        else:
            continue
        if name in map(_name_of, targets):
            yield node.value


def _text(node: ast.expr) -> str:
    """Return the text that an expression makes, with a mark for each thing that is put in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(_text, values))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)))):
            return text  # "...".format(...)
        case ast.Call(args=[first, *_]) if _name_of(node.func) in {"dedent", "prepare_command"}:
            return _text(first)
    return _FIELD


__all__ = ["EXECUTABLE", "undeclared_executables"]
