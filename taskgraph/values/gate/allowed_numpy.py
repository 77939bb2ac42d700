"""What of numpy is let in: arrays, scalars and dtypes, made through doors that check what they get.

numpy's own ``__setstate__`` takes the layout of a dtype, and of an array, as it comes: with an
object dtype over plain bytes a pickle would say where in memory its objects lie.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from taskgraph.values.gate.refusals import Pending, Rule, check

_CODE = re.compile(r"[|<>=]?[?biufcmMOSUV]\d*")
_UNIT = re.compile(r"Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as|generic")
_ALIGNED = 0x80  # of the flags of a structured dtype
_LARGEST = 1 << 40


_dtype_of: Any = np.dtype  # its overloads are for dtypes that are known beforehand


def _dtype(code: Any, align: Any = False, copy: Any = True) -> Pending:
    check(
        code is np.record or (type(code) is str and _CODE.fullmatch(code)),
        f"a dtype of the code {code!r}",
    )
    return Pending(lambda state: _built_dtype(code, state), "a dtype")


def _built_dtype(code: Any, state: Any) -> Any:
    check(type(state) is tuple and len(state) in (8, 9), "a dtype with an unknown state")
    _, endian, sub, names, fields, size, _, flags, *more = state
    base: Any = None if code is np.record else np.dtype(code)
    if sub is not None:
        check(type(sub) is tuple and len(sub) == 2 and _is_dtype(sub[0]), "a dtype of arrays")
        return _dtype_of((sub[0], _shape(sub[1])))
    if names is not None:
        made = _structured(names, fields, size, flags)
        return np.dtype((np.record, made)) if code is np.record else made
    if code is np.record:
        check(type(size) is int and 0 <= size < _LARGEST, "a record of an impossible size")
        return np.dtype((np.record, size))
    metadata = more[0] if more else None
    if base.kind in "mM" and metadata is not None:
        check(type(metadata) is tuple and len(metadata) == 2, "a time without a unit")
        metadata, unit = metadata
        base = _time(base.kind, unit)
    if endian in ("<", ">"):
        base = base.newbyteorder(endian)
    if type(metadata) is dict and metadata:
        base = _dtype_of(base, metadata=metadata)
    return base


def _time(kind: str, unit: Any) -> Any:
    check(type(unit) is tuple and len(unit) >= 2, "a time without a unit")
    name, count = unit[0], unit[1]
    name = name.decode("ascii") if type(name) is bytes else name
    check(
        type(name) is str and _UNIT.fullmatch(name) and type(count) is int and count > 0,
        "a time of an unknown unit",
    )
    if name == "generic":
        return np.dtype(f"{kind}8")
    return np.dtype(f"{kind}8[{count}{name}]")


def _structured(names: Any, fields: Any, size: Any, flags: Any) -> Any:
    is_known = type(names) is tuple and type(fields) is dict and type(size) is int
    check(is_known and all(type(each) is str for each in names), "a dtype without names")
    found = [fields.get(name) for name in names]
    for each in found:
        check(
            type(each) is tuple
            and len(each) in (2, 3)
            and _is_dtype(each[0])
            and type(each[1]) is int,
            "a dtype with a field that is none",
        )
    said: dict[str, Any] = {
        "names": list(names),
        "formats": [each[0] for each in found],
        "offsets": [each[1] for each in found],
        "itemsize": size,
    }
    if any(len(each) == 3 for each in found):
        said["titles"] = [each[2] if len(each) == 3 else None for each in found]
    # Fields that overlap others with objects, or lie outside, are refused by numpy here.
    return _dtype_of(said, align=bool(type(flags) is int and flags & _ALIGNED))


def _is_dtype(thing: Any) -> bool:
    return isinstance(thing, np.dtype)


def _shape(shape: Any) -> tuple[int, ...]:
    check(
        type(shape) is tuple and all(type(each) is int and each >= 0 for each in shape),
        "a shape that is none",
    )
    return tuple(shape)


_SUBCLASSES = (np.ndarray, np.rec.recarray, np.matrix, np.memmap)


def _reconstruct(cls: Any, shape: Any, code: Any) -> Pending:
    check(any(cls is each for each in _SUBCLASSES), "an array of another class")

    def build(state: Any) -> Any:
        check(type(state) is tuple and len(state) == 5, "an array with an unknown state")
        _, dims, dtype, is_fortran, raw = state
        made = _filled(_shape(dims), dtype, bool(is_fortran), raw)
        return made if cls in (np.ndarray, np.memmap) else made.view(cls)

    return Pending(build, "an array")


def _filled(dims: tuple[int, ...], dtype: Any, is_fortran: bool, raw: Any) -> Any:
    check(_is_dtype(dtype), "an array without a dtype")
    count = math.prod(dims)
    order: Any = "F" if is_fortran else "C"
    if dtype.hasobject:
        check(type(raw) is list and len(raw) == count, "an array of fewer objects than it has")
        check(not any(type(each) is Pending for each in raw), "an array that holds itself")
        flat = np.empty(count, dtype)
        for place, each in enumerate(raw):
            flat[place] = each
        return flat.reshape(dims, order=order)
    check(type(raw) in (bytes, bytearray), "an array of something else than bytes")
    check(len(raw) == count * dtype.itemsize, "an array of fewer bytes than it has")
    if not raw:
        check(count < _LARGEST, "an array of an impossible size")
        return np.zeros(dims, dtype, order)
    # A copy, for what is made of bytes cannot be written to.
    return np.frombuffer(bytearray(raw), dtype).reshape(dims, order=order)


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Any:
    check(_is_dtype(dtype) and not dtype.hasobject, "an array of objects that lie in bytes")
    made = _filled(_shape(shape), dtype, order == "F", raw)
    if axes is None:
        return made
    return made.transpose(_shape(axes))


def _scalar(dtype: Any, raw: Any = None) -> Any:
    check(_is_dtype(dtype) and not dtype.hasobject, "a scalar that is an object")
    check(type(raw) is bytes and len(raw) == dtype.itemsize, "a scalar of fewer bytes than it has")
    if not dtype.itemsize:
        return np.zeros((), dtype)[()]
    return np.frombuffer(raw, dtype, 1)[0]


def _masked(cls: Any, base: Any, shape: Any, code: Any) -> Pending:
    check(cls is np.ma.MaskedArray and base is np.ndarray, "a masked array of another class")

    def build(state: Any) -> Any:
        check(type(state) is tuple and len(state) == 7, "a masked array with an unknown state")
        _, dims, dtype, is_fortran, raw, mask, fill_value = state
        dims = _shape(dims)
        content = _filled(dims, dtype, bool(is_fortran), raw)
        masked = _filled(dims, np.ma.make_mask_descr(dtype), bool(is_fortran), mask)
        return np.ma.MaskedArray(content, mask=masked, fill_value=fill_value)

    return Pending(build, "a masked array")


_CLASS = Rule()
_MULTIARRAY = {"_reconstruct": Rule(call=_reconstruct), "scalar": Rule(call=_scalar)}
_NUMERIC = {"_frombuffer": Rule(call=_frombuffer)}

#: By module and name.
TABLE: dict[str, dict[str, Any]] = {
    "numpy": {
        "ndarray": _CLASS,
        "dtype": Rule(call=_dtype),
        "record": _CLASS,
        "matrix": _CLASS,
        "memmap": _CLASS,
        **{
            cls.__name__: _CLASS
            for cls in {np.dtype(code).type for code in "?bBhHiIlLqQefdgFDGSUVOMm"}
        },
    },
    "numpy.core.multiarray": _MULTIARRAY,
    "numpy._core.multiarray": _MULTIARRAY,
    "numpy.core.numeric": _NUMERIC,
    "numpy._core.numeric": _NUMERIC,
    "numpy.rec": {"recarray": _CLASS},
    "numpy.matrixlib.defmatrix": {"matrix": _CLASS},
    "numpy.ma": {"MaskedArray": _CLASS},
    "numpy.ma.core": {"_mareconstruct": Rule(call=_masked), "MaskedArray": _CLASS},
}

__all__ = ["TABLE"]
