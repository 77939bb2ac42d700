"""The verbs for handles, as tools call them."""

from __future__ import annotations

from taskgraph import Handle
from taskgraph.values.handles import merged
from taskgraph_backend import SqlBackend, models


class Service(Handle):
    def __init__(self, name: str) -> None:
        self.instance = object()


def test_a_first_state_is_valid_and_an_unknown_later_one_is_not(sql_backend: SqlBackend) -> None:
    first = Service("main")

    assert sql_backend.is_valid_handle(first)
    assert not sql_backend.is_valid_handle(first.fork("a"))
    assert not sql_backend.is_valid_handle(first.apply_call("a" * 32))


def test_rolling_back_invalidates_what_came_from_a_handle(sql_backend: SqlBackend) -> None:
    first = Service("main")
    second = first.apply_call("a" * 32)
    third = second.fork("x").apply_call("b" * 32)
    sql_backend.advance_handle([first], second)
    sql_backend.advance_handle([second], third)

    sql_backend.rollback_handle(second)
    assert [sql_backend.is_valid_handle(each) for each in (first, second, third)] == [
        *(True, True, False)
    ]

    sql_backend.rollback_handle(first)
    sql_backend.advance_handle([second], third)
    assert [sql_backend.is_valid_handle(each) for each in (first, second, third)] == [
        *(True, False, True)
    ]


def test_what_was_not_recorded_on_the_way_is(sql_backend: SqlBackend) -> None:
    first = Service("main")
    left, right = first.fork("left"), first.fork("right")
    both = merged([left.apply_call("a" * 32), right])

    sql_backend.advance_handle([], both)

    sql_backend.rollback_handle(right)
    assert not sql_backend.is_valid_handle(both)
    assert sql_backend.is_valid_handle(left)


def test_a_recorded_handle_is_found_by_its_value(sql_backend: SqlBackend) -> None:
    first = Service("main")
    second = first.apply_call("a" * 32)
    sql_backend.advance_handle([first], second)

    made, is_there = sql_backend.get_value(second.__handle__.hash)
    assert is_there
    assert made.__handle__.hash == second.__handle__.hash
    with sql_backend.reader() as reader:
        row = reader.get(models.Handle, second.__handle__.hash)
        assert row is not None
        assert (row.fullname, row.key, row.is_valid) == ("main", "", True)
        assert [each.hash for each in row.parents] == [first.__handle__.hash]
        assert row.values[0].preview.startswith("Service('main'")
