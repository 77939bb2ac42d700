"""Lazy expressions: what operators give, how they are shown, walked and stored."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any, NamedTuple

import pytest

from taskgraph.errors import TaskOptionError
from taskgraph.expression import (
    Expression,
    SimpleExpression,
    TaskExpression,
    ValueExpression,
    find_expressions,
    in_order,
    quote,
    substitute,
)
from taskgraph.tasks.decorator import task
from taskgraph.values import codec
from taskgraph.values.weigh import hash_value


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: Any
    b: Any = dataclasses.field(default=0, init=False)


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    return TaskExpression(name, args, kwargs)


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda x: x + 3, "(f(1, 2) + 3)"),
        (lambda x: 3 + x, "(3 + f(1, 2))"),
        (lambda x: x[1], "f(1, 2)[1]"),
        (lambda x: x.name, "f(1, 2).name"),
        (lambda x: x.name(1, b=2), "f(1, 2).name(1, b=2)"),
        (lambda x: x & False, "(f(1, 2) & False)"),
        (lambda x: -x, "(-f(1, 2))"),
        (lambda x: x == 1, "(f(1, 2) == 1)"),
        (lambda x: x > 1, "(f(1, 2) > 1)"),
    ],
)
def test_an_operation_is_shown_as_it_is_written(make: Any, shown: str) -> None:
    expr = make(call("f", 1, 2))

    assert isinstance(expr, SimpleExpression)
    assert repr(expr) == shown


def test_keyword_arguments_are_shown_sorted() -> None:
    assert repr(call("f", 1, z=2, a=3)) == "f(1, a=3, z=2)"


def test_the_truth_of_an_expression_is_an_error_with_a_way_out() -> None:
    with pytest.raises(TypeError, match="cond"):
        bool(call("f"))


def test_an_expression_of_unknown_length_cannot_be_unpacked() -> None:
    with pytest.raises(TypeError, match="nout"):
        list(call("f"))


def test_an_expression_of_known_length_can_be_unpacked() -> None:
    first, second = TaskExpression("f", (), {}, length=2)

    assert repr(first) == "f()[0]"
    assert repr(second) == "f()[1]"


def test_of_many_arguments_the_first_are_shown() -> None:
    shown = ", ".join(map(str, range(20)))

    assert repr(call("f", *range(21), z=2)) == f"f({shown}, ..., z=2)"
    assert repr(call("f", *range(20))) == f"f({shown})"


def test_a_slice_with_a_stop_is_a_list_of_items() -> None:
    expr = call("f")

    assert [repr(each) for each in expr[1:3]] == ["f()[1]", "f()[2]"]
    assert isinstance(expr[1:], SimpleExpression)
    assert isinstance(expr[:-1], SimpleExpression)


def test_protocol_methods_are_not_answered_lazily() -> None:
    with pytest.raises(AttributeError):
        call("f").__array__
    with pytest.raises(AttributeError):
        call("f")._repr_html_


def test_expressions_are_found_in_all_containers() -> None:
    a, b, c, d, e = (call(name) for name in "abcde")
    value = [a, {"k": b, c: 1}, (d,), Point(e, 1), Frozen(a), {1, 2}]

    found = find_expressions(value)

    assert {each.task_name for each in found} == set("abcde")
    assert len(found) == 5


def test_substitution_rebuilds_containers_of_the_same_type() -> None:
    a = call("a")
    frozen = Frozen(a)
    object.__setattr__(frozen, "b", [a])
    value = [a, {"k": (a, 1)}, Point(a, 2), frozen, {3}]

    filled = substitute(value, lambda expr: 10)

    assert filled[:3] == [10, {"k": (10, 1)}, Point(10, 2)]
    assert filled[3].a == 10
    assert filled[3].b == [10]
    assert frozen.a is a
    assert filled[4] is value[4]


def test_a_container_with_expressions_that_contains_itself_is_an_error() -> None:
    loop: list[Any] = [call("a")]
    loop.append(loop)

    with pytest.raises(ValueError, match="contains itself"):
        substitute(loop, lambda expr: 1)


def test_expressions_are_ordered_innermost_first() -> None:
    inner = call("a")
    middle = call("b", inner, [inner])
    outer = call("c", middle, x=inner)

    ordered = in_order([outer])

    assert [id(each) for each in ordered] == [id(inner), id(middle), id(outer)]


def test_a_deep_expression_is_hashed_stored_and_dropped_without_recursion() -> None:
    expr: Any = call("f", 0)
    for _ in range(50_000):
        expr = call("f", expr)

    format, payload = codec.encode(expr)
    again = codec.loads(payload)

    assert format == "pickle"
    assert hash_value(again) == hash_value(expr)
    assert "..." in repr(expr)


def test_calls_that_differ_have_different_hashes() -> None:
    exprs = [
        call("f", 1),
        call("f", x=1),
        call("f", 1, 1),
        call("g", 1),
        call("f", [1]),
        call("f", call("f", 1)),
        TaskExpression("f", (1,), {}, {"cache_scope": "CSE"}),
        SimpleExpression("f", (1,)),
        ValueExpression(1),
        quote(call("f", 1)),
    ]

    assert len({hash_value(each) for each in exprs}) == len(exprs)


def test_equal_calls_have_equal_hashes() -> None:
    assert hash_value(call("f", 1, b=2, a=3)) == hash_value(call("f", 1, a=3, b=2))


def test_an_expression_survives_pickling() -> None:
    expr = call("f", 1, [call("g")], k=2) + 1

    again = pickle.loads(pickle.dumps(expr))

    assert repr(again) == repr(expr)


def test_an_unknown_operation_is_an_error_when_it_is_computed() -> None:
    with pytest.raises(NotImplementedError, match="no operation named 'shrink'"):
        SimpleExpression("shrink", (1,))._apply((1,), {})


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(TaskOptionError, match="'executor'"):

        @task(executer="threads")
        def unused() -> None: ...


def test_a_quoted_expression_is_a_value() -> None:
    quoted = quote(call("f"))

    assert not isinstance(quoted, Expression)
    assert find_expressions([quoted]) == []
    assert repr(quoted.eval()) == "f()"
