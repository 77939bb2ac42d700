"""pandas: what counts of frames and series, and what they are stored as."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taskgraph.errors import UnhashableValueError
from taskgraph.values import codec, pandas_format
from taskgraph.values.pack import pack
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_named, kind_of
from taskgraph.values.weigh import hash_value


class Measured(pd.DataFrame):
    _metadata = ["unit"]  # noqa: RUF012 - pandas wants it so

    @property
    def _constructor(self) -> Any:
        return Measured


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns or {"a": [1, 2], "b": ["x", None]})


def read_back(value: Any) -> Any:
    row = pack(value).values[0]
    return codec.decode(row.value_hash, row.type, row.format, row.value, row.content_digest)


def test_blocks_views_and_copies_do_not_count() -> None:
    whole = pd.DataFrame({"a": [1, 9, 2], "b": [3, 9, 4], "c": [0.5, 9.0, 1.5]})
    view = whole.iloc[::2].reset_index(drop=True)
    pieces = pd.DataFrame({"a": [1, 2]})
    pieces["b"] = [3, 4]
    pieces["c"] = [0.5, 1.5]

    assert hash_value(view) == hash_value(pieces) == hash_value(pieces.copy())
    assert hash_value(view[["a", "b"]]) == hash_value(
        pd.DataFrame(np.array([[1, 3], [2, 4]]), columns=["a", "b"])
    )


def test_each_part_of_a_frame_counts() -> None:
    named, flagged, noted = frame(), frame().set_flags(allows_duplicate_labels=False), frame()
    named.columns.name = "letters"
    noted.attrs["source"] = "here"
    measured = Measured(frame())
    measured.unit = "m"
    values = [
        frame(),
        frame().set_index("a"),
        frame().set_axis(pd.Index(np.array([0, 1]))),
        frame().rename(columns={"a": "c"}),
        frame()[["b", "a"]],
        frame().astype({"a": "int32"}),
        frame().astype({"a": "Int64"}),
        frame().astype({"b": object}),
        frame().astype({"b": "category"}),
        named,
        flagged,
        noted,
        Measured(frame()),
        measured,
        pd.DataFrame(),
        pd.DataFrame(index=[0, 1]),
        frame().iloc[:0],
        frame()["a"],
        frame()["a"].rename("c"),
        frame()["a"].array,
        frame().index,
    ]

    assert len({hash_value(each) for each in values}) == len(values)


def test_which_value_stands_for_a_missing_one_counts_in_columns_of_objects() -> None:
    missing = [None, float("nan"), pd.NA, pd.NaT]
    hashes = {hash_value(pd.Series(["a", each], dtype=object)) for each in missing}

    assert len(hashes) == len(missing)


def test_where_text_is_kept_does_not_count() -> None:
    kept = [
        pd.Series(["a", None, "é"], dtype=pd.StringDtype(storage, na_value=np.nan))
        for storage in ("python", "pyarrow")
    ]

    assert hash_value(kept[0]) == hash_value(kept[1])
    assert hash_value(kept[0]) != hash_value(kept[0].astype("string"))


def test_what_lies_under_a_missing_value_does_not_count() -> None:
    one = pd.arrays.IntegerArray(np.array([1, 2]), np.array([False, True]))
    two = pd.arrays.IntegerArray(np.array([1, 3]), np.array([False, True]))

    assert hash_value(one) == hash_value(two)
    assert hash_value(one) != hash_value(pd.array([1, 2], dtype="Int64"))


def test_levels_that_nothing_uses_do_not_count() -> None:
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    used = index[:2]

    assert len(used.levels[0]) == 2
    assert hash_value(used) == hash_value(used.remove_unused_levels())
    assert hash_value(used) != hash_value(index)


def test_frequencies_and_zones_count() -> None:
    moments = pd.DatetimeIndex(["2020-01-01", "2020-01-02"])
    values = [
        moments,
        pd.DatetimeIndex(moments, freq="D"),
        moments.tz_localize("UTC"),
        moments.tz_localize("Europe/Berlin"),
        moments.as_unit("s"),
        moments.to_period("D"),
    ]

    assert len({hash_value(each) for each in values}) == len(values)


def test_scalars_count_by_type_and_content() -> None:
    values = [
        pd.Timestamp("2020"),
        pd.Timestamp("2020", tz="UTC"),
        pd.Timestamp("2020").to_pydatetime(),
        pd.Timedelta("1D"),
        pd.Timedelta("1D").to_pytimedelta(),
        pd.Period("2020", "D"),
        pd.Period("2020", "M"),
        pd.Interval(0, 1),
        pd.Interval(0, 1, closed="left"),
        pd.NaT,
        pd.NA,
        None,
        pd.offsets.Day(1),
        pd.offsets.Day(2),
        pd.offsets.BDay(1),
        pd.offsets.CustomBusinessDay(holidays=["2020-01-01"]),
        pd.offsets.CustomBusinessDay(holidays=["2020-01-02"]),
        pd.CategoricalDtype(["a"]),
        pd.CategoricalDtype(["a"], ordered=True),
        pd.Int64Dtype(),
    ]

    assert len({hash_value(each) for each in values}) == len(values)


def test_an_error_names_the_column_and_the_row() -> None:
    value = pd.DataFrame({"a": [1, 2], "b": [None, threading.Lock()]})

    with pytest.raises(UnhashableValueError) as caught:
        hash_value({"df": value}, "args.x")

    assert caught.value.path == """args.x["df"]['b'][1]"""


@pytest.mark.parametrize(
    "value",
    [
        frame(),
        frame(a=[0.5, float("nan")], b=pd.to_datetime(["2020", None])),
        frame().set_index("a"),
        frame()[["b"]].set_index(pd.Index(["x", "y"], name="i")),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        frame()["a"],
        frame().iloc[:0],
        frame(a=pd.array(["x", pd.NA], dtype="string")),
    ],
)
def test_plain_frames_come_back_from_arrow_and_can_be_changed(value: Any) -> None:
    again = read_back(value)

    assert codec.encode(value)[0] == pandas_format.FORMAT
    assert hash_value(again) == hash_value(value)
    if len(again):
        first = (0, 0) if again.ndim == 2 else 0
        again.iloc[first] = again.iloc[first]


@pytest.mark.parametrize(
    "value",
    [
        frame().astype(object),
        frame().astype("category"),
        frame().set_index(["a", "b"]),
        frame(a=pd.array(["\ud800", "b"], dtype=pd.StringDtype("python"))),
        Measured(frame()),
        frame().set_flags(allows_duplicate_labels=False),
        frame()["a"].rename(1),
        frame()["a"].rename("a").set_flags(allows_duplicate_labels=False),
        pd.DataFrame(),
        pd.DataFrame({1: [1]}),
    ],
)
def test_all_other_frames_are_pickled(value: Any) -> None:
    assert codec.encode(value)[0] == codec.PICKLE
    assert hash_value(read_back(value)) == hash_value(value)


def test_without_arrow_all_frames_are_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pandas_format, "find_spec", lambda name: None)

    assert codec.encode(frame())[0] == codec.PICKLE


@pytest.mark.parametrize("name", ["pandas.DataFrame", "pandas.Series"])
def test_an_unknown_format_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is stored as"):
        kind_named(name).decode("other", b"")


def test_a_preview_shows_the_start_of_a_large_frame_at_once() -> None:
    value = pd.DataFrame(np.zeros((10, 20_000)))
    long = pd.Series(np.arange(5_000_000), name="x")
    started = time.perf_counter()

    shown = [preview(value), preview(long), preview(long.index), preview(long.array)]

    assert shown[0].startswith("DataFrame(10 x 20000, {0: float64, 1: float64")
    assert shown[1] == "Series('x', int64, 5000000 items, [0, 1, 2, 3, 4, 5, ...])".replace(
        "0, 1, 2", "0, 1, 2"
    )
    assert time.perf_counter() - started < 5


def test_kinds_are_found_for_subclasses_too() -> None:
    assert kind_of(Measured()) is kind_of(frame())
    assert kind_of(Measured()).type_name(Measured()).endswith(".Measured")
