"""Kinds of settings: how a value is read, and what an error says that it must be."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import field
from typing import Any, NamedTuple

from taskgraph.sizes import read_size


class Kind(NamedTuple):
    """A kind of setting; ``read`` raises ValueError for what it cannot read."""

    expected: str
    read: Callable[[Any], Any]  # what stands in a TOML file may be anything
    # Text of an environment variable is read as this first, where the kind is not text itself.
    from_text: Callable[[str], Any]


def _exactly(*types: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        # bool is an int to Python, but `max_workers = true` is a mistake.
        if type(value) not in types:
            raise ValueError
        return value

    return read


def _bool_from_text(text: str) -> bool:
    match text.strip().lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            raise ValueError


def _read_positive(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError
    return value


def _read_seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        raise ValueError
    return float(value)


def _read_pause(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise ValueError
    return float(value)


def checked_seconds(name: str, value: Any) -> float:
    """Return a number of seconds that was given in code.

    Raises:
        ValueError: It is none above 0.
    """
    try:
        return _read_seconds(value)
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds above 0, not {value!r}.") from None


def _read_size(value: Any) -> int:
    if type(value) is int and value > 0:
        return value
    if not isinstance(value, str):
        raise ValueError
    return read_size(value)


def _read_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError
    return tuple(value)


def _read_text_or_texts(value: Any) -> tuple[str, ...]:
    return _read_texts([value] if isinstance(value, str) else value)


def _read_class(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.]+:[\w.]+", value):
        raise ValueError
    return value


def _read_warnings(value: Any) -> tuple[str, ...]:
    names = _read_texts([value] if isinstance(value, str) else value)
    if not set(names) <= {"namespace"}:
        raise ValueError
    return names


def _texts_from_text(text: str) -> list[str]:
    return [each for each in text.split(os.pathsep) if each]


def _value_from_text(text: str) -> Any:
    """Read a number, true, false and the like; all else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def one_of(*choices: str) -> Kind:
    """Return the kind of a setting that is one of some texts."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return Kind("one of " + ", ".join(f'"{each}"' for each in choices), read, str)


TEXT = Kind("text", _exactly(str), str)
CLASS = Kind('a class, as "package.module:Class"', _read_class, str)
TEXTS = Kind("a list of texts", _read_texts, _texts_from_text)
TEXTS_OR_TEXT = Kind(
    "text or a list of texts", _read_text_or_texts, lambda text: text.split(",") if text else []
)
BOOL = Kind("true or false", _exactly(bool), _bool_from_text)
POSITIVE = Kind("a whole number, 1 or more", _read_positive, int)
SECONDS = Kind("a number of seconds above 0", _read_seconds, float)
PAUSE = Kind("a number of seconds, 0 or more", _read_pause, float)
SIZE = Kind('a size, as 1000000 or "256 MiB"', _read_size, str)
ANY = Kind("a value", lambda value: value, _value_from_text)
WARNINGS = Kind('"namespace", or a list of such names', _read_warnings, _texts_from_text)
POLICY = one_of("content", "stat", "immutable")


def setting(kind: Kind, default: Any, *, is_shown: bool = True) -> Any:  # the field's own type
    """Return the field of a setting of a kind.

    Args:
        kind: What it may be.
        default: What it is where nothing is said.
        is_shown: Whether it is part of what the section is shown as.
    """
    return field(default=default, metadata={"kind": kind}, repr=is_shown)


def table(kind: Kind, key: str) -> Any:  # the type of the field it stands for
    """Return the field of a setting that is a table.

    Args:
        kind: What its values may be.
        key: What its keys are, in the name of the setting.
    """
    return field(default_factory=dict, metadata={"values": kind, "key": key})
