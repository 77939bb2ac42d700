from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import event

from taskgraph_backend import SqlBackend
from taskgraph_backend.reader import Reader
from tests.rows import a_job, a_task, an_execution, key, together


@pytest.fixture
def reader(sql_backend: SqlBackend) -> Iterator[Reader]:
    sql_backend.record(together(a_task(), an_execution(root=1), a_job(1), a_job(2)))
    for number in range(4):
        sql_backend.record_tags("Job", key(1), [("n", number)], update=number > 0)
    sql_backend.record_tags("Job", key(2), [("n", 3), ("other", 1)])
    sql_backend.delete_tags(key(2), [], ["other"])
    with sql_backend.reader() as made:
        yield made


def test_what_followed_comes_after_what_was_there(reader: Reader) -> None:
    assert [each.value for each in reader.tags_of(key(1))] == [0, 1, 2, 3]
    assert [each.is_deletion for each in reader.tags_of(key(2))] == [False, False, True]


def test_a_history_takes_two_statements(reader: Reader) -> None:
    statements: list[str] = []
    event.listen(
        reader.get_bind(), "before_cursor_execute", lambda *given: statements.append(given[2])
    )

    found = reader.tags_of(key(1))

    assert [len(each.parents) for each in found] == [0, 1, 1, 1]
    found_by = [each.split()[0] for each in statements if each != "BEGIN"]
    assert found_by == ["SELECT", "SELECT"]


def test_keys_are_counted_by_what_is_current(reader: Reader) -> None:
    assert reader.tag_keys() == [("n", 2, 1)]
