"""Arrow: layouts that do not count, types that do, and what is stored."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from taskgraph.errors import UnstorableValueError
from taskgraph.values import codec
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_named, kind_of
from taskgraph.values.weigh import hash_value

UNION = pa.UnionArray.from_dense(
    pa.array([0, 1, 0], pa.int8()),
    pa.array([0, 0, 1], pa.int32()),
    [pa.array([1, 2]), pa.array(["a"])],
)
SPARSE = pa.UnionArray.from_sparse(
    pa.array([0, 1, 1], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
)
ARRAYS = [
    UNION,
    SPARSE,
    pc.run_end_encode(pa.array([1, 1, 2])),
    pa.array([[("a", 1)], None, [("b", 2), ("c", None)]], pa.map_(pa.string(), pa.int8())),
    pa.array([[1, 2], None, []], pa.list_view(pa.int8())),
    pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
    pa.array([[], None, ["a"]], pa.list_(pa.string_view())),
    pa.array([{"a": "x"}, None, {"a": None}], pa.struct([("a", pa.string_view())])),
    pa.array([["a", None], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    pa.array([b"a", None], pa.binary(1)),
    pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
    pa.array([b"a" * 16, None], pa.uuid()),
    pa.nulls(3),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda each: str(each.type))
def test_slices_and_chunks_of_rare_types_do_not_count(array: Any) -> None:
    cut = pa.chunked_array([array[:1], array[1:]])

    assert hash_value(cut) == hash_value(pa.chunked_array([array]))
    assert hash_value(array[1:]) == hash_value(pa.concat_arrays([array[1:]]))
    assert hash_value(array[1:]) != hash_value(array[:1])
    assert len(hash_value(list(array))) == 32


@pytest.mark.parametrize("array", ARRAYS, ids=lambda each: str(each.type))
def test_arrays_of_rare_types_come_back(array: Any) -> None:
    for value in (array, array[1:], pa.chunked_array([array, array[:1]]), pa.table({"a": array})):
        format, payload = codec.encode(value)
        kind = kind_of(value)
        again = codec.loads(payload) if format == codec.PICKLE else kind.decode(format, payload)

        assert hash_value(again) == hash_value(value)


def test_names_of_list_items_do_not_count_and_other_names_do() -> None:
    named = pa.list_(pa.field("element", pa.int8()))
    structs = [pa.struct([(name, pa.int8())]) for name in "ab"]

    assert hash_value(named) == hash_value(pa.list_(pa.int8()))
    assert hash_value(structs[0]) != hash_value(structs[1])
    assert hash_value(pa.list_(pa.field("x", pa.int8(), nullable=False))) != hash_value(named)


def test_the_order_of_a_dictionary_counts_where_it_is_an_order() -> None:
    def make(texts: list[str], is_ordered: bool) -> Any:
        codes = pa.array([texts.index("a"), texts.index("b")])
        return pa.DictionaryArray.from_arrays(codes, pa.array(texts), ordered=is_ordered)

    assert hash_value(make(["a", "b"], False)) == hash_value(make(["b", "a"], False))
    assert hash_value(make(["a", "b"], True)) != hash_value(make(["b", "a"], True))
    assert hash_value(make(["a", "b"], True)) != hash_value(make(["a", "b"], False))


def test_schemas_count_with_their_metadata() -> None:
    table = pa.table({"a": [1]})
    values = [
        table,
        table.replace_schema_metadata({"k": "v"}),
        table.rename_columns(["b"]),
        table.schema,
        table.schema.field(0),
        table.schema.field(0).with_nullable(False),
        table.column(0),
        table.column(0).chunk(0),
        table.column(0)[0],
        table.to_batches()[0],
        pa.scalar(None, pa.int64()),
        pa.py_buffer(b"a"),
    ]

    assert len({hash_value(each) for each in values}) == len(values)


def test_tables_are_never_unpickled() -> None:
    table = pa.table({"a": [1, None], "b": [["x"], []]})

    format, payload = codec.encode(table)

    assert format == "arrow"
    assert kind_of(table).decode(format, payload).equals(table)
    for name in ("pyarrow.Table", "pyarrow.RecordBatch", "pyarrow.Array", "pyarrow.ChunkedArray"):
        with pytest.raises(ValueError, match="is stored as arrow"):
            kind_named(name).decode("pickle", b"")


def test_an_empty_batch_comes_back() -> None:
    batch = pa.RecordBatch.from_pylist([], pa.schema([("a", pa.int8())]))

    assert kind_of(batch).decode(*codec.encode(batch)).equals(batch)


def test_rows_without_columns_cannot_be_stored() -> None:
    with pytest.raises(UnstorableValueError, match="no columns"):
        codec.encode(pa.table({"a": [1]}).select([]))


def test_previews_show_the_start() -> None:
    table = pa.table({"a": range(1000), "b": ["x"] * 1000})

    assert preview(table) == "pyarrow.Table(1000 x 2, {'a': int64, 'b': string})"
    assert preview(table.schema) == "pyarrow.Schema({'a': int64, 'b': string})"
    assert preview(table.column(0)) == (
        "pyarrow.ChunkedArray(int64, 1000 items, [0, 1, 2, 3, 4, 5, ...])"
    )
