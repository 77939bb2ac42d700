"""Records of values, and of what a value stands for: a task's code, a file, a handle.

The bytes are written as they are stored. Nothing here loads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph.hashing import digest_bytes
from taskgraph.values.stored import EVICTED
from taskgraph_backend import models
from taskgraph_backend.outside import read_outside
from taskgraph_backend.seals import is_value_whole
from taskgraph_backend.serializers.base import Record, Rows, Serializer, grouped, head
from taskgraph_backend.serializers.fields import Fields, encode_bytes, shown
from taskgraph_backend.serializers.table import Table, hash_of, number, text
from taskgraph_backend.statements import DAMAGED

# Bytes of values that are in memory at a time.
_MOST_BYTES = 16 * 1024 * 1024


_VALUE = Table(
    models.Value,
    hash_of("value_hash"),
    text("type"),
    text("format"),
    number("size"),
    text("preview"),
    hash_of("content_digest"),
)


class ValueSerializer(Serializer):
    """A value, with its subvalues and what it stands for."""

    type = "Value"
    pk_field = "value_hash"
    model = models.Value

    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        value = models.Value
        query = select(value.value_hash, value.size).where(value.value_hash.in_(ids))
        sizes = {row.value_hash: row.size for row in session.execute(query)}
        piece: list[str] = []
        total = 0
        for key in ids:
            if key not in sizes:
                continue
            if piece and total + sizes[key] > _MOST_BYTES:
                yield from self._piece(session, piece)
                piece, total = [], 0
            piece.append(key)
            total += sizes[key]
        if piece:
            yield from self._piece(session, piece)

    def _piece(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        subvalue = models.Subvalue
        found = _VALUE.fetch(session, ids, models.Value.value, models.Value.seal)
        inside = grouped(
            session.execute(
                select(subvalue.parent_value_hash, subvalue.value_hash).where(
                    subvalue.parent_value_hash.in_(ids)
                )
            ),
            "parent_value_hash",
        )
        subtypes = {
            **_handles(session, ids),
            **_files(session, ids),
            **_tasks(session, ids),
        }
        for key in ids:
            row = found.pop(key, None)
            if row is None:
                continue
            columns, content = _VALUE.write(row), _content(session, row)
            if content is None:  # gone, or damaged and moved aside: as if its row were
                columns |= {"format": DAMAGED, "size": 0}
            yield {
                **head(self.type),
                **columns,
                "data": encode_bytes(content or b""),
                "subvalues": sorted(each.value_hash for each in inside.get(key, ())),
                "subtype": subtypes.get(key),
            }

    def _rows(self, fields: Fields) -> Rows:
        columns = _VALUE.read(fields)
        key = columns["value_hash"]
        found = Rows(self.type, key)
        content = fields.content("data")
        _check_content(fields, columns, content)
        found.add(models.Value, **columns, trusted=False, value=content)
        inside = fields.hashes("subvalues")
        if len(set(inside)) != len(inside):
            fields.refuse("a subvalue is named twice")
        for each in inside:
            found.add(models.Subvalue, parent_value_hash=key, value_hash=each)
        subtype = fields.maybe(fields.object, "subtype")
        if subtype is not None:
            _read_subtype(found, key, subtype)
            subtype.end()
        return found


def _content(session: Session, row: Any) -> bytes | None:
    """Return the bytes of a value; None if they are not those that were written.

    What is taken elsewhere has no seal there: nobody could tell any more.
    """
    if row.format == EVICTED:
        return None
    keys = bytes.fromhex(row.value_hash), bytes.fromhex(row.content_digest)
    if not is_value_whole(row.seal, *keys, row.type, row.format, has_bytes=bool(row.value)):
        return None
    if not row.value:
        return read_outside(session, row)
    content: bytes = row.value
    is_whole = row.size == len(content) and digest_bytes(content) == row.content_digest
    return content if is_whole else None


def _check_content(fields: Fields, columns: dict[str, Any], content: bytes) -> None:
    if columns["size"] != len(content):
        fields.refuse(f"its size is {columns['size']}, and it has {len(content)} bytes")
    if columns["format"] == DAMAGED:
        # Its bytes were found to be others than were written, and are gone.
        if content:
            fields.refuse("it is damaged, and has bytes all the same")
    elif digest_bytes(content) != columns["content_digest"]:
        fields.refuse("its bytes do not have its content_digest")


def _files(session: Session, ids: Sequence[str]) -> dict[str, Record]:
    file = models.File
    rows = session.execute(
        select(file.value_hash, file.root, file.path, file.content_hash, file.size).where(
            file.value_hash.in_(ids)
        )
    )
    return {
        key: {
            "_type": "File",
            "root": root,
            "path": path,
            "content_hash": content_hash,
            "size": size,
        }
        for key, root, path, content_hash, size in rows
    }


def _tasks(session: Session, ids: Sequence[str]) -> dict[str, Record]:
    task, link, part = models.Task, models.TaskPart, models.Part
    rows = session.execute(
        select(task.hash, task.name, task.namespace, task.source).where(task.hash.in_(ids))
    ).all()
    if not rows:
        return {}
    parts = grouped(
        session.execute(
            select(link.task_hash, part.part_hash, part.kind, part.name, part.source)
            .join(part, part.part_hash == link.part_hash)
            .where(link.task_hash.in_([row.hash for row in rows]))
            .order_by(part.part_hash)
        ),
        "task_hash",
    )
    return {
        key: {
            "_type": "Task",
            "name": name,
            "namespace": namespace,
            "source": source,
            "parts": [
                {
                    "part_hash": each.part_hash,
                    "kind": each.kind,
                    "name": each.name,
                    "source": each.source,
                }
                for each in parts.get(key, ())
            ],
        }
        for key, name, namespace, source in rows
    }


def _handles(session: Session, ids: Sequence[str]) -> dict[str, Record]:
    handle, edge = models.Handle, models.HandleEdge
    rows = session.execute(
        select(handle.hash, handle.fullname, handle.key).where(
            handle.value_hash.in_(ids), handle.hash == handle.value_hash
        )
    ).all()
    if not rows:
        return {}
    parents = grouped(
        session.execute(
            select(edge.child_id, edge.parent_id).where(
                edge.child_id.in_([row.hash for row in rows])
            )
        ),
        "child_id",
    )
    return {
        key: {
            "_type": "Handle",
            "fullname": fullname,
            "key": branch,
            "parents": sorted(each.parent_id for each in parents.get(key, ())),
        }
        for key, fullname, branch in rows
    }


def _read_subtype(found: Rows, key: str, fields: Fields) -> None:
    match fields.take("_type"):
        case "File":
            # The path is text, whatever it says: it is never opened because of a record.
            found.add(
                models.File,
                value_hash=key,
                root=fields.text("root"),
                path=fields.text("path"),
                content_hash=fields.text("content_hash"),
                size=fields.number("size"),
            )
        case "Task":
            found.add(
                models.Task,
                hash=key,
                name=fields.text("name"),
                namespace=fields.text("namespace"),
                source=fields.text("source"),
            )
            for part in fields.inside("parts"):
                part_hash = part.hash("part_hash")
                found.add(
                    models.Part,
                    part_hash=part_hash,
                    kind=part.text("kind"),
                    name=part.text("name"),
                    source=part.text("source"),
                )
                part.end()
                found.add(models.TaskPart, task_hash=key, part_hash=part_hash)
        case "Handle":
            parents = fields.hashes("parents")
            found.add(
                models.Handle,
                hash=key,
                fullname=fields.text("fullname"),
                key=fields.text("key"),
                value_hash=key,
                # Whether the service of here is in this state, nobody elsewhere can know.
                is_valid=not parents,
            )
            for each in parents:
                found.add(models.HandleEdge, parent_id=each, child_id=key)
        case other:
            fields.refuse(f"the field subtype._type is File, Task or Handle, not {shown(other)}")
