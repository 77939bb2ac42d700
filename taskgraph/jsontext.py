"""Text and JSON as they are kept in columns: equal values have equal text, on every database.

The rules are those of PostgreSQL's JSONB: the order of keys is nothing, ``1`` equals ``1.0``, and
what JSONB refuses (NUL characters, half surrogate pairs, NaN) is refused.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

# What stands for a float that JSON has no number for, and for an object that looks like that.
_FLOAT: Final = "$float"
_PLAIN: Final = "$plain"


def to_json(value: Any) -> str:
    """Return the text of a JSON value, the same text for all values that compare equal.

    Raises:
        ValueError: The value, or something in it, is not JSON or cannot be stored.
    """
    try:
        return json.dumps(
            _canonical(value),
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def mark_floats(value: Any) -> Any:
    """Return a JSON value of which each float is a float still when it was kept and read.

    In columns ``1.0`` is ``1``, ``-0.0`` is ``0``, and ``1e22`` a whole number. What is given to a
    call may not become another number: such a float is kept as an object, ``{"$float": "1.0"}``.
    """
    match value:
        case float() if value.is_integer():
            return {_FLOAT: float.__repr__(value)}
        case list() | tuple():
            return [mark_floats(each) for each in value]
        case dict():
            marked = {key: mark_floats(each) for key, each in value.items()}
            return {_PLAIN: marked} if _looks_marked(marked) else marked
        case _:
            return value


def read_floats(value: Any) -> Any:
    """Return a JSON value as it was before `mark_floats`; one that was kept without it as it is."""
    if isinstance(value, list):
        return [read_floats(each) for each in value]
    if not isinstance(value, dict):
        return value
    if _looks_marked(value):
        ((key, inside),) = value.items()
        if key == _FLOAT and isinstance(inside, str):
            return float(inside)
        if key == _PLAIN and isinstance(inside, dict):
            value = inside
    return {key: read_floats(each) for key, each in value.items()}


def _looks_marked(given: dict[str, Any]) -> bool:
    """Tell whether an object could be taken for one that stands for something else."""
    return len(given) == 1 and not given.keys().isdisjoint((_FLOAT, _PLAIN))


def normalize_json(text: str) -> str:
    """Return the one text of the value that a JSON text stands for."""
    return to_json(json.loads(text))


def words_of(command: str) -> tuple[str, ...]:
    """Return the words of a command line, which is kept as a JSON list."""
    try:
        words = json.loads(command)
    except ValueError:
        return (command,)
    return tuple(map(str, words)) if isinstance(words, list) else (command,)


def storable(text: str) -> str:
    """Return text as a database can keep it: half surrogates are written as ``\\udc80``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _canonical(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} is not a JSON number")
            return int(value) if value.is_integer() else value
        case str():
            return _checked(value)
        case list() | tuple():
            return [_canonical(each) for each in value]
        case dict():
            return {_key(key): _canonical(each) for key, each in value.items()}
        case _:
            raise ValueError(f"a {type(value).__name__} is not a JSON value")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key of a JSON object is text, not {key!r}")
    return _checked(key)


def _checked(text: str) -> str:
    if "\0" in text:
        raise ValueError("text with a NUL character cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text with half of a surrogate pair cannot be stored") from None
    return text
