"""Which arguments count is read from the hash that was made of them."""

from __future__ import annotations

import inspect
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskgraph.hashing import hash_args
from taskgraph.provenance.explain_calls import Given, by_label, name_of, uncounted
from taskgraph.tasks.signature import Binder
from taskgraph.values.weigh import hash_value


def many(a: int, b: int = 2, *rest: int, key: int = 3, other: int = 4, **named: int) -> None: ...


numbers = st.integers(0, 5)


@given(
    st.lists(numbers, min_size=2, max_size=5),
    st.dictionaries(st.sampled_from(["key", "other", "x", "y"]), numbers),
    st.sets(st.sampled_from(["a", "b", "key", "other"])),
)
def test_what_does_not_count_is_found(
    args: list[int], kwargs: dict[str, int], ignored: set[str]
) -> None:
    bound = Binder(inspect.signature(many), tuple(ignored)).bind(args, kwargs)
    hashes = [(place, hash_value(value)) for place, value in bound]
    args_hash = hash_args([(place.label, h) for place, h in hashes if place.label not in ignored])
    rows = [Given(place.position, place.key, h) for place, h in hashes]

    found = uncounted(by_label(reversed(rows)), args_hash)

    assert found == ignored


def test_a_hash_of_other_arguments_leaves_all_of_them_counted() -> None:
    rows = [Given(0, "a", hash_value(1))]

    assert uncounted(by_label(rows), "0" * 32) == frozenset()
    assert uncounted(by_label(rows), None) == frozenset()


def test_arguments_are_called_as_in_a_signature() -> None:
    shown: list[Any] = [Given(0, "x", ""), Given(2, None, ""), Given(None, "z", "")]

    assert [name_of(each) for each in shown] == ["x", "*2", "z"]
