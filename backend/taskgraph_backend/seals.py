"""Seals: what a row that decides results held when it was written, in 8 bytes of the row itself.

A digest of a value's bytes tells that the bytes are whole, and not that they are those of this row.
A row whose seal is broken is used for nothing: whatever it says may be true of another one. A row
without a seal was written by an earlier version, or brought from elsewhere, and is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from xxhash import xxh3_64_digest


def seal_value(
    value_hash: str, type_name: str, format: str, content_digest: str, *, has_bytes: bool
) -> bytes:
    """Return the seal of a value: its bytes are known by their digest.

    Args:
        value_hash: That of the value.
        type_name: Of its type.
        format: Of its bytes.
        content_digest: Of its bytes, wherever they are.
        has_bytes: Whether they are in the row. One that has lost them would look as if they were
            in a value store.
    """
    kind = "value" if has_bytes else "outside"
    text = f"{kind}\0{value_hash}{content_digest}{format}\0{type_name}"
    return xxh3_64_digest(text.encode("utf-8", "backslashreplace"))


def is_value_whole(
    seal: bytes | None,
    value_hash: str,
    type_name: str,
    format: str,
    content_digest: str,
    *,
    has_bytes: bool,
) -> bool:
    """Tell whether a row of a value says what it said; one without a seal is taken as it is."""
    named = value_hash, type_name, format, content_digest
    return seal is None or seal == seal_value(*named, has_bytes=has_bytes)


def seal_evaluation(
    eval_hash: str, task_hash: str, args_hash: str, value_hash: str, timestamp: int
) -> bytes:
    """Return the seal of a cache entry."""
    text = f"evaluation\0{eval_hash}{task_hash}{args_hash}{value_hash}{timestamp}"
    return xxh3_64_digest(text.encode("ascii"))


def seal_call(
    call_hash: str,
    eval_hash: str,
    task_hash: str,
    value_hash: str,
    timestamp: int,
    subtree_tasks: Iterable[str],
    reads: Iterable[tuple[str, str]],
) -> bytes:
    """Return the seal of a call with what it is held against: the tasks below it, and its reads.

    Args:
        call_hash: That of the call.
        eval_hash: Its cache key.
        task_hash: Its own task.
        value_hash: Its result.
        timestamp: When it ended.
        subtree_tasks: The tasks below it; its own one may be among them.
        reads: Paths of its context with the hashes of what it found there.
    """
    below = "".join(sorted({*subtree_tasks} - {task_hash}))
    read = "\0".join(f"{value}{path}" for path, value in sorted(set(reads)))
    text = f"call\0{call_hash}{eval_hash}{task_hash}{value_hash}{timestamp}\0{below}\0{read}"
    return xxh3_64_digest(text.encode("utf-8", "backslashreplace"))


def seal_alias(old_hash: str, new_hash: str, timestamp: int, end_time: int | None) -> bytes:
    """Return the seal of an alias: what it joins, since when and until when."""
    text = f"alias\0{old_hash}{new_hash}{timestamp}\0{'' if end_time is None else end_time}"
    return xxh3_64_digest(text.encode("ascii"))


def seal_text(key: str, *texts: str) -> bytes:
    """Return the seal of code: of a task, or of a part of one."""
    text = "\0".join(("text", key, *texts))
    return xxh3_64_digest(text.encode("utf-8", "backslashreplace"))


__all__ = [
    "is_value_whole",
    "seal_alias",
    "seal_call",
    "seal_evaluation",
    "seal_text",
    "seal_value",
]
