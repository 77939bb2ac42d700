from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.errors import TagKeyError
from taskgraph.tags import (
    OwnTags,
    check_key,
    checked_tags,
    format_tag_key_value,
    format_tag_value,
    parse_tag_key_value,
    parse_tag_value,
    retraction_words,
    tag_record,
)


@pytest.mark.parametrize("key", ["a", "project", "lab.project", "größe", "x-1", "taskgraph", "a:b"])
def test_what_can_be_a_key(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "a b", "a=b", "a\n", "\x1b[0m", "x" * 201, 3, None])
def test_what_cannot_be_a_key(key: Any) -> None:
    with pytest.raises(TagKeyError, match="cannot be the key of a tag"):
        check_key(key)


def test_keys_of_the_library_are_its_own() -> None:
    with pytest.raises(TagKeyError, match="taskgraph's own"):
        checked_tags([("a", 1), ("taskgraph.user", "ada")])

    own = OwnTags([("taskgraph.user", "ada")])
    assert checked_tags(own) is own


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('"1"', "1"),
        ('{"a": [1]}', {"a": [1]}),
        ("", ""),
        ("ada", "ada"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("[1", "[1"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_text_is_json_if_it_can_be_read_so(text: str, value: Any) -> None:
    assert parse_tag_value(text) == value


@pytest.mark.parametrize(
    ("text", "pair"),
    [("a=1", ("a", 1)), ("a=b=c", ("a", "b=c")), ("a=", ("a", "")), ("a = 1", ("a ", 1))],
)
def test_a_key_ends_at_the_first_equals_sign(text: str, pair: tuple[str, Any]) -> None:
    assert parse_tag_key_value(text) == pair


@pytest.mark.parametrize("text", ["", "=1", "a"])
def test_a_pair_has_a_key_and_a_value(text: str) -> None:
    with pytest.raises(ValueError, match="expected NAME=VALUE"):
        parse_tag_key_value(text)


def test_a_value_may_be_left_out_where_it_is_not_required() -> None:
    assert parse_tag_key_value("a", value_required=False) == ("a", None)


def test_what_is_long_is_cut() -> None:
    assert format_tag_key_value("key", "v" * 100, 10) == "key=vvvvvvv..."


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=5,
)


@given(_json)
def test_what_is_formatted_is_read_as_it_was(value: Any) -> None:
    try:
        text = format_tag_value(value)
    except ValueError:  # text with a NUL character, which no tag can have
        return

    assert parse_tag_value(text) == value


def test_equal_values_make_one_tag() -> None:
    first = tag_record("Job", "0" * 32, "n", {"a": 1.0, "b": [2]})

    assert first == tag_record("Job", "0" * 32, "n", {"b": [2.0], "a": 1})
    assert first.tag_hash != tag_record("Job", "0" * 32, "n", {"a": 1}, [first.tag_hash]).tag_hash


_OF: Final = {"type": "CallNode", "id": "1" * 32, "name": "f"}
_SAID: Final[dict[str, Any]] = {
    "id": "0" * 32,
    "reason": "wrong",
    "by": "ada",
    "at": "2026-01-31T12:00:00+00:00",
    "cascade": True,
    "of": _OF,
}


def test_words_of_a_retraction_are_read_back() -> None:
    words = retraction_words(json.dumps(_SAID))

    assert words is not None
    assert words._asdict() == _SAID


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0"},
        {"id": 1},
        {"reason": None},
        {"reason": "a\0b"},
        {"reason": "\ud800"},
        {"at": "yesterday"},
        {"at": "2026-01-31T12:00:00"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"cascade": 1},
        {"of": {}},
        {"of": []},
        {"of": {**_OF, "more": "x"}},
        {"more": "x"},
    ],
)
def test_what_says_no_retraction_is_none(change: dict[str, Any]) -> None:
    assert retraction_words(json.dumps({**_SAID, **change})) is None


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "1", '"x"', "{}", "[" * 10_000])
def test_what_is_no_object_says_no_retraction(text: str) -> None:
    assert retraction_words(text) is None
