"""Columns of a table as fields of a record: written in one order, and read back and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph_backend import models
from taskgraph_backend.serializers.fields import Fields, serialize_timestamp

# Any: what a column holds.
_Read = Callable[[Fields, str], Any]
_Write = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record that is a column of its table.

    Attributes:
        name: What it is called in the record.
        read: Takes it out of the fields of a record, checked.
        column: What it is called in the table.
        write: Makes plain data of what the column holds; None where it is plain.
        is_left_out: Whether a record has no such field where the column holds nothing.
    """

    name: str
    read: _Read
    column: str
    write: _Write | None = None
    is_left_out: bool = False


def hash_of(name: str) -> Field:
    """Return a field that holds a hash or an id."""
    return Field(name, Fields.hash, name)


def text(name: str) -> Field:
    """Return a field of text."""
    return Field(name, Fields.text, name)


def number(name: str) -> Field:
    """Return a field that holds a whole number that is not negative."""
    return Field(name, Fields.number, name)


def flag(name: str) -> Field:
    """Return a field that is true or false."""
    return Field(name, Fields.flag, name)


def time(name: str) -> Field:
    """Return a field that holds a time."""
    return Field(name, Fields.time, name, serialize_timestamp)


def anything(name: str) -> Field:
    """Return a field of which nothing is known beforehand."""
    return Field(name, Fields.take, name)


def maybe(field: Field) -> Field:
    """Return a field that may be null as well."""

    def read(fields: Fields, name: str) -> Any:
        return fields.maybe(lambda each: field.read(fields, each), name)

    return Field(field.name, read, field.column, field.write)


def lately(field: Field, default: Any) -> Field:
    """Return a field that earlier records lack. Any: what the column holds then."""

    def read(fields: Fields, name: str) -> Any:
        return field.read(fields, name) if fields.has(name) else default

    return Field(field.name, read, field.column, field.write)


def rarely(field: Field) -> Field:
    """Return a field that a record has only where the column holds something.

    So libraries that know no such field read all other records.
    """
    return replace(lately(maybe(field), None), is_left_out=True)


class Table:
    """The fields of one kind of record that are columns of its table, the id first.

    Args:
        model: The table.
        fields: The fields, in the order in which they are written.
    """

    def __init__(self, model: type[models.Base], *fields: Field) -> None:
        self.model = model
        self.names = tuple(each.name for each in fields)
        self._reads = tuple((each.column, each.read, each.name) for each in fields)
        self._writes = tuple(
            (place, each.write) for place, each in enumerate(fields) if each.write is not None
        )
        self._left_out = tuple(each.name for each in fields if each.is_left_out)
        self.columns: tuple[Any, ...] = tuple(getattr(model, each.column) for each in fields)

    def fetch(self, session: Session, ids: Sequence[str], *others: Any) -> dict[str, Any]:
        """Return the rows of those ids that are there, with other columns behind those of fields.

        Any: rows of columns, by the id.
        """
        query = select(*self.columns, *others).where(self.columns[0].in_(ids))
        return {row[0]: row for row in session.execute(query)}

    def write(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the fields of a row that `fetch` gave."""
        values = list(row[: len(self.names)])
        for place, write in self._writes:
            values[place] = write(values[place])
        found = dict(zip(self.names, values, strict=True))
        for name in self._left_out:
            if found[name] is None:
                del found[name]
        return found

    def read(self, fields: Fields) -> dict[str, Any]:
        """Return the columns that fields of a record stand for.

        Raises:
            InvalidRecordError: One is missing, or not what it must be.
        """
        return {column: read(fields, name) for column, read, name in self._reads}
