"""Errors as values."""

from __future__ import annotations

import threading

from taskgraph.hashing import digest_bytes
from taskgraph.values import codec
from taskgraph.values.failures import ErrorValue
from taskgraph.values.pack import pack
from taskgraph.values.preview import preview
from taskgraph.values.weigh import hash_value


class Demanding(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} {b}")


class Holding(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class Mute(Demanding):
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_an_error_that_can_be_stored_is_kept() -> None:
    error = ValueError("x", 1)

    assert ErrorValue(error).error is error


def test_an_error_that_cannot_be_stored_or_read_is_kept_as_text() -> None:
    assert str(ErrorValue(Demanding(1, 2)).error) == "Demanding('1 2')"
    assert str(ErrorValue(Holding("x")).error) == "Holding('x')"
    assert str(ErrorValue(Mute(1, 2)).error) == "Mute"


def test_errors_are_values_like_others() -> None:
    value = ErrorValue(KeyError("k"), (("file", 1, "f", "line"),))
    record = pack(value).values[0]

    again = codec.decode(
        record.value_hash, record.type, record.format, record.value, digest_bytes(record.value)
    )

    assert record.type == "taskgraph.ErrorValue"
    assert again == value
    assert hash(again) == hash(value)
    assert again != 1
    assert hash_value(again) == record.value_hash
    assert preview(value) == "KeyError('k')"
    assert repr(value) == "ErrorValue(KeyError('k'))"


def test_class_text_and_traceback_count() -> None:
    values = [
        ErrorValue(ValueError("a")),
        ErrorValue(ValueError("b")),
        ErrorValue(TypeError("a")),
        ErrorValue(ValueError("a"), "trace"),
    ]

    assert len({hash_value(each) for each in values}) == 4
