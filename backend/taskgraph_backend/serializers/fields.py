"""The fields of a record: how they are written, and what is checked when they are read.

Nothing is guessed: a field that is missing, is of another type or that nobody knows is an error,
and so is text that no database takes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from taskgraph.errors import InvalidRecordError

Item = TypeVar("Item")

_HASH = re.compile("[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_LARGEST = 2**63 - 1
#: Longest text that an error shows of what it was given.
_SHOWN = 60


def serialize_timestamp(when: datetime | None) -> str | None:
    """Return a time as ISO 8601 text in UTC, with microseconds; None stays None."""
    return None if when is None else when.astimezone(UTC).isoformat(timespec="microseconds")


def deserialize_timestamp(text: str | None) -> datetime | None:
    """Return the aware time in UTC of ISO 8601 text with an offset; None stays None.

    Raises:
        ValueError: It is no such text.
    """
    if text is None:
        return None
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a time as ISO 8601 with an offset")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None


def encode_bytes(content: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(content).decode("ascii")


def shown(value: Any) -> str:
    """Return what was found, shortened, for a message."""
    # `repr` of what is nested without end would not end either.
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class Fields:
    """The fields of one record, taken out one by one.

    Args:
        fields: The record, or an object inside of one.
        kind: What the record is.
        record_id: Its id, for messages.
        place: Where in the record these fields are, with a dot at the end.
    """

    def __init__(self, fields: Any, kind: str = "", record_id: str = "", place: str = "") -> None:
        self.kind = kind
        self.record_id = record_id
        self._place = place
        if not isinstance(fields, dict):
            self.refuse(f"{place[:-1] or 'a record'} is an object, not {shown(fields)}")
        self._fields = dict(fields)

    def refuse(self, reason: str) -> NoReturn:
        """Raise the error that says what is wrong with this record."""
        raise InvalidRecordError(reason, kind=self.kind, record_id=self.record_id)

    def take(self, name: str) -> Any:
        """Return a field that may hold anything."""
        if name not in self._fields:
            self.refuse(f"the field {self._place}{name} is missing")
        return self._fields.pop(name)

    def _typed(self, name: str, wanted: type[Item], what: str) -> Item:
        value = self.take(name)
        # Exactly: a bool is an int to Python, and to nobody else.
        if type(value) is not wanted:
            self.refuse(f"the field {self._place}{name} is {what}, not {shown(value)}")
        found: Item = value
        return found

    def text(self, name: str) -> str:
        """Return a field of text that can be stored."""
        value = self._typed(name, str, "text")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse(f"the field {self._place}{name} holds half of a surrogate pair")
        return value

    def number(self, name: str) -> int:
        """Return a whole number that is not negative."""
        value = self._typed(name, int, "a whole number")
        if not 0 <= value <= _LARGEST:
            self.refuse(f"the field {self._place}{name} is too large or negative: {shown(value)}")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return self._typed(name, bool, "true or false")

    def hash(self, name: str) -> str:
        """Return a hash or id."""
        return self._checked_hash(self.take(name), name)

    def _checked_hash(self, value: Any, name: str) -> str:
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            self.refuse(
                f"the field {self._place}{name} is 32 lower-case hex digits, not {shown(value)}"
            )
        return value

    def hashes(self, name: str) -> list[str]:
        """Return a list of hashes."""
        return [self._checked_hash(each, name) for each in self._typed(name, list, "a list")]

    def time(self, name: str) -> datetime:
        """Return a time."""
        text = self.text(name)
        try:
            found = deserialize_timestamp(text)
        except ValueError as error:
            self.refuse(f"the field {self._place}{name}: {error}")
        assert found is not None
        return found

    def content(self, name: str) -> bytes:
        """Return bytes that are written as base64."""
        text = self._typed(name, str, "base64")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            self.refuse(f"the field {self._place}{name} is not base64: {error}")

    def has(self, name: str) -> bool:
        """Tell whether there is a field, which records of earlier versions may lack."""
        return name in self._fields

    def maybe(self, read: Callable[[str], Item], name: str) -> Item | None:
        """Return a field that may be null, by one of the other methods."""
        if name in self._fields and self._fields[name] is None:
            del self._fields[name]
            return None
        return read(name)

    def inside(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        return [
            Fields(each, self.kind, self.record_id, f"{self._place}{name}.")
            for each in self._typed(name, list, "a list")
        ]

    def object(self, name: str) -> Fields:
        """Return an object."""
        return Fields(self.take(name), self.kind, self.record_id, f"{self._place}{name}.")

    def end(self) -> None:
        """Refuse what is left: fields that nobody knows."""
        if self._fields:
            names = ", ".join(sorted(map(shown, self._fields))[:3])
            self.refuse(f"it has fields that are not known: {self._place}{names}")
