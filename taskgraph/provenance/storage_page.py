"""How it is shown what records take up, and what was taken away."""

from __future__ import annotations

from collections.abc import Iterator

from taskgraph.catalog.deletions import DeletionReport, GcReport, StorageStats
from taskgraph.provenance.page import Block, Column, Facts, Grid, Heading, clean, line
from taskgraph.provenance.render import byte_size

_MOST_TYPES = 15
_TYPE_WIDTH = 60


def stats_page(stats: StorageStats) -> list[Block]:
    """Return what a database holds."""
    blocks: list[Block] = []
    facts = []
    if stats.file_size is not None:
        free = "" if not stats.free_size else f", {byte_size(stats.free_size)} of it free"
        facts.append(("database", line(f"{byte_size(stats.file_size)}{free}")))
    if stats.store_entries:
        said = f"{_number(stats.store_entries, 'value')}, {byte_size(stats.store_size)}"
        facts.append(("value store", line(said)))
    size = sum(each.size for each in stats.types)
    facts.append(("values", line(byte_size(size))))
    said = f"{byte_size(stats.evictable_size)} of {_number(stats.evictable, 'value')}"
    facts.append(("gc could free", line(f"{said} that calls make again")))
    if stats.unneeded_calls or stats.unneeded_values:
        calls = _number(stats.unneeded_calls, "call")
        values = _number(stats.unneeded_values, "value")
        facts.append(("unneeded", line(f"{calls} and {values}: taskgraph gc")))
    blocks.append(Facts(facts))
    columns = [Column("table"), Column("rows", is_right=True)]
    has_sizes = any(size is not None for _, size in stats.tables.values())
    if has_sizes:
        columns.append(Column("size", is_right=True))
    rows = []
    for name, (number, taken) in sorted(stats.tables.items(), key=lambda each: -each[1][0]):
        if number:
            row = [line(name), line(f"{number:,}")]
            rows.append([*row, line(byte_size(taken or 0))] if has_sizes else row)
    blocks += [Heading(line("Tables")), Grid(columns, rows)]
    columns = [
        Column("type", may_shrink=True),
        Column("values", is_right=True),
        Column("size", is_right=True),
        Column("in the store", is_right=True, may_drop=True),
        Column("given up", is_right=True, may_drop=True),
    ]
    rows = [
        [
            line(clean(each.type, _TYPE_WIDTH)),
            line(f"{each.count:,}"),
            line(byte_size(each.size)),
            line(byte_size(each.outside)),
            line(f"{each.evicted:,}"),
        ]
        for each in stats.types[:_MOST_TYPES]
    ]
    blocks += [Heading(line("Values by type")), Grid(columns, rows)]
    columns = [
        Column("up to", is_right=True),
        Column("values", is_right=True),
        Column("size", is_right=True),
    ]
    rows = [
        [line(byte_size(most)), line(f"{number:,}"), line(byte_size(total))]
        for most, number, total in stats.sizes
    ]
    blocks += [Heading(line("Values by size")), Grid(columns, rows)]
    return blocks


def deletion_lines(report: DeletionReport) -> Iterator[str]:
    """Give what a deletion took away, or would, in words."""
    would = "would go" if report.is_dry_run else "went"
    parts = [
        _number(len(report.executions), "execution"),
        _number(report.jobs, "job"),
        _number(report.calls, "call"),
        _number(report.entries, "cache entry", "cache entries"),
        f"{_number(report.values, 'value')} ({byte_size(report.size)})",
    ]
    yield f"{', '.join(parts)} {would}."
    if report.kept:
        yield f"{_number(report.kept, 'call')} stay, for something else needs them."
    if report.left:
        yield (
            f"{_number(report.left, 'call')} are left while something runs: "
            "`taskgraph gc` takes them away."
        )
    for each in report.workspaces:
        yield f"The folder {clean(each)} {would}."


def collection_lines(report: GcReport) -> Iterator[str]:
    """Give what a collection took away, or would, in words."""
    would = "would go" if report.is_dry_run else "went"
    yield (
        f"{_number(report.calls, 'call')} that nothing needed and "
        f"{_number(report.values, 'value')} that nothing named "
        f"({byte_size(report.size)}) {would}."
    )
    gave = "would give up their bytes" if report.is_dry_run else "gave up their bytes"
    yield f"{_number(report.evicted, 'value')} ({byte_size(report.evicted_size)}) {gave}."
    if report.entries:
        entries = _number(report.entries, "entry", "entries")
        yield f"{entries} of the value store ({byte_size(report.entries_size)}) {would}."
    if report.left:
        yield f"{_number(report.left, 'call')} are left while something runs."
    verb = "would have" if report.is_dry_run else "have"
    before, after = byte_size(report.size_before), byte_size(report.size_after)
    yield f"All values had {before}, and {verb} {after}."
    if report.over:
        yield (
            f"That is {byte_size(report.over)} more than was asked for: the rest is kept, or "
            "nothing makes it again."
        )


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {many or one + 's'}"


__all__ = ["collection_lines", "deletion_lines", "stats_page"]
