"""What the rules of data flow ask of rows, as SQL: what lies in what, whose calls count.

A node is a row ``(kind, id, value, whole, call)``: a value as it came from a call (`RESULT`: the
call's hash), or in an argument (`ARGUMENT`: the argument's hash), a `CALL`, or a `VALUE` by itself.
``whole`` is the whole result of the call, or the whole argument; ``value`` is that or lies in it.

Two things keep this quick: joins stand in the order in which they are to be made (``CROSS JOIN``
says so), and what lies in a value is looked for from the side where there is less: among a call's
children for its whole result, among the makers of a value for a part.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

VALUE: Final = 0
RESULT: Final = 1
CALL: Final = 2
ARGUMENT: Final = 3
# Met on the way only. In `whole` is what holds the value: it is looked for by what holds it.
HOLDER: Final = 4  # and the kind that it is looked for
RESULT_HOLDER: Final = HOLDER + RESULT
ARGUMENT_HOLDER: Final = HOLDER + ARGUMENT
VALUE_HOLDER: Final = HOLDER + VALUE
# A result that no child of its call gave, and a part of its result that a call made itself.
MADE: Final = 8
PART: Final = 9
# An argument that came from no call; `whole` is its value, or what lies in that.
OUTSIDE: Final = 10


class Reach(StrEnum):
    """Whose calls count, where the maker of an argument or a caller is looked for.

    ``JOBS``: those that have a job in the execution. ``BELOW``: those too that lie below one, as in
    executions that took whole calls from the cache. ``ALL``: every one that was ever recorded.
    """

    JOBS = "jobs"
    BELOW = "below"
    ALL = "all"


class Node(NamedTuple):
    """The columns of a node, as SQL or as a row."""

    kind: object
    id: object
    value: object
    whole: object
    call: object

    def __str__(self) -> str:
        return ", ".join(map(str, self))


class Step(NamedTuple):
    """One way from ``n``, a node, to another one.

    Attributes:
        to: The columns of the other node.
        joins: Where it is found, in the order of joining.
        where: The conditions; those on ``n`` alone first.
    """

    to: Node
    joins: tuple[str, ...]
    where: str

    def select(self, table: str = "node", which: str = "") -> str:
        """Return the query for the other nodes, from all rows of a table or some of them."""
        tables = " CROSS JOIN ".join((f"{table} AS n", *self.joins))
        return f"SELECT {self.to} FROM {tables} WHERE {which}({self.where})"


def lies_in(value: str, whole: str) -> str:
    """A value is another one, or lies in it at any depth: at the first as a rule, or not at all."""
    return f"""({value} = {whole} OR (
      {is_held(value)} AND (
      EXISTS (SELECT 1 FROM subvalue AS h1
        WHERE h1.parent_value_hash = {whole} AND h1.value_hash = {value})
      OR ({is_deep(value)} AND {whole} IN (
        WITH RECURSIVE above (hash) AS (
          SELECT {value} UNION SELECT h4.parent_value_hash
          FROM above CROSS JOIN subvalue AS h4 WHERE h4.value_hash = above.hash)
        SELECT hash FROM above)))))"""


def is_deep(value: str) -> str:
    """A value lies in one that lies in another one."""
    return f"""EXISTS (SELECT 1 FROM subvalue AS h2 CROSS JOIN subvalue AS h3
      WHERE h2.value_hash = {value} AND h3.value_hash = h2.parent_value_hash)"""


def has_parts(value: str) -> str:
    """Something lies in a value."""
    return f"EXISTS (SELECT 1 FROM subvalue AS h5 WHERE h5.parent_value_hash = {value})"


def is_held(value: str) -> str:
    """A value lies in something."""
    return f"EXISTS (SELECT 1 FROM subvalue AS h6 WHERE h6.value_hash = {value})"


def has_children(call: str) -> str:
    """A call made calls."""
    return f"EXISTS (SELECT 1 FROM call_edge AS e9 WHERE e9.parent_id = {call})"


def is_a_result(argument: str) -> str:
    """An argument came from a call, in some execution."""
    return f"EXISTS (SELECT 1 FROM argument_result AS r8 WHERE r8.arg_hash = {argument})"


def is_routed(call: str, value: str, whole: str) -> str:
    """A child of a call gives the value, or something that holds it."""
    by_child = f"""EXISTS (SELECT 1 FROM call_edge AS e0 CROSS JOIN call_node AS d0
      WHERE e0.parent_id = {call} AND d0.call_hash = e0.child_id
      AND {lies_in(value, "d0.value_hash")})"""
    return f"""CASE WHEN {value} = {whole} THEN {by_child}
      ELSE EXISTS (SELECT 1 FROM call_node AS d1 CROSS JOIN call_edge AS e1
          WHERE d1.value_hash = {value} AND e1.child_id = d1.call_hash AND e1.parent_id = {call})
        OR EXISTS (SELECT 1
          FROM subvalue AS s2 CROSS JOIN call_node AS d2 CROSS JOIN call_edge AS e2
          WHERE s2.value_hash = {value} AND d2.value_hash = s2.parent_value_hash
          AND e2.child_id = d2.call_hash AND e2.parent_id = {call})
        OR ({is_deep(value)} AND {by_child})
      END"""


class Reaching:
    """What a reach means in SQL; but for ``ALL``, ``:execution`` is a parameter."""

    #: For ``BELOW``: the calls that count, to stand before what asks for them.
    SCOPE: Final = """scope (hash) AS MATERIALIZED (
  SELECT j.call_hash FROM job AS j WHERE j.execution_id = :execution AND j.call_hash IS NOT NULL
  UNION SELECT e.child_id FROM scope CROSS JOIN call_edge AS e WHERE e.parent_id = scope.hash)"""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach

    def holds(self, call: str) -> str:
        """Whether a call counts."""
        match self.reach:
            case Reach.JOBS:
                return f"""EXISTS (SELECT 1 FROM job AS j0
                  WHERE j0.call_hash = {call} AND j0.execution_id = :execution)"""
            case Reach.BELOW:
                # No index may be used for it: that would try each call of the scope.
                return f"coalesce({call}, NULL) IN (SELECT hash FROM scope)"
            case Reach.ALL:
                return "1 = 1"

    def callers(self, call: str) -> tuple[tuple[str, ...], str, str]:
        """Return joins, a condition, and the hash of each call that a call is a child of."""
        if self.reach is Reach.JOBS:
            # Not by the edges: an equal call may have a hundred thousand callers elsewhere.
            where = f"""j1.call_hash = {call} AND j1.execution_id = :execution
              AND p1.id = j1.parent_id AND p1.call_hash IS NOT NULL"""
            return ("job AS j1", "job AS p1"), where, "p1.call_hash"
        where = f"p1.child_id = {call} AND {self.holds('p1.parent_id')}"
        return ("call_edge AS p1",), where, "p1.parent_id"


def is_literal(argument: str, caller: str) -> str:
    """An argument did not come from a call that its caller made."""
    return f"""NOT EXISTS (SELECT 1 FROM argument_result AS r3 CROSS JOIN call_edge AS e3
      WHERE r3.arg_hash = {argument} AND e3.child_id = r3.result_call_hash
      AND e3.parent_id = {caller})"""


def is_given(value: str, argument: str, reaching: Reaching) -> str:
    """A call that an argument came from gave a value, or something that holds it."""
    return f"""EXISTS (SELECT 1 FROM call_node AS d4 CROSS JOIN argument_result AS r4
        WHERE d4.value_hash = {value} AND r4.arg_hash = {argument}
        AND r4.result_call_hash = d4.call_hash AND {reaching.holds("d4.call_hash")})
      OR EXISTS (SELECT 1
        FROM subvalue AS s5 CROSS JOIN call_node AS d5 CROSS JOIN argument_result AS r5
        WHERE s5.value_hash = {value} AND d5.value_hash = s5.parent_value_hash
        AND r5.arg_hash = {argument} AND r5.result_call_hash = d5.call_hash
        AND {reaching.holds("d5.call_hash")})
      OR ({is_deep(value)} AND EXISTS (SELECT 1
        FROM argument_result AS r6 CROSS JOIN call_node AS d6
        WHERE r6.arg_hash = {argument} AND d6.call_hash = r6.result_call_hash
        AND {reaching.holds("d6.call_hash")} AND {lies_in(value, "d6.value_hash")}))"""


def is_in_another(caller: str, value: str) -> str:
    """A value lies in an argument of a caller."""
    return f"""EXISTS (SELECT 1 FROM argument AS b1
      WHERE b1.call_hash = {caller} AND {lies_in(value, "b1.value_hash")})"""


def is_from_outside(argument: str, call: str, value: str, reaching: Reaching) -> str:
    """An argument came from no call, and was not handed down."""
    joins, is_caller, caller = reaching.callers(call)
    found = " CROSS JOIN ".join((*joins, "argument AS b9"))
    return f"""NOT EXISTS (SELECT 1 FROM argument_result AS r9 WHERE r9.arg_hash = {argument})
      AND NOT EXISTS (SELECT 1 FROM {found} WHERE {is_caller} AND b9.call_hash = {caller}
        AND ({lies_in(value, "b9.value_hash")}
          OR ({has_parts(value)} AND {lies_in("b9.value_hash", value)})))"""


def is_made(call: str, value: str, whole: str) -> str:
    """A call that gave a value made it: no child gave it, and it was not handed in."""
    return f"""NOT EXISTS (SELECT 1 FROM argument AS a8
        WHERE a8.call_hash = {call} AND {lies_in(value, "a8.value_hash")})
      AND NOT ({is_routed(call, value, whole)})"""


#: Tells whether an execution took a whole call from the cache, below which there are no jobs.
HAS_WHOLE_CALLS: Final = """SELECT 1 FROM job AS j
  WHERE j.execution_id = :execution AND j.cached
  AND EXISTS (SELECT 1 FROM call_edge AS e WHERE e.parent_id = j.call_hash)
  AND NOT EXISTS (SELECT 1 FROM job AS k WHERE k.parent_id = j.id) LIMIT 1"""
