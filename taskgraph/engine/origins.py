"""Which call a value came from, told by the object itself: so plain calls become data flow.

An object that a call returned is known again, and so are the items of a list, tuple or dict that
one returned, wherever they are passed to. Of values of which Python keeps only one (``None``,
``True``, small integers, short texts) nobody can tell where they came from.
"""

from __future__ import annotations

import enum
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from taskgraph.hashing import ATOMIC_TYPES, CallHash, ValueHash

_MOST: Final = 10_000  # objects that are known again
_MOST_ITEMS: Final = 1_000
_LARGE: Final = 100_000  # bytes; what is larger is not kept alive for this
_SHARED: Final = (bool, enum.Enum, type, FunctionType, ModuleType)
_TWO: Final = 2  # letters: of texts with one there is only one
_SMALL_INTEGERS: Final = range(-5, 257)


class _Origin(NamedTuple):
    """A call, and the object that it gave: by a weak reference, itself, or only by its hash."""

    call_hash: CallHash
    weak: weakref.ref[Any] | None = None
    held: Any = None
    value_hash: ValueHash | None = None

    def gave(self, value: Any, value_hash: ValueHash | None) -> bool:
        """Tell whether it is this object that was given."""
        if self.weak is not None:
            return self.weak() is value
        if self.value_hash is not None:
            return self.value_hash == value_hash
        return self.held is value


class Origins:
    """Knows again what calls returned; the oldest are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, _Origin] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, value: Any, value_hash: ValueHash, call_hash: CallHash, size: int) -> None:
        """Take note that a call gave a value.

        Args:
            value: The value.
            value_hash: Its hash.
            call_hash: The call.
            size: How many bytes it has, as it is stored.
        """
        found: list[tuple[Any, ValueHash | None]] = [(value, value_hash)]
        if type(value) not in ATOMIC_TYPES:
            found += [(each, None) for each in items_of(value)]
        with self._lock:
            for each, its_hash in found:
                if _is_shared(each) or (its_hash is None and self._find(each, None)):
                    continue  # an item that another call gave is still that call's
                origin = _origin(each, its_hash, call_hash, size)
                if origin is not None:
                    self._known[id(each)] = origin
                    self._known.move_to_end(id(each))
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def find(self, value: Any, value_hash: ValueHash) -> list[CallHash]:
        """Return the calls that a value, or the items in it, came from."""
        own = self._find(value, value_hash)
        if own is not None:
            return [own]
        if type(value) in ATOMIC_TYPES:
            return []
        inside = (self._find(each, None) for each in items_of(value))
        return list(dict.fromkeys(each for each in inside if each is not None))

    def _find(self, value: Any, value_hash: ValueHash | None) -> CallHash | None:
        known = self._known.get(id(value))
        return known.call_hash if known is not None and known.gave(value, value_hash) else None


def _origin(
    value: Any, value_hash: ValueHash | None, call_hash: CallHash, size: int
) -> _Origin | None:
    try:
        return _Origin(call_hash, weak=weakref.ref(value))
    except TypeError:  # most builtin types have none
        pass
    if size <= _LARGE:
        return _Origin(call_hash, held=value)
    return None if value_hash is None else _Origin(call_hash, value_hash=value_hash)


def items_of(value: Any) -> Iterator[Any]:
    """Yield the first items of a list or tuple, or the first values of a dict."""
    inside: Iterable[Any] = ()
    if isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, list | tuple):
        inside = value
    for number, each in enumerate(inside):
        if number == _MOST_ITEMS:
            return
        yield each


def _is_shared(value: Any) -> bool:
    """Tell whether Python uses one object for all values that are equal to this one."""
    match value:
        case int() if not isinstance(value, bool | enum.Enum):
            return value in _SMALL_INTEGERS
        case str():  # names, and what looks like one, are interned
            return value.isascii() and (len(value) < _TWO or value.isidentifier())
        case bytes():
            return len(value) < _TWO
        case tuple():
            return not value
    return value is None or isinstance(value, _SHARED)
