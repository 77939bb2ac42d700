"""Lists for people: bounded statements, and no more rows than were asked for."""

from __future__ import annotations

import pytest

from taskgraph.filters import RecordFilters
from taskgraph.provenance import reading
from taskgraph.provenance.listing import view_listing
from taskgraph_backend import SqlBackend
from taskgraph_backend.query import MODEL_NAMES
from tests.archives import a_run, name, tasks
from tests.statements import Statements

ALL = RecordFilters(types=MODEL_NAMES)


@pytest.mark.parametrize("size", [3, 60, 10_000])
def test_the_statements_of_a_list_are_bounded(sqlite_backend: SqlBackend, size: int) -> None:
    sqlite_backend.record(tasks())
    sqlite_backend.record(a_run(0, size // 2))
    with sqlite_backend.reader() as reader:
        statements = Statements(reader)

        listing = view_listing(reader.listed(ALL, 4 * size + 20))

    assert len(listing.records) > 2 * size
    # Places and rows of each kind; arguments of jobs and of calls; jobs of executions, uses.
    assert len(statements.texts) <= 2 * 5 + 2 + 2
    assert "value.value " not in " ".join(statements.texts)


def test_a_list_has_what_its_lines_need(sql_backend: SqlBackend) -> None:
    sql_backend.record(tasks())
    sql_backend.record(a_run(0, 2))
    with sql_backend.reader() as reader:
        found = reader.listed(ALL, 100)

        assert found.counts == {name("run", 0): {"DONE": 4, "CACHED": 1}}
        assert found.uses[name("task", "align")].calls == 2
        assert reader.counted(ALL) == [
            ("Execution", 1), ("Job", 5), ("CallNode", 5), ("Task", 3), ("Value", 11)
        ]  # fmt: skip
        assert reader.tagged("Null", name("run", 0)) is None


@pytest.mark.parametrize("pairs", [10, 5_000])
def test_an_execution_of_any_size_is_shown_by_its_top(
    sqlite_backend: SqlBackend, pairs: int
) -> None:
    sqlite_backend.record(tasks())
    sqlite_backend.record(a_run(0, pairs))
    with sqlite_backend.reader() as reader:
        row = reader.find(name("run", 0))
        statements = Statements(reader)

        view = reading.look_at(reader, row)
        assert view is not None
        text = "\n".join(str(block) for block in reading.page_of(view))

    assert len(statements.texts) <= 8
    jobs = 2 * pairs + 1
    assert len(view.jobs) == min(jobs, 100)  # type: ignore[union-attr]
    assert (f"and {jobs - 100:,} more jobs" in text) == (jobs > 100)
