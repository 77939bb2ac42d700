"""What is recorded of cache keys and values, looked up in bulk.

Rows whose seal is broken answer nothing; see `seals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from taskgraph.hashing import CallHash, ContentDigest, EvalHash, TaskHash, ValueHash
from taskgraph.records import (
    CacheAnswer,
    CacheQuery,
    CallFound,
    EvaluationFound,
    Micros,
    StoredResult,
)
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
    evaluations = _find_evaluations(driver, keys, where)
    shallow = list(dict.fromkeys([query[0] for query in queries if query[1]]))
    calls = _find_calls(driver, shallow, where) if shallow else {}
    absent = [key for key in keys if key not in evaluations]
    offered = foreign.offered(driver, absent) if absent else {}
    return [
        CacheAnswer(evaluations.get(key), calls.get(key, ()) if shallow_ else (), offered.get(key))
        for key, shallow_ in queries
    ]


def _stored(row: Sequence[Any], store: ValueStore | None) -> StoredResult:
    """Return a value as it is handed out; one whose seal is broken bears a digest of nothing.

    Whoever decodes it finds that it is damaged, and has it made again.
    """
    key, type_name, format, value, digest_bytes, seal = row
    name, said = key.hex(), digest_bytes.hex()
    if not is_value_whole(seal, name, type_name, format, said, has_bytes=bool(value)):
        return StoredResult(ValueHash(name), type_name, format, value, _NO_DIGEST)
    digest = ContentDigest(said)
    return StoredResult(ValueHash(name), type_name, format, locate(value, digest, store), digest)


_NO_DIGEST = ContentDigest("0" * 32)


def _find_evaluations(
    driver: Driver, keys: Sequence[EvalHash], where: Where
) -> dict[EvalHash, EvaluationFound]:
    found: dict[EvalHash, EvaluationFound] = {}
    for piece in statements.padded(keys, where.most_keys):
        rows = driver.execute(statements.evaluations(len(piece)), [_binary(key) for key in piece])
        for eval_hash, time, task, args, seal, *stored, call in rows.fetchall():
            result = _stored(stored, where.store)
            if result.format == statements.DAMAGED:
                continue
            name = eval_hash.hex()
            if seal is not None and seal != seal_evaluation(
                name, task.hex(), args.hex(), result.value_hash, time
            ):
                continue  # what it says is true of another one, or of none
            found[name] = EvaluationFound(result, time, None if call is None else call.hex())
    return found


def _find_calls(
    driver: Driver, keys: Sequence[EvalHash], where: Where
) -> dict[EvalHash, tuple[CallFound, ...]]:
    nodes: dict[EvalHash, list[tuple[CallHash, ValueHash, Micros]]] = {}
    seals: dict[CallHash, tuple[bytes, TaskHash]] = {}
    tasks: dict[CallHash, set[TaskHash]] = {}
    reads: dict[CallHash, list[tuple[str, ValueHash]]] = {}
    for piece in statements.padded(keys, where.most_keys):
        rows = driver.execute(statements.calls(len(piece)), [_binary(key) for key in piece])
        for eval_hash, call_hash, value_hash, time, task_hash, seal in rows:
            calls = nodes.setdefault(eval_hash.hex(), [])
            if len(calls) < _MOST_CALLS:
                calls.append((call_hash.hex(), value_hash.hex(), time))
                tasks[call_hash.hex()] = {task_hash.hex()}
                if seal is not None:
                    seals[call_hash.hex()] = (seal, task_hash.hex())
    every = [node for calls in nodes.values() for node in calls]
    for names in statements.padded(list(tasks), where.most_keys):
        rows = driver.execute(statements.subtree_tasks(len(names)), [_binary(n) for n in names])
        for call_hash, task_hash in rows:
            tasks[call_hash.hex()].add(task_hash.hex())
        rows = driver.execute(statements.call_contexts(len(names)), [_binary(n) for n in names])
        for call_hash, path, value_hash in rows:
            reads.setdefault(call_hash.hex(), []).append((path, value_hash.hex()))
    broken = {
        call
        for eval_hash, calls in nodes.items()
        for call, value, time in calls
        if call in seals
        and seals[call][0]
        != seal_call(call, eval_hash, seals[call][1], value, time, tasks[call], reads.get(call, ()))
    }
    values = find_values(driver, list(dict.fromkeys([value for _, value, _ in every])), where)
    return {
        eval_hash: tuple(
            CallFound(call, values[value], time, frozenset(tasks[call]), tuple(reads.get(call, ())))
            for call, value, time in calls
            if value in values and call not in broken
        )
        for eval_hash, calls in nodes.items()
    }


def find_values(
    driver: Driver, keys: Sequence[ValueHash], where: Where
) -> dict[ValueHash, StoredResult]:
    """Return the stored values that exist under these hashes."""
    found = {}
    for piece in statements.padded(keys, where.most_keys):
        rows = driver.execute(statements.values(len(piece)), [_binary(key) for key in piece])
        for row in rows:
            stored = _stored(row, where.store)
            if stored.format != statements.DAMAGED:
                found[stored.value_hash] = stored
    return found


__all__ = ["Where", "check_cache", "find_values"]
