"""Says what an object is for a fingerprint, and which other objects it refers to."""

from __future__ import annotations

import enum
import importlib.machinery
import os
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from taskgraph.errors import UnhashableValueError
from taskgraph.fingerprint import traps
from taskgraph.fingerprint.changes import code_name
from taskgraph.fingerprint.classes import (
    Behaviour,
    behaviour_items,
    fields_of,
    flags_of,
    has_behaviour,
    may_differ,
    member_items,
    registered_with,
)
from taskgraph.fingerprint.named import namer_of, unwrapper_of
from taskgraph.fingerprint.outline import Chain, Decorator, Outline
from taskgraph.fingerprint.own import (
    CACHING_TYPE,
    is_opaque,
    is_own_code,
    is_own_function,
    own_code_in,
    own_code_of,
    put_on,
    wrapped_by,
)
from taskgraph.fingerprint.parts import PartKind, make_part
from taskgraph.fingerprint.pieces import Mode, Piece
from taskgraph.fingerprint.project import is_own_class, is_own_module, is_own_module_name
from taskgraph.fingerprint.references import References
from taskgraph.fingerprint.scope import (
    BUILTIN,
    MISSING,
    Scope,
    module_label,
)
from taskgraph.fingerprint.sources import (
    outline_of,
    outline_of_class,
    unwrapped,
)
from taskgraph.fingerprint.state import defaults_of
from taskgraph.fingerprint.surroundings import digest_file
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES, hash_builtin
from taskgraph.values.kinds import class_name
from taskgraph.values.places import current_places
from taskgraph.values.registry import kind_of, shape_of
from taskgraph.values.weigh import hash_value

_C_FUNCTIONS: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodWrapperType,
)
_LIBRARIES: Final = tuple(importlib.machinery.EXTENSION_SUFFIXES)
# A piece for each item of a large table would take its time.
_MANY: Final = 1_000
# Where the types are from that only hold what they are given.
_PLAIN_MODULES: Final = frozenset({"builtins", "collections", "functools", "types"})
_BUILTIN_TYPES: Final = ATOMIC_TYPES | CONTAINER_TYPES


def describe(piece: Piece, references: References) -> None:
    """Let a piece say what its object is, and enter what that refers to.

    Args:
        piece: The piece.
        references: Enters what it refers to.
    """
    try:
        _Describer(piece, references).describe()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Objects may refuse even to be looked at, and hooks and modules may raise anything; that
        # must not be the end of a run.
        why = f"it cannot be looked at: {type(error).__name__}: {error}"
        name = object.__getattribute__(type(piece.value), "__name__")
        piece.bindings = []
        piece.fail(str(name), why)


class _Describer:
    def __init__(self, piece: Piece, references: References) -> None:
        self._piece = piece
        self._references = references
        self._enter = references.enter

    def describe(self) -> None:
        value = self._piece.value
        if value is BUILTIN or value is MISSING:
            self._says("builtin name" if value is BUILTIN else "nothing")
        elif self._piece.role == "behaviour":
            self._behaviour(value)
        elif type(value) in _BUILTIN_TYPES:
            self._builtin(value)
        elif is_opaque(value):
            self._piece.is_code = True
            self._piece.say("opaque")
        elif isinstance(value, types.FunctionType):
            self._function(value)
        else:
            self._other(value)

    def _other(self, value: Any) -> None:
        namer = namer_of(value)
        if namer is not None:
            self._named(*namer(value))
        elif (unwrap := unwrapper_of(value)) is not None:
            self._piece.name_code(class_name(type(value)))
            self._says("wrapping", unwrap(value))
        elif isinstance(value, types.ModuleType):
            self._module(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, Behaviour):
            self._piece.name_code(class_name(value.cls))
            self._children([value.cls], "behaviour")
        elif isinstance(value, _C_FUNCTIONS):
            self._compiled(value)
        elif isinstance(value, types.MethodType):
            self._method(value)
        elif isinstance(value, property | staticmethod | classmethod | cached_property):
            self._says(type(value).__name__, unwrapped(value))
        elif type(value) is object:
            self._says("sentinel")
        elif value is os.environ:
            self._outside("os.environ")  # as it is where it is reached by `os.`
        elif type(value) is CACHING_TYPE:
            # Python itself knows it by its name only.
            wrapped = wrapped_by(value)
            self._says("lru_cache", [wrapped])
            self._put_on(value, getattr(wrapped, "__qualname__", "lru_cache"))
        else:
            self._value(value)

    def _says(self, what: str, inside: Iterable[Any] = ()) -> None:
        self._piece.say(what)
        self._children(inside)

    def _children(self, values: Iterable[Any], role: str = "") -> None:
        self._piece.children += [self._enter(each, role) for each in values]

    def _bound(
        self, kind: PartKind, label: str, items: Iterable[tuple[str, Any]], owner: Any = None
    ) -> None:
        """Enter values under their names, as attributes or defaults of an owner."""
        self._references.add_held(self._piece, kind, label, items, owner)

    # Values

    def _builtin(self, value: Any) -> None:
        if type(value) is str:
            place = _place_of(value)
            if place is not None:
                self._piece.say("path as text", *place)
                return
        if type(value) in ATOMIC_TYPES or not _may_name_a_root(value):
            plain = hash_builtin(value)
            if plain is not None:
                self._piece.say("builtin", plain)
                return
        self._shape(value)

    def _value(self, value: Any) -> None:
        try:
            own = kind_of(value).own_hash(value)
            if own is not None:
                self._piece.say("value", own)
                return
            self._shape(value)
        except UnhashableValueError as error:
            self._unhashable(value, error.reason)
        except Exception as error:  # the user's own hooks may raise anything
            self._unhashable(value, f"{type(error).__name__}: {error}")

    def _shape(self, value: Any) -> None:
        shape = shape_of(value, kind_of(value))
        if shape.tag == "global" and is_own_class(type(value)):
            # It is stored as a name; what counts is what it holds.
            items = sorted(getattr(value, "__dict__", {}).items(), key=str)
            self._says("held by name", [type(value), *(each for _, each in items)])
            self._piece.say(*(str(name) for name, _ in items))
            return
        if len(shape.children) > _MANY and self._hashed_whole(value):
            return
        self._piece.shape = shape
        self._children(shape.children)
        module = type(value).__module__
        self._piece.is_foreign = module not in _PLAIN_MODULES and not is_own_module_name(module)

    def _hashed_whole(self, value: Any) -> bool:
        """Hash a large value without looking at each thing in it, if there is no code in there."""
        try:
            self._piece.say("value", hash_value(value))
        except (UnhashableValueError, RecursionError):
            return False
        return True

    def _unhashable(self, value: Any, reason: str) -> None:
        """Count the type alone, and what code of the user's lies right in it."""
        why = f"a {class_name(type(value))} has no stable hash: {reason}"
        wrapped = wrapped_by(value)
        inside = [*own_code_of(value), *([] if wrapped is None else [wrapped])]
        self._piece.give_up(why, [self._enter(each) for each in inside])

    # Things that count by their name

    def _named(self, kind: PartKind, name: str, inside: Sequence[Any]) -> None:
        self._piece.name_code(name)
        self._piece.say("named", kind.value, name)
        self._piece.own_part = (kind, name, "")
        self._children(inside)

    def _outside(self, name: str) -> None:
        self._piece.name_code(name)
        self._piece.say("outside", name)
        if not name.startswith("builtins."):
            self._piece.own_part = (PartKind.OUTSIDE, name, "")

    def _module(self, module: types.ModuleType) -> None:
        if not is_own_module(module):
            self._outside(module.__name__)
            return
        label = module_label(module.__name__, getattr(module, "__file__", None))
        self._piece.name_code(label)
        self._piece.say("module", label)
        why = "the module is used as a whole: what of it counts only shows at run time"
        self._piece.own_part = (PartKind.UNFOLLOWED, label, why)

    def _method(self, method: types.MethodType) -> None:
        func = method.__func__
        if isinstance(func, types.FunctionType) and not is_own_function(func):
            module = sys.modules.get(func.__module__ or "")
            if getattr(module, method.__name__, None) == method:
                # A function of a module, to those who use it: random.choice, say.
                self._outside(_outside_name(func.__module__, method.__name__))
                return
        self._says("method", [func, method.__self__])

    def _compiled(self, value: Any) -> None:
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            home = type(owner).__module__
            if getattr(sys.modules.get(home), value.__name__, None) == value:
                # A function of a module, to those who use it: random.random, say.
                self._outside(_outside_name(home, value.__name__))
                return
            self._says(f"method {value.__name__}", [owner])
            return
        objclass = getattr(value, "__objclass__", None)
        module = getattr(value, "__module__", None) or getattr(objclass, "__module__", None)
        module = str(module or "builtins")
        loaded = sys.modules.get(module)
        path = getattr(loaded, "__file__", None) or ""
        if loaded is None or not path.endswith(_LIBRARIES) or not is_own_module(loaded):
            self._outside(_outside_name(module, value.__qualname__))
            return
        name = f"{module}.{value.__qualname__}"
        self._piece.name_code(name)
        self._piece.say("library", name, digest_file(path))
        why = "a compiled function: the content of its library counts in its place"
        self._piece.own_part = (PartKind.UNFOLLOWED, name, why)

    # Functions

    def _function(self, func: types.FunctionType) -> None:
        if not is_own_function(func):
            self._outside(_outside_name(func.__module__ or "", func.__qualname__))
            self._children(own_code_in(func))
            return
        scope = Scope.of_function(func)
        scope.seen = self._references.seen_by(self._piece)
        label = scope.label
        self._piece.name_code(label)
        outline = outline_of(func)
        kind = PartKind.FUNCTION if outline is not None else PartKind.CODE
        if outline is None:
            from taskgraph.fingerprint.bytecode import outline_compiled

            outline = outline_compiled(func.__code__)
        self._outlined(kind, outline, scope)
        self._defaults(func, label)
        wrapped = wrapped_by(func) if vars(func) else None
        if wrapped is not None:
            self._children([wrapped])
        owner = scope.closure.get("__class__")
        if isinstance(owner, type):
            # super(), in a method that was taken out of its class, leads to the bases.
            self._children([owner], "behaviour")
        self._put_on(func, label)
        documented = func.__code__.co_consts[:1]
        if func.__doc__ is not None and documented != (func.__doc__,):
            self._piece.docs += func.__doc__

    def _put_on(self, value: Any, label: str) -> None:
        """Enter the attributes that somebody gave a function."""
        held = put_on(value)
        if held:
            self._piece.say("put on it", *(name for name, _ in held))
            self._bound(PartKind.CONSTANT, f"{label}.", held, vars(value))

    def _defaults(self, func: types.FunctionType, label: str) -> None:
        """Enter the defaults of a function, by value; those of a task count in its calls."""
        if self._piece.role == "task":
            return
        items = defaults_of(func)
        for name, value in items:
            if type(value) not in ATOMIC_TYPES:
                self._piece.touches += self._references.changes.of_default(func, name, value)
        self._piece.say("", *[name for name, _ in items])
        self._bound(PartKind.DEFAULT, f"{label}: ", items, func)

    def _outlined(self, kind: PartKind, outline: Outline, scope: Scope) -> None:
        """Describe what has a source: a function or a class."""
        piece = self._piece
        piece.own_part = (kind, piece.label, outline.text)
        piece.docs = outline.docs
        piece.looks_at |= Mode.DOCS if outline.reads_docs else Mode.PLAIN
        piece.looks_at |= Mode.ANNOTATIONS if outline.reads_annotations else Mode.PLAIN
        decorators = self._decorators(outline, scope)
        piece.say(str(kind), outline.syntax, *(syntax for syntax, _, _ in decorators))
        more = [each for each in outline.optional if scope.find(each).target is not MISSING]
        more += [chain for _, _, chains in decorators for chain in chains]
        counted, facts = self._references.counted(piece, scope, outline.touched)
        more += counted
        if facts:
            piece.say("written to", *sorted(facts))
        callees = [*outline.inner_decorators, *(callee for _, callee, _ in decorators)]
        if all(traps.is_inert(scope.find(each)) for each in callees):
            piece.annotations = outline.annotations
        else:
            # A decorator from outside may look at them; those of other pieces it does not see.
            piece.say(outline.annotations)
            more += outline.annotation_references
        chains: Sequence[Chain] = outline.references  # sorted, each once
        if kind is PartKind.CODE:
            chains, more = (), list(_through_modules(scope, [*chains, *more]))
        if more:
            chains = sorted({*chains, *more})
        piece.say("", *map(".".join, chains))
        for source in outline.imports:
            scope.find((source,))  # imported for what that does, before values are looked at
        for why, chain in self._references.add_names(piece, scope, chains):
            self._suspect(why, chain, outline)
        code = code_name(outline, scope.label)
        self._references.add_touches(piece, scope, code, outline.touched)
        for trap in outline.traps:
            piece.takes_functions |= trap.chain == ("func",)
            sensed = traps.sense(scope, trap)
            for each in sensed.reached:
                self._references.add(piece, each)
            if sensed.why:
                self._unfollowed(sensed.why, trap.line)

    def _decorators(self, outline: Outline, scope: Scope) -> Sequence[Decorator]:
        """Return the decorators that count: not @task, whose options count otherwise, if at all.

        Nor what pytest is told of a fixture: its scope, or for which other params it is set up.
        """
        if self._piece.role != "task":
            return outline.decorators
        found = ((each, scope.find(each[1])) for each in outline.decorators)
        return [each for each, it in found if not traps.is_taskgraphs(it) and not traps.is_mark(it)]

    def _suspect(self, why: str, chain: Chain, outline: Outline) -> None:
        """Note that a name stands for what may reach anything, unless its use is a harmless one."""
        uses = [each for each in outline.traps if each.chain == chain]
        if not uses:
            self._unfollowed(why, None)
        for each in uses:
            if each.what == "call":
                self._unfollowed(why, each.line)

    def _unfollowed(self, why: str, line: int | None) -> None:
        label = self._piece.label
        where = label if line is None else f"{label}, line {line + 1}"
        self._piece.other_parts.append(make_part(PartKind.UNFOLLOWED, where, why, label, why))

    # Classes

    def _class(self, cls: type) -> None:
        if cls.__module__ == "types" and not hasattr(types, cls.__name__):
            self._unwritten_class(cls, f"types.{cls.__qualname__}")  # made by make_dataclass
            return
        if not is_own_module_name(cls.__module__):
            self._outside(_outside_name(cls.__module__, cls.__qualname__))
            # Methods of the user's that were put on it.
            items = sorted((name, each) for name, each in vars(cls).items() if is_own_code(each))
            self._bound(PartKind.CONSTANT, f"{self._piece.label}.", items)
            return
        piece = self._piece
        label = f"{module_label(cls.__module__)}.{cls.__qualname__}"
        piece.name_code(label)
        outline = outline_of_class(cls)
        if outline is None:
            self._unwritten_class(cls, label)
            return
        scope = Scope.of_class(cls, label)
        scope.seen = self._references.seen_by(piece)
        self._outlined(PartKind.CLASS, outline, scope)
        self._children(base for base in cls.__bases__ if base is not object)
        if type(cls) is not type:
            self._children([type(cls)])
        registered = registered_with(cls)
        piece.say("", *(class_name(each) for each in registered))
        # What the text says too, unless it was edited since it was loaded.
        piece.say("", *(each.partition(":")[0] for each in fields_of(cls)), *flags_of(cls))
        self._children(registered)
        if issubclass(cls, enum.Enum):
            self._members(cls)
            return
        piece.touches += self._references.changes.of_class(cls)
        items = [each for each in sorted(vars(cls).items()) if may_differ(*each, outline)]
        piece.say("", *(name for name, _ in items))
        self._bound(PartKind.CONSTANT, f"{label}.", items, cls)

    def _members(self, cls: type[enum.Enum]) -> None:
        self._piece.say("", *cls.__members__)
        for name, each in cls.__members__.items():
            self._children([each._value_])
            held = member_items(each)
            if held:
                self._piece.say("member", name, *(attribute for attribute, _ in held))
                self._bound(PartKind.CONSTANT, f"{self._piece.label}.{name}.", held, vars(each))

    def _unwritten_class(self, cls: type, label: str) -> None:
        """Describe a class without a source, as namedtuple() makes it: by what it holds."""
        self._piece.name_code(label)
        self._piece.own_part = (PartKind.CLASS, label, "")
        if type(cls) is not type:
            self._children([type(cls)])
        self._children(base for base in cls.__bases__ if base is not object)
        if issubclass(cls, enum.Enum):
            self._piece.say("class", cls.__qualname__)
            self._members(cls)
            return
        items = behaviour_items(cls, with_fields=True)
        self._piece.say("class", cls.__qualname__, *fields_of(cls), *flags_of(cls))
        self._piece.say("", *(name for name, _ in items))
        self._bound(PartKind.CONSTANT, f"{label}.", items, cls)

    def _behaviour(self, cls: type) -> None:
        label = f"{module_label(cls.__module__)}.{cls.__qualname__}"
        self._piece.name_code(label)
        items = behaviour_items(cls)
        self._piece.touches += self._references.changes.of_class(cls)
        self._piece.say("behaviour", *flags_of(cls), "", *(name for name, _ in items))
        self._children((base for base in cls.__bases__ if has_behaviour(base)), "behaviour")
        self._bound(PartKind.CONSTANT, f"{label}.", items, cls)


def _through_modules(scope: Scope, chains: Sequence[Chain]) -> Iterator[Chain]:
    """Yield chains for compiled code, which does not say what an attribute is taken of."""
    names = [chain[0] for chain in chains]
    for chain in chains:
        target = scope.find(chain).target
        if isinstance(target, types.ModuleType) and is_own_module(target):
            yield from ((*chain, name) for name in names if name in vars(target))
        elif target is not MISSING:  # an attribute, as likely as not
            yield chain


def _outside_name(module: str, qualname: str) -> str:
    # Where a package keeps its things in private differs between its versions.
    public = [each for each in module.split(".") if not each.startswith("_")]
    return ".".join([*(public or [module.strip("_")]), qualname])


# Texts that are paths


def _place_of(text: str) -> tuple[str, str] | None:
    """Return root and path of a text that is an absolute path below a root; None for others."""
    if not text.startswith("/"):
        return None
    place = current_places().name(text)
    return (place.root, place.path) if place.root else None


def _may_name_a_root(container: Any) -> bool:
    """Tell whether a container may hold, as text, a path below a root."""
    roots = [root for root in current_places().roots.values() if len(root) > 1]
    return bool(roots) and any(root in repr(container) for root in roots)
