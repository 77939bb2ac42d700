"""Queries find rows by indexes: asked of SQLite's own plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event

from taskgraph_backend import SqlBackend
from taskgraph_backend.query import CallGraphQuery
from taskgraph_backend.reader import Reader
from tests.archives import a_run, name, tasks

LARGE = ("job", "call_node", "value", "argument", "subvalue", "file")
JOB, RUN, FILE = name("job", 3), name("run", 3), name("file", 3, 1)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlBackend]:
    made = SqlBackend(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'taskgraph.db'}")
    made.load()
    made.record(tasks())
    for number in range(20):
        made.record(a_run(number, 20))
    yield made
    made.close()


@pytest.fixture
def reader(backend: SqlBackend) -> Iterator[Reader]:
    with backend.reader() as reader:
        yield reader


class Scans:
    """Notes which large tables are read from end to end by what a session does from now on."""

    def __init__(self, reader: Reader) -> None:
        self.found: list[str] = []
        self.statements = 0
        event.listen(reader.get_bind(), "before_cursor_execute", self._look)

    def _look(self, _: Any, cursor: Any, statement: str, parameters: Any, *others: Any) -> None:
        if not statement.lstrip().startswith(("SELECT", "WITH")):
            return
        self.statements += 1
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        for *_, detail in cursor.fetchall():
            scan = re.match(r"SCAN (\w+?)(_\d+)?\b", detail)
            if scan and scan[1] in LARGE:
                self.found.append(f"{detail}: {statement}")


FILTERS: dict[str, Callable[[CallGraphQuery], CallGraphQuery]] = {
    "ids": lambda query: query.filter_ids([JOB, FILE]),
    "like_id": lambda query: query.like_id(JOB[:7]),
    "like_id of a name": lambda query: query.like_id("bio.align"),
    "executions": lambda query: query.filter_execution_ids([RUN]),
    "tags of executions": lambda query: query.filter_execution_tags([("project", "x")]),
    "tags": lambda query: query.filter_tags([("attempts", 3)]),
    "task names": lambda query: query.filter_task_names(["bio.align"]),
    "task hashes": lambda query: query.filter_task_hashes([name("task", "align")]),
    "a task of an execution": lambda query: query.filter_task_names(["align"]).filter_execution_ids(
        [RUN]
    ),
    "files": lambda query: query.filter_file_paths(["out/3/1.vcf"]),
    "files below a folder": lambda query: query.filter_file_paths(["out/3/*.vcf"]),
    "files of a root": lambda query: query.filter_file_paths([("project", "out/3/*")]),
    "arguments": lambda query: query.filter_arguments([FILE]),
    "results": lambda query: query.filter_results([FILE]),
}


@pytest.mark.parametrize("order", ["by id", "by time"])
@pytest.mark.parametrize("asked", FILTERS)
def test_no_large_table_is_read_from_end_to_end(reader: Reader, asked: str, order: str) -> None:
    query = FILTERS[asked](CallGraphQuery(reader))
    query = query.order_by("time") if order == "by time" else query
    scans = Scans(reader)

    query.page(0, 10_000)
    query.count()

    # One or two for each kind, and one that counts them.
    assert scans.statements > len(query.subqueries)
    assert scans.found == []


def test_the_look_at_plans_sees_a_table_that_is_read_from_end_to_end(reader: Reader) -> None:
    scans = Scans(reader)

    CallGraphQuery(reader).filter_job_statuses(["FAILED"]).filter_types(["Job"]).page(0, 500)

    assert len(scans.found) == 1
    assert scans.found[0].startswith("SCAN job")
