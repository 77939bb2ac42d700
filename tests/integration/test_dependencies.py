"""The dependency map of an execution: which job needed what, and of whom."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph.catalog.rows import DependencyNode
from taskgraph_backend.catalog.dependencies import nodes
from tests.statements import Statements

taskgraph_namespace = "needs"


@task
def one(number: int) -> int:
    return number


@task
def add(left: int, right: int) -> int:
    return left + right


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def handed(number: int) -> Any:
    return add(number, one(5))


def edges(nodes: list[DependencyNode]) -> dict[str, list[str]]:
    """Say of each job what it needed, by what its arguments are called and by who gave them."""
    own = {each.id for each in nodes if each.task.startswith(f"{taskgraph_namespace}.")}
    names = {each.id: f"{each.task.rpartition('.')[2]}" for each in nodes}
    preview = {each.id: [e.preview for e in each.upstream] for each in nodes}
    of = {each.id: f"{names[each.id]}({', '.join(preview[each.id])})" for each in nodes}
    return {
        of[each.id]: [
            f"{e.argument} {e.kind if e.job_id is None else of[e.job_id]}" for e in each.upstream
        ]
        for each in nodes
        if each.id in own
    }


def test_a_list_of_calls_needs_all_of_them(tg: Archive, recording: Scheduler) -> None:
    assert recording.run(total([one(n) for n in range(4)])) == 6

    found = tg.executions.dependencies("-")

    (last,) = [each for each in found if each.task == "needs.total"]
    jobs = [each.id for each in found if each.task == "needs.one"]
    assert sorted(last.upstream_jobs) == sorted(jobs)
    assert found[-1] is last  # what was needed comes first


def test_operators_and_callers_are_looked_through(tg: Archive, recording: Scheduler) -> None:
    assert recording.run(add(one(1) + one(2), handed(3))) == 11

    assert edges(tg.executions.dependencies("-")) == {
        "one(1)": ["number constant"],
        "one(2)": ["number constant"],
        "handed(3)": ["number constant"],
        "one(5)": ["number constant"],
        "add(3, 5)": ["left parameter", "right one(5)"],
        "add(3, 3, 8)": ["left one(1)", "left one(2)", "right handed(3)"],
    }


def test_equal_calls_need_one_of_them(tg: Archive, recording: Scheduler) -> None:
    assert recording.run([add(one(7), one(7)), one(7)]) == [14, 7]

    found = tg.executions.dependencies("-")

    ones = {each.id for each in found if each.task == "needs.one"}
    (both,) = [each for each in found if each.task == "needs.add"]
    assert len(ones) == 3
    assert [each.argument for each in both.upstream] == ["left", "right"]
    assert set(both.upstream_jobs) <= ones


def test_a_run_from_the_cache_has_the_same_map(tg: Archive, recording: Scheduler) -> None:
    work = total([add(one(1), one(2)), handed(4), one(6)])
    recording.run(work)
    first = edges(tg.executions.dependencies("-"))

    recording.run(work)
    again = tg.executions.dependencies("-")

    assert all(each.cached for each in again)
    assert edges(again) == first


@pytest.mark.parametrize("count", [10, 300])
def test_statements_do_not_grow_with_the_jobs(
    tg: Archive, recording: Scheduler, count: int
) -> None:
    recording.run(total([one(n) for n in range(count)]))

    newest = tg.executions.get("-").id
    with tg.reading() as reader:
        statements = Statements(reader)
        found = nodes(reader, newest)

    assert len(found) == count + 2  # the list is that of a root
    assert len(statements.texts) == 3
