"""Values from text: what is given for a parameter on the command line, by its annotation.

One home for all readers of text: the flags of ``taskgraph run`` and the registry of types ask here.
Each raises a `ValueError` that says what was expected.
"""

from __future__ import annotations

import ast
import collections.abc
import enum
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any, Final
from uuid import UUID

from taskgraph.values.registry import kind_of_class


def parse_value(annotation: Any, text: str) -> Any:
    """Read text as a value of the annotated type.

    Without an annotation (or with one that says nothing, as ``object``), text that is a Python
    literal is that literal (``3``, ``[1, 2]``, ``None``), and all else is the text itself.

    Raises:
        ValueError: The text is none; the message says what was expected.
    """
    annotation = plain(annotation)
    if annotation in _READERS:
        return _READERS[annotation](text)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return _parse_class(annotation, text)
    return _parse_generic(annotation, typing.get_origin(annotation), text)


def _parse_generic(annotation: Any, origin: Any, text: str) -> Any:
    if origin in (typing.Union, types.UnionType):
        return _parse_union(typing.get_args(annotation), text)
    if origin is typing.Literal:
        return _parse_choice(typing.get_args(annotation), text)
    if origin is collections.abc.Callable:
        return _parse_function(text)
    if origin is not None:
        return _parse_literal_of(origin, annotation, text)
    return parse_literal(text)


def parse_literal(text: str) -> Any:
    """Read text as a Python literal, or as itself if it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def plain(annotation: Any) -> Any:
    """Return what an annotation says of the value, without what surrounds it."""
    while True:
        if annotation in _SAYS_NOTHING:
            return Anything
        if typing.get_origin(annotation) in (typing.Annotated, typing.Required):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # Python 3.12
            annotation = annotation.__value__
        elif isinstance(annotation, typing.TypeVar | str | typing.ForwardRef):
            return Anything
        else:
            return annotation


class Anything:
    """Stands for an annotation that says nothing."""


_SAYS_NOTHING: Final = (inspect.Parameter.empty, Any, object)


def truth_of(text: str) -> bool | None:
    """Return which truth a text stands for, in any case; None if for neither."""
    match text.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            return None


def _parse_bool(text: str) -> bool:
    truth = truth_of(text)
    if truth is None:
        raise ValueError("expected true or false")
    return truth


def _number(kind: Callable[[str], Any], what: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except (ValueError, InvalidOperation, ZeroDivisionError):
            raise ValueError(f"expected {what}") from None

    return read


def _parse_datetime(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        when = _whole_moment(text)
    if when is None:
        raise ValueError("expected a time as 2026-01-31T12:30 or 2026-01-31 12:30+02:00")
    return when


# Two days that have nothing in common: what is the same whichever of them a text is filled up from
# is what the text says.
_FILLED_FROM: Final = (datetime(2000, 1, 1), datetime(2001, 2, 2))


def _whole_moment(text: str) -> datetime | None:
    """Return the time that a text in some other notation names, None if it names no whole day.

    What a flag means must not depend on the day on which it is read.
    """
    from dateutil.parser import ParserError, parse

    try:
        first, second = (parse(text, default=default) for default in _FILLED_FROM)
    except (ParserError, OverflowError):
        return None
    return first if first == second else None


def _parse_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a date as 2026-01-31") from None


def _parse_none(text: str) -> None:
    if text.lower() not in ("none", "null"):
        raise ValueError("expected none")


def _parse_union(members: Sequence[Any], text: str) -> Any:
    """Read text as the first member that it fits; text as such only if it fits no other."""
    meant = [plain(member) for member in members]
    reasons = []
    for member in sorted(meant, key=lambda each: each is str):
        # With str among them, "none" is a text like any other; leave the flag out for None.
        if member in (None, type(None)) and str in meant:
            continue
        try:
            return parse_value(member, text)
        except ValueError as error:
            reasons.append(str(error).removeprefix("expected "))
    raise ValueError("expected " + " or ".join(reasons))


def _parse_choice(choices: Sequence[Any], text: str) -> Any:
    for choice in choices:
        if text == (choice if isinstance(choice, str) else repr(choice)):
            return choice
    raise ValueError("expected one of " + ", ".join(map(str, choices)))


def _parse_class(annotation: type, text: str) -> Any:
    if issubclass(annotation, enum.Enum):
        return _parse_enum(annotation, text)
    if issubclass(annotation, PurePath):
        return annotation(text)
    if annotation in (list, tuple, dict, set, frozenset):
        return _parse_literal_of(annotation, annotation, text)
    return kind_of_class(annotation).parse(text)


def _parse_enum(annotation: type[enum.Enum], text: str) -> enum.Enum:
    name = text.removeprefix(annotation.__qualname__ + ".").removeprefix(annotation.__name__ + ".")
    if name in annotation.__members__:
        return annotation[name]
    folded = {each.lower(): each for each in annotation.__members__}
    if name.lower() in folded:
        return annotation[folded[name.lower()]]
    raise ValueError("expected one of " + ", ".join(annotation.__members__))


def _parse_function(text: str) -> Any:
    parts = text.split(".")
    # The longest module first: a module may have the name of something in the package around it.
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
            for part in parts[cut:]:
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError):
            continue
        if not callable(found):
            raise ValueError(f"{text} is not callable")
        return found
    raise ValueError("expected a function as module.name")


_READERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    Anything: parse_literal,
    str: str,
    int: _number(int, "a whole number"),
    float: _number(float, "a number"),
    complex: _number(complex, "a complex number as 1+2j"),
    bool: _parse_bool,
    bytes: str.encode,
    Decimal: _number(Decimal, "a decimal number"),
    Fraction: _number(Fraction, "a fraction as 1/3"),
    UUID: _number(UUID, "a UUID"),
    datetime: _parse_datetime,
    date: _parse_date,
    time: _number(time.fromisoformat, "a time of day as 12:30"),
    timedelta: _number(lambda text: timedelta(seconds=float(text)), "a number of seconds"),
    Path: Path,
    PurePath: PurePath,
    None: _parse_none,
    type(None): _parse_none,
    collections.abc.Callable: _parse_function,
    types.FunctionType: _parse_function,
}


def _parse_literal_of(origin: Any, annotation: Any, text: str) -> Any:
    """Read a value of a container type that has no flag form of its own, as a literal."""
    value = parse_literal(text)
    concrete = CONTAINERS.get(origin, origin)
    if isinstance(concrete, type) and isinstance(value, concrete):
        return value
    if concrete in (list, tuple, set, frozenset) and isinstance(value, list | tuple | set):
        return concrete(value)
    raise ValueError(f"expected a literal of type {type_name(annotation)}")


#: What values of a container type are read as.
CONTAINERS: Final[Mapping[Any, type]] = {
    list: list,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.MutableSequence: list,
    set: set,
    collections.abc.Set: frozenset,
    collections.abc.MutableSet: set,
    frozenset: frozenset,
    dict: dict,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}


def type_name(annotation: Any) -> str:
    """Return what stands for a value of the annotated type in the help, in capitals."""
    annotation = plain(annotation)
    if annotation in _PLACEHOLDERS:
        return _PLACEHOLDERS[annotation]
    origin = typing.get_origin(annotation)
    inside = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        members = [type_name(each) for each in inside if each is not type(None)]
        return "|".join(dict.fromkeys(members))
    if origin is typing.Literal:
        return "|".join(map(str, inside))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "|".join(annotation.__members__)
    kind = origin or annotation
    return _PLACEHOLDERS.get(kind) or str(getattr(kind, "__name__", annotation)).upper()


_PLACEHOLDERS: Final[Mapping[Any, str]] = {
    Anything: "VALUE",
    str: "TEXT",
    bytes: "TEXT",
    None: "NONE",
    type(None): "NONE",
    collections.abc.Callable: "MODULE.NAME",
    types.FunctionType: "MODULE.NAME",
    datetime: "TIME",
    timedelta: "SECONDS",
}


__all__ = ["CONTAINERS", "parse_literal", "parse_value", "plain", "truth_of", "type_name"]
