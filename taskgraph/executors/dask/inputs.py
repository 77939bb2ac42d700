"""Futures among the arguments of a call: Dask puts their values there, and we stand-ins.

A value that is on the workers is never brought here to be hashed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from distributed import Future

from taskgraph.errors import UnhashableValueError
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.registry import register
from taskgraph.values.remote import Remote


class Inputs(NamedTuple):
    """The arguments of a call as they can be weighed here.

    Attributes:
        args: By position, with stand-ins for the values of futures.
        kwargs: By name, likewise.
        is_known: Whether the values of all futures are known by their hashes, when this is made.
        unweighed: What stands for values that only a worker can weigh, with their futures.
        sources: The calls of ours that give the other ones: held until it is clear what they give.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    is_known: bool
    unweighed: list[tuple[Remote, Future[Any]]]
    sources: list[object]


class _FutureKind(ValueKind):
    def shape(self, value: Any) -> Shape:
        reason = (
            "Dask puts a value in the place of a future only where that is an argument itself, or "
            "lies in a list, tuple, set or dict; pass it so"
        )
        raise UnhashableValueError("", "distributed.client.Future", reason)


register(Future, _FutureKind(), subclasses=True)


def replace_futures(value: Any, stand_in: Callable[[Future[Any]], Remote]) -> Any:
    """Return an argument with stand-ins where Dask would put the values of futures.

    Raises:
        TypeError: It holds a lazy collection of Dask's, whose value nobody would compute.
    """
    if isinstance(value, Future):
        return stand_in(value)
    cls = type(value)
    if hasattr(cls, "__dask_graph__"):
        raise TypeError(
            f"{cls.__module__}.{cls.__qualname__} is lazy, and its value is not known here. Pass "
            "`client.compute(it)`, a future."
        )
    if cls is dict:
        made = {key: replace_futures(each, stand_in) for key, each in value.items()}
        return made if any(made[key] is not value[key] for key in made) else value
    if cls is list or cls is tuple or cls is set:
        pairs = [(each, replace_futures(each, stand_in)) for each in value]
        is_new = any(each is not before for before, each in pairs)
        return cls([each for _, each in pairs]) if is_new else value
    return value
