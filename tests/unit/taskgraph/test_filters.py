"""Filters as people type them, as plain data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.errors import FilterError
from taskgraph.filters import (
    ANY_VALUE,
    FILTER_OPTIONS,
    RecordFilters,
    make_filters,
    read_filters,
    read_since,
    read_status,
    read_tag,
    read_type,
    read_until,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("job", "Job"), ("Call", "CallNode"), ("callnode", "CallNode"), (" VALUE ", "Value")],
)
def test_a_type_is_known_by_its_name_and_its_class(text: str, kind: str) -> None:
    assert read_type(text) == kind


def test_a_wrong_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(FilterError, match=r"type 'taks': did you mean task\? There are: execution"):
        read_type("taks")
    with pytest.raises(FilterError, match=r"did you mean CACHED\?"):
        read_status("cashed")
    with pytest.raises(FilterError, match=r"status 'xyz': There are: RUNNING"):
        read_status("xyz")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("project=x", ("project", "x")),
        ("n=3", ("n", 3)),
        ('n="3"', ("n", "3")),
        ("n=[1, 2]", ("n", [1, 2])),
        ("a=b=c", ("a", "b=c")),
        ("a=", ("a", "")),
        ("note", ("note", ANY_VALUE)),
    ],
)
def test_a_tag_has_a_key_and_json_or_text(text: str, tag: object) -> None:
    assert read_tag(text) == tag


def test_any_value_says_its_name() -> None:
    assert repr(ANY_VALUE) == "ANY_VALUE"


def test_a_date_is_a_whole_day_in_the_zone_of_this_machine() -> None:
    since, until = read_since("2026-01-31"), read_until("2026-01-31")

    assert since.astimezone().replace(tzinfo=None) == datetime(2026, 1, 31)
    assert until.astimezone().replace(tzinfo=None) == datetime(2026, 2, 1)


def test_a_time_with_a_zone_is_that_time() -> None:
    assert read_since("2026-01-31T12:00Z") == read_until("2026-01-31T13:00+01:00") == NOON
    assert read_since("2026-01-31 12:00").tzinfo is not None


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30m", timedelta(minutes=30)), ("12h", timedelta(hours=12)), ("2 w", timedelta(weeks=2))],
)
def test_a_time_may_be_so_long_ago(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - ago - read_since(text)) < timedelta(minutes=1)


def test_today_and_yesterday_are_days() -> None:
    assert read_until("yesterday") == read_since("today")
    assert read_since("yesterday") < read_since("today") <= datetime.now(UTC) < read_until("today")


@given(st.text(max_size=12))
def test_what_is_no_time_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        found = read_since(text)
    except FilterError as error:
        assert error.what == "time"
    else:
        assert found.tzinfo is not None


def test_options_are_read_into_fields() -> None:
    given = {
        "types": ("job",),
        "tasks": ("align", "count"),
        "tags": ("project=x",),
        "since": "2026-01-31T12:00Z",
        "until": None,
        "files": (),
    }

    found = read_filters(given)

    assert found == RecordFilters(
        types=("Job",), tasks=("align", "count"), tags=(("project", "x"),), since=NOON
    )
    assert read_filters({"types": "all"}).types == (
        "Execution", "Job", "CallNode", "Task", "Value"
    )  # fmt: skip


def test_each_field_has_an_option() -> None:
    assert [each.field for each in FILTER_OPTIONS] == sorted(
        RecordFilters.__dataclass_fields__, key=[each.field for each in FILTER_OPTIONS].index
    )


@pytest.mark.parametrize(
    ("filters", "types"),
    [
        (RecordFilters(), ("Execution",)),
        (RecordFilters(statuses=("DONE",)), ("Execution",)),
        (RecordFilters(tasks=("align",)), ("Job",)),
        (RecordFilters(executions=("-",)), ("Job",)),
        (RecordFilters(files=("a",), statuses=("DONE",)), ("Job",)),
        (RecordFilters(value_types=("int",), executions=("-",)), ("Value",)),
        (RecordFilters(types=("Value", "Job"), tasks=("align",)), ("Job", "Value")),
    ],
)
def test_what_is_listed_is_what_is_spoken_of(
    filters: RecordFilters, types: tuple[str, ...]
) -> None:
    assert filters.listed_types == types


def test_filters_are_true_if_there_are_any() -> None:
    assert not RecordFilters()
    assert RecordFilters(since=NOON)
    assert len(RecordFilters(ids=("3fa8",)).listed_types) == 5


def test_arguments_are_as_people_write_them() -> None:
    found = make_filters(
        types=["execution"], task="main", status=["done"], tags={"n": 1}, since=NOON, until="today"
    )

    assert (found.tasks, found.statuses, found.tags) == (("main",), ("DONE",), (("n", 1),))
    assert found.since == NOON
    assert make_filters(tags="project=x").tags == (("project", "x"),)
    assert make_filters(tags=[("a", 1), "b"]).tags == (("a", 1), ("b", ANY_VALUE))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(FilterError, match="no time zone"):
        make_filters(since=datetime(2026, 1, 31))
