"""Canonical hashes: the same content gives the same 32 hex digits, everywhere and always.

One function, xxh3-128. Every pre-image starts with its record type, so that records of different
kinds never collide; within a record type the encoding is injective. What is hashed never depends
on object identity, hash order, import order, interning or the Python version. Golden vectors in
the tests hold these encodings still: a change of any of them is a new cache for every user.

xxh3 (https://github.com/Cyan4973/xxHash) is integrity, not authenticity.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Sequence
from gc import get_referents
from typing import Any, Final, NewType, cast

from xxhash import xxh3_128, xxh3_128_hexdigest

ValueHash = NewType("ValueHash", str)
TaskHash = NewType("TaskHash", str)
ArgsHash = NewType("ArgsHash", str)
EvalHash = NewType("EvalHash", str)
CallHash = NewType("CallHash", str)
ContentDigest = NewType("ContentDigest", str)

#: The hash of a pre-image. To call a `NewType` takes longer than to hash a number.
digest_value: Final = cast("Callable[[bytes], ValueHash]", xxh3_128_hexdigest)
_digest_args: Final = cast("Callable[[bytes], ArgsHash]", xxh3_128_hexdigest)
_digest_eval: Final = cast("Callable[[bytes], EvalHash]", xxh3_128_hexdigest)
_digest_call: Final = cast("Callable[[bytes], CallHash]", xxh3_128_hexdigest)

# Types whose values marshal writes without references, identity or hash order, and that hold
# nothing but each other. Exact types only: a subclass would be written as its base.
ATOMIC_TYPES = frozenset({type(None), bool, int, float, complex, str, bytes, type(...)})
CONTAINER_TYPES = frozenset({list, tuple, dict, set, frozenset})
_SET_TYPES = frozenset({set, frozenset})
BUILTIN_TYPES = ATOMIC_TYPES | CONTAINER_TYPES

# Version 2 is the newest without references and interning flags: equal content, equal bytes.
MARSHAL_VERSION = 2
# Deeper or larger values are hashed piece by piece, which gives them another hash; all limits
# are therefore functions of the content alone (never of what is shared in memory).
MAX_DEPTH = 200
MAX_CONTAINERS = 4_000_000
# Marshal writes what is in a set twice, to sort it: sets inside of sets cost 2 ** levels.
MAX_SET_LEVELS = 4

# Fewer items are looked at one by one.
_MANY: Final = 64
_SEQUENCES: Final = frozenset({list, tuple})
# Marks of numbers in what marshal writes, with the bytes that such a one takes. No other is of one
# size: an int beyond 32 bits has another mark.
_NUMBERS: Final = {int: (b"i", 5), float: (b"g", 9)}
_HEAD: Final = 5  # bytes of a sequence before its items

PLAIN = b"value\0m"
_SHAPE = b"value\0s"
# From here on a copy costs more than a second call into the hasher.
LARGE = 1 << 16


def digest_bytes(content: bytes | bytearray | memoryview) -> ContentDigest:
    """Return the digest of stored bytes, with no record type before them."""
    return ContentDigest(xxh3_128_hexdigest(content))


def look_inside(value: object) -> int:  # noqa: PLR0911 - one exit for each way out of the proof
    """Prove that a value is made of exact builtin types only; returns how much was looked at.

    Minus that if it is not, or is beyond a limit. Level by level instead of by recursion: each
    level costs three calls into C, whatever its size. What holds nothing is handed on with the
    rest, for to ask it what it holds costs less than to leave it out.
    """
    kind = type(value)
    if kind not in CONTAINER_TYPES:
        return 1 if kind in ATOMIC_TYPES else -1
    inside = get_referents(value)
    types = {*map(type, inside)}
    if types <= ATOMIC_TYPES:
        return 1
    seen = set_levels = 1
    if kind not in _SET_TYPES:
        set_levels = 0
    for _ in range(MAX_DEPTH - 1):
        seen += len(inside)
        if not types <= BUILTIN_TYPES:
            return -seen
        if not _SET_TYPES.isdisjoint(types):
            set_levels += 1
            if set_levels > MAX_SET_LEVELS:
                return -seen
        if seen > MAX_CONTAINERS:  # not all of which are containers
            return _count_containers(value)
        inside = get_referents(*inside)
        types = {*map(type, inside)}
        if types <= ATOMIC_TYPES:
            return seen
    return -seen


def _count_containers(value: object) -> int:
    """Do as `look_inside`, with the containers counted."""
    level: list[Any] = [value]
    containers = 1
    set_levels = 1 if type(value) in _SET_TYPES else 0
    for _ in range(MAX_DEPTH):
        inside = get_referents(*level)
        types = set(map(type, inside))
        if not types <= BUILTIN_TYPES:
            return -containers
        if types.isdisjoint(CONTAINER_TYPES):
            return containers
        if not types.isdisjoint(_SET_TYPES):
            set_levels += 1
        level = [each for each in inside if type(each) in CONTAINER_TYPES]
        containers += len(level)
        if containers > MAX_CONTAINERS or set_levels > MAX_SET_LEVELS:
            return -containers
    return -containers


def is_builtin(value: object) -> bool:
    """Tell whether a value is made of exact builtin types only, at every depth, within limits."""
    if type(value) in _SEQUENCES and _dump_numbers(value) is not None:
        return True
    return look_inside(value) > 0


def hash_builtin(value: object) -> ValueHash | None:
    """Return the hash of a value of exact builtin types, or None if it is not one.

    None is also the answer for what marshal refuses (bytes beyond 2 GB, say): the answer depends
    on the content alone, so such a value is always hashed by its shape.
    """
    if type(value) in _SEQUENCES:
        plain = _dump_numbers(value)
        if plain is not None:
            return hash_proven(value, plain)
    if look_inside(value) < 0:
        return None
    return hash_proven(value)


def _dump_numbers(value: Any) -> bytes | None:
    """Return what marshal writes of a sequence of floats, or of ints of up to 32 bits, or None.

    That nothing else is inside is proven by what was written, in a third of the time that looking
    at each item takes: only a number has its mark, so where the first item has it, it is one, and
    the next item begins so many bytes later.
    """
    if len(value) < _MANY:
        return None
    kind = type(value[0])
    if kind not in _NUMBERS or type(value[-1]) is not kind:
        return None
    try:
        plain = marshal.dumps(value, MARSHAL_VERSION)
    except (ValueError, TypeError, MemoryError):
        return None
    mark, size = _NUMBERS[kind]
    count, rest = divmod(len(plain) - _HEAD, size)
    return plain if not rest and plain[_HEAD::size] == mark * count else None


def hash_proven(value: Any, plain: bytes | None = None) -> ValueHash | None:
    """Do as `hash_builtin` for a value that was proven to be made of exact builtin types.

    Args:
        value: The value.
        plain: What marshal writes of it, if that is known.
    """
    if type(value) is bytes and LARGE < len(value) < 1 << 31:
        # What marshal would write, without the copy.
        hasher = xxh3_128(PLAIN + b"s" + len(value).to_bytes(4, "little"))
        hasher.update(value)
        return ValueHash(hasher.hexdigest())
    try:
        plain = plain or marshal.dumps(value, MARSHAL_VERSION)
    except (ValueError, TypeError):
        return None
    except MemoryError:
        # Also what marshal says when it cannot sort a set: equal bytes of values that are neither
        # equal nor ordered, which only complex NaNs are.
        if _sorts_complex(value):
            return None
        raise
    if len(plain) < LARGE:
        return digest_value(PLAIN + plain)
    hasher = xxh3_128(PLAIN)
    hasher.update(plain)
    return ValueHash(hasher.hexdigest())


def _sorts_complex(value: object) -> bool:
    found: set[type] = {type(value)}
    level: list[Any] = [value]
    while level:
        inside = get_referents(*level)
        found.update(map(type, inside))
        level = [each for each in inside if type(each) in CONTAINER_TYPES]
    return complex in found and not found.isdisjoint(_SET_TYPES)


def hash_shape(
    tag: str,
    state: Any,
    children: Sequence[str] = (),
    *,
    buffers: Sequence[bytes | bytearray | memoryview] = (),
    ordered: bool = True,
) -> ValueHash:
    """Hash one level of a value that is not made of builtins alone.

    Args:
        tag: What kind of thing this is; no two kinds share one.
        state: What is known of it besides its children; exact builtin types only.
        children: Value hashes of what lies inside.
        buffers: Raw content that is hashed in place, without a copy.
        ordered: Whether the order of the children counts.
    """
    inner = children if ordered else sorted(children)
    head = _SHAPE + marshal.dumps((tag, state, len(inner)), MARSHAL_VERSION)
    head += "".join(inner).encode("ascii")
    if not buffers:
        return digest_value(head)
    hasher = xxh3_128(head)
    for buffer in buffers:
        size = buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
        hasher.update(size.to_bytes(8, "little"))
        hasher.update(buffer)
    return ValueHash(hasher.hexdigest())


def hash_record(record: str, *fields: str | int | None) -> str:
    """Hash a record of any other kind by its name and its fields."""
    return xxh3_128_hexdigest(record.encode() + b"\0" + marshal.dumps(fields, MARSHAL_VERSION))


# The hot pre-images: fixed-width fields, put together without a call to marshal.


def hash_args(arguments: Iterable[tuple[str, str]]) -> ArgsHash:
    """Hash bound arguments: pairs of a label and a value hash, in the order of the signature.

    Labels are parameter names, ``*`` for each item of ``*args`` and ``**name`` for each of
    ``**kwargs``. The hash comes first in each pair and has a fixed width, and the label its
    length, so that no two lists of arguments share a pre-image.
    """
    text = "".join([f"{value_hash}{len(label)}:{label}" for label, value_hash in arguments])
    return _digest_args(("args\0" + text).encode("utf-8", "surrogatepass"))


def hash_eval(task_hash: TaskHash, args_hash: ArgsHash) -> EvalHash:
    """Return the cache key of a call."""
    return _digest_eval(f"eval\0{task_hash}{args_hash}".encode())


def hash_call(
    task_hash: TaskHash,
    args_hash: ArgsHash,
    value_hash: ValueHash,
    children: Sequence[CallHash] = (),
) -> CallHash:
    """Return the Merkle hash of a finished call over its result and its child calls in order."""
    text = f"call\0{task_hash}{args_hash}{value_hash}{''.join(children)}"
    return _digest_call(text.encode())


def hash_argument(
    call_hash: CallHash, position: int | None, key: str | None, value_hash: ValueHash
) -> str:
    """Return the identity of one argument of a call."""
    place = "" if position is None else str(position)
    text = f"argument\0{call_hash}{value_hash}{place}:{key or ''}"
    return xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))
