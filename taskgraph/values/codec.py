"""The codec: the one place where anything is pickled, and where stored values are read again.

Bytes from the store are checked against their digest before anything reads them, and whatever goes
wrong while they are read is a damaged value, never another error. What unpickles is the gate
(`taskgraph.values.gate`), which knows what the store is trusted with.
"""

from __future__ import annotations

import io
import pathlib
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

from taskgraph.errors import (
    DamagedValueError,
    InvalidValueError,
    RefusedValueError,
    UnstorableValueError,
    ValueCompressionError,
)
from taskgraph.hashing import ATOMIC_TYPES, ContentDigest, ValueHash, digest_bytes
from taskgraph.values import gate
from taskgraph.values.compression import ZSTD, decompressed
from taskgraph.values.kinds import ValueKind, class_name, overrides
from taskgraph.values.places import Place, current_places
from taskgraph.values.reducers import REGISTERED, Reducers
from taskgraph.values.registry import (
    brings_code,
    is_own_type,
    kind_named,
    kind_of,
    kind_that_reduces,
)
from taskgraph.values.valuestore import Outside
from taskgraph.values.walk import MAX_NESTING

PICKLE = "pickle"
CLOUDPICKLE = "cloudpickle"
_COMPRESSED = f"+{ZSTD}"
_IN_ONE_PIECE = frozenset({PICKLE, CLOUDPICKLE, PICKLE + _COMPRESSED, CLOUDPICKLE + _COMPRESSED})
_PROTOCOL = 5


class Flat(NamedTuple):
    """A deeply nested value with all that lies inside it written first, innermost first.

    When the pickler comes to a value, it has met what is inside already and only refers to it.
    """

    inside: list[Any]
    value: Any


def restore_path(class_name: str, text: str) -> pathlib.PurePath:
    """Make a path again; the module that its class lives in is not the same in all Pythons."""
    cls: type[pathlib.PurePath] = getattr(pathlib, class_name)
    return cls(text)


def restore_inside(class_name: str, root: str, path: str, text: str = "") -> pathlib.PurePath:
    """Make a path inside a root again, at the place where that root lies here.

    Args:
        class_name: The name of its class in `pathlib`.
        root: The name of the root.
        path: The path below the root.
        text: How the path was spelled if not by the root's own path; kept where that still leads
            to the same place.

    Raises:
        UnknownRootError: The root is not declared here.
    """
    places, place = current_places(), Place(root, path)
    if text and places.name_inside(text) == place:
        return restore_path(class_name, text)
    return restore_path(class_name, places.find(place))


def _reduce_path(path: pathlib.PurePath) -> tuple[Callable[..., Any], tuple[str, ...]]:
    text, name = str(path), type(path).__name__
    places = current_places()
    place = places.name_inside(text)
    if place is None:
        return restore_path, (name, text)
    if places.find(place) == text:
        return restore_inside, (name, *place)
    return restore_inside, (name, *place, text)


_PATH_CLASSES = (
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.PosixPath,
    pathlib.WindowsPath,
)


def restore_proxy(content: dict[Any, Any]) -> types.MappingProxyType[Any, Any]:
    """Make a read-only view of a dictionary again."""
    return types.MappingProxyType(content)


def _reduce_proxy(proxy: types.MappingProxyType[Any, Any]) -> tuple[Callable[..., Any], Any]:
    return restore_proxy, (dict(proxy),)


_OWN: dict[type, Any] = dict.fromkeys(_PATH_CLASSES, _reduce_path)
_OWN[types.MappingProxyType] = _reduce_proxy


class _Dispatch(dict[type, Any]):
    """How objects of a type are written: our own reducers, those of kinds, and those of others.

    Args:
        others: The reducers that count where we have none.
    """

    def __init__(self, others: Reducers) -> None:
        super().__init__(_OWN)
        self._others = others

    def __missing__(self, cls: type) -> Any:
        kind = kind_that_reduces(cls)
        if kind is None:
            return self._others[cls]
        return lambda value: kind.reduce(value) or value.__reduce_ex__(_PROTOCOL)

    def __contains__(self, cls: object) -> bool:
        try:
            self[cls]  # type: ignore[index]  # is a type
        except KeyError:
            return False
        return True


_DISPATCH = _Dispatch(REGISTERED)


class _Pickler(pickle.Pickler):
    # Only the maps of pickle and copyreg are asked for types that are not builtin: no cost here.
    dispatch_table = _DISPATCH


def encode(value: Any) -> tuple[str, bytes]:
    """Return the format and the bytes under which a value is stored.

    Raises:
        UnstorableValueError: It cannot be pickled either.
    """
    if type(value) in ATOMIC_TYPES:
        return PICKLE, pickle.dumps(value, _PROTOCOL)
    kind = kind_of(value)
    try:
        made = kind.encode(value)
    except UnstorableValueError:
        raise
    except Exception as error:  # a stranger's kind may raise anything
        raise UnstorableValueError(kind.type_name(value), _describe(error)) from error
    return made if made is not None else _write(value, kind)


def encode_plain(value: Any) -> tuple[str, bytes]:
    """Do as `encode` for a value that was proven to be made of exact builtin types."""
    try:
        return PICKLE, pickle.dumps(value, _PROTOCOL)
    except (RecursionError, MemoryError):
        return encode(value)


def decode(
    value_hash: ValueHash,
    type_name: str,
    format: str,
    payload: bytes | Outside,
    content_digest: ContentDigest,
) -> Any:
    """Make a stored value again, after its bytes were checked.

    Args:
        value_hash: What to call it in an error.
        type_name: The name of its type, as it was stored.
        format: As `encode` gave it.
        payload: The bytes, or where in a value store they are.
        content_digest: The digest of the bytes when they were written.

    Raises:
        DamagedValueError: These are other bytes, or they can no longer be read.
        InvalidValueError: What they need besides is not there: a module, a type, a file.
        ValueStoreError: The value store that they are in cannot be read.
        RefusedValueError: They hold what the store is not trusted with.
    """
    return decode_marked(value_hash, type_name, format, payload, content_digest)[0]


def decode_marked(
    value_hash: ValueHash,
    type_name: str,
    format: str,
    payload: bytes | Outside,
    content_digest: ContentDigest,
) -> tuple[Any, bool]:
    """Do as `decode`; tells besides whether the value bears code that was found by its name.

    That code is what it is now, so the hash that the value is stored under may not be its own.
    """
    content: Any = payload
    if type(payload) is Outside:
        content = payload.load(value_hash, mapped=format not in _IN_ONE_PIECE)
    elif digest_bytes(content) != content_digest:
        raise DamagedValueError(value_hash, "its bytes are not those that were written")
    try:
        return _read(type_name, format, content)
    except (MemoryError, ValueCompressionError):
        raise
    except RefusedValueError as error:
        raise RefusedValueError(value_hash, error.what, error.name) from error
    except InvalidValueError as error:
        raise InvalidValueError(value_hash, error.reason, error.is_lost) from error
    except Exception as error:
        # The bytes are right, so what they refer to has changed (a class, a __setstate__):
        # whatever it is, the value cannot be used, and its call runs again.
        reason = f"it cannot be read as {type_name} ({_describe(error)})"
        raise DamagedValueError(value_hash, reason) from error


def read(type_name: str, format: str, payload: bytes) -> Any:
    """Make a stored value again from bytes that were checked, or come from a place that is trusted.

    A function in it that is not there any more is a stub (`values.unknown`).

    Args:
        type_name: The name of its type, as it was stored.
        format: As `encode` gave it.
        payload: The bytes.

    Raises:
        InvalidValueError: What they need besides is not there: a module, a type, a file.
    """
    return _read(type_name, format, payload)[0]


def decode_sent(
    value_hash: ValueHash,
    type_name: str,
    format: str,
    payload: bytes | Outside,
    content_digest: ContentDigest,
) -> Any:
    """Do as `decode` for what another process of this run has made, and sent as it is stored."""
    with gate.reading_with(gate.EVERYTHING):
        return decode(value_hash, type_name, format, payload, content_digest)


def read_inside(payload: bytes | bytearray | memoryview) -> Any:
    """Make a value again that its class has written with `dumps`, as what holds it is being read.

    Raises:
        RefusedValueError: It holds what the store is not trusted with.
    """
    return _load_stored(bytes(payload))[0]


def _read(type_name: str, format: str, payload: bytes) -> tuple[Any, bool]:
    try:
        if format in (PICKLE, CLOUDPICKLE):
            return _load_stored(payload)
        if format.endswith(_COMPRESSED):
            return _read(type_name, format.removesuffix(_COMPRESSED), decompressed(payload))
        _refuse_strangers(type_name, format)
        try:
            kind = kind_named(type_name)
        except LookupError:
            raise InvalidValueError("", f"there is no type named {type_name!r} here") from None
        value = kind.decode(format, payload)
        return value, brings_code(type(value))
    except ModuleNotFoundError as error:
        # In the environment that it was made in it can be read; the record is nobody's to delete.
        reason = f"it needs the module {error.name!r}, which is not installed here"
        raise InvalidValueError("", reason) from error


def _refuse_strangers(type_name: str, format: str) -> None:
    """Refuse bytes that code of others would read, unless its class is said to be data.

    Finding a type by its name imports its module, and a class that reads its own bytes may do
    anything with them.
    """
    trust = gate.current_trust()
    if not trust.data_only:
        return
    names = [type_name, *format.split(" ")[1:]]  # a subclass of what was adopted is named besides
    for name in names:
        if not (is_own_type(name) or trust.allows(name)):
            raise RefusedValueError("", f"{name}, whose bytes are read by its own code", name)


def _load_stored(payload: bytes) -> tuple[Any, bool]:
    try:
        value, bears_code = gate.load(payload)
    except gate.RefusedError as error:
        raise RefusedValueError("", error.what, error.name) from error
    return value.value if type(value) is Flat else value, bears_code


def decode_outline(
    value_hash: ValueHash, format: str, payload: bytes | Outside, content_digest: ContentDigest
) -> Any:
    """Make a pickled value again with stand-ins for the objects in it, to look at and compare.

    Where `decode` needs the classes of a value to be importable, this needs none of them.

    Raises:
        DamagedValueError: These are other bytes, or no pickle, or they hold what has no outline.
    """
    content = payload.load(value_hash) if isinstance(payload, Outside) else payload
    assert isinstance(content, bytes)
    if digest_bytes(content) != content_digest:
        raise DamagedValueError(value_hash, "its bytes are not those that were written")
    if format == PICKLE + _COMPRESSED:
        format, content = PICKLE, decompressed(content)
    if format != PICKLE:
        raise DamagedValueError(value_hash, f"values stored as {format} have no outline")
    from taskgraph.values.standins import stand_in_for

    try:
        value = gate.outline(content, stand_in_for)
    except MemoryError:
        raise
    except gate.RefusedError as error:
        raise RefusedValueError(value_hash, error.what, error.name) from error
    except Exception as error:
        raise DamagedValueError(value_hash, f"it has no outline ({_describe(error)})") from error
    return value.value if type(value) is Flat else value


def dumps(value: Any, *, main_by_value: bool | None = None) -> bytes:
    """Return bytes that another process can make the value from.

    Functions and classes that can be imported are sent by name, all others by content.

    Args:
        value: Calls, arguments, results.
        main_by_value: Whether what is defined in ``__main__`` is sent by content; by default only
            if that is no script that a worker process could load.

    Raises:
        UnstorableValueError: It cannot be pickled.
    """
    if main_by_value is None:
        main_by_value = not hasattr(sys.modules.get("__main__"), "__file__")
    payload = _write(value, kind_of(value))[1]
    if main_by_value and b"__main__" in payload:
        return _write_by_content(value, None)
    return payload


def loads(payload: bytes | bytearray | memoryview) -> Any:
    """Make a value again from what `dumps` gave, in this run. Runs code, whatever the trust."""
    value = gate.receive(payload)
    return value.value if type(value) is Flat else value


def loads_noting(payload: bytes) -> tuple[Any, gate.Received]:
    """Do as `loads`; tells besides which code came along."""
    value, received = gate.receive_noting(payload)
    return value.value if type(value) is Flat else value, received


def _write(value: Any, kind: ValueKind) -> tuple[str, bytes]:
    target = value
    if overrides(kind, "flatten"):
        inside = list(kind.flatten(value))
        if inside:
            target = Flat(inside, value)
    try:
        return PICKLE, _pickle(target)
    except RecursionError:
        pass
    except Exception as error:  # __reduce__ and __getstate__ may raise anything
        return CLOUDPICKLE, _write_by_content(target, error)
    try:
        return PICKLE, _pickle_deep(target)
    except Exception as error:
        return CLOUDPICKLE, _write_by_content(target, error)


# What is written by one method of pickle's, without a look at anything inside.
_LEAVES = (ATOMIC_TYPES - {type(...)}) | {bytearray}
_OPENINGS: dict[type, bytes] = {
    list: pickle.EMPTY_LIST,
    dict: pickle.EMPTY_DICT,
    set: pickle.EMPTY_SET,
}
# The one that is written in Python, and says so little of itself that it has no types.
_PythonPickler: Any = pickle._Pickler


class _DeepPickler(_PythonPickler):  # type: ignore[misc]
    """Writes what any depth of values nests, and what is in cycles, without recursion.

    What it writes is an ordinary pickle: only the way through the value is its own, a list of
    generators in place of calls. Slow, and therefore only asked where the stack was too small.
    """

    dispatch_table = _DISPATCH

    def __init__(self, file: io.BytesIO, borrowed: Any = None) -> None:
        super().__init__(file, _PROTOCOL)
        # A pickler of cloudpickle, which knows what to do with functions and classes.
        self._borrowed = borrowed
        self._tables = [_DISPATCH] if borrowed is None else [_DISPATCH, borrowed.dispatch_table]
        # How often a value is being reduced right now: it may be met inside of what it is made
        # from, but then that must be in the memo when it is met again.
        self._entered: dict[int, int] = {}

    def dump(self, obj: Any) -> None:
        self.write(pickle.PROTO + bytes([_PROTOCOL]))
        stack = [self._steps(obj)]
        while stack:
            for inner in stack[-1]:
                if not self._write_known(inner):
                    if len(stack) > MAX_NESTING:
                        raise pickle.PicklingError("it is nested without end")
                    stack.append(self._steps(inner))
                    break
            else:
                stack.pop()
        self.write(pickle.STOP)

    def _write_known(self, value: Any) -> bool:
        known = self.memo.get(id(value))
        if known is not None:
            self.write(self.get(known[0]))
        elif type(value) in _LEAVES:
            self.dispatch[type(value)](self, value)
        else:
            return False
        return True

    def _steps(self, value: Any) -> Iterator[Any]:
        if self._write_known(value):
            return iter(())
        cls = type(value)
        if cls is list or cls is dict or cls is set:
            return self._fill(value)
        if cls is tuple or cls is frozenset:
            return self._build(value)
        return self._reduce(value)

    def _fill(self, value: Any) -> Iterator[Any]:
        cls = type(value)
        self.write(_OPENINGS[cls])
        self.memoize(value)
        if cls is list:
            yield from self._append(value)
        elif cls is dict:
            yield from self._set_items(value.items())
        elif value:
            self.write(pickle.MARK)
            yield from value
            self.write(pickle.ADDITEMS)

    def _append(self, items: Iterable[Any]) -> Iterator[Any]:
        for each in items:
            yield each
            self.write(pickle.APPEND)

    def _set_items(self, pairs: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
        for key, each in pairs:
            yield key
            yield each
            self.write(pickle.SETITEM)

    def _build(self, value: Any) -> Iterator[Any]:
        self._open(value)
        self.write(pickle.MARK)
        yield from value
        self._entered[id(value)] -= 1
        known = self.memo.get(id(value))
        if known is not None:
            # It was made on the way, inside of something that it holds.
            self.write(pickle.POP_MARK + self.get(known[0]))
            return
        self.write(pickle.TUPLE if type(value) is tuple else pickle.FROZENSET)
        if value or type(value) is frozenset:
            self.memoize(value)

    def _open(self, value: Any) -> None:
        times = self._entered.get(id(value), 0)
        if times > 2:
            raise pickle.PicklingError(f"a {class_name(type(value))} is made from itself")
        self._entered[id(value)] = times + 1

    def _ask(self, value: Any) -> Any:
        """Return how a value is made again, as ``__reduce__`` would; text if by name."""
        cls = type(value)
        if self._borrowed is not None:
            reduced = self._borrowed.reducer_override(value)
            if reduced is not NotImplemented:
                return reduced
        reducer = next((table[cls] for table in self._tables if cls in table), None)
        if reducer is not None:
            return reducer(value)
        if cls in self.dispatch or issubclass(cls, type):
            return None
        return value.__reduce_ex__(_PROTOCOL)

    def _reduce(self, value: Any) -> Iterator[Any]:
        reduced = self._ask(value)
        if reduced is None or isinstance(reduced, str):
            self._write_global(value, reduced)
            return
        made_by, arguments, state, items, pairs, setter = (*reduced, *[None] * 6)[:6]
        self._open(value)
        name = getattr(made_by, "__name__", "")
        if name == "__newobj_ex__":
            cls, given, named = arguments
            yield cls
            yield given
            yield named
            self.write(pickle.NEWOBJ_EX)
        elif name == "__newobj__":
            yield arguments[0]
            yield tuple(arguments[1:])
            self.write(pickle.NEWOBJ)
        else:
            yield made_by
            yield tuple(arguments)
            self.write(pickle.REDUCE)
        self._entered[id(value)] -= 1
        known = self.memo.get(id(value))
        if known is not None:
            self.write(pickle.POP + self.get(known[0]))
            return
        self.memoize(value)
        yield from self._append(items or ())
        yield from self._set_items(pairs or ())
        if state is not None and setter is None:
            yield state
            self.write(pickle.BUILD)
        elif state is not None:
            yield setter
            yield value
            yield state
            self.write(pickle.TUPLE2 + pickle.REDUCE + pickle.POP)

    def _write_global(self, value: Any, name: str | None) -> None:
        if name is None and type(value) in self.dispatch:
            self.dispatch[type(value)](self, value)
        else:
            self.save_global(value, name=name)


def _pickle_deep(value: Any, borrowed: Any = None) -> bytes:
    buffer = io.BytesIO()
    _DeepPickler(buffer, borrowed).dump(value)
    return buffer.getvalue()


def _pickle(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, _PROTOCOL).dump(value)
    return buffer.getvalue()


def _write_by_content(value: Any, first_error: Exception | None) -> bytes:
    try:
        return _pickle_by_content(value)
    except RecursionError as error:
        shown = value.value if type(value) is Flat else value
        raise UnstorableValueError(class_name(type(shown)), "it is nested too deeply") from error
    except Exception as error:
        shown = value.value if type(value) is Flat else value
        reason = _describe(first_error or error)
        raise UnstorableValueError(class_name(type(shown)), reason) from error


def _pickle_by_content(value: Any) -> bytes:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = _Dispatch(Reducers(cloudpickle.Pickler.dispatch_table))

    buffer = io.BytesIO()
    pickler = Pickler(buffer, protocol=_PROTOCOL)
    try:
        pickler.dump(value)
    except (RecursionError, pickle.PicklingError) as error:
        # It tells of a stack that was too small in its own words.
        if isinstance(error, pickle.PicklingError) and "recursion" not in str(error):
            raise
        return _pickle_deep(value, Pickler(io.BytesIO(), protocol=_PROTOCOL))
    return buffer.getvalue()


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


__all__ = [
    "CLOUDPICKLE",
    "PICKLE",
    "decode",
    "decode_marked",
    "decode_outline",
    "decode_sent",
    "dumps",
    "encode",
    "encode_plain",
    "loads",
    "loads_noting",
    "read",
    "read_inside",
    "restore_inside",
    "restore_path",
    "restore_proxy",
]
