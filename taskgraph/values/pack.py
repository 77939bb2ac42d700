"""Packing: a value and all that is recorded with it, as rows that can cross to a backend."""

from __future__ import annotations

from typing import Any

from taskgraph.errors import UnstorableValueError
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES, ValueHash, digest_bytes, hash_builtin
from taskgraph.values import codec
from taskgraph.values.kinds import ValueKind
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_of
from taskgraph.values.stored import (
    UNSTORED,
    FileRecord,
    PackedValue,
    SubvalueRecord,
    ValueRecord,
)
from taskgraph.values.weigh import Weight
from taskgraph.values.weigh import weigh as weigh_value

_NAMES = {cls: f"builtins.{cls.__name__}" for cls in ATOMIC_TYPES | CONTAINER_TYPES}


def pack(value: Any, weight: Weight | None = None, *, max_size: int | None = None) -> PackedValue:
    """Return a value with its subvalues and files, hashed and encoded.

    Args:
        value: Any value.
        weight: What `weigh` gave for it, if that was done already.
        max_size: How many bytes each encoded value may have at most.

    Raises:
        UnhashableValueError: Something inside has no stable hash.
        UnstorableValueError: It cannot be pickled, or is larger than it may be.
    """
    if weight is None:
        plain = hash_builtin(value)
        if plain is not None:
            name = _NAMES[type(value)]
            encoded = codec.encode_plain(value)
            return PackedValue((_record(value, plain, name, encoded, max_size),))
        weight = weigh_value(value)
    kind = kind_of(value)
    encoded = codec.encode(value)
    root = _record(value, weight.value_hash, kind.type_name(value), encoded, max_size)
    if not weight.subvalues and not kind.is_subvalue:
        return PackedValue((root,))
    return _pack_all(value, kind, root, weight, max_size)


def pack_or_name(value: Any, weight: Weight, max_size: int | None = None) -> PackedValue:
    """Return a weighed value packed; one that cannot be stored is recorded by its name alone."""
    try:
        return pack(value, weight, max_size=max_size)
    except UnstorableValueError:
        return pack_unstored(value, weight.value_hash)


def pack_unstored(value: Any, value_hash: ValueHash) -> PackedValue:
    """Return the row that stands for a value that is not in the store."""
    name = kind_of(value).type_name(value)
    digest = digest_bytes(b"")
    return PackedValue((ValueRecord(value_hash, name, UNSTORED, b"", 0, preview(value), digest),))


def _record(
    value: Any,
    value_hash: ValueHash,
    type_name: str,
    encoded: tuple[str, bytes],
    max_size: int | None,
) -> ValueRecord:
    format, payload = encoded
    size = len(payload)
    if max_size is not None and size > max_size:
        reason = (
            f"it has {size:,} bytes, and {max_size:,} are allowed by the setting max_value_size; "
            "raise it, or return a File"
        )
        raise UnstorableValueError(type_name, reason)
    shown = preview(value)
    return ValueRecord(value_hash, type_name, format, payload, size, shown, digest_bytes(payload))


def _pack_all(
    value: Any, kind: ValueKind, root: ValueRecord, weight: Weight, max_size: int | None
) -> PackedValue:
    values = {weight.value_hash: root}
    files: list[FileRecord] = []
    edges: list[SubvalueRecord] = []
    file = kind.file_record(value, weight.value_hash)
    if file is not None:
        files.append(file)
    for inner in weight.subvalues:
        edges.append(SubvalueRecord(inner.parent_hash, inner.value_hash))
        if inner.value_hash in values:
            continue
        type_name = inner.kind.type_name(inner.value)
        encoded = codec.encode(inner.value)
        record = _record(inner.value, inner.value_hash, type_name, encoded, max_size)
        values[inner.value_hash] = record
        file = inner.kind.file_record(inner.value, inner.value_hash)
        if file is not None:
            files.append(file)
    return PackedValue(tuple(values.values()), tuple(edges), tuple(files))
