"""The statements of queries are also those of PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from taskgraph_backend.query import CallGraphQuery
from tests.archives import name

ONE = [name("one")]
EVERYTHING = (
    CallGraphQuery(Session())
    .filter_ids(ONE)
    .like_id(name("one")[:5])
    .filter_execution_ids(ONE)
    .filter_statuses(["DONE", "CACHED"])
    .filter_execution_statuses(["FAILED"])
    .filter_job_statuses(["RUNNING"])
    .filter_tags([("a", {"b": 1})])
    .filter_execution_tags([("a", None)])
    .filter_task_names(["bio.align"])
    .filter_task_hashes(ONE)
    .filter_file_paths(["100%_[x]?/*.vcf"])
    .filter_arguments(ONE)
    .filter_results(ONE)
    .filter_times(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
)


@pytest.mark.parametrize("query", [EVERYTHING, EVERYTHING.order_by("time")])
def test_each_kind_has_a_statement_on_postgresql(query: CallGraphQuery) -> None:
    texts = [str(each.compile(dialect=postgresql.dialect())) for _, each in query.subqueries]

    assert len(texts) == 5
    assert all("LIKE" in each and "GLOB" not in each for each in texts)
    assert str(query.build().compile(dialect=postgresql.dialect()))  # type: ignore[union-attr]


def test_stars_are_the_one_thing_in_a_path_that_is_not_itself() -> None:
    files = CallGraphQuery(Session()).filter_types(["Value"])
    ((_, statement),) = files.filter_file_paths(["100%_[x]?/*.vcf"]).subqueries

    on_postgresql = statement.compile(dialect=postgresql.dialect()).params.values()
    on_sqlite = statement.compile(dialect=sqlite.dialect()).params.values()

    assert r"100\%\_[x]?/%.vcf" in on_postgresql
    assert "100%_[[]x][?]/*.vcf" in on_sqlite
