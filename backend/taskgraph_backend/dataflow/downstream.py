"""The ways downstream: from a node to all that may have come from it.

They are generous. A rule tells of the other node whether it came from this one: `SURE`, or
`DOUBTFUL`, and then it has to be asked for what it came from, by the rules of the way upstream.
"""

from __future__ import annotations

from typing import Final

from taskgraph_backend.dataflow.conditions import (
    Reach,
    Reaching,
    has_children,
    is_a_result,
    is_held,
    is_of_the_library,
    lies_in,
)
from taskgraph_backend.dataflow.rules import (
    ARGUMENT,
    CALL,
    PART,
    PASSED,
    RESULT,
    UNTOLD,
    VALUE,
    VALUE_HOLDER,
    Node,
    Rule,
)

SURE: Final = "1"
DOUBTFUL: Final = "0"

_ARGUMENT = Node(ARGUMENT, "a.arg_hash", "n.value", "a.value_hash", "a.call_hash")
_WHOLE_ARGUMENT = Node(ARGUMENT, "a.arg_hash", "a.value_hash", "a.value_hash", "a.call_hash")


def rules(reach: Reach) -> list[Rule]:
    """Return the ways from a node to what may have come from it."""
    reaching = Reaching(reach)
    found = [*_from_results(reaching), *_from_arguments(), *_handed_down(), *_from_calls()]
    found += _from_values(reaching)
    if reach is Reach.ALL:
        # A file joins the execution that made it with those that were given it.
        file = Node(VALUE, "f.value_hash", "f.value_hash", "f.value_hash", "f.value_hash")
        found.append(Rule(RESULT, file, ("file AS f",), "f.value_hash = n.value", DOUBTFUL))
    return found


#: To take both ways at once: what is looked up for a node is looked up once.
_BOTH_WAYS = "(SELECT TRUE AS is_same UNION ALL SELECT FALSE) AS way"


def _sure_if(condition: str) -> str:
    return f"CAST({condition} AS INTEGER)"


def _from_results(reaching: Reaching) -> list[Rule]:
    callers = reaching.callers("n.id")
    above = (*callers.joins, "call_node AS c")
    is_above = f"{callers.where} AND c.call_hash = {callers.call}"
    inner = f"n.value = n.whole AND s.value_hash = n.value AND {is_held('s.parent_value_hash')}"
    return [
        # Up into the result of the caller: as it is or as a part of that; or that is made of it.
        Rule(
            RESULT,
            _as_it_is_or_whole(RESULT, "c.call_hash", "c"),
            (*above, _BOTH_WAYS),
            f"{is_above} AND {_is_same_or_whole('c')}",
            _sure_if("way.is_same"),
        ),
        Rule(
            RESULT,
            Node(RESULT, "c.call_hash", "s.parent_value_hash", "c.value_hash", "c.call_hash"),
            ("subvalue AS s", *above),
            f"{inner} AND {is_above} AND s.parent_value_hash <> c.value_hash"
            f" AND {lies_in('s.parent_value_hash', 'c.value_hash')}",
            DOUBTFUL,
        ),
        # Into an argument, as it is or as a part of that; or that is made of it.
        Rule(
            RESULT,
            _as_it_is_or_whole(ARGUMENT, "a.arg_hash", "a"),
            ("argument_result AS ar", "argument AS a", _BOTH_WAYS),
            "ar.result_call_hash = n.id AND a.arg_hash = ar.arg_hash"
            f" AND {reaching.holds('a.call_hash')} AND {_is_same_or_whole('a')}",
            # A whole argument came from that part of the result that it is, if it is one.
            _sure_if(f"way.is_same OR NOT {is_held('a.value_hash')}"),
        ),
    ]


def _as_it_is_or_whole(kind: int, id: str, row: str) -> Node:
    value = f"CASE WHEN way.is_same THEN n.value ELSE {row}.value_hash END"
    return Node(kind, id, value, f"{row}.value_hash", f"{row}.call_hash")


def _is_same_or_whole(row: str) -> str:
    is_same = lies_in("n.value", f"{row}.value_hash", in_few=True, is_often=True)
    return f"""CASE WHEN way.is_same THEN {is_same}
      ELSE n.value = n.whole AND n.value <> {row}.value_hash END"""


def _from_arguments() -> list[Rule]:
    is_whole = "n.value = n.whole"
    return [
        # What an operator made of a result, and is a part of the argument.
        Rule(
            ARGUMENT,
            Node(ARGUMENT, "n.id", "s.value_hash", "n.whole", "n.call"),
            ("subvalue AS s",),
            f"{is_whole} AND {is_a_result('n.id')} AND s.parent_value_hash = n.whole"
            " AND NOT EXISTS (SELECT 1 FROM call_node AS d2 CROSS JOIN argument_result AS r2"
            " WHERE d2.value_hash = s.value_hash AND r2.arg_hash = n.id"
            " AND r2.result_call_hash = d2.call_hash)",
            DOUBTFUL,
        ),
        Rule(
            ARGUMENT,
            Node(CALL, "n.call", "n.call", "n.call", "n.call"),
            where=is_whole,
            tells=SURE,
        ),
    ]


def _handed_down() -> list[Rule]:
    """From an argument to those of the children: as it is, or in a container."""
    below = ("call_edge AS e", "argument AS a")
    is_below = "e.parent_id = n.call AND a.call_hash = e.child_id"
    is_held_by_it = lies_in("n.value", "a.value_hash")
    found = []
    for kind, is_sure in (
        (ARGUMENT, _sure_if(f"NOT {is_a_result('a.arg_hash')}")),
        (PASSED, DOUBTFUL),
    ):
        found += [
            Rule(kind, _ARGUMENT, below, f"{is_below} AND {is_held_by_it}", is_sure),
            Rule(
                kind,
                _WHOLE_ARGUMENT,
                below,
                f"n.value = n.whole AND {is_held('n.value')} AND {is_below}"
                f" AND a.value_hash <> n.value AND {is_held_by_it}",
                DOUBTFUL,
            ),
            # Through tasks of the library.
            Rule(
                kind,
                Node(PASSED, "n.id", "n.value", "n.whole", "c.call_hash"),
                ("call_edge AS e", "call_node AS c"),
                "e.parent_id = n.call AND c.call_hash = e.child_id"
                f" AND {is_of_the_library('c.task_hash')}",
            ),
        ]
    return found


def _from_calls() -> list[Rule]:
    """From a call to its result, and to the parts of it that no child gave."""
    return [
        Rule(
            CALL,
            Node(
                f"CASE WHEN way.is_same THEN {RESULT} ELSE {PART} END",
                "c.call_hash",
                "coalesce(s.value_hash, c.value_hash)",
                "c.value_hash",
                "c.call_hash",
            ),
            ("call_node AS c", _BOTH_WAYS),
            "c.call_hash = n.id AND (way.is_same OR s.value_hash IS NOT NULL)",
            _sure_if(f"way.is_same AND NOT {has_children('n.id')}"),
            "LEFT JOIN subvalue AS s ON NOT way.is_same AND s.parent_value_hash = c.value_hash"
            " AND NOT EXISTS (SELECT 1 FROM call_node AS d3 CROSS JOIN call_edge AS e3"
            " WHERE d3.value_hash = s.value_hash AND e3.child_id = d3.call_hash"
            " AND e3.parent_id = n.id)",
        ),
        Rule(PART, Node(RESULT, "n.id", "n.value", "n.whole", "n.call"), tells=DOUBTFUL),
        Rule(
            PART,
            Node(PART, "n.id", "s.value_hash", "n.whole", "n.call"),
            ("subvalue AS s",),
            "s.parent_value_hash = n.value",
        ),
    ]


def _from_values(reaching: Reaching) -> list[Rule]:
    """From a value by itself to all calls that gave it or were given it.

    None of these came from the value, unless a file is followed from one execution to another.
    """
    is_given = f"a.value_hash = n.whole AND {reaching.holds('a.call_hash')}"
    tells = DOUBTFUL if reaching.reach is Reach.ALL else UNTOLD
    return [
        Rule(VALUE, Node(VALUE_HOLDER, "n.id", "n.value", "n.value", "n.call")),
        Rule(
            VALUE_HOLDER,
            Node(VALUE_HOLDER, "n.id", "n.value", "s.parent_value_hash", "n.call"),
            ("subvalue AS s",),
            "s.value_hash = n.whole",
        ),
        Rule(
            VALUE_HOLDER,
            Node(RESULT, "c.call_hash", "n.value", "c.value_hash", "c.call_hash"),
            ("call_node AS c",),
            f"c.value_hash = n.whole AND {reaching.holds('c.call_hash')}",
            tells,
        ),
        Rule(VALUE_HOLDER, _ARGUMENT, ("argument AS a",), is_given, tells),
        Rule(
            VALUE_HOLDER,
            _WHOLE_ARGUMENT,
            ("argument AS a",),
            f"n.whole <> n.value AND {is_given}",
            tells,
        ),
    ]
