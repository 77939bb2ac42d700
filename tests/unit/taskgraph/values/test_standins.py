"""Stand-ins: values whose classes are not here can be looked at and compared."""

from __future__ import annotations

import collections
import enum
import pickle
import sys
import types
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

from taskgraph.errors import DamagedValueError
from taskgraph.hashing import ValueHash, digest_bytes
from taskgraph.provenance.difference import find_differences
from taskgraph.values.codec import decode_outline, encode
from taskgraph.values.standins import StandIn, stand_in_for
from taskgraph.values.weigh import hash_value


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that is there when values are written, and could not be imported again."""
    module = types.ModuleType("foreign")
    monkeypatch.setitem(sys.modules, "foreign", module)

    @dataclass
    class Layer:
        width: int

    class Slots:
        __slots__ = ("a", "b")

        def __init__(self, a: Any, b: Any) -> None:
            self.a, self.b = a, b

    class Items(list[Any]):
        pass

    class Loud:
        def __init__(self) -> None:
            self.loaded = False

        def __setstate__(self, state: Any) -> None:
            raise AssertionError("code of the class ran")

    class Color(enum.Enum):
        RED = 1

    for cls in (Layer, Slots, Items, Loud, Color):
        cls.__module__ = "foreign"
        cls.__qualname__ = cls.__name__
        setattr(module, cls.__name__, cls)
    return module


def outline(value: Any) -> Any:
    format, payload = encode(value)
    return decode_outline(ValueHash("0" * 32), format, payload, digest_bytes(payload))


def test_objects_become_stand_ins_with_their_attributes(foreign: Any) -> None:
    found = outline([foreign.Layer(64), 2])

    assert isinstance(found[0], StandIn)
    assert found[0].parts() == {".width": 64}
    assert repr(found[0]) == "Layer(width=64)"
    assert found[1] == 2


def test_no_code_of_the_class_runs(foreign: Any) -> None:
    assert outline(foreign.Loud()).parts() == {".loaded": False}


def test_stand_ins_are_compared_place_by_place(foreign: Any) -> None:
    old = outline({"layers": [foreign.Layer(1), foreign.Slots(2, "x")]})
    new = outline({"layers": [foreign.Layer(1), foreign.Slots(2, "y")]})

    (found,), _ = find_differences(old, new)

    assert (found.path, found.old, found.new) == ('["layers"][1].b', "'x'", "'y'")


def test_items_and_arguments_are_kept(foreign: Any) -> None:
    items = foreign.Items([1, 2])

    assert outline(items).parts() == {"[0]": 1, "[1]": 2}
    assert outline(foreign.Color.RED).parts() == {"<argument 0>": 1}


def test_plain_data_is_itself() -> None:
    value = [
        1,
        "a",
        {"x": (1.5, None)},
        {1, 2},
        date(2026, 1, 1),
        collections.OrderedDict(a=1),
        PurePosixPath("a/b"),
    ]

    assert outline(value) == value


def test_arrays_inside_of_objects_are_arrays(foreign: Any) -> None:
    found = outline(foreign.Layer(np.arange(3)))

    assert found.parts()[".width"].tolist() == [0, 1, 2]


def test_equal_outlines_have_equal_hashes(foreign: Any) -> None:
    first, again = outline(foreign.Layer(1)), outline(foreign.Layer(1))

    assert hash_value(first) == hash_value(again)
    assert hash_value(first) != hash_value(outline(foreign.Layer(2)))


def test_a_class_has_one_class_of_stand_ins() -> None:
    assert stand_in_for("m", "A.B") is stand_in_for("m", "A.B")
    assert stand_in_for("m", "A.B").__name__ == "B"


@pytest.mark.parametrize(
    ("format", "payload"),
    [("pickle", b"no pickle"), ("npy", b""), ("cloudpickle", pickle.dumps(1))],
)
def test_what_has_no_outline_is_refused(format: str, payload: bytes) -> None:
    with pytest.raises(DamagedValueError):
        decode_outline(ValueHash("0" * 32), format, payload, digest_bytes(payload))


def test_other_bytes_are_refused() -> None:
    with pytest.raises(DamagedValueError, match="not those that were written"):
        decode_outline(ValueHash("0" * 32), "pickle", pickle.dumps(1), digest_bytes(b""))
