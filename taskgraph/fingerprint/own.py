"""Which objects are code of the user's, and where it lies inside of code from outside."""

from __future__ import annotations

import types
from functools import WRAPPER_ASSIGNMENTS, lru_cache
from typing import Any, Final

from taskgraph.fingerprint.project import is_own_file, is_own_module_name
from taskgraph.hashing import CONTAINER_TYPES

OPAQUE_MARK: Final = "__taskgraph_opaque__"
#: What `functools.lru_cache` makes of functions.
CACHING_TYPE: Final = type(lru_cache(len))

_NOT_PUT_ON: Final = frozenset({"__wrapped__", OPAQUE_MARK, "__isabstractmethod__"})
_OF_CACHING: Final = frozenset({*WRAPPER_ASSIGNMENTS, "__type_params__", "cache_parameters"})

# How far to look for functions of the user's in what a decorator from outside keeps.
_LEVELS: Final = 3


def is_own_function(func: types.FunctionType) -> bool:
    """Tell whether a function is the user's: by the file of its code, or by its module."""
    filename = func.__code__.co_filename
    if filename.startswith("<"):
        # Made by exec or eval, in names that need not be those of a module.
        return func.__module__ is None or is_own_module_name(func.__module__)
    return is_own_file(filename)


def is_own_code(value: Any) -> bool:
    """Tell whether something is a function or class of the user's."""
    if isinstance(value, types.FunctionType):
        return is_own_function(value)
    return isinstance(value, type) and is_own_module_name(value.__module__)


def is_opaque(value: Any) -> bool:
    """Tell whether something was marked as never to count; a class does not mark its objects."""
    try:
        return vars(value).get(OPAQUE_MARK) is True
    except TypeError:
        return False


def wrapped_by(value: Any) -> Any:
    """Return what a decorator says that it wrapped, or None."""
    try:
        # Not by getattr: a stand-in for something else may have any attribute, or raise.
        wrapped = object.__getattribute__(value, "__dict__").get("__wrapped__")
    except (AttributeError, TypeError):
        return None
    return wrapped if callable(wrapped) else None


def put_on(value: Any) -> list[tuple[str, Any]]:
    """Return the attributes that somebody gave a function, or a caching wrapper of one, by name."""
    left_out = _NOT_PUT_ON | _OF_CACHING if type(value) is CACHING_TYPE else _NOT_PUT_ON
    held = vars(value)
    return [(name, held[name]) for name in sorted(held) if name not in left_out] if held else []


def own_code_in(func: types.FunctionType) -> list[Any]:
    """Return the code of the user's that a function from outside keeps, as decorators do."""
    return _code_in(func, _LEVELS)


def own_code_of(value: Any) -> list[Any]:
    """Return the code of the user's that an object keeps in its attributes."""
    try:
        inside = vars(value)
    except TypeError:
        return []
    return [inside[name] for name in sorted(inside, key=str) if is_own_code(inside[name])]


def _code_in(func: types.FunctionType, levels: int) -> list[Any]:
    wrapped = wrapped_by(func)
    found = [] if wrapped is None else [wrapped]
    for cell in func.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        found += _code_near(content, levels)
    return found


def _code_near(value: Any, levels: int) -> list[Any]:
    if is_own_code(value) or wrapped_by(value) is not None:
        return [value]
    if not levels:
        return []
    if isinstance(value, types.FunctionType):
        return _code_in(value, levels - 1)
    if isinstance(value, dict | types.MappingProxyType):
        value = list(value.values())
    if type(value) in CONTAINER_TYPES:
        return [found for each in value for found in _code_near(each, levels - 1)]
    return []
