"""Binding of arguments: `f(1)`, `f(x=1)` and a default of 1 are one and the same call."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from taskgraph.expression import Expression
from taskgraph.tasks.standing import JobInfo

_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


class Place(NamedTuple):
    """Where an argument goes.

    Attributes:
        label: How it enters ``args_hash``: the parameter's name, ``*`` or ``**name``.
        position: Its position in the signature; None for items of ``**kwargs``.
        key: The parameter's name; None for items of ``*args``.
    """

    label: str
    position: int | None
    key: str | None


#: An argument in its place; the value is the user's.
BoundArgument = tuple[Place, Any]


class Binder:
    """Binds arguments to one signature, quickly where the signature is a plain one.

    Attributes:
        ignored: The parameters that do not count in the cache key.
        job_infos: Those that are told of the job, and are no arguments of the call.
        lazy_defaults: The defaults that are calls.
    """

    __slots__ = (
        "_defaults",
        "_is_plain",
        "_most",
        "_names",
        "_places",
        "_required",
        "has_defaults",
        "ignored",
        "job_infos",
        "lazy_defaults",
        "signature",
    )

    def __init__(self, signature: inspect.Signature, ignored: Sequence[str] = ()) -> None:
        self.signature = signature
        self.ignored = frozenset(ignored)
        parameters = list(signature.parameters.values())
        empty = inspect.Parameter.empty
        self._names = tuple(each.name for each in parameters)
        self._places = tuple([Place(name, i, name) for i, name in enumerate(self._names)])
        self._is_plain = all(each.kind in _POSITIONAL for each in parameters)
        self._required = sum(1 for each in parameters if each.default is empty)
        self._most = len(parameters)
        self.job_infos = frozenset(e.name for e in parameters if isinstance(e.default, JobInfo))
        self._defaults = {
            e.name: e.default
            for e in parameters
            if e.default is not empty and e.name not in self.job_infos
        }
        self.has_defaults = bool(self._defaults)
        self.lazy_defaults: Mapping[str, Expression] = {
            name: default
            for name, default in self._defaults.items()
            if isinstance(default, Expression)
        }

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The values of the parameters that have one, by name; not those told of the job."""
        return self._defaults

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Check that the arguments fit.

        Raises:
            TypeError: With Python's own words.
        """
        if self._is_plain and not kwargs and self._required <= len(args) <= self._most:
            return
        self.signature.bind(*args, **kwargs)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[BoundArgument]:
        """Return the arguments in the order of the signature, with defaults."""
        if self._is_plain and not kwargs and len(args) == self._most:
            return list(zip(self._places, args, strict=True))
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments: list[BoundArgument] = []
        for index, (name, value) in enumerate(bound.arguments.items()):
            match self.signature.parameters[name].kind:
                case inspect.Parameter.VAR_POSITIONAL:
                    arguments += [
                        (Place("*", index + offset, None), each)
                        for offset, each in enumerate(value)
                    ]
                case inspect.Parameter.VAR_KEYWORD:
                    arguments += [
                        (Place(f"**{key}", None, key), value[key]) for key in sorted(value)
                    ]
                case _:
                    arguments.append((Place(name, index, name), value))
        return arguments

    def with_job_info(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], found: JobInfo
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with what is known of the job, where nothing is given by hand."""
        bound = self.signature.bind(*args, **kwargs)
        for name in self.job_infos:
            default = self.signature.parameters[name].default
            given = bound.arguments.get(name, default)
            if isinstance(given, JobInfo) and given == default:
                bound.arguments[name] = found
        # In the order of the signature: what comes by position must not move.
        order = [name for name in self._names if name in bound.arguments]
        bound.arguments = {name: bound.arguments[name] for name in order}
        return bound.args, bound.kwargs

    def missing_lazy_defaults(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> dict[str, Expression]:
        """Return the defaults that are expressions and were not given: they are evaluated too."""
        given = set(self._names[: len(args)]) | set(kwargs)
        return {n: each for n, each in self.lazy_defaults.items() if n not in given}
