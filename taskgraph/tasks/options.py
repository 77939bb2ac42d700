"""What may be said of a task besides its code: options, checked once and frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from taskgraph.errors import TaskOptionError
from taskgraph.expression import SimpleExpression, find_expressions
from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.sizes import read_size
from taskgraph.tasks.failing import read_on_failure
from taskgraph.tasks.requests import read_tags
from taskgraph.tasks.retrying import read_delay, read_retry_on


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
    """Where a result came from.

    Attributes:
        CSE: From an equal call of this run.
        SINGLE: From the record of what the body gave; the calls in it are looked up in turn.
        ULTIMATE: From the record of a whole call, with ``check_valid="shallow"``.
        MISS: From nowhere: the body ran.
    """

    CSE = "CSE"
    SINGLE = "SINGLE"
    ULTIMATE = "ULTIMATE"
    MISS = "MISS"


#: The pools that the option `mode` chooses from, by what it says.
POOLS: Mapping[str, str] = MappingProxyType({"thread": "threads", "process": "processes"})

#: The executor that sends calls to the workers of their queues.
QUEUES: Final = "queues"
#: The queue of calls that are of none by what is said.
DEFAULT_QUEUE: Final = "default"
_LONGEST_QUEUE: Final = 500

GIB = 1024**3  # bytes: what the option `memory` counts in

Options = Mapping[str, Any]  # each value is of the type that its option has

_Choice = TypeVar("_Choice", bound=Enum)


# What the value of an option may be: each returns it in its one form, or raises a ValueError that
# goes on after "option 'x': ".


def _choice(choices: type[_Choice]) -> Callable[[Any], _Choice]:
    def read(value: Any) -> _Choice:
        if isinstance(value, choices):
            return value
        for each in choices:
            names = {each.name.lower(), str(each.value).lower()}
            if isinstance(value, str) and value.lower() in names:
                return each
        raise ValueError(f"{value!r} is not one of {_listed(choices)}")

    return read


def _listed(choices: type[Enum]) -> str:
    return ", ".join(repr(each.value) for each in choices)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {value!r}")
    return value


def _cache_results(value: Any) -> frozenset[CacheResult]:
    given = [value] if isinstance(value, str | CacheResult) else value
    if not isinstance(given, Iterable):
        raise ValueError(f"must be a set of {_listed(CacheResult)}; not {value!r}")
    return frozenset(map(_choice(CacheResult), given))


def _scope_of(value: Any) -> CacheScope:
    return CacheScope.BACKEND if _flag(value) else CacheScope.CSE


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a name, not {value!r}")
    return value


def _queue(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a name, not {value!r}")
    name = value.strip()
    if "," in name or not name.isprintable():
        raise ValueError(f"{value!r} is no name of a queue: it has a comma, or what is not printed")
    if len(name.encode("utf-8", "replace")) > _LONGEST_QUEUE:
        raise ValueError(f"{name[:40]!r}... is too long: at most {_LONGEST_QUEUE} bytes")
    return name


def _mode(value: Any) -> str:
    if not isinstance(value, str) or value not in POOLS:
        raise ValueError(f"{value!r} is not one of {', '.join(map(repr, POOLS))}")
    return value


def _names(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(each, str) for each in names):
        raise ValueError(f"must be a list of names, not {value!r}")
    return tuple(names)


def _packages(value: Any) -> tuple[str, ...] | str:
    return "auto" if value == "auto" else _names(value)


def _parameters(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(each, str) for each in value):
        raise ValueError("must be a list of parameter names")
    return tuple(value)


def _span(value: Any) -> timedelta:
    span = value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            span = timedelta(seconds=value)
        except (OverflowError, ValueError):  # infinite, or not a number
            span = None
    if not isinstance(span, timedelta) or span <= timedelta(0):
        raise ValueError(
            f"must be a timedelta or a number of seconds, more than none; not {value!r}"
        )
    return span


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"must be a whole number, 0 or more; not {value!r}")
    return value


def _amount(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf"):
        raise ValueError(f"must be a number, 0 or more; not {value!r}")
    return float(value) if isinstance(value, float) else int(value)


def _memory(value: Any) -> float:
    if not isinstance(value, str):
        return _amount(value)
    try:
        return read_size(value) / GIB
    except ValueError:
        raise ValueError(f'must be a number of GiB or a size as "4GB"; not {value!r}') from None


def _limits(value: Any) -> Mapping[str, int]:
    wanted = {value: 1} if isinstance(value, str) else value
    if isinstance(wanted, Sequence):
        wanted = dict.fromkeys(wanted, 1)
    if not isinstance(wanted, Mapping) or not all(isinstance(each, str) for each in wanted):
        raise ValueError(f"must be names, or how many by name; not {value!r}")
    return MappingProxyType({name: _at_least_one(units) for name, units in wanted.items()})


def _at_least_one(units: Any) -> int:
    if not isinstance(units, int) or isinstance(units, bool) or units < 1:
        raise ValueError(f"takes whole numbers, 1 or more; not {units!r}")
    return units


def _nout(value: Any) -> int | None:
    check_nout(value)
    found: int | None = value
    return found


class _Option(NamedTuple):
    about: str
    read: Callable[[Any], Any]


_OPTIONS: Mapping[str, _Option] = {
    "executor": _Option("name of the executor that runs the task", _name),
    "mode": _Option("thread or process: which pool, where no executor is named", _mode),
    "queue": _Option("queue whose workers run the call, where calls are sent to workers", _queue),
    "cache": _Option("False: look for results in this execution only", _scope_of),
    "cache_scope": _Option("NONE, CSE or BACKEND", _choice(CacheScope)),
    "check_valid": _Option(
        "full: replay one reduction at a time; shallow: trust a whole call",
        _choice(CacheCheckValid),
    ),
    "allowed_cache_results": _Option(
        "which results may be used: a set of CSE, SINGLE and ULTIMATE", _cache_results
    ),
    "prov": _Option("False: of the call and all below it nothing is written down", _flag),
    "max_age": _Option("how old a result may be: a timedelta, or seconds", _span),
    "config_args": _Option("parameters that do not count in the cache key", _parameters),
    "nout": _Option("number of items of a tuple result", _nout),
    "script": _Option("True: the function returns the text of a script, which is run", _flag),
    "packages": _Option(
        'distributions whose version counts; "auto": those that the code imports', _packages
    ),
    "tools": _Option(
        "executables that count: by content or, with arguments, by what they print", _names
    ),
    "strict": _Option("True: what of the code cannot be followed is an error", _flag),
    "load_module": _Option("module that a worker imports to find the task", _name),
    "retries": _Option("how often a call that failed is tried again", _count),
    "retry_delay": _Option(
        "how long to wait before that: seconds, a list of them, or exponential(...)", read_delay
    ),
    "retry_on": _Option(
        "which errors are worth another try: exceptions, or a function of the error", read_retry_on
    ),
    "on_failure": _Option(
        "what is called when a call has failed: a task of the error and the call", read_on_failure
    ),
    "timeout": _Option("how long a call may run: a timedelta, or seconds", _span),
    "limits": _Option("what it may not use more of at once than there is: names", _limits),
    "tags": _Option("what its jobs are to be found by: keys with JSON values", read_tags),
    "cpus": _Option("how many cores it keeps busy: of a pool it takes as many workers", _amount),
    "gpus": _Option("how many GPUs it needs; a hint for executors", _amount),
    "memory": _Option('how much it needs, in GiB or as "4GB"; a hint for executors', _memory),
}

#: Options of a task and what they mean, for messages and docs.
KNOWN_OPTIONS: Mapping[str, str] = MappingProxyType(
    {name: option.about for name, option in _OPTIONS.items()}
)

#: Options that speak of one task's own code and parameters: they are said of that task alone, and
#: are known before any call of it.
OWN_OPTIONS = frozenset(
    {"config_args", "load_module", "nout", "packages", "script", "strict", "tools"}
)

# What is said of the job of a script task, and not of the script that it runs.
_NOT_OF_SCRIPTS = OWN_OPTIONS | {"tags"}

NO_OPTIONS: Options = MappingProxyType({})


def checked_options(
    task: str, options: Mapping[str, Any], known: Mapping[str, str] = KNOWN_OPTIONS
) -> Options:
    """Return options with every value checked and brought to its one form.

    ``cache=True`` becomes ``CacheScope.BACKEND`` and ``cache=False`` ``CacheScope.CSE``. What a
    lazy call comes to is checked when it is known.

    Args:
        task: Whose options they are.
        options: They themselves.
        known: The names that there are.

    Raises:
        TaskOptionError: An option is unknown, or has a value that it cannot have.
        TypeError: ``nout`` is not a non-negative integer.
    """
    if not options:
        return NO_OPTIONS
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            import difflib  # only here, for it takes its time

            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise TaskOptionError(task, name, f"there is no such option.{hint}")
        try:
            checked["cache_scope" if name == "cache" else name] = _checked(name, value)
        except ValueError as error:
            raise TaskOptionError(task, name, str(error)) from None
    return MappingProxyType(checked)


def _checked(name: str, value: Any) -> Any:
    """Return the value of one option in its one form; a lazy one as it is."""
    if not _is_lazy(value):
        return _OPTIONS[name].read(value)
    if name in OWN_OPTIONS:
        raise ValueError(f"must be known before the call is made, and {value!r} is a lazy call")
    return SimpleExpression("call", (_scope_when_known, value)) if name == "cache" else value


def _scope_when_known(value: Any) -> CacheScope:
    try:
        return _scope_of(value)
    except ValueError as error:
        raise TaskOptionError("The task", "cache", str(error)) from None


def _is_lazy(value: Any) -> bool:
    return type(value) not in ATOMIC_TYPES and bool(find_expressions(value))


def shared_options(whose: str, options: Mapping[str, Any]) -> Options:
    """Return checked options that are said of many tasks at once.

    Raises:
        TaskOptionError: An option is unknown, has a value that it cannot have, or speaks of one
            task's own code and parameters.
    """
    for name in options:
        if name in OWN_OPTIONS:
            raise TaskOptionError(whose, name, "it is said of one task, and cannot be handed on")
    return checked_options(whose, options)


def known_options(whose: str, options: Mapping[str, Any]) -> Options:
    """Return checked options that are said before there is a call that could wait for them.

    Raises:
        TaskOptionError: As `shared_options`, or one is a lazy call.
    """
    checked = shared_options(whose, options)
    for name in lazy_options(checked):
        raise TaskOptionError(whose, name, "must be a value, and no lazy call")
    return checked


def lazy_options(options: Options) -> dict[str, Any]:
    """Return the options whose values are not known before other calls were made."""
    return {name: value for name, value in options.items() if _is_lazy(value)}


def with_known(task: str, options: Options, known: Mapping[str, Any]) -> Options:
    """Return options with the values of those that were lazy.

    Raises:
        TaskOptionError: One has a value that it cannot have.
    """
    return merge_options(options, checked_options(task, known))


def check_nout(nout: object) -> None:
    """Check the number of outputs of a task.

    Raises:
        TypeError: It is not a non-negative integer.
    """
    if nout is not None and (not isinstance(nout, int) or isinstance(nout, bool) or nout < 0):
        raise TypeError(f"nout must be a non-negative integer, not {nout!r}")


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


def options_of_script(options: Options) -> Options:
    """Return the options of a script that a task with these options runs: where, how long, ..."""
    kept = {name: each for name, each in options.items() if name not in _NOT_OF_SCRIPTS}
    return MappingProxyType(kept)


def meaning_of(
    options: Options, names: Sequence[str] = ("nout", "script")
) -> tuple[tuple[str, Any], ...]:
    """Return those options that change what a call means, for its hash."""
    unsaid = (None, False)
    return tuple((n, options[n]) for n in names if not any(options.get(n) is e for e in unsaid))


def checked_queue(name: Any) -> str:
    """Return the name of a queue. Any: as it was given.

    Raises:
        TaskOptionError: It is none.
    """
    try:
        return _queue(name)
    except ValueError as error:
        raise TaskOptionError("A queue", "queue", str(error)) from None
