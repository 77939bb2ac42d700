"""Copies show what a variable held, and tell whether it holds the same now."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.fingerprint.copies import copied, is_plain_object, is_same, snapshot, with_items

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary())
NESTED = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.tuples(inner, inner),
        st.sets(st.integers(), max_size=4),
    ),
    max_leaves=20,
)


class Held:
    __slots__ = ("__dict__", "first")

    def __init__(self, first: Any) -> None:
        self.first = first
        self.second = {"inner": first}


class Loud:
    def __del__(self) -> None:
        raise AssertionError("a copy of it was made")


def containers_in(value: Any) -> list[Any]:
    found = [value] if isinstance(value, list | dict | set) else []
    inside = value.values() if isinstance(value, dict) else value
    if isinstance(value, list | dict):  # what lies in tuples stays as it is
        found += [inner for each in inside for inner in containers_in(each)]
    return found


@given(NESTED, st.data())
def test_a_snapshot_stays_as_it_was(value: Any, data: st.DataObject) -> None:
    kept = snapshot(value)
    assert is_same(kept, value)
    places = containers_in(value)
    if not places:
        return

    chosen = data.draw(st.sampled_from(range(len(places))))
    place = places[chosen]
    if isinstance(place, list):
        place.append("new")
    elif isinstance(place, dict):
        place["new key"] = 1
    else:
        place.add("new")

    assert not is_same(kept, value)
    assert is_same(snapshot(value), value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (1, True),
        (1, 1.0),
        ([1], (1,)),
        ({1}, {True}),
        ({"a": 1}, OrderedDict(a=1)),
        (Counter(a=1), Counter(a=2)),
        (defaultdict(list, a=[1]), defaultdict(list, a=[2])),
        (deque([1]), deque([2])),
        (complex(0, 0.0), complex(0, -0.0)),
        ([[1], [2]], [[1], [3]]),
        (Held(1), Held(2)),
    ],
)
def test_what_differs_is_not_the_same(one: Any, other: Any) -> None:
    assert not is_same(one, other)
    assert is_same(one, snapshot(one))
    assert is_same(other, snapshot(other))


def test_what_holds_itself_is_copied_and_compared() -> None:
    ring: list[Any] = [1]
    ring.append(ring)

    kept = snapshot(ring)

    assert kept[1] is kept
    assert is_same(kept, ring)
    ring[0] = 2
    assert not is_same(kept, ring)


def test_what_is_taken_down_or_refuses_is_not_copied() -> None:
    loud = object.__new__(Loud)
    vars(loud)["n"] = 1

    assert not is_plain_object(loud)
    assert copied(loud) is loud
    assert snapshot({"a": loud})["a"] is loud
    Loud.__del__ = lambda self: None  # type: ignore[method-assign]


def test_single_items_are_taken_from_others() -> None:
    now = {"a": [1, 2], "b": 2, "new": 3}
    before = {"a": [1], "b": 1, "old": 0}

    made = with_items(now, {"['b']": before, "['new']": before, "['old']": before})

    assert made == {"a": [1, 2], "b": 1, "old": 0}
    assert now == {"a": [1, 2], "b": 2, "new": 3}
    assert with_items([1, 2], {"[0]": [5, 6]}) == [5, 2]
    assert with_items([1, 2], {"[0]": [5]}) == [1, 2]
    held, other = Held(1), Held(2)
    assert with_items(held, {".first": other}).first == 2
    assert with_items(held, {".first": other}).second == {"inner": 1}
