"""Writes and looks up what the engine asks for; owns the connection and every transaction.

A batch is written whole or not at all. This is the hot path: SQL text and tuples on the driver's
own connection, no SQLAlchemy and no ORM.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from taskgraph.errors import (
    DamagedValueError,
    DatabaseError,
    DatabaseGoneError,
    DatabaseReadOnlyError,
)
from taskgraph.forks import free_at_fork
from taskgraph.hashing import CallHash, EvalHash, TaskHash, ValueHash
from taskgraph.records import (
    LEASE_SECONDS,
    MAX_LOSSES,
    BelowVersion,
    CacheAnswer,
    CacheQuery,
    ExecutionId,
    HandleRollbackRecord,
    LeaseRecord,
    Micros,
    PackedValue,
    PastCall,
    RecordBatch,
    RecordedCall,
    StoredResult,
    TaskAliasRecord,
    TaskVersion,
    is_call_lease,
)
from taskgraph.silence import Silence
from taskgraph.tags import check_key, checked_tags
from taskgraph_backend import (
    answers,
    claims,
    handles,
    history,
    recording,
    schema,
    statements,
)
from taskgraph_backend.dialects import BUSY_TIMEOUT_SECONDS, NOW, Database, Driver, open_database
from taskgraph_backend.moving import RecordVerbs
from taskgraph_backend.outside import value_store_of
from taskgraph_backend.retracting.passing import pass_on
from taskgraph_backend.schema import DBVersionInfo
from taskgraph_backend.seals import seal_evaluation
from taskgraph_backend.tags import (
    TagRow,
    current_tags,
    delete_tags,
    record_tags,
    replace_tags,
    update_tags,
)

if TYPE_CHECKING:
    from _thread import RLock

    from sqlalchemy import Engine

    from taskgraph.values.handles import Handle
    from taskgraph_backend import models
    from taskgraph_backend.reader import Reader

# The driver binds a bytearray without asking for adapters, which it does for bytes: half the time.
_binary = bytearray.fromhex

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


class SqlBackend(RecordVerbs):
    """The backend port on a database, with conveniences for users, tools and tests.

    A database in memory is ready at once; one in a file after `load`.

    Args:
        db_uri: ``sqlite:///relative``, ``sqlite:////absolute`` or ``postgresql://user@host/name``;
            without one it is in memory.
        config: Settings by name, or a dataclass of them: ``db_uri``, ``automigrate``,
            ``synchronous`` ("normal", "full"), ``busy_timeout`` (seconds), ``max_value_size``
            (bytes, for `record_value`), ``value_store`` (a folder or URL; "" for the one beside a
            SQLite file, "none" for none), ``value_store_min_size`` (bytes),
            ``value_store_compression`` ("none", "zstd"), ``max_losses`` (after how many workers
            that were lost with an execution it is CRASHED).

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

    def __enter__(self) -> SqlBackend:
        """Load the database."""
        self.load()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self.close()

    def clone(self, session: Reader | None = None) -> SqlBackend:
        """Return another backend on the same database, with a connection of its own.

        Args:
            session: What it shall read with.

        Raises:
            DatabaseError: There is nothing to clone before the database is loaded.
        """
        if self._driver is None:
            raise DatabaseError(self.db_uri, "it can only be cloned after it was loaded: call load")
        other = SqlBackend.__new__(SqlBackend)
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

    # The port: looking up

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        """Answer all questions at once, in their order."""
        return self._ask(answers.check_cache, queries, self._where) if queries else []

    def load_values(self, value_hashes: Sequence[ValueHash]) -> dict[ValueHash, StoredResult]:
        """Return the stored values that exist under these hashes."""
        return self._ask(answers.find_values, list(dict.fromkeys(value_hashes)), self._where)

    def find_recorded(self, values: Sequence[ValueHash], calls: Sequence[CallHash]) -> set[str]:
        """Return those of some values and calls which a batch that has them would leave alone."""
        return self._ask(answers.find_recorded, values, calls)

    def find_retracted(self, calls: Sequence[CallHash]) -> set[CallHash]:
        """Return those of some calls whose results are not to be used."""
        return self._ask(answers.find_retracted, calls)

    def count_retractions(self) -> int:
        """Return a number that is another one once something was retracted, or that taken back."""
        return self._ask(answers.count_retractions)

    def pass_retractions_on(self, execution_id: ExecutionId) -> None:
        """Have an execution be retracted as its root call is."""
        self._transact(pass_on, execution_id)

    def find_valid_handles(self, hashes: Sequence[str]) -> set[str]:
        """Return those of the states of handles that are recorded and still valid."""
        return self._ask(handles.find_valid, hashes)

    def find_handles_below(self, hashes: Sequence[str]) -> set[str]:
        """Return all states that came from some states of handles, valid or not."""
        return self._ask(handles.find_below, hashes)

    def find_handles_above(self, hashes: Sequence[str]) -> set[str]:
        """Return all states that some came from, back to the nearest branches that users named."""
        return self._ask(handles.find_above, hashes)

    # The port: the past

    def load_aliases(self) -> list[TaskAliasRecord]:
        """Return all aliases of tasks, those that ended too, oldest first."""
        return self._ask(history.find_aliases)

    def find_versions(self, wanted: Sequence[str]) -> dict[str, list[TaskVersion]]:
        """Return the recorded versions of tasks, last run first.

        Args:
            wanted: Full names; where there is none, first digits of hashes.
        """
        return self._ask(history.find_versions, wanted)

    def find_past(self, eval_hashes: Sequence[EvalHash]) -> dict[EvalHash, PastCall]:
        """Return the newest whole call of each cache key that has one."""
        return self._ask(history.find_past, eval_hashes)

    def find_below(self, task_hash: TaskHash, count: int) -> list[tuple[BelowVersion, ...]]:
        """Return what calls of a version made at any depth, of those that made any, newest first.

        Of the calls with one cache key only the newest counts.
        """
        return self._ask(history.find_below, task_hash, count)

    def sample_calls(self, task_hash: TaskHash, count: int) -> list[RecordedCall]:
        """Return calls of a version that may be made again: the same ones each time."""
        return self._ask(history.sample_calls, task_hash, count, self.value_store)

    # The port: recording

    def record(self, batch: RecordBatch) -> None:
        """Write all rows of a batch in one transaction: all of them are kept, or none.

        Raises:
            DatabaseError: Nothing of the batch was written; the message says why.
        """
        # Rows are made before the transaction begins: no one waits for that.
        steps = [step for step in recording.steps_of(batch) if step[1]]
        if batch.handles:
            steps += handles.steps(batch.handles)
        if not steps:
            return
        try:
            self._transact(recording.write, self.database, batch, steps, alone=False)
        except DatabaseError as error:
            # A row that was lost to damage may be what one of these refers to: the run goes on.
            if not self.database.names_missing(error.__cause__) or not self._transact(_fill_gaps):
                raise
            self._transact(recording.write, self.database, batch, steps, alone=False)

    def discard_values(self, value_hashes: Sequence[ValueHash]) -> None:
        """Mark stored values as damaged: they are found no more, and replaced when made again."""
        self._transact(_discard_values, value_hashes, alone=False)

    def close_jobs(self, execution_id: ExecutionId, end: Micros) -> int:
        """Mark the jobs of an execution CANCELLED that still are RUNNING; returns how many."""
        return self._transact(claims.close_jobs, execution_id, end, alone=False)

    # The port: leases

    def take(self, leases: Sequence[LeaseRecord]) -> list[LeaseRecord | None]:
        """Take each lease that is free, expired, or whose holder on this host is gone.

        That of all calls is in the way of that of a call, and the other way round, unless one
        holder has both. Who is refused a call because somebody leads all of them has thereby asked
        for an end of that.

        Returns:
            For each lease, None if it was taken, else the lease that is in the way.
        """
        if not leases:
            return []
        # Of calls each key speaks for itself: those who record need not wait for that.
        alone = not all(is_call_lease(each.key) for each in leases)
        return self._transact(claims.take, leases, alone=alone)

    def find_leases(self, keys: Sequence[str]) -> dict[str, LeaseRecord]:
        """Return those of the leases that living processes hold. Callable by any thread."""
        return self._ask(claims.living, keys) if keys else {}

    def clock(self) -> Micros:
        """Return the time by which leases expire: the database's own. Callable by any thread."""
        return self._ask(claims.clock)

    def version(self) -> int | None:
        """Return a number that is another one once others wrote anything; cheap, for any thread.

        None where it takes a question to know.
        """
        return self._ask(self.database.version)

    def heartbeat(self, holder: str, expires: Micros) -> int:
        """Prolong all leases of a holder; returns how many it still has. Callable by any thread."""
        return self._transact(claims.heartbeat, holder, expires, alone=False)

    def release(self, holder: str, keys: Sequence[str]) -> None:
        """Give leases back; those that the holder does not have are left alone."""
        if keys:
            self._transact(claims.release, holder, keys, alone=False)

    # What crashed

    def sweep(self) -> list[ExecutionId]:
        """Mark the executions that run no more although they never ended; return their ids.

        What else dead processes left in the table of leases goes as well. Where the database was
        away, those that are not heard of have the time to say that they live: see `Silence`.
        """
        executions = self._ask(claims.running)
        crashed = self.mark_crashed(executions) if executions else []
        dead = [] if self.database.read_only else self._ask(claims.dead, self.may_judge)
        if dead:
            crashed += self._mark_begun(dead)
            # Who may only read leaves it to others.
            with suppress(DatabaseReadOnlyError):
                self._transact(claims.forget, dead, alone=False)
        return crashed

    def _mark_begun(self, leases: Sequence[LeaseRecord]) -> list[ExecutionId]:
        """Mark what was about to run under leases of dead processes, and never did."""
        from taskgraph_backend.catalog.sweeping import begun

        found = self._ask(begun, leases)
        return self.mark_crashed(found) if found else []

    def mark_crashed(self, executions: Sequence[ExecutionId]) -> list[ExecutionId]:
        """Mark those of the executions that are RUNNING while no living process holds their lease.

        They and their running jobs become CRASHED, unless a worker had taken them: those go back to
        their queues. A database that can only be read stays as it is.

        Returns:
            The ids of those that were found so, but for what went back.
        """
        crashed = self._ask(claims.unheld, executions, self.may_judge)
        if not crashed or self.database.read_only:
            return crashed
        try:
            # Asked again: a process may have taken one of them up in between.
            given = crashed, self.max_losses, self.may_judge
            return self._transact(claims.mark_crashed, *given)
        except DatabaseReadOnlyError:
            return crashed  # who may only read is told, and leaves it to others to write it down

    def may_judge(self, driver: Driver) -> bool:
        """Tell whether who is not heard of may be taken for dead.

        Not before all who live have had the time to say so: after this process could not reach the
        database, and after that has begun to take questions.

        Args:
            driver: The connection, on which it is asked.
        """
        self.silence.heard()
        return self.silence.tells and self.database.awake(driver) >= LEASE_SECONDS

    # Conveniences

    def record_value(self, value: Any, data: bytes | None = None) -> ValueHash:
        """Record a value with all that is recorded inside it; return its hash.

        Args:
            value: The value.
            data: The bytes to store, if they are known.

        Raises:
            DatabaseError: It is larger than ``max_value_size``.
        """
        from taskgraph.values.pack import pack, put_outside

        packed: PackedValue = pack(value)
        if data is not None:
            from taskgraph.hashing import digest_bytes

            first = packed.values[0]._replace(
                value=data, size=len(data), content_digest=digest_bytes(data)
            )
            packed = packed._replace(values=(first, *packed.values[1:]))
        for record in packed.values:
            if record.size > self.max_value_size:
                raise DatabaseError(
                    self.db_uri,
                    f"a value of type {record.type} is too large: {record.size} bytes, and"
                    f" max_value_size is {self.max_value_size}. Write it to a File instead.",
                )
        packed = put_outside(packed, self.value_store)
        self.record(
            RecordBatch(
                values=list(packed.values),
                subvalues=list(packed.subvalues),
                files=list(packed.files),
            )
        )
        return packed.values[0].value_hash

    def get_value(self, value_hash: ValueHash) -> tuple[Any, bool]:
        """Return a stored value and True; None and False if there is none that can be loaded."""
        stored = self.load_values([value_hash]).get(value_hash)
        return (None, False) if stored is None else _decode(stored)

    def get_eval_cache(self, eval_hash: EvalHash) -> tuple[Any, bool]:
        """Return what a single reduction gave and True; None and False if that is not known."""
        (answer,) = self.check_cache([CacheQuery(eval_hash)])
        return (None, False) if answer.evaluation is None else _decode(answer.evaluation.result)

    def get_call_cache(self, call_hash: CallHash) -> tuple[Any, bool]:
        """Return the result of a call and True; None and False if it is not known."""
        found = self._ask(_find_result, call_hash)
        return (None, False) if found is None else self.get_value(found)

    def set_eval_cache(
        self,
        eval_hash: EvalHash,
        task_hash: TaskHash,
        args_hash: str,
        value: Any,
        value_hash: ValueHash | None = None,
    ) -> None:
        """Record what a single reduction gave; the task must be recorded already.

        Args:
            eval_hash: The cache key.
            task_hash: That of the task.
            args_hash: That of the arguments.
            value: What it gave.
            value_hash: That of the value, if the value is recorded already.
        """
        if value_hash is None:
            value_hash = self.record_value(value)
        self._transact(_set_evaluation, (eval_hash, task_hash, args_hash, value_hash), alone=False)

    def advance_handle(self, parents: Sequence[Handle], child: Handle) -> None:
        """Record that a state of a handle was reached from others."""
        self.record(handles.advanced(parents, child))

    def rollback_handle(self, handle: Handle) -> None:
        """Record that a handle is taken on anew: all that came from it is not valid any more."""
        self.record(RecordBatch(handles=[HandleRollbackRecord(handle.__handle__.hash)]))

    def is_valid_handle(self, handle: Handle) -> bool:
        """Tell whether the service of a handle is still in its state.

        A state that nothing is known of is valid if no call has changed the service before it.
        """
        return self._ask(handles.is_valid, handle)

    def get_job(self, job_id: str) -> models.Job | None:
        """Return a job as an object of the backend's session."""
        from taskgraph_backend import models

        job: models.Job | None = self.session.get(models.Job, job_id)
        return job

    def has_records(self, record_ids: Iterable[str]) -> set[str]:
        """Return those of the ids that are recorded, as whatever they are."""
        return self._ask(_find_ids, list(dict.fromkeys(record_ids)))

    def record_tags(
        self,
        entity_type: str,
        entity_id: str,
        tags: Iterable[tuple[str, Any]],
        parents: Iterable[str] = (),
        update: bool = False,
        new: bool = False,
    ) -> list[TagRow]:
        """Tag a record; what these tags supersede stays, and is no longer current.

        Args:
            entity_type: What the record is, as in `models.TagEntity`.
            entity_id: Its id.
            tags: Pairs of a key and a JSON value.
            parents: Hashes of tags that each of these supersedes.
            update: Supersede the current tags of the same keys as well.
            new: Add also what was there once and is superseded.

        Returns:
            For each tag its hash, the record's id, its key and its value.

        Raises:
            TagKeyError: A key is none, or one of taskgraph's own.
            UnknownRecordError: There is no such record, or no tag of a hash in ``parents``.
            ValueError: A value is not JSON, or nothing of this type has tags.
        """
        wanted, above = checked_tags(tags), list(parents)
        return self._transact(record_tags, entity_type, entity_id, wanted, above, update, new)

    def update_tags(
        self,
        entity_type: str,
        entity_id: str,
        old_keys: Iterable[str],
        new_tags: Iterable[tuple[str, Any]],
    ) -> list[TagRow]:
        """Put tags in the place of all current ones of some keys.

        Raises:
            UnknownTagError: The record has no tag of one of the keys.
            TagKeyError: A key is none, or one of taskgraph's own.
            UnknownRecordError: There is no such record.
            ValueError: A value is not JSON, or nothing of this type has tags.
        """
        wanted, keys = checked_tags(new_tags), [check_key(key) for key in old_keys]
        return self._transact(update_tags, entity_type, entity_id, keys, wanted)

    def replace_tags(
        self, entity_type: str, entity_id: str, tags: Iterable[tuple[str, Any]]
    ) -> list[TagRow]:
        """Put tags in the place of all current ones of the same key, for each of their keys.

        Raises:
            UnknownTagError: The record has no tag of one of the keys.
            TagKeyError: A key is none, or one of taskgraph's own.
            UnknownRecordError: There is no such record.
            ValueError: A value is not JSON, or nothing of this type has tags.
        """
        wanted = checked_tags(tags)
        return self._transact(replace_tags, entity_type, entity_id, wanted)

    def delete_tags(
        self, entity_id: str, tags: Iterable[tuple[str, Any]], keys: Iterable[str] = ()
    ) -> list[TagRow]:
        """Have tags of a record not be current any more; a marker says that they were deleted.

        Args:
            entity_id: The record.
            tags: Pairs of a key and a value.
            keys: Keys whose values all go.

        Returns:
            For each tag that was deleted its hash, the record's id, its key and its value.

        Raises:
            UnknownTagError: The record has no such tag.
            TagKeyError: A key is none, or one of taskgraph's own.
        """
        wanted, gone = checked_tags(tags), [check_key(key) for key in keys]
        return self._transact(delete_tags, entity_id, wanted, gone)

    def get_tags(self, entity_ids: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
        """Return for each record its current tags: each key with all of its values."""
        return self._ask(current_tags, entity_ids)

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


# The tables whose rows have an id that people see, with the column that holds it.
_OWNERS = (
    ("execution", "id"),
    ("job", "id"),
    ("call_node", "call_hash"),
    ("task", "hash"),
    ("value", "value_hash"),
    ("tag", "tag_hash"),
)


def _fill_gaps(driver: Driver) -> int:
    """Put placeholders in the place of lost rows that others refer to; returns how many."""
    from taskgraph_backend.integrity.mending import mend
    from taskgraph_backend.integrity.references import lost

    return mend(driver, list(lost(driver)))


def _discard_values(driver: Driver, value_hashes: Sequence[ValueHash]) -> None:
    for keys in statements.padded(value_hashes):
        driver.execute(statements.mark_damaged(len(keys)), [_binary(key) for key in keys])


def _set_evaluation(driver: Driver, keys: Sequence[str]) -> None:
    (now,) = driver.execute(f"SELECT {NOW}").fetchone()
    eval_hash, task_hash, args_hash, value_hash = hashes = [*map(bytes.fromhex, keys)]
    seal = seal_evaluation(eval_hash, task_hash, args_hash, value_hash, now)
    driver.execute(statements.EVALUATION, (*hashes, now, seal, None))


def _find_result(driver: Driver, call_hash: CallHash) -> ValueHash | None:
    row = driver.execute(
        "SELECT value_hash FROM call_node WHERE call_hash = ?", (_binary(call_hash),)
    ).fetchone()
    return None if row is None else ValueHash(row[0].hex())


def _find_ids(driver: Driver, record_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for keys in statements.padded(record_ids):
        marks = ", ".join("?" * len(keys))
        binary = [_binary(key) for key in keys]
        for table, column in _OWNERS:
            rows = driver.execute(
                f"SELECT {column} FROM {table} WHERE {column} IN ({marks})", binary
            )
            found.update(key.hex() for (key,) in rows)
    return found


def _decode(stored: StoredResult) -> tuple[Any, bool]:
    from taskgraph.values.codec import decode

    try:
        return decode(*stored), True
    except DamagedValueError:
        return None, False


__all__ = ["SqlBackend"]
