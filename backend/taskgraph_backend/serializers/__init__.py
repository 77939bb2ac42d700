"""Records as plain dicts with a type and a version, and back: what moves between databases.

Whatever is read is checked before it becomes rows, and nothing is loaded: values are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskgraph_backend import models
from taskgraph_backend.schema import DBVersionInfo
from taskgraph_backend.serializers.base import VERSION, Record, Rows, Serializer, check_version
from taskgraph_backend.serializers.calls import CallNodeSerializer
from taskgraph_backend.serializers.fields import (
    Fields,
    deserialize_timestamp,
    serialize_timestamp,
    shown,
)
from taskgraph_backend.serializers.jobs import ENDED, ExecutionSerializer, JobSerializer
from taskgraph_backend.serializers.tags import TagSerializer, TaskAliasSerializer
from taskgraph_backend.serializers.values import ValueSerializer

_KINDS: tuple[type[Serializer], ...] = (
    ValueSerializer,
    CallNodeSerializer,
    ExecutionSerializer,
    JobSerializer,
    TaskAliasSerializer,
    TagSerializer,
)
#: The types of records, in the order in which they are written.
TYPES = tuple(each.type for each in _KINDS)


class RecordSerializer(Serializer):
    """Turns records of all kinds into dicts and back.

    Args:
        db_version: The schema of the database that is read; that of this library by default.
    """

    type = "Record"
    pk_field = ""

    def __init__(self, db_version: DBVersionInfo | None = None) -> None:
        super().__init__(db_version)
        self._kinds = {each.type: each(db_version) for each in _KINDS}

    def get_subserializer(self, type: str) -> Serializer:
        """Return the serializer of a type of records.

        Raises:
            InvalidRecordError: There is no such type.
        """
        found = self._kinds.get(type) if isinstance(type, str) else None
        if found is None:
            known = ", ".join(self._kinds)
            Fields({}).refuse(f"there is no type of records {shown(type)}; there are: {known}")
        return found

    def serialize(self, row: Any) -> Record:
        """Return the record of a row of any kind; a task's is that of its value."""
        if isinstance(row, models.Task):
            row = row.value
        return self._of(row).serialize(row)

    def serialize_query(self, query: Any) -> Iterator[Record]:
        """Yield the records of a query for rows of any kind."""
        yield from map(self.serialize, query)

    def rows(self, record: Record) -> Rows:
        """Return the rows of a record after all of it was checked.

        Raises:
            InvalidRecordError: The record is not what it says that it is.
        """
        fields = Fields(record)
        kind = fields.take("_type")
        # A newer library may know types that this one does not.
        check_version(fields)
        return self.get_subserializer(kind).rows(record)

    def get_pk(self, record: Record) -> str:
        """Return the id of a record of any kind."""
        return self.get_subserializer(record["_type"]).get_pk(record)

    def _of(self, row: Any) -> Serializer:
        return next(
            (each for each in self._kinds.values() if isinstance(row, each.model)),
            self._kinds["Value"],
        )

    def _fetch(self, session: Any, ids: Any) -> Iterator[Record]:
        for each in self._kinds.values():
            yield from each.fetch(session, ids)

    def _rows(self, fields: Fields) -> Rows:  # pragma: no cover - `rows` asks the others
        raise TypeError("a record of any kind is read by the serializer of its kind")


__all__ = [
    "ENDED",
    "TYPES",
    "VERSION",
    "CallNodeSerializer",
    "ExecutionSerializer",
    "JobSerializer",
    "Record",
    "RecordSerializer",
    "Rows",
    "Serializer",
    "TagSerializer",
    "TaskAliasSerializer",
    "ValueSerializer",
    "deserialize_timestamp",
    "serialize_timestamp",
    "shown",
]
