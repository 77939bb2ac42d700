"""Weighing: depth, sharing, paths in errors, subvalues."""

from __future__ import annotations

import threading
import time
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from taskgraph.errors import UnhashableValueError
from taskgraph.values import walk
from taskgraph.values import weigh as weigh_module
from taskgraph.values.value import Value
from taskgraph.values.weigh import hash_value, weigh


class Part(Value):
    def __init__(self, name: str, inside: Any = None) -> None:
        self.name = name
        self.inside = inside


class Named(Part):
    def get_hash(self, data: bytes | None = None) -> str:
        return self.name

    def iter_subvalues(self) -> Any:
        yield self.inside


def nest(inner: Any, depth: int) -> Any:
    for _ in range(depth):
        inner = [inner, 1]
    return inner


@pytest.mark.parametrize("inner", [None, PurePosixPath("a"), {"a": SimpleNamespace(b=1)}])
def test_depth_costs_memory_only(inner: Any) -> None:
    assert hash_value(nest(inner, 20_000)) == hash_value(nest(inner, 20_000))
    assert hash_value(nest(inner, 20_000)) != hash_value(nest(inner, 20_001))


def test_shared_values_cost_no_second_look() -> None:
    shared: Any = PurePosixPath("a")
    for _ in range(500):
        shared = [shared, shared]

    assert len(hash_value(shared)) == 32


def test_sharing_does_not_show() -> None:
    one = [PurePosixPath("a"), [1]]

    assert hash_value([one, one]) == hash_value(
        [[PurePosixPath("a"), [1]], [PurePosixPath("a"), [1]]]
    )


def test_the_answer_is_the_same_with_and_without_noting_what_is_pure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner: Any = [PurePosixPath("a")]
    for level in range(300):
        sets = frozenset({level, frozenset({1})}) if level % 7 else {frozenset({1}): {2}}
        inner = [inner, {"x": [1, (2, [level])]}, sets, [[inner]] if level < 3 else ()]
    deep = nest(nest(1, 199), 30)
    value = [inner, deep, {"k": deep}]
    expected = hash_value(value)

    monkeypatch.setattr(weigh_module, "_PATIENCE", -1)

    assert hash_value(value) == expected


def test_many_levels_that_are_not_pure_cost_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    wide: Any = []
    for _ in range(60):
        wide = [wide, wide]
    started = time.perf_counter()

    hash_value(wide)

    assert time.perf_counter() - started < 20


@pytest.mark.parametrize("patience", [-1, 10**9])
def test_what_cannot_be_hashed_beside_a_cycle_is_named_with_its_path(
    monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    monkeypatch.setattr(weigh_module, "_PATIENCE", patience)
    cycle: dict[str, Any] = {"a": PurePosixPath("a"), "b": [1]}
    cycle["b"].append(cycle)
    cycle["c"] = SimpleNamespace(lock=threading.Lock())

    with pytest.raises(UnhashableValueError, match="cannot pickle") as caught:
        hash_value([1, cycle, nest([], 300)], "args.x")

    assert caught.value.path == 'args.x[1]["c"].lock'


class Endless:
    def __getstate__(self) -> Any:
        return {"next": Endless()}


def test_an_object_that_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_NESTING", 1000)
    cycle: list[Any] = []
    cycle += [cycle, Endless()]

    for value in (Endless(), cycle):
        with pytest.raises(UnhashableValueError, match="without end") as caught:
            hash_value(value)
        assert "more)..." in caught.value.path


def test_a_search_through_an_object_that_never_ends_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_NESTING", 1000)

    assert walk.find_live([Endless(), 1]) == []


def test_an_error_names_the_path() -> None:
    config = {"model": SimpleNamespace(lock=threading.Lock())}

    with pytest.raises(UnhashableValueError) as caught:
        hash_value(config, "args.config")

    assert caught.value.path == 'args.config["model"].lock'
    assert caught.value.type_name == "_thread.lock"
    assert "__taskgraph_hash__" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([1, [object()]], "v[1][0]"),
        ({object()}, "v{...}"),
        ({(1, object()): 1}, "v<key (1, <object object>)>[1]"),
        ({"a b": object()}, "v['a b']"),
        (slice(1, object()), "v.stop"),
        (SimpleNamespace(a=(object(),)), "v.a[0]"),
    ],
)
def test_paths_lead_to_what_cannot_be_hashed(value: Any, path: str) -> None:
    with pytest.raises(UnhashableValueError) as caught:
        hash_value(value, "v")

    assert caught.value.path == path


def test_subvalues_name_the_nearest_recorded_value_around_them() -> None:
    inner = Part("inner")
    outer = Part("outer", {"k": [inner]})
    root = [outer, {"again": inner}]

    weight = weigh(root)

    edges = {(each.parent_hash, each.value_hash) for each in weight.subvalues}
    assert edges == {
        (hash_value(root), hash_value(outer)),
        (hash_value(root), hash_value(inner)),
        (hash_value(outer), hash_value(inner)),
    }


def test_a_value_with_a_hash_of_its_own_is_searched_all_the_same() -> None:
    value = Named("x", [Part("inner")])

    weight = weigh((value,))

    assert [each.value for each in weight.subvalues] == [value, value.inside[0]]
    assert weight.value_hash == hash_value((Named("x"),))


def test_equal_subvalues_are_named_once() -> None:
    assert len(weigh([Part("a"), [Part("a")], {1: Part("a")}]).subvalues) == 1


def test_subvalues_in_cycles_are_found() -> None:
    inner = Part("inner")
    outer = Part("outer", {"k": [inner]})
    inner.inside = outer
    root = [outer, [1]]

    weight = weigh(root)

    edges = {(each.parent_hash, each.value_hash) for each in weight.subvalues}
    assert weight.value_hash == hash_value(root)
    assert edges == {
        (hash_value(root), hash_value(outer)),
        (hash_value(outer), hash_value(inner)),
        (hash_value(inner), hash_value(outer)),
    }


def test_a_value_with_a_hash_of_its_own_may_be_in_a_cycle() -> None:
    value = Named("x", [Part("inner")])
    value.inside.append(value)

    weight = weigh((value,))

    assert [each.value for each in weight.subvalues] == [value, value.inside[0]]
    assert weight.value_hash == hash_value((Named("x"),))


def test_builtins_have_no_subvalues() -> None:
    assert weigh([1, {"a": "b"}]).subvalues == ()
    assert weigh([PurePosixPath("a")]).subvalues == ()
