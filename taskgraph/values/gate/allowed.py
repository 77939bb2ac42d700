"""What data is made of: the names that a pickle may use where only data is trusted, and how.

Each entry was looked at: what it does with the worst arguments that a pickle can give it. What
reads its arguments as code, a path that is opened, or a memory layout, has a stand-in of ours that
checks them. What is not here is refused: that costs a call that runs again, never a wrong value.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from taskgraph.values.gate.refusals import Pending, RefusedError, Rule, check
from taskgraph.values.gate.trust import Trust

#: As it is, with the arguments as they are: classes of immutable data that check them.
_AS_IT_IS = object()

_ONLY_NAMED = Rule()


def find_rule(module: str, name: str, trust: Trust) -> tuple[Any, Rule]:
    """Return what a pickle names, and what it may do with that.

    Nothing is imported but modules of this list, and of classes that the setting names.

    Raises:
        RefusedError: It is not on the list.
    """
    entry = _entry(module, name)
    if entry is not None:
        found = _import(module, name)
        return found, Rule(call=found) if entry is _AS_IT_IS else entry
    if module == "builtins":
        error = getattr(builtins, name, None)
        if isinstance(error, type) and issubclass(error, BaseException):
            return error, Rule(call=error, build=_build_error)
    dotted = f"{module}.{name}"
    if not _is_strange(module):
        raise RefusedError(f"{dotted}, which is not known to be data")
    if trust.allows(dotted):
        cls = _named_class(module, name)
        return cls, Rule(call=cls, new=_new_of(cls), build=_build_object)
    raise RefusedError(f"{dotted}, which is not known to be data", dotted)


def _is_strange(module: str) -> bool:
    """Tell whether a module may be named in the setting: none of Python's own, and none of ours.

    What of those is data is on the list, and no pattern makes data of ``subprocess.Popen``.
    """
    top = module.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in _TABLES and top != "taskgraph"


def _entry(module: str, name: str) -> Any:
    if module in PLAIN:
        return PLAIN[module].get(name)
    top = module.partition(".")[0]
    where = _TABLES.get(top)
    if where is None:
        return None
    table: Mapping[str, dict[str, Any]] = import_module(where).TABLE
    return table.get(module, {}).get(name)


def _import(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module) or import_module(module)
    return getattr(found, name)


def _named_class(module: str, name: str) -> Any:
    """Return a class that the setting names; a name in its module for another thing is none."""
    found: Any = import_module(module)
    for step in name.split("."):
        found = vars(found).get(step)
        if not isinstance(found, type) and found is not None:
            break
    is_it = isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name)
    if not is_it:
        dotted = f"{module}.{name}"
        raise RefusedError(f"{dotted}, which is no class that is defined there")
    return found


def _new_of(cls: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: cls.__new__(cls, *args, **kwargs)


def _build_object(inst: Any, state: Any) -> Any:
    """Do what unpickling does with a state, without making another thing of the object."""
    setstate = getattr(type(inst), "__setstate__", None)
    if setstate is not None:
        setstate(inst, state)
        return inst
    slots = None
    if type(state) is tuple and len(state) == 2:
        state, slots = state
    for part in (state, slots):
        is_state = part is None or type(part) is dict
        check(is_state, f"a state of a {type(inst).__name__} that is none")
        for name in part or ():
            check(
                type(name) is str and not (name.startswith("__") and name.endswith("__")),
                f"an attribute {name!r} of a {type(inst).__name__}",
            )
    if state:
        inst.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(inst, name, value)
    return inst


# Python's own


def _build_error(inst: Any, state: Any) -> Any:
    check(type(state) is dict, "a state of an error that is none")
    for name, value in state.items():
        check(
            type(name) is str and (name == "__notes__" or not name.startswith("__")),
            f"an attribute {name!r} of an error",
        )
        setattr(inst, name, value)
    return inst


def _bytearray(content: Any = b"", encoding: Any = None) -> bytearray:
    if type(content) is str:
        return bytearray(_encode(content, encoding))
    check(type(content) in (bytes, list), "a bytearray of something else than bytes")
    return bytearray(content)


def _bytes(content: Any = b"") -> bytes:
    check(type(content) in (bytes, list, tuple), "bytes of something else than numbers")
    return bytes(content)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    check(type(text) is str and encoding in ("latin1", "latin-1"), "bytes in another encoding")
    content: bytes = text.encode("latin1")
    return content


def _collect(made: type) -> Callable[..., Any]:
    def collect(items: Any = ()) -> Any:
        check(type(items) in (list, tuple, set, frozenset), f"a {made.__name__} of something else")
        from taskgraph.values.gate.guarded import check_key

        for each in items:
            check_key(each)
        return made(items)

    return collect


def _type_of(thing: Any) -> type:
    check(thing in (None, ...) or thing is NotImplemented, "the type of something")
    return type(thing)


def _range(*limits: Any) -> range:
    check(all(type(each) is int for each in limits), "a range of something else than numbers")
    return range(*limits)


def _getattr(thing: Any, name: Any) -> Any:
    """Give what is pickled as an attribute: how a time zone is made, and members of enums."""
    import enum
    import zoneinfo

    from taskgraph.values.gate.guarded import Named

    if thing is zoneinfo.ZoneInfo and name == "_unpickle":
        return Named(_zone, "zoneinfo.ZoneInfo", Rule(call=_zone))
    if isinstance(thing, enum.EnumMeta) and type(name) is str and name in thing.__members__:
        return thing[name]
    raise RefusedError(f"an attribute {name!r} of something")


_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


def _zone(key: Any, from_cache: Any = True) -> Any:
    import zoneinfo

    # The key is a path below the folder of time zones.
    check(type(key) is str and _ZONE.fullmatch(key), "a time zone that has no name")
    return zoneinfo.ZoneInfo(key)


def _fraction(text: Any = "", *rest: Any) -> Any:
    import fractions

    # Text such as 1e999999999 is a number that no memory holds.
    if type(text) is str:
        check(not rest and re.fullmatch(r"-?\d+(/\d+)?", text), "a fraction that is none")
        return fractions.Fraction(text)
    check(all(type(each) is int for each in (text, *rest)), "a fraction of something else")
    return fractions.Fraction(text, *rest)


_EMPTY = (list, dict, set, tuple, frozenset, int, float, str, bytes, bool, complex)


def _defaultdict(factory: Any = None, *rest: Any) -> Any:
    import collections

    check(
        (factory is None or any(factory is each for each in _EMPTY)) and not rest,
        "a dictionary whose missing items are made by something else than a builtin type",
    )
    return collections.defaultdict(factory)


def _counter(counts: Any = None) -> Any:
    import collections

    check(type(counts) in (dict, type(None)), "a Counter of something else than numbers by name")
    return collections.Counter(counts)


def _ordered(items: Any = ()) -> Any:
    import collections

    check(type(items) in (list, tuple) and not items, "an OrderedDict of something else")
    return collections.OrderedDict()


def _deque(items: Any = (), limit: Any = None) -> Any:
    import collections

    check(type(items) in (list, tuple), "a deque of something else than items")
    return collections.deque(items, limit)


def _array(cls: Any, code: Any, number: Any, content: Any) -> Any:
    import array
    from array import _array_reconstructor  # type: ignore[attr-defined]  # private

    check(cls is array.array and type(content) is bytes, "an array of something else than bytes")
    return _array_reconstructor(cls, code, number, content)


def _pattern(pattern: Any, flags: Any = 0) -> Any:
    check(type(pattern) in (str, bytes) and type(flags) is int, "a pattern that is none")
    return re.compile(pattern, flags & ~re.DEBUG)  # which would print


def _new_uuid() -> Pending:
    def build(state: Any) -> Any:
        import uuid

        check(type(state) is dict and type(state.get("int")) is int, "a UUID that is no number")
        safe = uuid.SafeUUID(state["is_safe"]) if "is_safe" in state else uuid.SafeUUID.unknown
        return uuid.UUID(int=state["int"], is_safe=safe)

    return Pending(build, "a UUID")


def _namespace(content: Any = None) -> Any:
    import types

    return _build_namespace(types.SimpleNamespace(), content or {})


def _build_namespace(inst: Any, state: Any) -> Any:
    check(
        type(state) is dict and all(type(name) is str for name in state),
        "a namespace of something else than names",
    )
    inst.__dict__.update(state)
    return inst


def _new_object() -> Any:
    return object()


def _path(text: Any = ".", *rest: Any) -> None:
    check(all(type(each) is str for each in (text, *rest)), "a path that is no text")


def _paths() -> dict[str, Any]:
    import pathlib

    def maker(name: str) -> Callable[..., Any]:
        def make(*parts: Any) -> Any:
            _path(*parts)
            return getattr(pathlib, name)(*parts)

        return make

    return {name: Rule(call=maker(name)) for name in _PATHS}


_PATHS = ("PurePosixPath", "PureWindowsPath", "PosixPath", "WindowsPath")


# Our own


def _new_flat(inside: Any, value: Any) -> Any:
    from taskgraph.values.codec import Flat

    return Flat(inside, value)


def _restore_path(name: Any, *texts: Any) -> Any:
    from taskgraph.values.codec import restore_path

    check(name in _PATHS, f"a path of the class {name!r}")
    _path(*texts)
    return restore_path(name, *texts)


def _restore_inside(name: Any, *texts: Any) -> Any:
    from taskgraph.values.codec import restore_inside

    check(name in _PATHS, f"a path of the class {name!r}")
    _path(*texts)
    return restore_inside(name, *texts)


def _restore_proxy(content: Any) -> Any:
    from taskgraph.values.codec import restore_proxy

    check(type(content) is dict, "a view of something else than a dictionary")
    return restore_proxy(content)


def _restore_error(error: Any, traceback: Any) -> Any:
    from taskgraph.values.failures import restore_error

    check(isinstance(error, BaseException), "an error that is none")
    return restore_error(error, traceback)


def _rebuild_file(kind: Any, *rest: Any) -> Any:
    from taskgraph.values import files

    check(_is_ours(kind, files.File), "a File of another class")
    return files._rebuild(kind, *_texts(rest))


def _rebuild_group(kind: Any, *rest: Any) -> Any:
    from taskgraph.values import filegroups

    check(_is_ours(kind, filegroups.FileGroup), "a folder of another class")
    return filegroups._rebuild(kind, *_texts(rest))


def _rebuild_staging(kind: Any, side: Any, *rest: Any) -> Any:
    from taskgraph.values import filegroups, files, staging

    check(
        _is_ours(kind, staging.Staging)
        and (_is_ours(side, files.File) or _is_ours(side, filegroups.FileGroup))
        and isinstance(rest[-1], files.File | filegroups.FileGroup),
        "a file to be staged of another class",
    )
    rebuild: Callable[..., Any] = staging._rebuild
    return rebuild(kind, side, *_texts(rest[:-1]), rest[-1])


def _restore_value(speaker: Any, raw_type: Any, payload: Any) -> Any:
    from taskgraph.values.value import Value, restore_value

    # Both were let in by their names, which the setting has.
    is_class = isinstance(speaker, type) and issubclass(speaker, Value)
    check(is_class and isinstance(raw_type, type), "a value that is read by no class")
    return restore_value(speaker, raw_type, payload)


def _is_ours(kind: Any, base: type) -> bool:
    if not (isinstance(kind, type) and issubclass(kind, base)):
        return False
    return kind.__module__.partition(".")[0] == "taskgraph"


def _texts(parts: Any) -> Any:
    known = (str, type(None), bool, tuple, list)
    check(all(type(each) in known for each in parts), "a file whose place is no text")
    return parts


_CALLED: Callable[[Callable[..., Any]], Rule] = lambda make: Rule(call=make)  # noqa: E731

#: By module and name: what of Python, and of this library, is let in.
PLAIN: dict[str, dict[str, Any]] = {
    "builtins": {
        **dict.fromkeys(
            ("int", "float", "str", "bool", "list", "dict", "tuple", "NotImplemented", "Ellipsis"),
            _ONLY_NAMED,
        ),
        "bytearray": _CALLED(_bytearray),
        "bytes": _CALLED(_bytes),
        "set": _CALLED(_collect(set)),
        "frozenset": _CALLED(_collect(frozenset)),
        "complex": _AS_IT_IS,
        "range": _CALLED(_range),
        "slice": _AS_IT_IS,
        "object": Rule(new=_new_object),
        "type": _CALLED(_type_of),
        "getattr": _CALLED(_getattr),
    },
    "_codecs": {"encode": _CALLED(_encode)},
    "datetime": dict.fromkeys(("date", "time", "datetime", "timedelta", "timezone"), _AS_IT_IS),
    "decimal": {"Decimal": _AS_IT_IS},
    "fractions": {"Fraction": _CALLED(_fraction)},
    "uuid": {"UUID": Rule(new=_new_uuid)},
    "collections": {
        "OrderedDict": _CALLED(_ordered),
        "defaultdict": _CALLED(_defaultdict),
        "Counter": _CALLED(_counter),
        "deque": _CALLED(_deque),
    },
    "array": {"_array_reconstructor": _CALLED(_array), "array": _ONLY_NAMED},
    "ipaddress": dict.fromkeys(
        (f"IPv{v}{what}" for v in (4, 6) for what in ("Address", "Network", "Interface")),
        _AS_IT_IS,
    ),
    "zoneinfo": {"ZoneInfo": _ONLY_NAMED},
    "re": {"_compile": _CALLED(_pattern)},
    "types": {"SimpleNamespace": Rule(call=_namespace, build=_build_namespace)},
    "pathlib": _paths(),
    "pathlib._local": _paths(),
    "taskgraph.values.codec": {
        "Flat": Rule(new=_new_flat),
        "restore_path": _CALLED(_restore_path),
        "restore_inside": _CALLED(_restore_inside),
        "restore_proxy": _CALLED(_restore_proxy),
    },
    "taskgraph.values.value": {"restore_value": _CALLED(_restore_value)},
    "taskgraph.values.failures": {"restore_error": _CALLED(_restore_error)},
    "taskgraph.values.files": {"_rebuild": _CALLED(_rebuild_file), "File": _ONLY_NAMED},
    "taskgraph.values.filegroups": {"_rebuild": _CALLED(_rebuild_group)},
    "taskgraph.values.directories": {"Dir": _ONLY_NAMED},
    "taskgraph.values.filesets": {"FileSet": _ONLY_NAMED},
    "taskgraph.values.staging": {
        "_rebuild": _CALLED(_rebuild_staging),
        "StagingFile": _ONLY_NAMED,
        "StagingDir": _ONLY_NAMED,
    },
    "taskgraph.values.file_policies": dict.fromkeys(
        (
            f"{how}{what}"
            for how in ("I", "Content")
            for what in ("File", "Dir", "StagingFile", "StagingDir")
        ),
        _ONLY_NAMED,
    ),
}

# By the package: tables of names that are looked at only where one of its names is met.
_TABLES = {
    "numpy": "taskgraph.values.gate.allowed_numpy",
    "pandas": "taskgraph.values.gate.allowed_pandas",
    "pyarrow": "taskgraph.values.gate.allowed_arrow",
    "polars": "taskgraph.values.gate.allowed_polars",
}

__all__ = ["PLAIN", "find_rule"]
