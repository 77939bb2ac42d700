"""What is recorded of cache keys and values, looked up in bulk.

Rows whose seal is broken answer nothing; see `seals`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from taskgraph.hashing import CallHash, ContentDigest, EvalHash, TaskHash, ValueHash
from taskgraph.records import (
    CacheAnswer,
    CacheQuery,
    CallFound,
    EvaluationFound,
    Micros,
    RetractedFound,
    StoredResult,
)
from taskgraph.tags import retraction_words
from taskgraph.values.stored import EVICTED
from taskgraph.values.valuestore import ValueStore, locate
from taskgraph_backend import foreign, statements
from taskgraph_backend.dialects import Driver
from taskgraph_backend.seals import is_value_whole, seal_call, seal_evaluation

_binary = bytearray.fromhex

# Whole calls of one cache key that are looked at, newest first: each is one version of the code
# below the call, and going far back costs more than running again.
_MOST_CALLS = 16


class Where(NamedTuple):
    """What else it takes to look something up.

    Attributes:
        store: Where the bytes of large values are, if anywhere.
        most_keys: How many keys may be asked for in one statement.
    """

    store: ValueStore | None
    most_keys: int


def check_cache(driver: Driver, queries: Sequence[CacheQuery], where: Where) -> list[CacheAnswer]:
    """Answer all questions at once, in their order; see `SqlBackend.check_cache`."""
    keys = list(dict.fromkeys([query[0] for query in queries]))
    refused: set[bytes] = set()
    evaluations = _find_evaluations(driver, keys, where, refused)
    shallow = list(dict.fromkeys([query[0] for query in queries if query[1]]))
    calls = _find_calls(driver, shallow, where, refused) if shallow else {}
    absent = [key for key in keys if key not in evaluations]
    offered = foreign.offered(driver, absent) if absent else {}
    if refused:
        retracted = _find_retracted(driver, refused)
        return [
            CacheAnswer(
                evaluations.get(key),
                calls.get(key, ()) if shallow_ else (),
                offered.get(key),
                retracted.get(key),
            )
            for key, shallow_ in queries
        ]
    return [
        CacheAnswer(evaluations.get(key), calls.get(key, ()) if shallow_ else (), offered.get(key))
        for key, shallow_ in queries
    ]


def _find_retracted(driver: Driver, keys: Collection[bytes]) -> dict[EvalHash, RetractedFound]:
    """Return why what is recorded of keys is not to be used."""
    calls: dict[bytes, set[CallHash]] = {key: set() for key in keys}
    newest: dict[bytes, RetractedFound] = {}
    for piece in statements.padded(list(keys)):
        for key, call, text in driver.execute(statements.retracted(len(piece)), piece):
            calls[key].add(CallHash(call.hex()))
            said = retraction_words(text)
            if said is None:
                continue
            found = RetractedFound(said.id, said.reason, said.by, said.at)
            known = newest.setdefault(key, found)
            if (found.at, found.id) > (known.at, known.id):
                newest[key] = found
    unknown = RetractedFound("", "", "", "")
    return {
        EvalHash(key.hex()): newest.get(key, unknown)._replace(calls=frozenset(calls[key]))
        for key in keys
    }


def find_retracted(driver: Driver, calls: Sequence[CallHash]) -> set[CallHash]:
    """Return those of some calls that were retracted."""
    return {
        CallHash(call.hex())
        for piece in statements.padded(calls)
        for (call,) in driver.execute(
            statements.retracted_calls(len(piece)), [_binary(each) for each in piece]
        )
    }


def count_retractions(driver: Driver) -> int:
    """Return a number that is another one once something was retracted, or that taken back."""
    (count,) = driver.execute(statements.RETRACTIONS_SEEN).fetchone()
    return int(count)


def _stored(row: Sequence[Any], store: ValueStore | None) -> StoredResult:
    """Return a value as it is handed out; one whose seal is broken bears a digest of nothing.

    Whoever decodes it finds that it is damaged, and has it made again.
    """
    key, type_name, format, value, digest, seal = row
    if not is_value_whole(seal, key, digest, type_name, format, has_bytes=bool(value)):
        return StoredResult(key.hex(), type_name, format, value, _NO_DIGEST)
    said = digest.hex()
    return StoredResult(key.hex(), type_name, format, value or locate(value, said, store), said)


_NO_DIGEST = ContentDigest("0" * 32)


def _find_evaluations(
    driver: Driver, keys: Sequence[EvalHash], where: Where, refused: set[bytes]
) -> dict[EvalHash, EvaluationFound]:
    """Return the entries of keys; the keys of those that were retracted are added to others."""
    found: dict[EvalHash, EvaluationFound] = {}
    doubtful: set[bytes] = set()
    for piece in statements.padded(keys, where.most_keys):
        rows = driver.execute(statements.evaluations(len(piece)), [_binary(key) for key in piece])
        _take_entries(rows.fetchall(), where, found, doubtful)
    for names in statements.padded(list(doubtful), where.most_keys):
        rows = driver.execute(statements.doubtful_evaluations(len(names)), names)
        _take_entries(rows.fetchall(), where, found, refused)
    return found


def _take_entries(
    rows: Sequence[Any],
    where: Where,
    found: dict[EvalHash, EvaluationFound],
    flagged: set[bytes],
) -> None:
    for eval_hash, is_flagged, time, task, args, seal, *stored, call in rows:
        if is_flagged:
            flagged.add(eval_hash)
            continue
        if seal is not None and seal != seal_evaluation(eval_hash, task, args, stored[0], time):
            continue  # what it says is true of another one, or of none
        result = _stored(stored, where.store)
        if result.format != statements.DAMAGED:
            if result.format == EVICTED:
                result = result._replace(value=b"")  # whatever its entry may still hold
            known = None if call is None else call.hex()
            found[eval_hash.hex()] = EvaluationFound(result, time, known)


def _find_calls(
    driver: Driver, keys: Sequence[EvalHash], where: Where, refused: set[bytes]
) -> dict[EvalHash, tuple[CallFound, ...]]:
    rows: dict[bytes, list[_Call]] = {}
    tasks: dict[bytes, set[bytes]] = {}
    reads: dict[bytes, list[tuple[str, bytes]]] = {}
    for piece in statements.padded(keys, where.most_keys):
        found = driver.execute(statements.calls(len(piece)), [_binary(key) for key in piece])
        for row in map(_Call._make, found):
            if row.retracted:
                refused.add(row.eval_hash)
                continue
            calls = rows.setdefault(row.eval_hash, [])
            if len(calls) < _MOST_CALLS:
                calls.append(row)
                tasks[row.call_hash] = {row.task_hash}
    for names in statements.padded(list(tasks), where.most_keys):
        for call, task in driver.execute(statements.subtree_tasks(len(names)), names):
            tasks[call].add(task)
        for call, path, value in driver.execute(statements.call_contexts(len(names)), names):
            reads.setdefault(call, []).append((path, value))
    unbroken = {
        key: [
            row
            for row in calls
            if row.is_unbroken(tasks[row.call_hash], reads.get(row.call_hash, ()))
        ]
        for key, calls in rows.items()
    }
    wanted = dict.fromkeys([row.result for calls in unbroken.values() for row in calls])
    values = find_values(driver, list(wanted), where)
    return {
        EvalHash(key.hex()): tuple(
            CallFound(
                CallHash(row.call_hash.hex()),
                values[row.result],
                row.timestamp,
                frozenset([TaskHash(task.hex()) for task in tasks[row.call_hash]]),
                tuple([(p, ValueHash(v.hex())) for p, v in reads.get(row.call_hash, ())]),
            )
            for row in calls
            if row.result in values
        )
        for key, calls in unbroken.items()
    }


class _Call(NamedTuple):
    """A row of `statements.calls`."""

    eval_hash: bytes
    call_hash: bytes
    value_hash: bytes
    timestamp: Micros
    task_hash: bytes
    seal: bytes | None
    retracted: bool

    @property
    def result(self) -> ValueHash:
        return ValueHash(self.value_hash.hex())

    def is_unbroken(self, tasks: Collection[bytes], reads: Collection[tuple[str, bytes]]) -> bool:
        """Tell whether its seal is that of what it says."""
        key, call, value, timestamp, task, seal, _ = self
        return seal is None or seal == seal_call(call, key, task, value, timestamp, tasks, reads)


def find_values(
    driver: Driver, keys: Sequence[ValueHash], where: Where
) -> dict[ValueHash, StoredResult]:
    """Return the stored values that exist under these hashes."""
    found = {}
    for piece in statements.padded(keys, where.most_keys):
        rows = driver.execute(statements.values(len(piece)), [_binary(key) for key in piece])
        for row in rows:
            stored = _stored(row, where.store)
            if stored.format not in statements.GONE:
                found[stored.value_hash] = stored
    return found


def find_recorded(
    driver: Driver, values: Sequence[ValueHash], calls: Sequence[CallHash]
) -> set[str]:
    """Return those of some values and calls which a batch that has them would leave alone."""
    asked = ((statements.whole_values, values), (statements.own_calls, calls))
    return {
        key.hex()
        for question, keys in asked
        for piece in statements.padded(keys)
        for (key,) in driver.execute(question(len(piece)), [_binary(each) for each in piece])
    }


__all__ = [
    "Where",
    "check_cache",
    "count_retractions",
    "find_recorded",
    "find_retracted",
    "find_values",
]
