"""Compares a schema with the models once: to do so takes as long as the rest of a small check.

Every `check` of a database compares the tables with the models, which takes alembic 0.1 s, and the
tests check hundreds of databases whose schema is the same to the letter. So what was found of a
schema is found again for another that is written alike, within one process. One that differs in
anything (a column, a type, a default, an index, a constraint) is compared; with
``TASKGRAPH_TORTURE=1`` all are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from taskgraph_backend.dialects import Database
from taskgraph_backend.integrity import drift
from taskgraph_backend.integrity.problems import Finding

Written = frozenset[tuple[object, ...]]

# All that is said of the tables, a line each.
_WRITTEN = {
    "sqlite": "SELECT type, name, tbl_name, sql FROM sqlite_master",
    "postgresql": """
        SELECT 'column', c.relname, a.attname, a.attnum, a.attnotnull,
            format_type(a.atttypid, a.atttypmod) || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
        UNION ALL
        SELECT 'index', relname, '', 0, false, pg_get_indexdef(oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'i'
        UNION ALL
        SELECT 'constraint', conname, conrelid::regclass::text, 0, false, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
}


def written(database: Database) -> Written:
    """Return all that the schema of a database says."""
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(_WRITTEN[connection.dialect.name]).fetchall()
        return frozenset(tuple(row) for row in rows)


@pytest.fixture(scope="session", autouse=True)
def _each_schema_is_compared_once() -> Iterator[None]:
    if os.environ.get("TASKGRAPH_TORTURE"):
        yield
        return
    compared: dict[Written, list[Finding]] = {}
    compare = drift.drift

    def once(database: Database) -> Iterator[Finding]:
        schema = written(database)
        if schema not in compared:
            compared[schema] = list(compare(database))
        yield from compared[schema]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "drift", once)
        yield
