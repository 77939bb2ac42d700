"""Records that were read and checked, kept until they are written: nobody waits while they come.

What is much lies in a file without a name, as plain data of Python's own: it is written and read by
this process alone, and gone with it.
"""

from __future__ import annotations

import marshal
import os
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from taskgraph.errors import DatabaseFullError
from taskgraph_backend import models
from taskgraph_backend.columns import DateTimeUTC, to_micros
from taskgraph_backend.serializers import Rows

# Records, and bytes of values, that are in memory at a time.
MOST_RECORDS = 500
MOST_BYTES = 16 * 1024 * 1024
# What is less than that needs no file.
_FEW_BYTES = 8 * 1024 * 1024

_Row = tuple[type[models.Base], dict[str, Any]]


class KeptRows:
    """The rows of records in batches of a bounded size, which can be read again and again.

    Times in them are whole microseconds.

    Args:
        records: The rows of each record.
        uri: The database that they are for.

    Raises:
        DatabaseFullError: There is no room for them while they wait.
    """

    def __init__(self, records: Iterable[Rows], uri: str) -> None:
        self._uri = uri
        self._few: list[list[Rows]] = []
        self._file: Any = None
        try:
            for batch in batches(_timed(each) for each in records):
                if not self._few and self._file is None:
                    self._few.append(batch)
                    continue
                self._write(batch)
        except BaseException:
            self.close()
            raise

    def _write(self, batch: list[Rows]) -> None:
        plain = marshal.dumps([_plain(each) for each in batch])
        try:
            if self._file is None:
                self._file = tempfile.SpooledTemporaryFile(_FEW_BYTES)  # noqa: SIM115 (see close)
            self._file.write(plain)
        except OSError as error:
            raise DatabaseFullError(
                self._uri,
                f"the records that are to be written wait in {tempfile.gettempdir()}, which takes "
                f"no more ({error.strerror}). Nothing was written; free some space there, or name "
                "another folder in TMPDIR.",
            ) from error

    def batches(self) -> Iterator[list[Rows]]:
        """Give the batches, from the first one on."""
        yield from self._few
        if self._file is None:
            return
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        while self._file.tell() < end:
            yield [_rows(each) for each in marshal.load(self._file)]

    def close(self) -> None:
        """Let go of them."""
        self._few = []
        if self._file is not None:
            self._file.close()


def batches(records: Iterable[Rows]) -> Iterator[list[Rows]]:
    """Cut records into batches of a bounded size."""
    batch: list[Rows] = []
    size = 0
    for each in records:
        batch.append(each)
        size += sum(len(row["value"]) for model, row in each.rows if model is models.Value)
        if len(batch) >= MOST_RECORDS or size >= MOST_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@cache
def _times(model: type[models.Base]) -> tuple[str, ...]:
    columns = model.__table__.columns
    return tuple(each.name for each in columns if isinstance(each.type, DateTimeUTC))


def _timed(record: Rows) -> Rows:
    """Put whole microseconds in the place of times."""
    for model, row in (*record.rows, *record.beside):
        for name in _times(model):
            if row.get(name) is not None:
                row[name] = to_micros(row[name])
    return record


_MODELS: dict[str, type[models.Base]] = {
    mapper.class_.__tablename__: mapper.class_ for mapper in models.Base.registry.mappers
}


def _plain(record: Rows) -> tuple[Any, ...]:
    return (record.kind, record.record_id, _named(record.rows), _named(record.beside))


def _named(rows: list[_Row]) -> list[tuple[str, dict[str, Any]]]:
    return [(model.__tablename__, row) for model, row in rows]


def _rows(plain: tuple[Any, ...]) -> Rows:
    kind, key, rows, beside = plain
    return Rows(
        kind,
        key,
        [(_MODELS[name], row) for name, row in rows],
        [(_MODELS[name], row) for name, row in beside],
    )


__all__ = ["KeptRows", "batches"]
