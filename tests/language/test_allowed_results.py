"""`allowed_cache_results`: which kinds of results a call may use."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.errors import TaskOptionError
from taskgraph.tasks.options import CacheResult
from taskgraph.testing import MemoryBackend
from tests.language.tasks import inc

ran: list[str] = []


@task(namespace="allowed", version="1")
def outer(x: int) -> Any:
    ran.append("outer")
    return inner(x)


@task(namespace="allowed", version="1")
def inner(x: int) -> int:
    ran.append("inner")
    return x


def allowing(*kinds: Any, **options: Any) -> Any:
    return outer.options(allowed_cache_results=kinds, **options)


def test_from_the_records_only(inline: Scheduler) -> None:
    call = allowing("SINGLE", "ULTIMATE")

    assert inline.run([call(1), call(1)]) == [1, 1]
    assert ran == ["outer", "outer", "inner"], "equal calls do not share what they give"
    ran.clear()
    inline.run([call(1), call(1), outer(1)])

    assert ran == []


def test_from_this_run_only(inline: Scheduler) -> None:
    for _ in range(2):
        inline.run([allowing(CacheResult.CSE)(1), allowing("cse", "miss")(1)])

    assert ran == ["outer", "inner", "outer"]
    noted = [each.miss for each in memory(inline).jobs.values() if each.miss]
    assert noted == ['{"reason": "SCOPE", "detail": "allowed_cache_results leaves it out"}'] * 4


def test_nothing_at_all(inline: Scheduler) -> None:
    inline.run(outer(1))
    inline.run([outer(1), allowing()(1), allowing("MISS")(1)])

    assert ran == ["outer", "inner", "outer", "outer"]


def test_whole_calls_only(inline: Scheduler) -> None:
    inline.run(outer(1))
    inline.run(allowing("ULTIMATE", check_valid="shallow")(1))
    assert ran == ["outer", "inner"]

    inline.run(allowing("ULTIMATE")(1))
    assert ran == ["outer", "inner", "outer"], "nobody asked for a whole call"


def test_single_reductions_only(inline: Scheduler) -> None:
    inline.run(outer(1))
    jobs = len(memory(inline).jobs)

    inline.run(allowing("SINGLE", check_valid="shallow")(1))

    assert ran == ["outer", "inner"]
    assert len(memory(inline).jobs) == jobs + 2, "the call below was looked up by itself"


def test_it_is_handed_on_and_said_of_runs(inline: Scheduler) -> None:
    inline.run(outer(1))

    inline.run(outer.export_options(allowed_cache_results=["CSE"])(1))
    assert ran == ["outer", "inner"] * 2
    inline.run(outer(1), options={"allowed_cache_results": ["CSE"]})
    assert ran == ["outer", "inner"] * 3


def test_a_plan_knows(inline: Scheduler) -> None:
    inline.run(outer(1))

    calls = inline.plan([allowing("CSE")(1), outer.options(cache=False)(2)]).calls

    assert [(each.task, each.why) for each in calls] == [
        ("allowed.outer", "the cache was not asked: allowed_cache_results leaves it out"),
        ("allowed.outer", "the cache was not asked: cache=False"),
    ]


@pytest.mark.parametrize("value", ["twice", ["CSE", "other"], [3], 3, None])
def test_what_is_no_kind_is_refused(value: Any) -> None:
    with pytest.raises(TaskOptionError, match="'CSE', 'SINGLE', 'ULTIMATE', 'MISS'"):
        inc.options(allowed_cache_results=value)


def memory(scheduler: Scheduler) -> MemoryBackend:
    assert isinstance(scheduler.backend, MemoryBackend)
    return scheduler.backend
