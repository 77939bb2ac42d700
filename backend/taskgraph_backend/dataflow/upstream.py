"""The walk upstream: all nodes that something came from, in one recursive query.

An argument that is met on the way is no node of its own in the walk but where it was handed down
by a caller: most arguments lead nowhere, and each row costs as much as a few look-ups.
"""

from __future__ import annotations

from taskgraph_backend.dataflow.conditions import (
    ARGUMENT,
    ARGUMENT_HOLDER,
    CALL,
    HOLDER,
    MADE,
    OUTSIDE,
    RESULT,
    RESULT_HOLDER,
    VALUE,
    VALUE_HOLDER,
    Node,
    Reach,
    Reaching,
    Step,
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

# The calls whose arguments count: those that made something, and results of calls without children.
_IS_CALL = f"""(n.kind = {CALL} OR (n.kind = {RESULT} AND n.value = n.whole
  AND NOT {has_children("n.id")}))"""


def steps(reach: Reach) -> list[Step]:
    """Return the ways from a node to what it came from."""
    reaching = Reaching(reach)
    found = [*_from_results(), *_from_calls(reaching), *_from_arguments(reaching)]
    found += _from_values(reaching)
    return [*found, *_from_outside(reaching)] if reach is Reach.ALL else found


def _from_results() -> list[Step]:
    child = ("call_edge AS e", "call_node AS d")
    of_call = "e.parent_id = n.id AND d.call_hash = e.child_id"
    same = Node(RESULT, "d.call_hash", "n.value", "d.value_hash", "d.call_hash")
    whole = Node(RESULT, "d.call_hash", "d.value_hash", "d.value_hash", "d.call_hash")
    routed = is_routed("n.id", "n.value", "n.whole")
    return [
        # From a child that gave it: a whole result is looked for among the children,
        Step(
            same,
            child,
            f"n.kind = {RESULT} AND n.value = n.whole AND {of_call}"
            f" AND {lies_in('n.value', 'd.value_hash')}",
        ),
        # a part of one among all calls that gave it, or what holds it.
        Step(
            Node(f"n.kind + {HOLDER}", "n.id", "n.value", "n.value", "n.call"),
            (),
            f"(n.kind = {RESULT} AND n.value <> n.whole AND {has_children('n.id')})"
            f" OR (n.kind = {ARGUMENT} AND n.value <> n.whole AND {is_a_result('n.id')})"
            f" OR n.kind = {VALUE}",
        ),
        Step(
            Node("n.kind", "n.id", "n.value", "s.parent_value_hash", "n.call"),
            ("subvalue AS s",),
            f"n.kind IN ({RESULT_HOLDER}, {ARGUMENT_HOLDER}, {VALUE_HOLDER})"
            " AND s.value_hash = n.whole",
        ),
        Step(
            same,
            ("call_node AS d", "call_edge AS e"),
            f"n.kind = {RESULT_HOLDER} AND d.value_hash = n.whole AND e.child_id = d.call_hash"
            " AND e.parent_id = n.id",
        ),
        # What no child gave, the call made itself, and of what its children gave.
        Step(
            Node(MADE, "n.id", "n.value", "n.whole", "n.id"),
            (),
            f"n.kind = {RESULT} AND (n.value <> n.whole OR {has_children('n.id')})"
            f" AND NOT ({routed})",
        ),
        Step(Node(CALL, "n.id", "n.id", "n.id", "n.id"), (), f"n.kind = {MADE}"),
        Step(whole, child, f"n.kind = {MADE} AND n.value = n.whole AND {of_call}"),
        Step(
            whole,
            child,
            f"n.kind = {MADE} AND n.value <> n.whole AND {has_parts('n.value')} AND {of_call}"
            f" AND {lies_in('d.value_hash', 'n.value')}",
        ),
    ]


def _from_calls(reaching: Reaching) -> list[Step]:
    """From a call to what its arguments came from."""
    joins, is_caller, caller = reaching.callers("n.id")
    gives = lies_in("a.value_hash", "r.value_hash")
    literal = is_literal("a.arg_hash", caller)
    return [
        Step(
            Node(
                RESULT,
                "r.call_hash",
                f"CASE WHEN {gives} THEN a.value_hash ELSE r.value_hash END",
                "r.value_hash",
                "r.call_hash",
            ),
            ("argument AS a", "argument_result AS ar", "call_node AS r"),
            f"{_IS_CALL} AND a.call_hash = n.id AND ar.arg_hash = a.arg_hash"
            f" AND {reaching.holds('ar.result_call_hash')} AND r.call_hash = ar.result_call_hash",
        ),
        Step(
            Node(ARGUMENT, "b.arg_hash", "a.value_hash", "b.value_hash", caller),
            (*joins, "argument AS a", "argument AS b"),
            f"{_IS_CALL} AND {is_caller} AND a.call_hash = n.id AND {literal}"
            f" AND b.call_hash = {caller} AND {lies_in('a.value_hash', 'b.value_hash')}",
        ),
        Step(
            Node(ARGUMENT, "b.arg_hash", "b.value_hash", "b.value_hash", caller),
            ("argument AS a", *joins, "argument AS b"),
            f"{_IS_CALL} AND a.call_hash = n.id AND {has_parts('a.value_hash')}"
            f" AND {is_caller} AND {literal} AND b.call_hash = {caller}"
            f" AND b.value_hash <> a.value_hash AND {lies_in('b.value_hash', 'a.value_hash')}"
            f" AND NOT {is_in_another(caller, 'a.value_hash')}",
        ),
    ]


def _from_arguments(reaching: Reaching) -> list[Step]:
    """From an argument that was handed down to where the caller had it from."""
    joins, is_caller, caller = reaching.callers("n.call")
    gives = lies_in("n.value", "r.value_hash")
    literal = is_literal("n.id", caller)
    made = ("argument_result AS ar", "call_node AS r")
    of_argument = f"""ar.arg_hash = n.id AND {reaching.holds("ar.result_call_hash")}
      AND r.call_hash = ar.result_call_hash"""
    return [
        Step(
            Node(
                RESULT,
                "r.call_hash",
                f"CASE WHEN {gives} THEN n.value ELSE r.value_hash END",
                "r.value_hash",
                "r.call_hash",
            ),
            made,
            f"n.kind = {ARGUMENT} AND n.value = n.whole AND {of_argument}",
        ),
        Step(
            Node(RESULT, "r.call_hash", "n.value", "r.value_hash", "r.call_hash"),
            ("call_node AS r", "argument_result AS ar"),
            f"n.kind = {ARGUMENT_HOLDER} AND r.value_hash = n.whole AND ar.arg_hash = n.id"
            f" AND ar.result_call_hash = r.call_hash AND {reaching.holds('r.call_hash')}",
        ),
        # A part that no call gave as it is: some operator made it of what the calls gave.
        Step(
            Node(RESULT, "r.call_hash", "r.value_hash", "r.value_hash", "r.call_hash"),
            made,
            f"n.kind = {ARGUMENT} AND n.value <> n.whole AND {is_a_result('n.id')}"
            f" AND NOT ({is_given('n.value', 'n.id', reaching)}) AND {of_argument}",
        ),
        Step(
            Node(ARGUMENT, "b.arg_hash", "n.value", "b.value_hash", caller),
            (*joins, "argument AS b"),
            f"n.kind = {ARGUMENT} AND {is_caller} AND {literal} AND b.call_hash = {caller}"
            f" AND {lies_in('n.value', 'b.value_hash')}",
        ),
        Step(
            Node(ARGUMENT, "b.arg_hash", "b.value_hash", "b.value_hash", caller),
            (*joins, "argument AS b"),
            f"n.kind = {ARGUMENT} AND n.value = n.whole AND {has_parts('n.value')}"
            f" AND {is_caller} AND {literal} AND b.call_hash = {caller}"
            f" AND b.value_hash <> n.value AND {lies_in('b.value_hash', 'n.value')}"
            f" AND NOT {is_in_another(caller, 'n.value')}",
        ),
    ]


def _from_values(reaching: Reaching) -> list[Step]:
    """From a value by itself to the calls that made it, and to its parts."""
    return [
        Step(
            Node(RESULT, "d.call_hash", "n.value", "d.value_hash", "d.call_hash"),
            ("call_node AS d",),
            f"n.kind = {VALUE_HOLDER} AND d.value_hash = n.whole"
            f" AND {reaching.holds('d.call_hash')}"
            f" AND {is_made('d.call_hash', 'n.value', 'd.value_hash')}",
        ),
        Step(
            Node(VALUE, "s.value_hash", "s.value_hash", "s.value_hash", "s.value_hash"),
            ("subvalue AS s",),
            f"n.kind = {VALUE} AND s.parent_value_hash = n.value",
        ),
    ]


def _from_outside(reaching: Reaching) -> list[Step]:
    """A file that came from outside may have been made in another execution."""
    return [
        Step(
            Node(OUTSIDE, "a.arg_hash", "a.value_hash", "a.value_hash", "a.call_hash"),
            ("argument AS a",),
            f"{_IS_CALL} AND a.call_hash = n.id"
            f" AND {is_from_outside('a.arg_hash', 'n.id', 'a.value_hash', reaching)}",
        ),
        Step(
            Node(OUTSIDE, "n.id", "n.value", "n.value", "n.call"),
            (),
            f"n.kind = {ARGUMENT} AND {is_from_outside('n.id', 'n.call', 'n.value', reaching)}",
        ),
        Step(
            Node(OUTSIDE, "n.id", "n.value", "s.value_hash", "n.call"),
            ("subvalue AS s",),
            f"n.kind = {OUTSIDE} AND s.parent_value_hash = n.whole",
        ),
        Step(
            Node(VALUE, "f.value_hash", "f.value_hash", "f.value_hash", "f.value_hash"),
            ("file AS f",),
            f"n.kind = {OUTSIDE} AND f.value_hash = n.whole",
        ),
    ]
