from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from taskgraph.jsontext import normalize_json, storable, to_json
from taskgraph_backend.columns import JSON, DateTimeUTC, Hash16, from_micros, to_micros
from tests.labels import label

SQLITE = sqlite.dialect()
POSTGRES = postgresql.dialect()

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner
        )
    ),
    max_leaves=10,
)


@given(st.binary(min_size=16, max_size=16))
def test_hash_is_sixteen_bytes_in_the_database(content: bytes) -> None:
    column = Hash16()

    assert column.process_bind_param(content.hex(), SQLITE) == content
    assert column.process_result_value(content, SQLITE) == content.hex()


@given(st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-7)))))
def test_time_comes_back_to_the_microsecond(when: datetime) -> None:
    column = DateTimeUTC()

    stored = column.process_bind_param(when, SQLITE)
    read = column.process_result_value(stored, SQLITE)

    assert isinstance(stored, int)
    assert read == when
    assert read is not None
    assert read.tzinfo is UTC


def test_postgres_keeps_times_as_times() -> None:
    when = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))

    stored = DateTimeUTC().process_bind_param(when, POSTGRES)

    assert stored == when


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        to_micros(datetime(2026, 1, 1))


@given(st.integers(-(10**15), 10**17))
def test_micros_come_back(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros


@given(json_values)
def test_json_comes_back_equal(value: object) -> None:
    column = JSON()

    stored = column.process_bind_param(value, SQLITE)

    assert column.process_result_value(stored, SQLITE) == value
    assert normalize_json(stored) == stored


def test_equal_json_has_equal_text() -> None:
    assert to_json({"a": 1, "b": [2.0, 1e3]}) == to_json({"b": [2, 1000.0], "a": 1.0})
    assert to_json(-0.0) == to_json(0)
    assert to_json((1, 2)) == to_json([1, 2])


def test_true_is_not_one_in_json() -> None:
    assert to_json(True) != to_json(1)


@pytest.mark.parametrize(
    "value",
    ["a\0b", {"a\0": 1}, "\ud800", float("nan"), float("inf"), {1: 2}, {1, 2}, [object()]],
    ids=label,
)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|stored"):
        to_json(value)


def test_text_that_is_not_utf8_is_written_with_backslashes() -> None:
    assert storable("caf\udce9/ü") == "caf\\udce9/ü"
