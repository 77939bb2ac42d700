"""The codec: the one place where anything is pickled or unpickled.

Bytes from the store are checked against their digest before anything reads them, and whatever goes
wrong while they are read is a damaged value, never another error.
"""

from __future__ import annotations

import io
import pathlib
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable
from copyreg import dispatch_table
from typing import Any, NamedTuple

from taskgraph.errors import DamagedValueError, UnhashableValueError, UnstorableValueError
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES, ContentDigest, ValueHash, digest_bytes
from taskgraph.values.kinds import ValueKind, class_name, overrides
from taskgraph.values.registry import kind_named, kind_of
from taskgraph.values.walk import inner_values, items_of

PICKLE = "pickle"
CLOUDPICKLE = "cloudpickle"
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


def _reduce_path(path: pathlib.PurePath) -> tuple[Callable[..., Any], tuple[str, str]]:
    return restore_path, (type(path).__name__, str(path))


_PATH_CLASSES = (
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.PosixPath,
    pathlib.WindowsPath,
)


_DISPATCH: ChainMap[type, Any] = ChainMap(
    dict.fromkeys(_PATH_CLASSES, _reduce_path), dispatch_table
)


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
    payload: bytes,
    content_digest: ContentDigest,
) -> Any:
    """Make a stored value again, after its bytes were checked.

    Args:
        value_hash: What to call it in an error.
        type_name: The name of its type, as it was stored.
        format: As `encode` gave it.
        payload: The bytes.
        content_digest: The digest of the bytes when they were written.

    Raises:
        DamagedValueError: These are other bytes, or they can no longer be read.
    """
    if digest_bytes(payload) != content_digest:
        raise DamagedValueError(value_hash, "its bytes are not those that were written")
    try:
        if format in (PICKLE, CLOUDPICKLE):
            return loads(payload)
        return kind_named(type_name).decode(format, payload)
    except MemoryError:
        raise
    except Exception as error:
        # The bytes are right, so what they refer to is gone or has changed (a module, a class, a
        # __setstate__): whatever it is, the value cannot be used, and its call runs again.
        reason = f"it cannot be read as {type_name} ({_describe(error)})"
        raise DamagedValueError(value_hash, reason) from error


# Builtins and modules of the standard library that hold data and do nothing.
_HARMLESS = frozenset(
    {
        "array",
        "collections",
        "copyreg",
        "datetime",
        "decimal",
        "fractions",
        "ipaddress",
        "pathlib",
        "uuid",
        "zoneinfo",
    }
)
# Packages whose values are data that this library knows how to take apart.
_KNOWN_PACKAGES = frozenset({"numpy", "pandas", "polars", "pyarrow", "taskgraph"})
_HARMLESS_BUILTINS = frozenset(
    {"bytearray", "complex", "frozenset", "list", "range", "set", "slice", "dict", "tuple"}
    | {"int", "float", "str", "bytes", "bool", "object", "type", "Ellipsis", "NotImplemented"}
)


class _Outliner(pickle.Unpickler):
    """Makes stand-ins for all objects of classes that are not plain data: no code of theirs runs.

    It is not a sandbox: the bytes must be trusted as those of `decode` must be.
    """

    def find_class(self, module_name: str, global_name: str) -> Any:
        if module_name == "builtins" and global_name in _HARMLESS_BUILTINS:
            return super().find_class(module_name, global_name)
        if module_name in _HARMLESS or module_name.partition(".")[0] in _KNOWN_PACKAGES:
            return super().find_class(module_name, global_name)
        from taskgraph.values.standins import stand_in_for

        return stand_in_for(module_name, global_name)


def decode_outline(
    value_hash: ValueHash, format: str, payload: bytes, content_digest: ContentDigest
) -> Any:
    """Make a pickled value again with stand-ins for the objects in it, to look at and compare.

    Where `decode` needs the classes of a value to be importable, this needs none of them.

    Raises:
        DamagedValueError: These are other bytes, or no pickle, or they hold what has no outline.
    """
    if digest_bytes(payload) != content_digest:
        raise DamagedValueError(value_hash, "its bytes are not those that were written")
    if format != PICKLE:
        raise DamagedValueError(value_hash, f"values stored as {format} have no outline")
    try:
        value = _Outliner(io.BytesIO(payload)).load()
    except MemoryError:
        raise
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
    """Make a value again from what `dumps` gave. Runs code: only for bytes that are trusted."""
    value = pickle.loads(payload)
    return value.value if type(value) is Flat else value


def _write(value: Any, kind: ValueKind) -> tuple[str, bytes]:
    target = value
    if overrides(kind, "flatten"):
        inside = list(kind.flatten(value))
        if inside:
            target = Flat(inside, value)
    try:
        return PICKLE, _pickle(target)
    except RecursionError:
        target = Flat(_innermost_first(value), value)
    except Exception as error:  # __reduce__ and __getstate__ may raise anything
        return CLOUDPICKLE, _write_by_content(target, error)
    try:
        return PICKLE, _pickle(target)
    except Exception as error:
        return CLOUDPICKLE, _write_by_content(target, error)


def _pickle(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, _PROTOCOL).dump(value)
    return buffer.getvalue()


def _write_by_content(value: Any, first_error: Exception | None) -> bytes:
    import cloudpickle

    shown = value.value if type(value) is Flat else value
    try:
        written: bytes = cloudpickle.dumps(value, protocol=_PROTOCOL)
    except RecursionError as error:
        if type(value) is not Flat:
            return _write_by_content(Flat(_innermost_first(value), value), first_error)
        raise UnstorableValueError(class_name(type(shown)), "it is nested too deeply") from error
    except Exception as error:
        reason = _describe(first_error or error)
        raise UnstorableValueError(class_name(type(shown)), reason) from error
    return written


def _innermost_first(value: Any) -> list[Any]:
    """Return all that lies inside a value, what is inside before what is around it."""
    found: list[Any] = []
    seen: dict[int, Any] = {id(value): value}
    stack = [(value, iter(_inside(value)))]
    while stack:
        current, rest = stack[-1]
        for each in rest:
            if type(each) not in ATOMIC_TYPES and id(each) not in seen:
                seen[id(each)] = each
                stack.append((each, iter(_inside(each))))
                break
        else:
            stack.pop()
            if stack:
                found.append(current)
    return found


def _inside(value: Any) -> list[Any]:
    if type(value) in CONTAINER_TYPES:
        return items_of(value)
    kind = kind_of(value)
    if overrides(kind, "flatten"):
        return list(kind.flatten(value))
    try:
        return list(kind.shape(value).children) if overrides(kind, "shape") else []
    except UnhashableValueError:
        return inner_values(value, kind)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


__all__ = [
    "CLOUDPICKLE",
    "PICKLE",
    "decode",
    "decode_outline",
    "dumps",
    "encode",
    "encode_plain",
    "loads",
    "restore_path",
]
