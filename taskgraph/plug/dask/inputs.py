"""Futures among the arguments of a call: each is weighed by the hash of its value.

A value that is on the workers is never brought here to be hashed, and what stands for it here must
never be stored in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from distributed import Future

from taskgraph.engine.jobs import Job
from taskgraph.engine.weighing import weigh
from taskgraph.errors import UnhashableValueError
from taskgraph.hashing import ValueHash, hash_record
from taskgraph.plug.verbs import CallRecord
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.pack import pack_unstored
from taskgraph.values.registry import register
from taskgraph.values.stored import PackedValue
from taskgraph.values.walk import find_kind


class Remote:
    """Stands for a value that is on the workers.

    Attributes:
        name: What it is shown as.
        is_inside: Whether it lies in a list or the like, which then has a hash of its own: over
            the hashes of what is in it, for only with the values is there a list of values.
        type_name: Of the value, where that is known.
        value_hash: The value's, once it is known.
        record: The call that gave it, if it was one that is recorded.
    """

    __slots__ = ("is_inside", "name", "record", "type_name", "value_hash")

    def __init__(
        self, name: str, *, is_inside: bool = False, type_name: str = "distributed.client.Future"
    ) -> None:
        self.name = name
        self.is_inside = is_inside
        self.type_name = type_name
        self.value_hash: ValueHash | None = None
        self.record: CallRecord | None = None

    def know(self, record: CallRecord | None, shown: str) -> None:
        """Take note of the call that gave it, and what it looks like, if that is known by now."""
        if record is not None:
            self.record = record
            self.value_hash = record.value_hash
            self.name = shown


class _RemoteKind(ValueKind):
    brings_code = False

    def type_name(self, value: Any) -> str:
        return str(value.type_name)

    def own_hash(self, value: Any) -> ValueHash | None:
        # Until it is known, the same future stands for the same value at least.
        if value.value_hash is None:
            return ValueHash(hash_record("future", value.name))
        if value.is_inside:
            return ValueHash(hash_record("value on a worker", value.value_hash))
        return cast(ValueHash, value.value_hash)

    def preview(self, value: Any) -> str:
        return str(value.name)


class _FutureKind(ValueKind):
    def shape(self, value: Any) -> Shape:
        reason = (
            "Dask puts a value in the place of a future only where that is an argument itself, or "
            "lies in a list, tuple, set or dict; pass it so"
        )
        raise UnhashableValueError("", "distributed.client.Future", reason)


_REMOTE = _RemoteKind()
register(Remote, _REMOTE)
register(Future, _FutureKind(), subclasses=True)


StandIn = Callable[["Future[Any]", bool], Remote]


def replace_futures(value: Any, stand_in: StandIn, *, is_inside: bool = False) -> Any:
    """Return an argument with stand-ins where Dask would put the values of futures.

    Raises:
        TypeError: It holds a lazy collection of Dask's, whose value nobody would compute.
    """
    if isinstance(value, Future):
        return stand_in(value, is_inside)
    cls = type(value)
    if hasattr(cls, "__dask_graph__"):
        raise TypeError(
            f"{cls.__module__}.{cls.__qualname__} is lazy, and its value is not known here. Pass "
            "`client.compute(it)`, a future."
        )
    if cls is dict:
        mapped = {
            key: replace_futures(each, stand_in, is_inside=True) for key, each in value.items()
        }
        return mapped if any(mapped[key] is not value[key] for key in mapped) else value
    if cls is list or cls is tuple or cls is set:
        made = [(each, replace_futures(each, stand_in, is_inside=True)) for each in value]
        is_new = any(each is not before for before, each in made)
        return cls([each for _, each in made]) if is_new else value
    return value


def weigh_again(job: Job) -> None:
    """Weigh a call whose inputs are known by now; its code stays what it was."""
    upstream = [argument.upstream for argument in job.arguments]
    weigh(job)
    for argument, calls in zip(job.arguments, upstream, strict=True):
        argument.upstream = calls


def name_sources(job: Job) -> None:
    """Join arguments to the calls that gave the futures in them, and keep stand-ins from the store.

    What was made of an unstored value is not cached either.
    """
    for argument in job.arguments:
        inside: Sequence[Remote] = find_kind(argument.value, lambda kind: kind is _REMOTE)
        if not inside or argument.weight is None:
            continue
        records = [each.record for each in inside if each.record is not None]
        job.is_uncacheable |= any(each.unstored for each in records)
        argument.upstream = list(dict.fromkeys(each.call_hash for each in records))
        if type(argument.value) is Remote:
            # Under its hash is the value itself: with the call that gave it, or when that is told.
            argument.is_recorded = True
        else:
            argument.packed = pack_unstored(argument.value, argument.weight.value_hash)


def store_input(job: Job, remote: Remote, packed: PackedValue) -> None:
    """Have an input be stored that no recorded call gave."""
    for argument in job.arguments:
        if argument.value is remote:
            argument.packed = packed
            argument.is_recorded = False
