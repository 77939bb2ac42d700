"""Functions as values: their fingerprint counts, never their address."""

from __future__ import annotations

import builtins
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


class BuiltinFunctionKind(ValueKind):
    """Functions that are compiled: by name."""

    name = "builtins.builtin_function_or_method"

    def shape(self, value: Any) -> Shape:
        """Return the name, with the object that a method is bound to inside."""
        owner = value.__self__
        inside = () if isinstance(owner, types.ModuleType) or owner is None else (owner,)
        module = value.__module__ or builtins.__name__
        return Shape(
            "builtin function", (module, value.__qualname__), inside, lambda _: ".__self__"
        )

    def preview(self, value: Any) -> str:
        """Return the function's name."""
        return f"{value.__module__ or builtins.__name__}.{value.__qualname__}"


class MethodKind(ValueKind):
    """Bound methods: by function and object."""

    name = "builtins.method"

    def shape(self, value: Any) -> Shape:
        """Return a pair of the function and what it is bound to."""
        inside = (value.__func__, value.__self__)
        return Shape("method", None, inside, (".__func__", ".__self__").__getitem__)

    def preview(self, value: Any) -> str:
        """Return the function's name."""
        return f"{value.__func__.__module__}.{value.__func__.__qualname__}"


registry.register(types.FunctionType, FunctionKind())
registry.register(types.BuiltinFunctionType, BuiltinFunctionKind())
registry.register(types.MethodType, MethodKind())
