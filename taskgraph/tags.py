"""Tags: which keys there may be, what text stands for them, and the row of each.

Nothing is overwritten: a tag that another one supersedes stays, and is no longer current. Keys that
begin with ``taskgraph.`` are the library's own: everybody may read them, and nobody else writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, NoReturn

from taskgraph.errors import TagKeyError
from taskgraph.hashing import hash_record
from taskgraph.jsontext import storable, to_json

#: What the keys of the library's own tags begin with.
RESERVED: Final = "taskgraph."
#: That of the tags which say that a result is not to be used.
RETRACTED: Final = "taskgraph.retracted"
_MOST_CHARACTERS: Final = 200
_ID_SIZE: Final = 16
_OF: Final = ("type", "id", "name")

Tags = tuple[tuple[str, Any], ...]  # keys with JSON values


class TagRecord(NamedTuple):
    """A tag; ``value`` is JSON text with sorted keys."""

    tag_hash: str
    entity_type: str
    entity_id: str
    key: str
    value: str
    is_current: bool


class OwnTags(tuple[tuple[str, Any], ...]):
    """Tags that the library itself puts on something: their keys may be reserved."""

    __slots__ = ()


class RetractionWords(NamedTuple):
    """What a tag says of a retraction.

    Attributes:
        id: The retraction.
        reason: Why.
        by: Who said so.
        at: When: ISO 8601 with a time zone.
        cascade: Whether what came from it is meant as well.
        of: What was retracted: its ``type``, its ``id`` and its ``name``.
    """

    id: str
    reason: str
    by: str
    at: str
    cascade: bool
    of: dict[str, str]


def _is_storable(text: str) -> bool:
    return "\0" not in text and storable(text) == text


def retraction_words(text: str) -> RetractionWords | None:
    """Return what a tag `RETRACTED` says, from its JSON text; None where it says no such thing."""
    try:
        said = json.loads(text)
        words = RetractionWords(**said)
        texts = [words.id, words.reason, words.by, words.at, *(words.of[key] for key in _OF)]
        when = datetime.fromisoformat(words.at)
        when.astimezone(UTC)
        is_whole = (
            all(isinstance(each, str) and _is_storable(each) for each in texts)
            and all(len(bytes.fromhex(each)) == _ID_SIZE for each in (words.id, words.of["id"]))
            and isinstance(words.cascade, bool)
            and len(words.of) == len(_OF)
            and when.tzinfo is not None
        )
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return None
    return words if is_whole else None


def tag_record(
    entity_type: str, entity_id: str, key: str, value: Any, parents: Iterable[str] = ()
) -> TagRecord:
    """Return the row of a tag; ``parents`` are the hashes of those that it supersedes.

    Raises:
        ValueError: The value is not JSON.
    """
    text = to_json(value)
    tag_hash = hash_record("tag", str(entity_type), entity_id, key, text, *sorted(parents))
    return TagRecord(tag_hash, str(entity_type), entity_id, key, text, True)


def check_key(key: Any) -> str:
    """Return the key of a tag that somebody else than the library may write.

    Raises:
        TagKeyError: It is no key, or one of the library's own.
    """
    if not isinstance(key, str):
        raise TagKeyError(key, "a key is text")
    if not key or len(key) > _MOST_CHARACTERS:
        raise TagKeyError(key, f"a key has 1 to {_MOST_CHARACTERS} characters")
    if "=" in key or any(each.isspace() or not each.isprintable() for each in key):
        raise TagKeyError(key, "a key has no blanks, no '=' and nothing that cannot be printed")
    if key.startswith(RESERVED):
        raise TagKeyError(
            key, f"keys that begin with {RESERVED!r} are taskgraph's own: they can be read only"
        )
    return key


def checked_tags(pairs: Iterable[tuple[Any, Any]]) -> Tags:
    """Return tags that may be written; those of the library itself as they are.

    Raises:
        TagKeyError: A key is none, or one of the library's own.
        ValueError: A value is not JSON.
    """
    if isinstance(pairs, OwnTags):
        return pairs
    tags = tuple((check_key(key), value) for key, value in pairs)
    for _, value in tags:
        to_json(value)
    return tags


def parse_tag_value(text: str) -> Any:
    """Return what a text stands for: a JSON value if it can be read so, else the text itself."""
    try:
        return json.loads(text, parse_constant=_refuse)  # `NaN` is a word here, and no number
    except (ValueError, RecursionError):
        return text


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def parse_tag_key_value(text: str, value_required: bool = True) -> tuple[str, Any]:
    """Return the key and the value of ``key=value``.

    Args:
        text: What somebody typed.
        value_required: Whether a key alone will not do; it has the value None otherwise.

    Raises:
        ValueError: There is no key, or no value where one is required.
    """
    key, equals, value = text.partition("=")
    if not key or (value_required and not equals):
        raise ValueError(f"expected NAME=VALUE, not {text!r}")
    return key, parse_tag_value(value) if equals else None


def format_tag_value(value: Any) -> str:
    """Return the text that `parse_tag_value` reads as a value."""
    if isinstance(value, str) and parse_tag_value(value) == value and value:
        return value
    return to_json(value)


def format_tag_key_value(key: str, value: Any, max_length: int = 50) -> str:
    """Return ``key=value``, each of the two cut where it is longer than ``max_length``."""
    return f"{_cut(key, max_length)}={_cut(format_tag_value(value), max_length)}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 3)] + "..."
