"""Pickles that would run code, or take the process down, if they were read as they come.

Each touches the file ``CANARY`` in the working directory when its code runs, by whatever way.
"""

from __future__ import annotations

import copyreg
import pickle
import struct
from collections.abc import Callable
from typing import Any

from taskgraph.values.codec import Flat

CANARY = "canary"
_COMMAND = f"touch {CANARY}"
_CODE = f"open({CANARY!r}, 'w').close()"

PROTO = pickle.PROTO + b"\x05"
STOP = pickle.STOP


def text(said: str) -> bytes:
    raw = said.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + pickle.STACK_GLOBAL


def call(function: bytes, *args: bytes) -> bytes:
    return function + pickle.MARK + b"".join(args) + pickle.TUPLE + pickle.REDUCE


def whole(body: bytes) -> bytes:
    return PROTO + body + STOP


class Reduced:
    """Reduces to whatever it is given."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


SYSTEM = call(named("os", "system"), text(_COMMAND))
_GETATTR = named("builtins", "getattr")


def _in_object_array() -> bytes:
    import numpy as np

    array = np.empty(2, object)
    array[0] = Reduced(exec, (_CODE,))
    return pickle.dumps(array, 5)


def _extension(code: int) -> bytes:
    return PROTO + pickle.EXT1 + bytes([code]) + pickle.MARK + text(_COMMAND) + b"tR."


def register_extension() -> None:
    """Give an extension code, and have it in the cache where the reader in C looks first."""
    copyreg.add_extension("os", "system", 77)
    copyreg._extension_cache[77] = __import__("os").system  # type: ignore[attr-defined]


def _nested() -> bytes:
    """Return a pickle whose value is a pickle's bytes, and that unpickles these as well."""
    inner = pickle.dumps(Reduced(exec, (_CODE,)), 5)
    return whole(
        call(named("pickle", "loads"), pickle.SHORT_BINBYTES + bytes([len(inner)]) + inner)
    )


#: Those of which the canary appears when everything is trusted.
RUNNING: dict[str, Callable[[], bytes]] = {
    "os.system": lambda: whole(SYSTEM),
    "posix.system": lambda: whole(call(named("posix", "system"), text(_COMMAND))),
    "by GLOBAL": lambda: b"cos\nsystem\n(S'" + _COMMAND.encode() + b"'\ntR.",
    "by INST": lambda: b"(S'" + _COMMAND.encode() + b"'\nios\nsystem\n.",
    "by OBJ": lambda: PROTO + pickle.MARK + named("os", "system") + text(_COMMAND) + b"o.",
    "exec by reduce": lambda: pickle.dumps(Reduced(exec, (_CODE,)), 5),
    "eval by reduce": lambda: pickle.dumps(Reduced(eval, (_CODE,)), 5),
    "subprocess": lambda: whole(
        call(
            named("subprocess", "call"),
            pickle.MARK + text("touch") + text(CANARY) + pickle.LIST,
        )
    ),
    "in a list": lambda: pickle.dumps([1, {"a": (Reduced(exec, (_CODE,)),)}], 5),
    "as a key": lambda: whole(pickle.EMPTY_DICT + SYSTEM + pickle.NONE + pickle.SETITEM),
    "in a set": lambda: whole(pickle.EMPTY_SET + pickle.MARK + SYSTEM + pickle.ADDITEMS),
    "in a frozenset": lambda: whole(pickle.MARK + SYSTEM + pickle.FROZENSET),
    "in an object array": _in_object_array,
    "in Flat": lambda: pickle.dumps(Flat([Reduced(exec, (_CODE,))], 1), 5),
    "in a deque": lambda: whole(
        call(
            named("collections", "deque"),
            pickle.MARK + SYSTEM + pickle.LIST,
        )
    ),
    "in a stored error": lambda: whole(
        call(named("taskgraph.values.failures", "restore_error"), SYSTEM, pickle.NONE)
    ),
    "in a view": lambda: whole(
        call(
            named("taskgraph.values.codec", "restore_proxy"),
            pickle.EMPTY_DICT + text("a") + SYSTEM + pickle.SETITEM,
        )
    ),
    "a pickle in a pickle": _nested,
    "a pickle that a class reads": lambda: whole(
        call(
            named("taskgraph.values.value", "restore_value"),
            named("taskgraph.values.value", "Value"),
            named("builtins", "int"),
            pickle.BINBYTES + struct.pack("<I", len(whole(SYSTEM))) + whole(SYSTEM),
        )
    ),
    "by an extension code": lambda: _extension(77),
    "by getattr": lambda: whole(
        call(
            call(_GETATTR, call(named("builtins", "__import__"), text("os")), text("system")),
            text(_COMMAND),
        )
    ),
    "by a dotted name": lambda: whole(call(named("pathlib", "os.system"), text(_COMMAND))),
    "by functools.partial": lambda: whole(
        call(call(named("functools", "partial"), named("os", "system"), text(_COMMAND)))
    ),
    "by operator.methodcaller": lambda: whole(
        call(
            call(named("operator", "methodcaller"), text("system"), text(_COMMAND)),
            call(named("builtins", "__import__"), text("os")),
        )
    ),
    "by operator.attrgetter": lambda: whole(
        call(
            call(
                call(named("operator", "attrgetter"), text("system")),
                call(named("builtins", "__import__"), text("os")),
            ),
            text(_COMMAND),
        )
    ),
    "by map": lambda: whole(
        call(
            named("builtins", "list"),
            call(
                named("builtins", "map"),
                named("os", "system"),
                pickle.MARK + text(_COMMAND) + pickle.LIST,
            ),
        )
    ),
    "by copyreg": lambda: whole(
        call(
            named("copyreg", "__newobj__"),
            named("tests.hostile.victims", "Setting"),
        )
        + text(_COMMAND)
        + pickle.BUILD
    ),
    "by the __setstate__ of a class": lambda: whole(
        named("tests.hostile.victims", "Setting")
        + pickle.EMPTY_TUPLE
        + pickle.NEWOBJ
        + text(_COMMAND)
        + pickle.BUILD
    ),
    "by __init__ of a class in a module": lambda: whole(
        call(
            named("tests.hostile.victims", "Popen"),
            pickle.MARK + text("touch") + text(CANARY) + b"l",
        )
    ),
    "by a function in a module": lambda: whole(
        call(named("tests.hostile.victims", "run"), text(_COMMAND))
    ),
}

_DEEP = 3_000_000
_HUGE = struct.pack("<Q", 1 << 60)

#: Those that must end in an error, or in a value, and never in a crash or in gigabytes.
BOUNDED: dict[str, Callable[[], bytes]] = {
    "bytes of an exabyte": lambda: PROTO + pickle.BINBYTES8 + _HUGE + b"x.",
    "text of an exabyte": lambda: PROTO + pickle.BINUNICODE8 + _HUGE + b"x.",
    "a bytearray of a terabyte": lambda: (
        PROTO + pickle.BYTEARRAY8 + struct.pack("<Q", 1 << 40) + b"x."
    ),
    "a memo of gigabytes": lambda: PROTO + b"N" + pickle.LONG_BINPUT + b"\xff\xff\xff\x7f" + b".",
    "a key of nested tuples": lambda: whole(
        pickle.EMPTY_DICT
        + pickle.EMPTY_TUPLE
        + pickle.TUPLE1 * 200_000
        + pickle.NONE
        + pickle.SETITEM
    ),
    "a key that doubles": lambda: whole(
        pickle.EMPTY_DICT
        + pickle.EMPTY_TUPLE
        + (pickle.DUP + pickle.TUPLE2) * 60
        + pickle.NONE
        + pickle.SETITEM
    ),
    "a member of a set that doubles": lambda: whole(
        pickle.EMPTY_SET
        + pickle.MARK
        + pickle.EMPTY_TUPLE
        + (pickle.DUP + pickle.TUPLE2) * 60
        + pickle.ADDITEMS
    ),
    "a set of what doubles": lambda: whole(
        call(
            named("builtins", "set"),
            pickle.EMPTY_LIST
            + pickle.EMPTY_TUPLE
            + (pickle.DUP + pickle.TUPLE2) * 60
            + pickle.APPEND,
        )
    ),
    "a fraction of a billion digits": lambda: whole(
        call(named("fractions", "Fraction"), text("1e9999999999"))
    ),
    "a bytearray by a number": lambda: whole(
        call(named("builtins", "bytearray"), pickle.LONG1 + b"\x08" + struct.pack("<q", 1 << 50))
    ),
    "bytes by a number": lambda: whole(
        call(named("builtins", "bytes"), pickle.LONG1 + b"\x08" + struct.pack("<q", 1 << 50))
    ),
    "no end": lambda: PROTO + pickle.EMPTY_LIST,
    "nothing": lambda: b"",
    "an empty stack": lambda: whole(pickle.REDUCE),
    "a persistent id": lambda: PROTO + b"N" + pickle.BINPERSID + STOP,
    "an outside buffer": lambda: PROTO + pickle.NEXT_BUFFER + STOP,
}


def _state_of_dtype(code: str, *state: bytes) -> bytes:
    return (
        call(named("numpy", "dtype"), text(code), pickle.NEWFALSE, pickle.NEWTRUE)
        + pickle.MARK
        + b"".join(state)
        + pickle.TUPLE
        + pickle.BUILD
    )


def _array_of(dtype: bytes, shape: bytes, raw: bytes) -> bytes:
    made = call(
        named("numpy._core.multiarray", "_reconstruct"),
        named("numpy", "ndarray"),
        pickle.BININT1 + b"\0" + pickle.TUPLE1,
        pickle.SHORT_BINBYTES + b"\x01b",
    )
    state = pickle.BININT1 + b"\x01" + shape + dtype + pickle.NEWFALSE + raw
    return made + pickle.MARK + state + pickle.TUPLE + pickle.BUILD


_MINUS = pickle.BININT + struct.pack("<i", -1)
_PLAIN_STATE = (pickle.BININT1 + b"\x03", text("|"), b"N", b"N", b"N", _MINUS, _MINUS)
_OBJECTS = _state_of_dtype("O8", *_PLAIN_STATE, pickle.BININT1 + b"\0")  # its flags say: plain

#: Those that would have objects, or content, be read from where in memory they like.
WILD: dict[str, Callable[[], bytes]] = {
    "objects over bytes": lambda: whole(
        _array_of(
            _OBJECTS,
            pickle.BININT1 + b"\x01" + pickle.TUPLE1,
            pickle.SHORT_BINBYTES + b"\x08" + b"A" * 8,
        )
    ),
    "an array longer than its bytes": lambda: whole(
        _array_of(
            _state_of_dtype("i8", *_PLAIN_STATE, pickle.BININT1 + b"\0"),
            pickle.BININT + struct.pack("<i", 1 << 30) + pickle.TUPLE1,
            pickle.SHORT_BINBYTES + b"\x08" + b"A" * 8,
        )
    ),
    "a field outside of its record": lambda: whole(
        _state_of_dtype(
            "V8",
            pickle.BININT1 + b"\x03",
            text("|"),
            b"N",
            text("a") + pickle.TUPLE1,
            pickle.EMPTY_DICT
            + text("a")
            + _state_of_dtype("i8", *_PLAIN_STATE, pickle.BININT1 + b"\0")
            + pickle.BININT
            + struct.pack("<i", 1 << 20)
            + pickle.TUPLE2
            + pickle.SETITEM,
            pickle.BININT1 + b"\x08",
            pickle.BININT1 + b"\x01",
            pickle.BININT1 + b"\0",
        )
    ),
    "a state for a class": lambda: whole(
        named("fractions", "Fraction")
        + b"N"
        + pickle.EMPTY_DICT
        + text("__add__")
        + named("builtins", "int")
        + pickle.SETITEM
        + pickle.TUPLE2
        + pickle.BUILD
    ),
    "another class for an error": lambda: whole(
        call(named("builtins", "ValueError"))
        + pickle.EMPTY_DICT
        + text("__class__")
        + named("builtins", "KeyError")
        + pickle.SETITEM
        + pickle.BUILD
    ),
    "a code that no category has": lambda: _patched_categories(),
    "a text beyond its buffer": lambda: _patched_arrow(),
}


def _patched_categories() -> bytes:
    import numpy as np
    import pandas as pd

    content = pd.Categorical(list("babba"))
    payload = pickle.dumps(content, 5)
    codes = np.array([1, 0, 1, 1, 0], "i1").tobytes()
    assert payload.count(codes) == 1
    return payload.replace(codes, b"\x01\x00\x01\x7f\x00")


def _patched_arrow() -> bytes:
    import pyarrow as pa

    payload = pickle.dumps(pa.array(["xyz", "uvw"]), 5)
    ends = struct.pack("<3i", 0, 3, 6)
    assert payload.count(ends) == 1
    return payload.replace(ends, struct.pack("<3i", 0, 3, 1 << 28))
