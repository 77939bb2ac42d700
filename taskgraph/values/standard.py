"""The kinds of the standard library's types: dates, numbers, paths, enums.

Each function registers the kinds of one module, and is called when the first value of it is met.
The encodings name no module and use no ``__reduce__`` that changed between versions of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskgraph.values import objects
from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.objects import default_state, refuse, take_apart
from taskgraph.values.places import current_places
from taskgraph.values.registry import register


class DateKind(ValueKind):
    """Dates, times of day and spans: by their numbers, and by the zone that they are in."""

    def __init__(self, tag: str, *numbers: str) -> None:
        self._tag = tag
        self._numbers = numbers

    def shape(self, value: Any) -> Shape:
        """Return the numbers, with the time zone inside."""
        numbers = tuple([getattr(value, name) for name in self._numbers])
        zone = getattr(value, "tzinfo", None)
        return Shape(self._tag, numbers, () if zone is None else (zone,), lambda _: ".tzinfo")


class ZoneKind(ValueKind):
    """Time zones with a fixed offset."""

    def shape(self, value: Any) -> Shape:
        """Return the offset, and the name if it was given one."""
        offset, *name = value.__getinitargs__()
        return Shape("timezone", (offset.days, offset.seconds, offset.microseconds, *name))


class ZoneInfoKind(ValueKind):
    """Time zones of the IANA database, by their name there."""

    def shape(self, value: Any) -> Shape:
        """Return the key."""
        if value.key is None:
            raise refuse(value, "a time zone made from a file without a key has no name")
        return Shape("zoneinfo", value.key)


class DecimalKind(ValueKind):
    """Decimals: by sign, digits and exponent, so that 1.0 and 1.00 differ."""

    def shape(self, value: Any) -> Shape:
        """Return sign, digits and exponent."""
        sign, digits, exponent = value.as_tuple()
        return Shape("decimal", (sign, bytes(digits), exponent))


class FractionKind(ValueKind):
    """Fractions."""

    def shape(self, value: Any) -> Shape:
        """Return numerator and denominator."""
        return Shape("fraction", (value.numerator, value.denominator))


class UuidKind(ValueKind):
    """UUIDs, by their bits."""

    def shape(self, value: Any) -> Shape:
        """Return the 128 bits."""
        return Shape("uuid", value.int)


class PathKind(ValueKind):
    """Paths of `pathlib`: by class and text, inside a root by the root's name and the rest.

    Where they lead to does not count. Those of subclasses, which say themselves how they are made
    again, count by their text wherever they lie.
    """

    def shape(self, value: Any) -> Shape:
        """Return class and text, and for subclasses their own attributes."""
        cls = type(value)
        if cls.__module__.partition(".")[0] == "pathlib":
            text = str(value)
            place = current_places().name_inside(text)
            return Shape("path", (cls.__name__, *place) if place else (cls.__name__, text))
        attributes = getattr(value, "__dict__", None) or None
        if not _keeps_path_state(cls):
            attributes = default_state(value)
        taken = take_apart(attributes, cls)
        state = (*class_path(cls), str(value), taken.described)
        return Shape("path subclass", state, taken.values, taken.labels.__getitem__)

    def preview(self, value: Any) -> str:
        """Return class and text."""
        return f"{type(value).__name__}({str(value)!r})"


def _keeps_path_state(cls: type) -> bool:
    defined = next(base for base in cls.__mro__ if "__getstate__" in vars(base))
    return defined is object


class ErrorKind(ValueKind):
    """Exceptions: by class, arguments and attributes, notes among them.

    Not by traceback, cause and context, which pickle leaves out as well.
    """

    def shape(self, value: Any) -> Shape:
        """Return what pickle would write, in the same way for all versions of Python."""
        cls: Any = type(value)
        # Since Python 3.12 these two write more of what the interpreter noted on its way.
        if cls.__reduce__ in (AttributeError.__reduce__, NameError.__reduce__):
            return objects.shape_reduced(value, BaseException.__reduce__(value))
        if cls.__reduce__ is ImportError.__reduce__:
            named = {"name": value.name, "path": value.path}
            state = {**value.__dict__, **{n: v for n, v in named.items() if v is not None}}
            reduced = (cls, value.args, state) if state else (cls, value.args)
            return objects.shape_reduced(value, reduced)
        return objects.OBJECT.shape(value)


class RefusedKind(ValueKind):
    """Values that stand for something which no hash could tell.

    Args:
        reason: What it is that has no stable hash, and what to give instead.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def shape(self, value: Any) -> Shape:
        """Refuse."""
        raise refuse(value, self._reason)

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return nothing: to look inside could use it up."""
        return ()


OPEN_FILE = RefusedKind("it stands for a file that is open; give its path, or a File")
LOOP_BOUND = RefusedKind("it coordinates what is running now, and has no content")


class PatternKind(ValueKind):
    """Compiled regular expressions."""

    def shape(self, value: Any) -> Shape:
        """Return flags, with the text inside."""
        return Shape("pattern", value.flags, (value.pattern,), lambda _: ".pattern")


class ArrayKind(ValueKind):
    """Arrays of `array.array`."""

    def shape(self, value: Any) -> Shape:
        """Return type code and size of an item with the content."""
        state = (value.typecode, value.itemsize, len(value))
        return Shape("array", state, buffers=(memoryview(value).cast("B") if value else b"",))


class EnumKind(ValueKind):
    """Members of enums: by class, name and value. Flags by class and value alone."""

    def shape(self, value: Any) -> Shape:
        """Return class and name, with the value inside."""
        import enum

        # How a combination of flags is called differs between versions of Python.
        name = None if isinstance(value, enum.Flag) else value.name
        return Shape("enum", (*class_path(type(value)), name), (value._value_,), lambda _: ".value")

    def preview(self, value: Any) -> str:
        """Return class and name."""
        return f"{type(value).__qualname__}.{value.name}"


def register_array() -> None:
    """Register the kind of `array.array`."""
    import array

    register(array.array, ArrayKind())


def register_asyncio() -> None:
    """Register what of `asyncio` Python would let through: it holds no lock of the system's."""
    import asyncio

    for cls in (
        asyncio.AbstractEventLoop,
        asyncio.Condition,
        asyncio.Event,
        asyncio.Future,
        asyncio.Lock,
        asyncio.Queue,
        asyncio.Semaphore,
    ):
        register(cls, LOOP_BOUND, subclasses=True)


def register_datetime() -> None:
    """Register the kinds of dates and times."""
    import datetime

    clock = ("hour", "minute", "second", "microsecond", "fold")
    day = ("year", "month", "day")
    register(datetime.date, DateKind("date", *day))
    register(datetime.time, DateKind("time", *clock))
    register(datetime.datetime, DateKind("datetime", *day, *clock))
    register(datetime.timedelta, DateKind("timedelta", "days", "seconds", "microseconds"))
    register(datetime.timezone, ZoneKind())


def register_decimal() -> None:
    """Register the kind of decimals."""
    import decimal

    register(decimal.Decimal, DecimalKind())


def register_enum() -> None:
    """Register the kind of members of enums."""
    import enum

    register(enum.Enum, EnumKind(), subclasses=True)


def register_fractions() -> None:
    """Register the kind of fractions."""
    import fractions

    register(fractions.Fraction, FractionKind())


def register_pathlib() -> None:
    """Register the kind of paths."""
    import pathlib

    register(pathlib.PurePath, PathKind(), subclasses=True)


def register_re() -> None:
    """Register the kind of compiled regular expressions."""
    import re

    register(re.Pattern, PatternKind())


def register_tempfile() -> None:
    """Register temporary files and folders."""
    import tempfile

    register(tempfile.TemporaryDirectory, OPEN_FILE, subclasses=True)
    register(tempfile.SpooledTemporaryFile, OPEN_FILE, subclasses=True)
    register(tempfile._TemporaryFileWrapper, OPEN_FILE, subclasses=True)


def register_uuid() -> None:
    """Register the kind of UUIDs."""
    import uuid

    register(uuid.UUID, UuidKind())


def register_weakref() -> None:
    """Register references that do not hold what they refer to."""
    import weakref

    reason = RefusedKind("what it refers to may be gone at any time; give that itself")
    for cls in (
        weakref.ReferenceType,
        weakref.WeakKeyDictionary,
        weakref.WeakSet,
        weakref.WeakValueDictionary,
        weakref.finalize,
    ):
        register(cls, reason, subclasses=True)


def register_zoneinfo() -> None:
    """Register the kind of time zones of the IANA database."""
    import zoneinfo

    register(zoneinfo.ZoneInfo, ZoneInfoKind())
