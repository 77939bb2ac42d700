"""The outline of a function without a source: its compiled code, and the names in it.

Made by ``exec``, typed at a prompt that keeps no text, rewritten by a tool, or edited in its file
after it was loaded. Its compiled code is stable on one version of Python only, and never blind to
a change.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Iterable, Iterator

from taskgraph.fingerprint.outline import Chain, Outline, Touched
from taskgraph.fingerprint.touches import CHANGING_METHODS, STORED
from taskgraph.hashing import hash_record
from taskgraph.values.weigh import hash_value

_STORES = frozenset({"STORE_GLOBAL", "STORE_DEREF", "STORE_SUBSCR", "DELETE_SUBSCR", "STORE_ATTR"})


def outline_compiled(code: types.CodeType) -> Outline:
    """Return the outline of compiled code."""
    references = sorted(set(_references(code)))
    return Outline(
        kind="code",
        name=code.co_qualname,
        first=code.co_firstlineno,
        last=code.co_firstlineno,
        syntax=_hash(code),
        docs="",
        annotations="",
        decorators=(),
        inner_decorators=(),
        references=tuple(references),
        optional=(),
        annotation_references=(),
        traps=(),
        touched=tuple(_touched(code, references)),
        assigned=(),
        defined=(),
        imports=(),
        reads_docs="__doc__" in code.co_names,
        reads_annotations="__annotations__" in code.co_names,
        text="",
    )


def _hash(code: types.CodeType) -> str:
    constants = [
        _hash(each) if isinstance(each, types.CodeType) else _hash_constant(each)
        for each in code.co_consts
    ]
    names = [*code.co_names, "", *code.co_varnames, "", *code.co_freevars]
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return hash_record("bytecode", code.co_code.hex(), *arguments, *constants, "", *names)


def _hash_constant(value: object) -> str:
    return hash_value(value)


def _touched(code: types.CodeType, references: Iterable[Chain]) -> Iterator[Touched]:
    """Yield what may be changed: all names, if anything is."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    stores = {each.opname for one in (code, *inner) for each in dis.get_instructions(one)}
    names = {name for one in (code, *inner) for name in one.co_names}
    if not stores.isdisjoint(_STORES) or not names.isdisjoint(CHANGING_METHODS):
        yield from ((each, STORED, "[?]") for each in references)


def _references(code: types.CodeType) -> Iterator[Chain]:
    """Yield names and, since it does not show what an attribute is taken of, all pairs of them."""
    for name in (*code.co_names, *code.co_freevars):
        yield (name,)
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _references(each)
