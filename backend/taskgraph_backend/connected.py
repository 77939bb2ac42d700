"""A database that is open: its connection, its schema and every transaction.

A transaction is written whole or not at all, and once more if it may succeed then. What is asked
and written in one is for others to say.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from taskgraph.errors import DatabaseError, DatabaseGoneError
from taskgraph.forks import free_at_fork
from taskgraph.records import LEASE_SECONDS, MAX_LOSSES
from taskgraph.silence import Silence
from taskgraph_backend import answers, claims, schema
from taskgraph_backend.dialects import BUSY_TIMEOUT_SECONDS, Database, Driver, open_database
from taskgraph_backend.outside import value_store_of
from taskgraph_backend.schema import DBVersionInfo

if TYPE_CHECKING:
    from _thread import RLock

    from sqlalchemy import Engine

    from taskgraph.records import ExecutionId, Micros
    from taskgraph_backend.reader import Reader

_Answer = TypeVar("_Answer")

_SETTINGS = frozenset(
    {"db_uri", "automigrate", "synchronous", "busy_timeout", "max_value_size"}
    | {"value_store", "value_store_min_size", "value_store_compression", "max_losses"}
    # What stored values may be is asked where they are read.
    | {"trust", "trust_classes"}
)
MAX_VALUE_SIZE = 1_000_000_000


class Section(Protocol):
    """A section of settings: any dataclass with the fields that are known here."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


_Place = tuple[str, int, int]  # a file: its path, device and number


def _file_at(path: str) -> _Place | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return path, stat.st_dev, stat.st_ino


class Connected:
    """A connection to a database, which is used by one thread at a time.

    Args:
        db_uri: Where it is.
        config: Settings by name, or a dataclass of them; both as `SqlBackend` says.

    Attributes:
        value_store: Where the bytes of large values are, if anywhere.
        silence: Whether others may be taken for dead that are not heard of.
    """

    def __init__(
        self, db_uri: str | None = None, config: Mapping[str, Any] | Section | None = None
    ) -> None:
        settings = _settings(config)
        unknown = sorted(settings.keys() - _SETTINGS)
        uri = db_uri or settings.get("db_uri") or "sqlite:///:memory:"
        if unknown:
            raise DatabaseError(uri, f"unknown setting {unknown[0]!r}")
        self.database: Database = open_database(
            uri,
            synchronous=settings.get("synchronous", "normal"),
            busy_timeout=settings.get("busy_timeout", BUSY_TIMEOUT_SECONDS),
        )
        self.max_value_size: int = settings.get("max_value_size", MAX_VALUE_SIZE)
        self.max_losses: int = settings.get("max_losses", MAX_LOSSES)
        self.silence = Silence(LEASE_SECONDS)
        self.value_store = value_store_of(self.database, settings)
        self._where = answers.Where(self.value_store, self.database.most_keys)
        self._automigrate: bool | None = settings.get("automigrate")
        self._driver: Driver | None = None
        self._closed = False
        self._owns_database = True
        self._session: Reader | None = None
        # Heartbeats come from a thread of their own; a transaction is the work of one thread.
        self._lock = _lock_of(self.database)
        self._file: _Place | None = None
        self._deciding = threading.RLock()
        # The version of the schema that this library was found to work with.
        self._known_version = ""

    @property
    def db_uri(self) -> str:
        """Where the database is."""
        return self.database.uri

    @property
    def is_gone(self) -> bool:
        """Whether the file that was opened is not there any more, or is another one."""
        return self._file is not None and _file_at(self._file[0]) != self._file

    if TYPE_CHECKING:

        def sweep(self) -> list[ExecutionId]: ...  # noqa: D102

    # Opening and closing

    def load(self, migrate: bool | None = None) -> None:
        """Open the database; create or upgrade its schema, and mark what crashed meanwhile.

        Args:
            migrate: Whether the schema may be created or upgraded; the setting by default.

        Raises:
            DatabaseError: It cannot be opened, is another program's, or has the wrong schema.
        """
        with self._lock:
            if self._driver is None:
                self._open(self._automigrate if migrate is None else migrate)

    def _open(self, may_migrate: bool | None) -> None:
        driver = self.database.connect()
        if self.database.only_lock is not None:
            self._lock = _lock_of(self.database)
        try:
            self._patiently(schema.prepare, self.database, driver, may_migrate)
        except BaseException:
            driver.close()
            # Migrations have connections of their own, which nobody else would close.
            if self._owns_database:
                self.database.close()
            raise
        self._driver = driver
        self._closed = False
        path = self.database.path
        self._file = None if path is None else _file_at(os.path.abspath(path))
        try:
            self.sweep()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of files and connections. A second call does nothing."""
        with self._lock:
            self._closed = True
            if self._session is not None:
                self._session.close()
                self._session = None
            driver, self._driver = self._driver, None
            # The last connection of a file copies the log into it and removes it.
            if driver is not None:
                driver.close()
            if self._owns_database:
                self.database.close()

    def __enter__(self) -> Self:
        """Load the database."""
        self.load()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self.close()

    def clone(self, session: Reader | None = None) -> Self:
        """Return another backend on the same database, with a connection of its own.

        Args:
            session: What it shall read with.

        Raises:
            DatabaseError: There is nothing to clone before the database is loaded.
        """
        if self._driver is None:
            raise DatabaseError(self.db_uri, "it can only be cloned after it was loaded: call load")
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._driver = self.database.connect()
        other._owns_database = False
        other._session = session
        # Where there is one connection both share it, and so the lock as well.
        other._lock = _lock_of(self.database)
        other._deciding = threading.RLock()
        return other

    def create_engine(self) -> Engine:
        """Return the SQLAlchemy engine of the database, for reading."""
        return self.database.engine

    @property
    def session(self) -> Reader:
        """A session for reading; see also `reader`."""
        if self._session is None:
            self._session = self.reader()
        return self._session

    def reader(self) -> Reader:
        """Return a new session for reading; close it, or use it in a ``with``."""
        from taskgraph_backend.reader import Reader

        self._connection()
        return Reader(self)

    def migrate(self, desired_version: Any = None, upgrade_only: bool = False) -> None:
        """Bring the schema to a version, the newest by default; also to an older one.

        Args:
            desired_version: Text such as "1.0", or a `DBVersionInfo`.
            upgrade_only: Leave a newer schema alone.

        Raises:
            DatabaseVersionError: There is no such version.
        """
        if desired_version is None:
            desired_version = schema.CURRENT
        elif isinstance(desired_version, str):
            desired_version = schema.parse_db_version(desired_version)
        self._patiently(schema.migrate_to, self.database, desired_version, upgrade_only)

    def find_losses(self, desired_version: str) -> list[schema.Loss]:
        """Return what `migrate` to an older version would lose; nothing changes.

        Args:
            desired_version: Text such as "1.0".

        Raises:
            DatabaseVersionError: There is no such version.
        """
        desired = schema.parse_db_version(desired_version)
        driver = self.database.connect()
        try:
            return schema.find_losses(self.database, driver, desired)
        finally:
            driver.close()

    def is_older(self, version: str) -> bool:
        """Tell whether a version such as "1.0" is older than that of the database."""
        here = self.get_db_version()
        return here is not None and schema.parse_db_version(version) < here

    def get_db_version(self) -> DBVersionInfo | None:
        """Return the schema version of the database; None if it is empty."""
        if self._driver is not None:
            with self._lock:
                return schema.read_version(self.database, self._driver)
        driver = self.database.connect()
        try:
            return schema.read_version(self.database, driver)
        finally:
            driver.close()

    def get_all_db_versions(self) -> list[DBVersionInfo]:
        """Return all schema versions there are, oldest first."""
        return schema.all_versions()

    def get_db_version_required(self) -> tuple[DBVersionInfo, DBVersionInfo]:
        """Return the oldest and the newest schema version that this library works with."""
        return schema.required_versions()

    def is_db_compatible(self) -> bool:
        """Tell whether this library works with the schema of the database as it is."""
        return schema.is_compatible(self.get_db_version())

    # What others see

    def clock(self) -> Micros:
        """Return the time by which leases expire: the database's own. Callable by any thread."""
        return self._ask(claims.clock)

    def version(self) -> int | None:
        """Return a number that is another one once others wrote anything; cheap, for any thread.

        None where it takes a question to know.
        """
        return self._ask(self.database.version)

    # Transactions

    def _connection(self) -> Driver:
        if self._driver is None:
            if self._closed:
                raise DatabaseError(self.db_uri, "it is closed; call load to open it again")
            if not self.database.in_memory:
                raise DatabaseError(self.db_uri, "it is not open yet; call load first")
            self.load()
            assert self._driver is not None
        return self._driver

    def _patiently(self, work: Callable[..., _Answer], *given: Any) -> _Answer:
        """Do what opens transactions of its own, and all of it once more if it may succeed then."""
        attempt = 0
        while True:
            try:
                return work(*given)
            except DatabaseError as error:
                attempt += 1
                self._wait_or_raise(error, attempt)

    def _ask(self, question: Callable[..., _Answer], *given: Any) -> _Answer:
        """Ask a few statements of the connection; each sees what is committed when it starts.

        Args:
            question: Called with the connection; once more if it may succeed then.
            given: What else it is called with.
        """
        attempt = 0
        while True:
            with self._lock:
                try:
                    return question(self._connection(), *given)
                except self.database.errors as error:
                    reason = self.database.translate(error)
                    reason.__cause__ = error
            attempt += 1
            self._wait_or_raise(reason, attempt)

    def _transact(self, work: Callable[..., _Answer], *given: Any, alone: bool = True) -> _Answer:
        """Do work in a transaction, and all of it once more if it may succeed then.

        Args:
            work: Called with the connection. Done twice, it must leave what it leaves done once.
            given: What else it is called with.
            alone: Whether nobody else may write between what it reads and what it writes.
        """
        if not alone:
            return self._try(work, *given, alone=False)
        # Until it is known what became of one, no other of this connection begins.
        with self._deciding:
            return self._try(work, *given, alone=True)

    def _try(self, work: Callable[..., _Answer], *given: Any, alone: bool) -> _Answer:
        attempt = 0
        while True:
            is_done = False
            try:
                with self._writing(alone=alone) as driver:
                    answer = work(driver, *given)
                    is_done = True
                return answer
            except DatabaseError as error:
                attempt += 1
                self._wait_or_raise(error, attempt)
            # The connection may have been lost after all was done, with the answer to that.
            if is_done and alone and self._ask(self.database.has_committed):
                return answer

    def _wait_or_raise(self, error: DatabaseError, attempt: int) -> None:
        if self.database.was_away(error):
            self.silence.missed()
        again = not error.was_waited_for
        pause = self.database.pause_before_retry(error, attempt) if again else None
        if pause is None:
            error.was_waited_for = True
            raise error
        # Not with the lock: others may find out as well.
        sleep(pause)

    @contextmanager
    def _writing(self, *, alone: bool = True) -> Iterator[Driver]:
        """Give the connection with a transaction; see `Database.begin`.

        Whatever goes wrong, Ctrl-C included, nothing of it is kept: a job whose rows were in it
        is not recorded, and its result can be recorded again or computed again.
        """
        with self._lock:
            driver = self._connection()
            try:
                if driver.in_transaction:  # a Ctrl-C came before what was begun was taken back
                    self.database.take_back(driver)
                self.database.begin(driver, alone=alone)
                self._look_at_version(driver)
                if self.silence.is_missed:
                    self.silence.heard()
                yield driver
                if self.is_gone:
                    assert self._file is not None
                    raise DatabaseGoneError(self.db_uri, self._file[0])
                driver.execute("COMMIT")
            except BaseException as error:
                is_ours = isinstance(error, self.database.errors)
                reason = self.database.explain(driver, error) if is_ours else None
                if driver.in_transaction:
                    self.database.take_back(driver)
                if reason is not None:
                    raise reason from error
                raise

    def _look_at_version(self, driver: Driver) -> None:
        """Refuse to write where others have changed the schema since it was opened."""
        seen = self.database.version_seen(driver)
        if seen != self._known_version:
            schema.refuse_changed(self.database, seen)
            self._known_version = seen


def _lock_of(database: Database) -> RLock:
    """Return what guards a connection; nobody else holds it where a process is forked."""
    lock = database.only_lock or threading.RLock()
    free_at_fork(lock)
    return lock


def _settings(config: Mapping[str, Any] | Section | None) -> dict[str, Any]:
    if config is None or isinstance(config, Mapping):
        return dict(config or {})
    return {each.name: getattr(config, each.name) for each in fields(config)}


__all__ = ["MAX_VALUE_SIZE", "Connected", "Section"]
