"""The fingerprint of a function: its own source and what its closure holds.

A fingerprint is a list of parts with a hash each, so that two of them can be compared part by
part. Helpers and globals are not followed yet; they will be further parts of the same list.
"""

from __future__ import annotations

import inspect
import os
import re
import textwrap
import types
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from taskgraph.errors import UnhashableValueError
from taskgraph.hashing import hash_record
from taskgraph.values.preview import preview
from taskgraph.values.weigh import hash_value

_FIRST_LINE = re.compile(r"^[ \t]*(async[ \t]+)?def ", re.MULTILINE)


class Part(NamedTuple):
    """A piece of code or a constant that counts.

    Attributes:
        part_hash: Over kind, name and content.
        kind: ``source``, ``code``, ``closure``, or ``unfollowed`` for a value in the closure that
            has no stable hash, of which the type alone counts.
        name: What it is called in the code.
        source: Its text, or a preview of the constant.
    """

    part_hash: str
    kind: str
    name: str
    source: str


class Fingerprint(NamedTuple):
    """All that counts of a function; the first part is the function itself."""

    code_hash: str
    parts: tuple[Part, ...]


class Code:
    """A function's source and fingerprint, each read once and when it is first asked for.

    A file that was edited after the function was loaded from it no longer holds its source: the
    compiled code counts then, so that what runs is never taken for what was not loaded.

    Args:
        func: The function, or any callable.
        source: Its source text, where it is known.
    """

    def __init__(self, func: Callable[..., Any], source: str | None = None) -> None:
        self._func = func
        self._loaded = _stamp(func)
        self._source = source

    @cached_property
    def source(self) -> str:
        """The source text from the ``def`` on; "" where there is none to be trusted."""
        if self._source is not None:
            return self._source
        return read_source(self._func) if _stamp(self._func) == self._loaded else ""

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What of the function counts."""
        return fingerprint(self._func, self.source)


def _stamp(func: Callable[..., Any]) -> tuple[int, int] | None:
    code = getattr(func, "__code__", None)
    if code is None:
        return None
    try:
        stat = os.stat(code.co_filename)
    except OSError:  # <stdin>, <string>, a cell of a notebook
        return None
    return stat.st_mtime_ns, stat.st_size


def fingerprint(func: Callable[..., Any], source: str | None = None) -> Fingerprint:
    """Return the fingerprint of a function.

    Args:
        func: The function, or any callable.
        source: Its source text, where Python cannot find it.

    """
    parts = [_body(func, source)]
    parts += [_constant(name, content) for name, content in _closure(func)]
    return Fingerprint(hash_record("code", *[each.part_hash for each in parts]), tuple(parts))


def _body(func: Callable[..., Any], source: str | None) -> Part:
    name = getattr(func, "__qualname__", type(func).__qualname__)
    text = source if source is not None else read_source(func)
    if text:
        counted = textwrap.dedent(text).strip()
        return Part(hash_record("part", "source", "", counted), "source", name, text)
    # Without a source (made by exec, or typed at a prompt that keeps none) the compiled code
    # counts: stable on one version of Python only, but never blind to a change.
    code = getattr(func, "__code__", None)
    if code is None:
        return Part(hash_record("part", "source", name, ""), "source", name, "")
    return Part(hash_record("part", "code", "", _hash_code(code)), "code", name, "")


def _hash_code(code: types.CodeType) -> str:
    constants = [
        _hash_code(each) if isinstance(each, types.CodeType) else hash_value(each)
        for each in code.co_consts
    ]
    names = [*code.co_names, "", *code.co_varnames, "", *code.co_freevars]
    return hash_record("bytecode", code.co_code.hex(), *constants, "", *names)


def _constant(name: str, content: Any) -> Part:
    try:
        value_hash = hash_value(content, name)
    except UnhashableValueError as error:
        # A lock, a connection, a logger: its state is not what the function means, and a task that
        # could not be hashed could not run at all. The part says that it was not followed.
        kind = f"{type(content).__module__}.{type(content).__qualname__}"
        return Part(hash_record("part", "unfollowed", name, kind), "unfollowed", name, error.reason)
    return Part(hash_record("part", "closure", name, value_hash), "closure", name, preview(content))


def _closure(func: Callable[..., Any]) -> list[tuple[str, Any]]:
    cells = getattr(func, "__closure__", None) or ()
    names = func.__code__.co_freevars if cells else ()
    found = []
    for name, cell in zip(names, cells, strict=True):
        try:
            content = cell.cell_contents
        except ValueError:  # not bound yet: it is when the function runs, if ever
            continue
        # A function that calls itself has itself in its closure; its source says so already.
        if content is not func and getattr(content, "__wrapped__", None) is not func:
            found.append((name, content))
    return found


def read_source(func: Callable[..., Any]) -> str:
    """Return the source of a function from its ``def`` on; "" where Python cannot find it."""
    try:
        text = inspect.getsource(func)
    except (OSError, TypeError):
        return ""
    match = _FIRST_LINE.search(text)
    return text[match.start() :] if match else text
