"""Values are walked side by side: what differs is named, and nothing else."""

from __future__ import annotations

import copy
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph import Dir, File, task
from taskgraph.provenance.difference import MOST, Difference, find_differences
from taskgraph.values.weigh import hash_value
from tests.labels import label


@dataclass
class Layer:
    width: int
    name: str = "layer"


@dataclass
class Config:
    layers: list[Layer]
    extra: dict[str, Any] = field(default_factory=dict)


class Plain:
    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)


Pair = namedtuple("Pair", "left right")

atoms = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, -0.0, 1.0, float("nan")])
    | st.text(max_size=3)
    | st.binary(max_size=2)
)
keys = st.integers(0, 2) | st.booleans() | st.text(max_size=1) | st.tuples(st.integers(0, 1))
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.sets(st.integers(0, 3) | st.text(max_size=1), max_size=3)
        | st.builds(Pair, inner, inner)
        | st.builds(Layer, inner)
        | st.builds(lambda each: Plain(x=each), inner)
        | st.dictionaries(st.text(max_size=1), inner, max_size=2).map(OrderedDict)
    ),
    max_leaves=8,
)


def only(old: Any, new: Any) -> Difference:
    found, is_cut = find_differences(old, new)
    assert not is_cut
    (difference,) = found
    return difference


@given(values, values)
def test_values_differ_if_and_only_if_their_hashes_do(old: Any, new: Any) -> None:
    found, _ = find_differences(old, new)

    assert bool(found) == (hash_value(old) != hash_value(new))


@given(values)
def test_a_copy_differs_in_nothing(value: Any) -> None:
    assert find_differences(value, copy.deepcopy(value)) == ([], False)


@given(values, atoms, atoms, st.sampled_from([".layers[1].width", '.extra["a"]', ".layers[0]"]))
def test_the_place_that_was_changed_is_named(shared: Any, old: Any, new: Any, path: str) -> None:
    def config(each: Any) -> Config:
        layers: list[Any] = [Layer(1), Layer(2)]
        extra: dict[str, Any] = {"b": shared, "a": 0}
        match path:
            case ".layers[1].width":
                layers[1] = Layer(each)
            case ".layers[0]":
                layers[0] = each
            case _:
                extra["a"] = each
        return Config(layers, extra)

    found, _ = find_differences(config(old), config(new))

    same = hash_value(old) == hash_value(new)
    assert [each.path for each in found] == ([] if same else [path])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1, 2, Difference("", "1", "2")),
        (1, True, Difference("", "1", "True")),
        (0.0, -0.0, Difference("", "0.0", "-0.0")),
        ([1, 2, 3], [1, 9, 2, 3], Difference("[1]", None, "9")),
        ([1, 2, 3], [1, 3], Difference("[1]", "2", None)),
        ((1, [2]), (1, [3]), Difference("[1][0]", "2", "3")),
        ({"a": 1}, {"a": 1, "b": 2}, Difference('["b"]', None, "2")),
        ({"a": 1, "b": 2}, {"b": 2}, Difference('["a"]', "1", None)),
        ({(1, 2): 3}, {(1, 2): 4}, Difference("[(1, 2)]", "3", "4")),
        ({1, 2}, {1, 2, 3}, Difference("{...}", None, "3")),
        (Pair(1, 2), Pair(1, 3), Difference(".right", "2", "3")),
        (Plain(x=1), Plain(x=1, y=2), Difference(".y", None, "2")),
        (
            {"a": 1, "b": 2},
            {"b": 2, "a": 1},
            Difference("", "['a', 'b']", "['b', 'a']", "the order of its keys"),
        ),
    ],
    ids=label,
)
def test_each_kind_of_value_is_taken_apart(old: Any, new: Any, expected: Difference) -> None:
    assert only(old, new) == expected


def test_long_texts_are_shown_around_the_place() -> None:
    old, new = "a" * 500 + "X" + "b" * 500, "a" * 500 + "Y" + "b" * 500

    found = only(old, new)

    assert found.detail == "from character 500 on"
    assert found.old is not None and "aX" in found.old and len(found.old) < 100
    assert found.new is not None and "aY" in found.new


@pytest.mark.parametrize("start", ["", "same"])
def test_a_text_that_only_became_longer_says_where(start: str) -> None:
    found = only(start * 50, start * 50 + "z" * 100)

    assert found.detail == f"from character {len(start) * 50} on"


def test_many_differences_are_cut() -> None:
    found, is_cut = find_differences(list(range(100)), list(range(1, 101))[::-1])

    assert is_cut
    assert len(found) == MOST


def test_cycles_end() -> None:
    old: list[Any] = [1]
    old.append(old)
    new: list[Any] = [2]
    new.append(new)

    found, _ = find_differences(old, new)

    assert found[0] == Difference("[0]", "1", "2")


def test_very_deep_values_are_walked() -> None:
    old: Any = 1
    new: Any = 2
    for _ in range(2_000):
        old, new = [old], [new]

    found, _ = find_differences(old, new)

    assert found[0].path == "[0]" * 2_000


def test_of_long_chains_it_is_said_how_far_the_walk_went() -> None:
    old: Any = 1
    new: Any = 2
    for index in range(300):
        old, new = [index, old], [index, new]

    found, _ = find_differences(old, new)

    assert found[0].detail == "somewhere inside"
    assert found[0].path.count("[1]") > 50


def test_of_an_array_the_first_item_that_differs_is_named() -> None:
    old = np.arange(12.0).reshape(3, 4)
    new = old.copy()
    new[1, 2] = 50
    new[2, 0] = 60

    found = only({"x": old}, {"x": new})

    assert found == Difference('["x"][1, 2]', "6.0", "50.0", "and 1 more of its 12 items")


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_of_a_table_column_and_row_are_named(package: str) -> None:
    frames: Any = pytest.importorskip(package)
    columns = {"x": [1, 2, 3, 4], "y": list("abcd")}
    old = frames.DataFrame(columns)
    other = frames.DataFrame({**columns, "x": [1, 2, 3, 9]})

    told = [
        [(each.path, each.detail) for each in find_differences({"t": old}, {"t": new})[0]]
        for new in (
            other,
            frames.DataFrame({"x": columns["x"]}),
            frames.DataFrame({"x": [1], "y": ["a"]}),
        )
    ]

    assert told == [
        [('["t"]["x"][3]', "")],
        [('["t"]["y"]', "")],
        [('["t"]', "4 rows became 1")],
    ]


def test_a_nan_is_the_same_as_itself() -> None:
    old = np.array([np.nan, 1.0])

    assert find_differences(old, np.array([np.nan, 1.0])) == ([], False)
    assert only(old, np.array([np.nan, 2.0])).path == "[1]"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.zeros(2, dtype=np.float32)),
        (np.array(1), np.array(2)),
        (np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)),
        (np.zeros(2)[:0], np.zeros((0, 2))),
        (np.array([1, 2], dtype="M8[s]"), np.array([1, 3], dtype="M8[s]")),
    ],
    ids=label,
)
def test_arrays_that_differ_have_a_difference(old: Any, new: Any) -> None:
    found, _ = find_differences(old, new)

    assert found


def test_of_a_file_it_is_said_what_became_of_it(tmp_path: Path) -> None:
    def seen(content: str | None) -> File:
        path = tmp_path / "in.txt"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        file = File(path)
        file.update_hash()
        return file

    missing, one, other = seen(None), seen("one"), seen("other")

    told = [
        (found.path, found.detail, found.file is not None)
        for found in (
            only([one], [other]),
            only([missing], [one]),
            only([one], [missing]),
        )
    ]
    assert told == [
        ("[0]", "content changed", True),
        ("[0]", "appeared", True),
        ("[0]", "vanished", True),
    ]


def test_of_a_folder_the_files_are_named(tmp_path: Path) -> None:
    def seen(**contents: str) -> Dir:
        for path in tmp_path.iterdir():
            path.unlink()
        for name, content in contents.items():
            (tmp_path / name).write_text(content)
        folder = Dir(tmp_path)
        folder.update_hash()
        return folder

    found, _ = find_differences(seen(a="1", b="2", c="3"), seen(a="1", b="4", d="5"))

    assert [(each.path, each.detail) for each in found] == [
        ('["b"]', "content changed"),
        ('["c"]', "vanished"),
        ('["d"]', "appeared"),
    ]


def test_two_paths_are_two_files(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("same")

    found = only(File(tmp_path / "a"), File(tmp_path / "b"))

    assert found.file is None
    assert found.old != found.new


def test_functions_and_tasks_differ_by_their_code() -> None:
    def made(number: int) -> Any:
        def inner() -> int:
            return number

        return inner

    def task_of(version: str) -> Any:
        return task(made(1), name="t", namespace="differences", version=version)

    assert only([made(1)], [made(2)]).detail == "the code of the function"
    assert only([task_of("1")], [task_of("2")]).detail == "the code of the task"
