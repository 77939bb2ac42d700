"""The kinds of polars' frames and series: by type and content, never by chunks or codes.

A column is hashed as one array without nulls, and with where these were. Stored in Arrow's format
as polars writes it. Plans (lazy frames, expressions) have no encoding that outlives a version.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import polars as pl

from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.objects import refuse
from taskgraph.values.preview import preview
from taskgraph.values.registry import register

ARROW = "arrow"

Buffer = memoryview | bytes
_SHOWN = 6
_TEMPORAL = (pl.Date, pl.Datetime, pl.Duration, pl.Time)


def describe_type(dtype: Any) -> Any:  # noqa: PLR0911 - one line for each type
    """Return a type as plain data; a class of types is the same as its instance."""
    if isinstance(dtype, type):
        try:
            dtype = dtype()
        except TypeError:
            return dtype.__name__
    match dtype:
        case pl.List():
            return ("List", describe_type(dtype.inner))
        case pl.Array():
            return ("Array", describe_type(dtype.inner), tuple(dtype.shape))
        case pl.Struct():
            return ("Struct", *((each.name, describe_type(each.dtype)) for each in dtype.fields))
        case pl.Enum():
            return ("Enum", *dtype.categories.to_list())
        case pl.Datetime():
            return ("Datetime", dtype.time_unit, dtype.time_zone)
        case pl.Duration():
            return ("Duration", dtype.time_unit)
        case pl.Decimal():
            return ("Decimal", dtype.precision, dtype.scale)
    return type(dtype).__name__


def contents(series: Any) -> Iterator[Buffer]:
    """Yield the content of a series: as many buffers as its type has, whatever its layout."""
    dtype = series.dtype
    if dtype == pl.Null:
        return
    if series.null_count():
        yield _fixed(series.is_not_null().cast(pl.UInt8))
        series = series.drop_nulls()
    else:
        yield b""
    if isinstance(dtype, pl.Struct):
        for name in series.struct.fields:
            yield from contents(series.struct.field(name))
    elif isinstance(dtype, pl.List):
        sizes = series.list.len()
        yield _fixed(sizes.cast(pl.Int64))
        yield from contents(series.filter(sizes > 0).explode())
    elif isinstance(dtype, pl.Array):
        inner = series.explode() if dtype.size else series.arr.to_list().explode().head(0)
        yield from contents(inner)
    elif dtype == pl.Boolean:
        yield _fixed(series.cast(pl.UInt8))
    elif isinstance(dtype, _TEMPORAL):
        yield _fixed(series.to_physical())
    elif dtype == pl.Binary:
        yield from _byte_contents(series.to_list())
    elif dtype.is_float() or (dtype.is_integer() and "128" not in str(dtype)):
        yield _fixed(series)
    else:
        # Text; and what is told apart by its text: categories, decimals, very large integers.
        text = series.cast(pl.String)
        yield _fixed(text.str.len_bytes().cast(pl.Int64))
        yield (text.str.join("").item() or "").encode() if len(text) else b""


def _byte_contents(items: list[bytes]) -> Iterator[Buffer]:
    yield np.array([len(each) for each in items], "<i8").tobytes()
    yield b"".join(items)


def _fixed(series: Any) -> Buffer:
    if not len(series):
        return b""
    array = np.ascontiguousarray(series.rechunk().to_numpy())
    return memoryview(array.view(np.uint8))  # type: ignore[arg-type]  # has a buffer since always


def _has_object(dtype: Any) -> bool:
    return bool(dtype.is_nested() and "Object" in str(dtype)) or dtype == pl.Object


class SeriesKind(ValueKind):
    """Series: by name, type and content."""

    name = "polars.Series"

    def shape(self, value: Any) -> Shape:
        """Return name and type, with the content in place or, for objects, the items inside."""
        cls = type(value)
        own = () if cls is pl.Series else class_path(cls)
        state = (own, value.name, describe_type(value.dtype), len(value))
        if value.dtype == pl.Object:
            return Shape(self.name, state, value.to_list())
        return Shape(self.name, state, buffers=list(contents(value)))

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return a frame of one column in Arrow's format; None for what that cannot hold."""
        if type(value) is not pl.Series or _has_object(value.dtype):
            return None
        return ARROW, _write(value.to_frame())

    def write(self, value: Any, sink: IO[bytes]) -> str | None:
        """Write a frame of one column in Arrow's format; None for what that cannot hold."""
        if type(value) is not pl.Series or _has_object(value.dtype):
            return None
        value.to_frame().write_ipc_stream(sink)
        return ARROW

    def bytes_in(self, value: Any) -> int:
        """Return about how large the content is."""
        return int(value.estimated_size())

    def decode(self, format: str, payload: bytes) -> Any:
        """Read a frame; never unpickles."""
        return _read(self.name, format, payload).to_series(0)

    def preview(self, value: Any) -> str:
        """Return name, type, length and the first items."""
        first = ", ".join(preview(each, 40) for each in value.head(_SHOWN).to_list())
        more = ", ..." if len(value) > _SHOWN else ""
        return f"{self.name}({value.name!r}, {value.dtype}, {len(value)} items, [{first}{more}])"


class FrameKind(ValueKind):
    """Frames: by the names, types and contents of their columns in order."""

    name = "polars.DataFrame"

    def shape(self, value: Any) -> Shape:
        """Return the size, with the columns inside."""
        cls = type(value)
        own = () if cls is pl.DataFrame else class_path(cls)
        names = value.columns
        state = (own, value.height)
        return Shape(self.name, state, value.get_columns(), lambda p: f"[{names[p]!r}]")

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return the frame in Arrow's format; None for what that cannot hold."""
        if type(value) is not pl.DataFrame or not value.width:
            return None
        return None if any(map(_has_object, value.dtypes)) else (ARROW, _write(value))

    def write(self, value: Any, sink: IO[bytes]) -> str | None:
        """Write the frame in Arrow's format; None for what that cannot hold."""
        is_frame = type(value) is pl.DataFrame and value.width
        if not is_frame or any(map(_has_object, value.dtypes)):
            return None
        value.write_ipc_stream(sink)
        return ARROW

    def bytes_in(self, value: Any) -> int:
        """Return about how large the content is."""
        return int(value.estimated_size())

    def decode(self, format: str, payload: bytes) -> Any:
        """Read a frame; never unpickles."""
        return _read(self.name, format, payload)

    def preview(self, value: Any) -> str:
        """Return the size and the first columns."""
        columns = list(value.schema.items())
        shown = ", ".join(f"{preview(name, 20)}: {dtype}" for name, dtype in columns[:_SHOWN])
        more = ", ..." if len(columns) > _SHOWN else ""
        return f"{self.name}({value.height} x {value.width}, {{{shown}{more}}})"


class TypeKind(ValueKind):
    """Types of polars, and the classes that stand for them."""

    name = "polars.DataType"

    def shape(self, value: Any) -> Shape:
        """Return the description."""
        return Shape(self.name, describe_type(value))


class PlanKind(ValueKind):
    """Plans of what is to be done: refused."""

    def __init__(self, way_out: str) -> None:
        self._way_out = way_out

    def shape(self, value: Any) -> Shape:
        """Refuse."""
        raise refuse(
            value, f"it is a plan, and how polars writes one changes with it; {self._way_out}"
        )

    def preview(self, value: Any) -> str:
        """Return the class: a plan may be long, and may not be shown without being made."""
        return f"<polars {type(value).__name__}>"


def _write(frame: Any) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer)
    return buffer.getvalue()


def _read(name: str, format: str, payload: bytes) -> Any:
    if format != ARROW:
        raise ValueError(f"{name} is stored as {ARROW}, not as {format}")
    return pl.read_ipc_stream(io.BytesIO(payload))


def register_polars() -> None:
    """Register the kinds of polars' types."""
    register(pl.Series, SeriesKind(), subclasses=True)
    register(pl.DataFrame, FrameKind(), subclasses=True)
    register(pl.DataType, TypeKind(), subclasses=True)
    register(type(pl.Int64), TypeKind(), subclasses=True)
    plan = "give collect()ed data, or the path that it is read from"
    register(pl.LazyFrame, PlanKind(plan), subclasses=True)
    register(pl.Expr, PlanKind("write it inside of the task"), subclasses=True)


__all__ = ["describe_type", "register_polars"]
