"""Which kind a value is of."""

from __future__ import annotations

import collections
import enum
import importlib.metadata
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from taskgraph.values import registry
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.objects import MethodKind
from taskgraph.values.registry import kind_named, kind_of, register
from taskgraph.values.weigh import hash_value


class Tagged(ValueKind):
    def __init__(self, tag: str) -> None:
        self.name = tag

    def shape(self, value: Any) -> Shape:
        return Shape(self.name)


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    tables = (registry._exact, registry._bases, registry._names, registry._loaded)
    kept = [each.copy() for each in tables]
    yield
    for table, before in zip(tables, kept, strict=True):
        table.clear()  # type: ignore[attr-defined]
        table.update(before)  # type: ignore[attr-defined]
    registry._resolved.clear()


def test_the_nearest_registered_base_decides() -> None:
    base = type("Base", (), {})
    middle = type("Middle", (base,), {})
    leaf = type("Leaf", (middle,), {})
    register(base, Tagged("base"), subclasses=True)
    assert kind_of(leaf()).name == "base"

    register(middle, Tagged("middle"), subclasses=True)
    register(leaf, Tagged("leaf"))

    assert [kind_of(cls()).name for cls in (base, middle, leaf)] == ["base", "middle", "leaf"]
    assert kind_of(type("Below", (leaf,), {})()).name == "middle"


def test_a_kind_for_a_class_alone_is_not_for_its_subclasses() -> None:
    base = type("Base", (), {})
    register(base, Tagged("only"))

    assert kind_of(type("Sub", (base,), {})()).name == ""


def test_a_later_kind_replaces_an_earlier_one() -> None:
    cls = type("Cls", (), {})
    register(cls, Tagged("one"))
    before = hash_value(cls())

    register(cls, Tagged("two"))

    assert hash_value(cls()) != before


def test_the_users_own_method_comes_before_the_kind_of_a_base() -> None:
    cls = type("Own", (dict,), {"__taskgraph_hash__": lambda self: 1})

    assert isinstance(kind_of(cls()), MethodKind)


def test_members_of_mixed_enums_are_members_first() -> None:
    mixed = enum.Enum("mixed", {"A": "a"}, type=str)

    assert kind_of(mixed.A) is kind_of(enum.Enum("other", "X").X)


def test_a_kind_is_found_by_the_name_that_it_was_stored_under() -> None:
    assert kind_named("numpy.ndarray").name == "numpy.ndarray"
    assert kind_named("builtins.list") is kind_of([])
    assert kind_named("collections.OrderedDict") is kind_of(collections.OrderedDict())


@pytest.mark.parametrize("name", ["", "nowhere", "nowhere.at.all", "os.path", "os.sep", ".x"])
def test_a_name_that_leads_nowhere_is_a_lookup_error(name: str) -> None:
    with pytest.raises(LookupError, match="no type"):
        kind_named(name)


class Entry:
    value = "strange:add"

    def __init__(self, load: Any) -> None:
        self.load = load


def test_entry_points_are_loaded_when_an_unknown_type_is_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cls = type("Strange", (), {})
    calls: list[str] = []

    def add(register: Any) -> None:
        calls.append("add")
        register(cls, Tagged("strange"))

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Entry(lambda: add)])
    registry._loaded.discard(registry.ENTRY_POINT_GROUP)
    kind_of(PurePosixPath("a"))
    assert calls == []

    assert kind_of(cls()).name == "strange"
    assert kind_named("strange").name == "strange"
    assert calls == ["add"]


def test_a_broken_entry_point_costs_a_warning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> Any:
        raise ImportError("gone")

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Entry(load)])
    registry._loaded.discard(registry.ENTRY_POINT_GROUP)

    with pytest.warns(RuntimeWarning, match="strange:add.*gone"):
        kind = kind_of(type("Unknown", (), {})())

    assert kind.name == ""


def test_classes_made_at_run_time_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MAX_RESOLVED", 5)

    for _ in range(20):
        kind_of(type("Passing", (), {})())

    assert len(registry._resolved) <= 7
