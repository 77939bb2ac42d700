"""The rules of data flow: from a node to what it came from.

What a rule tells of the other node is its place among all of that rule, where these have an order.
"""

from __future__ import annotations

from taskgraph_backend.dataflow.conditions import (
    Reach,
    Reaching,
    has_children,
    has_parts,
    is_a_result,
    is_common_in_few_children,
    is_common_in_few_results,
    is_from_outside,
    is_given,
    is_in_another,
    is_literal,
    is_made,
    is_routed,
    lies_in,
)
from taskgraph_backend.dataflow.rules import (
    ARGUMENT,
    ARGUMENT_HOLDER,
    CALL,
    MADE,
    OUTSIDE,
    PASSED,
    RESULT,
    RESULT_HOLDER,
    VALUE,
    VALUE_HOLDER,
    Node,
    Rule,
)


def rules(reach: Reach) -> list[Rule]:
    """Return the ways from a node to what it came from."""
    reaching = Reaching(reach)
    found = [*_of_results(), *_of_calls(), *_of_arguments(reaching), *_of_values(reaching)]
    return [*found, *_from_outside(reaching)] if reach is Reach.ALL else found


def _of_results() -> list[Rule]:
    is_whole = "n.value = n.whole"
    by_child = f"({is_whole} OR {is_common_in_few_children('n.value', 'n.id')})"
    child = ("call_edge AS e", "call_node AS d")
    of_call = "e.parent_id = n.id AND d.call_hash = e.child_id"
    same = Node(RESULT, "d.call_hash", "n.value", "d.value_hash", "d.call_hash")
    other = Node(RESULT, "d.call_hash", "d.value_hash", "d.value_hash", "d.call_hash")
    call = Node(CALL, "n.id", "n.id", "n.id", "n.id")
    routed = is_routed("n.id", "n.value", "n.whole")
    order = "e.call_order"
    return [
        # From a child that gave it: a whole result is looked for among the children, as is what is
        # common,
        Rule(
            RESULT,
            same,
            child,
            f"{by_child} AND {of_call} AND {lies_in('n.value', 'd.value_hash', is_often=True)}",
            order,
        ),
        # another part of one among all calls that gave it, or what holds it.
        Rule(
            RESULT,
            Node(RESULT_HOLDER, "n.id", "n.value", "n.value", "n.call"),
            where=f"NOT {by_child} AND {has_children('n.id')}",
        ),
        _further_out(RESULT_HOLDER),
        Rule(
            RESULT_HOLDER,
            same,
            ("call_node AS d", "call_edge AS e"),
            "d.value_hash = n.whole AND e.child_id = d.call_hash AND e.parent_id = n.id",
            order,
        ),
        # What no child gave, the call made itself, and of what its children gave.
        Rule(RESULT, call, where=f"{is_whole} AND NOT {has_children('n.id')}"),
        Rule(
            RESULT,
            Node(MADE, "n.id", "n.value", "n.whole", "n.id"),
            where=f"(NOT {is_whole} OR {has_children('n.id')}) AND NOT ({routed})",
        ),
        Rule(MADE, call),
        Rule(MADE, other, child, f"{is_whole} AND {of_call}", order),
        Rule(
            MADE,
            other,
            child,
            f"NOT {is_whole} AND {has_parts('n.value')} AND {of_call}"
            f" AND {lies_in('d.value_hash', 'n.value')}",
            order,
        ),
    ]


def _further_out(kind: int) -> Rule:
    """From what holds a value to what holds that."""
    outer = Node(kind, "n.id", "n.value", "s.parent_value_hash", "n.call")
    return Rule(kind, outer, ("subvalue AS s",), "s.value_hash = n.whole")


def _of_calls() -> list[Rule]:
    argument = Node(ARGUMENT, "a.arg_hash", "a.value_hash", "a.value_hash", "n.id")
    return [Rule(CALL, argument, ("argument AS a",), "a.call_hash = n.id")]


def _of_arguments(reaching: Reaching) -> list[Rule]:
    is_whole = "n.value = n.whole"
    made = ("argument_result AS ar", "call_node AS r")
    is_result = f"""ar.arg_hash = n.id AND {reaching.holds("ar.result_call_hash")}
      AND r.call_hash = ar.result_call_hash"""
    by_result = is_common_in_few_results("n.value", "n.id")
    given = f"CASE WHEN {lies_in('n.value', 'r.value_hash')} THEN n.value ELSE r.value_hash END"
    return [
        Rule(
            ARGUMENT,
            Node(RESULT, "r.call_hash", given, "r.value_hash", "r.call_hash"),
            made,
            f"{is_whole} AND {is_result}",
        ),
        Rule(
            ARGUMENT,
            Node(ARGUMENT_HOLDER, "n.id", "n.value", "n.value", "n.call"),
            where=f"NOT {is_whole} AND {is_a_result('n.id')} AND NOT {by_result}",
        ),
        Rule(
            ARGUMENT,
            Node(RESULT, "r.call_hash", "n.value", "r.value_hash", "r.call_hash"),
            made,
            f"NOT {is_whole} AND {by_result} AND {is_result}"
            f" AND {lies_in('n.value', 'r.value_hash', is_often=True)}",
        ),
        _further_out(ARGUMENT_HOLDER),
        Rule(
            ARGUMENT_HOLDER,
            Node(RESULT, "r.call_hash", "n.value", "r.value_hash", "r.call_hash"),
            ("call_node AS r", "argument_result AS ar"),
            "r.value_hash = n.whole AND ar.arg_hash = n.id AND ar.result_call_hash = r.call_hash"
            f" AND {reaching.holds('r.call_hash')}",
        ),
        # A part that no call gave as it is: some operator made it of what the calls gave.
        Rule(
            ARGUMENT,
            Node(RESULT, "r.call_hash", "r.value_hash", "r.value_hash", "r.call_hash"),
            made,
            f"NOT {is_whole} AND {is_a_result('n.id')}"
            f" AND NOT ({is_given('n.value', 'n.id', reaching)}) AND {is_result}",
        ),
        _from_caller(ARGUMENT, reaching),
        _from_caller(PASSED, reaching),
    ]


def _from_caller(kind: int, reaching: Reaching) -> Rule:
    """From an argument to those of the caller that hold it, or lie in it; else the next caller."""
    callers = reaching.callers("n.call")
    holds = lies_in("n.value", "b.value_hash", in_few=True)
    is_part = f"""n.value = n.whole AND b.value_hash <> n.value
      AND {lies_in("b.value_hash", "n.value")} AND NOT {is_in_another(callers.call, "n.value")}"""
    return Rule(
        kind,
        Node(
            f"CASE WHEN b.arg_hash IS NULL THEN {PASSED} ELSE {ARGUMENT} END",
            "coalesce(b.arg_hash, n.id)",
            f"CASE WHEN b.arg_hash IS NULL OR {holds} THEN n.value ELSE b.value_hash END",
            "coalesce(b.value_hash, n.whole)",
            callers.call,
        ),
        callers.joins,
        f"{callers.where} AND (b.arg_hash IS NOT NULL OR {callers.hands_on})"
        f" AND {is_literal('n.id', callers.call)}",
        among=f"LEFT JOIN argument AS b ON b.call_hash = {callers.call}"
        f" AND ({holds} OR ({is_part}))",
    )


def _of_values(reaching: Reaching) -> list[Rule]:
    """From a value by itself to the calls that made it, and to its parts."""
    return [
        Rule(VALUE, Node(VALUE_HOLDER, "n.id", "n.value", "n.value", "n.call")),
        _further_out(VALUE_HOLDER),
        Rule(
            VALUE_HOLDER,
            Node(RESULT, "d.call_hash", "n.value", "d.value_hash", "d.call_hash"),
            ("call_node AS d",),
            f"d.value_hash = n.whole AND {reaching.holds('d.call_hash')}"
            f" AND {is_made('d.call_hash', 'n.value', 'd.value_hash')}",
        ),
        Rule(
            VALUE,
            Node(VALUE, "s.value_hash", "s.value_hash", "s.value_hash", "s.value_hash"),
            ("subvalue AS s",),
            "s.parent_value_hash = n.value",
        ),
    ]


def _from_outside(reaching: Reaching) -> list[Rule]:
    """A file that came from outside may have been made in another execution."""
    return [
        Rule(
            ARGUMENT,
            Node(OUTSIDE, "n.id", "n.value", "n.value", "n.call"),
            where=is_from_outside("n.id", "n.call", "n.value", reaching),
        ),
        Rule(
            OUTSIDE,
            Node(OUTSIDE, "n.id", "n.value", "s.value_hash", "n.call"),
            ("subvalue AS s",),
            "s.parent_value_hash = n.whole",
        ),
        Rule(
            OUTSIDE,
            Node(VALUE, "f.value_hash", "f.value_hash", "f.value_hash", "f.value_hash"),
            ("file AS f",),
            "f.value_hash = n.whole",
        ),
    ]
