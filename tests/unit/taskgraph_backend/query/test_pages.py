"""Pages of records, while others come in."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph.errors import FilterError
from taskgraph_backend import SqlBackend
from taskgraph_backend.query import CallGraphQuery
from taskgraph_backend.query.pages import Place, read_cursor
from tests.archives import a_run, name, tasks


@pytest.fixture
def backend(sql_backend: SqlBackend) -> SqlBackend:
    sql_backend.record(tasks())
    for number in range(7):
        sql_backend.record(a_run(number, 2))
    return sql_backend


def ids_of(rows: object) -> list[str]:
    keys = CallGraphQuery.MODEL_PKS
    return [getattr(row, keys[type(row)].key) for row in rows]  # type: ignore[attr-defined]


@pytest.mark.parametrize("by_time", [False, True])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_pages_by_number_are_all_records_in_order(
    backend: SqlBackend, by_time: bool, size: int
) -> None:
    with backend.reader() as reader:
        query = CallGraphQuery(reader)
        query = query.order_by("time") if by_time else query
        wanted = list(query.select("type", "id"))
        found = []
        for number in range(len(wanted) // size + 1):
            found += ids_of(query.page(number, size))

        assert found == [id for _, id in wanted]
        assert len(query.page(len(wanted), size)) == 0


@pytest.mark.parametrize("by_time", [False, True])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_pages_after_each_other_are_all_records_in_order(
    backend: SqlBackend, by_time: bool, size: int
) -> None:
    with backend.reader() as reader:
        query = CallGraphQuery(reader)
        query = query.order_by("time") if by_time else query
        page = query.page(0, size)
        found = ids_of(page)
        while page.next is not None:
            page = query.page(page_size=size, after=page.next)
            found += ids_of(page)

        assert found == list(query.select("id", flat=True))


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(arrivals=st.lists(st.integers(0, 3), max_size=6), size=st.integers(1, 5))
def test_runs_that_come_in_between_move_nothing(
    sql_backend: SqlBackend, arrivals: list[int], size: int
) -> None:
    with sql_backend.reader() as reader:
        newest = CallGraphQuery(reader).filter_types(["Execution"]).count()[0][1]
    sql_backend.record(tasks())
    for number in range(newest, newest + 5):
        sql_backend.record(a_run(number, 1))
    newest += 5
    with sql_backend.reader() as reader:
        there = _query(reader).select("id", flat=True)
        before = list(there)
        page = _query(reader).page(0, size)
    found = ids_of(page)
    waiting = list(arrivals)

    while page.next is not None:
        for _ in range(waiting.pop() if waiting else 0):
            sql_backend.record(a_run(newest, 1))
            newest += 1
        with sql_backend.reader() as reader:
            page = _query(reader).page(page_size=size, after=page.next)
        found += ids_of(page)

    # No record twice, and none of those that were there is left out.
    assert found == [each for each in found if each in set(before)] == before


def _query(reader: object) -> CallGraphQuery:
    return CallGraphQuery(reader).filter_types(["Execution"]).order_by("time")  # type: ignore[arg-type]


def test_pages_by_number_are_moved_by_what_comes_in(backend: SqlBackend) -> None:
    with backend.reader() as reader:
        first = ids_of(_query(reader).page(0, 2))
    backend.record(a_run(100, 1))

    with backend.reader() as reader:
        second = ids_of(_query(reader).page(1, 2))

    assert set(first) & set(second)


def test_each_record_has_a_cursor_of_its_own(backend: SqlBackend) -> None:
    with backend.reader() as reader:
        query = _query(reader)
        page = query.page(0, 5)

        assert len(page.cursors) == len(page) == 5
        assert page.next == page.cursors[-1]
        assert ids_of(query.page(page_size=2, after=page.cursors[0])) == ids_of(page[1:3])
        assert query.page(1, 5).next is None


@pytest.mark.parametrize("text", ["", "x", "é", "W10", "bm90aGluZw", "WzksMSwiYSJd"])
def test_a_text_that_is_no_cursor_is_refused(backend: SqlBackend, text: str) -> None:
    with backend.reader() as reader, pytest.raises(FilterError, match="the page before gave"):
        _query(reader).page(after=text)


def test_a_cursor_of_another_order_is_refused(backend: SqlBackend) -> None:
    with backend.reader() as reader:
        by_id = CallGraphQuery(reader).page(0, 1).next
        assert by_id is not None

        with pytest.raises(FilterError):
            _query(reader).page(after=by_id)


def test_a_page_has_a_size_and_one_beginning(backend: SqlBackend) -> None:
    with backend.reader() as reader:
        query = _query(reader)
        for wrong in ((-1, 5), (0, 0)):
            with pytest.raises(FilterError, match="counted from 0"):
                query.page(*wrong)
        with pytest.raises(FilterError, match="not both"):
            query.page(2, 5, after=query.page(0, 1).next)


@given(st.sampled_from(CallGraphQuery.MODEL_NAMES), st.none() | st.integers(0, 2**60))
def test_a_cursor_is_read_as_it_was_written(kind: str, micros: int | None) -> None:
    place = Place(kind, micros, name("x"))

    assert read_cursor(place.cursor(), by_time=micros is not None) == place
