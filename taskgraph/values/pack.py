"""Packing: a value and all that is recorded with it, as rows that can cross to a backend."""

from __future__ import annotations

from functools import partial
from typing import Any

from taskgraph.errors import TaskgraphError, UnstorableValueError, ValueStoreError
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
from taskgraph.values.valuestore import Published, TooLargeError, ValueStore
from taskgraph.values.weigh import Weight
from taskgraph.values.weigh import weigh as weigh_value

_NAMES = {cls: f"builtins.{cls.__name__}" for cls in ATOMIC_TYPES | CONTAINER_TYPES}


def pack(
    value: Any,
    weight: Weight | None = None,
    *,
    max_size: int | None = None,
    store: ValueStore | None = None,
) -> PackedValue:
    """Return a value with its subvalues and files, hashed and encoded.

    Args:
        value: Any value.
        weight: What `weigh` gave for it, if that was done already.
        max_size: How many bytes each encoded value may have at most.
        store: Where large ones are put; their rows have no bytes then.

    Raises:
        UnhashableValueError: Something inside has no stable hash.
        UnstorableValueError: It cannot be pickled, or is larger than it may be.
        ValueStoreError: It is large, and the value store cannot be written.
    """
    if weight is None:
        plain = hash_builtin(value)
        if plain is not None:
            name = _NAMES[type(value)]
            encoded = codec.encode_plain(value)
            return PackedValue((_record(value, plain, name, encoded, max_size, store),))
        weight = weigh_value(value)
    kind = kind_of(value)
    root = _encoded(value, kind, weight.value_hash, max_size, store)
    if not weight.subvalues and not kind.is_subvalue:
        return PackedValue((root,))
    return _pack_all(value, kind, root, weight, max_size, store)


def pack_or_name(
    value: Any, weight: Weight, max_size: int | None = None, store: ValueStore | None = None
) -> PackedValue:
    """Return a weighed value packed; one that cannot be stored is recorded by its name alone.

    That goes for one whose value store is down as well: it is an argument, which whoever gave it
    still has, and its call goes on. It is stored when it is recorded the next time.
    """
    try:
        return pack(value, weight, max_size=max_size, store=store)
    except (UnstorableValueError, ValueStoreError):
        return pack_unstored(value, weight.value_hash)


def put_outside(packed: PackedValue, store: ValueStore | None) -> PackedValue:
    """Put the large ones of packed values in a store, which were packed where that is not.

    Raises:
        ValueStoreError: It cannot be written.
    """
    if store is None or all(len(each.value) < store.min_size for each in packed.values):
        return packed
    values = []
    for each in packed.values:
        if len(each.value) < store.min_size:
            values.append(each)
            continue
        format, size, digest = store.publish(each.format, each.value)
        values.append(each._replace(format=format, value=b"", size=size, content_digest=digest))
    return packed._replace(values=tuple(values))


def put_outside_or_name(packed: PackedValue, store: ValueStore | None) -> PackedValue:
    """Do as `put_outside`; what the store does not take is recorded by its name alone."""
    try:
        return put_outside(packed, store)
    except ValueStoreError:
        first = packed.values[0]
        empty = digest_bytes(b"")
        named = first._replace(format=UNSTORED, value=b"", size=0, content_digest=empty)
        return PackedValue((named,))


def pack_unstored(value: Any, value_hash: ValueHash) -> PackedValue:
    """Return the row that stands for a value that is not in the store."""
    name = kind_of(value).type_name(value)
    digest = digest_bytes(b"")
    return PackedValue((ValueRecord(value_hash, name, UNSTORED, b"", 0, preview(value), digest),))


def _encoded(
    value: Any,
    kind: ValueKind,
    value_hash: ValueHash,
    max_size: int | None,
    store: ValueStore | None,
) -> ValueRecord:
    type_name = kind.type_name(value)
    if store is not None:
        size = kind.bytes_in(value)
        if size >= store.min_size:
            if max_size is not None and size > 2 * max_size:  # about; the rest is found out
                raise _too_large(type_name, size, max_size)
            found = _publish(value, kind, type_name, max_size, store)
            if found is not None:
                return _outside(value, value_hash, type_name, found)
    return _record(value, value_hash, type_name, codec.encode(value), max_size, store)


def _publish(
    value: Any, kind: ValueKind, type_name: str, max_size: int | None, store: ValueStore
) -> Published | None:
    """Write a large value to the store without having all of its bytes in memory."""
    try:
        return store.publish_stream(partial(kind.write, value), max_size)
    except TooLargeError as error:
        raise _too_large(type_name, kind.bytes_in(value), max_size or 0) from error
    except TaskgraphError:
        raise
    except Exception as error:  # a stranger's kind may raise anything
        raise UnstorableValueError(type_name, f"{type(error).__name__}: {error}") from error


def _record(
    value: Any,
    value_hash: ValueHash,
    type_name: str,
    encoded: tuple[str, bytes],
    max_size: int | None,
    store: ValueStore | None,
) -> ValueRecord:
    format, payload = encoded
    size = len(payload)
    if max_size is not None and size > max_size:
        raise _too_large(type_name, size, max_size)
    if store is not None and size >= store.min_size:
        return _outside(value, value_hash, type_name, store.publish(format, payload))
    shown = preview(value)
    return ValueRecord(value_hash, type_name, format, payload, size, shown, digest_bytes(payload))


def _outside(value: Any, value_hash: ValueHash, type_name: str, found: Published) -> ValueRecord:
    format, size, digest = found
    return ValueRecord(value_hash, type_name, format, b"", size, preview(value), digest)


def _too_large(type_name: str, size: int, max_size: int) -> UnstorableValueError:
    reason = (
        f"it has {size:,} bytes, and {max_size:,} are allowed by the setting max_value_size; "
        "raise it, or return a File"
    )
    return UnstorableValueError(type_name, reason)


def _pack_all(
    value: Any,
    kind: ValueKind,
    root: ValueRecord,
    weight: Weight,
    max_size: int | None,
    store: ValueStore | None,
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
        values[inner.value_hash] = _encoded(
            inner.value, inner.kind, inner.value_hash, max_size, store
        )
        file = inner.kind.file_record(inner.value, inner.value_hash)
        if file is not None:
            files.append(file)
    return PackedValue(tuple(values.values()), tuple(edges), tuple(files))
