"""The edges between the nodes that a walk met: the rules of data flow themselves.

Both directions end here. What a walk hands over is ``node``; of it are made ``found``, the results
that no child of their call gave, ``given``, the arguments, and ``holder``, what holds a part that
is looked for.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from taskgraph_backend.dataflow import downstream, upstream
from taskgraph_backend.dataflow.conditions import (
    ARGUMENT,
    ARGUMENT_HOLDER,
    CALL,
    HOLDER,
    MADE,
    RESULT,
    RESULT_HOLDER,
    VALUE,
    VALUE_HOLDER,
    Reach,
    Reaching,
    has_children,
    has_parts,
    is_a_result,
    is_from_outside,
    is_given,
    is_in_another,
    is_literal,
    is_made,
    is_routed,
    lies_in,
)

#: The kind of a row that says at which node a walk downstream of a value begins: of which kind it
#: is stands in ``to_kind``.
START: Final = -1


class Row(NamedTuple):
    """An edge; one without a destination says that there is such a node.

    Attributes:
        order: The place of a child among the children of its call, where the edge leads to one.
    """

    kind: int
    id: bytes
    value: bytes
    to_kind: int | None
    to_id: bytes | None
    to_value: bytes | None
    order: int | None


@cache
def upstream_statement(reach: Reach, walked: str = "") -> str:
    """Return the statement for all that a node came from: its rows are those of `Row`.

    Its parameters are ``kind``, ``id``, ``value``, ``whole`` and ``call`` of the node, and, but for
    the reach ``ALL``, ``execution``.

    Args:
        reach: Whose calls count.
        walked: The table with the nodes that were met, if they are known already.
    """
    calls = f"""SELECT n.id FROM node AS n WHERE n.kind = {CALL}
      UNION SELECT n.id FROM node AS n WHERE n.kind = {RESULT} AND n.value = n.whole
        AND NOT {has_children("n.id")}"""
    tables = {
        "found (id, value, whole)": f"""SELECT n.id, n.value, n.whole FROM node AS n
      WHERE n.kind = {MADE} OR (n.kind = {RESULT} AND n.value = n.whole
        AND NOT {has_children("n.id")})""",
        "given (id, value, whole, call)": f"""SELECT a.arg_hash, a.value_hash, a.value_hash, c.id
        FROM ({calls}) AS c CROSS JOIN argument AS a WHERE a.call_hash = c.id
      UNION SELECT n.id, n.value, n.whole, n.call FROM node AS n WHERE n.kind = {ARGUMENT}""",
    }
    arguments = f"""SELECT {CALL}, c.id, c.id, {ARGUMENT}, a.arg_hash, a.value_hash, NULL
      FROM ({calls}) AS c CROSS JOIN argument AS a WHERE a.call_hash = c.id"""
    nodes = (
        _nodes_of(walked) if walked else _walk([each.select() for each in upstream.steps(reach)])
    )
    return _statement(reach, nodes, tables, [arguments, *_rules(Reaching(reach))])


@cache
def downstream_statement(reach: Reach, walked: str = "") -> str:
    """Return the statement for all that came from a node; see `upstream_statement`.

    There are rows for all nodes that were met, and edges that lead to nodes that were not.
    """
    tables = {
        "found (id, value, whole)": f"""SELECT n.id, n.value, n.whole FROM node AS n
      WHERE n.kind = {RESULT} AND NOT ({is_routed("n.id", "n.value", "n.whole")})""",
        "given (id, value, whole, call)": f"""SELECT n.id, n.value, n.whole, n.call
      FROM node AS n WHERE n.kind = {ARGUMENT}""",
    }
    nodes = f"""SELECT n.kind, n.id, n.value, NULL, NULL, NULL, NULL
      FROM node AS n WHERE n.kind IN ({VALUE}, {RESULT}, {CALL}, {ARGUMENT})"""
    arguments = f"""SELECT {CALL}, g.call, g.call, {ARGUMENT}, g.id, g.value, NULL
      FROM given AS g WHERE g.value = g.whole"""
    reaching = Reaching(reach)
    # Where the value that is asked for stands by itself, and what is given something that holds it.
    stands = f"h.kind = {VALUE_HOLDER} AND h.id = :id AND x.value_hash = h.whole"
    starts = [
        f"""SELECT {START}, x.{key}, {value}, {kind}, NULL, NULL, NULL
      FROM holder AS h CROSS JOIN {table} AS x
      WHERE {stands} AND {reaching.holds("x.call_hash")}"""
        for kind, table, key, value in (
            (RESULT, "call_node", "call_hash", "h.value"),
            (ARGUMENT, "argument", "arg_hash", "h.value"),
            (ARGUMENT, "argument", "arg_hash", "x.value_hash"),
        )
    ]
    walk = (
        _nodes_of(walked) if walked else _walk([each.select() for each in downstream.steps(reach)])
    )
    return _statement(reach, walk, tables, [nodes, *starts, arguments, *_rules(reaching)])


def _walk(steps: list[str]) -> str:
    unions = "\n  UNION ".join(steps)
    return f"""node (kind, id, value, whole, call) AS MATERIALIZED (
  SELECT :kind, :id, :value, :whole, :call\n  UNION {unions})"""


def _nodes_of(table: str) -> str:
    return f"""node (kind, id, value, whole, call) AS (
  SELECT kind, id, value, whole, call FROM {table})"""


def _statement(reach: Reach, nodes: str, tables: dict[str, str], rows: list[str]) -> str:
    scope = f"{Reaching.SCOPE},\n" if reach is Reach.BELOW else ""
    if reach is Reach.ALL:
        tables = {**tables, "outside (id, value, part)": _outside(Reaching(reach))}
    made = "".join(f"{name} AS MATERIALIZED (\n  {query}),\n" for name, query in tables.items())
    return f"WITH RECURSIVE {scope}{nodes},\n{made}{_HOLDERS}\n" + "\nUNION ALL ".join(rows)


_HOLDERS: Final = f"""holder (kind, id, value, whole) AS MATERIALIZED (
  SELECT {RESULT_HOLDER}, n.id, n.value, n.value FROM node AS n
    WHERE n.kind = {RESULT} AND n.value <> n.whole AND {has_children("n.id")}
  UNION SELECT {ARGUMENT_HOLDER}, g.id, g.value, g.value FROM given AS g
    WHERE g.value <> g.whole AND {is_a_result("g.id")}
  UNION SELECT n.kind + {HOLDER}, n.id, n.value, n.value FROM node AS n WHERE n.kind = {VALUE}
  UNION SELECT h.kind, h.id, h.value, s.parent_value_hash FROM holder AS h
    CROSS JOIN subvalue AS s WHERE s.value_hash = h.whole)"""


def _outside(reaching: Reaching) -> str:
    """Arguments that came from no call, with all that lies in them."""
    return f"""SELECT g.id, g.value, g.value FROM given AS g
      WHERE {is_from_outside("g.id", "g.call", "g.value", reaching)}
  UNION SELECT o.id, o.value, s.value_hash FROM outside AS o CROSS JOIN subvalue AS s
    WHERE s.parent_value_hash = o.part"""


def _rules(reaching: Reaching) -> list[str]:
    rules = [*_of_results(), *_of_arguments(reaching), *_of_values(reaching)]
    return [*rules, *_of_files()] if reaching.reach is Reach.ALL else rules


def _of_results() -> list[str]:
    child = "CROSS JOIN call_edge AS e CROSS JOIN call_node AS d"
    same = f"{RESULT}, n.id, n.value, {RESULT}, d.call_hash, n.value, e.call_order"
    part = f"{RESULT}, f.id, f.value, {RESULT}, d.call_hash, d.value_hash, e.call_order"
    return [
        f"""SELECT {same} FROM node AS n {child}
      WHERE n.kind = {RESULT} AND n.value = n.whole AND e.parent_id = n.id
        AND d.call_hash = e.child_id AND {lies_in("n.value", "d.value_hash")}""",
        f"""SELECT {same} FROM holder AS n CROSS JOIN call_node AS d CROSS JOIN call_edge AS e
      WHERE n.kind = {RESULT_HOLDER} AND d.value_hash = n.whole AND e.child_id = d.call_hash
        AND e.parent_id = n.id""",
        f"SELECT {RESULT}, f.id, f.value, {CALL}, f.id, f.id, NULL FROM found AS f",
        f"""SELECT {part} FROM found AS f {child}
      WHERE f.value = f.whole AND e.parent_id = f.id AND d.call_hash = e.child_id""",
        f"""SELECT {part} FROM found AS f {child}
      WHERE f.value <> f.whole AND {has_parts("f.value")} AND e.parent_id = f.id
        AND d.call_hash = e.child_id AND {lies_in("d.value_hash", "f.value")}""",
    ]


def _of_arguments(reaching: Reaching) -> list[str]:
    joins, is_caller, caller = reaching.callers("g.call")
    callers = "".join(f"CROSS JOIN {join} " for join in joins)
    literal = is_literal("g.id", caller)
    gives = lies_in("g.value", "r.value_hash")
    made = "CROSS JOIN argument_result AS ar CROSS JOIN call_node AS r"
    is_result = f"""ar.arg_hash = g.id AND {reaching.holds("ar.result_call_hash")}
        AND r.call_hash = ar.result_call_hash"""
    return [
        f"""SELECT {ARGUMENT}, g.id, g.value, {RESULT}, r.call_hash,
        CASE WHEN {gives} THEN g.value ELSE r.value_hash END, NULL
      FROM given AS g {made} WHERE g.value = g.whole AND {is_result}""",
        f"""SELECT {ARGUMENT}, g.id, g.value, {RESULT}, r.call_hash, g.value, NULL
      FROM holder AS g CROSS JOIN call_node AS r CROSS JOIN argument_result AS ar
      WHERE g.kind = {ARGUMENT_HOLDER} AND r.value_hash = g.whole AND ar.arg_hash = g.id
        AND ar.result_call_hash = r.call_hash AND {reaching.holds("r.call_hash")}""",
        f"""SELECT {ARGUMENT}, g.id, g.value, {RESULT}, r.call_hash, r.value_hash, NULL
      FROM given AS g {made} WHERE g.value <> g.whole
        AND {is_a_result("g.id")} AND NOT ({is_given("g.value", "g.id", reaching)})
        AND {is_result}""",
        f"""SELECT {ARGUMENT}, g.id, g.value, {ARGUMENT}, b.arg_hash, g.value, NULL
      FROM given AS g {callers}CROSS JOIN argument AS b
      WHERE {is_caller} AND {literal} AND b.call_hash = {caller}
        AND {lies_in("g.value", "b.value_hash")}""",
        f"""SELECT {ARGUMENT}, g.id, g.value, {ARGUMENT}, b.arg_hash, b.value_hash, NULL
      FROM given AS g {callers}CROSS JOIN argument AS b
      WHERE g.value = g.whole AND {has_parts("g.value")} AND {is_caller} AND {literal}
        AND b.call_hash = {caller} AND b.value_hash <> g.value
        AND {lies_in("b.value_hash", "g.value")} AND NOT {is_in_another(caller, "g.value")}""",
    ]


def _of_values(reaching: Reaching) -> list[str]:
    return [
        f"""SELECT {VALUE}, h.id, h.value, {RESULT}, d.call_hash, h.value, NULL
      FROM holder AS h CROSS JOIN call_node AS d
      WHERE h.kind = {VALUE_HOLDER} AND d.value_hash = h.whole
        AND {reaching.holds("d.call_hash")}
        AND {is_made("d.call_hash", "h.value", "d.value_hash")}""",
        f"""SELECT {VALUE}, n.id, n.value, {VALUE}, s.value_hash, s.value_hash, NULL
      FROM node AS n CROSS JOIN subvalue AS s
      WHERE n.kind = {VALUE} AND s.parent_value_hash = n.value""",
    ]


def _of_files() -> list[str]:
    return [
        f"""SELECT {ARGUMENT}, o.id, o.value, {VALUE}, f.value_hash, f.value_hash, NULL
      FROM outside AS o CROSS JOIN file AS f WHERE f.value_hash = o.part"""
    ]
