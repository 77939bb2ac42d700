"""The common SQL in the words of PostgreSQL: text and plain data, no driver.

Statements are few and come again and again: each is translated once. What a text does not say, of
which type a column is, is taken from the database's own catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

from taskgraph.jsontext import storable
from taskgraph_backend.dialects.sqlite import NOW

# What is said in other words, as it stands in the statements.
_PHRASES = (
    (NOW, "clock_timestamp()"),
    ("(j.end_time - j.start_time) / 1e6", "extract(epoch FROM j.end_time - j.start_time)::float8"),
    ("max(start_time, ", "greatest(start_time, "),
    (" BLOB ", " BYTEA "),
    (" temp.", " pg_temp."),
    ("value = x''", "value = ''"),
    (
        "(excluded.state_time - execution.state_time)",
        "(extract(epoch FROM excluded.state_time - execution.state_time) * 1000000)::bigint",
    ),
    ("(start_time - end_time)", "(extract(epoch FROM start_time - end_time) * 1000000)::bigint"),
)
_HEX = re.compile(r"lower\(hex\(([\w.]+)\)\)")
_INSERT = re.compile(r"INSERT INTO (\w+) \(([\w, ]+)\) (?:VALUES \(|SELECT )")
_VALUES = re.compile(r"INSERT INTO (\w+) \(([\w, ]+)\) VALUES \(\?(?:, \?)*\)( ON CONFLICT .*)?")
_MARKS = re.compile(
    r"(?P<list>(?P<not>NOT )?IN \(\?(?:, \?)*\))|(?P<before>\w+)?(?P<by> [<>=]+ |, )?\?"
)
_MICROSECONDS = "('epoch'::timestamptz + %s * interval '1 microsecond')"

# Rows and bytes that are sent in one statement.
MOST_ROWS = 5_000
MOST_BYTES = 32 * 1024 * 1024
# The column of which one row can have megabytes.
_LARGE = "value"

_Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A statement as the driver wants it.

    Attributes:
        text: With ``%s`` for parameters.
        sizes: For each of its parameters, how many of the common SQL it stands for: 0 for one as it
            is, a number for so many in a list.
    """

    text: str
    sizes: tuple[int, ...]

    def arrange(self, given: Sequence[Any]) -> Sequence[Any]:
        """Return the parameters as they are wanted."""
        if not any(self.sizes):
            return given
        found: list[Any] = []
        at = 0
        for size in self.sizes:
            found.append(list(given[at : at + size]) if size else given[at])
            at += size or 1
        return found


@dataclass(frozen=True, slots=True)
class BulkInsert:
    """An insert of many rows in one statement, each column an array.

    Attributes:
        text: The statement, with an array for each column.
        kinds: The type of each column.
        keys: Which columns are the primary key.
        large: Which column can be large, or None.
        is_upsert: Whether a row may be written over, which a statement does once a row at most.
    """

    text: str
    kinds: tuple[str, ...]
    keys: tuple[int, ...]
    large: int | None
    is_upsert: bool

    def pieces(self, rows: Iterable[_Row]) -> Iterator[list[list[Any]]]:
        """Give arrays for the columns, of as many rows as go into one statement.

        Rows are in the order of their keys, so that of two who insert the same rows one waits for
        the other, and never both. Rows of one key are written one after the other.
        """
        key = itemgetter(*self.keys)
        ordered = sorted(rows, key=key)
        for once in _rounds(ordered, key) if self.is_upsert else (ordered,):
            for piece in self._cut(once):
                columns = zip(*piece, strict=True)
                yield [
                    _column(kind, values) for kind, values in zip(self.kinds, columns, strict=True)
                ]

    def _cut(self, rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
        if self.large is None:
            for start in range(0, len(rows), MOST_ROWS):
                yield rows[start : start + MOST_ROWS]
            return
        piece: list[_Row] = []
        size = 0
        for row in rows:
            size += len(row[self.large])
            if piece and (size > MOST_BYTES or len(piece) == MOST_ROWS):
                yield piece
                piece, size = [], len(row[self.large])
            piece.append(row)
        if piece:
            yield piece


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one database, for its columns are known.

    Attributes:
        kinds: The type of each column by table, in the names of the catalog.
        keys: The columns of each table's primary key.
    """

    kinds: Mapping[str, Mapping[str, str]]
    keys: Mapping[str, tuple[str, ...]]
    _times: frozenset[str] = field(init=False)
    _phrases: dict[str, Phrase] = field(default_factory=dict, init=False)
    _inserts: dict[str, BulkInsert | None] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Note which columns hold times: a name stands for a time everywhere, or nowhere."""
        named = chain.from_iterable(columns.items() for columns in self.kinds.values())
        times = frozenset(name for name, kind in named if kind == "timestamptz")
        object.__setattr__(self, "_times", times)

    def phrase(self, sql: str) -> Phrase:
        """Return a statement in the words of PostgreSQL."""
        known = self._phrases.get(sql)
        if known is None:
            known = self._phrases[sql] = self._translate(sql)
        return known

    def bulk(self, sql: str) -> BulkInsert | None:
        """Return how many rows are inserted at once, if the statement inserts parameters only."""
        if sql not in self._inserts:
            found = _VALUES.fullmatch(sql)
            self._inserts[sql] = None if found is None else self._bulk(*found.groups())
        return self._inserts[sql]

    def _translate(self, sql: str) -> Phrase:
        times = self._times_inserted(sql)
        sizes: list[int] = []

        def say(found: re.Match[str]) -> str:
            if found["list"] and found["list"].count("?") > 1:
                sizes.append(found["list"].count("?"))
                return "<> ALL(%s)" if found["not"] else "= ANY(%s)"
            sizes.append(0)
            if found["list"]:
                # One is none of many: its plan is made once.
                return "<> %s" if found["not"] else "= %s"
            is_time = found.end() - 1 in times or (found["by"] and found["before"] in self._times)
            mark = _MICROSECONDS if is_time else "%s"
            return f"{found['before'] or ''}{found['by'] or ''}{mark}"

        text = _said(_MARKS.sub(say, sql.replace("%", "\0")).replace("\0", "%%"))
        text = _HEX.sub(r"encode(\1, 'hex')", text)
        return Phrase(text, tuple(sizes))

    def _times_inserted(self, sql: str) -> set[int]:
        """Return where the parameters stand that are inserted into columns of times."""
        head = _INSERT.match(sql)
        found: set[int] = set()
        if head is None:
            return found
        at = head.end()
        for name in head[2].split(", "):
            if sql[at : at + 1] == "?" and name in self._times:
                found.add(at)
            at = sql.find(", ", at) + 2
        return found

    def _bulk(self, table: str, names: str, conflict: str | None) -> BulkInsert | None:
        columns = names.split(", ")
        known = self.kinds.get(table)
        if known is None:
            return None
        kinds = tuple(known[name] for name in columns)
        places = [f"c{number}" for number in range(len(columns))]
        arrays = ", ".join(f"%s::{_ARRAYS.get(kind, kind)}[]" for kind in kinds)
        given = ", ".join(
            _GIVEN.get(kind, "{}").format(place) for kind, place in zip(kinds, places, strict=True)
        )
        keys = self.keys.get(table, ())
        return BulkInsert(
            f"INSERT INTO {table} ({names}) SELECT {given} FROM unnest({arrays})"
            f" AS given ({', '.join(places)}){_said(conflict or '')}",
            kinds,
            tuple(columns.index(key) for key in keys if key in columns) or (0,),
            columns.index(_LARGE) if known.get(_LARGE) == "bytea" and _LARGE in columns else None,
            conflict is not None and "DO UPDATE" in conflict,
        )


def _said(text: str) -> str:
    for common, ours in _PHRASES:
        text = text.replace(common, ours)
    return text


# What arrays are of that stand for columns of a type, and what is made of their items.
_ARRAYS = {"timestamptz": "bigint", "jsonb": "text"}
_GIVEN = {
    "timestamptz": "'epoch'::timestamptz + {} * interval '1 microsecond'",
    "jsonb": "{}::jsonb",
}


def _rounds(rows: Sequence[_Row], key: Any) -> Iterator[list[_Row]]:
    """Cut rows that are in the order of their keys so that a key is in each part once at most."""
    waiting = rows
    while waiting:
        now: list[_Row] = []
        later: list[_Row] = []
        last: Any = None
        for row in waiting:
            found = key(row)
            if now and found == last:
                later.append(row)
            else:
                now.append(row)
            last = found
        yield now
        waiting = later


def _column(kind: str, values: tuple[Any, ...]) -> list[Any]:
    if kind == "bool":
        # The hot path has numbers: those cost SQLite less.
        return [None if each is None else bool(each) for each in values]
    if kind == "text":
        return [each if each is None or "\0" not in each else without_nul(each) for each in values]
    return list(values)


def without_nul(text: str) -> str:
    r"""Return text as PostgreSQL can keep it: a NUL character is written as ``\x00``."""
    return storable(text).replace("\0", "\\x00")


__all__ = ["MOST_BYTES", "MOST_ROWS", "BulkInsert", "Phrase", "Words", "without_nul"]
