"""The canonical hashes: golden vectors, limits, and the pre-images of records."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_hexdigest

from taskgraph import hashing
from taskgraph.hashing import (
    ATOMIC_TYPES,
    CONTAINER_TYPES,
    MAX_DEPTH,
    TaskHash,
    ValueHash,
    hash_args,
    hash_argument,
    hash_builtin,
    hash_call,
    hash_eval,
    hash_proven,
    hash_record,
    hash_shape,
    is_builtin,
)
from taskgraph.values.weigh import hash_value
from tests.unit.taskgraph import golden

ROOT = Path(__file__).parents[3]


def test_golden_vectors_hold() -> None:
    assert golden.changed() == []


@pytest.mark.skipif(
    "TASKGRAPH_PYTHONS" not in os.environ,
    reason="TASKGRAPH_PYTHONS names no other interpreters (with xxhash and numpy)",
)
def test_golden_vectors_hold_on_other_pythons() -> None:
    for python in os.environ["TASKGRAPH_PYTHONS"].split(os.pathsep):
        subprocess.run([python, "-m", "tests.unit.taskgraph.golden"], cwd=ROOT, check=True)


@pytest.mark.parametrize("value", [1, "a", [1, (2,)], {"a": {1}}, {frozenset({1}): None}, ...])
def test_builtins_at_every_depth_are_builtin(value: object) -> None:
    assert is_builtin(value)
    assert hash_builtin(value) is not None


class Sub(int):
    pass


@pytest.mark.parametrize(
    "value", [Sub(1), [Sub(1)], {"a": [Sub(1)]}, {Sub(1): 1}, {Sub(1)}, range(1), object()]
)
def test_anything_else_at_any_depth_is_not(value: object) -> None:
    assert not is_builtin(value)
    assert hash_builtin(value) is None


def test_depth_is_limited_by_content() -> None:
    deep: list[object] = []
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]

    assert is_builtin(deep)
    assert not is_builtin([deep])


def test_shared_containers_count_as_often_as_they_are_met() -> None:
    wide: list[object] = []
    for _ in range(30):
        wide = [wide, wide]

    assert not is_builtin(wide)


def test_sets_in_sets_are_limited_because_they_cost_exponential_time() -> None:
    nested: frozenset[object] = frozenset()
    for _ in range(60):
        nested = frozenset({nested, 1})

    assert not is_builtin(nested)


def test_complex_nans_in_a_set_are_left_to_the_shape() -> None:
    one, two = complex(float("nan"), 1), complex(float("nan"), 1)

    assert hash_builtin([{one, two}]) is None
    assert hash_builtin({one}) is not None


def test_want_of_memory_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def dumps(value: object, version: int) -> bytes:
        raise MemoryError

    monkeypatch.setattr(hashing.marshal, "dumps", dumps)

    with pytest.raises(MemoryError):
        hash_builtin([1, 2])


def test_what_marshal_refuses_is_left_to_the_shape() -> None:
    assert hash_proven(object()) is None


def test_large_bytes_are_hashed_in_place_like_small_ones() -> None:
    import marshal

    from xxhash import xxh3_128_hexdigest

    content = b"x" * 200_000

    assert hash_builtin(content) == xxh3_128_hexdigest(b"value\0m" + marshal.dumps(content, 2))
    assert hash_builtin([content]) == xxh3_128_hexdigest(b"value\0m" + marshal.dumps([content], 2))


def test_a_shape_tells_its_parts_apart() -> None:
    one, two = ValueHash("0" * 32), ValueHash("1" * 32)
    hashes = [
        hash_shape("a", None),
        hash_shape("b", None),
        hash_shape("a", 1),
        hash_shape("a", None, [one]),
        hash_shape("a", None, [one, two]),
        hash_shape("a", None, [two, one]),
        hash_shape("a", None, buffers=[b"ab"]),
        hash_shape("a", None, buffers=[b"a", b"b"]),
        hash_shape("a", None, buffers=[memoryview(b"")]),
    ]

    assert len(set(hashes)) == len(hashes)


def test_the_order_of_unordered_children_does_not_count() -> None:
    hashes = ["0" * 32, "1" * 32]

    assert hash_shape("s", None, hashes, ordered=False) == hash_shape(
        "s", None, hashes[::-1], ordered=False
    )


def test_the_preimages_of_records_do_not_collide() -> None:
    value_hash, task_hash = ValueHash("0" * 32), TaskHash("1" * 32)
    args_hash = hash_args([("x", value_hash)])
    hashes = [
        args_hash,
        hash_args([]),
        hash_args([("x", value_hash), ("y", value_hash)]),
        hash_args([("y", value_hash), ("x", value_hash)]),
        hash_args([("\ud800", value_hash)]),
        hash_eval(task_hash, args_hash),
        hash_call(task_hash, args_hash, value_hash),
        hash_call(task_hash, args_hash, value_hash, [hash_call(task_hash, args_hash, value_hash)]),
        hash_record("x"),
        hash_record("x", None),
        hash_record("x", "1"),
        hash_record("x", 1),
        hash_argument(hash_call(task_hash, args_hash, value_hash), 0, "x", value_hash),
        hash_argument(hash_call(task_hash, args_hash, value_hash), 0, None, value_hash),
        hash_argument(hash_call(task_hash, args_hash, value_hash), None, "x", value_hash),
    ]

    assert len(set(hashes)) == len(hashes)
    assert all(len(each) == 32 for each in hashes)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.lists(inside, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=2), inside, max_size=4)
        | st.sets(st.integers(), max_size=3).map(frozenset)
        | st.frozensets(st.frozensets(st.integers(), max_size=2), max_size=2)
        | st.tuples(inside, st.sampled_from([object(), Path("a"), bytearray(b"a"), len]))
    ),
    max_leaves=30,
)


def exactly_builtin(value: Any, sets: list[bool], depth: int = 1) -> bool:
    """What is meant, one value after another; notes which levels hold sets."""
    if type(value) in ATOMIC_TYPES:
        return True
    if type(value) not in CONTAINER_TYPES:
        return False
    if len(sets) < depth:
        sets.append(False)
    sets[depth - 1] = sets[depth - 1] or type(value) in (set, frozenset)
    inside = [*value.keys(), *value.values()] if type(value) is dict else list(value)
    found = [exactly_builtin(each, sets, depth + 1) for each in inside]
    return all(found)


@given(plain)
@settings(deadline=None)
def test_the_proof_says_what_looking_at_each_value_by_itself_says(value: Any) -> None:
    sets: list[bool] = []
    is_plain = exactly_builtin(value, sets)

    assert is_builtin(value) is (is_plain and sum(sets) <= hashing.MAX_SET_LEVELS)


@given(plain, st.integers(1, 8))
@settings(deadline=None)
def test_the_limit_is_on_containers_and_not_on_all_that_is_looked_at(value: Any, most: int) -> None:
    sets: list[bool] = []
    is_plain = exactly_builtin(value, sets) and sum(sets) <= hashing.MAX_SET_LEVELS
    with mock.patch.object(hashing, "MAX_CONTAINERS", most):
        found = is_builtin(value)

    assert found is (is_plain and (type(value) in ATOMIC_TYPES or containers_in(value) <= most))


def containers_in(value: Any) -> int:
    if type(value) not in CONTAINER_TYPES:
        return 0
    inside = [*value.keys(), *value.values()] if type(value) is dict else list(value)
    return 1 + sum(map(containers_in, inside))


def calls_of(function: Callable[[Any], object], value: Any) -> tuple[int, int]:
    """Count the calls of Python functions and of those in C that a call makes."""
    seen = {"call": 0, "c_call": 0}

    def count(frame: object, event: str, argument: object) -> None:
        if event in seen:
            seen[event] += 1

    sys.setprofile(count)
    try:
        function(value)
    finally:
        sys.setprofile(None)
    return seen["call"], seen["c_call"] - 1  # the last one is `setprofile` itself


@pytest.mark.parametrize("value", [42, 1.5, True, None, "sample-17", b"sample-17"])
def test_a_scalar_is_hashed_without_a_detour(value: object) -> None:
    calls, calls_in_c = calls_of(hash_value, value)

    assert calls == 1
    assert calls_in_c <= 3


def test_each_level_of_containers_costs_a_few_calls_whatever_its_size() -> None:
    def nested(width: int) -> object:
        return {"a": [{"b": list(range(width)), "c": "x"} for _ in range(width)], "d": 1.5}

    few, many = calls_of(hash_value, nested(2)), calls_of(hash_value, nested(200))

    assert few[0] == many[0] == 3
    assert few[1] <= 20
    assert many[1] - few[1] <= 2


@pytest.mark.parametrize("size", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1])
def test_large_text_and_bytes_have_the_hash_of_what_marshal_writes(size: int) -> None:
    for value in ("x" * size, "\ud800" * size, b"x" * size):
        expected = xxh3_128_hexdigest(b"value\0m" + marshal.dumps(value, 2))

        assert hash_value(value) == expected
