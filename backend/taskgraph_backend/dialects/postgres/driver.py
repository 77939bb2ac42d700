"""A connection of psycopg as the backend speaks to one: common SQL, times as microseconds."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format, TransactionStatus
from psycopg.types.numeric import NumericBinaryLoader

from taskgraph.jsontext import normalize_json
from taskgraph_backend.dialects.postgres.words import without_nul

if TYPE_CHECKING:
    from taskgraph_backend.dialects.postgres.words import Words

# What it says of connections that were lost is said by our errors, where it matters at all; without
# a handler Python writes it to stderr.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

# PostgreSQL counts times from 2000.
_SINCE_1970 = 946_684_800_000_000
# Statements that are sent as they are.
_BARE = frozenset({"BEGIN", "COMMIT", "ROLLBACK"})
_IDLE = TransactionStatus.IDLE
# Rows in memory, each of which may have megabytes.
_AT_A_TIME = 50


class _MicrosLoader(Loader):
    """Reads a time as whole microseconds since 1970."""

    format = Format.BINARY

    def load(self, data: Buffer) -> int:
        return int.from_bytes(data, "big", signed=True) + _SINCE_1970


class _JsonTextLoader(Loader):
    """Reads JSON as its one text."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        # The first byte is the version of the format.
        return normalize_json(bytes(data)[1:].decode())


class _FloatLoader(NumericBinaryLoader):
    """Reads a sum or an average as a number like others."""

    def load(self, data: Buffer) -> float:  # type: ignore[override]
        return float(super().load(data))


@dataclass(frozen=True, slots=True)
class Changed:
    """The answer to many statements that changed rows."""

    rowcount: int

    def fetchone(self) -> None:
        """Return None: no rows were asked for."""

    def fetchall(self) -> list[Any]:
        """Return no rows."""
        return []

    def __iter__(self) -> Iterator[Any]:
        """Give no rows."""
        return iter(())


class PostgresDriver:
    """A connection in autocommit mode, which is made anew after the server has ended it.

    Args:
        connect: Makes a connection of psycopg's.
        words: Returns the words of the database as it is now, and may ask a connection for them.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        words: Callable[[psycopg.Connection[Any]], Words],
    ) -> None:
        self._connect = connect
        self._words = words
        self._raw = self._adapted(connect())
        #: What the row is called that says which transaction was committed last.
        self.name = f"last of {secrets.token_hex(8)}"
        #: What it says of the last transaction that was alone; nothing if there was none.
        self.mark = ""
        #: The version of the schema that the last transaction saw when it began.
        self.version = ""

    @classmethod
    def around(
        cls, raw: psycopg.Connection[Any], words: Callable[[psycopg.Connection[Any]], Words]
    ) -> PostgresDriver:
        """Return a driver for a connection that somebody else made, and looks after."""

        def connect() -> psycopg.Connection[Any]:
            return raw

        made = cls.__new__(cls)
        made._connect, made._words, made._raw = connect, words, raw
        made.name = made.mark = made.version = ""
        return made

    @staticmethod
    def _adapted(raw: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
        raw.adapters.register_loader("timestamptz", _MicrosLoader)
        raw.adapters.register_loader("jsonb", _JsonTextLoader)
        raw.adapters.register_loader("numeric", _FloatLoader)
        return raw

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and not ended."""
        return not self._raw.closed and self._raw.info.transaction_status != _IDLE

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The connection of psycopg's; a new one if the server has ended the last one."""
        if self._raw.closed:
            self._raw = self._adapted(self._connect())
        return self._raw

    def begin(self, sql: str) -> None:
        """Begin a transaction, with questions in the same breath.

        Args:
            sql: Statements that go as they are; what the last one answers is the version.
        """
        cursor = self.raw.execute(sql, prepare=False)
        while cursor.nextset():
            pass
        if cursor.description is not None:
            (self.version, *_) = cursor.fetchone() or ("",)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        """Execute a statement of the common SQL."""
        if sql in _BARE:
            return self._raw.execute(sql)
        # Only outside of a transaction may a lost connection be another one.
        raw = self._raw if self.in_transaction else self.raw
        phrase = self._words(raw).phrase(sql)
        given = phrase.arrange(parameters)
        try:
            return raw.execute(phrase.text, given, binary=True)
        except UnicodeEncodeError:
            return raw.execute(phrase.text, [_kept(each) for each in given], binary=True)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Changed:
        """Execute a statement for many rows; an insert of any number of them in one."""
        words = self._words(self._raw)
        insert = words.bulk(sql)
        if insert is None:
            phrase = words.phrase(sql)
            cursor = self._raw.cursor()
            cursor.executemany(phrase.text, [phrase.arrange(row) for row in rows])
            return Changed(cursor.rowcount)
        changed = 0
        for columns in insert.pieces(rows):
            try:
                done = self._raw.execute(insert.text, columns, binary=True)
            except UnicodeEncodeError:
                kept = [[_kept(each) for each in column] for column in columns]
                done = self._raw.execute(insert.text, kept, binary=True)
            changed += done.rowcount
        return Changed(changed)

    def sending(self) -> AbstractContextManager[object]:
        """Send statements without waiting for their answers, where libpq can."""
        return self._raw.pipeline() if psycopg.Pipeline.is_supported() else nullcontext()

    def stream(self, sql: str) -> Iterator[Any]:
        """Give the rows of a statement, some at a time."""
        with self._raw.cursor("taskgraph", binary=True) as cursor:
            cursor.itersize = _AT_A_TIME
            cursor.execute(self._words(self._raw).phrase(sql).text, ())
            yield from cursor

    def close(self) -> None:
        """Let go of the connection; nobody will ask what became of its transactions."""
        if self.mark and not self._raw.closed and not self.in_transaction:
            # What stays behind is only a row of one that has ended.
            with suppress(psycopg.Error):
                self.execute("DELETE FROM lease WHERE key = ?", (self.name,))
        self._raw.close()

    def drop(self) -> None:
        """Let go of the connection; the next statement makes another one."""
        self._raw.close()


def _kept(value: Any) -> Any:
    """Return text as it can be kept: it is refused before anything is sent."""
    return without_nul(value) if isinstance(value, str) else value


__all__ = ["Changed", "PostgresDriver"]
