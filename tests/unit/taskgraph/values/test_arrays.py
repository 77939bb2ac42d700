"""Arrays: dtype, shape and content count, strides and padding do not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskgraph.errors import UnhashableValueError
from taskgraph.hashing import digest_bytes
from taskgraph.values import codec
from taskgraph.values.pack import pack
from taskgraph.values.preview import preview
from taskgraph.values.weigh import hash_value

RECORD = np.dtype([("a", "i1"), ("b", "<f8")])
ALIGNED = np.dtype([("a", "i1"), ("b", "<f8")], align=True)
STRINGS = getattr(np.dtypes, "StringDType", None)

ARRAYS = [
    np.arange(6.0),
    np.arange(6.0).reshape(2, 3),
    np.arange(6.0).reshape(3, 2),
    np.arange(6.0, dtype=">f8"),
    np.arange(6, dtype="i4"),
    np.arange(6, dtype="u4"),
    np.arange(6, dtype="g"),
    np.arange(6, dtype="G"),
    np.array(1.0),
    np.float64(1.0),
    np.float32(1.0),
    np.longdouble(1.0),
    np.clongdouble(1.0),
    1.0,
    np.array([]),
    np.zeros((0, 3)),
    np.zeros((3, 0)),
    np.array(["a", "b"]),
    np.array(["a", "b"], "U2"),
    np.array([b"a", b"b"]),
    np.array(["", ""], "U0"),
    np.array([True]),
    np.bool_(True),
    True,
    np.array(["2020", "NaT"], "M8[Y]"),
    np.array(["2020", "NaT"], "M8[D]"),
    np.array([1], "m8[s]"),
    np.datetime64("2020", "Y"),
    np.array([(1, 2.0)], RECORD),
    np.array([(1, 2.0)], RECORD)[0],
    np.array([(1, [1, 2])], [("a", "i4"), ("b", "i4", (2,))]),
    np.array([(1, (2, 3))], [("a", "i4"), ("b", [("c", "i4"), ("d", "i4")])]),
    np.array([1, "a", None], object),
    np.array([[1, "a"], [None, 2.0]], object),
    np.array([(1, {"k": 1})], [("a", "i4"), ("b", object)]),
    np.array([1], object),
    np.void(b"abc"),
    np.str_("a"),
    np.bytes_(b"a"),
    np.dtype("f8"),
    np.dtype(">f8"),
    np.dtype("M8[s]"),
    RECORD,
    np.rec.array([(1, 2.0)], dtype=RECORD),
    np.ma.masked_array([1, 2], [False, True]),
    np.ma.masked_array([1, 2], [False, False]),
    np.ma.masked_array([1, 2], [False, True], fill_value=7),
    np.ma.masked,
]


def read_back(value: Any) -> Any:
    record = pack(value).values[0]
    return codec.decode(
        record.value_hash, record.type, record.format, record.value, digest_bytes(record.value)
    )


def test_no_two_of_them_share_a_hash() -> None:
    hashes = [hash_value(each) for each in ARRAYS]

    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("value", ARRAYS, ids=repr)
def test_arrays_come_back_with_their_hash(value: Any) -> None:
    again = read_back(value)

    assert type(again) is type(value)
    assert hash_value(again) == hash_value(value)
    assert preview(value).isprintable()


@pytest.mark.parametrize(
    "array",
    [np.arange(24.0).reshape(2, 3, 4), np.array([[1, "a", None]] * 4, object)],
    ids=["floats", "objects"],
)
def test_strides_do_not_count(array: Any) -> None:
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 1] = array
    backwards = array[::-1].copy()[::-1]

    for other in (np.asfortranarray(array), wide[..., 1], backwards):
        assert hash_value(other) == hash_value(array)
    assert hash_value(array.T) != hash_value(array)


def test_padding_does_not_count() -> None:
    packed, aligned = np.zeros(3, RECORD), np.zeros(3, ALIGNED)
    aligned.view("u1")[1] = 77
    clean, dirty = np.arange(3, dtype="g"), np.arange(3, dtype="g")
    if np.finfo("g").nmant == 63:
        dirty.view("u1").reshape(3, -1)[:, -1] = 77

    assert hash_value(aligned) == hash_value(packed)
    assert hash_value(dirty) == hash_value(clean)
    swapped = clean.astype(clean.dtype.newbyteorder())
    assert hash_value(swapped) != hash_value(clean)


def test_equal_dtypes_of_other_names_are_the_same() -> None:
    assert hash_value(np.zeros(2, "q")) == hash_value(np.zeros(2, "i8"))
    assert hash_value(np.zeros(2, "=i4")) == hash_value(np.zeros(2, np.int32))


def test_metadata_does_not_count_and_is_kept() -> None:
    array = np.zeros(2, np.dtype("f8", metadata={"unit": "m"}))

    assert hash_value(array) == hash_value(np.zeros(2))
    assert read_back(array).dtype.metadata == {"unit": "m"}


def test_field_names_and_titles_count() -> None:
    dtypes = [[("a", "i4")], [("b", "i4")], [(("title", "a"), "i4")], [("é", "i4")]]
    arrays = [np.zeros(2, dtype) for dtype in dtypes]

    assert len({hash_value(each) for each in arrays}) == len(arrays)
    assert all(hash_value(read_back(each)) == hash_value(each) for each in arrays)


@pytest.mark.skipif(STRINGS is None, reason="needs numpy 2")
def test_strings_of_variable_length_count_by_content() -> None:
    values = [
        np.array(["a", "b" * 100], STRINGS()),
        np.array(["a", "c" * 100], STRINGS()),
        np.array(["a", "b" * 100], STRINGS(na_object=None)),
        np.array(["a", "b" * 100], STRINGS(coerce=False)),
    ]

    assert len({hash_value(each) for each in values}) == len(values)
    assert hash_value(values[0].copy()) == hash_value(values[0])
    assert hash_value(read_back(values[0])) == hash_value(values[0])


def test_a_file_in_memory_is_an_array(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "x", "f8", "w+", shape=(3,))
    mapped[:] = [1, 2, 3]

    assert hash_value(mapped) == hash_value(np.array([1.0, 2.0, 3.0]))
    assert type(read_back(mapped)) is np.ndarray


class Tagged(np.ndarray):
    pass


class Reduced(np.ndarray):
    def __reduce__(self) -> Any:
        return Reduced, (3,), None


def test_subclasses_count_by_class_content_and_attributes() -> None:
    plain = np.arange(3.0)
    one, two = plain.view(Tagged), plain.view(Tagged)
    two.tag = 1  # type: ignore[attr-defined]
    values = [plain, one, two, plain.view(Reduced)]

    assert len({hash_value(each) for each in values}) == 4
    assert hash_value(plain.view(Tagged)) == hash_value(one)


def test_what_a_mask_hides_is_safe() -> None:
    one = np.ma.masked_array([1, 2], [False, True])
    one.fill_value
    other = np.ma.masked_array([1, 2], [False, True])

    assert hash_value(one) == hash_value(other)


def test_an_error_names_the_item() -> None:
    array = np.empty((2, 2), object)
    array[1, 0] = {"x": object()}

    with pytest.raises(UnhashableValueError) as caught:
        hash_value(array, "a")

    assert caught.value.path == 'a[1, 0]["x"]'


def test_an_item_in_an_array_without_dimensions_is_named_too() -> None:
    array = np.array(None, object)
    array[()] = object()

    with pytest.raises(UnhashableValueError) as caught:
        hash_value(array, "a")

    assert caught.value.path == "a[]"


def test_contiguous_arrays_are_hashed_without_a_copy() -> None:
    import tracemalloc

    array = np.zeros(2_000_000)
    hash_value(array)
    tracemalloc.start()
    started = time.perf_counter()

    hash_value(array)

    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    assert time.perf_counter() - started < 0.5
