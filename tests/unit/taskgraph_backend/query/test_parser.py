"""Queries from the options of a tool."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from taskgraph.errors import AmbiguousIdError, FilterError, UnknownRecordError
from taskgraph.filters import FILTER_OPTIONS
from taskgraph_backend import SqlBackend
from taskgraph_backend.query import (
    CallGraphQuery,
    infer_id,
    infer_specialty_id,
    parse_callgraph_query,
    setup_query_parser,
)
from tests.archives import a_run, name, tasks

PARSER = setup_query_parser(argparse.ArgumentParser())


@pytest.fixture
def query(sql_backend: SqlBackend) -> Iterator[CallGraphQuery]:
    sql_backend.record(tasks())
    for number in range(3):
        sql_backend.record(a_run(number, 2))
    with sql_backend.reader() as reader:
        yield CallGraphQuery(reader)


def counts(query: CallGraphQuery, *words: str) -> dict[str, int]:
    return dict(parse_callgraph_query(query, PARSER.parse_args(words)).count())


def test_a_parser_has_every_filter() -> None:
    text = PARSER.format_help()

    assert all(each.flag in text for each in FILTER_OPTIONS)


def test_without_options_executions_are_asked_for(query: CallGraphQuery) -> None:
    assert counts(query) == {"Execution": 3}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--task", "align"], {"Job": 6}),
        (["--task-hash", name("task", "align")[:9]], {"Job": 6}),
        (["--execution", "-"], {"Job": 5}),
        (["--execution", name("run", 1)[:9], "--execution", "~1"], {"Job": 10}),
        (["--execution", name("job", 1, 0, "align")[:9]], {"Job": 5}),
        (["--argument", name("file", 0, 0)[:9]], {"Job": 1}),
        (["--result", name("file", 0, 0)[:9]], {"Job": 1}),
        (["--file", "out/1/*"], {"Job": 5}),
        (["--type", "task", "--type", "call", "--task", "count"], {"CallNode": 6, "Task": 1}),
        (["--value-type", "taskgraph.File"], {"Value": 6}),
        (["--status", "done", "--execution-status", "done"], {"Execution": 3}),
        (["--job-status", "cached"], {"Job": 3}),
        (["--tag", "project=x"], {"Execution": 2}),
        (["--execution-tag", "project=y", "--type", "job"], {"Job": 5}),
        (["--since", "2023-01-01", "--until", "2024-01-01"], {"Execution": 3}),
        (["--id", "bio.align"], {"Task": 1}),
    ],
)
def test_options_are_filters(
    query: CallGraphQuery, words: list[str], found: dict[str, int]
) -> None:
    assert counts(query, *words) == found


def test_options_may_be_any_mapping(query: CallGraphQuery) -> None:
    assert parse_callgraph_query(query, {"tasks": ["align"]}).count() == [("Job", 6)]


def test_what_is_not_recorded_is_said(query: CallGraphQuery) -> None:
    nobody = "0" * 9
    for words in (["--execution", nobody], ["--result", nobody], ["--task-hash", nobody]):
        with pytest.raises(UnknownRecordError):
            counts(query, *words)
    with pytest.raises(FilterError, match="this is a Task"):
        counts(query, "--execution", "bio.align")
    with pytest.raises(FilterError, match="hex digits"):
        counts(query, "--argument", "align")


def test_the_start_of_several_hashes_is_refused(
    sql_backend: SqlBackend, query: CallGraphQuery
) -> None:
    # More values than first digits.
    sql_backend.record(a_run(9, 20))

    with pytest.raises(AmbiguousIdError, match="add digits"):
        counts(query, "--argument", "0")


def test_executions_are_meant_by_their_place(query: CallGraphQuery) -> None:
    session = query.session
    newest = [name("run", number) for number in (2, 1, 0)]

    places = ["-", "~2", "~3"]

    assert [infer_specialty_id(session, each).id for each in places] == newest  # type: ignore[union-attr]
    for other in ("~0", "~4", "~", "~x", f"~{10**30}", newest[0], "--"):
        assert infer_specialty_id(session, other) is None
    assert infer_id(session, "~2", required=True).id == newest[1]
