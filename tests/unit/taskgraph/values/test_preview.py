"""Previews: short, quick, on one line, and never an error."""

from __future__ import annotations

import collections
import decimal
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from taskgraph.values.preview import preview
from tests.properties.recipes import Point, build
from tests.properties.test_hashing import COMMON, recipes


class Foo:
    pass


class Shown:
    def __init__(self, text: Any) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@dataclass
class Box:
    inside: Any
    label: str = "x"


class Items(list):
    pass


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Names(dict):
    pass


partial = Box.__new__(Box)
partial.inside = 1
del Box.label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (1, "1"),
        (1.5, "1.5"),
        (True, "True"),
        (..., "Ellipsis"),
        ("a\nb", "'a\\nb'"),
        (b"a", "b'a'"),
        ([], "[]"),
        ((1,), "(1,)"),
        ({"a": [1, (2,)]}, "{'a': [1, (2,)]}"),
        ({3, 1, 2}, "{1, 2, 3}"),
        (set(), "set()"),
        (frozenset({1}), "frozenset({1})"),
        (1 << 5000, "<int of 5001 bits>"),
        (Foo(), "<Foo object>"),
        ([Foo()], "[<Foo object>]"),
        (Shown("<Foo object at 0x7f00>"), "<Foo object>"),
        (Shown("<function f at 0x7f00>"), "<function f object>"),
        (Shown("a\nb\x1b[1m\ud800"), "a b\ufffd[1m\ufffd"),
        (Shown(3), "<Shown>"),
        (Point(1, Foo()), "Point(x=1, y=<Foo object>)"),
        (Box([Foo()], "l"), "Box(inside=[<Foo object>], label='l')"),
        (partial, "Box(inside=1, label=<not set>)"),
        (Items([1]), "Items([1])"),
        (Text("a"), "Text('a')"),
        (Number(3), "Number(3)"),
        (Names(a=1), "Names({'a': 1})"),
        (PurePosixPath("a"), "PurePosixPath('a')"),
        (decimal.Decimal("1.0"), "Decimal('1.0')"),
        (collections.deque([1]), "deque([1])"),
        (collections.deque(range(3000)), "<deque of 3000 items>"),
        ([[[[[[1]]]]]], "[[[[...]]]]"),
        (int, "builtins.int"),
        (np.array([1, 2]), "array(int64, shape=(2,), [1, 2])"),
    ],
)
def test_values_are_shown(value: Any, text: str) -> None:
    assert preview(value) == text


class Angry:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_repr_that_raises_costs_the_text_only() -> None:
    assert preview([1, Angry()]) == "<list>"
    assert preview(Angry()) == "<Angry>"


@pytest.mark.parametrize(
    "value",
    [
        list(range(10**6)),
        "x" * 10**7,
        Box(list(range(10**6))),
        Items(range(10**6)),
        dict.fromkeys(range(10**6)),
        set(range(10**6)),
        np.zeros(10**6),
        collections.OrderedDict.fromkeys(range(10**6)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_large_values_cost_no_time(value: Any) -> None:
    preview(value)
    started = time.perf_counter()

    text = preview(value)

    assert time.perf_counter() - started < 0.005
    assert len(text) <= 120


@pytest.mark.parametrize("limit", [0, 1, 3, 5, 40])
def test_the_limit_holds(limit: int) -> None:
    for value in ("a" * 100, list(range(100)), 10**50, 1.25, None, Foo()):
        assert len(preview(value, limit)) <= limit


@settings(max_examples=100, **COMMON)
@given(recipe=recipes)
def test_any_value_is_shown_on_one_printable_line(recipe: Any) -> None:
    text = preview(build(recipe))

    assert len(text) <= 120
    assert text.isprintable()
    assert " at 0x" not in text
    text.encode()
