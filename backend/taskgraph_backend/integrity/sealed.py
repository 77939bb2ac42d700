"""Whether the rows that decide results say what they said when they were written.

A row with a seal is held against it. One without is held against the hashes that it is named by, as
far as these can be made again from the record: those of calls around ``prov=False`` cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskgraph.hashing import ArgsHash, CallHash, TaskHash, ValueHash, hash_call, hash_eval
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity.pages import of_keys, pages
from taskgraph_backend.integrity.problems import Change, Finding, Remove, found
from taskgraph_backend.seals import seal_alias, seal_call, seal_evaluation

#: The seal of a row that is known to be damaged: no content has it, so it is used for nothing.
BROKEN = b"!broken!"

_ENTRY = "a cache entry is as it was written"
_CALL = "a call is as it was written"
_OTHER_KEY = "its key is not that of its task and arguments"


def _hex(key: Any) -> str:
    return bytes(key).hex()


def evaluations(driver: Driver) -> Iterator[Finding]:
    """Give the cache entries that are not as they were written, or whose value has no bytes."""
    columns = "eval_hash, task_hash, args_hash, value_hash, timestamp, seal"
    for rows in pages(driver, "evaluation", columns):
        formats = of_keys(driver, "value", "value_hash, format", [row[3] for row in rows])
        for key, task, args, value, time, seal in rows:
            detail = _wrong_entry(bytes(key), bytes(task), bytes(args), bytes(value), time, seal)
            if not detail and formats.get(bytes(value)) == [[statements.DAMAGED]]:
                detail = f"its value {_hex(value)[:8]} is damaged, and is to be made again"
            if detail:
                step = Remove("evaluation", {"eval_hash": key}, {"value_hash": value})
                yield found(
                    _ENTRY, "evaluation", key, detail, "it is put aside: its call runs again", step
                )


def _wrong_entry(key: bytes, task: bytes, args: bytes, value: bytes, time: int, seal: Any) -> str:
    if seal is not None:
        is_whole = bytes(seal) == seal_evaluation(key, task, args, value, time)
        return "" if is_whole else "its seal is broken"
    is_named = hash_eval(TaskHash(task.hex()), ArgsHash(args.hex())) == key.hex()
    return "" if is_named else _OTHER_KEY


def calls(driver: Driver) -> Iterator[Finding]:
    """Give the calls that are not as they were written, with all that lies around them."""
    columns = "call_hash, eval_hash, task_hash, args_hash, value_hash, timestamp, seal"
    for rows in pages(driver, "call_node", columns):
        keys = [row[0] for row in rows]
        below = of_keys(driver, "call_subtree_task", "call_hash, task_hash", keys)
        reads = of_keys(driver, "call_context", "call_hash, path, value_hash", keys)
        for row in rows:
            if row[6] is not None and bytes(row[6]) == BROKEN:
                continue
            key = bytes(row[0])
            detail = _wrong_call(
                row,
                [bytes(task) for (task,) in below.get(key, ())],
                [(path, bytes(value)) for path, value in reads.get(key, ())],
            )
            if detail:
                step = Change(
                    "call_node", {"call_hash": row[0]}, {"seal": BROKEN}, {"seal": row[6]}
                )
                yield found(
                    _CALL, "call_node", key, detail, "it is kept, and used for nothing", step
                )


def _wrong_call(row: Any, below: list[bytes], reads: list[tuple[str, bytes]]) -> str:
    call, key, task, args, value = map(bytes, row[:5])
    time, seal = row[5:]
    if seal is None:
        is_named = hash_eval(TaskHash(task.hex()), ArgsHash(args.hex())) == key.hex()
        return "" if is_named else _OTHER_KEY
    if bytes(seal) != seal_call(call, key, task, value, time, below, reads):
        return "its seal is broken: it, the tasks below it or its reads are others now"
    return ""


def children(driver: Driver) -> Iterator[Finding]:
    """Give the calls whose key or hash is not that of their parts.

    That of a call can be made again where its children are recorded; its key always.
    """
    columns = "call_hash, task_hash, args_hash, value_hash, seal, eval_hash"
    for rows in pages(driver, "call_node", columns):
        keys = [row[0] for row in rows]
        inside = of_keys(driver, "call_edge", "parent_id, call_order, child_id", keys)
        below = of_keys(driver, "call_subtree_task", "call_hash, task_hash", keys)
        for key, task, args, value, seal, name in rows:
            if seal is not None and bytes(seal) == BROKEN:
                continue
            step = Change("call_node", {"call_hash": key}, {"seal": BROKEN}, {"seal": seal})
            remedy = "it is kept, and used for nothing"
            if hash_eval(TaskHash(_hex(task)), ArgsHash(_hex(args))) != _hex(name):
                yield found(_CALL, "call_node", key, _OTHER_KEY, remedy, step)
                continue
            made = hash_call(
                TaskHash(_hex(task)),
                ArgsHash(_hex(args)),
                ValueHash(_hex(value)),
                [CallHash(_hex(child)) for _, child in inside.get(bytes(key), ())],
            )
            # Calls without rows (prov=False) count too, by tasks that nobody can tell apart.
            if made == _hex(key) or (bytes(key) in below and not _is_gap(inside.get(bytes(key)))):
                continue
            detail = "its hash is not that of its task, arguments, result and child calls"
            yield found(_CALL, "call_node", key, detail, remedy, step)


def _is_gap(edges: list[Any] | None) -> bool:
    return [order for order, _ in edges or ()] != list(range(len(edges or ())))


def aliases(driver: Driver) -> Iterator[Finding]:
    """Give the aliases that are not as they were written."""
    names = "old_hash, new_hash, timestamp, end_time, seal"
    rows = driver.execute(f"SELECT {names} FROM task_alias WHERE seal IS NOT NULL").fetchall()
    for old, new, time, end, seal in rows:
        if bytes(seal) != seal_alias(_hex(old), _hex(new), time, end):
            key = {"old_hash": old, "new_hash": new, "timestamp": time}
            yield found(
                "an alias is as it was written",
                "task_alias",
                old,
                "its seal is broken",
                "it is put aside: results of the earlier code do not count",
                Remove("task_alias", key),
            )


__all__ = ["BROKEN", "aliases", "calls", "children", "evaluations"]
