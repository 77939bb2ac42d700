"""Records wait outside of the database until all of them are read, as they were."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import DatabaseFullError, InvalidRecordError
from taskgraph.records import RecordBatch
from taskgraph_backend import SqlBackend, kept, models
from taskgraph_backend.kept import MOST_RECORDS, KeptRows
from taskgraph_backend.serializers import Rows
from tests.rows import a_value, key

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MICROS = int(NOON.timestamp()) * 1_000_000


def _tag(number: int, value: Any = None) -> Rows:
    found = Rows("Tag", key(number))
    found.add(models.Tag, tag_hash=key(number), key="k", value=value, is_current=True)
    return found


def _call(number: int) -> Rows:
    found = Rows("CallNode", key(number))
    found.add(models.CallNode, call_hash=key(number), timestamp=NOON)
    found.beside.append((models.Evaluation, {"eval_hash": key(number), "timestamp": NOON}))
    return found


@pytest.mark.parametrize("count", [0, 1, MOST_RECORDS, MOST_RECORDS + 1, 5 * MOST_RECORDS])
def test_all_of_them_come_again_in_their_order_as_often_as_wanted(count: int) -> None:
    records = KeptRows((_tag(each, {"a": [each, None, 0.5, "ä"]}) for each in range(count)), "x")

    for _ in range(2):
        found = [each for batch in records.batches() for each in batch]
        assert found == [_tag(each, {"a": [each, None, 0.5, "ä"]}) for each in range(count)]
    records.close()


def test_times_are_whole_microseconds_wherever_they_wait() -> None:
    records = KeptRows((_call(each) for each in range(MOST_RECORDS + 1)), "x")

    for batch in records.batches():
        for each in batch:
            assert each.rows[0][1]["timestamp"] == each.beside[0][1]["timestamp"] == MICROS
    records.close()


def test_a_disk_that_takes_no_more_of_them_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)

    with pytest.raises(DatabaseFullError, match=r"wait in .*No space left on device.*TMPDIR"):
        KeptRows((_tag(each) for each in range(MOST_RECORDS + 1)), "sqlite:///x")


def test_nobody_waits_while_records_are_read(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    with SqlBackend(uri) as backend, SqlBackend(uri, {"busy_timeout": 0.0}) as other:

        def slowly() -> Iterator[Rows]:
            for number in range(3):
                # Somebody else writes meanwhile, who does not wait at all.
                other.record(RecordBatch(values=[a_value(number + 100)]))
                yield from ()

        backend.put_rows(slowly())

        assert len(backend.load_values([key(each + 100) for each in range(3)])) == 3


def test_what_cannot_be_read_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Rows]:
        for number in range(MOST_RECORDS + 5):
            found = Rows("Value", key(number + 1))
            found.add(models.Value, value=b"")
            yield found
        raise InvalidRecordError("it ends too early")

    with SqlBackend(f"sqlite:///{tmp_path / 'taskgraph.db'}") as backend:
        with pytest.raises(InvalidRecordError, match="ends too early"):
            backend.put_rows(broken())

        assert backend._connection().execute("SELECT count(*) FROM value").fetchone() == (0,)
        assert isinstance(backend._connection(), sqlite3.Connection)


def test_batches_are_of_a_bounded_size() -> None:
    def large() -> Iterator[Rows]:
        for number in range(5):
            found = Rows("Value", key(number))
            found.add(models.Value, value=b"x" * (kept.MOST_BYTES // 2))
            yield found

    assert [len(each) for each in kept.batches(large())] == [2, 2, 1]
