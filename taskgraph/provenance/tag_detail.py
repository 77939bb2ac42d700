"""A tag by itself: what it says, of what, and which tags it took the place of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from taskgraph.jsontext import to_json
from taskgraph.provenance.page import Block, Column, Facts, Grid, Heading, Span, clean, line
from taskgraph.provenance.render import short_id
from taskgraph.provenance.rows import Reader

_MOST_EDITS: Final = 20
_VALUE_WIDTH: Final = 400


class EditedTagRow(Protocol):
    """A tag with those that it took the place of."""

    @property
    def tag_hash(self) -> str:
        """Its identity."""
        ...

    @property
    def entity_type(self) -> str:
        """What kind of record it is on."""
        ...

    @property
    def entity_id(self) -> str:
        """Which one."""
        ...

    @property
    def key(self) -> str:
        """What it is found by."""
        ...

    @property
    def value(self) -> Any:
        """What it says: JSON."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether no other one took its place."""
        ...

    @property
    def parents(self) -> Sequence[EditedTagRow]:
        """Those that it took the place of."""
        ...

    @property
    def children(self) -> Sequence[EditedTagRow]:
        """Those that took its place."""
        ...


@dataclass(frozen=True, slots=True)
class TagReference:
    """A tag in the history of another one."""

    tag_hash: str
    key: str
    value: Any

    @classmethod
    def of(cls, row: EditedTagRow) -> TagReference:
        """Make a view of a row."""
        return cls(row.tag_hash, row.key, row.value)


@dataclass(frozen=True, slots=True)
class TagDetail:
    """A tag: what it says, and of what.

    Attributes:
        tag_hash: Its identity.
        key: What it is found by.
        value: What it says: JSON.
        is_current: Whether no other one took its place.
        entity_type: What kind of record it is on.
        entity_id: Which one.
        entity: That record in a few words, or None where it is not recorded.
        parents: The tags that it took the place of.
        children: The tags that took its place.
    """

    json_type: ClassVar = "tag"

    tag_hash: str
    key: str
    value: Any
    is_current: bool
    entity_type: str
    entity_id: str
    entity: str | None
    parents: tuple[TagReference, ...]
    children: tuple[TagReference, ...]


def view_tag(reader: Reader, row: EditedTagRow) -> TagDetail:
    """Make the view of a row."""
    return TagDetail(
        row.tag_hash,
        row.key,
        row.value,
        row.is_current,
        row.entity_type,
        row.entity_id,
        _words_for(reader.tagged(row.entity_type, row.entity_id)),
        tuple(map(TagReference.of, row.parents[:_MOST_EDITS])),
        tuple(map(TagReference.of, row.children[:_MOST_EDITS])),
    )


def _words_for(row: Any) -> str | None:
    """Return a row in a few words: the name of its task, or a preview."""
    if row is None:
        return None
    task = row if type(row).__name__ == "Task" else getattr(row, "task", None)
    name = getattr(task, "fullname", None)
    return name if name is not None else getattr(row, "preview", None)


def tag_page(detail: TagDetail) -> list[Block]:
    """Return a tag: its facts, and its history."""
    facts = [
        ("key", line(Span(clean(detail.key), "name"))),
        ("value", line(clean(to_json(detail.value), _VALUE_WIDTH))),
        ("on", line(detail.entity_type, " ", short_id(detail.entity_id))),
        ("state", line("current" if detail.is_current else "superseded")),
    ]
    if detail.entity is not None:
        facts.insert(3, ("", line(clean(detail.entity, _VALUE_WIDTH))))
    blocks: list[Block] = [Heading(line("Tag ", short_id(detail.tag_hash))), Facts(facts)]
    for name, tags in (("Took the place of", detail.parents), ("Superseded by", detail.children)):
        if tags:
            rows = [
                [
                    line(short_id(each.tag_hash)),
                    line(clean(each.key)),
                    line(clean(to_json(each.value), _VALUE_WIDTH)),
                ]
                for each in tags
            ]
            columns = [Column(""), Column(""), Column("", may_shrink=True)]
            blocks += [Heading(line(name), is_part=True), Grid(columns, rows)]
    return blocks
