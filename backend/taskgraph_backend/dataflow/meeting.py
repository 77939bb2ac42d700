"""Where many nodes of a flow lead, asked at once.

The hashes of the nodes go in one long parameter for each kind: a statement takes any number of them
then, and needs no table of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, LargeBinary, MetaData, Table, text
from sqlalchemy.schema import CreateTable

from taskgraph_backend.dataflow.conditions import IN_SCOPE, SCOPE, Reach
from taskgraph_backend.dataflow.rules import Rule

#: A node as a row: kind, id, value, whole, call.
Met = tuple[int, bytes, bytes, bytes, bytes]
#: What gives the rules of a direction.
Rules = Callable[[Reach], list[Rule]]

_HASHES: Final = ("id", "value", "whole", "call")
_SIZE: Final = 16  # bytes
_scope = Table(
    SCOPE,
    MetaData(),
    Column("hash", LargeBinary(_SIZE), primary_key=True),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)


class Further(NamedTuple):
    """Where one step leads.

    Attributes:
        nodes: From where, by kind.
        rows: A kind, the number of a node of that kind, the columns of the node where it leads, and
            what the rule tells of that.
    """

    nodes: dict[int, list[Met]]
    rows: Sequence[Sequence[Any]]


class Meeting:
    """What is asked for one question.

    Args:
        connection: Where to ask.
        reach: Whose calls count.
        execution: The id of the execution; None for all.
    """

    def __init__(self, connection: Connection, reach: Reach, execution: bytes | None) -> None:
        self._connection = connection
        self._reach = reach
        self._given: dict[str, Any] = {}
        self._is_sqlite = connection.dialect.name == "sqlite"
        if connection.dialect.name == "postgresql":
            # 18.4 loses rows where a bitmap scan is below LATERAL in a recursive query.
            connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        # Elsewhere a copy that can only be read has no temporary tables: each statement makes it.
        has_table = reach is Reach.BELOW and self._is_sqlite
        if reach is not Reach.ALL and not has_table:
            self._given["execution"] = execution
        if has_table:
            connection.execute(CreateTable(_scope, if_not_exists=True))
            connection.execute(_scope.delete())
            insert = text(f"INSERT INTO {SCOPE} (hash) {IN_SCOPE}")
            connection.execute(insert, {"execution": execution})

    def step(self, rules: Rules, nodes: Iterable[Met]) -> Further:
        """Ask where some nodes lead, in one statement."""
        of_kind = _by_kind(nodes)
        statement = _step(rules, self._reach, tuple(of_kind), self._is_sqlite)
        return Further(of_kind, self._ask(statement, of_kind))

    def all_beyond(self, rules: Rules, nodes: Iterable[Met]) -> list[Met]:
        """Return all nodes to which some lead in any number of steps, and themselves."""
        of_kind = _by_kind(nodes)
        statement = _all(rules, self._reach, tuple(of_kind), self._is_sqlite)
        rows = self._ask(statement, of_kind)
        return [(kind, id, value, whole, call) for kind, id, value, whole, call in rows]

    def _ask(self, statement: str, of_kind: dict[int, list[Met]]) -> Sequence[Any]:
        given = dict(self._given)
        for kind, nodes in of_kind.items():
            given[f"count_{kind}"] = len(nodes)
            given[f"nodes_{kind}"] = b"".join([part for node in nodes for part in node[1:]])
        return ask_driver(self._connection, statement, given)


def ask_driver(connection: Connection, statement: str, given: Mapping[str, Any]) -> Sequence[Any]:
    """Return the rows of a statement: on SQLite without SQLAlchemy, where it takes half the time.

    If it fails there, it is asked again in the usual way, which says what is wrong.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        try:
            rows: Sequence[Any] = driver.execute(statement, given).fetchall()
            return rows
        except driver.Error:
            pass
    return connection.execute(text(statement), given).all()


def _by_kind(nodes: Iterable[Met]) -> dict[int, list[Met]]:
    found: dict[int, list[Met]] = {}
    for node in nodes:
        found.setdefault(node[0], []).append(node)
    return found


@cache
def _step(rules: Rules, reach: Reach, kinds: tuple[int, ...], is_sqlite: bool) -> str:
    chosen = [rule for rule in rules(reach) if rule.of in kinds]
    tables = ",\n".join(map(_given, kinds))
    queries = "\nUNION ALL ".join(rule.select_from(_table(rule.of)) for rule in chosen)
    return f"WITH RECURSIVE {_scope_of(reach, is_sqlite)}{tables}\n{queries}"


@cache
def _all(rules: Rules, reach: Reach, kinds: tuple[int, ...], is_sqlite: bool) -> str:
    columns = ", ".join(("kind", *_HASHES))
    starts = [f"SELECT {kind}, {', '.join(_HASHES)} FROM {_table(kind)}" for kind in kinds]
    if is_sqlite:
        steps = [rule.select_among("node") for rule in rules(reach)]
    else:
        # Most databases let a recursive query name itself once.
        ways = "\n  UNION ALL ".join(rule.select_beside() for rule in rules(reach))
        found = f"further ({columns})"
        steps = [f"SELECT further.* FROM node AS n CROSS JOIN LATERAL (\n  {ways}) AS {found}"]
    tables = _scope_of(reach, is_sqlite) + ",\n".join(map(_given, kinds))
    nodes = "\n  UNION ".join((*starts, *steps))
    return (
        f"WITH RECURSIVE {tables},\nnode ({columns}) AS (\n  {nodes})\nSELECT {columns} FROM node"
    )


def _scope_of(reach: Reach, is_sqlite: bool) -> str:
    """Return the table of the calls that count, where it is no temporary one."""
    if reach is not Reach.BELOW or is_sqlite:
        return ""
    return f"{SCOPE} (hash) AS MATERIALIZED (\n  {IN_SCOPE}),\n"


def _table(kind: int) -> str:
    return f"given_{kind}"


def _given(kind: int) -> str:
    """Return the table of the nodes of a kind, from the parameter that has their hashes."""
    parts = (
        f"substr(:nodes_{kind}, at * {_SIZE * len(_HASHES)} + {place * _SIZE + 1}, {_SIZE})"
        for place in range(len(_HASHES))
    )
    return (
        f"place_{kind} (at) AS (\n"
        f"  SELECT 0 UNION ALL SELECT at + 1 FROM place_{kind} WHERE at + 1 < :count_{kind}),\n"
        f"{_table(kind)} (at, {', '.join(_HASHES)}) AS MATERIALIZED (\n"
        f"  SELECT at, {', '.join(parts)} FROM place_{kind})"
    )
