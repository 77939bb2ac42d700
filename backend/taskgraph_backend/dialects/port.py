"""What the backend asks of a database, whichever it is: all that differs is behind this.

The backend speaks one SQL, with ``?`` for parameters and times as whole microseconds, to a
`Driver`. That of SQLite is the driver itself, so that the hot path there has nothing in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from taskgraph.errors import DatabaseError

if TYPE_CHECKING:
    from _thread import RLock

    from sqlalchemy import Connection, Engine


class Rows(Protocol):
    """The answer to a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Give the rows that are left."""


class Driver(Protocol):
    """A connection in autocommit mode; transactions begin by `Database.begin` and nowhere else."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and not ended."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Execute a statement."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Rows:
        """Execute a statement for each of many rows, as if one after the other."""

    def close(self) -> None:
        """Let go of the connection."""


class Database(Protocol):
    """A place where records are, and all that one kind of database does unlike others."""

    uri: str
    dialect: str
    #: How many keys are asked for in one statement.
    most_keys: int
    #: What to name in place of one that is another program's.
    other_place: str

    @property
    def path(self) -> str | None:
        """The file that it is, if it is one."""

    @property
    def in_memory(self) -> bool:
        """Whether the database is gone when this object is."""

    @property
    def only_lock(self) -> RLock | None:
        """What guards the only connection there can be; None where there can be many."""

    @property
    def read_only(self) -> bool:
        """Whether the URI asks for reading only."""

    @property
    def is_shared(self) -> bool:
        """Whether others rely on its schema, so that it is made and upgraded only on command."""

    @property
    def engine(self) -> Engine:
        """The engine of readers and migrations."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""

    def connect(self) -> Driver:
        """Return a new connection; of a database in memory always the same one.

        Raises:
            DatabaseError: It cannot be reached; the message says why, and what to do.
        """

    def close(self) -> None:
        """Let go of the engine's connections, and of a database in memory."""

    def begin(self, driver: Driver, *, alone: bool) -> None:
        """Begin a transaction that writes.

        Args:
            driver: The connection.
            alone: Whether what it reads must still be so when it writes: nobody else writes
                meanwhile. Others may add rows that have the same content whoever writes them.
        """

    def skipping_locked(self, table: str = "") -> str:
        """Return what a question ends with that takes rows which nobody else is about to take.

        Where all who write wait for each other, that is nothing.

        Args:
            table: By what name it calls the table whose rows are locked; that of all by default.
        """

    def version_seen(self, driver: Driver) -> str:
        """Return the version of the schema as the transaction sees it that has begun to write."""

    def trust_references(self, driver: Driver) -> None:
        """Have a connection not look at each row that goes for others that refer to it.

        Who asks for this looks himself. Where it cannot be had, each row is looked at.
        """

    def space(self, driver: Driver) -> tuple[int | None, int | None]:
        """Return how many bytes it takes up, and how many of these hold nothing."""

    def table_sizes(self, driver: Driver) -> dict[str, int]:
        """Return how many bytes each table takes up with its indexes, where that is known."""

    def compact(self, driver: Driver) -> None:
        """Give back what holds nothing; outside of any transaction."""

    def take_back(self, driver: Driver) -> None:
        """End a transaction of which nothing is to be kept, whatever state its connection is in."""

    def begin_looking(self, driver: Driver) -> None:
        """Begin a transaction that sees one state, whatever others write meanwhile."""

    def stream(self, driver: Driver, sql: str) -> Iterable[Any]:
        """Give the rows of a statement within a transaction, never all of them in memory."""

    def pause_before_retry(self, error: DatabaseError, attempt: int) -> float | None:
        """Return how long to wait before what failed is done once more; None if it is not.

        Args:
            error: What `translate` made of it, raised from the driver's own error.
            attempt: How often it has failed.
        """

    def was_away(self, error: DatabaseError) -> bool:
        """Tell whether an error says that the database could not be reached, or not be written to.

        Args:
            error: What `translate` made of it, raised from the driver's own error.
        """

    def awake(self, driver: Driver) -> float:
        """Return for how many seconds it has taken questions; infinity if nobody starts it."""

    def sending(self, driver: Driver) -> AbstractContextManager[object]:
        """Send statements of which no answer is wanted without waiting for each."""

    def version(self, driver: Driver) -> int | None:
        """Return a number that is another one once other connections wrote; None if it is dear."""

    def has_committed(self, driver: Driver) -> bool:
        """Tell whether the last transaction that was alone is known to have been committed."""

    # Errors

    def translate(self, error: BaseException) -> DatabaseError:
        """Return the error that says what happened and what to do."""

    def explain(self, driver: Driver, error: BaseException) -> DatabaseError:
        """Do as `translate` with more about rows that are missing, within the transaction."""

    def names_missing(self, error: BaseException | None) -> bool:
        """Tell whether a driver's error says that a row refers to one that does not exist."""

    def find_missing(self, driver: Driver) -> tuple[str, str] | None:
        """Look in a transaction whether all is there that rows refer to.

        Returns:
            A table and the one that lacks what it refers to; None if all is there.
        """

    def damage(self, driver: Driver, most: int) -> Iterable[str]:
        """Give what the database itself finds wrong with how it keeps its rows."""

    def dangling(self, driver: Driver) -> Iterable[tuple[str, str, int]]:
        """Give each table with rows that refer to none of another one, and how many there are."""

    # The schema

    def count_tables(self, driver: Driver) -> tuple[int, bool]:
        """Return how many tables there are, and whether that of our versions is among them."""

    def changing_schema(self) -> AbstractContextManager[Connection]:
        """Give a connection with a transaction in which nobody else changes the schema."""

    def driver_of(self, connection: Connection) -> Driver:
        """Return the driver's connection below one of the engine's."""

    def settle(self, driver: Driver) -> None:
        """Do what is done once a database is known to be ours, before it is used."""


__all__ = ["Database", "Driver", "Rows"]
