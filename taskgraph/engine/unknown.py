"""The unknown: stands in a plan for a value that only a run can give."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from taskgraph.hashing import ValueHash, hash_record
from taskgraph.values import registry
from taskgraph.values.kinds import Shape, ValueKind


class LookedAtUnknown(BaseException):  # no error: nobody but the planner meets it
    """Something asked what an unknown value is; goes through every ``except Exception``."""


class Unknown:
    """A value that is not known. It may be passed on and put into containers, and nothing else.

    Attributes:
        number: What tells it from others: its place among the origins of a plan.
        value_hash: Equal for what would be equal calls, so that these count once.
    """

    __slots__ = ("number", "value_hash")

    number: int
    value_hash: ValueHash

    def __init__(self, number: int, key: str) -> None:
        object.__setattr__(self, "number", number)
        object.__setattr__(self, "value_hash", ValueHash(hash_record("unknown", key)))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "?"

    def __getattr__(self, name: str) -> NoReturn:
        # Protocols may ask (copy, pickle, inspect); whoever asks for a plain name wants the value.
        if name.startswith("__"):
            raise AttributeError(name)
        raise LookedAtUnknown(name)


def _look(self: Unknown, *args: Any, **kwargs: Any) -> NoReturn:
    raise LookedAtUnknown


_OPERATIONS: Final = (
    "bool eq ne lt le gt ge len iter getitem setitem contains call setattr str format int float"
    " index add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow"
    " matmul rmatmul and rand or ror xor rxor neg pos abs enter exit next"
)
for _name in _OPERATIONS.split():
    setattr(Unknown, f"__{_name}__", _look)


class UnknownKind(ValueKind):
    """Unknowns as arguments: hashed by what they stand for, never stored."""

    name = "taskgraph.Unknown"

    def own_hash(self, value: Any) -> ValueHash:
        """Return the hash of what it stands for."""
        return value.value_hash  # type: ignore[no-any-return]  # of an Unknown

    def shape(self, value: Any) -> Shape:
        """Return the same, as a level of its own."""
        return Shape("unknown", value.value_hash)

    def preview(self, value: Any) -> str:
        """Return a question mark."""
        return "?"


registry.register(Unknown, UnknownKind())
