"""What in a piece of code may reach further than its names tell."""

from __future__ import annotations

import sys
import types
from typing import Any, Final, NamedTuple

from taskgraph.fingerprint.outline import Chain, Trap
from taskgraph.fingerprint.own import is_own_code
from taskgraph.fingerprint.scope import BUILTIN, MISSING, UNBOUND, Found, Scope

# What cannot be followed, by module and name: to refer to it is enough, under whatever name.
_REFERENCES: Final = {
    "builtins.eval": "eval() runs code that only shows at run time",
    "builtins.exec": "exec() runs code that only shows at run time",
    "builtins.globals": "globals() reaches every name of the module",
    "builtins.__import__": "__import__() takes a name that only shows at run time",
    "importlib.import_module": "import_module() takes a name that only shows at run time",
    "importlib.reload": "reload() loads a module anew",
    "importlib.util.spec_from_file_location": "it loads a file as a module",
    "sys.modules": "sys.modules reaches every module that is loaded",
    "sys._getframe": "_getframe() reaches the names of whoever calls",
    "inspect.currentframe": "currentframe() reaches the names of whoever calls",
    "inspect.stack": "stack() reaches the names of whoever calls",
    "inspect.getsource": "getsource() reads source text, comments and all",
    "inspect.getsourcelines": "getsourcelines() reads source text, comments and all",
    "runpy.run_path": "run_path() runs a file",
    "runpy.run_module": "run_module() runs a module",
    "ctypes.CDLL": "CDLL() loads a library of machine code",
    "ctypes.cdll": "cdll loads libraries of machine code",
    "importlib.util.module_from_spec": "module_from_spec() makes a module",
    "pydoc.locate": "locate() finds things by a name that only shows at run time",
    "pkgutil.resolve_name": "resolve_name() finds things by a name that only shows at run time",
    **{
        f"{module}.{name}": f"{name}() brings in objects, and with them code"
        for module, names in (
            ("pickle", ("load", "loads", "Unpickler")),
            ("cloudpickle", ("load", "loads")),
            ("dill", ("load", "loads")),
            ("joblib", ("load",)),
            ("torch", ("load",)),
            ("shelve", ("open",)),
        )
        for name in names
    },
}
_REFERENCE_NAMES: Final = frozenset(each.rpartition(".")[2] for each in _REFERENCES)
_CALLS_ON: Final = {
    "builtins.getattr": "getattr() takes a name that only shows at run time",
    "builtins.vars": "vars() reaches every name of it",
    "builtins.setattr": "setattr() changes it (monkey-patching)",
    "builtins.delattr": "delattr() changes it (monkey-patching)",
}
_ATTRIBUTES: Final = {
    "__subclasses__": "__subclasses__() finds classes at run time",
    "__globals__": "__globals__ reaches every name of a module",
    "__code__": "__code__ depends on the version of Python",
    "f_globals": "f_globals reaches every name of a module",
    "f_builtins": "f_builtins reaches every builtin",
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

#: Decorators that only say what a tool does with a function, under all names that they have.
_MARKS: Final = frozenset(
    {
        *("pytest.fixture", "_pytest.fixtures.fixture"),
        *("pytest_asyncio.fixture", "pytest_asyncio.plugin.fixture"),
    }
)


class Sensed(NamedTuple):
    """What came of looking at a trap.

    Attributes:
        why: Why it cannot be followed; "" if it can.
        reached: What it reaches in a way that can be followed.
    """

    why: str = ""
    reached: tuple[Found, ...] = ()


def sense(scope: Scope, trap: Trap) -> Sensed:
    """Look whether something that may reach anything really does, where it stands."""
    match trap.what:
        case "attribute":
            return Sensed(_ATTRIBUTES.get(trap.chain[-1], ""))
        case "assignment":
            return _sense_assignment(scope, trap)
        case "call on":
            return _sense_call_on(scope, trap)
        case _:  # calls that import: to refer to the importer is enough
            return Sensed()


def _sense_assignment(scope: Scope, trap: Trap) -> Sensed:
    found = scope.find(trap.chain)
    if not found.rest and isinstance(found.target, types.ModuleType | type):
        return Sensed(f"{found.name} is changed by an assignment (monkey-patching)")
    return Sensed("", _unless_module(found))


def sense_reference(scope: Scope, chain: Chain, found: Found) -> str:
    """Return why something that a name stands for cannot be followed; "" for most things."""
    if found.target is BUILTIN:
        return _REFERENCES.get(found.name, "")
    if isinstance(found.target, types.ModuleType):
        if not found.rest or chain[-1] not in _REFERENCE_NAMES:
            return ""
        found = scope.find(chain, into_modules=True)
    if found.rest:
        return ""
    return _by_identity().get(id(found.target), "")


_identities: dict[int, str] = {}
_modules_then = [0]


def _by_identity() -> dict[int, str]:
    """Return the reasons by the identity of what they are for, in the modules that are loaded."""
    if _modules_then[0] != len(sys.modules):
        _modules_then[0] = len(sys.modules)
        for each, why in (*_REFERENCES.items(), *_CALLS_ON.items()):
            module, _, name = each.rpartition(".")
            held = getattr(sys.modules.get(module), name, None)
            if held is not None:
                _identities[id(held)] = why
    return _identities


def _sense_call_on(scope: Scope, trap: Trap) -> Sensed:
    called = scope.find(trap.chain)
    why = _CALLS_ON.get(called.name, "") if called.target is BUILTIN else ""
    target = scope.find(trap.target)
    if not trap.target or target.target is MISSING:
        return Sensed(why)
    if isinstance(target.target, types.ModuleType):
        return Sensed(f"{target.name}: {why}" if why else "")
    # Objects and classes are followed as a whole; to change a class is another matter.
    is_change = called.name in {"builtins.setattr", "builtins.delattr"}
    if is_change and isinstance(target.target, type) and not target.rest:
        return Sensed(f"{target.name}: {why}", (target,))
    return Sensed("", _unless_module(target))


def _unless_module(found: Found) -> tuple[Found, ...]:
    return () if isinstance(found.target, types.ModuleType) else (found,)


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


def is_mark(found: Found) -> bool:
    """Tell whether a decorator only says what a tool does with a function that it leaves as is."""
    if isinstance(found.target, types.ModuleType):
        return ".".join((found.target.__name__, *found.rest)) in _MARKS
    return not found.rest and _name_of(found.target) in _MARKS


def is_inert(found: Found) -> bool:
    """Tell whether a decorator looks at no annotations, or is followed so that it would show."""
    target = found.target
    if target is MISSING:
        return bool(found.name)  # a name of the class body, as in `@size.setter`
    if target is UNBOUND or is_taskgraphs(found):
        return True
    if target is BUILTIN:
        return found.name in _INERT and not found.rest
    if isinstance(target, types.ModuleType):
        return ".".join((target.__name__, *found.rest)) in _INERT
    if found.rest:
        return False
    return is_own_code(target) or _name_of(target) in _INERT
