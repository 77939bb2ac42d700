"""The walk downstream: all nodes that may have come from something, in one recursive query.

It is generous: what it meets is held against the rules of the way upstream afterwards, so that it
cannot find what the other direction would not.
"""

from __future__ import annotations

from taskgraph_backend.dataflow.conditions import (
    ARGUMENT,
    CALL,
    PART,
    RESULT,
    VALUE,
    VALUE_HOLDER,
    Node,
    Reach,
    Reaching,
    Step,
    is_held,
    lies_in,
)

_ARGUMENT = Node(ARGUMENT, "a.arg_hash", "n.value", "a.value_hash", "a.call_hash")
_WHOLE_ARGUMENT = Node(ARGUMENT, "a.arg_hash", "a.value_hash", "a.value_hash", "a.call_hash")
_WHOLE_RESULT = Node(RESULT, "c.call_hash", "c.value_hash", "c.value_hash", "c.call_hash")


def steps(reach: Reach) -> list[Step]:
    """Return the ways from a node to what may have come from it."""
    reaching = Reaching(reach)
    found = [*_from_results(reaching), *_from_arguments(), *_from_calls()]
    found += _from_values(reaching)
    if reach is Reach.ALL:
        # A file joins the execution that made it with those that were given it.
        file = Node(VALUE, "f.value_hash", "f.value_hash", "f.value_hash", "f.value_hash")
        found.append(Step(file, ("file AS f",), f"n.kind = {RESULT} AND f.value_hash = n.value"))
    return found


def _from_results(reaching: Reaching) -> list[Step]:
    joins, is_caller, caller = reaching.callers("n.id")
    above = (*joins, "call_node AS c")
    is_above = f"{is_caller} AND c.call_hash = {caller}"
    used = ("argument_result AS ar", "argument AS a")
    is_used = f"""ar.result_call_hash = n.id AND a.arg_hash = ar.arg_hash
      AND {reaching.holds("a.call_hash")}"""
    return [
        # Up into the result of the caller: as it is, as a part, or into a part of that.
        Step(
            Node(RESULT, "c.call_hash", "n.value", "c.value_hash", "c.call_hash"),
            above,
            f"n.kind = {RESULT} AND {is_above} AND {lies_in('n.value', 'c.value_hash')}",
        ),
        Step(_WHOLE_RESULT, above, f"n.kind = {RESULT} AND n.value = n.whole AND {is_above}"),
        Step(
            Node(RESULT, "c.call_hash", "s.parent_value_hash", "c.value_hash", "c.call_hash"),
            (*above, "subvalue AS s"),
            f"n.kind = {RESULT} AND n.value = n.whole AND {is_held('n.value')} AND {is_above}"
            " AND s.value_hash = n.value AND s.parent_value_hash <> c.value_hash"
            f" AND {lies_in('s.parent_value_hash', 'c.value_hash')}",
        ),
        # Into an argument, as it is or as a part.
        Step(
            _ARGUMENT,
            used,
            f"n.kind = {RESULT} AND {is_used} AND {lies_in('n.value', 'a.value_hash')}",
        ),
        Step(_WHOLE_ARGUMENT, used, f"n.kind = {RESULT} AND n.value = n.whole AND {is_used}"),
    ]


def _from_arguments() -> list[Step]:
    below = ("call_edge AS e", "argument AS a")
    is_below = "e.parent_id = n.call AND a.call_hash = e.child_id"
    return [
        # What an operator made of a result, and is a part of the argument.
        Step(
            Node(ARGUMENT, "n.id", "s.value_hash", "n.whole", "n.call"),
            ("subvalue AS s",),
            f"n.kind = {ARGUMENT} AND n.value = n.whole AND EXISTS (SELECT 1"
            " FROM argument_result AS r1 WHERE r1.arg_hash = n.id)"
            " AND s.parent_value_hash = n.whole"
            " AND NOT EXISTS (SELECT 1 FROM call_node AS d2 CROSS JOIN argument_result AS r2"
            " WHERE d2.value_hash = s.value_hash AND r2.arg_hash = n.id"
            " AND r2.result_call_hash = d2.call_hash)",
        ),
        Step(
            Node(CALL, "n.call", "n.call", "n.call", "n.call"),
            (),
            f"n.kind = {ARGUMENT} AND n.value = n.whole",
        ),
        # Handed down to a child: as it is, or in a container.
        Step(
            _ARGUMENT,
            below,
            f"n.kind = {ARGUMENT} AND {is_below} AND {lies_in('n.value', 'a.value_hash')}",
        ),
        Step(
            _WHOLE_ARGUMENT,
            below,
            f"n.kind = {ARGUMENT} AND n.value = n.whole AND {is_held('n.value')} AND {is_below}"
            f" AND a.value_hash <> n.value AND {lies_in('n.value', 'a.value_hash')}",
        ),
    ]


def _from_calls() -> list[Step]:
    """From a call to its result, and to the parts of it that no child gave."""
    return [
        Step(_WHOLE_RESULT, ("call_node AS c",), f"n.kind = {CALL} AND c.call_hash = n.id"),
        Step(
            Node(PART, "c.call_hash", "s.value_hash", "c.value_hash", "c.call_hash"),
            ("call_node AS c", "subvalue AS s"),
            f"n.kind = {CALL} AND c.call_hash = n.id AND s.parent_value_hash = c.value_hash"
            " AND NOT EXISTS (SELECT 1 FROM call_node AS d3 CROSS JOIN call_edge AS e3"
            " WHERE d3.value_hash = s.value_hash AND e3.child_id = d3.call_hash"
            " AND e3.parent_id = n.id)",
        ),
        Step(Node(RESULT, "n.id", "n.value", "n.whole", "n.call"), (), f"n.kind = {PART}"),
        Step(
            Node(PART, "n.id", "s.value_hash", "n.whole", "n.call"),
            ("subvalue AS s",),
            f"n.kind = {PART} AND s.parent_value_hash = n.value",
        ),
    ]


def _from_values(reaching: Reaching) -> list[Step]:
    """From a value by itself to all calls that gave it or were given it."""
    return [
        Step(Node(VALUE_HOLDER, "n.id", "n.value", "n.value", "n.call"), (), f"n.kind = {VALUE}"),
        Step(
            Node(VALUE_HOLDER, "n.id", "n.value", "s.parent_value_hash", "n.call"),
            ("subvalue AS s",),
            f"n.kind = {VALUE_HOLDER} AND s.value_hash = n.whole",
        ),
        Step(
            Node(RESULT, "c.call_hash", "n.value", "c.value_hash", "c.call_hash"),
            ("call_node AS c",),
            f"n.kind = {VALUE_HOLDER} AND c.value_hash = n.whole"
            f" AND {reaching.holds('c.call_hash')}",
        ),
        Step(
            _ARGUMENT,
            ("argument AS a",),
            f"n.kind = {VALUE_HOLDER} AND a.value_hash = n.whole"
            f" AND {reaching.holds('a.call_hash')}",
        ),
        Step(
            _WHOLE_ARGUMENT,
            ("argument AS a",),
            f"n.kind = {VALUE_HOLDER} AND a.value_hash = n.whole"
            f" AND {reaching.holds('a.call_hash')}",
        ),
    ]
