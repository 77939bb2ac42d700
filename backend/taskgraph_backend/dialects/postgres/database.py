"""A PostgreSQL that a team writes to: how it is reached, and how many write to it at once.

Whoever records takes a lock that all who record can have at once: rows that are recorded have the
same content whoever writes them. Who decides by what is there (leases, tags, records from
elsewhere) takes the same lock alone.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taskgraph.errors import (
    DatabaseDriverError,
    DatabaseError,
    DatabaseVersionError,
    without_password,
)
from taskgraph_backend.dialects.port import Driver
from taskgraph_backend.dialects.postgres import errors
from taskgraph_backend.dialects.postgres.address import connection_string, defaults
from taskgraph_backend.dialects.postgres.words import Words
from taskgraph_backend.holders import this_process

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection, Engine

    from taskgraph_backend.dialects.postgres.driver import PostgresDriver

# What this is tested with; others may do.
OLDEST_SERVER = 15
# Locks of PostgreSQL's are two numbers: ours, and what they are for.
_LOCK = "1952541546"
_WRITING, _SCHEMA = f"{_LOCK}, 1", f"{_LOCK}, 2"

_LONGEST_PAUSE = 2.0
_SHORTEST_PAUSE = 0.02
# Seconds that a server may be away when it is first asked: as long as it takes to restart it.
_LONGEST_ABSENCE = 3.0

# Who keeps the others from writing while the server waits for it, in the middle of what it sends or
# gets, so long that it must stand still. Without rights to end it, or to see it, it is left.
_END_WHO_STANDS_STILL = (
    "SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a"
    " WHERE a.state = 'active' AND a.wait_event_type = 'Client' AND a.usename = current_user"
    " AND clock_timestamp() - a.state_change > make_interval(secs => %s)"
    " AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted"
    " AND l.locktype = 'advisory' AND l.database = a.datid AND a.datname = current_database()"
    f" AND (l.classid, l.objid) = ({_WRITING}))"
)

# Seconds; however little patience somebody has, others may be on a slow line.
_SHORTEST_STILL = 1.0

# In the same breath as the beginning. What follows the lock sees what its last holder left. A row
# that each connection has of its own says which transaction of it was the last to be committed:
# after a crash the server may give the number of one that was lost to another one.
_VERSION = "SELECT version FROM taskgraph_version ORDER BY id DESC LIMIT 1"
_MARK = (
    "INSERT INTO lease (key, holder, host, pid, started, expires)"
    " VALUES ('{key}', '{mark}', '{host}', {pid}, {started}, clock_timestamp())"
    " ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, expires = excluded.expires"
)

_AWAKE = "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8"

_CATALOG = (
    "SELECT c.relname, a.attname, t.typname, coalesce(array_position(k.conkey, a.attnum), 0)"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
    " AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'"
    " WHERE c.relkind IN ('r', 'p') AND c.relnamespace ="
    " (SELECT n.oid FROM pg_namespace n WHERE n.nspname = current_schema())"
    " ORDER BY 1, 4"
)


class PostgresDatabase:
    """A database of PostgreSQL's.

    Args:
        uri: ``postgresql://user@host/name``; see `address.connection_string`.
        busy_timeout: How many seconds to wait for others, and for a server that went away.
    """

    dialect = "postgresql"
    # One array, whatever its length; each question waits for the network.
    most_keys = 8192
    is_shared = True
    path: str | None = None
    in_memory = False
    only_lock = None
    other_place = "database, or a schema of its own in this one (?options=-csearch_path%3Dname)"

    def __init__(self, uri: str, *, busy_timeout: float) -> None:
        self.uri = uri
        self.busy_timeout = busy_timeout
        self._address = connection_string(uri)
        self._is_read_only = False
        self._was_writable = False
        self._was_reached = False
        self._words: Words | None = None
        self._learning = threading.Lock()

    def __repr__(self) -> str:
        """Return what may be shown of it."""
        return f"{type(self).__name__}({without_password(self.uri)!r})"

    @property
    def read_only(self) -> bool:
        """Whether the server said that it can only be read."""
        return self._is_read_only

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""
        return (_psycopg(self.uri).Error,)

    # Connections

    def connect(self) -> Driver:
        """Return a new connection.

        Raises:
            DatabaseDriverError: psycopg is not installed.
            DatabaseError: The server cannot be reached; the message says why, and what to do.
        """
        driver = _psycopg(self.uri)
        from taskgraph_backend.dialects.postgres.driver import PostgresDriver

        attempt = 0
        while True:
            try:
                return PostgresDriver(self._open_to_write, self.words)
            except driver.Error as error:
                attempt += 1
                pause = self._pause(attempt, self._patience(error))
                if pause is None:
                    # The chain would show the address, and with it a password.
                    raise self.translate(error) from error
            time.sleep(pause)

    def _patience(self, error: BaseException) -> float:
        if errors.is_starting(error):
            return self.busy_timeout
        if not self._was_reached and errors.is_refused_here(error):
            # A port that was mistyped, or a server that nobody has started: said at once. What
            # was reached before is waited for, and so is what may be restarted on another host.
            return 0.0
        return min(_LONGEST_ABSENCE, self.busy_timeout) if errors.is_absent(error) else 0.0

    def _open_to_write(self) -> psycopg.Connection[Any]:
        raw = self._open()
        # A host that vanished in the middle of a transaction, or stands still (a closed laptop),
        # has locks that others wait for: it loses them in a third of the time that these do. In
        # the middle of a statement the server has no time-out for it: see `_make_way`.
        raw.execute(
            f"SET idle_in_transaction_session_timeout TO {max(1, int(self._still * 1000))};"
            f" SET lock_timeout TO {max(1, int(self.busy_timeout * 500))}",
            prepare=False,
        )
        return raw

    @property
    def _still(self) -> float:
        """Seconds after which one of whom nothing comes stands still."""
        return self.busy_timeout / 3

    def _open(self) -> psycopg.Connection[Any]:
        import psycopg

        try:
            raw = psycopg.connect(self._address, autocommit=True, **self._defaults())
        except psycopg.ProgrammingError:
            # Its message quotes what it did not understand, which may be the password.
            raise DatabaseError(
                self.uri,
                "it is no URI of PostgreSQL's: postgresql://user@host:5432/name?sslmode=require. "
                "Its options are those of libpq; characters such as % are written as %25.",
            ) from None
        try:
            self._was_reached = True
            found = raw.info.server_version // 10_000
            if found < OLDEST_SERVER:
                raise DatabaseVersionError(
                    self.uri,
                    f"its server is PostgreSQL {found}, which is too old: {OLDEST_SERVER} or newer "
                    "is needed.",
                )
            raw.execute(
                "SET TimeZone TO 'UTC'; SET client_min_messages TO warning;"
                f" SET lock_timeout TO {int(self.busy_timeout * 1000)}",
                prepare=False,
            )
            states = ("in_hot_standby", "default_transaction_read_only")
            said = [raw.info.parameter_status(each) for each in states]
            self._is_read_only = "on" in said
            self._was_writable |= not self._is_read_only
        except BaseException:
            raw.close()
            raise
        return raw

    def _defaults(self) -> dict[str, Any]:
        return defaults(self._address)

    def words(self, raw: psycopg.Connection[Any]) -> Words:
        """Return the words of the database, learned from its catalog once."""
        known = self._words
        if known is None:
            with self._learning:
                known = self._words = self._words or _learn(raw)
        return known

    @cached_property
    def engine(self) -> Engine:
        """The engine of readers and migrations; a connection that was lost is made anew."""
        from sqlalchemy import ExceptionContext, create_engine, event

        def connect() -> psycopg.Connection[Any]:
            raw = self._open()
            raw.autocommit = False
            return raw

        engine = create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)

        @event.listens_for(engine, "handle_error")
        def translate(context: ExceptionContext) -> None:
            original = context.original_exception
            # Of those that are looked for when a connection is taken out, readers hear nothing.
            if isinstance(original, self.errors) and not context.is_pre_ping:
                raise self.translate(original) from original

        return engine

    def close(self) -> None:
        """Let go of the engine's connections."""
        engine = self.__dict__.pop("engine", None)
        if engine is not None:
            engine.dispose()

    # Transactions

    def begin(self, driver: Driver, *, alone: bool) -> None:
        """Begin a transaction; alone, or beside others who record."""
        ours = _ours(driver)
        if not alone:
            ours.begin(f"BEGIN; SELECT pg_advisory_xact_lock_shared({_WRITING}); {_VERSION}")
            return
        ours.mark = secrets.token_hex(8)
        host, pid, started = this_process()
        marked = _MARK.format(
            key=ours.name,
            mark=ours.mark,
            host=host.replace("'", "''"),
            pid=pid,
            started=started,
        )
        ours.begin(f"BEGIN; SELECT pg_advisory_xact_lock({_WRITING}); {marked}; {_VERSION}")

    def skipping_locked(self, table: str = "") -> str:
        """Return what a question ends with that takes rows which nobody else is about to take.

        Args:
            table: By what name it calls the table whose rows are locked; those of all by default.
        """
        return f" FOR UPDATE OF {table} SKIP LOCKED" if table else " FOR UPDATE SKIP LOCKED"

    def version_seen(self, driver: Driver) -> str:
        """Return what was asked as the transaction began."""
        return _ours(driver).version

    def trust_references(self, driver: Driver) -> None:
        """Do nothing: nobody can switch its foreign keys off."""

    def space(self, driver: Driver) -> tuple[int | None, int | None]:
        """Return the size of the database; what of it holds nothing is the server's to know."""
        (size,) = driver.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(size), None

    def table_sizes(self, driver: Driver) -> dict[str, int]:
        """Return what the server says."""
        rows = driver.execute(
            "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname = current_schema()"
        )
        return {str(name): int(size) for name, size in rows}

    def compact(self, driver: Driver) -> None:
        """Have the server use again what holds nothing; nobody is shut out for that."""
        driver.execute("VACUUM")

    def take_back(self, driver: Driver) -> None:
        """Roll back; a connection that cannot even do that is let go of, and made anew."""
        try:
            driver.execute("ROLLBACK")
        except self.errors:
            _ours(driver).drop()

    def begin_looking(self, driver: Driver) -> None:
        """Begin a transaction that sees one state, whatever others write meanwhile."""
        # Nobody waits for who only looks: it may take its time over what lies elsewhere.
        _ours(driver).begin(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
            " SET LOCAL idle_in_transaction_session_timeout TO 0"
        )

    def stream(self, driver: Driver, sql: str) -> Iterable[Any]:
        """Give the rows of a statement, some at a time from a cursor of the server's."""
        return _ours(driver).stream(sql)

    def damage(self, driver: Driver, most: int) -> Iterable[str]:
        """Give nothing: that is the server's, and for who looks after it."""
        return ()

    def dangling(self, driver: Driver) -> Iterable[tuple[str, str, int]]:
        """Give nothing: nobody can switch its foreign keys off."""
        return ()

    def pause_before_retry(self, error: DatabaseError, attempt: int) -> float | None:
        """Return a pause that doubles, as long as all of them are no longer than the time-out.

        Where writing was possible before, it will be again: the server gives way to another one.
        """
        cause = error.__cause__
        if cause is None:
            return None
        if errors.is_locked(cause):
            # Half of the time is over: the other half is for who could not make way itself.
            return 0.0 if self._make_way() or attempt == 1 else None
        is_passing = errors.is_gone(cause) or errors.is_in_the_way(cause)
        if not is_passing and not (self._was_writable and errors.is_read_only(cause)):
            return None
        return self._pause(attempt, self.busy_timeout)

    def was_away(self, error: DatabaseError) -> bool:
        """Tell whether the server was not there, or others kept all from writing for very long."""
        cause = error.__cause__
        return cause is not None and (errors.is_gone(cause) or errors.is_locked(cause))

    def awake(self, driver: Driver) -> float:
        """Return for how many seconds the server runs that is there now."""
        (seconds,) = driver.execute(_AWAKE).fetchone()
        return float(seconds)

    def _make_way(self) -> int:
        """End the connections of those who stand still and keep others from writing.

        Returns:
            How many there were; none as well if the server cannot be asked.
        """
        try:
            with closing(self._open()) as raw:
                still = max(_SHORTEST_STILL, self._still)
                row = raw.execute(_END_WHO_STANDS_STILL, (still,)).fetchone()
        except self.errors:
            return 0
        return row[0] if row else 0

    @staticmethod
    def _pause(attempt: int, most: float) -> float | None:
        pauses = [min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0**each) for each in range(attempt)]
        if sum(pauses) > most:
            return None
        # Not all at once, or they meet again.
        return pauses[-1] * random.uniform(0.5, 1.0)

    def sending(self, driver: Driver) -> AbstractContextManager[object]:
        """Send statements one after the other; what fails is told when all are sent."""
        return _ours(driver).sending()

    def version(self, driver: Driver) -> int | None:
        """Return None: it would take a question to the server."""
        return None

    def has_committed(self, driver: Driver) -> bool:
        """Ask the server what became of the last transaction that was alone.

        The server may find out later than we do that a connection is lost, and commit meanwhile:
        whoever has the lock has not ended.
        """
        ours = _ours(driver)
        if ours.in_transaction:
            self.take_back(driver)
        ours.begin(f"BEGIN; SELECT pg_advisory_xact_lock_shared({_WRITING})")
        row = ours.execute("SELECT holder FROM lease WHERE key = ?", (ours.name,)).fetchone()
        ours.execute("COMMIT")
        return row is not None and row[0] == ours.mark

    # Errors

    def translate(self, error: BaseException) -> DatabaseError:
        """Return the error that says what happened and what to do."""
        return errors.translate(self.uri, error, self.busy_timeout)

    def explain(self, driver: Driver, error: BaseException) -> DatabaseError:
        """Return the error that says what happened, and which table a row is missing in."""
        translated = self.translate(error)
        if self._was_writable and errors.is_read_only(error):
            # Whoever is asked anew may be the one that is written to.
            _ours(driver).drop()
        pair = errors.missing_tables(error) if self.names_missing(error) else None
        if pair is None:
            return translated
        return DatabaseError(self.uri, f"{translated.reason} Missing: {' to '.join(pair)}.")

    def names_missing(self, error: BaseException | None) -> bool:
        """Tell whether an error says that a row refers to one that does not exist."""
        return getattr(error, "sqlstate", None) == errors.MISSING

    def find_missing(self, driver: Driver) -> tuple[str, str] | None:
        """Do what a commit would do: look whether all is there that rows refer to."""
        try:
            driver.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except self.errors as error:
            if not self.names_missing(error):
                raise
            return errors.missing_tables(error)
        return None

    # The schema

    def count_tables(self, driver: Driver) -> tuple[int, bool]:
        """Return how many tables there are, and whether that of our versions is among them."""
        tables, ours = driver.execute(
            "SELECT count(*), count(*) FILTER (WHERE table_name = 'taskgraph_version')"
            " FROM information_schema.tables WHERE table_schema = current_schema()"
        ).fetchone()
        return tables, bool(ours)

    @contextmanager
    def changing_schema(self) -> Iterator[Connection]:
        """Give a connection whose transaction has the locks of those who change the schema."""
        # What fails inside is rolled back, tables that were made included.
        with self.engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA})")
            # Whoever writes has begun before and seen the earlier version, or begins later.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITING})")
            yield connection
        self._words = None

    def driver_of(self, connection: Connection) -> Driver:
        """Return the driver's connection below one of the engine's."""
        from taskgraph_backend.dialects.postgres.driver import PostgresDriver

        raw: Any = connection.connection.driver_connection
        return PostgresDriver.around(raw, self.words)

    def settle(self, driver: Driver) -> None:
        """Do nothing: a server needs no settings of ours."""


def _learn(raw: psycopg.Connection[Any]) -> Words:
    kinds: dict[str, dict[str, str]] = {}
    keys: dict[str, list[str]] = {}
    for table, column, kind, place in raw.execute(_CATALOG):
        kinds.setdefault(table, {})[column] = kind
        if place:
            keys.setdefault(table, []).append(column)
    return Words(kinds, {table: tuple(columns) for table, columns in keys.items()})


def _ours(driver: Driver) -> PostgresDriver:
    from taskgraph_backend.dialects.postgres.driver import PostgresDriver

    assert isinstance(driver, PostgresDriver)
    return driver


def _psycopg(uri: str) -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise DatabaseDriverError(uri, "psycopg", "postgres") from error
    return psycopg


__all__ = ["OLDEST_SERVER", "PostgresDatabase"]
