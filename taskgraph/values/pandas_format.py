"""Frames and series of pandas in Arrow's format: those that come back from it exactly.

What Arrow would change (objects, categories, attributes, labels other than numbers and text) is
left to pickle. Needs pyarrow; where it is not installed, all is left to pickle.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

FORMAT = "pandas-arrow"

_PLAIN = frozenset({"b", "i", "u", "f", "M", "m"})
_METADATA = b"taskgraph"


def write(frame: Any) -> bytes | None:
    """Return the bytes of a frame, None if it would not come back exactly."""
    table = _to_table(frame)
    if table is None:
        return None
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    _write(table, sink)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def write_to(frame: Any, sink: Any) -> bool:
    """Write the bytes of a frame to a stream; False if it would not come back exactly."""
    table = _to_table(frame)
    if table is None:
        return False
    _write(table, sink)
    return True


def _write(table: Any, sink: Any) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _to_table(frame: Any) -> Any:
    if find_spec("pyarrow") is None or not frame.shape[1] or not _is_plain(frame):
        return None
    import pyarrow as pa

    columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
    described: dict[str, Any] = {
        "columns": [list(frame.columns), frame.columns.name, _describe(frame.columns.dtype)],
        "dtypes": [_describe(each.dtype) for each in columns],
        "index": _describe_index(frame.index),
    }
    if not isinstance(frame.index, pd.RangeIndex):
        columns.append(frame.index.to_series())
    try:
        arrays = [_to_arrow(each) for each in columns]
        text = json.dumps(described)
    except (pa.ArrowException, UnicodeError, TypeError):
        return None  # text that is no UTF-8, say
    table = pa.Table.from_arrays(arrays, [str(i) for i in range(len(arrays))])
    return table.replace_schema_metadata({_METADATA: text.encode()})


def read(payload: bytes) -> Any:
    """Make a frame again from what `write` gave."""
    from taskgraph.values.arrow import read_stream

    table = read_stream(payload)
    described = json.loads(table.schema.metadata[_METADATA])
    labels, name, labels_dtype = described["columns"]
    index = _make_index(described["index"], table)
    columns = {
        position: pd.Series(_from_arrow(table.column(position), dtype), index=index, copy=False)
        for position, dtype in enumerate(described["dtypes"])
    }
    frame = pd.DataFrame(columns, index=index, copy=True)
    frame.columns = pd.Index(labels, dtype=_make_dtype(labels_dtype), name=name)
    return frame


def _is_plain(frame: Any) -> bool:
    if frame.attrs or not frame.flags.allows_duplicate_labels:
        return False
    if type(frame.columns) is not pd.Index or not isinstance(frame.columns.dtype, pd.StringDtype):
        return False
    if not all(type(name) in (str, type(None)) for name in (frame.columns.name, frame.index.name)):
        return False
    if not all(type(label) is str for label in frame.columns):
        return False
    if type(frame.index) not in (pd.RangeIndex, pd.Index):
        return False
    return all(map(_is_plain_dtype, (frame.index.dtype, *frame.dtypes)))


def _is_plain_dtype(dtype: Any) -> bool:
    if isinstance(dtype, np.dtype):
        return dtype.kind in _PLAIN and dtype.isnative and dtype.itemsize <= 8 and dtype != "f2"
    return type(dtype) is pd.StringDtype


def _describe(dtype: Any) -> Any:
    if isinstance(dtype, np.dtype):
        return dtype.str
    return ["str", dtype.storage, dtype.na_value is pd.NA]


def _make_dtype(described: Any) -> Any:
    if isinstance(described, str):
        return np.dtype(described)
    _, storage, has_na = described
    return pd.StringDtype(storage, na_value=pd.NA if has_na else np.nan)


def _describe_index(index: Any) -> Any:
    if isinstance(index, pd.RangeIndex):
        return [index.start, index.stop, index.step, index.name]
    return [_describe(index.dtype), index.name]


def _make_index(described: Any, table: Any) -> Any:
    if len(described) == 4:
        *numbers, name = described
        return pd.RangeIndex(*numbers, name=name)
    dtype, name = described
    last = table.column(table.num_columns - 1)
    return pd.Index(_from_arrow(last, dtype), name=name, copy=True)


def _to_arrow(column: Any) -> Any:
    import pyarrow as pa

    if isinstance(column.dtype, np.dtype):
        # Not from pandas: a float that is no number is not missing, it is that float.
        return pa.array(column.to_numpy(), from_pandas=False)
    return pa.array(column.array)


def _from_arrow(column: Any, described: Any) -> Any:
    dtype = _make_dtype(described)
    if isinstance(dtype, np.dtype):
        return column.to_numpy().astype(dtype, copy=False)
    return dtype.__from_arrow__(column)


__all__ = ["FORMAT", "read", "write", "write_to"]
