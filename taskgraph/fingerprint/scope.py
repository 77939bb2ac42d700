"""What names stand for where a piece of code is: its closure, its module, builtins, imports."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from taskgraph.fingerprint.outline import GLOBAL, IMPORTED, Chain
from taskgraph.fingerprint.own import is_own_code
from taskgraph.fingerprint.parts import PartKind
from taskgraph.fingerprint.project import is_own_file, is_own_module
from taskgraph.fingerprint.sources import own_functions
from taskgraph.fingerprint.state import Variable


class _Mark:
    pass


#: A name that stands for nothing.
MISSING: Final = _Mark()
#: What a name that is one of Python's own stands for, as long as nobody hides it.
BUILTIN: Final = _Mark()
#: A name of the function around that is not bound yet: it is when the code runs, if ever.
UNBOUND: Final = _Mark()


# What is never taken for something that changes.
_FIXED: Final = (types.FunctionType, type, _Mark)


#: What stood under a name: in the names of a module, say, or `MISSING`.
Sighting = tuple[Mapping[str, Any], str, Any]


class Found(NamedTuple):
    """Where a chain of names leads.

    Attributes:
        target: The object that counts: modules are gone through, and anything else is the end;
            or one of the marks `MISSING`, `BUILTIN` and `UNBOUND`.
        rest: The attributes that are taken of it.
        name: What to call it: by the module that the name is in, or by the function around.
        kind: Which kind of part its value is.
        variable: Where it stands, if what it stands for may change.
    """

    target: Any
    rest: Chain
    name: str
    kind: PartKind
    variable: Variable | None = None


class Scope:
    """The names that a piece of code sees.

    Attributes:
        label: What the code is called.
        closure: Names of functions around it, with their values.
        globals: The names of its module.
        seen: Where looking for names led through; None if nobody wants to know.

    Args:
        cells: What holds the names of functions around it.
        globals_: The names of its module.
        label: What the code is called.
    """

    def __init__(
        self, cells: dict[str, types.CellType], globals_: dict[str, Any], label: str
    ) -> None:
        self.seen: list[Sighting] | None = None
        self._cells = cells
        self.closure = {name: _content(cell) for name, cell in cells.items()}
        self.globals = globals_
        self.label = label

    @classmethod
    def of_function(cls, func: types.FunctionType) -> Scope:
        """Return the names that a function sees."""
        return cls(cells_of(func), func.__globals__, function_label(func))

    @classmethod
    def of_class(cls, owner: type, label: str) -> Scope:
        """Return the names that the body and the methods of a class see."""
        cells: dict[str, types.CellType] = {}
        globals_: dict[str, Any] = getattr(sys.modules.get(owner.__module__), "__dict__", {})
        for each in own_functions(owner):
            cells.update(cells_of(each))
            globals_ = each.__globals__
        cells.pop("__class__", None)
        return cls(cells, globals_, label)

    def find(self, chain: Chain, *, into_modules: bool = False) -> Found:
        """Return where a chain leads.

        Args:
            chain: A name and the attributes taken of it; () for an expression that is no name.
            into_modules: Whether to go into modules from outside as well. Otherwise one of them
                is the end, unless the user has put something of his own there.
        """
        if not chain:
            return Found(MISSING, (), "", PartKind.NAME)
        found, name, kind = self._root(chain[0])
        rest = chain[1:]
        names: dict[str, Any] = self.globals
        last = chain[0]
        while rest and isinstance(found, types.ModuleType) and rest[0] != "__dict__":
            inner = _attribute(found, rest[0])
            self._see(vars(found), rest[0], inner)
            if not is_own_module(found) and not into_modules and not is_own_code(inner):
                if not isinstance(inner, types.ModuleType):
                    break
            else:
                name = f"{module_label(found.__name__, _file_of(found))}.{rest[0]}"
                kind = PartKind.CONSTANT
            names, last = vars(found), rest[0]
            found, rest = inner, rest[1:]
        is_bound_later = found is MISSING and not last.startswith(IMPORTED)
        if type(found) in _FIXED and not is_bound_later:
            return Found(found, rest, name, kind)
        if kind is PartKind.CLOSURE:
            return Found(found, rest, name, kind, (self._cells[last], ""))
        if last.startswith(IMPORTED):
            return Found(found, rest, name, kind)
        return Found(found, rest, name, kind, (names, last.removeprefix(GLOBAL)))

    def _root(self, root: str) -> tuple[Any, str, PartKind]:
        if root[0] == "@":
            if root.startswith(IMPORTED):
                return (*self._imported(root), PartKind.CONSTANT)
            root = root.removeprefix(GLOBAL)
        elif root in self.closure:
            return self.closure[root], f"{self.label}: {root}", PartKind.CLOSURE
        found = self.globals.get(root, MISSING)
        self._see(self.globals, root, found)
        if found is MISSING:
            found = vars(builtins).get(root, MISSING)
            self._see(vars(builtins), root, found)
            if found is not MISSING and not is_own_code(found):
                return BUILTIN, f"builtins.{root}", PartKind.OUTSIDE
        names = self.globals
        module = module_label(names.get("__name__", ""), names.get("__file__"))
        return found, f"{module}.{root}", PartKind.CONSTANT

    def _imported(self, root: str) -> tuple[Any, str]:
        """Return what an import within the code gives; the user's modules are imported for it."""
        level, module, attribute = root.removeprefix(IMPORTED).split(":")
        try:
            full = self._absolute(int(level), module)
            found = _import(full)
        except KeyboardInterrupt:
            raise
        except BaseException:  # a module of the user's may raise anything when it is loaded
            return MISSING, f"{module}.{attribute}".strip(".")
        name = module_label(full, _file_of(found))
        self._see(sys.modules, full, sys.modules.get(full, MISSING))
        if not attribute or found is MISSING:
            return found, name
        inner = _attribute(found, attribute)
        self._see(vars(found), attribute, inner)
        if not is_own_module(found) and not is_own_code(inner):
            return found, name
        return inner, f"{name}.{attribute}"

    def _see(self, names: Mapping[str, Any], name: str, found: Any) -> None:
        if self.seen is not None:
            self.seen.append((names, name, found))

    def _absolute(self, level: int, module: str) -> str:
        if not level:
            return module
        package = self.globals.get("__package__") or ""
        return importlib.util.resolve_name("." * level + module, package)


def cells_of(func: types.FunctionType) -> dict[str, types.CellType]:
    """Return what holds the names that a function has from the functions around it."""
    if func.__closure__ is None:
        return {}
    return dict(zip(func.__code__.co_freevars, func.__closure__, strict=True))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet: it is when the function runs, if ever
        return UNBOUND


_stand_ins: dict[str, types.ModuleType] = {}


def _import(name: str) -> Any:
    """Return a module: the user's are loaded, others only if they are already."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    spec = importlib.util.find_spec(name.partition(".")[0])
    if spec is None:
        return MISSING
    places = [spec.origin, *(spec.submodule_search_locations or ())]
    if any(each and is_own_file(f"{each}/__init__.py") for each in places if each != "built-in"):
        return importlib.import_module(name)
    if name not in _stand_ins:
        _stand_ins[name] = types.ModuleType(name)
        _stand_ins[name].__file__ = "<frozen>"
    return _stand_ins[name]


def _attribute(module: types.ModuleType, name: str) -> Any:
    found = vars(module).get(name, MISSING)
    if found is not MISSING or not is_own_module(module):
        return found
    try:
        return getattr(module, name)
    except Exception:  # a module's own __getattr__ may raise anything
        pass
    try:
        return importlib.import_module(f"{module.__name__}.{name}")
    except Exception:
        return MISSING


def _file_of(module: Any) -> str | None:
    found = getattr(module, "__file__", None)
    return found if isinstance(found, str) else None


def module_label(name: str, filename: str | None = None) -> str:
    """Return what to call a module: a script that is run is called as if it were imported."""
    if name not in {"__main__", "__mp_main__"}:
        return name
    filename = filename or _file_of(sys.modules.get(name))
    if not filename:
        return "__main__"
    return filename.replace("\\", "/").rpartition("/")[2].removesuffix(".py")


def function_label(func: types.FunctionType) -> str:
    """Return module and qualified name of a function, as it was written.

    The functions that decorators make call themselves like those that they wrap.
    """
    globals_ = func.__globals__
    module = module_label(globals_.get("__name__", ""), globals_.get("__file__"))
    return f"{module}.{func.__code__.co_qualname}"
