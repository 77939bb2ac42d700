"""The kinds of Arrow's tables, arrays and types: by type and content, never by layout.

Chunks, slices, offsets, the codes of a dictionary and what lies under a null do not count: a column
is hashed as one array without nulls, and with where these were. Stored in Arrow's own format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from taskgraph.errors import UnstorableValueError
from taskgraph.values.gate import current_trust
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.objects import refuse
from taskgraph.values.preview import preview
from taskgraph.values.registry import register

ARROW = "arrow"

Buffer = memoryview | bytes
_SHOWN = 6
_VIEWS = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}


def describe_type(type_: Any) -> Any:  # noqa: PLR0911 - one line for each type
    """Return a type as plain data.

    How the items of lists and maps are called does not count, as it does not for ``==`` of Arrow's.
    """
    types = pa.types
    if types.is_dictionary(type_):
        inner = (describe_type(type_.index_type), describe_type(type_.value_type))
        return ("dictionary", *inner, bool(type_.ordered))
    if isinstance(type_, pa.BaseExtensionType):
        serialize = getattr(type_, "__arrow_ext_serialize__", None)
        parameters = str(type_) if serialize is None else bytes(serialize())
        storage = describe_type(type_.storage_type)
        return ("extension", type_.extension_name, parameters, storage)
    if types.is_run_end_encoded(type_):
        ends, values = describe_type(type_.run_end_type), describe_type(type_.value_type)
        return ("run ends", ends, values)
    if types.is_map(type_):
        item = _describe_rest(type_.item_field)
        return ("map", describe_type(type_.key_type), item, bool(type_.keys_sorted))
    if types.is_struct(type_) or types.is_union(type_):
        codes = tuple(type_.type_codes) if types.is_union(type_) else ()
        name = f"{type_.mode} union" if types.is_union(type_) else "struct"
        return (name, codes, *(describe_field(type_.field(i)) for i in range(type_.num_fields)))
    if types.is_nested(type_):
        size = type_.list_size if types.is_fixed_size_list(type_) else None
        return (str(type_).partition("<")[0], size, _describe_rest(type_.value_field))
    return str(type_)


def describe_field(field: Any) -> Any:
    """Return a field as plain data: its name, type, whether it may be null, its metadata."""
    return (field.name, *_describe_rest(field))


def _describe_rest(field: Any) -> tuple[Any, ...]:
    return (describe_type(field.type), bool(field.nullable), _describe_metadata(field.metadata))


def describe_schema(schema: Any) -> Any:
    """Return a schema as plain data."""
    fields = tuple(describe_field(field) for field in schema)
    return (fields, _describe_metadata(schema.metadata))


def _describe_metadata(metadata: Any) -> Any:
    return tuple(sorted((metadata or {}).items()))


def contents(array: Any) -> Iterator[Buffer]:
    """Yield the content of an array: as many buffers as its type has, whatever its layout."""
    array = _decode(array)
    type_ = array.type
    if pa.types.is_null(type_):
        return
    if pa.types.is_union(type_):
        yield from _union_contents(array)
        return
    if array.null_count:
        yield _fixed(array.is_valid().cast(pa.uint8()), 1)
        array = array.drop_null()
    else:
        yield b""
    if pa.types.is_struct(type_):
        for field in array.flatten():
            yield from contents(field)
    elif pa.types.is_map(type_):
        yield from contents(array.cast(pa.list_(pa.struct([type_.key_field, type_.item_field]))))
    elif pa.types.is_nested(type_):
        yield _fixed(pc.list_value_length(array).cast(pa.int64()), 8)
        yield from contents(array.flatten())
    elif pa.types.is_boolean(type_):
        yield _fixed(array.cast(pa.uint8()), 1)
    elif _is_text(type_):
        yield from _text_contents(array)
    else:
        yield _fixed(array, type_.byte_width)


def _decode(array: Any) -> Any:
    """Return an array of the values that an array stands for."""
    while True:
        type_ = array.type
        if isinstance(type_, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(type_):
            array = array.dictionary_decode()
        elif pa.types.is_run_end_encoded(type_):
            array = pc.run_end_decode(array)
        else:
            without = _without_views(type_)
            return array if without is type_ else array.cast(without)


def _without_views(type_: Any) -> Any:  # noqa: PLR0911 - one line for each type
    """Return the type with no views in it: for these Arrow cannot leave out nulls."""
    types = pa.types
    if str(type_) in _VIEWS:
        return _VIEWS[str(type_)]
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        inner = _without_views(type_.value_type)
        if inner is type_.value_type:
            return type_
        field = type_.value_field.with_type(inner)
        if types.is_fixed_size_list(type_):
            return pa.list_(field, type_.list_size)
        return pa.list_(field) if types.is_list(type_) else pa.large_list(field)
    if types.is_struct(type_):
        fields = [type_.field(i) for i in range(type_.num_fields)]
        inside = [_without_views(field.type) for field in fields]
        if all(new is field.type for new, field in zip(inside, fields, strict=True)):
            return type_
        return pa.struct([f.with_type(new) for f, new in zip(fields, inside, strict=True)])
    return type_


def _is_text(type_: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(type_)
        or types.is_binary(type_)
        or types.is_large_string(type_)
        or types.is_large_binary(type_)
    )


def _text_contents(array: Any) -> Iterator[Buffer]:
    yield _fixed(pc.binary_length(array).cast(pa.int64()), 8)
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        yield b""
        return
    is_large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    places = memoryview(offsets).cast("b").cast("q" if is_large else "i")
    first, last = places[array.offset], places[array.offset + len(array)]
    yield memoryview(data).cast("b")[first:last]


def _fixed(array: Any, width: int) -> Buffer:
    buffer = array.buffers()[1]
    if buffer is None or not len(array) or not width:
        return b""
    start = array.offset * width
    return memoryview(buffer).cast("b")[start : start + len(array) * width]


def _union_contents(array: Any) -> Iterator[Buffer]:
    # Not by the properties of the array: for a slice these begin where the whole begins.
    _, codes, *offsets = array.buffers()[:3]
    size, start = len(array), array.offset
    codes = pa.Array.from_buffers(pa.int8(), size, [None, codes], offset=start)
    yield _fixed(codes, 1)
    for position, code in enumerate(array.type.type_codes):
        chosen = pc.equal(codes, pa.scalar(code, pa.int8()))
        field = array.field(position)
        if array.type.mode == "dense":
            places = pa.Array.from_buffers(pa.int32(), size, [None, offsets[0]], offset=start)
            yield from contents(field.take(places.filter(chosen)))
        else:
            yield from contents(field.filter(chosen))


def _describe_array(tag: str, array: Any, length: int) -> Shape:
    type_ = array.type
    try:
        buffers = list(contents(array))
        if pa.types.is_dictionary(type_) and type_.ordered:
            # Here the order of the dictionary is the order of the values.
            buffers += contents(array.dictionary)
    except pa.ArrowNotImplementedError as error:
        raise refuse(array, f"Arrow cannot take arrays of {type_} apart ({error})") from error
    return Shape(tag, (describe_type(type_), length), buffers=buffers)


def combine(chunked: Any) -> Any:
    """Return a chunked array as one array; without a copy if it is one."""
    if chunked.num_chunks == 1:
        return chunked.chunk(0)
    return chunked.combine_chunks() if chunked.num_chunks else pa.array([], chunked.type)


def _has_extension(type_: Any) -> bool:
    if isinstance(type_, pa.BaseExtensionType):
        return True
    return any(_has_extension(type_.field(i).type) for i in range(type_.num_fields))


def read_stream(payload: bytes) -> Any:
    """Return the table that is in a stream; looked through where only data is trusted.

    Arrow takes offsets as they come. They may lead anywhere, if somebody wants them to.
    """
    table = pa.ipc.open_stream(payload).read_all()
    if current_trust().data_only:
        table.validate(full=True)
    return table


def _write(table: Any, sink: Any) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)


class _StoredKind(ValueKind, ABC):
    """What is stored as a table in Arrow's format for streams."""

    @abstractmethod
    def to_table(self, value: Any) -> Any:
        """Return a table that holds the value."""

    @abstractmethod
    def from_table(self, table: Any) -> Any:
        """Return the value that a table holds."""

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return the bytes of a stream; None for what that cannot hold."""
        sink = pa.BufferOutputStream()
        if self.write(value, sink) is None:
            return None
        return ARROW, sink.getvalue().to_pybytes()

    def write(self, value: Any, sink: IO[bytes]) -> str | None:
        """Write a stream; None for what that cannot hold."""
        table = self.to_table(value)
        if table.num_rows and not table.num_columns:
            raise UnstorableValueError(self.name, "it has rows and no columns to hold them")
        # Types of strangers come back as what they are stored as if their code is not loaded.
        if not table.num_columns or any(_has_extension(field.type) for field in table.schema):
            return None
        _write(table, sink)
        return ARROW

    def bytes_in(self, value: Any) -> int:
        """Return the size of the content."""
        return int(value.nbytes)

    def decode(self, format: str, payload: bytes) -> Any:
        """Read a stream; never unpickles."""
        if format != ARROW:
            raise ValueError(f"{self.name} is stored as {ARROW}, not as {format}")
        return self.from_table(read_stream(payload))


class TableKind(_StoredKind):
    """Tables: by schema and columns."""

    name = "pyarrow.Table"

    def shape(self, value: Any) -> Shape:
        """Return the schema, with the columns inside."""
        names = value.schema.names
        state = (describe_schema(value.schema), value.num_rows)
        return Shape(self.name, state, list(value.columns), lambda p: f"[{names[p]!r}]")

    def to_table(self, value: Any) -> Any:
        """Return the table itself."""
        return value

    def from_table(self, table: Any) -> Any:
        """Return the table itself."""
        return table

    def preview(self, value: Any) -> str:
        """Return the number of rows and the first columns."""
        return show_columns(
            self.name, value.num_rows, [(field.name, field.type) for field in value.schema]
        )


class BatchKind(TableKind):
    """Record batches: by schema and columns."""

    name = "pyarrow.RecordBatch"

    def to_table(self, value: Any) -> Any:
        """Return a table of one batch."""
        return pa.Table.from_batches([value])

    def from_table(self, table: Any) -> Any:
        """Return the batch."""
        batches = table.to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


class ArrayKind(_StoredKind):
    """Arrays: by type and content."""

    name = "pyarrow.Array"

    def shape(self, value: Any) -> Shape:
        """Return the type, with the content in place."""
        return _describe_array(self.name, value, len(value))

    def to_table(self, value: Any) -> Any:
        """Return a table of one column."""
        return pa.Table.from_arrays([value], [""])

    def from_table(self, table: Any) -> Any:
        """Return the column."""
        return combine(table.column(0))

    def preview(self, value: Any) -> str:
        """Return the type, the length and the first items."""
        first = ", ".join(preview(each.as_py(), 40) for each in islice(value, _SHOWN))
        more = ", ..." if len(value) > _SHOWN else ""
        return f"{self.name}({value.type}, {len(value)} items, [{first}{more}])"


class ChunkedArrayKind(ArrayKind):
    """Chunked arrays: by type and content; into which chunks they are cut does not count."""

    name = "pyarrow.ChunkedArray"

    def shape(self, value: Any) -> Shape:
        """Return the type, with the content in place."""
        return _describe_array(self.name, combine(value), len(value))

    def from_table(self, table: Any) -> Any:
        """Return the column."""
        return table.column(0)


class ScalarKind(ValueKind):
    """Scalars: by type and content."""

    def shape(self, value: Any) -> Shape:
        """Return the type, with the content in place."""
        inner = value
        while isinstance(inner, pa.ExtensionScalar) and inner.is_valid:
            inner = inner.value
        if not inner.is_valid:
            return Shape("pyarrow.Scalar", (describe_type(value.type), None))
        if isinstance(inner, pa.UnionScalar):
            state = (describe_type(value.type), inner.type_code)
            return Shape("pyarrow.Scalar", state, (inner.value,))
        buffers = list(contents(pa.repeat(inner, 1)))
        return Shape("pyarrow.Scalar", (describe_type(value.type), 1), buffers=buffers)


class TypeKind(ValueKind):
    """Types of Arrow."""

    def shape(self, value: Any) -> Shape:
        """Return the description."""
        return Shape("pyarrow.DataType", describe_type(value))


class FieldKind(ValueKind):
    """Fields: by name, type, whether they may be null, and metadata."""

    def shape(self, value: Any) -> Shape:
        """Return the description."""
        return Shape("pyarrow.Field", describe_field(value))


class SchemaKind(ValueKind):
    """Schemas: by their fields in order, and metadata."""

    def shape(self, value: Any) -> Shape:
        """Return the description."""
        return Shape("pyarrow.Schema", describe_schema(value))

    def preview(self, value: Any) -> str:
        """Return the first fields."""
        return show_columns("pyarrow.Schema", None, [(each.name, each.type) for each in value])


class BufferKind(ValueKind):
    """Buffers, by content."""

    def shape(self, value: Any) -> Shape:
        """Return the content in place."""
        return Shape("pyarrow.Buffer", buffers=(memoryview(value).cast("b"),))


def show_columns(name: str, rows: int | None, columns: list[tuple[Any, Any]]) -> str:
    """Return a text for a table: what it is called, its size, its first columns."""
    shown = ", ".join(f"{preview(column, 20)}: {type_}" for column, type_ in columns[:_SHOWN])
    more = ", ..." if len(columns) > _SHOWN else ""
    size = "" if rows is None else f"{rows} x {len(columns)}, "
    return f"{name}({size}{{{shown}{more}}})"


def register_arrow() -> None:
    """Register the kinds of Arrow's types."""
    for cls, kind in (
        (pa.Table, TableKind()),
        (pa.RecordBatch, BatchKind()),
        (pa.Array, ArrayKind()),
        (pa.ChunkedArray, ChunkedArrayKind()),
        (pa.Scalar, ScalarKind()),
        (pa.DataType, TypeKind()),
        (pa.Field, FieldKind()),
        (pa.Schema, SchemaKind()),
        (pa.Buffer, BufferKind()),
    ):
        register(cls, kind, subclasses=True)


__all__ = ["ARROW", "combine", "describe_type", "read_stream", "register_arrow", "show_columns"]
