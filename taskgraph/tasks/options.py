"""What may be said of a task besides its code: options, checked once and frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

from taskgraph.errors import TaskOptionError


class CacheScope(Enum):
    """How far away a result may come from."""

    NONE = "NONE"
    CSE = "CSE"
    BACKEND = "BACKEND"


class CacheCheckValid(Enum):
    """What is looked at before a cached result is used."""

    FULL = "full"
    SHALLOW = "shallow"


class CacheResult(Enum):
    """Where a result came from."""

    CSE = "CSE"
    SINGLE = "SINGLE"
    ULTIMATE = "ULTIMATE"
    MISS = "MISS"


Options = Mapping[str, Any]  # the values are the user's: hints for executors may be anything

#: Options of a task and what they mean, for messages and docs.
KNOWN_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "executor": "name of the executor that runs the task",
        "cache": "False: look for results in this execution only",
        "cache_scope": "NONE, CSE or BACKEND",
        "check_valid": "full: replay one reduction at a time; shallow: trust a whole call",
        "max_age": "how old a result may be: a timedelta, or seconds",
        "config_args": "parameters that do not count in the cache key",
        "nout": "number of items of a tuple result",
        "packages": 'distributions whose version counts; "auto": those that the code imports',
        "tools": "executables that count: by content or, with arguments, by what they print",
        "strict": "True: what of the code cannot be followed is an error",
        "load_module": "module that a worker imports to find the task",
        "cpus": "hint for executors",
        "gpus": "hint for executors",
        "memory": "hint for executors, in GiB",
    }
)

NO_OPTIONS: Options = MappingProxyType({})

_Choice = TypeVar("_Choice", bound=Enum)


def checked_options(task: str, options: Mapping[str, Any]) -> Options:
    """Return options with every value checked and brought to its one form.

    ``cache=True`` becomes ``CacheScope.BACKEND`` and ``cache=False`` ``CacheScope.CSE``.

    Raises:
        TaskOptionError: An option is unknown, or has a value that it cannot have.
    """
    if not options:
        return NO_OPTIONS
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in KNOWN_OPTIONS:
            import difflib  # only here, for it takes its time

            nearest = difflib.get_close_matches(name, KNOWN_OPTIONS, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise TaskOptionError(task, name, f"there is no such option.{hint}")
        if name == "cache":
            if not isinstance(value, bool):
                raise TaskOptionError(task, name, f"must be True or False, not {value!r}")
            checked["cache_scope"] = CacheScope.BACKEND if value else CacheScope.CSE
        else:
            checked[name] = _checked(task, name, value)
    return MappingProxyType(checked)


def _checked(task: str, name: str, value: Any) -> Any:
    """Return the value of one option in its one form."""
    match name:
        case "cache_scope":
            return _choice(task, name, CacheScope, value)
        case "check_valid":
            return _choice(task, name, CacheCheckValid, value)
        case "max_age":
            return _age(task, value)
        case "nout":
            check_nout(value)
        case "config_args":
            if isinstance(value, str) or not all(isinstance(each, str) for each in value):
                raise TaskOptionError(task, name, "must be a list of parameter names")
            return tuple(value)
        case "packages" | "tools":
            return _names(task, name, value)
        case "strict":
            if not isinstance(value, bool):
                raise TaskOptionError(task, name, f"must be True or False, not {value!r}")
        case "executor" | "load_module":
            if not isinstance(value, str):
                raise TaskOptionError(task, name, f"must be a name, not {value!r}")
    return value


def _names(task: str, option: str, value: Any) -> tuple[str, ...] | str:
    if option == "packages" and value == "auto":
        return "auto"
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(each, str) for each in names):
        raise TaskOptionError(task, option, f"must be a list of names, not {value!r}")
    return tuple(names)


def _age(task: str, value: object) -> timedelta:
    age = value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            age = timedelta(seconds=value)
        except (OverflowError, ValueError):  # infinite, or not a number
            age = None
    if not isinstance(age, timedelta) or age <= timedelta(0):
        reason = f"must be a timedelta or a number of seconds, more than none; not {value!r}"
        raise TaskOptionError(task, "max_age", reason)
    return age


def check_nout(nout: object) -> None:
    """Check the number of outputs of a task.

    Raises:
        TypeError: It is not a non-negative integer.
    """
    if nout is not None and (not isinstance(nout, int) or isinstance(nout, bool) or nout < 0):
        raise TypeError(f"nout must be a non-negative integer, not {nout!r}")


def _choice(task: str, option: str, choices: type[_Choice], value: object) -> _Choice:
    if isinstance(value, choices):
        return value
    for each in choices:
        if isinstance(value, str) and value.lower() in {each.name.lower(), str(each.value).lower()}:
            return each
    good = ", ".join(repr(each.value) for each in choices)
    raise TaskOptionError(task, option, f"{value!r} is not one of {good}")


def merge_options(*layers: Options) -> Options:
    """Return one set of options out of many; later layers win."""
    filled = [each for each in layers if each]
    if not filled:
        return NO_OPTIONS
    if len(filled) == 1:
        return filled[0]
    merged: dict[str, Any] = {}
    for each in filled:
        merged.update(each)
    return MappingProxyType(merged)


def meaning_of(options: Options, names: Sequence[str] = ("nout",)) -> tuple[tuple[str, Any], ...]:
    """Return those options that change what a call means, for its hash."""
    return tuple((name, options[name]) for name in names if options.get(name) is not None)
