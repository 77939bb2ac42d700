"""A file system of SQLite's own kind on which a write fails when a test wants it to.

It is the usual one with some of its methods wrapped, made by ctypes in the library that Python's
sqlite3 uses as well. A URI names it: ``sqlite:////path?vfs=failing``.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

SQLITE_OK = 0
SQLITE_IOERR_WRITE = 10 | (3 << 8)
SQLITE_IOERR_FSYNC = 10 | (4 << 8)
SQLITE_IOERR_TRUNCATE = 10 | (6 << 8)
SQLITE_FULL = 13

_Pointer = ctypes.c_void_p


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _Pointer),
        ("read", _Pointer),
        ("write", _Pointer),
        ("truncate", _Pointer),
        ("sync", _Pointer),
        # All that follows is of no concern here, and is copied.
        ("others", _Pointer * 13),
    )


class _File(ctypes.Structure):
    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    pass


_Vfs._fields_ = (
    ("version", ctypes.c_int),
    ("file_size", ctypes.c_int),
    ("longest_path", ctypes.c_int),
    ("next", ctypes.POINTER(_Vfs)),
    ("name", ctypes.c_char_p),
    ("data", _Pointer),
    ("open", _Pointer),
    ("others", _Pointer * 15),
)

_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(_File), _Pointer, ctypes.c_int, ctypes.c_int64
)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_File), ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_File), ctypes.c_int)
_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(_Vfs),
    _Pointer,
    ctypes.POINTER(_File),
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_int),
)


@dataclass
class Failing:
    """What fails, and what was done so far.

    Attributes:
        at: The number of the call that fails; None for none.
        code: How it fails.
        for_good: Whether all later ones fail as well.
        calls: What was called since it was last reset.
        failed: How many of them failed.
    """

    at: int | None = None
    code: int = SQLITE_FULL
    for_good: bool = False
    calls: list[str] = field(default_factory=list)
    failed: int = 0

    def reset(self, at: int | None = None, code: int = SQLITE_FULL, for_good: bool = False) -> None:
        """Begin to count anew."""
        self.at, self.code, self.for_good = at, code, for_good
        self.calls, self.failed = [], 0

    def _fails(self, what: str) -> int:
        number = len(self.calls)
        self.calls.append(what)
        if self.at is None or number < self.at or (number > self.at and not self.for_good):
            return SQLITE_OK
        self.failed += 1
        if self.code == SQLITE_FULL and what == "sync":
            return SQLITE_IOERR_FSYNC
        return self.code


_kept: list[object] = []


def register() -> Failing | None:
    """Make the file system known as ``failing``; None where SQLite is no library of its own."""
    name = ctypes.util.find_library("sqlite3")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.sqlite3_libversion.restype = ctypes.c_char_p
    if library.sqlite3_libversion().decode() != sqlite3.sqlite_version:
        return None
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
    usual = library.sqlite3_vfs_find(None)
    failing = Failing()
    made = _Vfs()
    ctypes.memmove(ctypes.byref(made), usual, ctypes.sizeof(_Vfs))
    made.name = b"failing"
    made.next = None
    open_usual = _OPEN(usual.contents.open)
    methods: dict[int, _Methods] = {}

    def wrapped(theirs: _Methods) -> _Methods:
        ours = _Methods()
        # Their table may be shorter than ours, if it is of an older version; what is read beyond
        # its end is never called.
        ctypes.memmove(ctypes.byref(ours), ctypes.byref(theirs), ctypes.sizeof(_Methods))
        write, truncate, sync = _WRITE(theirs.write), _TRUNCATE(theirs.truncate), _SYNC(theirs.sync)

        def ours_or(kind: object, what: str, call: Callable[..., int]) -> object:
            def method(*given: object) -> int:
                return failing._fails(what) or call(*given)

            callback = kind(method)  # type: ignore[operator]
            _kept.append(callback)
            return ctypes.cast(callback, _Pointer).value

        ours.write = ours_or(_WRITE, "write", write)
        ours.truncate = ours_or(_TRUNCATE, "truncate", truncate)
        ours.sync = ours_or(_SYNC, "sync", sync)
        return ours

    def open_file(vfs: object, path: object, file: object, flags: int, out: object) -> int:
        code: int = open_usual(vfs, path, file, flags, out)
        opened = file.contents  # type: ignore[attr-defined]
        if code == SQLITE_OK and opened.methods:
            place = ctypes.addressof(opened.methods.contents)
            if place not in methods:
                methods[place] = wrapped(opened.methods.contents)
            opened.methods = ctypes.pointer(methods[place])
        return code

    callback = _OPEN(open_file)
    made.open = ctypes.cast(callback, _Pointer).value
    _kept.extend([made, callback, open_usual, methods, library])
    if library.sqlite3_vfs_register(ctypes.byref(made), 0) != SQLITE_OK:
        return None
    return failing
