"""The walk level by level: each takes all nodes of the one before at once.

This is the same walk as the recursive query, which pays for each rule at each row. Its nodes are
kept in a temporary table. What is deeper than `MOST_LEVELS` is left to the recursive query, so that
the number of statements has a bound.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, Table, text
from sqlalchemy.schema import CreateTable, Index

from taskgraph_backend.dataflow import downstream, upstream
from taskgraph_backend.dataflow.conditions import Node, Reach, Reaching

MOST_LEVELS: Final = 16
#: The table with what was met.
WALKED: Final = "walked_node"

_walked = Table(
    WALKED,
    MetaData(),
    Column("kind", Integer, primary_key=True),
    *(Column(name, LargeBinary(16), primary_key=True) for name in Node._fields[1:]),
    Column("level", Integer, nullable=False),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)
_of_level = Index("ix_walked_node_level", _walked.c.level, _walked.c.kind)


def walk(connection: Connection, down: bool, reach: Reach, given: dict[str, Any]) -> bool:
    """Walk from a node; returns whether all that is reached is in the table `WALKED` now.

    Args:
        connection: Where to.
        down: Which way.
        reach: Whose calls count.
        given: The parameters of the recursive statements.
    """
    connection.execute(CreateTable(_walked, if_not_exists=True))
    connection.execute(
        text(f"CREATE INDEX IF NOT EXISTS temp.{_of_level.name} ON {WALKED} (level, kind)")
    )
    connection.execute(_walked.delete())
    start = {name: given[name] for name in Node._fields}
    connection.execute(_walked.insert(), {**start, "level": 0})
    step = text(_step(down, reach))
    scope = {"execution": given["execution"]} if reach is not Reach.ALL else {}
    for level in range(MOST_LEVELS):
        if connection.execute(step, {**scope, "level": level}).rowcount == 0:
            return True
    return False


@cache
def _step(down: bool, reach: Reach) -> str:
    """Return the statement that goes one level further."""
    steps = (downstream if down else upstream).steps(reach)
    scope = f"WITH RECURSIVE {Reaching.SCOPE}\n" if reach is Reach.BELOW else ""
    further = "\n  UNION ".join(each.select(WALKED, "n.level = :level AND ") for each in steps)
    return (
        f"{scope}INSERT INTO {WALKED} (kind, id, value, whole, call, level)\n"
        f"SELECT found.*, :level + 1 FROM ({further}) AS found WHERE 1 = 1 ON CONFLICT DO NOTHING"
    )
