"""SQLite: how a file is reached, and what its errors mean.

Each connection is in autocommit mode: transactions begin where code says BEGIN and nowhere else.
The hot path speaks to the driver itself, because SQLAlchemy takes 150 ms to import and doubles the
time of a lookup; readers and migrations get an engine that opens its connections here as well.
"""

from __future__ import annotations

import math
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, quote

from taskgraph.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    ForeignDatabaseError,
)
from taskgraph.urls import sqlite_file
from taskgraph_backend.dialects.filesystems import network_kind
from taskgraph_backend.dialects.port import Driver

if TYPE_CHECKING:
    from _thread import RLock

    from sqlalchemy import Connection, Engine

    from taskgraph_backend.dialects.holding import Holding

_Connection = TypeVar("_Connection", bound=sqlite3.Connection)

BUSY_TIMEOUT_SECONDS = 60.0
# Seconds between two questions for the write lock: at first, at last, and when that is halved.
_LONGEST_PAUSE, _SHORTEST_PAUSE, _ELDER_AFTER = 0.010, 0.002, 0.200
_SYNCHRONOUS = ("normal", "full")
_QUERY = frozenset({"mode", "immutable", "cache", "vfs"})

# Measured at 1,000,000 calls: with random keys the inner pages of the b-trees must stay in memory
# (SQLite's own default is 2 MB), and a page that is written again before it is checkpointed is
# copied once instead of many times (SQLite's own default is 1,000 pages). In a large file that
# takes a larger log: it may have half the pages of the file, which saves a tenth of the processor's
# time and a fifth of all time there.
_CACHE_KIB = 64 * 1024
_CHECKPOINT_PAGES = 16_000
_LOOK_AT_SIZE_EACH = 256  # transactions

#: SQL for the database's own clock, in whole microseconds since 1970.
NOW = "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"


_NOTHING = nullcontext()
_VERSION = "SELECT version FROM taskgraph_version ORDER BY id DESC LIMIT 1"
_MISSING = "SQLITE_CONSTRAINT_FOREIGNKEY"
# A file that could not be reached, or that others kept from being written.
_AWAY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL")
_FEW_PAGES = 10_000

# What SQLite calls it (the start of the name of its code), what we call it, and what to do.
_REASONS: tuple[tuple[str, type[DatabaseError], str], ...] = (
    (
        "SQLITE_READONLY",
        DatabaseReadOnlyError,
        "it cannot be written to ({message}), and is read by help of files beside it. Check the "
        "permissions of {path} and of its folder, or copy it to where you can write. To read what "
        "nobody writes to, add ?immutable=1 to the URI.",
    ),
    (
        "SQLITE_FULL",
        DatabaseFullError,
        "database or disk is full. Nothing of the last step was written; free some space in "
        "{folder} and run again to go on from there.",
    ),
    (
        "SQLITE_IOERR",
        DatabaseFullError,
        "it cannot be read or written ({message}). Nothing of the last step was written; see "
        "whether the disk fails, or a quota or a limit on the size of files (ulimit -f) is in the "
        "way of {path}, and run again to go on from there.",
    ),
    (
        "SQLITE_BUSY",
        DatabaseBusyError,
        "another process kept it locked for more than {seconds} seconds. Nothing of the last step "
        "was written; wait for that process, or end it, and run again.",
    ),
    (
        "SQLITE_NOTADB",
        ForeignDatabaseError,
        "file is not a database of taskgraph, nor any of SQLite's. It was left as it is; name "
        "another file.",
    ),
    (
        "SQLITE_CORRUPT",
        DatabaseError,
        "the file is damaged ({message}). Copy it, then try `sqlite3 {path} .recover`, or move it "
        "away: results will be computed again.",
    ),
    (
        _MISSING,
        DatabaseError,
        "a row refers to one that does not exist ({message}). Nothing of the batch was written.",
    ),
)


class _SharedConnection(sqlite3.Connection):
    """The one connection of a database, shared by the hot path and the readers.

    So it is in memory, and on a network file system, where the file is locked as a whole.

    A reader's engine commits, rolls back and closes what it was given; here that would end a
    transaction of the hot path, or the database. The hot path uses SQL text for all of these.
    """

    def commit(self) -> None:
        """Do nothing."""

    def rollback(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Let go of the database, and so of all that is in it."""
        super().close()


class _HeldFile:
    """A file on a network file system, with the one connection that this process has to it.

    Attributes:
        connection: It.
        lock: For all who use it.
        users: How many databases of this process use it.
    """

    def __init__(self, connection: _SharedConnection, holding: Holding) -> None:
        self.connection = connection
        self.holding = holding
        self.lock = threading.RLock()
        self.users = 0


_held: dict[str, _HeldFile] = {}
_holding = threading.Lock()


class SqliteDatabase:
    """An SQLite database: a file, or one in memory that lives as long as this object."""

    dialect = "sqlite"
    # More take no less time each, and each number of them is a statement to be parsed.
    most_keys = 500
    other_place = "file"
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    # It has no one else who would upgrade it.
    is_shared = False

    def __init__(
        self,
        uri: str,
        *,
        synchronous: str = "normal",
        busy_timeout: float = BUSY_TIMEOUT_SECONDS,
    ) -> None:
        if synchronous not in _SYNCHRONOUS:
            raise DatabaseError(
                uri, f"synchronous is one of {', '.join(_SYNCHRONOUS)}, not {synchronous!r}"
            )
        self.uri = uri
        self.synchronous = synchronous
        self.busy_timeout = busy_timeout
        self.path, self._query = _parse_sqlite(uri)
        self._shared: _SharedConnection | None = None
        self._opening = threading.Lock()
        self._in_memory_lock = threading.RLock()
        self._file: _HeldFile | None = None
        self._begun = 0

    @property
    def in_memory(self) -> bool:
        """Whether the database is gone when this object is."""
        return self.path is None

    @cached_property
    def _network(self) -> str | None:
        """The kind of the network file system that the file lies on."""
        if self.path is None or "immutable=1" in self._query:
            return None
        return network_kind(self.path)

    @property
    def only_lock(self) -> RLock | None:
        """What guards the only connection: of a database in memory, or on the network."""
        if self.path is None:
            return self._in_memory_lock
        return None if self._file is None else self._file.lock

    @property
    def read_only(self) -> bool:
        """Whether the URI asks for reading only."""
        return "mode=ro" in self._query or "immutable=1" in self._query

    def connect(self) -> sqlite3.Connection:
        """Return a connection in autocommit mode; for a database in memory always the same one.

        Raises:
            DatabaseError: There is no such file, or it is none of SQLite's.
        """
        if self.path is None:
            with self._opening:
                if self._shared is None:
                    self._shared = sqlite3.connect(
                        ":memory:",
                        isolation_level=None,
                        check_same_thread=False,
                        cached_statements=256,
                        factory=_SharedConnection,
                    )
                    self._shared.execute("PRAGMA foreign_keys=ON")
                return self._shared
        if self._network is not None:
            return self._connect_held(self.path, self._network)
        return self._open(self.path, sqlite3.Connection)

    def _connect_held(self, path: str, kind: str) -> sqlite3.Connection:
        """Return the one connection of this process to a file on a network file system.

        Raises:
            DatabaseHeldError: Another process has the file.
        """
        from taskgraph_backend.dialects.holding import Holding

        with _holding:
            if self._file is None:
                place = os.path.realpath(path)
                file = _held.get(place)
                if file is None:
                    holding = Holding(place, self.uri, kind)
                    try:
                        connection = self._open(path, _SharedConnection, is_alone=True)
                    except BaseException:
                        holding.release()
                        raise
                    file = _held[place] = _HeldFile(connection, holding)
                file.users += 1
                self._file = file
            return self._file.connection

    def _let_go(self) -> None:
        with _holding:
            file, self._file = self._file, None
            if file is None:
                return
            file.users -= 1
            if file.users:
                return
            for place in [each for each, known in _held.items() if known is file]:
                del _held[place]
            file.connection.end()
            file.holding.release()

    def _open(
        self, path: str, factory: type[_Connection], *, is_alone: bool = False
    ) -> _Connection:
        try:
            connection = sqlite3.connect(
                f"file:{quote(path)}{self._query}",
                uri=True,
                timeout=self.busy_timeout,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
                factory=factory,
            )
        except sqlite3.Error as error:
            raise self.translate(error) from error
        try:
            if is_alone:
                # First of all: the write-ahead log then needs no memory that others share.
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA synchronous={self.synchronous}")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        except sqlite3.Error as error:
            connection.close()
            raise self.translate(error) from error
        return connection

    @cached_property
    def engine(self) -> Engine:
        """The engine of readers and migrations; a transaction of it begins as a read."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import QueuePool, StaticPool

        if self.in_memory or self._network is not None:
            return create_engine("sqlite://", creator=self.connect, poolclass=StaticPool)
        engine = create_engine("sqlite://", creator=self.connect, poolclass=QueuePool)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            connection.exec_driver_sql(str(options.get("begin", "BEGIN")))

        return engine

    def close(self) -> None:
        """Let go of the engine's connections, and of a database in memory."""
        engine = self.__dict__.pop("engine", None)
        if engine is not None:
            engine.dispose()
        if self._shared is not None:
            self._shared.end()
            self._shared = None
        self._let_go()

    def translate(self, error: BaseException) -> DatabaseError:
        """Return the error that says what happened and what to do."""
        if isinstance(error, DatabaseError):
            return error
        # SQLAlchemy keeps the driver's own error in `orig`.
        original = getattr(error, "orig", None) or error
        message = str(original)
        # Not all errors of the driver have a code: those of its own checks have none.
        name = getattr(original, "sqlite_errorname", None) or ""
        if name.startswith("SQLITE_IOERR") and self._is_full():
            name = "SQLITE_FULL"
        if name.startswith("SQLITE_CANTOPEN"):
            return self._cannot_open()
        for start, kind, reason in _REASONS:
            if name.startswith(start):
                return kind(
                    self.uri,
                    reason.format(
                        message=message,
                        path=self.path,
                        folder=self._folder(),
                        seconds=f"{self.busy_timeout:g}",
                    ),
                )
        return DatabaseError(self.uri, message)

    # Transactions

    def begin(self, driver: Driver, *, alone: bool) -> None:
        """Begin a transaction that has the write lock from its start, which nobody can share.

        Who waits for it asks the more often the longer that takes. SQLite itself asks ever more
        seldom: among many writers those who come last have the lock first, and some wait for ever.
        """
        if self.path is None:
            driver.execute("BEGIN IMMEDIATE")
            return
        self._begun += 1
        if self._begun % _LOOK_AT_SIZE_EACH == 0:
            (pages,) = driver.execute("PRAGMA page_count").fetchone()
            most = max(_CHECKPOINT_PAGES, pages // 2)
            driver.execute(f"PRAGMA wal_autocheckpoint={most}")
        driver.execute("PRAGMA busy_timeout=0")
        try:
            began: float | None = None
            while True:
                try:
                    driver.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    moment = time.monotonic()
                    began = moment if began is None else began
                    is_busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
                    if not is_busy or moment - began >= self.busy_timeout:
                        raise
                time.sleep(_pause_after(moment - began))
        finally:
            driver.execute(f"PRAGMA busy_timeout={int(self.busy_timeout * 1000)}")

    def skipping_locked(self, table: str = "") -> str:
        """Return what a question ends with that takes rows which nobody else is about to take.

        It is nothing: whoever writes is alone.

        Args:
            table: By what name it calls the table whose rows are locked.
        """
        return ""

    def version_seen(self, driver: Driver) -> str:
        """Ask for the version: who upgrades a file shuts out those who write."""
        (version,) = driver.execute(_VERSION).fetchone()
        return str(version)

    def trust_references(self, driver: Driver) -> None:
        """Switch foreign keys off, on a connection that nobody else has."""
        if self.only_lock is None:
            driver.execute("PRAGMA foreign_keys=OFF")

    def space(self, driver: Driver) -> tuple[int | None, int | None]:
        """Return the size of all pages, and of those that are free."""
        (size,) = driver.execute("PRAGMA page_size").fetchone()
        (pages,) = driver.execute("PRAGMA page_count").fetchone()
        (free,) = driver.execute("PRAGMA freelist_count").fetchone()
        return size * pages, size * free

    def table_sizes(self, driver: Driver) -> dict[str, int]:
        """Return what the file says, where SQLite was built to tell."""
        try:
            rows = driver.execute(
                "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s"
                " JOIN sqlite_master m ON m.name = s.name WHERE s.aggregate GROUP BY 1"
            ).fetchall()
        except sqlite3.OperationalError:
            return {}
        return {str(name): int(size) for name, size in rows}

    def compact(self, driver: Driver) -> None:
        """Write the file anew without its free pages, and empty the write-ahead log."""
        driver.execute("VACUUM")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def take_back(self, driver: Driver) -> None:
        """Roll back."""
        driver.execute("ROLLBACK")

    def begin_looking(self, driver: Driver) -> None:
        """Begin a transaction that sees one state."""
        driver.execute("BEGIN")

    def stream(self, driver: Driver, sql: str) -> Iterable[Any]:
        """Give the rows of a statement as they are asked for."""
        return driver.execute(sql)

    def damage(self, driver: Driver, most: int) -> Iterable[str]:
        """Give what is wrong with the file."""
        rows = driver.execute(f"PRAGMA integrity_check({most})")
        return (text for (text,) in rows if text != "ok")

    def dangling(self, driver: Driver) -> Iterable[tuple[str, str, int]]:
        """Give the tables with rows that refer to none: who opens a file may not ask for that."""
        return driver.execute(
            'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2'
        )

    def pause_before_retry(self, error: DatabaseError, attempt: int) -> float | None:
        """Return None: SQLite has waited itself for all that passes by."""
        return None

    def was_away(self, error: DatabaseError) -> bool:
        """Tell whether others kept all from writing for very long, or the file was not there."""
        return (getattr(error.__cause__, "sqlite_errorname", None) or "").startswith(_AWAY)

    def awake(self, driver: Driver) -> float:
        """Return infinity: a file takes questions as long as it is there."""
        return math.inf

    def sending(self, driver: Driver) -> AbstractContextManager[object]:
        """Do nothing: there is no way between."""
        return _NOTHING

    def version(self, driver: Driver) -> int | None:
        """Return SQLite's own count, which takes no look at the file.

        It counts what other connections write: where all who write here share one, it says nothing.
        """
        if self.only_lock is not None:
            return None
        (count,) = driver.execute("PRAGMA data_version").fetchone()
        return int(count)

    def has_committed(self, driver: Driver) -> bool:
        """Return False: a COMMIT that fails has committed nothing."""
        return False

    def names_missing(self, error: BaseException | None) -> bool:
        """Tell whether an error says that a row refers to one that does not exist."""
        return getattr(error, "sqlite_errorname", "") == _MISSING

    def find_missing(self, driver: Driver) -> tuple[str, str] | None:
        """Do what a commit would do: look whether all is there that rows refer to."""
        found = driver.execute('SELECT "table", parent FROM pragma_foreign_key_check LIMIT 1')
        row: tuple[str, str] | None = found.fetchone()
        return row

    def explain(self, driver: Driver, error: BaseException) -> DatabaseError:
        """Return the error that says what happened, and which tables rows are missing in."""
        translated = self.translate(error)
        if not self.names_missing(error):
            return translated
        # Looking for the rows reads every table: worth it only while that is quick.
        (pages,) = driver.execute("PRAGMA page_count").fetchone()
        if pages > _FEW_PAGES:
            return translated
        rows = driver.execute('SELECT DISTINCT "table", parent FROM pragma_foreign_key_check')
        pairs = ", ".join(f"{table} to {parent}" for table, parent in rows)
        return DatabaseError(self.uri, f"{translated.reason} Missing: {pairs}.")

    # The schema

    def count_tables(self, driver: Driver) -> tuple[int, bool]:
        """Return how many tables there are, and whether that of our versions is among them."""
        tables, ours = driver.execute(
            "SELECT count(*), count(CASE WHEN name = 'taskgraph_version' THEN 1 END)"
            " FROM sqlite_master"
        ).fetchone()
        return tables, bool(ours)

    @contextmanager
    def changing_schema(self) -> Iterator[Connection]:
        """Give a connection on which a transaction has begun that shuts all others out."""
        if self._network is not None:
            with self._changing_held() as connection:
                yield connection
            return
        engine = self.engine.execution_options(begin="BEGIN EXCLUSIVE")
        # What fails inside is rolled back, tables that were made included.
        with engine.begin() as connection:
            yield connection

    @contextmanager
    def _changing_held(self) -> Iterator[Connection]:
        """Do as `changing_schema` on the one connection, where nobody else is to be shut out."""
        driver = self.connect()
        driver.execute("BEGIN EXCLUSIVE")
        try:
            with self.engine.connect() as connection:
                yield connection
            driver.execute("COMMIT")
        except BaseException:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            raise

    def driver_of(self, connection: Connection) -> Driver:
        """Return the driver's connection below one of the engine's."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver

    def settle(self, driver: Driver) -> None:
        """Turn the write-ahead log on; while another process creates the schema, that must wait.

        It changes the file, so it is done on ours only. SQLite does not wait by itself here: it
        would be waiting with a lock in its hand.
        """
        if self.path is None:
            return
        deadline = time.monotonic() + self.busy_timeout
        while True:
            try:
                (mode,) = driver.execute("PRAGMA journal_mode").fetchone()
                if mode != "wal":
                    driver.execute("PRAGMA journal_mode=WAL").fetchone()
                return
            except sqlite3.Error as error:
                if error.sqlite_errorname.startswith("SQLITE_READONLY"):
                    return  # reading is all that is wanted, or the first write will say so
                is_busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
                if not is_busy or time.monotonic() > deadline:
                    raise self.translate(error) from error
            time.sleep(0.005)

    def _folder(self) -> str:
        return os.path.dirname(self.path) if self.path else "memory"

    def _is_full(self) -> bool:
        """SQLite calls some failures of a full disk an I/O error: ask the file system."""
        try:
            return self.path is not None and os.statvfs(self._folder()).f_bavail == 0
        except OSError:
            return False

    def _cannot_open(self) -> DatabaseError:
        folder = self._folder()
        if not os.path.isdir(folder):
            what = "is no folder" if os.path.exists(folder) else "does not exist"
            return DatabaseError(self.uri, f"its folder {folder} {what}. Make it first.")
        if self.path and os.path.isdir(self.path):
            return DatabaseError(self.uri, "it is a folder. Name a file.")
        if self.path and not os.path.exists(self.path) and "mode=r" in self._query:
            return DatabaseError(self.uri, "there is no such file.")
        return DatabaseReadOnlyError(
            self.uri,
            f"it cannot be opened: {folder} must be writable, also for reading. Check its "
            "permissions, copy the file to where you can write, or add ?immutable=1 to the URI if "
            "no one else writes to it.",
        )


def _pause_after(waited: float) -> float:
    """Return how long to wait for the write lock, after so many seconds; not all at once."""
    pause = max(_SHORTEST_PAUSE, _LONGEST_PAUSE / (1.0 + waited / _ELDER_AFTER))
    return pause * random.uniform(0.5, 1.5)


def _parse_sqlite(uri: str) -> tuple[str | None, str]:
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme != "sqlite":
        raise DatabaseError(
            uri,
            "not a database URI that is known: use sqlite:///relative/path.db, "
            "sqlite:////absolute/path.db, sqlite:// for one in memory, or "
            "postgresql://user@host/name.",
        )
    location, _, query = rest.partition("?")
    if location in {"", "/", ":memory:", "/:memory:"}:
        return None, ""
    file = sqlite_file(uri)
    if file is None:
        raise DatabaseError(uri, "a path follows three slashes: sqlite:///relative/path.db")
    options = parse_qsl(query)
    for key, _value in options:
        if key not in _QUERY:
            known = ", ".join(sorted(_QUERY))
            raise DatabaseError(uri, f"unknown option {key!r}; known are {known}")
    text = "&".join(f"{key}={quote(value)}" for key, value in options)
    return os.path.abspath(file), f"?{text}" if text else ""
