"""Paths inside of roots: the same project in another folder has the same hashes and values."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.errors import DamagedValueError
from taskgraph.values import codec
from taskgraph.values.pack import pack
from taskgraph.values.places import FilePlaces, current_places, use_places
from taskgraph.values.weigh import hash_value

HERE, THERE = "/home/ann/project", "/srv/bob/p"
parts = st.sampled_from(["a", "b", "data", "é", "a b", "..", "project"])
below = st.lists(parts, max_size=3).map("/".join)
classes = st.sampled_from(["PosixPath", "PurePosixPath"])


class Folder(pathlib.PurePosixPath):
    pass


@pytest.fixture(autouse=True)
def _restore_places() -> Iterator[None]:
    before = current_places()
    yield
    use_places(before)


def at(folder: str) -> None:
    use_places(FilePlaces({"project": folder, "inner": f"{folder}/data"}))


def wrap(value: Any) -> list[Any]:
    """Return containers of all sorts around a value."""
    return [
        value,
        [1, {"a": (value,)}],
        {value: frozenset({value})},
        SimpleNamespace(path=value),
        [value, SimpleNamespace(again=[value])],
    ]


@given(text=below, name=classes)
def test_the_same_project_in_another_folder_has_the_same_hashes(text: str, name: str) -> None:
    cls = getattr(pathlib, name)
    at(HERE)
    here = [hash_value(each) for each in wrap(cls(HERE, text))]

    at(THERE)
    there = [hash_value(each) for each in wrap(cls(THERE, text))]

    # Where ".." leads its text cannot tell: such a path is not portable.
    assert (here == there) == (".." not in text.split("/"))


@given(one=below, two=below)
def test_different_paths_inside_of_a_root_differ(one: str, two: str) -> None:
    at(HERE)
    first, second = pathlib.PurePosixPath(HERE, one), pathlib.PurePosixPath(HERE, two)

    assert (hash_value(first) == hash_value(second)) == (first == second)


@given(text=below, name=classes)
def test_a_stored_path_comes_back_at_the_new_place(text: str, name: str) -> None:
    cls = getattr(pathlib, name)
    at(HERE)
    values = wrap(cls(HERE, text))
    payloads = [codec.encode(each)[1] for each in values]
    hashes = [hash_value(each) for each in values]
    assert [codec.loads(each) for each in payloads] == values

    at(THERE)

    place = HERE if ".." in text.split("/") else THERE
    again = [codec.loads(each) for each in payloads]
    assert again == wrap(cls(place, text))
    assert [hash_value(each) for each in again] == hashes


def test_a_path_beside_a_function_comes_back_at_the_new_place_too() -> None:
    at(HERE)
    format, payload = codec.encode([pathlib.Path(HERE, "a"), lambda: 1])

    at(THERE)

    assert format == codec.CLOUDPICKLE
    assert codec.loads(payload)[0] == pathlib.Path(THERE, "a")


def test_a_path_of_a_root_that_is_unknown_here_is_damage() -> None:
    at(HERE)
    record = pack(pathlib.Path(HERE, "a")).values[0]

    use_places(FilePlaces())

    with pytest.raises(DamagedValueError, match="project"):
        codec.decode(
            record.value_hash, record.type, record.format, record.value, record.content_digest
        )


@pytest.mark.parametrize("text", ["a/b", "/etc/passwd", HERE + "-other/a", "C:/a"])
def test_paths_outside_of_all_roots_count_by_their_text(text: str) -> None:
    before = [hash_value(pathlib.PurePosixPath(text)), hash_value(pathlib.PureWindowsPath(text))]

    at(HERE)

    path = pathlib.PurePosixPath(text)
    assert [hash_value(path), hash_value(pathlib.PureWindowsPath(text))] == before
    assert codec.loads(codec.encode(path)[1]) == path


def test_subclasses_of_paths_count_by_their_text_wherever_they_lie() -> None:
    before = hash_value(Folder(HERE, "a"))

    at(HERE)

    assert hash_value(Folder(HERE, "a")) == before
    assert codec.loads(codec.encode(Folder(HERE, "a"))[1]) == Folder(HERE, "a")


def test_a_path_through_a_link_keeps_its_spelling_here(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    use_places(FilePlaces({"project": tmp_path / "link"}))
    linked, real = tmp_path / "link" / "a", tmp_path / "real" / "a"

    payloads = [codec.encode(each)[1] for each in (linked, real)]

    assert hash_value(linked) == hash_value(real)
    assert [codec.loads(each) for each in payloads] == [linked, real]
    use_places(FilePlaces({"project": THERE}))
    assert [codec.loads(each) for each in payloads] == [pathlib.Path(THERE, "a")] * 2
