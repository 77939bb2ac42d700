"""Lazy expressions come to what Python makes of the same operators on the values."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph import Scheduler, quote, task
from taskgraph.errors import UnknownTaskError
from taskgraph.expression import (
    QuotedExpression,
    SchedulerExpression,
    SimpleExpression,
    TaskExpression,
    ValueExpression,
)
from taskgraph.functools import identity
from taskgraph.testing import MemoryBackend

SCALE = 10 if os.environ.get("TASKGRAPH_TORTURE") else 1


@task(namespace="lazily", version="1")
def give(value: Any) -> Any:
    return value


@task(namespace="lazily", version="1")
def give_function() -> Any:
    return divmod


@pytest.fixture(scope="module")
def run() -> Iterator[Any]:
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        yield scheduler.run


# & and | are `and` and `or` of values.
BINARY = {
    operator.eq: operator.eq,
    operator.ne: operator.ne,
    operator.lt: operator.lt,
    operator.le: operator.le,
    operator.gt: operator.gt,
    operator.ge: operator.ge,
    operator.add: operator.add,
    operator.sub: operator.sub,
    operator.mul: operator.mul,
    operator.truediv: operator.truediv,
    operator.floordiv: operator.floordiv,
    operator.mod: operator.mod,
    operator.and_: lambda left, right: left and right,
    operator.or_: lambda left, right: left or right,
}
UNARY = (operator.neg, operator.pos, abs)
numbers = st.integers(-9, 9)


@st.composite
def formulas(draw: Any) -> tuple[Any, Any]:
    """Return an expression, and the function that computes it of values."""
    if draw(st.integers(0, 2)) == 0:
        value = draw(numbers)
        return give(value), lambda: value
    if draw(st.booleans()):
        sign = draw(st.sampled_from(UNARY))
        inner, compute = draw(formulas())
        return sign(inner), lambda: sign(compute())
    symbol = draw(st.sampled_from(list(BINARY)))
    left, left_value = draw(formulas())
    if draw(st.booleans()):
        right, right_value = draw(formulas())
    else:  # a plain value on one side: the reflected form where it is on the left
        known = draw(numbers)
        right, right_value = known, lambda: known
        if draw(st.booleans()):
            left, left_value, right, right_value = right, right_value, left, left_value
    return symbol(left, right), lambda: BINARY[symbol](left_value(), right_value())


@settings(max_examples=60 * SCALE, deadline=None)
@given(formulas())
def test_any_formula_comes_to_what_python_makes_of_it(run: Any, made: Any) -> None:
    expr, compute = made
    try:
        wanted = compute()
    except (ZeroDivisionError, TypeError) as error:
        with pytest.raises(type(error)):
            run(expr)
        return

    found = run(expr)

    assert (type(found), found) == (type(wanted), wanted)


@settings(max_examples=25 * SCALE, deadline=None)
@given(
    items=st.lists(numbers, min_size=6, max_size=8),
    start=st.none() | st.integers(0, 6),
    stop=st.none() | st.integers(-3, 6),
    step=st.none() | st.integers(1, 3),
)
def test_slices_give_the_items_that_they_name(
    run: Any, items: list[int], start: Any, stop: Any, step: Any
) -> None:
    found = give(items)[start:stop:step]

    assert run(found) == items[start:stop:step]
    assert isinstance(found, list) == (stop is not None and stop >= 0)


def test_attributes_items_and_calls_are_those_of_the_value(run: Any) -> None:
    value = give({"a": [1, 2, 3]})

    assert run([value["a"][-1], value.keys(), value["a"].count(2)]) == [3, {"a": 0}.keys(), 1]
    assert run(give_function()(7, 2)) == (3, 1)
    assert run(give("a b")[1:].strip().upper()) == "B"
    assert run(give("x={x}").format(x=give(1))) == "x=1"


def test_a_call_is_known_by_name_and_says_what_it_was(run: Any) -> None:
    call: Any = give(1)
    assert (call.task_name, call.args, call.kwargs) == ("lazily.give", (1,), {})
    assert (call._options, call.call_hash) == (None, None)

    assert run(call) == 1

    assert len(call.call_hash) == 32
    other = TaskExpression("lazily.give", (), {"value": 1}, {"cache_scope": "CSE"}, None, 3)
    assert len(other) == 3
    assert other._options == {"cache_scope": "CSE"}
    assert run(other) == 1


def test_a_call_of_a_task_that_is_not_there_names_the_nearest(run: Any) -> None:
    with pytest.raises(UnknownTaskError, match=r"lazily\.give"):
        run(TaskExpression("lazily.gave", (1,), {}))


def test_an_operation_that_there_is_not_fails_when_it_is_evaluated(run: Any) -> None:
    expr = SimpleExpression("shrink", (give(1),))

    with pytest.raises(NotImplementedError, match="shrink"):
        run(expr)


def test_a_known_value_in_the_place_of_an_expression(run: Any) -> None:
    assert run(ValueExpression(3)) == 3
    assert run(ValueExpression(3) + give(1)) == 4
    assert run([ValueExpression([give(1), 2])]) == [[1, 2]]
    assert repr(ValueExpression([1])) == "[1]"


def test_what_is_quoted_is_evaluated_where_it_is_asked_for(run: Any) -> None:
    quoted = quote([give(1), 2])

    found = run(give(quoted))

    assert isinstance(found, QuotedExpression)
    assert repr(found) == "quote([lazily.give(1), 2])"
    assert run(found.eval()) == [1, 2]


@pytest.mark.parametrize(
    ("expr", "shown"),
    [
        (give(1) - 2, "(lazily.give(1) - 2)"),
        (2 - give(1), "(2 - lazily.give(1))"),
        (give(1) > 1, "(lazily.give(1) > 1)"),  # Python itself turns it round
        (give(1) == 1, "(lazily.give(1) == 1)"),
        ((give(1) + 2) * 3 | 0, "(((lazily.give(1) + 2) * 3) | 0)"),
        (give(value=[give("a")]), "lazily.give(value=[lazily.give('a')])"),
        (
            give(1)["k"].name(1, z=2, b=give(3)),
            "lazily.give(1)['k'].name(1, b=lazily.give(3), z=2)",
        ),
        (identity(give(1)), "taskgraph.identity(lazily.give(1))"),
    ],
)
def test_they_are_shown_as_they_are_written(expr: Any, shown: str) -> None:
    assert repr(expr) == shown


def test_calls_of_scheduler_tasks_are_expressions_of_their_own() -> None:
    assert isinstance(identity(1), SchedulerExpression)
    assert not isinstance(give(1), SchedulerExpression)
