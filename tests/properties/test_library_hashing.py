"""Values of libraries: the same in every process and layout have one hash, all others another."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph.hashing import digest_bytes
from taskgraph.values import codec
from taskgraph.values.pack import pack
from taskgraph.values.weigh import hash_value
from tests.properties.libraries import (
    ARROW_TYPES,
    NO_NULLS,
    PANDAS_TYPES,
    POLARS_TYPES,
    build,
    canonical,
)
from tests.properties.test_hashing import COMMON, SCALE, servers

texts = st.sampled_from(["a", "b", "é"])


def columns_of(types: Any, size: Any = None) -> Any:
    """Return a strategy for columns: a type, and the numbers of contents."""

    def of_type(name: str) -> Any:
        item = st.integers(0, 4) if name in NO_NULLS and types is PANDAS_TYPES else nullable_item
        bounds = {"max_size": 4} if size is None else {"min_size": size, "max_size": size}
        return st.tuples(st.just(name), st.lists(item, **bounds).map(tuple))

    return st.sampled_from(sorted(types)).flatmap(of_type)


nullable_item = st.none() | st.integers(0, 4)


def tables_of(types: Any) -> Any:
    """Return a strategy for the columns of a table, with their names."""

    def named(size: int) -> Any:
        column = columns_of(types, size)
        names = st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a"), ("a", "b", "c")])
        return names.flatmap(
            lambda names: st.tuples(st.tuples(*[column] * len(names)), st.just(names))
        )

    return st.integers(0, 3).flatmap(named)


def index_of(size: int) -> Any:
    kinds = st.sampled_from(["range", "numbers", "texts", "moments", "levels"])
    return st.tuples(kinds, st.sampled_from([None, "i"]), st.just(size))


arrow = st.one_of(
    st.tuples(st.sampled_from(["arrow_array", "arrow_chunks"]), columns_of(ARROW_TYPES)),
    st.tuples(st.just("arrow_scalar"), columns_of(ARROW_TYPES, 1)),
    st.tuples(st.just("arrow_type"), st.sampled_from(sorted(ARROW_TYPES))),
    tables_of(ARROW_TYPES).map(lambda made: ("arrow_table", *made)),
    tables_of(ARROW_TYPES).map(lambda made: ("arrow_batch", *made)),
)
polars = st.one_of(
    st.tuples(st.just("polars_series"), columns_of(POLARS_TYPES), texts),
    tables_of(POLARS_TYPES).map(lambda made: ("polars_frame", *made)),
)
pandas = st.one_of(
    columns_of(PANDAS_TYPES).flatmap(
        lambda column: st.tuples(
            st.just("pandas_series"),
            st.just(column),
            st.sampled_from([None, "a", 1]),
            index_of(len(column[1])),
        )
    ),
    tables_of(PANDAS_TYPES).flatmap(
        lambda made: st.tuples(
            st.just("pandas_frame"),
            st.just(made[0]),
            st.just(made[1]),
            index_of(len(made[0][0][1])),
            st.sampled_from([(), (("k", 1),)]),
        )
    ),
    st.integers(0, 3).flatmap(index_of).map(lambda index: ("pandas_index", index)),
    st.tuples(
        st.just("pandas_scalar"),
        st.sampled_from(
            ["moment", "zoned", "coarse", "span", "period", "interval", "offset", "months"]
        ),
        st.integers(0, 2),
    ),
)
stored = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 3)), st.integers(1, 3), max_size=4
).map(lambda made: tuple(sorted((*place, number) for place, number in made.items())))
others = st.one_of(
    st.tuples(
        st.just("sparse"),
        st.sampled_from(["csr", "csc", "coo", "dia", "lil", "dok", "bsr"]),
        st.sampled_from(["array", "matrix"]),
        stored,
    ),
    st.tuples(
        st.just("model"),
        st.sampled_from(["pydantic", "other pydantic", "slots", "loose"]),
        st.integers(0, 2),
        st.sampled_from([None, 1, "a"]),
    ),
    st.tuples(
        st.just("model"), st.sampled_from(["estimator", "pipeline"]), st.integers(0, 1), st.none()
    ),
    st.tuples(st.just("model"), st.just("fitted"), st.integers(0, 1), st.integers(2, 3)),
)
FAMILIES = {"arrow": arrow, "polars": polars, "pandas": pandas, "others": others}
if importlib.util.find_spec("torch") is not None:
    FAMILIES["torch"] = st.one_of(
        st.tuples(
            st.just("torch"),
            st.sampled_from(["float32", "float64", "int64", "bfloat16", "bool"]),
            st.sampled_from([(), (0,), (2,), (2, 3), (3, 2)]),
            st.sampled_from([(0,), (1,), (0, 1)]),
        ),
        st.tuples(st.just("module"), st.integers(1, 2), st.integers(0, 1), st.booleans()),
    )
__all__ = ["servers"]
families = pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=[pytest.mark.torch][: name == "torch"]) for name in FAMILIES],
)


@families
def test_equal_values_have_equal_hashes_in_every_process(servers: Any, family: str) -> None:
    servers = [server for server in servers if server.has_libraries]

    @settings(max_examples=25 * SCALE, **COMMON)
    @given(batch=st.lists(FAMILIES[family], min_size=5, max_size=15))
    def check(batch: Any) -> None:
        recipes = [("library", each) for each in batch]
        for server in servers:
            server.send(recipes)
        here = [hash_value(build(each)) for each in batch]
        for server in servers:
            assert server.receive() == here

    check()


@families
def test_two_values_have_one_hash_exactly_if_they_are_the_same(family: str) -> None:
    @settings(max_examples=200 * SCALE, **COMMON)
    @given(one=FAMILIES[family], two=FAMILIES[family])
    def check(one: Any, two: Any) -> None:
        assert hash_value(build(one)) == hash_value(build(one, other=True))
        same = canonical(one) == canonical(two)
        assert (hash_value(build(one)) == hash_value(build(two, other=True))) == same

    check()


@families
def test_a_stored_value_comes_back_with_its_hash(family: str) -> None:
    @settings(max_examples=100 * SCALE, **COMMON)
    @given(recipe=FAMILIES[family], other=st.booleans(), is_inside=st.booleans())
    def check(recipe: Any, other: bool, is_inside: bool) -> None:
        value = build(recipe, other=other)
        value = [value, {"again": value}] if is_inside else value

        row = pack(value).values[0]
        again = codec.decode(
            row.value_hash, row.type, row.format, row.value, digest_bytes(row.value)
        )

        assert type(again) is type(value)
        assert hash_value(again) == row.value_hash

    check()


def test_only_what_is_met_is_imported() -> None:
    import subprocess

    code = (
        "import sys\n"
        "from taskgraph.values.pack import pack\n"
        "from tests.properties.recipes import build\n"
        "pack([build(('list', [('int', 1)])), {'a': object}])\n"
        "names = {'pandas', 'polars', 'pyarrow', 'scipy', 'sklearn', 'pydantic', 'torch'}\n"
        "print(sorted(names & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
