"""The canonical hashes: golden vectors, limits, and the pre-images of records."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from taskgraph import hashing
from taskgraph.hashing import (
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
