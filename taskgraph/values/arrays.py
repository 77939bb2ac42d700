"""The kinds of numpy's arrays and scalars: by dtype, shape and content, never by strides.

Only what counts is hashed: not the padding of structured dtypes or of long doubles, and never the
addresses that arrays of objects hold. Contiguous arrays are hashed and written without a copy.
"""

from __future__ import annotations

import ast
import io
import math
import mmap
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import numpy as np

from taskgraph.values import objects
from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.objects import take_apart
from taskgraph.values.registry import register

NPY = "npy"
# Version 3 of the format: field names in UTF-8; read by all supported versions of numpy.
_NPY_VERSION = (3, 0)
# Kinds of dtypes whose items are plain bytes; all others (objects, strings of variable length,
# what strangers define) are hashed item by item.
_PLAIN_KINDS = frozenset("?biufcmMSUV")

Buffer = memoryview | bytes

# Attributes of masked arrays that are hashed by themselves, or follow from the rest.
_MASKED = frozenset(
    [
        "_basedict",
        "_baseclass",
        "_fill_value",
        "_hardmask",
        "_isfield",
        "_mask",
        "_optinfo",
        "_sharedmask",
    ]
)
_STATE_METHODS = ("__reduce__", "__reduce_ex__")


class ArrayKind(ValueKind):
    """Arrays: by dtype, shape and content in C order. Stored in numpy's own format."""

    name = "numpy.ndarray"

    def shape(self, value: Any) -> Shape:
        """Return dtype and shape, with the content in place or, for objects, the items inside."""
        return _describe("numpy.ndarray", (), np.asarray(value))

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return the array in numpy's format, if nothing in it must be pickled."""
        array = np.asarray(value)
        if not _is_plain(array.dtype) or _has_metadata(array.dtype):
            return None
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, version=_NPY_VERSION, allow_pickle=False)
        return NPY, buffer.getvalue()

    def write(self, value: Any, sink: IO[bytes]) -> str | None:
        """Write the array in numpy's format, if nothing in it must be pickled."""
        array = np.asarray(value)
        if not _is_plain(array.dtype) or _has_metadata(array.dtype):
            return None
        # To what is no file of the system it writes in pieces of 16 MiB.
        np.lib.format.write_array(sink, array, version=_NPY_VERSION, allow_pickle=False)
        return NPY

    def bytes_in(self, value: Any) -> int:
        """Return the size of the content."""
        return int(value.nbytes)

    def decode(self, format: str, payload: bytes) -> Any:
        """Read an array; never unpickles."""
        if format != NPY:
            raise ValueError(f"arrays are stored as {NPY}, not as {format}")
        if isinstance(payload, mmap.mmap):
            return _map(payload)
        return np.lib.format.read_array(io.BytesIO(payload), allow_pickle=False)

    def preview(self, value: Any) -> str:
        """Return dtype, shape and the first items."""
        array = np.asarray(value)
        first = list(islice(array.flat, 6))
        more = ", ..." if array.size > len(first) else ""
        items = ", ".join(repr(str(each)) if isinstance(each, str) else str(each) for each in first)
        return f"array({array.dtype}, shape={array.shape}, [{items}{more}])"


def _map(payload: mmap.mmap) -> np.ndarray[Any, Any]:
    """Return an array whose content is where it is in a map of a file."""
    payload.seek(0)
    version = np.lib.format.read_magic(payload)
    if version != _NPY_VERSION:
        return np.lib.format.read_array(payload, allow_pickle=False)
    length = int.from_bytes(payload.read(4), "little")
    header = ast.literal_eval(payload.read(length).decode())
    dtype = np.lib.format.descr_to_dtype(header["descr"])
    shape = header["shape"]
    count = math.prod(shape)
    if not count or not dtype.itemsize:
        return np.zeros(shape, dtype, order="F" if header["fortran_order"] else "C")
    flat: np.ndarray[Any, Any] = np.frombuffer(payload, dtype, count, payload.tell())
    return flat.reshape(shape, order="F" if header["fortran_order"] else "C")


class ArraySubclassKind(ValueKind):
    """Subclasses of arrays: by class, content and attributes."""

    def shape(self, value: Any) -> Shape:
        """Return the class with the content as a plain array, and the attributes."""
        cls: Any = type(value)
        if any(getattr(cls, name) is not getattr(np.ndarray, name) for name in _STATE_METHODS):
            return objects.OBJECT.shape(value)
        taken = take_apart(getattr(value, "__dict__", None) or None, cls)
        labels = ["", *taken.labels]
        state = (*_class_path(cls), taken.described)
        inside = [_as_base(value), *taken.values]
        return Shape("numpy subclass", state, inside, labels.__getitem__)


class MaskedArrayKind(ValueKind):
    """Masked arrays: by data, mask and fill value; not by how hard the mask is, as for pickle."""

    def shape(self, value: Any) -> Shape:
        """Return the parts as children."""
        attributes = value.__dict__
        info = dict(sorted((attributes.get("_optinfo") or {}).items()))
        others = take_apart({n: attributes[n] for n in attributes if n not in _MASKED}, type(value))
        state = (*_class_path(type(value)), others.described)
        labels = [".data", ".mask", ".fill_value", "._optinfo", *others.labels]
        parts = [_as_base(value), np.ma.getmaskarray(value), _fill_value(value), info]
        return Shape("numpy.ma", state, [*parts, *others.values], labels.__getitem__)


def _fill_value(value: Any) -> Any:
    # The default one is of the array's dtype only after the first copy.
    if value.dtype.names is not None or value.dtype.hasobject:
        return value.fill_value
    return np.asarray(value.fill_value).astype(value.dtype)[()]


class ScalarKind(ValueKind):
    """Scalars: by dtype and content; never the same as a number of Python's."""

    def shape(self, value: Any) -> Shape:
        """Return dtype and content."""
        cls = type(value)
        # Those of numpy are told apart by their dtype, and called differently in its versions.
        own = () if _is_of_numpy(cls) else class_path(cls)
        return _describe("numpy.scalar", own, np.asarray(value))


class DtypeKind(ValueKind):
    """Dtypes, as they are described in the hash of an array."""

    def shape(self, value: Any) -> Shape:
        """Return the description."""
        described, inside = describe_dtype(value)
        return Shape("numpy.dtype", described, inside, lambda _: ".na_object")


class RandomKind(ValueKind):
    """Sources of random numbers: by what they are, and by their state now."""

    def shape(self, value: Any) -> Shape:
        """Return the class, with the state inside."""
        state: Any
        if isinstance(value, np.random.Generator):
            state = value.bit_generator
        elif isinstance(value, np.random.RandomState):
            state = value.get_state(legacy=False)
        elif isinstance(value, np.random.SeedSequence):
            state = dict(sorted(value.state.items()))
        else:
            # The seeds say which sources it would give birth to.
            state = (value.state, getattr(value, "seed_seq", None))
        return Shape("numpy.random", _class_path(type(value)), (state,), lambda _: ".state")


def _describe(tag: str, extra: tuple[str, ...], array: np.ndarray[Any, Any]) -> Shape:
    described, inside = describe_dtype(array.dtype)
    state = (extra, described, array.shape)
    if _is_plain(array.dtype):
        return Shape(tag, state, inside, buffers=tuple(_contents(array)))
    items = array.ravel(order="C").tolist()
    dims = array.shape
    return Shape(
        tag,
        (*state, len(inside)),
        [*inside, *items],
        lambda position: _step(position - len(inside), dims),
    )


def _step(position: int, dims: tuple[int, ...]) -> str:
    if position < 0:
        return ".dtype"
    where = np.unravel_index(position, dims) if dims else ()
    return f"[{', '.join(str(int(each)) for each in where)}]"


def describe_dtype(dtype: np.dtype[Any]) -> tuple[Any, list[Any]]:
    """Return a dtype as plain data: byte order, field names and inner dtypes, but no padding.

    Returns:
        The description, and what it cannot say in plain data (the missing value of a string).
    """
    if dtype.subdtype is not None:
        inner, dims = dtype.subdtype
        described, inside = describe_dtype(inner)
        return ("subarray", described, tuple(dims)), inside
    if dtype.names is not None:
        fields: list[Any] = []
        found: list[Any] = []
        assert dtype.fields is not None
        for name in dtype.names:
            field = dtype.fields[name]
            described, inside = describe_dtype(field[0])
            title = field[2] if len(field) > 2 else None
            fields.append((str(name), described, None if title is None else str(title)))
            found += inside
        return ("record" if dtype.type is np.record else "fields", *fields), found
    if type(dtype).__name__ == "StringDType":
        # Its missing value may be any object, and may not be there at all.
        missing = getattr(dtype, "na_object", None)
        has_missing = hasattr(dtype, "na_object")
        return ("string", bool(getattr(dtype, "coerce", True)), has_missing), [missing]
    if _is_strange(dtype):
        return ("strange", *class_path(dtype.type), dtype.str, str(dtype)), []
    if dtype.kind == "V" and dtype.type is np.record:
        return ("record", dtype.str), []
    return dtype.str, []


def _is_strange(dtype: np.dtype[Any]) -> bool:
    """Tell whether a dtype was defined outside of numpy; their codes are not their own."""
    return dtype.isbuiltin == 2 or not _is_of_numpy(type(dtype))


def _is_plain(dtype: np.dtype[Any]) -> bool:
    if dtype.hasobject:
        return False
    if dtype.subdtype is not None:
        return _is_plain(dtype.subdtype[0])
    if dtype.names is not None:
        assert dtype.fields is not None
        return all(_is_plain(dtype.fields[name][0]) for name in dtype.names)
    if _is_strange(dtype):
        return dtype.isbuiltin == 2  # old-style dtypes are always of a fixed width
    return dtype.kind in _PLAIN_KINDS


def _has_metadata(dtype: np.dtype[Any]) -> bool:
    if dtype.metadata:
        return True
    if dtype.subdtype is not None:
        return _has_metadata(dtype.subdtype[0])
    fields: Any = dtype.fields or {}
    # Strange dtypes have codes that the format cannot tell from those of others.
    return _is_strange(dtype) or any(_has_metadata(field[0]) for field in fields.values())


def _contents(array: np.ndarray[Any, Any]) -> Iterator[Buffer]:
    """Yield the content in C order: one buffer, or one for each field of a structured dtype."""
    dtype = array.dtype
    if dtype.names is not None:
        for name in dtype.names:
            yield from _contents(array[name])
        return
    if not array.size or not dtype.itemsize:
        yield b""
        return
    flat = np.ascontiguousarray(array).reshape(-1)
    raw: np.ndarray[Any, Any] = flat.view(np.uint8)
    padding = _padding(dtype)
    if padding:
        width = dtype.itemsize if dtype.kind == "f" else dtype.itemsize // 2
        kept = raw.reshape(-1, width)
        # In big-endian order the padding stands first.
        kept = kept[:, padding:] if dtype.byteorder == ">" else kept[:, : width - padding]
        raw = np.ascontiguousarray(kept).reshape(-1)
    yield memoryview(raw)  # type: ignore[arg-type]  # has a buffer since always


def _padding(dtype: np.dtype[Any]) -> int:
    """Return how many bytes of each long double hold nothing (6 where 10 of 16 are used)."""
    if dtype.char not in "gG":
        return 0
    width = dtype.itemsize if dtype.kind == "f" else dtype.itemsize // 2
    is_extended = np.finfo(np.longdouble).nmant == 63
    return width - 10 if is_extended else 0


def _as_base(value: Any) -> np.ndarray[Any, Any]:
    base: np.ndarray[Any, Any] = np.ndarray.view(value, np.ndarray)
    if base.dtype.type is np.record:
        base = base.view(np.dtype((np.void, base.dtype)))
    return base


def _is_of_numpy(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "numpy"


def _class_path(cls: type) -> tuple[str, str]:
    """Return where a class is; numpy moves its own between modules."""
    return ("numpy", cls.__name__) if _is_of_numpy(cls) else class_path(cls)


def register_arrays() -> None:
    """Register the kinds of numpy's types."""
    register(np.ndarray, ArraySubclassKind(), subclasses=True)
    register(np.ma.MaskedArray, MaskedArrayKind(), subclasses=True)
    # An array whose bytes lie in a file is the same as one whose bytes lie in memory.
    register(np.memmap, ArrayKind())
    register(np.ndarray, ArrayKind())
    register(np.generic, ScalarKind(), subclasses=True)
    register(np.dtype, DtypeKind(), subclasses=True)
    register(type(np.ma.masked), objects.OBJECT)
    for cls in (
        np.random.Generator,
        np.random.BitGenerator,
        np.random.RandomState,
        np.random.SeedSequence,
    ):
        register(cls, RandomKind(), subclasses=True)


__all__ = ["NPY", "describe_dtype", "register_arrays"]
