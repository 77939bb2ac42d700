"""polars: what counts of frames and series, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import polars as pl
import pytest

from taskgraph.errors import UnhashableValueError, UnstorableValueError
from taskgraph.values import codec
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_named, kind_of
from taskgraph.values.weigh import hash_value


class Measured(pl.DataFrame):
    pass


def test_chunks_and_categories_do_not_count() -> None:
    parts = [pl.Series("a", [text], pl.Categorical) for text in ("x", "y")]

    assert hash_value(pl.concat(parts, rechunk=False)) == hash_value(
        pl.Series("a", ["y", "x", "y"], pl.Categorical)[1:]
    )


def test_each_part_of_a_frame_counts() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    values = [
        frame,
        frame.select("b", "a"),
        frame.rename({"a": "c"}),
        frame.cast({"a": pl.Int32}),
        frame.with_columns(b=pl.lit("x")),
        frame.head(1),
        frame.head(0),
        frame["a"],
        Measured(frame),
        pl.DataFrame(),
    ]

    assert len({hash_value(each) for each in values}) == len(values)


def test_nested_types_are_told_apart() -> None:
    values = [
        pl.Series([[1], [2]]),
        pl.Series([[1, 2], []]),
        pl.Series([[1, 2], None]),
        pl.Series([[1], [2]], dtype=pl.Array(pl.Int64, 1)),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([{"a": 1}, None]),
        pl.Series([{"a": 1}, {"a": None}]),
        pl.Series([[None], [1]]),
        pl.Series([], dtype=pl.List(pl.Int64)),
        pl.Series([], dtype=pl.List(pl.Int8)),
        pl.Series([2**100], dtype=pl.Int128),
        pl.Series([b"a"]),
        pl.Series(["a"]),
        pl.Series(["a"], dtype=pl.Enum(["a"])),
        pl.Series(["a"], dtype=pl.Enum(["a", "b"])),
        pl.Series([None, None]),
    ]

    assert len({hash_value(each) for each in values}) == len(values)


def test_types_count_as_classes_and_as_instances_alike() -> None:
    assert hash_value(pl.Int64) == hash_value(pl.Int64())
    assert hash_value(pl.Datetime("us")) != hash_value(pl.Datetime("ms"))
    assert hash_value(pl.Struct({"a": pl.Int8})) != hash_value(pl.Struct({"b": pl.Int8}))


@pytest.mark.parametrize("plan", [pl.LazyFrame({"a": [1]}), pl.col("a") + 1])
def test_plans_are_refused_with_a_way_out(plan: Any) -> None:
    with pytest.raises(UnhashableValueError, match=r"collect\(\)ed|inside of the task"):
        hash_value(plan)
    assert preview(plan).startswith("<polars ")


def test_frames_are_never_unpickled() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": [["x"], []]})

    format, payload = codec.encode(frame)

    assert format == "arrow"
    assert kind_of(frame).decode(format, payload).equals(frame)
    for name in ("polars.DataFrame", "polars.Series"):
        with pytest.raises(ValueError, match="is stored as arrow"):
            kind_named(name).decode("pickle", pickle.dumps(1))


def test_objects_in_a_series_are_hashed_and_cannot_be_stored() -> None:
    one, two = (pl.Series([{"a"}, {number}], dtype=pl.Object) for number in (1, 2))

    assert hash_value(one) != hash_value(two)
    with pytest.raises(UnstorableValueError):
        codec.encode(one)


def test_previews_show_the_start() -> None:
    frame = pl.DataFrame({"a": range(1000), "b": ["x"] * 1000})

    assert preview(frame) == "polars.DataFrame(1000 x 2, {'a': Int64, 'b': String})"
    assert preview(frame["a"]) == "polars.Series('a', Int64, 1000 items, [0, 1, 2, 3, 4, 5, ...])"
