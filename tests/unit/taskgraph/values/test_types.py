"""The registry of types: what is known of values, asked in one place."""

from __future__ import annotations

import enum
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import taskgraph
from taskgraph import File, ProxyValue, Value, get_type_registry
from taskgraph.errors import InvalidValueError
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.types import KnownValue
from taskgraph.values.weigh import hash_value

types = get_type_registry()


class Color(enum.Enum):
    red = 1
    blue = 2


class Point(Value):
    type_name = "types.Point"

    def __init__(self, x: int, inside: Any = None) -> None:
        self.x = x
        self.inside = inside

    def serialize(self) -> bytes:
        return str(self.x).encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return raw_type(int(data))

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        return raw_type(int(arg))

    def is_valid(self) -> bool:
        return self.x > 0

    def iter_subvalues(self) -> Any:
        yield self.inside

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        return ("given", self.x, preprocess_args)

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        return ("returned", self.x, postprocess_args)


class Foreign:
    def __init__(self, n: int) -> None:
        self.n = n


class ForeignValue(ProxyValue):
    type = Foreign
    type_name = "types.Foreign"


class Loose:
    def __init__(self, n: int = 0) -> None:
        self.n = n


def test_there_is_one_registry() -> None:
    assert taskgraph.get_type_registry() is types


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (int, "builtins.int"),
        (list, "builtins.list"),
        (File, "taskgraph.File"),
        (Point, "types.Point"),
        (Foreign, "types.Foreign"),
        (Loose, f"{__name__}.Loose"),
        (np.ndarray, "numpy.ndarray"),
    ],
)
def test_names_of_types_go_both_ways(cls: type, name: str) -> None:
    assert types.get_type_name(cls) == name
    assert types.parse_type_name(name) is cls


def test_a_name_that_nothing_has_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"no type named 'nowhere\.Thing'"):
        types.parse_type_name("nowhere.Thing")


def test_each_value_has_one_that_speaks_for_it() -> None:
    point, foreign = Point(1), Foreign(2)

    assert types.get_value(point) is point
    assert type(types.get_value(foreign)) is ForeignValue
    assert type(types.get_value(3)) is KnownValue
    assert types.get_type(Point) is Point
    assert types.get_type(Foreign, use_default=False) is ForeignValue
    assert types.get_type(Loose) is KnownValue
    assert types.get_type(Loose, use_default=False) is None
    assert types.get_type(np.ndarray, use_default=False) is KnownValue


@pytest.mark.parametrize(
    "value", [3, "text", [1, (2, {"a": 3.0})], Point(4), Foreign(5), Loose(6), Color.red]
)
def test_what_is_written_can_be_read(value: Any) -> None:
    name = types.get_type_name(type(value))

    again = types.deserialize(name, types.serialize(value))

    assert type(again) is type(value)
    assert types.get_hash(again) == types.get_hash(value) == hash_value(value)
    assert types.get_value(again).get_hash() == types.get_value(value).get_hash()


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.tuples(inner)))
def test_plain_values_go_round(value: Any) -> None:
    name = types.get_type_name(type(value))

    assert types.deserialize(name, types.serialize(value)) == value


def test_formats_of_kinds_go_round_too(tmp_path: Path) -> None:
    array, file = np.arange(6).reshape(2, 3), File(str(tmp_path / "a.txt"))

    read = types.deserialize("numpy.ndarray", types.serialize(array))

    assert (read == array).all() and read.dtype == array.dtype
    assert types.deserialize("taskgraph.File", types.serialize(file)) == file


def test_unknown_names_are_read_as_pickles() -> None:
    assert types.deserialize("nowhere.Thing", types.serialize([1, 2])) == [1, 2]


def test_a_missing_module_is_an_invalid_value() -> None:
    with pytest.raises(InvalidValueError, match="needs the module 'nowhere'"):
        types.deserialize("nowhere.Thing", b"cnowhere\nThing\n.")


def test_values_are_asked_on_their_way_and_others_stay_what_they_are() -> None:
    assert types.preprocess(Point(1), {"task": "t"}) == ("given", 1, {"task": "t"})
    assert types.postprocess(Point(1), {}) == ("returned", 1, {})
    assert types.preprocess(3, {}) == 3
    assert types.postprocess("x", {}) == "x"
    foreign = Foreign(1)
    assert types.preprocess(foreign, {}) is foreign
    assert types.postprocess(foreign, {}) is foreign


def test_text_is_parsed_by_type() -> None:
    assert types.parse_arg(bool, "TRUE") is True
    assert types.parse_arg(Color, "Color.red") is Color.red
    assert types.parse_arg(datetime, "1 Feb 2026 12:00") == datetime(2026, 2, 1, 12)
    assert types.parse_arg(int | None, "none") is None
    assert types.parse_arg(Point, "3").x == 3
    assert KnownValue.parse_arg(int, "3") == 3
    with pytest.raises(ValueError, match="expected one of red, blue"):
        types.parse_arg(Color, "green")


def test_validity_of_a_value_and_of_all_inside() -> None:
    assert types.is_valid(Point(1)) and not types.is_valid(Point(0))
    assert types.is_valid([Point(0)])
    assert not types.is_valid_nested([{"a": Point(0)}])
    assert types.get_value([Point(1)]).is_valid()


def test_subvalues_are_found_at_any_depth() -> None:
    inner = Point(2)
    outer = Point(1, [inner])
    foreign = Foreign(3)

    assert list(types.iter_subvalues(outer)) == [inner]
    assert list(types.iter_subvalues([1, {"a": outer}, foreign])) == [outer, inner, foreign]
    assert list(types.iter_subvalues(3)) == []


class Late:
    def __init__(self, n: int) -> None:
        self.n = n


class LateKind(ValueKind):
    name = "types.Late"

    def shape(self, value: Any) -> Shape:
        return Shape("types.Late", value.n % 10)


def test_a_kind_can_be_registered() -> None:
    types.register(Late, LateKind())

    assert types.get_type_name(Late) == "types.Late"
    assert types.get_hash(Late(1)) == types.get_hash(Late(11))


def test_a_proxy_can_be_registered_for_more_classes_and_a_value_again() -> None:
    class Other:
        def __init__(self) -> None:
            self.n = 1

    types.register(Other, ForeignValue)
    types.register(Point)
    types.register(ForeignValue)

    assert type(types.get_value(Other())) is ForeignValue
    assert types.get_type(Point) is Point
    assert types.get_type(Foreign) is ForeignValue
    with pytest.raises(TypeError, match="Loose does not say how its values behave"):
        types.register(Loose)
