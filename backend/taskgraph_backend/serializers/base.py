"""What serializers share: records as dicts, and the rows that they are made of."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy.orm import Session, object_session

from taskgraph.errors import RecordVersionError
from taskgraph_backend import models
from taskgraph_backend.schema import DBVersionInfo
from taskgraph_backend.serializers.fields import Fields, shown
from taskgraph_backend.statements import MOST_KEYS

_Model = type[models.Base]

#: What a record is as JSON.
Record = dict[str, Any]

#: The version of the format that is written, and the newest that is read.
VERSION = 1


@dataclass(slots=True)
class Rows:
    """The rows of one record, its own first: pairs of a model and the values of its columns.

    Attributes:
        kind: The type of the record.
        record_id: Its id.
        rows: Its own row, and those that it owns.
        beside: What it brings besides, and does not own: cache entries.
    """

    kind: str
    record_id: str
    rows: list[tuple[type[models.Base], dict[str, Any]]] = field(default_factory=list)
    beside: list[tuple[type[models.Base], dict[str, Any]]] = field(default_factory=list)

    def add(self, model: type[models.Base], **columns: Any) -> None:
        """Add a row."""
        self.rows.append((model, columns))


class Serializer(abc.ABC):
    """Turns the rows of one kind of record into dicts and back.

    Args:
        db_version: The schema of the database that is read; that of this library by default.
    """

    type: ClassVar[str]
    pk_field: ClassVar[str]
    model: ClassVar[_Model]

    def __init__(self, db_version: DBVersionInfo | None = None) -> None:
        self.db_version = db_version

    @property
    def pk(self) -> Any:
        """The column that the id is in."""
        return getattr(self.model, self.pk_field)

    def get_pk(self, record: Record) -> str:
        """Return the id of a record."""
        found: str = record[self.pk_field]
        return found

    def serialize(self, row: Any) -> Record:
        """Return the record of a row that was read, with the rows that it owns.

        Raises:
            ValueError: The row belongs to no session that could be asked for the others.
        """
        session = object_session(row)
        if session is None:
            raise ValueError(f"{row!r} was not read from a database, or its session is closed")
        return next(self.fetch(session, [getattr(row, self.pk_field)]))

    def serialize_query(self, query: Any) -> Iterator[Record]:
        """Yield the records of a query for rows (`sqlalchemy.orm.Query`), in its order."""
        ids = [getattr(row, self.pk_field) for row in query]
        yield from self.fetch(query.session, ids)

    def fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        """Yield the records of those ids that are there, in their order."""
        for start in range(0, len(ids), MOST_KEYS):
            piece = ids[start : start + MOST_KEYS]
            yield from self._fetch(session, piece)

    @abc.abstractmethod
    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        """Yield the records of a few ids."""

    def deserialize(self, record: Record) -> list[models.Base]:
        """Return the rows of a record as objects that belong to no session, its own first.

        Raises:
            InvalidRecordError: The record is not what it says that it is.
        """
        found = self.rows(record)
        return [model(**columns) for model, columns in (*found.rows, *found.beside)]

    def rows(self, record: Record) -> Rows:
        """Return the rows of a record after all of it was checked.

        Raises:
            InvalidRecordError: The record is not what it says that it is.
        """
        fields = self._start(record)
        found = self._rows(fields)
        fields.end()
        return found

    def _start(self, record: Any) -> Fields:
        fields = Fields(record, self.type)
        record_id = record.get(self.pk_field)
        fields.record_id = record_id if isinstance(record_id, str) else ""
        kind = fields.take("_type")
        if kind != self.type:
            fields.refuse(f"its type is {shown(kind)}")
        check_version(fields)
        return fields

    @abc.abstractmethod
    def _rows(self, fields: Fields) -> Rows:
        """Return the rows of a record whose type and version were looked at."""


def check_version(fields: Fields) -> None:
    """Refuse a record of a version that is not known.

    Raises:
        RecordVersionError: It is newer.
        InvalidRecordError: It is none.
    """
    version = fields.take("_version")
    if type(version) is not int or version < 1:
        fields.refuse(f"the field _version is a whole number from 1, not {shown(version)}")
    if version > VERSION:
        raise RecordVersionError(
            f"its version {version} is newer than {VERSION}, which this library knows",
            kind=fields.kind,
            record_id=fields.record_id,
            advice="Upgrade taskgraph.",
        )


def head(kind: str) -> Record:
    """Return the fields that each record begins with."""
    return {"_type": kind, "_version": VERSION}


def grouped(pairs: Iterable[Any], key: str) -> dict[str, list[Any]]:
    """Return rows in lists by one of their columns."""
    found: dict[str, list[Any]] = {}
    for row in pairs:
        found.setdefault(getattr(row, key), []).append(row)
    return found
