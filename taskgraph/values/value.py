"""`Value` and `ProxyValue`: classes that say themselves how they are hashed, stored and checked.

Their values are recorded as subvalues wherever they lie.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from taskgraph.hashing import ValueHash, hash_shape
from taskgraph.values import codec, objects, weigh
from taskgraph.values.kinds import Shape, ValueKind, class_name, class_path
from taskgraph.values.registry import class_named, register

SERIALIZED = "serialized"

# The values that are being written by their class on this thread, by identity: where one writes
# itself with our own `serialize`, it is written as a plain object.
_writing = threading.local()


@contextmanager
def _written_by_its_class(value: Any) -> Iterator[None]:
    ids: set[int] = _writing.__dict__.setdefault("ids", set())
    ids.add(id(value))
    try:
        yield
    finally:
        ids.discard(id(value))


def restore_value(speaker: type[Value], raw_type: type, payload: bytes) -> Any:
    """Make a value again that was written by its class, inside of another one."""
    return speaker.deserialize(raw_type, payload)


class _Bare:
    """Wraps an adopted value so that it is hashed as an object, past its proxy."""

    def __init__(self, instance: Any) -> None:
        self.instance = instance


class _BareKind(ValueKind):
    def shape(self, value: Any) -> Shape:
        """Return the shape that the value would have without its proxy."""
        return objects.default_kind(type(value.instance)).shape(value.instance)


class ValueClassKind(ValueKind):
    """Values of one subclass of `Value`, and of its subclasses."""

    is_subvalue = True
    reads_by_class = True

    def __init__(self, cls: Any) -> None:
        self._cls = cls
        self.name = str(cls.type_name)

    def type_name(self, value: Any) -> str:
        """Return the class's own name."""
        return str(type(value).type_name)

    def of(self, value: Any) -> Value:
        """Return the `Value` that speaks for a value."""
        return value  # type: ignore[no-any-return]

    def shape(self, value: Any) -> Shape:
        """Return the state of the object."""
        return objects.OBJECT.shape(value)

    def own_hash(self, value: Any) -> ValueHash | None:
        """Return what ``get_hash`` gave, with the type name, so that it is nobody else's."""
        speaker = self.of(value)
        if type(speaker).get_hash is Value.get_hash:
            return None
        return hash_shape("value class", (self.type_name(value), str(speaker.get_hash())))

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return what ``serialize`` gave, None if the class leaves it to us."""
        if not self.writes_itself:
            return None
        with _written_by_its_class(value):
            return self._format_of(type(value)), bytes(self.of(value).serialize())

    def reduce(self, value: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
        """Return what has the class make the value again, None if the class leaves it to us."""
        if not self.writes_itself or id(value) in getattr(_writing, "ids", ()):
            return None
        with _written_by_its_class(value):
            payload = bytes(self.of(value).serialize())
        return restore_value, (self._cls, type(value), payload)

    def decode(self, format: str, payload: bytes) -> Any:
        """Have the class make the value again."""
        word, _, name = format.partition(" ")
        if word != SERIALIZED:
            raise ValueError(f"values of {self.name} are stored as {SERIALIZED}, not as {format}")
        return self._cls.deserialize(class_named(name) if name else self.raw_type, payload)

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return what the class names, and what its state holds unless it has its own hash."""
        speaker = self.of(value)
        named = list(speaker.iter_subvalues())
        if type(speaker).get_hash is not Value.get_hash:
            return named
        return [*named, *self.shape(value).children]

    def parse(self, text: str) -> Any:
        """Have the class make a value from text."""
        return self._cls.parse_arg(self.raw_type, text)

    def is_valid(self, value: Any) -> bool:
        """Ask the value."""
        return bool(self.of(value).is_valid())

    @property
    def speaks(self) -> type[Value]:
        """The class that says how the values behave."""
        cls: type[Value] = self._cls
        return cls

    @property
    def raw_type(self) -> Any:
        """The class that the values are of, or that theirs derives from."""
        return self._cls

    @property
    def writes_itself(self) -> bool:
        """Whether the class says itself what is stored, or how it is read."""
        is_ours = self._cls.serialize is Value.serialize
        reads: Any = self._cls.deserialize  # a class method
        return not is_ours or reads.__func__ is not _READS

    def _format_of(self, cls: type) -> str:
        return SERIALIZED


class ProxyKind(ValueClassKind):
    """Values of a foreign class that a subclass of `ProxyValue` speaks for."""

    def type_name(self, value: Any) -> str:
        """Return the proxy's own name."""
        return self.name

    def of(self, value: Any) -> Value:
        """Return a proxy around the value."""
        return self._cls(value)  # type: ignore[no-any-return]

    def own_hash(self, value: Any) -> ValueHash | None:
        """Return what the proxy's ``get_hash`` gave; None if it has none of its own."""
        if self._cls.get_hash is ProxyValue.get_hash:
            return None
        of = () if type(value) is self.raw_type else class_path(type(value))
        return hash_shape("value class", (self.name, str(self.of(value).get_hash()), *of))

    def shape(self, value: Any) -> Shape:
        """Return the state of the adopted object."""
        shape = objects.default_kind(type(value)).shape(value)
        return shape._replace(tag=f"adopted {shape.tag}")

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return what the proxy names."""
        return list(self.of(value).iter_subvalues())

    @property
    def raw_type(self) -> Any:
        """The class that was adopted."""
        return self._cls.type

    def _format_of(self, cls: type) -> str:
        # A subclass shares the type name of the class that was adopted: it is named besides.
        if cls is self.raw_type or "<" in cls.__qualname__:
            return SERIALIZED
        return f"{SERIALIZED} {class_name(cls)}"


class ValueMeta(type):
    """Registers each subclass of `Value` under its type name."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        if not bases:
            return
        if "type_name" not in namespace:
            cls.type_name = class_name(cls)
        cls.note_hooks()
        adopted = namespace.get("type")
        cls.speak_for(cls if adopted is None else adopted)

    def speak_for(cls, raw_type: Any) -> None:
        """Have this class say how values of a class behave: it itself, or one that it adopts."""
        kind = ValueClassKind(cls) if raw_type is cls else ProxyKind(cls)
        register(raw_type, kind, subclasses=True)

    type_name: str

    def note_hooks(cls) -> None:
        """Take note of a class whose values become something else on their way to a body."""
        owners = {
            base
            for base in cls.__mro__
            if base.__module__ != __name__ and not _OF_CALLS.isdisjoint(vars(base))
        }
        if owners:
            raw_type = getattr(cls, "type", None)
            _hooked[raw_type if isinstance(raw_type, type) else cls] = None


# The methods that are asked when a value goes to the body of a task, or comes from one.
_OF_CALLS = frozenset({"preprocess", "postprocess"})
_hooked: dict[type, None] = {}


def are_hooked() -> bool:
    """Tell whether there is any class whose values become something else on their way."""
    return bool(_hooked)


def hooked_classes() -> tuple[type, ...]:
    """Return the classes whose values may become something else on their way to a body."""
    return tuple(_hooked)


class Value(metaclass=ValueMeta):
    """A value that says itself how it is hashed, stored and checked.

    Subclasses override what is different for them; what they hold is their state as usual.

    Attributes:
        type_name: The name of the class in the store; module and name unless it is given.
    """

    type_name: ClassVar[str] = "taskgraph.Value"

    def is_valid(self) -> bool:
        """Tell whether the value still matches the world; one that does not is made again."""
        return True

    def get_hash(self, data: bytes | None = None) -> str:
        """Return text that is the same for values that are the same; by default over the state.

        Args:
            data: What `serialize` gave, if it is known already.
        """
        return weigh.hash_value(self)

    def serialize(self) -> bytes:
        """Return the bytes under which the value is stored."""
        return codec.dumps(self._stored())

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        """Make a value again from what `serialize` gave.

        Args:
            raw_type: The class that the value was of.
            data: The bytes.
        """
        return codec.read_inside(data)

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        """Return what the body of a task is given for this value.

        It is asked where the body runs, each time that it does. What counts in the key of the call,
        and is recorded, is the value itself.

        Args:
            preprocess_args: ``task``, the full name of the task, and ``job_id``.
        """
        return self

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        """Return what this value becomes where the body of a task returns it.

        It is asked where the body ran; what it gives is the result, and is recorded.

        Args:
            postprocess_args: ``task``, the full name of the task, and ``job_id``.
        """
        return self

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Make a value from the text of a command line flag."""
        return raw_type(arg)

    def iter_subvalues(self) -> Iterable[Any]:
        """Yield the values inside that are recorded as well, or may hold such values."""
        return iter(())

    def _stored(self) -> Any:
        return self


class ProxyValue(Value):
    """Stands for values of a class that is not ours, and says how these behave.

    Subclasses name it in the class attribute ``type``; its subclasses are adopted as well. They are
    made for a moment, with the value in ``self.instance``, whenever something is asked of it.
    """

    type: ClassVar[Any] = None

    def __init__(self, instance: Any) -> None:
        self.instance = instance

    def get_hash(self, data: bytes | None = None) -> str:
        """Return text that is the same for values that are the same; by default over the state."""
        return weigh.hash_value(_Bare(self.instance))

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        """Return what the body of a task is given for the adopted value; see `Value`."""
        return self.instance

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        """Return what the adopted value becomes where the body of a task returns it."""
        return self.instance

    def _stored(self) -> Any:
        return self.instance


_READS: Any = Value.deserialize.__func__  # type: ignore[attr-defined]  # of a class method

register(_Bare, _BareKind())

__all__ = [
    "SERIALIZED",
    "ProxyKind",
    "ProxyValue",
    "Value",
    "ValueClassKind",
    "ValueMeta",
    "are_hooked",
    "hooked_classes",
    "restore_value",
]
