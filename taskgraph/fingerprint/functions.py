"""Functions as values: their fingerprint counts, never their address.

Compiled functions and bound methods need no kind of their own: they are what Python reduces them
to, a name, and the object that they are bound to.
"""

from __future__ import annotations

import types
from typing import Any

from taskgraph.fingerprint.code import fingerprint
from taskgraph.values import registry
from taskgraph.values.kinds import Shape, ValueKind


class FunctionKind(ValueKind):
    """Python functions: by name, code, closure and defaults."""

    name = "builtins.function"

    def shape(self, value: Any) -> Shape:
        """Return name and code hash, with the defaults inside."""
        code_hash = fingerprint(value).code_hash
        name = (value.__module__, value.__qualname__)
        defaults = [value.__defaults__ or (), dict(sorted((value.__kwdefaults__ or {}).items()))]
        return Shape("function", (*name, code_hash), defaults, lambda _: ".__defaults__")

    def preview(self, value: Any) -> str:
        """Return the function's name."""
        return f"{value.__module__}.{value.__qualname__}"


registry.register(types.FunctionType, FunctionKind())
