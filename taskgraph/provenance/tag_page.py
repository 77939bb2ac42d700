"""How tags are shown: of a record, its history, and the keys that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from taskgraph.provenance.page import (
    Block,
    Column,
    Facts,
    Grid,
    Heading,
    Line,
    Note,
    Source,
    Span,
    clean,
    line,
)
from taskgraph.provenance.tagged import KeyView, TagEvent, TagsOfRecord
from taskgraph.tags import format_tag_value

_TAG_WIDTH: Final = 200
_ID_DIGITS: Final = 8
_STYLES: Final[Mapping[str, str]] = {"added": "done", "changed": "running", "deleted": "failed"}
_NAMES: Final[Mapping[str, str]] = {"CallNode": "Call"}


def tag_blocks(tags: Mapping[str, Sequence[Any]]) -> Iterator[Block]:
    """Show tags: in a table, and those of many lines (what a script said) one by one below."""
    every = [(key, value) for key, values in tags.items() for value in values]
    rows = [(clean(key), _value(value)) for key, value in every if not _is_long(value)]
    if rows:
        yield Heading(line("Tags"), is_part=True)
        yield Facts(rows)
    for key, value in every:
        if _is_long(value):
            yield Heading(line(clean(key)), is_part=True)
            yield Source(value, "text")


def tag_facts(tags: Mapping[str, Sequence[Any]]) -> Iterator[Block]:
    """Show tags in one table, text without quotes."""
    rows = [(clean(key), _value(value)) for key, values in tags.items() for value in values]
    if rows:
        yield Facts(rows)


def keys_page(keys: Sequence[KeyView]) -> list[Block]:
    """Return the keys of all tags."""
    if not keys:
        return [Note(line("There are no tags yet: taskgraph tag add ID KEY=VALUE"))]
    columns = [
        Column("key", may_shrink=True),
        Column("records", is_right=True),
        Column("values", is_right=True),
    ]
    rows = [
        [line(Span(clean(each.key), "name")), line(f"{each.records:,}"), line(f"{each.values:,}")]
        for each in keys
    ]
    return [Grid(columns, rows)]


def tags_page(tagged: TagsOfRecord) -> list[Block]:
    """Return the tags of one record, and its history if that was asked for."""
    name = _NAMES.get(tagged.kind, tagged.kind)
    blocks: list[Block] = [Heading(line(f"{name} ", Span(tagged.id[:_ID_DIGITS], "id")))]
    if tagged.tags:
        blocks.append(Facts([(clean(each.key), _value(each.value)) for each in tagged.tags]))
    else:
        blocks.append(Note(line(Span("no tags", "dim"))))
    if tagged.history:
        columns = [Column("what"), Column("key"), Column("value", may_shrink=True), Column("tag")]
        columns.insert(3, Column("before", may_shrink=True))
        blocks += [Heading(line("History"), is_part=True), Grid(columns, _steps(tagged.history))]
    return blocks


def _steps(history: Sequence[TagEvent]) -> list[list[Line]]:
    return [
        [
            line(Span(each.what, _STYLES[each.what] if each.is_current else "dim")),
            line(Span(clean(each.key), "name")),
            line() if each.what == "deleted" else _value(each.value),
            line(Span(", ".join(_before(each)), "dim")),
            line(Span(each.tag_hash[:_ID_DIGITS], "id")),
        ]
        for each in history
    ]


def _before(event: TagEvent) -> Iterator[str]:
    for key, value in event.before:
        text = _value(value).text
        yield text if key == event.key else f"{clean(key)}={text}"


def _value(value: Any) -> Line:
    return line(clean(format_tag_value(value), _TAG_WIDTH))


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


__all__ = ["keys_page", "tag_blocks", "tag_facts", "tags_page"]
