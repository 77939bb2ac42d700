"""Origins: objects that calls gave are known again, and nothing else is."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy
import pytest

from taskgraph.engine import origins
from taskgraph.engine.origins import Origins
from taskgraph.hashing import CallHash, ValueHash

CALL, OTHER = CallHash("a" * 32), CallHash("b" * 32)
VALUE, ANOTHER = ValueHash("c" * 32), ValueHash("d" * 32)


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, (1, 2), 3.5, 1000, "a text", b"bytes", numpy.arange(3), {1}]
)
def test_the_very_object_is_known_again(value: Any) -> None:
    known = Origins()

    known.remember(value, VALUE, CALL, 10)

    assert known.find(value, VALUE) == [CALL]


def test_an_equal_object_is_another_one() -> None:
    known = Origins()
    given, equal = [float("1.5")], [float("1.5")]

    known.remember(given, VALUE, CALL, 10)

    assert known.find(equal, VALUE) == []


@pytest.mark.parametrize("value", [None, True, False, 0, 256, -5, "", "a", b"", ()])
def test_what_python_has_only_one_of_comes_from_nowhere(value: Any) -> None:
    known = Origins()

    known.remember(value, VALUE, CALL, 10)

    assert known.find(value, VALUE) == []


def test_items_are_known_by_themselves_and_within_other_containers() -> None:
    known = Origins()
    first, second = [1.5], {"a": 2.5}
    known.remember((first, second), VALUE, CALL, 10)

    assert known.find(second, ANOTHER) == [CALL]
    assert known.find({"x": first, "y": [0.5]}, ANOTHER) == [CALL]


def test_a_container_tells_of_all_that_is_in_it_each_once() -> None:
    known = Origins()
    first, second = [1.5], [2.5]
    known.remember(first, VALUE, CALL, 10)
    known.remember(second, ANOTHER, OTHER, 10)

    assert known.find([first, second, first], ValueHash("e" * 32)) == [CALL, OTHER]


def test_large_objects_are_not_kept_alive_for_this() -> None:
    known = Origins()
    array = numpy.arange(3)
    gone = weakref.ref(array)

    known.remember(array, VALUE, CALL, 10**9)
    del array
    gc.collect()

    assert gone() is None


def test_a_large_list_is_known_by_its_hash_alone() -> None:
    known = Origins()
    numbers = [0.5] * 10

    known.remember(numbers, VALUE, CALL, 10**9)

    assert known.find(numbers, VALUE) == [CALL]
    assert known.find(numbers, ANOTHER) == []


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "_MOST", 3)
    known = Origins()
    values = [[float(each)] for each in range(4)]

    for each in values:
        known.remember(tuple(each), VALUE, CALL, 10)
        known.remember(each, VALUE, CALL, 10)

    assert known.find(values[0], VALUE) == []
    assert known.find(values[-1], VALUE) == [CALL]


def test_what_a_call_only_passed_on_is_still_that_of_the_call_that_gave_it() -> None:
    known = Origins()
    table = [1.5]
    known.remember(table, VALUE, CALL, 10)

    known.remember(["more", table], ANOTHER, OTHER, 10)

    assert known.find(table, VALUE) == [CALL]
