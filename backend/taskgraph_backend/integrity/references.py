"""Whether all is there that rows refer to, by a foreign key or only by a hash.

SQLite looks at foreign keys only where somebody asks it to, and a row can be lost to damage on any
database. What refers to a lost row is kept as far as it says something true by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity.pages import columns_of, keys_of
from taskgraph_backend.integrity.placeholders import lost_execution, lost_task, lost_value
from taskgraph_backend.integrity.problems import Add, Change, Finding, Mend, Remove, found
from taskgraph_backend.models import Base

RULE = "what a row refers to is there"
MOST = 20_000  # of one kind of reference at a time: the rest is found when these are mended

_Row = dict[str, Any]


def references() -> list[tuple[str, str, str, str]]:
    """Return each column that refers to a row: table, column, the other table, its column."""
    # The root of an execution that was killed early may never have been written: that is a rule.
    return [
        (table.name, key.parent.name, key.column.table.name, key.column.name)
        for table in Base.metadata.sorted_tables
        for key in sorted(table.foreign_keys, key=lambda each: each.parent.name)
    ]


def dangling(driver: Driver) -> Iterator[Finding]:
    """Give each row that refers to one that is not there."""
    for table, column, parent, target in references():
        names = ", ".join(f"t.{name}" for name in columns_of(table))
        rows = driver.execute(
            f"SELECT {names} FROM {table} t WHERE t.{column} IS NOT NULL AND NOT EXISTS"
            f" (SELECT 1 FROM {parent} p WHERE p.{target} = t.{column}) LIMIT {MOST}"
        ).fetchall()
        for values in rows:
            row = dict(zip(columns_of(table), values, strict=True))
            remedy, steps = _mended(driver, (table, column, parent), row)
            yield found(
                RULE,
                table,
                name_of(table, row),
                f"its {column} {bytes(row[column]).hex()[:8]} is no {parent}",
                remedy,
                *steps,
            )
    yield from _tags(driver)


def lost(driver: Driver) -> Iterator[Finding]:
    """Give the lost rows that others refer to, with what is written in their place."""
    for each in dangling(driver):
        steps = tuple(step for step in each.steps if isinstance(step, Add))
        if steps:
            yield Finding(each.problem, steps)


def name_of(table: str, row: _Row) -> str:
    """Return the key of a row as text."""
    return " ".join(
        bytes(row[name]).hex() if isinstance(row[name], bytes | memoryview) else str(row[name])
        for name in keys_of(table)
    )


def _mended(driver: Driver, place: tuple[str, str, str], row: _Row) -> tuple[str, tuple[Mend, ...]]:
    table, column, parent = place
    key = {name: row[name] for name in keys_of(table)}
    seen = {column: row[column]}
    if place in _FORGETS:
        return "it refers to none", (Change(table, key, {column: None}, seen),)
    make = _PLACEHOLDERS.get(parent)
    if make is not None and table not in _ASIDE:
        return f"a {parent} without content stands in its place", make(driver, row[column])
    return "it is put aside", (Remove(table, key, seen),)


# Columns that may refer to nothing.
_FORGETS = {
    ("job", "parent_id", "job"),
    ("job", "call_hash", "call_node"),
    ("dataset", "study_id", "study"),
    ("workflow", "study_id", "study"),
    ("execution_dataset", "dataset_id", "dataset"),
    ("worker", "pool_id", "worker_pool"),
    ("assignment", "worker_id", "worker"),
    ("routed_call", "worker_id", "worker"),
    ("task_package", "owner_id", "user_account"),
    ("task_package", "user_group_id", "user_group"),
    ("package_task", "task_hash", "task"),
}
# What says nothing without what it refers to, and is made again or brought again.
_ASIDE = {"evaluation", "foreign_evaluation", "foreign_alias", "task_alias", "task_part"}
# What workers go by: they are not given an execution of which nothing is known.
_ASIDE |= {"assignment", "execution_pool", "queued"}
_PLACEHOLDERS: dict[str, Callable[[Driver, Any], tuple[Mend, ...]]] = {
    "value": lambda _, key: (lost_value(key),),
    "task": lost_task,
    "execution": lost_execution,
}

_TAGGED = {
    "Execution": ("execution", "id"),
    "Job": ("job", "id"),
    "CallNode": ("call_node", "call_hash"),
    "Task": ("task", "hash"),
    "Value": ("value", "value_hash"),
    "ExecutionGroup": ("execution_group", "id"),
    "Dataset": ("dataset", "id"),
    "Artifact": ("artifact", "id"),
}


def _tags(driver: Driver) -> Iterator[Finding]:
    rule = "what is tagged is there"
    for kind, (table, column) in _TAGGED.items():
        rows = driver.execute(
            "SELECT tag_hash, entity_id FROM tag WHERE entity_type = ? AND NOT EXISTS"
            f" (SELECT 1 FROM {table} WHERE {table}.{column} = tag.entity_id) LIMIT {MOST}",
            (kind,),
        ).fetchall()
        for tag_hash, entity in rows:
            detail = f"there is no {kind} {bytes(entity).hex()[:8]}"
            yield found(
                rule, "tag", tag_hash, detail, "it is put aside", *aside_tag(driver, tag_hash)
            )
    known = ", ".join(f"'{kind}'" for kind in (*_TAGGED, "Null"))
    rows = driver.execute(
        f"SELECT tag_hash, entity_type FROM tag WHERE entity_type NOT IN ({known}) LIMIT {MOST}"
    ).fetchall()
    for tag_hash, kind in rows:
        detail = f"nothing is a {kind}"
        yield found(rule, "tag", tag_hash, detail, "it is put aside", *aside_tag(driver, tag_hash))


def aside_tag(driver: Driver, tag_hash: Any) -> tuple[Mend, ...]:
    """Return how a tag is put aside, with what says which tags it stands between."""
    edits = driver.execute(
        "SELECT parent_id, child_id FROM tag_edit WHERE parent_id = ? OR child_id = ?",
        (tag_hash, tag_hash),
    ).fetchall()
    steps = [Remove("tag_edit", {"parent_id": one, "child_id": other}) for one, other in edits]
    return *steps, Remove("tag", {"tag_hash": tag_hash})


__all__ = ["aside_tag", "dangling", "lost", "name_of", "references"]
