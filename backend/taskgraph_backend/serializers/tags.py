"""Records of tags with what they supersede, and of aliases of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph.hashing import hash_record
from taskgraph.jsontext import to_json
from taskgraph.tags import RETRACTED, retraction_words, tag_record
from taskgraph_backend import models
from taskgraph_backend.columns import to_micros
from taskgraph_backend.serializers.base import Record, Rows, Serializer, grouped, head
from taskgraph_backend.serializers.fields import Fields, shown
from taskgraph_backend.serializers.table import Table, anything, hash_of, maybe, text, time
from taskgraph_backend.tags import deletion_of

# Those of datasets and artifacts stay with these, which do not move.
_STAYING = {models.TagEntity.Dataset, models.TagEntity.Artifact}
_ENTITIES = frozenset(each.value for each in models.TagEntity if each not in _STAYING)
_DELETED = models.TagEntity.Null.value


_TAG = Table(
    models.Tag,
    hash_of("tag_hash"),
    text("entity_type"),
    hash_of("entity_id"),
    text("key"),
    anything("value"),
)
# Its id is no column.
_ALIAS = Table(
    models.TaskAlias,
    hash_of("old_hash"),
    hash_of("new_hash"),
    time("timestamp"),
    text("old_name"),
    text("new_name"),
    text("author"),
    text("why"),
    maybe(time("end_time")),
    maybe(text("end_author")),
)


class TagSerializer(Serializer):
    """A tag; ``parents`` are those that it supersedes."""

    type = "Tag"
    pk_field = "tag_hash"
    model = models.Tag

    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        edit = models.TagEdit
        found = _TAG.fetch(session, ids)
        parents = grouped(
            session.execute(
                select(edit.child_id, edit.parent_id)
                .where(edit.child_id.in_(ids))
                .order_by(edit.parent_id)
            ),
            "child_id",
        )
        for key in ids:
            row = found.pop(key, None)
            if row is not None:
                yield {
                    **head(self.type),
                    **_TAG.write(row),
                    "parents": [each.parent_id for each in parents.get(key, ())],
                }

    def _rows(self, fields: Fields) -> Rows:
        columns = _TAG.read(fields)
        key, entity_type, entity_id, name, value = columns.values()
        found = Rows(self.type, key)
        if entity_type not in _ENTITIES:
            fields.refuse(f"the field entity_type is {shown(entity_type)}, which is no record")
        if name == RETRACTED and entity_type != _DELETED and not _is_retraction(value):
            fields.refuse("the field value does not say who retracted what, when and why")
        parents = fields.hashes("parents")
        try:
            wanted = tag_record(entity_type, entity_id, name, value, parents).tag_hash
        except (ValueError, RecursionError) as error:
            fields.refuse(f"the field value cannot be stored: {error}")
        if entity_type == _DELETED and len(parents) == 1:
            wanted = deletion_of(parents[0], entity_id, name).tag_hash
        if wanted != key:
            fields.refuse("its tag_hash is not that of its record, key, value and parents")
        found.add(models.Tag, **columns, is_current=entity_type != _DELETED)
        for each in parents:
            found.add(models.TagEdit, parent_id=each, child_id=key)
        return found


class TaskAliasSerializer(Serializer):
    """An earlier version of a task, whose results count for a later one as well.

    Its id is made of both hashes and both times, so that one that ended is a record of its own.
    """

    type = "TaskAlias"
    pk_field = "alias_id"
    model = models.TaskAlias

    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        found = {each["alias_id"]: each for each in self.fetch_all(session)}
        yield from (found[each] for each in ids if each in found)

    def fetch_all(self, session: Session) -> list[Record]:
        """Return the records of all aliases, those from elsewhere too, by their ids."""
        ended: dict[Any, Any] = {}
        for model in (models.ForeignAlias, models.TaskAlias):
            for row in session.execute(select(*[getattr(model, name) for name in _ALIAS.names])):
                key = (row.old_hash, row.new_hash, row.timestamp)
                # Of one and the same alias the end counts, whoever told of it.
                if row.end_time is not None or key not in ended:
                    ended[key] = row
        return sorted(map(self.serialize, ended.values()), key=self.get_pk)

    def serialize(self, row: Any) -> Record:
        """Return the record of an alias."""
        key = alias_id(row.old_hash, row.new_hash, row.timestamp, row.end_time)
        return {
            **head(self.type),
            "alias_id": key,
            **_ALIAS.write([getattr(row, name) for name in _ALIAS.names]),
        }

    def serialize_query(self, query: Any) -> Iterator[Record]:
        """Yield the records of a query for aliases."""
        yield from map(self.serialize, query)

    def _rows(self, fields: Fields) -> Rows:
        key = fields.hash("alias_id")
        found = Rows(self.type, key)
        columns = _ALIAS.read(fields)
        made_of = (columns["old_hash"], columns["new_hash"], columns["timestamp"])
        if alias_id(*made_of, columns["end_time"]) != key:
            fields.refuse("its alias_id is not that of its tasks and times")
        if (columns["end_time"] is None) != (columns["end_author"] is None):
            fields.refuse("an alias that ended has a time and an author of its end")
        if columns["end_time"] is not None and columns["end_time"] < columns["timestamp"]:
            fields.refuse("it ends before it begins")
        found.add(models.TaskAlias, **columns)
        return found


def _is_retraction(value: Any) -> bool:
    try:
        return retraction_words(to_json(value)) is not None
    except (ValueError, RecursionError):
        return False


def alias_id(old_hash: str, new_hash: str, begun: datetime, ended: datetime | None) -> str:
    """Return the id of an alias."""
    end = None if ended is None else to_micros(ended)
    return hash_record("task alias", old_hash, new_hash, to_micros(begun), end)
