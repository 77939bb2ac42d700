"""The kinds of Python's own types: containers of anything, subclasses of builtins, classes.

Exact builtin types that hold nothing else never come here: `taskgraph.hashing` takes them whole.
These kinds are for what it leaves over.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.values import objects
from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.objects import default_state, refuse, take_apart
from taskgraph.values.preview import preview
from taskgraph.values.registry import register
from taskgraph.values.standard import ErrorKind


def _no_step(position: int) -> str:
    return ""


class AtomKind(ValueKind):
    """Exact builtin scalars; of these only what marshal refuses (2 GB of text, say) is hashed."""

    def shape(self, value: Any) -> Shape:
        """Return the raw content."""
        if isinstance(value, str):
            return Shape("str", buffers=(value.encode("utf-8", "surrogatepass"),))
        if isinstance(value, bytes):
            return Shape("bytes", buffers=(value,))
        if isinstance(value, int):
            size = value.bit_length() // 8 + 1
            return Shape("int", buffers=(value.to_bytes(size, "little", signed=True),))
        return Shape(type(value).__name__, value)


class SequenceKind(ValueKind):
    """Lists and tuples that hold other things than builtins."""

    def shape(self, value: Any) -> Shape:
        """Return the items in order."""
        return Shape(type(value).__name__, None, value)


class SetKind(ValueKind):
    """Sets that hold other things than builtins: their items count in no order."""

    def shape(self, value: Any) -> Shape:
        """Return the items; their hashes are sorted."""
        return Shape(type(value).__name__, None, list(value), lambda _: "{...}", ordered=False)


class DictKind(ValueKind):
    """Dicts that hold other things than builtins: keys and values by turns, in order."""

    def shape(self, value: Any) -> Shape:
        """Return keys and values by turns."""
        inside = [each for pair in value.items() for each in pair]
        return Shape("dict", None, inside, lambda position: _dict_step(inside, position))


def _dict_step(inside: Sequence[Any], position: int) -> str:
    key = inside[position - position % 2]
    key = f'"{key}"' if type(key) is str and key.isidentifier() else preview(key, 40)
    return f"[{key}]" if position % 2 else f"<key {key}>"


class SubclassKind(ValueKind):
    """Subclasses of a builtin type: by class, content as the builtin has it, and state."""

    def __init__(self, base: type, content: Callable[[Any], Any]) -> None:
        self._base = base
        self._content = content

    def shape(self, value: Any) -> Shape:
        """Return the class with the content, which is of the exact builtin type, and the state."""
        cls = type(value)
        # Classes that say themselves how they are made again (defaultdict, Counter) hold more
        # than items; those of sets would list their items in any order.
        is_set = self._base in (set, frozenset)
        if not is_set and not _adds_nothing(cls, self._base):
            return objects.OBJECT.shape(value)
        taken = take_apart(default_state(value), cls)
        state = (*class_path(cls), taken.described)
        inside = [self._content(value), *taken.values]
        labels = ["", *taken.labels]
        return Shape(f"{self._base.__name__} subclass", state, inside, labels.__getitem__)


# Where a method may be defined without saying anything beyond the builtin content and the state.
_STATE_METHODS = ("__reduce_ex__", "__reduce__")


def _adds_nothing(cls: type, base: type) -> bool:
    return all(
        getattr(cls, name) is getattr(base, name) for name in _STATE_METHODS
    ) and not hasattr(cls, "__getnewargs_ex__")


class NamedTupleKind(SubclassKind):
    """Tuples; those with named fields by class, field names and items."""

    def __init__(self) -> None:
        super().__init__(tuple, lambda value: tuple(tuple.__iter__(value)))

    def shape(self, value: Any) -> Shape:
        """Return class and field names with the items, or that of any subclass of tuple."""
        cls = type(value)
        fields = getattr(cls, "_fields", None)
        if not is_named_tuple(cls) or not _adds_nothing(cls, tuple):
            return super().shape(value)
        taken = take_apart(default_state(value), cls)
        items = list(tuple.__iter__(value))
        state = (*class_path(cls), tuple(fields or ()), len(items), taken.described)
        labels = [f".{name}" for name in fields or ()]
        labels += [f"[{position}]" for position in range(len(labels), len(items))]
        labels += taken.labels
        return Shape("namedtuple", state, [*items, *taken.values], labels.__getitem__)


def is_named_tuple(cls: type) -> bool:
    """Tell whether a class was made by ``namedtuple`` or ``NamedTuple``, or inherits from one."""
    fields = getattr(cls, "_fields", None)
    return (
        issubclass(cls, tuple)
        and type(fields) is tuple
        and all(type(name) is str for name in fields)
    )


class RangeKind(ValueKind):
    """Ranges, by what they were made with."""

    def shape(self, value: Any) -> Shape:
        """Return start, stop and step."""
        return Shape("range", (value.start, value.stop, value.step))


class SliceKind(ValueKind):
    """Slices, whose ends may be anything."""

    def shape(self, value: Any) -> Shape:
        """Return start, stop and step as children."""
        names = (".start", ".stop", ".step")
        return Shape("slice", None, (value.start, value.stop, value.step), names.__getitem__)


class ByteArrayKind(ValueKind):
    """Byte arrays, by content."""

    def shape(self, value: Any) -> Shape:
        """Return the content in place."""
        return Shape("bytearray", buffers=(value,))


class MemoryViewKind(ValueKind):
    """Memory views: by format, shape and content, not by strides. They cannot be stored."""

    def shape(self, value: Any) -> Shape:
        """Return the content in C order."""
        content = value if value.c_contiguous and value.nbytes else value.tobytes()
        return Shape("memoryview", (value.format, tuple(value.shape or ())), buffers=(content,))


class ProxyKind(ValueKind):
    """Read-only views of dictionaries, by content."""

    def shape(self, value: Any) -> Shape:
        """Return a copy of the dictionary."""
        return Shape("mappingproxy", None, (dict(value),), _no_step)


class ModuleKind(ValueKind):
    """Modules: they have no content of their own."""

    def shape(self, value: Any) -> Shape:
        """Refuse."""
        raise refuse(value, f"the module {value.__name__} has no content that could be hashed")


def _content_of(base: type) -> Callable[[Any], Any]:
    """Return what makes an exact builtin of a subclass's value, past all overridden methods."""
    match base.__name__:
        case "int" | "float" | "complex" | "str" | "bytes":
            method: Callable[[Any], Any] = getattr(base, f"__{base.__name__}__")
            return method
        case "dict":
            return lambda value: dict(dict.items(value))
        case "bytearray":
            return lambda value: bytearray(memoryview(value))
    iterate: Callable[[Any], Any] = base.__iter__  # type: ignore[attr-defined]
    return lambda value: base(iterate(value))


def register_builtin() -> None:
    """Register the kinds for the types in ``builtins``."""
    for atom in ATOMIC_TYPES:
        register(atom, AtomKind())
    for base in (int, float, complex, str, bytes, bytearray, list, dict, set, frozenset):
        register(base, SubclassKind(base, _content_of(base)), subclasses=True)
    register(bytearray, ByteArrayKind())
    register(tuple, NamedTupleKind(), subclasses=True)
    register(list, SequenceKind())
    register(tuple, SequenceKind())
    register(dict, DictKind())
    register(set, SetKind())
    register(frozenset, SetKind())
    register(range, RangeKind())
    register(slice, SliceKind())
    register(memoryview, MemoryViewKind())
    register(types.ModuleType, ModuleKind(), subclasses=True)
    register(types.MappingProxyType, ProxyKind())
    register(BaseException, ErrorKind(), subclasses=True)


__all__ = ["is_named_tuple", "register_builtin"]
