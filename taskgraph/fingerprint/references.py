"""What the names in a piece of code refer to: the pieces they lead to, and what is to be told.

The code of a module uses the same names again and again. Each leads to one place for as long as
the program is taken to stand still, and so it is looked up once for all the code of the module.
"""

from __future__ import annotations

import ast
import collections
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from taskgraph.fingerprint import traps
from taskgraph.fingerprint.changes import Changes
from taskgraph.fingerprint.copies import WITH_KEYS
from taskgraph.fingerprint.named import namer_of
from taskgraph.fingerprint.outline import PARAMETER, Chain, Touched
from taskgraph.fingerprint.parts import PartKind
from taskgraph.fingerprint.pieces import Binding, Piece
from taskgraph.fingerprint.project import is_own_module
from taskgraph.fingerprint.scope import BUILTIN, MISSING, UNBOUND, Found, Scope, Sighting
from taskgraph.fingerprint.state import NO_VALUE, States
from taskgraph.fingerprint.touches import ADDED_TO, RESULT, RETURNED, STORES, WRITTEN
from taskgraph.hashing import ATOMIC_TYPES, CONTAINER_TYPES

#: Gives the number of the piece for an object, in a role.
Enter = Callable[..., int]

# The function itself, as an attribute of what counts by its name.
_FUNCTION_OF: Final = frozenset({"func", "__wrapped__"})
_NEVER_STATE: Final = (types.FunctionType, type)
# What can be written to these, and what that does, is known.
_KNOWN: Final = (
    ATOMIC_TYPES | CONTAINER_TYPES | WITH_KEYS | frozenset({bytearray, collections.deque})
)
_NEVER_SHORT: Final = frozenset({collections.defaultdict, collections.Counter})
_WRITES: Final = STORES | {ADDED_TO}


class _Reference(NamedTuple):
    """What a name adds to the piece of code that it stands in.

    Attributes:
        children: The pieces that it leads to.
        bindings: What is to be told of it.
        why: Why what it stands for cannot be followed; "" if it can.
        seen: Where looking for it led through, if anybody wants to know.
        found: What it stands for.
    """

    children: tuple[int, ...]
    bindings: tuple[Binding, ...]
    why: str
    seen: Sequence[Sighting]
    found: Found


class _Module:
    """The names of a module, and what is known of them."""

    def __init__(self, names: dict[str, Any], is_watched: bool) -> None:
        self.scope = Scope({}, names, "")
        self.scope.seen = [] if is_watched else None
        self.known: dict[Chain, _Reference] = {}


class References:
    """Lets pieces refer to what their code reaches.

    Attributes:
        enter: Gives the number of the piece for an object, in a role.
        changes: Finds out what code changes.

    Args:
        enter: As above.
        states: Knows the variables that code changes.
        is_watched: Whether to take note of the names that are looked up.
    """

    def __init__(self, enter: Enter, states: States, is_watched: bool) -> None:
        self.enter = enter
        self.changes = Changes()
        self._is_watched = is_watched
        self._states = states
        self._modules: dict[int, _Module] = {}  # by the identity of their names

    def seen_by(self, piece: Piece) -> list[Sighting] | None:
        """Return where to take note of the names that are looked up for a piece."""
        return piece.seen if self._is_watched else None

    def add_names(
        self, piece: Piece, scope: Scope, chains: Iterable[Chain]
    ) -> list[tuple[str, Chain]]:
        """Let a piece refer to what its names lead to.

        Args:
            piece: The piece.
            scope: The names that the code sees.
            chains: The names.

        Returns:
            The names that cannot be followed, and before each the reason.
        """
        module = self._module(scope.globals)
        closure = scope.closure
        suspects: list[tuple[str, Chain]] = []
        for chain in chains:
            if chain[0] in closure:
                reference, _ = self._look_up(scope, chain)
            else:
                reference = module.known.get(chain) or self._find(module, chain)
            children, bindings, why, seen, found = reference
            piece.children += children
            piece.bindings += bindings
            if why:
                suspects.append((why, chain))
            piece.seen += seen
            if found.variable is not None and callable(found.target):
                piece.touches += self.changes.of_call(found.variable, found.target)
        return suspects

    def add(self, piece: Piece, found: Found) -> None:
        """Let a piece refer to what a name leads to."""
        children, bindings = self._to(found)
        piece.children += children
        piece.bindings += bindings

    def counted(
        self, piece: Piece, scope: Scope, touched: Iterable[Touched]
    ) -> tuple[list[Chain], list[str]]:
        """Return what counts of names that code only writes to.

        What is put into a plain container, or bound to a name, has no part in what the code gives,
        but for whether it can be done. Of other objects, their own code has.

        Returns:
            The names that count all the same, and of the others what they are, in words.
        """
        chains: list[Chain] = []
        facts: list[str] = []
        for chain, done, detail in touched:
            if chain[0] != PARAMETER and done in _WRITES and RESULT not in chain:
                found = scope.find(chain)
                is_there = len(found.rest) == (done == ADDED_TO)
                value = found.target
                if found.variable is not None and not isinstance(value, _NEVER_STATE):
                    value = self._states.counted(*found.variable, value)
                fact = _fact_of(value, done, detail) if is_there else ""
                if fact:
                    facts.append(f"{'.'.join(chain)} {fact}")
                    if detail and found.variable is not None:
                        piece.seen.append((*found.variable, found.target))
                else:
                    chains.append(chain)
        return chains, facts

    def add_touches(
        self, piece: Piece, scope: Scope, code: str, touched: Iterable[Touched]
    ) -> None:
        """Let a piece know the variables that its code changes, once its names are added.

        Args:
            piece: The piece.
            scope: The names that the code sees.
            code: What it is known by.
            touched: What it does to what names stand for.
        """
        module = self._module(scope.globals)
        closure = scope.closure
        for chain, done, detail in touched:
            if chain[0] == PARAMETER or done == RETURNED:
                continue
            if RESULT in chain:
                piece.touches += self.changes.of_result(scope, code, chain, done, detail)
                continue
            known = module.known.get(chain) if chain[0] not in closure else None
            found = scope.find(chain) if known is None else known.found
            if not isinstance(found.target, types.FunctionType) or done in STORES:
                piece.touches += self.changes.of_code(scope, code, found, done, detail)

    def add_held(
        self,
        piece: Piece,
        kind: PartKind,
        label: str,
        items: Iterable[tuple[str, Any]],
        owner: Any = None,
    ) -> None:
        """Let a piece refer to values by their names, as attributes or defaults of an owner."""
        for name, value in items:
            counted = value
            if owner is not None and not isinstance(value, _NEVER_STATE):
                counted = self._states.counted(owner, name, value)
            child = self.enter(counted)
            piece.children.append(child)
            piece.bindings.append(Binding(kind, f"{label}{name}", child))

    def _module(self, names: dict[str, Any]) -> _Module:
        module = self._modules.get(id(names))
        if module is None:
            module = self._modules[id(names)] = _Module(names, self._is_watched)
        return module

    def _find(self, module: _Module, chain: Chain) -> _Reference:
        """Return where a chain of names of a module leads, and keep it if it leads anywhere."""
        inner = module.scope.globals.get(chain[0], MISSING) if len(chain) > 1 else MISSING
        if isinstance(inner, types.ModuleType) and is_own_module(inner) and chain[1] in vars(inner):
            # It leads where it leads for the code of that module.
            elsewhere = self._module(vars(inner))
            reference = elsewhere.known.get(chain[1:]) or self._find(elsewhere, chain[1:])
            is_found = chain[1:] in elsewhere.known
        else:
            reference, is_found = self._look_up(module.scope, chain)
        if module.scope.seen is not None:
            # Itself, and where it led to.
            seen = [*reference.seen, *module.scope.seen]
            if inner is not MISSING:
                seen.append((module.scope.globals, chain[0], inner))
            reference = _Reference(*reference[:3], seen, reference.found)
            module.scope.seen.clear()
        if is_found:
            module.known[chain] = reference
        return reference

    def _look_up(self, scope: Scope, chain: Chain) -> tuple[_Reference, bool]:
        """Return where a chain leads, and whether it leads anywhere."""
        found = scope.find(chain)
        children, bindings = self._to(found)
        why = traps.sense_reference(scope, chain, found)
        # Who watches more closely takes note of the whole way.
        seen: Sequence[Sighting] = ()
        if found.variable is not None and not self._is_watched:
            seen = ((*found.variable, found.target),)
        return _Reference(children, bindings, why, seen, found), found.target is not MISSING

    def _to(self, found: Found) -> tuple[tuple[int, ...], tuple[Binding, ...]]:
        target = found.target
        if target is BUILTIN:
            return ((self.enter(BUILTIN),), ())
        if target is UNBOUND:
            return ((self.enter(MISSING),), ())
        if found.variable is not None and not isinstance(target, _NEVER_STATE):
            held = NO_VALUE if target is MISSING else target
            target = self._states.counted(*found.variable, held)
        if target is MISSING or target is NO_VALUE:
            return ((self.enter(MISSING),), (Binding(PartKind.NAME, found.name, None),))
        child = self.enter(target)
        if isinstance(target, types.ModuleType):
            return ((child,), ())
        binding = Binding(found.kind, found.name, child)
        if not found.rest or found.rest[0] not in _FUNCTION_OF or namer_of(found.target) is None:
            return ((child,), (binding,))
        # Of what counts by its name, as a task does, the plain function is called.
        name = found.rest[0]
        func = self.enter(getattr(found.target, name, None))
        return (
            (child, func),
            (binding, Binding(PartKind.CONSTANT, f"{found.name}.{name}", func)),
        )


def _fact_of(value: Any, done: str, detail: str) -> str:
    """Return what has to be known of something that is written to; "" if that is all of it."""
    kind = type(value)
    if kind not in _KNOWN:
        return ""
    if not detail or kind in _NEVER_SHORT or (done == WRITTEN and kind in WITH_KEYS):
        return kind.__name__
    if kind not in WITH_KEYS or detail == "[?]":
        return ""
    held = value.get(ast.literal_eval(detail[1:-1]), MISSING)
    is_plain = held is MISSING or type(held) in ATOMIC_TYPES
    return f"{kind.__name__} {detail} {type(held).__name__}" if is_plain else ""
