"""What tags say: those that count now, those that did, and which keys there are.

The names of the fields are the keys of ``--json`` and change only with a line in the changelog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from taskgraph.provenance.rows import TagRow


class TaggedRow(Protocol):
    """A record that may have tags."""

    @property
    def tags(self) -> Sequence[TagRow]:
        """All that it has or had."""
        ...


class PastTagRow(TagRow, Protocol):
    """A tag, with those that it superseded."""

    @property
    def tag_hash(self) -> str:
        """Its identity."""
        ...

    @property
    def is_deletion(self) -> bool:
        """Whether it only says that others were deleted."""
        ...

    @property
    def parents(self) -> Sequence[TagRow]:
        """Those that it superseded."""
        ...


class TagReader(Protocol):
    """What is asked of tags; each answer is one statement or a few."""

    def tags_of(self, entity_id: str) -> Sequence[PastTagRow]:
        """Return all tags that a record has or had, earlier ones before those that followed."""
        ...

    def tag_keys(self) -> Sequence[tuple[str, int, int]]:
        """Return the keys of current tags, with how many records and how many values each has."""
        ...


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key that tags have: on how many records, and with how many different values."""

    key: str
    records: int
    values: int


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag of a record.

    Attributes:
        tag_hash: Its identity.
        key: Its key.
        value: Its JSON value.
        is_current: Whether nothing took its place, and nobody deleted it.
    """

    tag_hash: str
    key: str
    value: Any
    is_current: bool

    @classmethod
    def of(cls, row: PastTagRow) -> TagView:
        """Make a view of a row."""
        return cls(row.tag_hash, row.key, row.value, row.is_current)


@dataclass(frozen=True, slots=True)
class TagEvent:
    """A step in the history of a record's tags.

    Attributes:
        what: ``added``, ``changed`` or ``deleted``.
        tag_hash: The tag, or the marker of a deletion.
        key: Its key.
        value: Its JSON value; of a deletion, null.
        before: The tags that it took the place of, or that were deleted.
        is_current: Whether it still counts.
    """

    what: str
    tag_hash: str
    key: str
    value: Any
    before: tuple[tuple[str, Any], ...]
    is_current: bool

    @classmethod
    def of(cls, row: PastTagRow) -> TagEvent:
        """Make a step of a row."""
        before = tuple((each.key, each.value) for each in row.parents)
        what = "deleted" if row.is_deletion else "changed" if before else "added"
        value = None if row.is_deletion else row.value
        return cls(what, row.tag_hash, row.key, value, before, row.is_current)


@dataclass(frozen=True, slots=True)
class TagsOfRecord:
    """The tags of a record.

    Attributes:
        kind: What the record is: ``Execution``, ``Job``, ``CallNode``, ``Task`` or ``Value``.
        id: Its id.
        tags: Those that count, by key.
        history: All steps, if they were asked for.
    """

    kind: str
    id: str
    tags: tuple[TagView, ...]
    history: tuple[TagEvent, ...] | None = None


def current_tags(row: TaggedRow) -> dict[str, list[Any]]:
    """Return the tags of a record that count: each key with all of its values."""
    found: dict[str, list[Any]] = {}
    for each in row.tags:
        if each.is_current:
            found.setdefault(each.key, []).append(each.value)
    return found


def list_keys(reader: TagReader) -> list[KeyView]:
    """Return all keys that tags have."""
    return [KeyView(*each) for each in reader.tag_keys()]


def tags_of(
    reader: TagReader, kind: str, entity_id: str, *, with_history: bool = False
) -> TagsOfRecord:
    """Return the tags of a record."""
    every = reader.tags_of(entity_id)
    current = tuple(TagView.of(each) for each in every if each.is_current)
    history = tuple(map(TagEvent.of, every)) if with_history else None
    return TagsOfRecord(kind, entity_id, tuple(sorted(current, key=_by_key)), history)


def _by_key(tag: TagView) -> tuple[str, str]:
    return tag.key, str(tag.value)


__all__ = [
    "KeyView",
    "TagEvent",
    "TagReader",
    "TagView",
    "TagsOfRecord",
    "current_tags",
    "list_keys",
    "tags_of",
]
