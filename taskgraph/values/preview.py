"""Previews: a short text that shows a value in lists, logs and errors.

Bounded in size and in time whatever the value, one line of printable characters, no addresses, and
never an exception.
"""

from __future__ import annotations

import collections
import dataclasses
import inspect
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

from taskgraph.values.kinds import class_path, overrides
from taskgraph.values.registry import kind_of

LIMIT = 120
# Where the __repr__ of all named tuples was written.
_COLLECTIONS = collections.__file__

_ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-fA-F]+")
_MAX_DEPTH = 4
_MAX_ITEMS = 40
# Larger integers take quadratic time to be written in decimals, and Python may refuse.
_MAX_BITS = 2_000
# A type's own repr is not asked for more items than these.
_MAX_SIZED = 2_000
_SHORT = frozenset({type(None), bool, float})
_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def preview(value: Any, limit: int = LIMIT) -> str:
    """Return a short text that shows a value.

    Args:
        value: Any value.
        limit: How many characters the text may have at most.
    """
    cls = type(value)
    try:
        if cls in _SHORT or (cls is int and value.bit_length() <= _MAX_BITS):
            text = repr(value)
        else:
            text = _clean(_show(value, limit, 0))
    except Exception:  # whatever a stranger's __repr__ does, a list of values must be shown
        text = f"<{type(value).__qualname__}>"
    return text if len(text) <= limit else text[: max(limit - 3, 0)] + "..."[:limit]


def _show(value: Any, room: int, depth: int) -> str:  # noqa: PLR0911 - one line for each type
    cls = type(value)
    if cls is int:
        return repr(value) if value.bit_length() <= _MAX_BITS else _show_large(value)
    if cls is str or cls is bytes:
        return repr(value[: room + 1])
    if cls is float or cls is complex or cls is bool or value is None or value is ...:
        return repr(value)
    if depth >= _MAX_DEPTH:
        return "..."
    if cls in _BRACKETS:
        return _show_items(value, room, depth)
    if cls is dict:
        pairs = ((_show(k, room, depth + 1), _show(v, room, depth + 1)) for k, v in value.items())
        return _join((f"{key}: {inner}" for key, inner in pairs), len(value), "{", "}", room)
    return _clean(_show_other(value, room, depth))


def _show_large(value: int) -> str:
    return f"<int of {value.bit_length()} bits>"


def _show_items(value: Any, room: int, depth: int) -> str:
    cls = type(value)
    opening, closing = _BRACKETS[cls]
    if not value and cls in (set, frozenset):
        return f"{cls.__name__}()"
    shown: Iterable[str] = (_show(each, room, depth + 1) for each in value)
    if cls in (set, frozenset) and len(value) <= _MAX_ITEMS:
        shown = sorted(shown)
    if cls is tuple and len(value) == 1:
        closing = ",)"
    return _join(shown, len(value), opening, closing, room)


def _join(texts: Iterable[str], total: int, opening: str, closing: str, room: int) -> str:
    parts: list[str] = []
    length = len(opening) + len(closing)
    for text in islice(texts, _MAX_ITEMS):
        if length > room:
            break
        parts.append(text)
        length += len(text) + 2
    if len(parts) < total:
        parts.append("...")
    return opening + ", ".join(parts) + closing


def _show_other(value: Any, room: int, depth: int) -> str:  # noqa: PLR0911 - one for each type
    cls = type(value)
    kind = kind_of(value)
    if overrides(kind, "preview"):
        return kind.preview(value)
    own: Any = cls.__repr__
    if own is object.__repr__:
        return f"<{class_path(cls)[1]} object>"
    if dataclasses.is_dataclass(cls) and _is_generated(own):
        names = [f.name for f in dataclasses.fields(value) if f.repr]
        shown = (f"{name}={_field(value, name, room, depth)}" for name in names)
        return _join(shown, len(names), f"{cls.__qualname__}(", ")", room)
    if isinstance(value, tuple) and _is_named(own):
        names = list(cls._fields)
        shown = (f"{name}={_field(value, name, room, depth)}" for name in names)
        return _join(shown, len(names), f"{cls.__name__}(", ")", room)
    for base in (list, tuple, dict, set, frozenset, str, bytes, int):
        # A subclass with the repr of its base: shown like that, but only as far as there is room.
        if issubclass(cls, base) and own is base.__repr__:
            return f"{cls.__qualname__}({_show(_start_of(value, base, room), room, depth + 1)})"
    if hasattr(cls, "__len__"):
        size = len(value)
        if size > _MAX_SIZED:
            return f"<{cls.__qualname__} of {size} items>"
    return repr(value)


def _start_of(value: Any, base: Any, room: int) -> Any:
    """Return the start of a value of a builtin's subclass as that builtin."""
    if base is int:
        return int.__index__(value) + 0
    if base is dict:
        return dict(islice(dict.items(value), _MAX_ITEMS + 1))
    if base in (str, bytes):
        return base.__getitem__(value, slice(room + 1))
    return base(islice(base.__iter__(value), _MAX_ITEMS + 1))


def _field(value: Any, name: str, room: int, depth: int) -> str:
    try:
        return _show(getattr(value, name), room, depth + 1)
    except AttributeError:
        return "<not set>"


def _is_generated(method: Any) -> bool:
    code = getattr(inspect.unwrap(method), "__code__", None)
    return code is not None and code.co_filename == "<string>"


def _is_named(method: Any) -> bool:
    code = getattr(method, "__code__", None)
    return code is not None and code.co_filename == _COLLECTIONS


def _clean(text: str) -> str:
    if text.isprintable() and " at 0x" not in text:
        return text
    text = _ADDRESS.sub(" object", " ".join(text.split()))
    return "".join([each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text])
