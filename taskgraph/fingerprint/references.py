"""What the names in a piece of code refer to: the pieces they lead to, and what is to be told.

The code of a module uses the same names again and again. Each leads to one place for as long as
the program is taken to stand still, and so it is looked up once for all the code of the module.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from taskgraph.fingerprint import traps
from taskgraph.fingerprint.named import namer_of
from taskgraph.fingerprint.outline import Chain
from taskgraph.fingerprint.parts import PartKind
from taskgraph.fingerprint.pieces import Binding, Piece
from taskgraph.fingerprint.project import is_own_module
from taskgraph.fingerprint.scope import BUILTIN, MISSING, UNBOUND, Found, Scope, Sighting
from taskgraph.fingerprint.state import States

#: Gives the number of the piece for an object, in a role.
Enter = Callable[..., int]

# The function itself, as an attribute of what counts by its name.
_FUNCTION_OF: Final = frozenset({"func", "__wrapped__"})
_NEVER_STATE: Final = (types.FunctionType, type)


class _Reference(NamedTuple):
    """What a name adds to the piece of code that it stands in.

    Attributes:
        children: The pieces that it leads to.
        bindings: What is to be told of it.
        why: Why what it stands for cannot be followed; "" if it can.
        seen: Where looking for it led through, if anybody wants to know.
    """

    children: tuple[int, ...]
    bindings: tuple[Binding, ...]
    why: str = ""
    seen: Sequence[Sighting] = ()


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

    Args:
        enter: As above.
        states: Knows the variables that code changes.
        is_watched: Whether to take note of the names that are looked up.
    """

    def __init__(self, enter: Enter, states: States, is_watched: bool) -> None:
        self.enter = enter
        self._is_watched = is_watched
        self._states = states
        self._modules: dict[int, _Module] = {}  # by the identity of their names

    def add_names(
        self, piece: Piece, scope: Scope, chains: Iterable[Chain]
    ) -> list[tuple[str, Chain]]:
        """Let a piece refer to what its names lead to.

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
            children, bindings, why, seen = reference
            piece.children += children
            piece.bindings += bindings
            if why:
                suspects.append((why, chain))
            if seen and piece.seen is not None:
                piece.seen += seen
        return suspects

    def add(self, piece: Piece, found: Found) -> None:
        """Let a piece refer to what a name leads to."""
        children, bindings, *_ = self._to(found)
        piece.children += children
        piece.bindings += bindings

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
            reference = reference._replace(seen=seen)
            module.scope.seen.clear()
        if is_found:
            module.known[chain] = reference
        return reference

    def _look_up(self, scope: Scope, chain: Chain) -> tuple[_Reference, bool]:
        """Return where a chain leads, and whether it leads anywhere."""
        found = scope.find(chain)
        reference = self._to(found)
        why = traps.sense_reference(scope, chain, found)
        if why:
            reference = reference._replace(why=why)
        return reference, found.target is not MISSING

    def _to(self, found: Found) -> _Reference:
        target = found.target
        if target is BUILTIN:
            return _Reference((self.enter(BUILTIN),), ())
        if target is UNBOUND:
            return _Reference((self.enter(MISSING),), ())
        if target is MISSING:
            return _Reference((self.enter(MISSING),), (Binding(PartKind.NAME, found.name, None),))
        if found.variable is not None and not isinstance(target, _NEVER_STATE):
            target = self._states.counted(*found.variable, target)
        child = self.enter(target)
        if isinstance(target, types.ModuleType):
            return _Reference((child,), ())
        binding = Binding(found.kind, found.name, child)
        if not found.rest or found.rest[0] not in _FUNCTION_OF or namer_of(found.target) is None:
            return _Reference((child,), (binding,))
        # Of what counts by its name, as a task does, the plain function is called.
        name = found.rest[0]
        func = self.enter(getattr(found.target, name, None))
        return _Reference(
            (child, func), (binding, Binding(PartKind.CONSTANT, f"{found.name}.{name}", func))
        )
