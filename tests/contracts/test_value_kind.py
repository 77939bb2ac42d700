"""What every kind of values promises: round trip, stable hash, equal means equal hash.

A new kind joins by a line in ``RECIPES``: two ways to make the same value, and one that differs.
"""

from __future__ import annotations

import array
import collections
import copy
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
import zoneinfo
from typing import Any, NamedTuple

import numpy as np
import pytest

from taskgraph.hashing import digest_bytes
from taskgraph.values import codec, walk
from taskgraph.values.failures import ErrorValue
from taskgraph.values.pack import pack
from taskgraph.values.registry import kind_of
from taskgraph.values.weigh import hash_value, weigh
from tests.properties import libraries
from tests.properties.recipes import (
    Box,
    ByHand,
    Color,
    Frozen,
    Level,
    MyDict,
    MyInt,
    MyList,
    MySet,
    MyStr,
    Plain,
    Point,
    Shade,
    Slotted,
)


class Case(NamedTuple):
    value: Any
    equal: Any
    other: Any


path = pathlib.PurePosixPath
utc = datetime.timezone.utc  # noqa: UP017 - what is hashed is this object


def noted(note: str) -> Exception:
    error = ValueError("a")
    error.add_note(note)
    return error


def caused() -> Exception:
    try:
        raise ValueError("a") from OSError("cause")
    except ValueError as error:
        return error


COLUMNS = ((("int64", (1, 2)), ("text", (3, None))), ("a", "b"))
INDEX = ("levels", "i", 2)
FRAME = (
    "pandas_frame",
    (("int64", (1, 2)), ("category", (3, None))),
    ("a", "b"),
    INDEX,
    (("k", 1),),
)

RECIPES = {
    "list": Case([path("a"), 1], [path("a"), 1], [1, path("a")]),
    "tuple": Case((path("a"),), (path("a"),), [path("a")]),
    "dict": Case({"a": path("a")}, {"a": path("a")}, {"b": path("a")}),
    "set": Case({path("a"), 1}, {1, path("a")}, {path("b"), 1}),
    "frozenset": Case(frozenset({path("a")}), frozenset({path("a")}), {path("a")}),
    "range": Case(range(3), range(3), range(0, 4)),
    "slice": Case(slice(1), slice(None, 1), slice(1, None)),
    "bytearray": Case(bytearray(b"a"), bytearray(b"a"), b"a"),
    "int subclass": Case(MyInt(1), MyInt(1), 1),
    "str subclass": Case(MyStr("a"), MyStr("a"), "a"),
    "list subclass": Case(MyList([1]), MyList([1]), [1]),
    "dict subclass": Case(MyDict(a=1), MyDict(a=1), {"a": 1}),
    "set subclass": Case(MySet("ab"), MySet("ba"), set("ab")),
    "namedtuple": Case(Point(1, 2), Point(1, 2), (1, 2)),
    "dataclass": Case(Box(1), Box(1), Box(2)),
    "frozen dataclass": Case(Frozen(1), Frozen(1), Box(1)),
    "object": Case(Plain(a=1, b=2), Plain(b=2, a=1), Plain(a=2, b=1)),
    "slots": Case(Slotted(1, 2), Slotted(1, 2), Slotted(2, 1)),
    "by method": Case(ByHand(1), ByHand(1), ByHand(2)),
    "enum": Case(Color.RED, Color(1), Shade.RED),
    "int enum": Case(Level.LOW, Level(1), 1),
    "flag": Case(enum.Flag("F", "A B", module=__name__).A, None, Color.RED),
    "class": Case(int, int, bool),
    "date": Case(
        datetime.date(2020, 1, 1), datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1)
    ),
    "time": Case(datetime.time(1), datetime.time(1), datetime.time(1, fold=1)),
    "datetime": Case(
        datetime.datetime(2020, 1, 1, tzinfo=utc),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta())),
        datetime.datetime(2020, 1, 1),
    ),
    "timedelta": Case(datetime.timedelta(1), datetime.timedelta(hours=24), datetime.timedelta(2)),
    "timezone": Case(utc, utc, datetime.timezone(datetime.timedelta(), "Z")),
    "zoneinfo": Case(zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo.no_cache("UTC"), utc),
    "decimal": Case(decimal.Decimal("1.0"), decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    "fraction": Case(fractions.Fraction(1, 2), fractions.Fraction(2, 4), fractions.Fraction(1, 3)),
    "uuid": Case(uuid.UUID(int=1), uuid.UUID(int=1), uuid.UUID(int=2)),
    "path": Case(path("a/b"), path("a//b"), pathlib.Path("a/b")),
    "pattern": Case(re.compile("a"), re.compile("a"), re.compile("a", re.I)),
    "array.array": Case(array.array("i", [1]), array.array("i", [1]), array.array("l", [1])),
    "OrderedDict": Case(
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
    ),
    "defaultdict": Case(
        collections.defaultdict(list, a=1),
        collections.defaultdict(list, a=1),
        collections.defaultdict(set, a=1),
    ),
    "deque": Case(collections.deque([1]), collections.deque([1]), collections.deque([1], 1)),
    "namespace": Case(
        types.SimpleNamespace(a=1, b=2), types.SimpleNamespace(b=2, a=1), types.SimpleNamespace()
    ),
    "ChainMap": Case(
        collections.ChainMap({"a": 1}, {}),
        collections.ChainMap({"a": 1}, {}),
        collections.ChainMap({}, {"a": 1}),
    ),
    "Counter": Case(
        collections.Counter("aab"), collections.Counter(a=2, b=1), collections.Counter("abb")
    ),
    "deque with a maximum": Case(
        collections.deque([1, 2], 1), collections.deque([2], 1), collections.deque([2], 2)
    ),
    "read-only dict": Case(
        types.MappingProxyType({"a": path("a")}),
        types.MappingProxyType({"a": path("a")}),
        {"a": path("a")},
    ),
    "error with notes": Case(noted("a"), noted("a"), ValueError("a")),
    "error with a cause": Case(caused(), ValueError("a"), TypeError("a")),
    "OSError": Case(OSError(2, "no", "a"), FileNotFoundError(2, "no", "a"), OSError(2, "no", "b")),
    "ImportError": Case(
        ImportError("a", name="m"), ImportError("a", name="m"), ImportError("a", name="n")
    ),
    "AttributeError": Case(
        AttributeError("a", name="m"), AttributeError("a"), AttributeError("b", name="m")
    ),
    "group of errors": Case(
        ExceptionGroup("a", [ValueError("b")]),
        ExceptionGroup("a", [ValueError("b")]),
        ExceptionGroup("a", [ValueError("c")]),
    ),
    **{
        name: Case(
            libraries.build(one), libraries.build(one, other=True), libraries.build(different)
        )
        for name, one, different in (
            ("DataFrame", FRAME, (*FRAME[:2], ("c", "b"), *FRAME[3:])),
            (
                "Series",
                ("pandas_series", ("text", (1, None)), "x", INDEX),
                ("pandas_series", ("text", (1, 0)), "x", INDEX),
            ),
            ("Index", ("pandas_index", INDEX), ("pandas_index", ("numbers", "i", 2))),
            ("Timestamp", ("pandas_scalar", "zoned", 1), ("pandas_scalar", "moment", 1)),
            ("Table", ("arrow_table", *COLUMNS), ("arrow_batch", *COLUMNS)),
            ("RecordBatch", ("arrow_batch", *COLUMNS), ("polars_frame", *COLUMNS)),
            (
                "Array",
                ("arrow_array", ("category", (1, None))),
                ("arrow_array", ("text", (1, None))),
            ),
            (
                "ChunkedArray",
                ("arrow_chunks", ("list", (1, None))),
                ("arrow_chunks", ("list", (1, 0))),
            ),
            ("Scalar", ("arrow_scalar", ("int8", (1,))), ("arrow_scalar", ("int64", (1,)))),
            ("DataType", ("arrow_type", "moment"), ("arrow_type", "local moment")),
            ("polars frame", ("polars_frame", *COLUMNS), ("arrow_table", *COLUMNS)),
            (
                "polars series",
                ("polars_series", ("enum", (1, None)), "a"),
                ("polars_series", ("category", (1, None)), "a"),
            ),
            (
                "sparse",
                ("sparse", "csr", "array", ((0, 1, 2), (2, 3, 1))),
                ("sparse", "csc", "array", ((0, 1, 2), (2, 3, 1))),
            ),
            ("pydantic", ("model", "pydantic", 1, 2), ("model", "other pydantic", 1, 2)),
            ("attrs", ("model", "slots", 1, 2), ("model", "loose", 1, 2)),
            ("estimator", ("model", "fitted", 1, 2), ("model", "fitted", 1, 3)),
        )
    },
    "random": Case(np.random.default_rng(1), np.random.default_rng(1), np.random.default_rng(2)),
    "exception": Case(ValueError("a"), ValueError("a"), ValueError("b")),
    "ErrorValue": Case(
        ErrorValue(ValueError("a")), ErrorValue(ValueError("a")), ErrorValue(TypeError("a"))
    ),
    "ndarray": Case(np.arange(3), np.arange(6)[:3], np.arange(3.0)),
    "object array": Case(np.array([1, None]), np.array([1, None]), np.array([1, "a"], object)),
    "numpy scalar": Case(np.float64(1), np.float64(1), 1.0),
    "dtype": Case(np.dtype("f8"), np.dtype("d"), np.dtype("f4")),
}
PARAMS = pytest.mark.parametrize("name", RECIPES)


# An enum that is made here cannot be imported by the name that it is stored under.
@pytest.mark.parametrize("name", [each for each in RECIPES if each != "flag"])
def test_a_stored_value_comes_back_as_it_was(name: str) -> None:
    value = RECIPES[name].value
    record = pack(value).values[0]

    again = codec.decode(
        record.value_hash, record.type, record.format, record.value, digest_bytes(record.value)
    )

    assert type(again) is type(value)
    assert hash_value(again) == record.value_hash


@PARAMS
def test_equal_values_have_equal_hashes_and_others_do_not(name: str) -> None:
    case = RECIPES[name]
    equal = case.value if case.equal is None else case.equal

    assert hash_value(case.value) == hash_value(equal)
    assert hash_value(case.value) != hash_value(case.other)
    assert hash_value([case.value]) == hash_value([equal])
    assert hash_value([case.value]) != hash_value([case.other])


# Python makes no copies of read-only dictionaries.
@pytest.mark.parametrize("name", [each for each in RECIPES if each != "read-only dict"])
def test_a_copy_has_the_hash_of_the_original(name: str) -> None:
    value = RECIPES[name].value

    assert hash_value(copy.deepcopy(value)) == hash_value(value)


@PARAMS
def test_a_kind_answers_all_questions(name: str) -> None:
    value = RECIPES[name].value
    kind = kind_of(value)

    assert kind.type_name(value)
    assert "\n" not in pack(value).values[0].preview
    assert kind.own_hash(value) is None or len(kind.own_hash(value) or "") == 32
    assert not kind.needs_reading(value)
    assert kind.is_valid(value)
    assert walk.find_unread(value) == []
    assert len(weigh(value).subvalues) == 0
    assert list(kind.subvalues(value)) is not None


def test_kinds_that_are_not_made_from_text_say_so() -> None:
    with pytest.raises(ValueError, match="cannot be made from text"):
        kind_of([]).parse("x")
