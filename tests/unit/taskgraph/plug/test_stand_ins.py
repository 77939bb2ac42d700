"""Functions in the place of cached ones: like them, kept, and lenient if they are to be."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest

from taskgraph import cached
from taskgraph.plug.keeping import FOUND, NOT_KEPT, RAN, KeptCall, kept
from taskgraph.plug.stand_ins import in_place_of, lenient, stood_in_for

ran: list[Any] = []
told: list[KeptCall] = []


@pytest.fixture(autouse=True)
def started(project: Path) -> None:
    ran.clear()
    told.clear()


@cached
def double(x: Any) -> Any:
    """Double it."""
    ran.append(x)
    return x * 2


@cached
async def triple(x: Any) -> Any:
    ran.append(x)
    await asyncio.sleep(0)
    return x * 3


def test_a_function_in_the_place_of_another_is_like_it() -> None:
    run = in_place_of(double, lambda args, kwargs: kept(double.key(*args, **kwargs)))

    assert [run(4), run(x=4)] == [8, 8]
    assert ran == [4]
    assert (run.__name__, run.__doc__) == ("double", "Double it.")
    assert inspect.signature(run) == inspect.signature(double.func)
    assert stood_in_for(run) is double
    assert stood_in_for(double.func) is double.func


def test_an_async_function_has_an_async_one_in_its_place() -> None:
    run = in_place_of(triple, lambda args, kwargs: kept(triple.key(*args, **kwargs)))

    assert inspect.iscoroutinefunction(run)
    assert [asyncio.run(run(each)) for each in (2, 2)] == [6, 6]
    assert ran == [2]


def test_a_lenient_function_is_given_what_counts() -> None:
    def counts(name: str, value: Any) -> Any:
        return abs(value)

    run = lenient(double, counts, tell=told.append)

    assert [run(x=-3), run(x=3)] == [6, 6]
    assert [each.word for each in told] == [RAN, FOUND]


def test_a_lenient_function_has_the_marks_of_other_tools() -> None:
    marked: Any = cached(double.func)
    marked.of_a_tool = 3

    made: Any = lenient(marked, lambda name, value: value, tell=told.append)

    assert made.of_a_tool == 3
    assert stood_in_for(made) is marked


@cached(config_args=["log"])
def logged(x: Any, log: Any) -> Any:
    ran.append(log)
    return x


def test_a_lenient_function_runs_with_what_cannot_count_and_tells() -> None:
    def counts(name: str, value: Any) -> Any:
        assert name != "log"
        if value is ran:
            raise TypeError("is the list of this test")
        return value

    run = lenient(logged, counts, tell=told.append)

    assert run(x=ran, log="a") is ran
    assert ran == ["a"]
    assert [each.word for each in told] == [NOT_KEPT]
    assert told[0].text == "its argument x is the list of this test"
    assert 'config_args=["x"]' in told[0].advice
