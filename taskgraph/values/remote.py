"""Values that lie elsewhere, as on a worker: what stands for one here is weighed by its hash.

A stand-in goes through a job like any value, and says itself which call gave it, for the very
object that was returned is not here. It is never stored in the place of what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from taskgraph.hashing import CallHash, ValueHash, hash_record
from taskgraph.values.kinds import ValueKind, class_name
from taskgraph.values.registry import register
from taskgraph.values.weigh import Weight, weigh


@dataclass(slots=True, eq=False, weakref_slot=True)
class Remote:
    """Stands for a value that lies elsewhere; what is known of it may come by and by.

    Attributes:
        name: What tells it from others: where it lies.
        type_name: Of the value.
        preview: What it is shown as.
        value_hash: The value's, once it is known.
        call_hash: The recorded call that gave it, if one did.
        is_unstored: Whether its hash names no content, so that nobody will find what is made of it.
    """

    name: str
    type_name: str
    preview: str
    value_hash: ValueHash | None = None
    call_hash: CallHash | None = None
    is_unstored: bool = False

    def show(self, type_name: str, preview: str) -> None:
        """Take note of what the value looks like."""
        self.type_name, self.preview = type_name, preview

    def know(
        self, value_hash: ValueHash, call_hash: CallHash | None = None, *, is_unstored: bool = False
    ) -> None:
        """Take note of the hash of the value, and of the call that gave it."""
        self.call_hash, self.is_unstored = call_hash, is_unstored
        self.value_hash = value_hash  # last: who sees it sees the others

    @property
    def weight(self) -> Weight:
        """The hash of the value; one of its name while that is not known."""
        return Weight(self.value_hash or ValueHash(hash_record("future", self.name)))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self.preview} is not here, and cannot be stored")


class RemoteKind(ValueKind):
    """Stand-ins inside of other values; one that is an argument itself has the value's own hash."""

    name = class_name(Remote)
    is_subvalue = True  # so that who weighs a value is told what stands in it
    brings_code = False

    def type_name(self, value: Any) -> str:
        """Return the type of what it stands for."""
        return str(value.type_name)

    def own_hash(self, value: Any) -> ValueHash:
        """Return a hash of its own, for only with the value is there a list of values, say."""
        return ValueHash(hash_record("value on a worker", value.weight.value_hash))

    def preview(self, value: Any) -> str:
        """Return what it is shown as."""
        return str(value.preview)


register(Remote, RemoteKind())


def weight_of(value: Any, path: str = "value") -> Weight:
    """Return the weight of a value, or of what it stands for; as `taskgraph.values.weigh.weigh`."""
    return value.weight if type(value) is Remote else weigh(value, path)


def remotes_in(value: Any, weight: Weight) -> Iterator[Remote]:
    """Yield what stands for values elsewhere in a value that was weighed, itself among it."""
    if type(value) is Remote:
        yield value
    for each in weight.subvalues:
        if type(each.value) is Remote:
            yield each.value
