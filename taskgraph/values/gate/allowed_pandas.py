"""What of pandas is let in: frames, series, indexes, arrays and scalars, put together anew.

pandas' own pickles are its insides: blocks with their places, codes of categories, levels with
codes. It takes them as they come, and a code that is too large is read from anywhere in memory.
Here they are taken apart, and given to the doors that users go through, which check them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from taskgraph.values.gate.refusals import Pending, Rule, check

_EXTENSION = pd.api.extensions.ExtensionArray
_STRINGS: Any = getattr(pd.arrays, "ArrowStringArray", None)


class _Block(NamedTuple):
    values: Any
    places: Any


class _Manager(NamedTuple):
    blocks: tuple[_Block, ...]
    axes: tuple[Any, ...]


def _is_array(thing: Any) -> bool:
    return isinstance(thing, np.ndarray | _EXTENSION)


# Frames and series


def _block(values: Any, places: Any, ndim: Any = None) -> _Block:
    check(_is_array(values), "a block of something else than an array")
    if type(places) is slice:
        said = (places.start, places.stop, places.step)
        check(all(type(each) in (int, type(None)) for each in said), "a block without places")
    else:
        is_list = isinstance(places, np.ndarray) and places.dtype.kind in "iu"
        check(is_list, "a block without places")
    return _Block(values, places)


def _manager(blocks: Any, axes: Any) -> _Manager:
    check(
        type(blocks) in (list, tuple)
        and all(type(each) is _Block for each in blocks)
        and type(axes) is list
        and len(axes) == 2
        and all(isinstance(each, pd.Index) for each in axes),
        "a frame without columns",
    )
    return _Manager(tuple(blocks), tuple(axes))


def _single_manager() -> Pending:
    def build(state: Any) -> _Manager:
        check(type(state) is tuple and len(state) >= 4 and type(state[3]) is dict, "no series")
        said = state[3].get("0.14.1")
        check(
            type(said) is dict
            and type(said.get("axes")) is list
            and len(said["axes"]) == 1
            and isinstance(said["axes"][0], pd.Index)
            and type(said.get("blocks")) is list
            and len(said["blocks"]) == 1
            and type(said["blocks"][0]) is dict
            and _is_array(said["blocks"][0].get("values")),
            "a series without content",
        )
        return _Manager((_Block(said["blocks"][0]["values"], None),), (said["axes"][0],))

    return Pending(build, "a series")


def _held(state: Any, what: str) -> tuple[_Manager, dict[Any, Any], bool]:
    check(type(state) is dict and type(state.get("_mgr")) is _Manager, f"{what} without content")
    known = {"_mgr", "_typ", "_metadata", "attrs", "_attrs", "_flags", "_name"}
    check(set(state) <= known, f"{what} with attributes of its own")
    attrs, flags = state.get("_attrs", state.get("attrs")) or {}, state.get("_flags") or {}
    check(type(attrs) is dict and type(flags) is dict, f"{what} with attributes that are none")
    return state["_mgr"], attrs, flags.get("allows_duplicate_labels", True) is not False


def _new_frame() -> Pending:
    def build(state: Any) -> Any:
        manager, attrs, allows_twice = _held(state, "a frame")
        check(len(manager.axes) == 2, "a frame with one axis")
        columns, index = manager.axes
        found: dict[int, Any] = {}
        for block in manager.blocks:
            places = block.places
            where = range(len(columns))[places] if type(places) is slice else places.tolist()
            rows = list(block.values) if block.values.ndim == 2 else [block.values]
            check(len(rows) == len(where), "a frame with a column too many")
            found.update(zip(where, rows, strict=True))
        check(sorted(found) == list(range(len(columns))), "a frame without one of its columns")
        check(all(len(each) == len(index) for each in found.values()), "a frame with gaps")
        series = {
            i: pd.Series(found[i], index=index, dtype=found[i].dtype) for i in range(len(columns))
        }
        made = pd.DataFrame(series, index=index)
        made.columns = columns
        return _marked(made, attrs, allows_twice)

    return Pending(build, "a frame")


def _new_series() -> Pending:
    def build(state: Any) -> Any:
        manager, attrs, allows_twice = _held(state, "a series")
        values, index = manager.blocks[0].values, manager.axes[0]
        check(len(manager.axes) == 1 and values.ndim == 1, "a series of columns")
        check(len(values) == len(index), "a series with gaps")
        made = pd.Series(values, index=index, dtype=values.dtype, name=state.get("_name"))
        return _marked(made, attrs, allows_twice)

    return Pending(build, "a series")


def _marked(made: Any, attrs: dict[Any, Any], allows_twice: bool) -> Any:
    made.attrs = attrs
    return made if allows_twice else made.set_flags(allows_duplicate_labels=False)


# Indexes


def _index(cls: Any, said: Any) -> Any:
    check(type(said) is dict and all(type(name) is str for name in said), "an index without parts")
    if cls is pd.RangeIndex:
        steps = [said.get(name) for name in ("start", "stop", "step")]
        check(all(type(each) is int for each in steps), "a range of something else than numbers")
        return pd.RangeIndex(*steps, name=said.get("name"))
    if cls is pd.MultiIndex:
        levels, codes = said.get("levels"), said.get("codes")
        check(
            type(levels) in (list, tuple)
            and all(isinstance(each, pd.Index) for each in levels)
            and type(codes) in (list, tuple)
            and all(isinstance(each, np.ndarray) and each.dtype.kind == "i" for each in codes),
            "an index without levels",
        )
        order = said.get("sortorder")
        return pd.MultiIndex(levels, codes, order, said.get("names"), verify_integrity=True)
    if cls is pd.IntervalIndex:
        sides = [said.get("left"), said.get("right")]
        check(all(isinstance(each, pd.Index) for each in sides), "intervals without ends")
        return pd.IntervalIndex.from_arrays(
            *sides, closed=said.get("closed"), name=said.get("name")
        )
    content = said.get("data")
    is_known = any(cls is each for each in _PLAIN_INDEXES)
    check(is_known and _is_array(content), "an index of something else than an array")
    check(set(said) <= {"data", "name", "freq", "tz", "copy", "dtype"}, "an index with more parts")
    made = pd.Index(content, dtype=content.dtype, name=said.get("name"), copy=False)
    check(type(made) is cls, "an index of another class than its content")
    freq = said.get("freq")
    if freq is not None:
        check(isinstance(freq, pd.offsets.BaseOffset), "a frequency that is none")
        made.freq = freq
    return made


_PLAIN_INDEXES = (
    pd.Index,
    pd.CategoricalIndex,
    pd.DatetimeIndex,
    pd.TimedeltaIndex,
    pd.PeriodIndex,
)


# Arrays and their types


def _backed(cls: Any, number: Any, state: Any) -> Pending:
    def build(state: Any) -> Any:
        check(type(state) is tuple and len(state) >= 2, "an array without content")
        dtype, content = (state[0], state[1])
        if isinstance(dtype, np.ndarray):
            dtype, content = content, dtype
        check(isinstance(content, np.ndarray), "an array without content")
        if cls is pd.Categorical:
            check(isinstance(dtype, pd.CategoricalDtype), "categories that are none")
            return pd.Categorical.from_codes(content, dtype=dtype)
        if cls is pd.arrays.PeriodArray:
            check(isinstance(dtype, pd.PeriodDtype), "periods without a length")
            return pd.arrays.PeriodArray(content, dtype=dtype)
        kind = "M" if cls is pd.arrays.DatetimeArray else "m"
        check(
            cls in (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)
            and content.dtype.kind in (kind, "i")
            and np.datetime_data(content.dtype if content.dtype.kind == kind else f"{kind}8[ns]"),
            "times of another class",
        )
        if isinstance(dtype, pd.DatetimeTZDtype):
            plain: Any = pd.DatetimeIndex(content.ravel()).as_unit(dtype.unit).tz_localize("UTC")
            made = plain.tz_convert(dtype.tz).array
        else:
            check(isinstance(dtype, np.dtype) and dtype.kind == kind, "times without a unit")
            made = pd.Index(content.ravel(), dtype=dtype).array
        return made if content.ndim == 1 else made.reshape(content.shape)

    return Pending(build, "an array")


def _masked(cls: Any) -> Callable[[], Pending]:
    def build(state: Any) -> Any:
        check(
            type(state) is dict
            and isinstance(state.get("_data"), np.ndarray)
            and isinstance(state.get("_mask"), np.ndarray),
            "an array without content",
        )
        return cls(state["_data"], state["_mask"])

    return lambda: Pending(build, "an array")


def _new_strings() -> Pending:
    def build(state: Any) -> Any:
        import pyarrow as pa

        check(type(state) is dict and isinstance(state.get("_dtype"), pd.StringDtype), "no text")
        content = state.get("_pa_array", state.get("_data"))
        check(isinstance(content, pa.Array | pa.ChunkedArray), "text without content")
        if isinstance(content, pa.Array):
            content = pa.chunked_array([content])
        check(content.type in (pa.string(), pa.large_string()), "text that is something else")
        return _STRINGS(content, dtype=state["_dtype"])

    return Pending(build, "text")


def _text_type(storage: Any = None, missing: Any = None) -> Any:
    check(storage in ("python", "pyarrow"), "text that is kept elsewhere")
    return pd.StringDtype(storage, missing)


def _new_categories() -> Pending:
    def build(state: Any) -> Any:
        check(type(state) is dict, "categories that are none")
        categories, ordered = state.get("categories"), state.get("ordered")
        check(isinstance(categories, pd.Index | type(None)), "categories that are none")
        return pd.CategoricalDtype(categories, bool(ordered))

    return Pending(build, "categories")


def _new_zoned() -> Pending:
    import datetime

    def build(state: Any) -> Any:
        check(type(state) is dict and isinstance(state.get("tz"), datetime.tzinfo), "no time zone")
        return pd.DatetimeTZDtype(state.get("unit", "ns"), state["tz"])

    return Pending(build, "times with a time zone")


def _period_type(text: Any) -> Any:
    check(type(text) is str or isinstance(text, pd.offsets.BaseOffset), "periods without a length")
    return pd.PeriodDtype(
        text.removeprefix("period[").removesuffix("]") if type(text) is str else text
    )


def _as_made(inst: Any, state: Any) -> Any:
    """Leave a type without parameters as it is: its state is what it has worked out of itself."""
    return inst


# Scalars


def _timestamp(value: Any, freq: Any = None, zone: Any = None, unit: Any = 10) -> Any:
    from pandas._libs.tslibs import timestamps

    check(type(value) is int and type(unit) is int, "a time that is no number")
    return timestamps._unpickle_timestamp(value, None, zone, unit)


def _timedelta(value: Any, unit: Any = 10) -> Any:
    from pandas._libs.tslibs import timedeltas

    check(type(value) is int and type(unit) is int, "a time that is no number")
    return timedeltas._timedelta_unpickle(value, unit)


def _period(value: Any, freq: Any, ordinal: Any = None) -> Any:
    check(value is None and isinstance(freq, pd.offsets.BaseOffset), "a period without a length")
    check(type(ordinal) is int, "a period that is no number")
    return pd.Period(ordinal=ordinal, freq=freq)


def _offset(cls: Any) -> Callable[..., Any]:
    def make(*args: Any) -> Any:
        check(all(type(each) in (int, bool, type(None), str) for each in args), "a wrong offset")
        return cls(*args)

    return make


_SCALARS: dict[str, Rule] = {
    "_unpickle_timestamp": Rule(call=_timestamp),
    "_timedelta_unpickle": Rule(call=_timedelta),
    "_nat_unpickle": Rule(call=lambda *_: pd.NaT),
    "NA": Rule(),
    "Period": Rule(call=_period),
    "Interval": Rule(call=pd.Interval),
}

_RULES: dict[str, Rule] = {
    **_SCALARS,
    "DataFrame": Rule(new=_new_frame),
    "Series": Rule(new=_new_series),
    "BlockManager": Rule(call=_manager),
    "SingleBlockManager": Rule(new=_single_manager),
    "_unpickle_block": Rule(call=_block),
    **dict.fromkeys(
        (
            "_new_Index",
            "_new_DatetimeIndex",
            "_new_TimedeltaIndex",
            "_new_PeriodIndex",
            "_new_IntervalIndex",
        ),
        Rule(call=_index),
    ),
    **{cls.__name__: Rule() for cls in (*_PLAIN_INDEXES, pd.RangeIndex, pd.MultiIndex)},
    "IntervalIndex": Rule(),
    "__pyx_unpickle_NDArrayBacked": Rule(call=_backed),
    "DatetimeArray": Rule(),
    "TimedeltaArray": Rule(),
    "PeriodArray": Rule(),
    "Categorical": Rule(),
    "IntegerArray": Rule(new=_masked(pd.arrays.IntegerArray)),
    "FloatingArray": Rule(new=_masked(pd.arrays.FloatingArray)),
    "BooleanArray": Rule(new=_masked(pd.arrays.BooleanArray)),
    "ArrowStringArray": Rule(new=_new_strings),
    "StringDtype": Rule(call=_text_type),
    "CategoricalDtype": Rule(new=_new_categories),
    "DatetimeTZDtype": Rule(new=_new_zoned),
    "PeriodDtype": Rule(call=_period_type),
    **{
        name: Rule(new=getattr(pd, name), build=_as_made)
        for name in (
            *("BooleanDtype", "Float32Dtype", "Float64Dtype"),
            *(f"{sign}Int{bits}Dtype" for sign in ("", "U") for bits in (8, 16, 32, 64)),
        )
    },
    **{
        name: Rule(call=_offset(getattr(pd.offsets, name)))
        for name in (
            *("Day", "Hour", "Minute", "Second", "Milli", "Micro", "Nano", "Week"),
            *("MonthEnd", "MonthBegin", "QuarterEnd", "QuarterBegin", "YearEnd", "YearBegin"),
            *("BusinessDay", "BDay", "BMonthEnd", "BMonthBegin"),
        )
    },
}


class _Modules(Mapping[str, dict[str, Any]]):
    """The same names in whatever module of pandas: it moves them from version to version.

    What was not imported with pandas is none of them.
    """

    def __getitem__(self, module: str) -> dict[str, Any]:
        if module.partition(".")[0] != "pandas" or module not in sys.modules:
            raise KeyError(module)
        return {name: rule for name, rule in _RULES.items() if hasattr(sys.modules[module], name)}

    def __iter__(self) -> Any:
        return (name for name in list(sys.modules) if name.partition(".")[0] == "pandas")

    def __len__(self) -> int:
        return sum(1 for _ in self)


#: By module and name.
TABLE: Mapping[str, dict[str, Any]] = _Modules()

__all__ = ["TABLE"]
