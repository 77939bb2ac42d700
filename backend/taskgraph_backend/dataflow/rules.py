"""What a rule of data flow is: one way from a node of some kind to others, as SQL.

A node is a row ``(kind, id, value, whole, call)``: a value as it came from a call (`RESULT`: the
call's hash), or in an argument (`ARGUMENT`: the argument's hash), a `CALL`, or a `VALUE` by itself.
``whole`` is the whole result of the call, or the whole argument; ``value`` is that or lies in it.

Joins stand in the order in which they are to be made: ``CROSS JOIN`` says so.
"""

from __future__ import annotations

from typing import Final, NamedTuple

VALUE: Final = 0
RESULT: Final = 1
CALL: Final = 2
ARGUMENT: Final = 3
#: The kinds from here on are met on the way only. They stand for another node, whose kind is in the
#: two lowest bits, and whose `id` and `value` they have; what differs is `whole` or `call`.
HELPER: Final = 4
# In `whole` is the value, or what holds it: that is what is looked for.
VALUE_HOLDER: Final = HELPER + VALUE
RESULT_HOLDER: Final = HELPER + RESULT
ARGUMENT_HOLDER: Final = HELPER + ARGUMENT
# A result that no child of its call gave.
MADE: Final = 2 * HELPER + RESULT
# An argument that is looked for beyond a task of the library, which hands it on: that is in `call`.
PASSED: Final = 2 * HELPER + ARGUMENT
# An argument that came from no call; in `whole` is its value, or what lies in that.
OUTSIDE: Final = 3 * HELPER + ARGUMENT
# A part of the result of a call, which may have made it.
PART: Final = 3 * HELPER + RESULT


def stands_for(kind: int) -> int:
    """Return the kind of the node that one which is met on the way stands for."""
    return kind % HELPER


class Node(NamedTuple):
    """The columns of a node, as SQL or as a row."""

    kind: object
    id: object
    value: object
    whole: object
    call: object

    def __str__(self) -> str:
        return ", ".join(map(str, self))


#: Where a rule tells nothing.
UNTOLD: Final = "CAST(NULL AS INTEGER)"


class Rule(NamedTuple):
    """One way from ``n``, a node of some kind, to others.

    Attributes:
        of: The kind.
        to: The other nodes.
        joins: The tables with what is on the way, in the order in which they are to be opened.
        where: The conditions; those on ``n`` alone first.
        tells: A number, one thing more about the other node: see `upstream` and `downstream`.
        among: Joins of another sort, behind the others.
    """

    of: int
    to: Node
    joins: tuple[str, ...] = ()
    where: str = "1 = 1"
    tells: str = UNTOLD
    among: str = ""

    def select_among(self, table: str) -> str:
        """Return the query for the other nodes of all in a table with nodes of many kinds."""
        return f"SELECT {self.to} {self._tables(table)} WHERE n.kind = {self.of} AND ({self.where})"

    def select_beside(self) -> str:
        """Return the query for the other nodes of one that is at hand."""
        tables = f"FROM {' CROSS JOIN '.join(self.joins)} {self.among}" if self.joins else ""
        return f"SELECT {self.to} {tables} WHERE n.kind = {self.of} AND ({self.where})"

    def select_from(self, table: str) -> str:
        """Return the query for the other nodes of all in a table with nodes of this kind.

        Its columns are kind and number of a node, those of the other node, and what is told of it.
        """
        what = f"SELECT {self.of}, n.at, {self.to}, {self.tells}"
        return f"{what} {self._tables(table)} WHERE {self.where}"

    def _tables(self, table: str) -> str:
        # SQLite opens tables in this order then.
        return f"FROM {' CROSS JOIN '.join((f'{table} AS n', *self.joins))} {self.among}"
