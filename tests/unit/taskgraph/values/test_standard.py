"""The standard library's types and Python's own, where they have corners."""

from __future__ import annotations

import io
import pathlib
import zoneinfo
from typing import Any

import pytest

from taskgraph.errors import UnhashableValueError
from taskgraph.values import weigh
from taskgraph.values.weigh import hash_value


class Project(pathlib.PurePosixPath):
    def __getstate__(self) -> Any:
        return {"root": 1}


class Folder(pathlib.PurePosixPath):
    pass


def test_subclasses_of_paths_count_by_class_text_and_attributes() -> None:
    tagged = Folder("a")
    tagged.tag = 1  # type: ignore[attr-defined]
    values = [pathlib.PurePosixPath("a"), Folder("a"), Folder("b"), tagged, Project("a")]

    assert len({hash_value(each) for each in values}) == len(values)
    assert hash_value(Folder("a")) == hash_value(Folder("./a"))


def test_a_time_zone_without_a_name_is_refused() -> None:
    header = b"TZif" + b"\0" * 16 + b"\0\0\0\0" * 4 + b"\0\0\0\1" + b"\0\0\0\4"
    file = io.BytesIO(header + b"\0\0\0\0\0\0" + b"UTC\0")

    zone = zoneinfo.ZoneInfo.from_file(file)

    with pytest.raises(UnhashableValueError, match="without a key"):
        hash_value(zone)


@pytest.mark.parametrize("value", ["a\ud800", b"ab", 2**70, -1, 1.5, None])
def test_scalars_that_marshal_refuses_are_hashed_by_their_bytes(
    monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    plain = hash_value(value)
    for name in ("hash_builtin", "hash_proven"):
        monkeypatch.setattr(weigh, name, lambda value: None)
    for name in ("_SMALL_TYPES", "_SHORT_TYPES"):
        monkeypatch.setattr(weigh, name, frozenset())

    assert hash_value(value) == hash_value(value)
    assert hash_value(value) != plain
    assert hash_value(value) != hash_value([value])


def test_memory_views_count_by_content() -> None:
    one = memoryview(b"abcdef")

    assert hash_value(one) == hash_value(memoryview(bytearray(b"abcdef")))
    assert hash_value(one[::2]) == hash_value(memoryview(b"ace"))
    assert hash_value(one) != hash_value(one.cast("B", (2, 3)))
    assert hash_value(one) != hash_value(one.cast("H"))
    assert hash_value(one[:0]) == hash_value(memoryview(b""))
