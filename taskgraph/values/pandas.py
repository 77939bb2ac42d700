"""The kinds of pandas: frames, series, indexes, arrays and scalars, by content.

By dtypes, labels and names too, but never by blocks, views, codes of a `MultiIndex` or where text
is kept. The encoding uses no ``__reduce__`` and names no module of pandas: both change with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import IO, Any

import numpy as np
import pandas as pd

from taskgraph.values import objects, pandas_format
from taskgraph.values.kinds import Shape, ValueKind, class_name, class_path
from taskgraph.values.preview import preview
from taskgraph.values.registry import register

_SHOWN = 6


def _own_class(cls: type) -> tuple[str, ...]:
    """Return where a class is; the name alone for pandas' own, which move between modules."""
    if cls.__module__.partition(".")[0] == "pandas":
        return (cls.__name__,)
    return class_path(cls)


def _extras(value: Any) -> tuple[list[str], list[Any]]:
    """Return what a subclass declares to be part of its values, by name."""
    names = [
        name for name in getattr(type(value), "_metadata", ()) if name not in ("name", "_name")
    ]
    return names, [getattr(value, name, None) for name in names]


def _array_of(values: Any) -> Any:
    """Return the array of a series or an index: numpy's own where that says all."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return values.to_numpy(copy=False)
    return values.array


class _Labels:
    """Names for the positions of children, for paths in errors."""

    def __init__(self, first: Sequence[str], columns: Any, last: Sequence[str]) -> None:
        self._first = first
        self._columns = columns
        self._last = last

    def __call__(self, position: int) -> str:
        if position < len(self._first):
            return self._first[position]
        position -= len(self._first)
        if position < len(self._columns):
            return f"[{preview(self._columns[position], 40)}]"
        return self._last[position - len(self._columns)]


class FrameKind(ValueKind):
    """Data frames: by index, columns, the content of each column, attributes and flags."""

    name = "pandas.DataFrame"

    def type_name(self, value: Any) -> str:
        """Return the name of this kind, or that of a subclass."""
        return self.name if type(value) is pd.DataFrame else class_name(type(value))

    def shape(self, value: Any) -> Shape:
        """Return the size, with labels and columns inside."""
        names, extras = _extras(value)
        # Of a frame with nothing besides: pandas copies the attributes for each column taken.
        bare = pd.DataFrame(value, copy=False)
        columns = [_array_of(bare.iloc[:, i]) for i in range(bare.shape[1])]
        state = (
            _own_class(type(value)),
            tuple(value.shape),
            bool(value.flags.allows_duplicate_labels),
            tuple(names),
        )
        inside = [value.index, value.columns, *columns, dict(value.attrs), *extras]
        last = [".attrs", *(f".{name}" for name in names)]
        labels = _Labels([".index", ".columns"], value.columns, last)
        return Shape(self.name, state, inside, labels)

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return the frame in Arrow's format; None if it would not come back exactly."""
        payload = pandas_format.write(value) if type(value) is pd.DataFrame else None
        return None if payload is None else (pandas_format.FORMAT, payload)

    def write(self, value: Any, sink: IO[bytes]) -> str | None:
        """Write the frame in Arrow's format; None if it would not come back exactly."""
        is_written = type(value) is pd.DataFrame and pandas_format.write_to(value, sink)
        return pandas_format.FORMAT if is_written else None

    def bytes_in(self, value: Any) -> int:
        """Return about how large the content is."""
        return int(value.memory_usage(index=False).sum())

    def decode(self, format: str, payload: bytes) -> Any:
        """Read a frame; never unpickles."""
        return _read(self.name, format, payload)

    def preview(self, value: Any) -> str:
        """Return the size and the first columns."""
        rows, width = value.shape
        first = [(value.columns[i], value.dtypes.iloc[i]) for i in range(min(width, _SHOWN))]
        shown = ", ".join(f"{preview(name, 20)}: {dtype}" for name, dtype in first)
        more = ", ..." if width > _SHOWN else ""
        return f"{type(value).__name__}({rows} x {width}, {{{shown}{more}}})"


class SeriesKind(ValueKind):
    """Series: by name, index, content, attributes and flags."""

    name = "pandas.Series"

    def type_name(self, value: Any) -> str:
        """Return the name of this kind, or that of a subclass."""
        return self.name if type(value) is pd.Series else class_name(type(value))

    def shape(self, value: Any) -> Shape:
        """Return the length, with name, labels and content inside."""
        names, extras = _extras(value)
        flag = bool(value.flags.allows_duplicate_labels)
        state = (_own_class(type(value)), len(value), flag, tuple(names))
        inside = [value.name, value.index, _array_of(value), dict(value.attrs), *extras]
        labels = [".name", ".index", "", ".attrs", *(f".{name}" for name in names)]
        return Shape(self.name, state, inside, labels.__getitem__)

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return a frame of one column in Arrow's format; None if it would not come back."""
        payload = pandas_format.write(value.to_frame()) if _is_column(value) else None
        return None if payload is None else (pandas_format.FORMAT, payload)

    def write(self, value: Any, sink: IO[bytes]) -> str | None:
        """Write a frame of one column in Arrow's format; None if it would not come back."""
        is_written = _is_column(value) and pandas_format.write_to(value.to_frame(), sink)
        return pandas_format.FORMAT if is_written else None

    def bytes_in(self, value: Any) -> int:
        """Return about how large the content is."""
        return int(value.memory_usage(index=False))

    def decode(self, format: str, payload: bytes) -> Any:
        """Read a series; never unpickles."""
        return _read(self.name, format, payload).iloc[:, 0].copy()

    def preview(self, value: Any) -> str:
        """Return name, dtype, length and the first items."""
        return _show_items(value, f"{preview(value.name, 20)}, ")


class IndexKind(ValueKind):
    """Indexes: by class, names and labels; how a `MultiIndex` numbers them does not count."""

    def shape(self, value: Any) -> Shape:
        """Return the class, with names and labels inside."""
        cls = _own_class(type(value))
        names = list(value.names)
        if isinstance(value, pd.RangeIndex):
            numbers = (value.start, value.stop, value.step)
            return Shape("pandas.Index", (*cls, numbers), names, lambda _: ".name")
        if isinstance(value, pd.MultiIndex):
            levels = [value.get_level_values(i) for i in range(value.nlevels)]
            arrays = [_array_of(level) for level in levels]
            state = (*cls, len(value), value.nlevels)
            return Shape("pandas.Index", state, [*names, *arrays])
        frequency = getattr(value, "freqstr", None)
        state = (*cls, len(value), frequency)
        inside = [*names, _array_of(value)]
        return Shape("pandas.Index", state, inside, [".name", ""].__getitem__)

    def preview(self, value: Any) -> str:
        """Return class, dtype, length and the first labels."""
        return _show_items(value, "")


def _is_column(value: Any) -> bool:
    """Tell whether a series is no more than a column of a frame."""
    has_more = value.attrs or not value.flags.allows_duplicate_labels
    return type(value) is pd.Series and type(value.name) is str and not has_more


def _read(name: str, format: str, payload: bytes) -> Any:
    if format != pandas_format.FORMAT:
        raise ValueError(f"{name} is stored as {pandas_format.FORMAT}, not as {format}")
    return pandas_format.read(payload)


def _show_items(value: Any, name: str) -> str:
    first = ", ".join(preview(each, 40) for each in islice(iter(value[:_SHOWN]), _SHOWN))
    more = ", ..." if len(value) > _SHOWN else ""
    return f"{type(value).__name__}({name}{value.dtype}, {len(value)} items, [{first}{more}])"


class ArrayKind(ValueKind):
    """Arrays of pandas' own dtypes: by dtype and content, but for what lies under missing items."""

    def shape(self, value: Any) -> Shape:
        """Return the dtype, with the content as what it is made of."""
        made = _take_apart(value)
        if made is None:
            return objects.OBJECT.shape(value)
        labels = [".dtype"] + [""] * len(made)
        return Shape("pandas.array", len(value), [value.dtype, *made], labels.__getitem__)

    def preview(self, value: Any) -> str:
        """Return class, dtype, length and the first items."""
        return _show_items(value, "")


def _take_apart(value: Any) -> list[Any] | None:  # noqa: PLR0911 - one line for each type
    """Return what an array is made of; None for arrays of strangers."""
    match type(value.dtype).__name__, value:
        case "CategoricalDtype", _:
            return [np.asarray(value.codes)]
        case "DatetimeTZDtype" | "PeriodDtype", _:
            return [value.asi8]
        case "IntervalDtype", _:
            return [_array_of(value.left), _array_of(value.right)]
        case "StringDtype", _:
            return list(_text_contents(value))
        case "ArrowDtype", _:
            return [value.__arrow_array__()]
        case "SparseDtype", _:
            return [np.asarray(value.sp_values), value.sp_index.to_int_index().indices]
        case _, pd.arrays.NumpyExtensionArray():
            return [value.to_numpy()]
        case _, pd.arrays.DatetimeArray() | pd.arrays.TimedeltaArray():
            return [value.to_numpy()]
        case (
            _,
            pd.arrays.IntegerArray() | pd.arrays.FloatingArray() | pd.arrays.BooleanArray(),
        ):
            missing = value.isna()
            return [missing, value.to_numpy(value.dtype.numpy_dtype, na_value=0)]
    return None


def _text_contents(value: Any) -> tuple[Any, Any, bytes]:
    """Return where text is missing, how long each is, and all of it: not where it is kept."""
    missing = np.asarray(value.isna())
    arrow = _find_arrow(value)
    if arrow is not None:
        from taskgraph.values import arrow as arrow_kinds

        sizes, content = list(arrow_kinds.contents(arrow_kinds.combine(arrow)))[1:]
        return missing, np.frombuffer(sizes, "<i8"), bytes(content)
    parts = [each.encode("utf-8", "surrogatepass") for each in value[~missing].to_numpy(object)]
    return missing, np.array([len(each) for each in parts], "<i8"), b"".join(parts)


def _find_arrow(value: Any) -> Any:
    if getattr(value.dtype, "storage", "") != "pyarrow":
        return None
    import pyarrow as pa

    made = value.__arrow_array__()
    return made if isinstance(made, pa.ChunkedArray) else pa.chunked_array([made])


class DtypeKind(ValueKind):
    """Dtypes of pandas' own: by what they are called, and what they hold."""

    def shape(self, value: Any) -> Shape:  # noqa: PLR0911 - one line for each type
        """Return name and parameters, with the values in these inside."""
        cls = _own_class(type(value))
        match type(value).__name__:
            case "CategoricalDtype":
                return Shape("pandas.dtype", (*cls, bool(value.ordered)), (value.categories,))
            case "DatetimeTZDtype":
                return Shape("pandas.dtype", (*cls, value.unit), (value.tz,))
            case "IntervalDtype":
                return Shape("pandas.dtype", (*cls, value.closed), (value.subtype,))
            case "StringDtype":
                # Where text is kept is chosen by what is installed.
                return Shape("pandas.dtype", cls, (value.na_value,))
            case "ArrowDtype":
                return Shape("pandas.dtype", cls, (value.pyarrow_dtype,))
            case "SparseDtype":
                return Shape("pandas.dtype", cls, (value.subtype, value.fill_value))
        return Shape("pandas.dtype", (*cls, str(value)))


class TimestampKind(ValueKind):
    """Timestamps: by their number of units, their fold and their zone."""

    def shape(self, value: Any) -> Shape:
        """Return the numbers, with the time zone inside."""
        # The number is that of UTC, so the fold is the zone's and the number's own affair.
        number = int(value.to_numpy().view("i8"))
        state = (value.unit, number)
        return Shape("pandas.Timestamp", state, (value.tzinfo,), lambda _: ".tzinfo")


class TimedeltaKind(ValueKind):
    """Spans of time: by their number of units."""

    def shape(self, value: Any) -> Shape:
        """Return the numbers."""
        return Shape("pandas.Timedelta", (value.unit, int(value.to_numpy().view("i8"))))


class PeriodKind(ValueKind):
    """Periods: by their number and frequency."""

    def shape(self, value: Any) -> Shape:
        """Return the numbers."""
        return Shape("pandas.Period", (value.ordinal, value.freqstr))


class IntervalKind(ValueKind):
    """Intervals: by their ends, and which of these are inside."""

    def shape(self, value: Any) -> Shape:
        """Return which ends are inside, with the ends."""
        ends = (value.left, value.right)
        return Shape("pandas.Interval", value.closed, ends, [".left", ".right"].__getitem__)


class OffsetKind(ValueKind):
    """Offsets of dates: by class, number and parameters."""

    def shape(self, value: Any) -> Shape:
        """Return the class with numbers, and the parameters by name inside."""
        parameters = dict(sorted(value.kwds.items()))
        calendar = parameters.get("calendar")
        if isinstance(calendar, np.busdaycalendar):
            # It follows from the holidays and the mask of the week, which are here too.
            del parameters["calendar"]
        state = (*_own_class(type(value)), value.n, bool(value.normalize))
        return Shape("pandas.offset", state, (parameters,), lambda _: ".kwds")


class MissingKind(ValueKind):
    """`NaT` and `NA`, of which there is one each."""

    def __init__(self, called: str) -> None:
        self._called = called

    def shape(self, value: Any) -> Shape:
        """Return what it is called."""
        return Shape(self._called)


def register_pandas() -> None:
    """Register the kinds of pandas' types."""
    offset = next(base for base in pd.offsets.Day.__mro__ if base.__name__ == "BaseOffset")
    for cls, kind in (
        (pd.DataFrame, FrameKind()),
        (pd.Series, SeriesKind()),
        (pd.Index, IndexKind()),
        (pd.api.extensions.ExtensionArray, ArrayKind()),
        (pd.api.extensions.ExtensionDtype, DtypeKind()),
        (pd.Period, PeriodKind()),
        (pd.Interval, IntervalKind()),
        (offset, OffsetKind()),
    ):
        register(cls, kind, subclasses=True)
    register(pd.Timestamp, TimestampKind())
    register(pd.Timedelta, TimedeltaKind())
    register(type(pd.NaT), MissingKind("pandas.NaT"))
    register(type(pd.NA), MissingKind("pandas.NA"))


__all__ = ["register_pandas"]
