"""Whether the schema is that of the migrations: whatever is missing, or of another type, is drift.

Tables and indexes that somebody has added besides are nobody's concern.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskgraph_backend.dialects import Database
from taskgraph_backend.integrity.problems import Finding, Schema, found
from taskgraph_backend.models import Base

_RULE = "the schema is that of the migrations"


def drift(database: Database) -> Iterator[Finding]:
    """Give what is not as the migrations make it."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences: list[Any] = compare_metadata(context, Base.metadata)
        sql = [_finding(each, connection.dialect) for each in differences]
    yield from (each for each in sql if each is not None)


def _finding(difference: Any, dialect: Any) -> Finding | None:
    if type(difference) is list:  # changes of one column
        (change, _, table, column, *_) = difference[0]
        return found(_RULE, table, column, f"its column {column} is another one ({change})")
    kind, *what = difference
    if kind == "add_table":
        return found(_RULE, what[0].name, "", "the table is missing: import what was exported")
    if kind == "add_column":
        _, table, column = what
        return found(_RULE, table, column.name, f"its column {column.name} is missing")
    if kind == "add_index":
        from sqlalchemy.schema import CreateIndex

        index = what[0]
        step = Schema(str(CreateIndex(index).compile(dialect=dialect)))
        detail = f"its index {index.name} is missing"
        return found(_RULE, index.table.name, index.name, detail, "it is made", step)
    if kind in ("add_fk", "add_constraint"):
        return found(_RULE, what[0].table.name, str(what[0].name), "a constraint is missing")
    return None


__all__ = ["drift"]
