"""What in a piece of code may reach further than its names tell."""

from __future__ import annotations

import builtins
import importlib
import types
from typing import Any, Final, NamedTuple

from taskgraph.fingerprint.outline import Trap
from taskgraph.fingerprint.own import is_own_code
from taskgraph.fingerprint.scope import MISSING, UNBOUND, Found, Scope

# Why a call cannot be followed, by the function that is called.
_CALLS: Final[tuple[tuple[Any, str], ...]] = (
    (builtins.eval, "eval() runs code that only shows at run time"),
    (builtins.exec, "exec() runs code that only shows at run time"),
    (builtins.globals, "globals() reaches every name of the module"),
    (builtins.__import__, "it imports a module whose name only shows at run time"),
    (importlib.import_module, "it imports a module whose name only shows at run time"),
    (importlib.reload, "it loads a module anew"),
)
_CALLS_ON: Final[tuple[tuple[Any, str], ...]] = (
    (builtins.getattr, "getattr() takes a name that only shows at run time"),
    (builtins.vars, "vars() reaches every name of it"),
    (builtins.setattr, "setattr() changes it (monkey-patching)"),
    (builtins.delattr, "delattr() changes it (monkey-patching)"),
)
_CALLS_BY_NAME: Final = {
    "inspect.getsource": "it reads source text, comments and all",
    "inspect.getsourcelines": "it reads source text, comments and all",
    "ctypes.CDLL": "it loads a library of machine code",
}
_ATTRIBUTES: Final = {
    "__subclasses__": "__subclasses__() finds classes at run time",
    "__globals__": "__globals__ reaches every name of a module",
    "__code__": "__code__ depends on the version of Python",
}

#: Decorators that look at no annotations.
_INERT: Final = frozenset(
    {
        *("builtins.property", "builtins.staticmethod", "builtins.classmethod"),
        *("functools.wraps", "functools.lru_cache", "functools.cache", "functools.partial"),
        *("functools.cached_property", "functools.total_ordering"),
        *("contextlib.contextmanager", "contextlib.asynccontextmanager"),
        *("dataclasses.dataclass", "abc.abstractmethod", "enum.unique", "enum.property"),
        *("typing.override", "typing.overload", "typing.final", "typing.no_type_check"),
    }
)


class Sensed(NamedTuple):
    """What came of looking at a trap.

    Attributes:
        why: Why it cannot be followed; "" if it can.
        reached: What it reaches in a way that can be followed.
    """

    why: str = ""
    reached: tuple[Any, ...] = ()


def sense(scope: Scope, trap: Trap) -> Sensed:
    """Look whether something that may reach anything really does, where it stands."""
    match trap.what:
        case "attribute":
            return Sensed(_ATTRIBUTES.get(trap.chain[-1], ""))
        case "assignment":
            return _sense_assignment(scope, trap)
        case "call on":
            return _sense_call_on(scope, trap)
        case _:
            return _sense_call(scope, trap)


def _sense_assignment(scope: Scope, trap: Trap) -> Sensed:
    found = scope.find(trap.chain)
    if found.target is MISSING or found.target is UNBOUND:
        return Sensed()
    if not found.rest and isinstance(found.target, types.ModuleType | type):
        return Sensed(f"{found.name} is changed by an assignment (monkey-patching)")
    return Sensed("", _unless_module(found))


def _sense_call(scope: Scope, trap: Trap) -> Sensed:
    found = scope.find(trap.chain, into_modules=True)
    if found.rest:
        return Sensed()
    why = _why(_CALLS, found.target)
    return Sensed(why or _CALLS_BY_NAME.get(_name_of(found.target), ""))


def _sense_call_on(scope: Scope, trap: Trap) -> Sensed:
    called = scope.find(trap.chain, into_modules=True)
    why = "" if called.rest else _why(_CALLS_ON, called.target)
    target = scope.find(trap.target)
    if not trap.target or target.target is MISSING:
        return Sensed(why)
    if isinstance(target.target, types.ModuleType):
        return Sensed(f"{target.name}: {why}" if why else "")
    # Objects and classes are followed as a whole; to change a class is another matter.
    is_change = called.target in (builtins.setattr, builtins.delattr)
    if is_change and isinstance(target.target, type) and not target.rest:
        return Sensed(f"{target.name}: {why}", (target.target,))
    return Sensed("", _unless_module(target))


def _why(table: tuple[tuple[Any, str], ...], called: Any) -> str:
    return next((why for each, why in table if each is called), "")


def _unless_module(found: Found) -> tuple[Any, ...]:
    is_nothing = found.target is MISSING or found.target is UNBOUND
    return () if is_nothing or isinstance(found.target, types.ModuleType) else (found.target,)


def _name_of(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__name__', '')}"


# Decorators


def is_taskgraphs(found: Found) -> bool:
    """Tell whether a decorator is one of taskgraph's."""
    if isinstance(found.target, types.ModuleType):
        return found.target.__name__.partition(".")[0] == "taskgraph"
    if not isinstance(found.target, types.FunctionType | type):
        return False
    return str(found.target.__module__).partition(".")[0] == "taskgraph"


def is_inert(found: Found) -> bool:
    """Tell whether a decorator looks at no annotations, or is followed so that it would show."""
    target = found.target
    if target is MISSING:
        return bool(found.name)  # a name of the class body, as in `@size.setter`
    if target is UNBOUND or is_taskgraphs(found):
        return True
    if isinstance(target, types.ModuleType):
        return ".".join((target.__name__, *found.rest)) in _INERT
    if found.rest:
        return False
    return is_own_code(target) or _name_of(target) in _INERT
