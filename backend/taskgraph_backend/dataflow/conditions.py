"""What the rules of data flow ask of rows, as SQL: what lies in what, whose calls count.

What lies in a value is looked for from the side where there is less: among a call's children for
its whole result, among the makers of a value for a part. Of a part that is common, as a reference
that lies in thousands of samples, it is the children again, unless these are many.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from taskgraph.tasks.names import BUILT_IN

#: From how many on it is looked from the other side.
MANY: Final = 32


class Reach(StrEnum):
    """Whose calls count, where the maker of an argument or a caller is looked for.

    ``JOBS``: those that have a job in the execution. ``BELOW``: those too that lie below one, as in
    executions that took whole calls from the cache. ``ALL``: every one that was ever recorded.
    """

    JOBS = "jobs"
    BELOW = "below"
    ALL = "all"


def lies_in(value: str, whole: str, *, in_few: bool = False, is_often: bool = False) -> str:
    """A value is another one, or lies in it at any depth: at the first as a rule, or not at all.

    Args:
        value: The one.
        whole: The other one.
        in_few: Many values are looked for in the same few; else the same few in many.
        is_often: One value may be looked for in thousands: if it is common, it is looked for from
            the other side.
    """
    # What is asked first is found in the pages of the row before.
    first, then = is_held(value), has_parts(whole)
    if in_few:
        first, then = then, first
    above = f"""{whole} IN (
        WITH RECURSIVE above (hash) AS (
          SELECT {value} UNION SELECT h4.parent_value_hash
          FROM above CROSS JOIN subvalue AS h4 WHERE h4.value_hash = above.hash)
        SELECT hash FROM above)"""
    below = f"""{value} IN (
        WITH RECURSIVE below (hash) AS (
          SELECT {whole} UNION SELECT h7.value_hash
          FROM below CROSS JOIN subvalue AS h7 WHERE h7.parent_value_hash = below.hash)
        SELECT hash FROM below)"""
    deep = above
    if is_often:
        deep = f"""CASE WHEN NOT {is_common(value)} THEN {above}
        WHEN {is_large(whole)} THEN {is_in_a_part(value, whole)} OR {above}
        ELSE {below} END"""
    return f"""({value} = {whole} OR (
      {first} AND {then} AND (
      EXISTS (SELECT 1 FROM subvalue AS h1
        WHERE h1.parent_value_hash = {whole} AND h1.value_hash = {value})
      OR ({is_deep(value)} AND {deep}))))"""


def is_in_a_part(value: str, whole: str) -> str:
    """A value lies in one that lies in another one: a common one soon does."""
    return f"""EXISTS (SELECT 1 FROM subvalue AS h10 CROSS JOIN subvalue AS h11
      WHERE h10.parent_value_hash = {whole} AND h11.parent_value_hash = h10.value_hash
      AND h11.value_hash = {value})"""


def is_common(value: str) -> str:
    """A value lies in many."""
    return f"""EXISTS (SELECT 1 FROM subvalue AS h8
      WHERE h8.value_hash = {value} LIMIT 1 OFFSET {MANY})"""


def is_large(value: str) -> str:
    """Many values lie in a value."""
    return f"""EXISTS (SELECT 1 FROM subvalue AS h9
      WHERE h9.parent_value_hash = {value} LIMIT 1 OFFSET {MANY})"""


def is_common_in_few_children(value: str, call: str) -> str:
    """A value lies in more values than a call has children: it is sooner found among these."""
    return f"""({is_common(value)} AND NOT EXISTS (SELECT 1 FROM call_edge AS e5
      WHERE e5.parent_id = {call} LIMIT 1 OFFSET {MANY}))"""


def is_common_in_few_results(value: str, argument: str) -> str:
    """A value lies in more values than an argument came from calls."""
    return f"""({is_common(value)} AND NOT EXISTS (SELECT 1 FROM argument_result AS r7
      WHERE r7.arg_hash = {argument} LIMIT 1 OFFSET {MANY}))"""


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
      AND {lies_in(value, "d0.value_hash", is_often=True)})"""
    is_by_child = f"{value} = {whole} OR {is_common_in_few_children(value, call)}"
    return f"""CASE WHEN {is_by_child} THEN {by_child}
      ELSE EXISTS (SELECT 1 FROM call_node AS d1 CROSS JOIN call_edge AS e1
          WHERE d1.value_hash = {value} AND e1.child_id = d1.call_hash AND e1.parent_id = {call})
        OR EXISTS (SELECT 1
          FROM subvalue AS s2 CROSS JOIN call_node AS d2 CROSS JOIN call_edge AS e2
          WHERE s2.value_hash = {value} AND d2.value_hash = s2.parent_value_hash
          AND e2.child_id = d2.call_hash AND e2.parent_id = {call})
        OR ({is_deep(value)} AND {by_child})
      END"""


def is_of_the_library(task: str) -> str:
    """A task, by its hash, is one of those that come with the library, such as ``cond``."""
    return f"{task} IN (SELECT t1.hash FROM task AS t1 WHERE t1.namespace = '{BUILT_IN}')"


class Reaching:
    """What a reach means in SQL; for ``JOBS``, ``:execution`` is a parameter."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach

    def holds(self, call: str) -> str:
        """Whether a call counts."""
        match self.reach:
            case Reach.JOBS:
                return f"""EXISTS (SELECT 1 FROM job AS j0
                  WHERE j0.call_hash = {call} AND j0.execution_id = :execution)"""
            case Reach.BELOW:
                return f"EXISTS (SELECT 1 FROM {SCOPE} AS s0 WHERE s0.hash = {call})"
            case Reach.ALL:
                return "1 = 1"

    def callers(self, call: str) -> Callers:
        """Return what leads from a call to those that it is a child of."""
        if self.reach is Reach.JOBS:
            # Not by the edges: an equal call may have a hundred thousand callers elsewhere.
            where = f"""j1.call_hash = {call} AND j1.execution_id = :execution
              AND p1.id = j1.parent_id AND p1.call_hash IS NOT NULL"""
            return Callers(("job AS j1", "job AS p1"), where, "p1.call_hash", "p1.task_hash")
        where = f"""p1.child_id = {call} AND {self.holds("p1.parent_id")}
          AND l1.call_hash = p1.parent_id"""
        joins = ("call_edge AS p1", "call_node AS l1")
        return Callers(joins, where, "l1.call_hash", "l1.task_hash")


class Callers(NamedTuple):
    """How the callers of a call are found.

    Attributes:
        joins: The tables.
        where: The condition.
        call: The hash of a caller.
        task: The hash of its task.
    """

    joins: tuple[str, ...]
    where: str
    call: str
    task: str

    @property
    def hands_on(self) -> str:
        """The caller is the library's: what it was not given, its own caller may have."""
        return is_of_the_library(self.task)


def is_literal(argument: str, caller: str) -> str:
    """An argument did not come from a call that its caller made."""
    return f"""NOT EXISTS (SELECT 1 FROM argument_result AS r3 CROSS JOIN call_edge AS e3
      WHERE r3.arg_hash = {argument} AND e3.child_id = r3.result_call_hash
      AND e3.parent_id = {caller})"""


def is_given(value: str, argument: str, reaching: Reaching) -> str:
    """A call that an argument came from gave a value, or something that holds it."""
    by_result = f"""EXISTS (SELECT 1
        FROM argument_result AS r6 CROSS JOIN call_node AS d6
        WHERE r6.arg_hash = {argument} AND d6.call_hash = r6.result_call_hash
        AND {reaching.holds("d6.call_hash")}
        AND {lies_in(value, "d6.value_hash", is_often=True)})"""
    return f"""CASE WHEN {is_common_in_few_results(value, argument)} THEN {by_result}
      ELSE EXISTS (SELECT 1 FROM call_node AS d4 CROSS JOIN argument_result AS r4
        WHERE d4.value_hash = {value} AND r4.arg_hash = {argument}
        AND r4.result_call_hash = d4.call_hash AND {reaching.holds("d4.call_hash")})
      OR EXISTS (SELECT 1
        FROM subvalue AS s5 CROSS JOIN call_node AS d5 CROSS JOIN argument_result AS r5
        WHERE s5.value_hash = {value} AND d5.value_hash = s5.parent_value_hash
        AND r5.arg_hash = {argument} AND r5.result_call_hash = d5.call_hash
        AND {reaching.holds("d5.call_hash")})
      OR ({is_deep(value)} AND {by_result})
      END"""


def is_in_another(caller: str, value: str) -> str:
    """A value lies in an argument of a caller."""
    return f"""EXISTS (SELECT 1 FROM argument AS b1
      WHERE b1.call_hash = {caller} AND {lies_in(value, "b1.value_hash")})"""


def is_from_outside(argument: str, call: str, value: str, reaching: Reaching) -> str:
    """An argument came from no call, and was not handed down."""
    first, next = reaching.callers(call), reaching.callers("above.hash")
    return f"""NOT EXISTS (SELECT 1 FROM argument_result AS r9 WHERE r9.arg_hash = {argument})
      AND NOT EXISTS (
        WITH RECURSIVE above (hash, hands_on) AS (
          SELECT {first.call}, {first.hands_on}
          FROM {" CROSS JOIN ".join(first.joins)} WHERE {first.where}
          UNION SELECT {next.call}, {next.hands_on}
          FROM {" CROSS JOIN ".join(("above", *next.joins))} WHERE above.hands_on AND {next.where})
        SELECT 1 FROM above CROSS JOIN argument AS b9 WHERE b9.call_hash = above.hash
        AND ({lies_in(value, "b9.value_hash")}
          OR ({has_parts(value)} AND {lies_in("b9.value_hash", value)})))"""


def is_made(call: str, value: str, whole: str) -> str:
    """A call that gave a value made it: no child gave it, and it was not handed in."""
    return f"""NOT EXISTS (SELECT 1 FROM argument AS a8
        WHERE a8.call_hash = {call} AND {lies_in(value, "a8.value_hash")})
      AND NOT ({is_routed(call, value, whole)})"""


#: Tells whether an execution has calls whose callers are not those of its jobs: it took a whole
#: call from the cache, below which there are no jobs; or it forked calls, which are of who joins.
HAS_OTHER_CALLERS: Final = f"""SELECT 1 FROM job AS j
  WHERE j.execution_id = :execution AND j.cached = TRUE
    AND EXISTS (SELECT 1 FROM call_edge AS e WHERE e.parent_id = j.call_hash)
    AND NOT EXISTS (SELECT 1 FROM job AS k WHERE k.parent_id = j.id)
  UNION ALL SELECT 1 FROM task AS t CROSS JOIN call_node AS c CROSS JOIN job AS f
  WHERE t.name = 'fork_thread' AND t.namespace = '{BUILT_IN}' AND c.task_hash = t.hash
    AND f.call_hash = c.call_hash AND f.execution_id = :execution LIMIT 1"""

#: The table that has the calls that count, for ``BELOW``, and what they are.
SCOPE: Final = "flow_scope"
IN_SCOPE: Final = """WITH RECURSIVE scope (hash) AS (
  SELECT j.call_hash FROM job AS j WHERE j.execution_id = :execution AND j.call_hash IS NOT NULL
  UNION SELECT e.child_id FROM scope CROSS JOIN call_edge AS e WHERE e.parent_id = scope.hash)
  SELECT hash FROM scope"""
