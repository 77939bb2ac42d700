"""Hashes are the same for values that are the same, in every process, and differ for all others."""

from __future__ import annotations

import json
import math
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph.hashing import hash_builtin, hash_proven, is_builtin, look_inside
from taskgraph.values import codec
from taskgraph.values.weigh import hash_value
from tests.properties.recipes import MEMBERS, build, same

ROOT = Path(__file__).parents[2]
SCALE = 20 if os.environ.get("TASKGRAPH_TORTURE") == "1" else 1
COMMON = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": SCALE == 1,
    "database": None,
}

# Few different contents, so that values which nearly are the same come up all the time.
texts = st.sampled_from(["", "a", "1", "b", "\ud800", "é", "a\0", "ab"]) | st.text(max_size=3)
doubles = st.sampled_from(
    [struct.pack("<d", x) for x in (0.0, -0.0, 1.0, float("inf"), float("nan"))]
    + [b"\x01\0\0\0\0\0\xf8\x7f", b"\0\0\0\0\0\0\xf8\xff"]
)
integers = st.sampled_from([0, 1, -1, 255, 2**31 - 1, 2**31, -(2**31) - 1, 2**63, 10**30])
scalars = (
    st.tuples(st.just("str"), texts)
    | st.tuples(st.just("bytes"), st.sampled_from([b"", b"a", b"1", b"ab"]))
    | st.tuples(st.just("int"), integers)
    | st.tuples(st.just("atom"), st.sampled_from([None, True, False, ...]))
    | st.tuples(st.just("float"), doubles)
    | st.tuples(st.just("complex"), st.tuples(doubles, doubles))
)
standard = (
    st.tuples(st.just("member"), st.integers(0, len(MEMBERS) - 1))
    | st.tuples(
        st.just("path"),
        st.tuples(
            st.sampled_from(["PurePosixPath", "PosixPath", "PureWindowsPath"]),
            st.sampled_from(["", "a", "a//b", "a/b", "/a", "//a", "a/../b", "C:\\x"]),
            # Python 3.12 takes this for a share without a name, and older ones do not.
        ).filter(lambda pair: pair != ("PureWindowsPath", "//a")),
    )
    | st.tuples(st.just("decimal"), st.sampled_from(["1", "1.0", "1.00", "-0", "0", "NaN", "1E+2"]))
    | st.tuples(st.just("fraction"), st.sampled_from([(1, 2), (1, 1), (2, 1), (-1, 2)]))
    | st.tuples(st.just("uuid"), st.integers(0, 3))
    | st.tuples(
        st.just("datetime"),
        st.tuples(
            st.just(2020),
            st.integers(1, 2),
            st.just(1),
            st.integers(0, 1),
            st.sampled_from([None, 0, 60]),
            st.integers(0, 1),
        ),
    )
    | st.tuples(st.just("date"), st.tuples(st.just(2020), st.integers(1, 2), st.just(1)))
    | st.tuples(st.just("timedelta"), st.integers(-1, 1))
    | st.tuples(st.just("pattern"), st.sampled_from([("a", 0), ("a", 2), ("b", 0), (b"a", 0)]))
    | st.tuples(st.just("zone"), st.sampled_from([0, 60, "UTC", "Europe/Berlin"]))
    | st.tuples(st.just("range"), st.sampled_from([(0, 3, 1), (0, 3, 2), (0, 4, 2), (0, 0, 1)]))
)
hashable_leaves = scalars | standard
leaves = (
    hashable_leaves
    | st.tuples(st.just("bytearray"), st.sampled_from([b"", b"a"]))
    | st.tuples(
        st.just("array"),
        st.tuples(
            st.sampled_from(["<i4", ">i4", "<f4", "<u4", "|b1", "<c8", "<M8[s]", "<M8[D]", "<U3"]),
            st.sampled_from([(), (0,), (1,), (2, 3), (3, 2), (6,), (2, 0), (1, 2, 3)]),
            st.lists(st.integers(0, 2), min_size=1, max_size=3),
        ),
    )
    | st.tuples(
        st.just("masked"),
        st.sampled_from([((1, 2), (0, 1)), ((1, 2), (0, 0)), ((1, 3), (0, 1)), ((), ())]),
    )
    | st.tuples(
        st.just("structured"),
        st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, -0.0, 1.0])), max_size=2),
    )
    | st.tuples(
        st.just("random"),
        st.tuples(
            st.sampled_from(["Generator", "RandomState"]), st.integers(0, 1), st.integers(0, 1)
        ),
    )
    | st.tuples(
        st.just("scalar"),
        st.tuples(st.sampled_from(["f8", "f4", "i8", "i4", "?"]), st.integers(0, 1)),
    )
)
hashables = st.recursive(
    hashable_leaves,
    lambda inner: (
        st.tuples(st.sampled_from(["tuple", "frozenset"]), st.lists(inner, max_size=3).map(tuple))
        | st.tuples(st.sampled_from(["frozen", "point", "pair"]), st.tuples(inner, inner))
    ),
    max_leaves=4,
)


def extend(inner: Any) -> Any:
    two = st.tuples(inner, inner)
    pairs = st.lists(st.tuples(hashables, inner), max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
        lambda made: tuple(sorted(made.items(), key=lambda pair: pair[0]))
    )
    return (
        st.tuples(st.sampled_from(["list", "tuple", "objects"]), st.lists(inner, max_size=4))
        | st.tuples(
            st.just("deque"),
            st.tuples(st.sampled_from([None, 2, 3]), st.lists(inner, max_size=4)),
        )
        | st.tuples(st.sampled_from(["dict", "ordered", "default", "read_only", "counter"]), pairs)
        | st.tuples(st.just("chain"), st.lists(pairs, min_size=1, max_size=2))
        | st.tuples(st.just("namespace"), named)
        | st.tuples(
            st.just("error"),
            st.tuples(
                st.integers(0, 4),
                st.lists(inner, max_size=2),
                st.lists(st.sampled_from("ab"), max_size=2),
            ),
        )
        | st.tuples(st.sampled_from(["set", "frozenset"]), st.lists(hashables, max_size=4))
        | st.tuples(st.sampled_from(["box", "frozen", "slotted", "point", "pair"]), two)
        | st.tuples(st.just("plain"), named)
        | st.tuples(st.just("by_hand"), inner)
        | st.tuples(st.just("slice"), st.tuples(inner, inner, inner))
        | st.tuples(
            st.just("subclass"),
            st.tuples(st.just("list"), st.tuples(st.just("list"), st.lists(inner, max_size=2)))
            | st.tuples(st.just("dict"), st.tuples(st.just("dict"), pairs))
            | st.tuples(st.just("set"), st.tuples(st.just("set"), st.lists(hashables, max_size=3)))
            | st.tuples(st.just("int"), st.tuples(st.just("int"), integers))
            | st.tuples(st.just("str"), st.tuples(st.just("str"), texts)),
        )
    )


recipes = st.recursive(leaves, extend, max_leaves=12)


class Server:
    """One process that hashes batches of recipes."""

    def __init__(self, seed: str, variant: str, python: str = sys.executable) -> None:
        # Other Pythons need to have xxhash and numpy only.
        names = "attrs, pandas, polars, pyarrow, pydantic, scipy, sklearn"
        command = [python, "-c", f"import {names}"]
        self.has_libraries = (
            python == sys.executable
            or subprocess.run(command, capture_output=True, check=False).returncode == 0
        )
        self.process = subprocess.Popen(
            [python, "-m", "tests.properties.hash_server", variant],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, batch: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(pickle.dumps(batch).hex() + "\n")
        self.process.stdin.flush()

    def receive(self) -> list[str]:
        assert self.process.stdout is not None
        answer: list[str] = json.loads(self.process.stdout.readline())
        return answer

    def stop(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """Give processes with other seeds and orders of import, and those of other Pythons."""
    pythons = os.environ.get("TASKGRAPH_PYTHONS", "").split(os.pathsep)
    made = [Server("1", "one"), Server("4711", "other")]
    made += [Server("7", "other", python) for python in pythons if python]
    yield made
    for server in made:
        server.stop()


@settings(max_examples=100 * SCALE, **COMMON)
@given(batch=st.lists(recipes, min_size=10, max_size=30))
def test_equal_values_have_equal_hashes_in_every_process(servers: Any, batch: Any) -> None:
    for server in servers:
        server.send(batch)
    here = [hash_value(build(each)) for each in batch]

    for server in servers:
        assert server.receive() == here


@settings(max_examples=600 * SCALE, **COMMON)
@given(a=recipes, b=recipes)
def test_two_values_have_one_hash_exactly_if_they_are_the_same(a: Any, b: Any) -> None:
    first, second = build(a), build(b, other=True)

    assert (hash_value(first) == hash_value(second)) == same(first, second)


@settings(max_examples=300 * SCALE, **COMMON)
@given(batch=st.lists(hashables | leaves, min_size=2, max_size=12))
def test_no_two_different_small_values_share_a_hash(batch: Any) -> None:
    values = [build(each) for each in batch]
    hashes = [hash_value(each) for each in values]

    for i, first in enumerate(values):
        for j in range(i):
            assert (hashes[i] == hashes[j]) == same(first, values[j])


@settings(max_examples=300 * SCALE, **COMMON)
@given(recipe=recipes)
def test_a_stored_value_comes_back_with_its_hash(recipe: Any) -> None:
    value = build(recipe)
    value_hash = hash_value(value)

    format, payload = codec.encode(value)
    digest = codec.digest_bytes(payload)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    again = codec.decode(value_hash, name, format, payload, digest)

    assert hash_value(again) == value_hash
    assert same(again, value)


class _Number(IntEnum):
    ONE = 1


class _Odd(int):
    pass


# What marshal takes for bytes, of the very sizes that numbers have there; and what nearly is one.
_BYTES = [bytearray(), bytearray(4), bytearray(b"iiii"), memoryview(b"gggg"), b"", b"iiii"]
_SUBCLASSES = [_Number.ONE, _Odd(1), numpy.float64(0.5), numpy.int64(1), numpy.zeros(1, "u1")]
_LARGE = [2**31, -(2**31) - 1, 2**62, 0x69696969, math.nan, -0.0, 1.5]
_OTHERS = [True, None, "iiii", (), (105,), 105]
_NEARLY_NUMBERS = st.sampled_from([*_BYTES, *_SUBCLASSES, *_LARGE, *_OTHERS])


@settings(max_examples=500 * SCALE, **COMMON)
@given(
    st.sampled_from([0, 1, 0x69696969, -1, 0.5, -0.0, 2**31 - 1]),
    st.integers(60, 70),
    st.dictionaries(st.integers(0, 69), _NEARLY_NUMBERS, max_size=4),
    st.sampled_from([list, tuple]),
)
def test_a_row_of_numbers_is_told_by_what_is_written_as_by_looking_at_each(
    number: Any, count: int, others: dict[int, Any], kind: Any
) -> None:
    value = kind(others.get(place, number) for place in range(count))

    expected = hash_proven(value) if look_inside(value) > 0 else None
    assert hash_builtin(value) == expected
    assert is_builtin(value) == (look_inside(value) > 0)
    assert hash_builtin([value, 1]) == (None if expected is None else hash_proven([value, 1]))
