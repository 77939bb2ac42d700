"""What has a quick way for many plain calls gives there what it gives by the long way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph import File, task
from taskgraph.expression import Expression, ExpressionKind, find_expressions, substitute
from taskgraph.values import walk
from taskgraph.values.weigh import hash_value


@task(namespace="quick")
def call(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5)
)
files = st.sampled_from(["a.txt", "b.txt"]).map(File)
leaves = st.lists(st.one_of(plain, files), max_size=3).map(lambda args: call(*args))
values = st.recursive(
    st.one_of(plain, leaves, files),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.lists(inner, max_size=2).map(lambda args: call(*args)),
        st.tuples(inner, inner).map(lambda pair: call(pair[0], named=pair[1])),
        inner.map(lambda one: [one, one, one]),
    ),
    max_leaves=12,
)


def outermost(value: Any) -> list[Any]:
    """Return the expressions in a nested value by recursion, each time that they are met."""
    if isinstance(value, Expression):
        return [value]
    inside = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(inside, list | tuple):
        return []
    return [found for each in inside for found in outermost(each)]


def replaced(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, Expression):
        return known[id(value)]
    if isinstance(value, dict):
        return {key: replaced(each, known) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(replaced(each, known) for each in value)
    return value


@given(values)
def test_a_leaf_has_the_hash_and_the_contents_of_its_shape(value: Any) -> None:
    quick = (hash_value(value), list(map(id, walk.find_live(value))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExpressionKind, "is_leaf", lambda *_: False)
        slow = (hash_value(value), list(map(id, walk.find_live(value))))

    assert quick == slow


@given(values)
def test_expressions_are_found_and_replaced_as_by_recursion(value: Any) -> None:
    found = {id(each): each for each in outermost(value)}
    known = {each: object() for each in found}

    assert list(map(id, find_expressions(value))) == list(found)
    made = substitute(value, lambda each: known[id(each)])

    if found:
        assert repr(made) == repr(replaced(value, known))
    else:
        assert made is value
