"""Seals: what a row that decides results held when it was written, in 8 bytes of the row itself.

A digest of a value's bytes tells that the bytes are whole, and not that they are those of this row.
A row whose seal is broken is used for nothing: whatever it says may be true of another one. A row
without a seal was written by an earlier version, or brought from elsewhere, and is taken as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from xxhash import xxh3_64_digest

# As drivers give and take it.
_Key = bytes | bytearray


def seal_value(
    value_hash: _Key, content_digest: _Key, type_name: str, format: str, *, has_bytes: bool
) -> bytes:
    """Return the seal of a value: its bytes are known by their digest.

    Args:
        value_hash: That of the value.
        content_digest: Of its bytes, wherever they are.
        type_name: Of its type.
        format: Of its bytes.
        has_bytes: Whether they are in the row. One that has lost them would look as if they were
            in a value store.
    """
    return xxh3_64_digest(value_hash + content_digest + _kind(format, type_name), has_bytes)


@lru_cache
def _kind(format: str, type_name: str) -> bytes:
    return f"{format}\0{type_name}".encode("utf-8", "backslashreplace")


def is_value_whole(
    seal: bytes | None,
    value_hash: _Key,
    content_digest: _Key,
    type_name: str,
    format: str,
    *,
    has_bytes: bool,
) -> bool:
    """Tell whether a row of a value says what it said; one without a seal is taken as it is."""
    if seal is None:
        return True
    named = value_hash + content_digest + _kind(format, type_name)
    return seal == xxh3_64_digest(named, has_bytes)


def seal_evaluation(
    eval_hash: _Key, task_hash: _Key, args_hash: _Key, value_hash: _Key, timestamp: int
) -> bytes:
    """Return the seal of a cache entry."""
    when = str(timestamp).encode()
    return xxh3_64_digest(b"".join((eval_hash, task_hash, args_hash, value_hash, when)))


def seal_call(
    call_hash: _Key,
    eval_hash: _Key,
    task_hash: _Key,
    value_hash: _Key,
    timestamp: int,
    subtree_tasks: Collection[_Key] = (),
    reads: Collection[tuple[str, _Key]] = (),
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
    parts = [call_hash, eval_hash, task_hash, value_hash, str(timestamp).encode()]
    # Nearly all calls have neither.
    if subtree_tasks:
        parts += sorted({bytes(task) for task in subtree_tasks} - {bytes(task_hash)})
    if reads:
        for path, value in sorted({(path, bytes(value)) for path, value in reads}):
            parts += (b"\0", value, f"{path}".encode("utf-8", "backslashreplace"))
    return xxh3_64_digest(b"".join(parts))


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
