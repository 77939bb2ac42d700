"""Verbs of a backend for users, tools and tests: values, results, handles and tags, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from taskgraph.errors import DamagedValueError, DatabaseError
from taskgraph.hashing import CallHash, EvalHash, TaskHash, ValueHash
from taskgraph.records import (
    CacheAnswer,
    CacheQuery,
    HandleRollbackRecord,
    PackedValue,
    RecordBatch,
    StoredResult,
)
from taskgraph.tags import check_key, checked_tags
from taskgraph_backend import handles, statements
from taskgraph_backend.connected import Connected
from taskgraph_backend.dialects import NOW, Driver
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
    from taskgraph.values.handles import Handle
    from taskgraph_backend import models

_binary = bytearray.fromhex

# The tables whose rows have an id that people see, with the column that holds it.
_OWNERS = (
    ("execution", "id"),
    ("job", "id"),
    ("call_node", "call_hash"),
    ("task", "hash"),
    ("value", "value_hash"),
    ("tag", "tag_hash"),
)


class Conveniences(Connected):
    """What can be done with the records of a backend without an engine."""

    if TYPE_CHECKING:

        def record(self, batch: RecordBatch) -> None: ...  # noqa: D102

        def load_values(  # noqa: D102
            self, value_hashes: Sequence[ValueHash]
        ) -> dict[ValueHash, StoredResult]: ...

        def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]: ...  # noqa: D102

    # Values and results

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

    # Handles

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

    # Records

    def get_job(self, job_id: str) -> models.Job | None:
        """Return a job as an object of the backend's session."""
        from taskgraph_backend import models

        job: models.Job | None = self.session.get(models.Job, job_id)
        return job

    def has_records(self, record_ids: Iterable[str]) -> set[str]:
        """Return those of the ids that are recorded, as whatever they are."""
        return self._ask(_find_ids, list(dict.fromkeys(record_ids)))

    # Tags

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


__all__ = ["Conveniences"]
