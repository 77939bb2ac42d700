"""Writes and looks up what the engine asks for.

A batch is written whole or not at all. This is the hot path: SQL text and tuples on the driver's
own connection, no SQLAlchemy and no ORM.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from taskgraph.errors import DatabaseError, DatabaseReadOnlyError
from taskgraph.hashing import CallHash, EvalHash, TaskHash, ValueHash
from taskgraph.records import (
    LEASE_SECONDS,
    BelowVersion,
    CacheAnswer,
    CacheQuery,
    ExecutionId,
    LeaseRecord,
    Micros,
    PastCall,
    RecordBatch,
    RecordedCall,
    StoredResult,
    TaskAliasRecord,
    TaskVersion,
    is_call_lease,
)
from taskgraph_backend import answers, claims, handles, history, recording, statements
from taskgraph_backend.conveniences import Conveniences
from taskgraph_backend.dialects import Driver
from taskgraph_backend.moving import RecordVerbs
from taskgraph_backend.retracting.passing import pass_on

# The driver binds a bytearray without asking for adapters, which it does for bytes: half the time.
_binary = bytearray.fromhex


class SqlBackend(Conveniences, RecordVerbs):
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
    """

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


def _fill_gaps(driver: Driver) -> int:
    """Put placeholders in the place of lost rows that others refer to; returns how many."""
    from taskgraph_backend.integrity.mending import mend
    from taskgraph_backend.integrity.references import lost

    return mend(driver, list(lost(driver)))


def _discard_values(driver: Driver, value_hashes: Sequence[ValueHash]) -> None:
    for keys in statements.padded(value_hashes):
        driver.execute(statements.mark_damaged(len(keys)), [_binary(key) for key in keys])


__all__ = ["SqlBackend"]
