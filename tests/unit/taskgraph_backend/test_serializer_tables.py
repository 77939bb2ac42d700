"""Columns are written as fields in one order, and read back as what they were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from taskgraph.errors import InvalidRecordError
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.serializers import deserialize_timestamp
from taskgraph_backend.serializers.fields import Fields
from taskgraph_backend.serializers.table import Table, hash_of, maybe, rarely, text, time
from tests.rows import an_execution, key

_EXECUTION = Table(
    models.Execution, hash_of("id"), text("args"), time("state_time"), maybe(hash_of("job_id"))
)


def test_a_row_is_written_in_the_order_of_its_fields() -> None:
    backend = SqlBackend()
    backend.record(an_execution(1))
    with backend.reader() as session:
        rows = _EXECUTION.fetch(session, [key(2), key(1)], models.Execution.state_type)

    written = _EXECUTION.write(rows[key(1)])

    assert list(rows) == [key(1)]
    assert list(written) == ["id", "args", "state_time", "job_id"]
    assert deserialize_timestamp(written["state_time"]) == rows[key(1)].state_time
    assert rows[key(1)].state_type == "RUNNING"


def test_what_was_written_is_read_as_columns() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    written = _EXECUTION.write([key(1), "[]", when, None])

    assert _EXECUTION.read(Fields(written)) == {
        "id": key(1),
        "args": "[]",
        "state_time": when,
        "job_id": None,
    }


@pytest.mark.parametrize(
    ("field", "value"), [("id", None), ("job_id", "x"), ("args", 1), ("state_time", "now")]
)
def test_a_field_that_is_not_what_it_must_be_is_refused(field: str, value: Any) -> None:
    written = _EXECUTION.write([key(1), "[]", datetime(2026, 1, 2, tzinfo=UTC), None])

    with pytest.raises(InvalidRecordError, match=field):
        _EXECUTION.read(Fields({**written, field: value}))


def test_a_field_that_earlier_libraries_know_not_is_left_out_where_it_says_nothing() -> None:
    table = Table(models.Job, hash_of("id"), rarely(text("queue")))

    assert table.write([key(1), None]) == {"id": key(1)}
    assert table.write([key(1), "gpu"]) == {"id": key(1), "queue": "gpu"}
    for record in ({"id": key(1)}, {"id": key(1), "queue": None}):
        assert table.read(Fields(record)) == {"id": key(1), "queue": None}
