"""Packing: rows for a value, its subvalues and its files."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph.errors import UnhashableValueError, UnstorableValueError
from taskgraph.hashing import ValueHash, digest_bytes
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.pack import pack
from taskgraph.values.registry import register
from taskgraph.values.stored import FileRecord, SubvalueRecord
from taskgraph.values.weigh import hash_value, weigh


class Paper:
    def __init__(self, path: str) -> None:
        self.path = path


class PaperKind(ValueKind):
    name = "test.Paper"
    is_subvalue = True

    def shape(self, value: Any) -> Shape:
        return Shape("test paper", value.path)

    def file_record(self, value: Any, value_hash: ValueHash) -> FileRecord:
        return FileRecord(value_hash, "", value.path, "0" * 32, 1)


register(Paper, PaperKind())


@pytest.mark.parametrize("value", [1, "a", None, [1, {"a": (2.0,)}], {1, 2}])
def test_a_plain_value_is_one_row(value: Any) -> None:
    packed = pack(value)

    (record,) = packed.values
    assert packed.subvalues == packed.files == ()
    assert record.value_hash == hash_value(value)
    assert record.type == f"builtins.{type(value).__name__}"
    assert record.format == "pickle"
    assert record.size == len(record.value)
    assert record.content_digest == digest_bytes(record.value)
    assert record.preview == repr(value)
    assert record.trusted
    assert pack(value, weigh(value)) == packed


def test_a_file_by_itself_has_its_row_of_files() -> None:
    packed = pack(Paper("a"))

    assert [each.type for each in packed.values] == ["test.Paper"]
    assert [each.path for each in packed.files] == ["a"]
    assert packed.subvalues == ()


def test_subvalues_and_files_have_rows_once() -> None:
    value = {"one": Paper("a"), "two": [Paper("b"), Paper("a")]}

    packed = pack(value)

    root, *others = [each.value_hash for each in packed.values]
    assert root == hash_value(value)
    assert others == [hash_value(Paper("a")), hash_value(Paper("b"))]
    assert [each.path for each in packed.files] == ["a", "b"]
    assert packed.subvalues == tuple(SubvalueRecord(root, each) for each in others)


def test_a_value_that_is_too_large_is_unstorable() -> None:
    assert pack("a" * 100, max_size=200).values[0].size < 200
    with pytest.raises(UnstorableValueError, match="max_value_size"):
        pack("a" * 1000, max_size=200)


def test_a_value_without_a_stable_hash_is_not_packed() -> None:
    with pytest.raises(UnhashableValueError):
        pack([object()])
