"""How datasets, artifacts and the vocabulary are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskgraph.catalog.data_rows import Artifact, Dataset, TagKey
from taskgraph.catalog.rows import UsedDataset
from taskgraph.jsontext import to_json
from taskgraph.provenance.page import (
    Block,
    Column,
    Facts,
    Grid,
    Heading,
    Line,
    Note,
    Span,
    clean,
    line,
)
from taskgraph.provenance.render import moment, short_id
from taskgraph.provenance.tag_page import tag_facts
from taskgraph.tags import format_tag_key_value

_WIDTH: Final = 60
_MOST_PATHS: Final = 20


def datasets_page(datasets: Sequence[Dataset]) -> list[Block]:
    """Return a table of datasets."""
    columns = [
        Column("id"),
        Column("type", may_shrink=True),
        Column("updated", may_drop=True),
        Column("study", may_shrink=True, may_drop=True),
        Column("name", may_shrink=True),
        Column("facets", may_shrink=True, may_drop=True),
    ]
    rows = [
        [
            line(short_id(each.id)),
            line(clean(each.type, _WIDTH)),
            moment(each.updated_at),
            line(clean(each.study or "", _WIDTH)),
            line(Span(clean(each.name, _WIDTH), "name"), *_marks(each)),
            _tags(each.facets),
        ]
        for each in datasets
    ]
    return [Grid(columns, rows)]


def no_datasets(total: int, filters: Sequence[str]) -> list[Block]:
    """Return what is said where a list is empty: how many there are, and what was asked for."""
    if not total:
        return [Note(line("There are no datasets yet: taskgraph dataset register NAME FILE..."))]
    asked = clean(" ".join(filters)) or "no filter"
    number = "1 dataset" if total == 1 else f"{total:,} datasets"
    return [Note(line(f"None of {number} is meant by {asked}."))]


def dataset_detail(dataset: Dataset, paths: Sequence[str]) -> list[Block]:
    """Return a dataset with its facets and the first of its files."""
    facts = [
        ("Type", line(clean(dataset.type))),
        ("Study", line(clean(dataset.study or ""))),
        ("Content", line(short_id(dataset.value_hash), f", {len(paths):,} files")),
        ("Created", moment(dataset.created_at)),
        ("Updated", moment(dataset.updated_at)),
        ("Read-only", line("yes" if dataset.read_only else "")),
        ("Retracted", line("yes" if dataset.retracted else "")),
    ]
    blocks: list[Block] = [
        Heading(line("Dataset ", short_id(dataset.id), " ", clean(dataset.name))),
        Facts([(label, said) for label, said in facts if said.text]),
    ]
    if dataset.facets:
        blocks += [Heading(line("Facets"), is_part=True), *tag_facts(dataset.facets)]
    if paths:
        shown = [[line(Span(clean(each), "path"))] for each in paths[:_MOST_PATHS]]
        if len(paths) > _MOST_PATHS:
            shown.append([line(Span(f"and {len(paths) - _MOST_PATHS:,} more", "dim"))])
        blocks += [Heading(line("Files"), is_part=True), Grid([Column("path")], shown)]
    return blocks


def used_blocks(used: Sequence[UsedDataset]) -> list[Block]:
    """Return what an execution reads and writes; nothing if there is nothing."""
    if not used:
        return []
    columns = [
        Column("role"),
        Column("dataset", may_shrink=True),
        Column("content"),
        Column("", may_drop=True),
    ]
    rows = [
        [
            line(each.role),
            line(Span(clean(each.name, _WIDTH), "name")),
            line(short_id(each.value_hash)),
            line(_note(each)),
        ]
        for each in used
    ]
    return [Heading(line("Datasets"), is_part=True), Grid(columns, rows)]


def _note(used: UsedDataset) -> str:
    if used.dataset_id is None:
        return "deleted since"
    return "in use" if used.in_use else ""


def artifacts_page(artifacts: Sequence[Artifact]) -> list[Block]:
    """Return a table of artifacts."""
    if not artifacts:
        return [Note(line("There are no such artifacts: taskgraph artifact add REF KIND KEY PATH"))]
    columns = [
        Column("execution"),
        Column("kind"),
        Column("key", may_shrink=True),
        Column("where", may_shrink=True),
        Column("dimensions", may_shrink=True, may_drop=True),
        Column("title", may_shrink=True, may_drop=True),
    ]
    rows = [
        [
            line(short_id(each.execution_id)),
            line(clean(each.kind, _WIDTH)),
            line(Span(clean(each.key, _WIDTH), "name")),
            _place(each),
            _tags(each.dimensions),
            line(clean(each.title or "", _WIDTH)),
        ]
        for each in artifacts
    ]
    return [Grid(columns, rows)]


def vocabulary_page(keys: Sequence[TagKey]) -> list[Block]:
    """Return a table of the keys of the vocabulary."""
    if not keys:
        return [Note(line("The vocabulary is empty: taskgraph vocabulary define KEY"))]
    columns = [
        Column("scope"),
        Column("key"),
        Column("may be", may_shrink=True),
        Column("description", may_shrink=True),
    ]
    rows = [
        [
            line(clean(each.scope)),
            line(Span(clean(each.key), "name")),
            line("anything" if each.allowed is None else clean(_listed(each.allowed))),
            line(clean(each.description)),
        ]
        for each in keys
    ]
    return [Grid(columns, rows)]


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(each if isinstance(each, str) else to_json(each) for each in values)


def _marks(dataset: Dataset) -> list[Span]:
    said = {"read-only": dataset.read_only, "retracted": dataset.retracted}
    return [Span(f" ({name})", "dim") for name, is_so in said.items() if is_so]


def _place(artifact: Artifact) -> Line:
    if artifact.path is not None:
        return line(Span(clean(artifact.path), "path"))
    return line("value ", short_id(artifact.value_hash or ""))


def _tags(tags: Mapping[str, Sequence[Any]]) -> Line:
    said = [format_tag_key_value(key, each) for key, values in tags.items() for each in values]
    return line(clean(", ".join(said), 200))


__all__ = [
    "artifacts_page",
    "dataset_detail",
    "datasets_page",
    "no_datasets",
    "used_blocks",
    "vocabulary_page",
]
