"""What of pyarrow is let in: types, and arrays whose buffers were held against their types.

pyarrow's own way puts an array together from buffers as they come, where an offset may lead
anywhere in memory. Ours goes through doors that count the buffers, and looks at what is in them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from taskgraph.values.gate.refusals import RefusedError, Rule, check


def _restore_array(state: Any) -> Any:
    made = _array(state, 0)
    try:
        made.validate(full=True)
    except pa.ArrowException as error:
        raise RefusedError(f"an Arrow array whose content is not of its type ({error})") from None
    return made


def _array(state: Any, depth: int) -> Any:
    check(type(state) is tuple and len(state) == 7 and depth < 100, "an Arrow array without parts")
    kind, length, nulls, offset, buffers, children, dictionary = state
    check(
        isinstance(kind, pa.DataType)
        and not isinstance(kind, pa.BaseExtensionType)
        and all(type(each) is int for each in (length, nulls, offset))
        and min(length, offset) >= 0
        and type(buffers) is list
        and all(each is None or isinstance(each, pa.Buffer) for each in buffers)
        and type(children) is list,
        "an Arrow array of a type that is not known to be data",
    )
    try:
        if isinstance(kind, pa.DictionaryType):
            words = _array(dictionary, depth + 1)
            words.validate(full=True)
            return pa.DictionaryArray.from_buffers(kind, length, buffers, words, nulls, offset)
        inside = [_array(each, depth + 1) for each in children]
        return pa.Array.from_buffers(kind, length, buffers, nulls, offset, inside or None)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise RefusedError(f"an Arrow array that does not fit its type ({error})") from None


def _valid(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*args: Any) -> Any:
        found = make(*args)
        found.validate(full=True)
        return found

    return made


def _table(columns: Any, schema: Any) -> Any:
    check(
        isinstance(schema, pa.Schema)
        and type(columns) is list
        and all(isinstance(each, pa.ChunkedArray) for each in columns),
        "an Arrow table without columns",
    )
    return pa.Table.from_arrays(columns, schema=schema)


def _batch(columns: Any, schema: Any) -> Any:
    check(
        isinstance(schema, pa.Schema)
        and type(columns) is list
        and all(isinstance(each, pa.Array) for each in columns),
        "an Arrow record batch without columns",
    )
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _chunked(chunks: Any, kind: Any = None) -> Any:
    check(
        type(chunks) is list
        and all(isinstance(each, pa.Array) for each in chunks)
        and (kind is None or isinstance(kind, pa.DataType)),
        "an Arrow array without chunks",
    )
    return pa.chunked_array(chunks, kind)


def _buffer(content: Any) -> Any:
    check(type(content) in (bytes, bytearray), "an Arrow buffer of something else than bytes")
    return pa.py_buffer(content)


def _rule(name: str) -> Rule:
    make = getattr(pa.lib, name, None)

    def called(*args: Any) -> Any:
        check(make is not None, f"pyarrow.lib.{name}, which is not there")
        return make(*args)  # type: ignore[misc]  # was just looked at

    return Rule(call=called)


# They check what they are given, which is text, numbers, and types of their own.
_TYPES = (
    "type_for_alias",
    "list_",
    "large_list",
    "list_view",
    "large_list_view",
    "struct",
    "field",
    "schema",
    "timestamp",
    "duration",
    "time32",
    "time64",
    "decimal32",
    "decimal64",
    "decimal128",
    "decimal256",
    "dictionary",
    "map_",
    "binary",
    "run_end_encoded",
    "dense_union",
    "sparse_union",
    "scalar",
)

#: By module and name.
TABLE: dict[str, dict[str, Any]] = {
    "pyarrow.lib": {
        **{name: _rule(name) for name in _TYPES if hasattr(pa.lib, name)},
        "_restore_array": Rule(call=_restore_array),
        "_reconstruct_table": Rule(call=_valid(_table)),
        "_reconstruct_record_batch": Rule(call=_valid(_batch)),
        "chunked_array": Rule(call=_valid(_chunked)),
        "py_buffer": Rule(call=_buffer),
    }
}

__all__ = ["TABLE"]
