"""`Value` and `ProxyValue`: classes that say themselves how they are hashed, stored and checked.

Their values are recorded as subvalues wherever they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from taskgraph.hashing import ValueHash, hash_shape
from taskgraph.values import codec, objects, weigh
from taskgraph.values.kinds import Shape, ValueKind, class_name
from taskgraph.values.registry import register

SERIALIZED = "serialized"


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
        speaker = self.of(value)
        if type(speaker).serialize is Value.serialize and not self._reads_itself(speaker):
            return None
        return SERIALIZED, bytes(speaker.serialize())

    def decode(self, format: str, payload: bytes) -> Any:
        """Have the class make the value again."""
        if format != SERIALIZED:
            raise ValueError(f"values of {self.name} are stored as {SERIALIZED}, not as {format}")
        return self._cls.deserialize(self._raw_type(), payload)

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return what the class names, and what its state holds unless it has its own hash."""
        speaker = self.of(value)
        named = list(speaker.iter_subvalues())
        if type(speaker).get_hash is not Value.get_hash:
            return named
        return [*named, *self.shape(value).children]

    def parse(self, text: str) -> Any:
        """Have the class make a value from text."""
        return self._cls.parse_arg(self._raw_type(), text)

    def is_valid(self, value: Any) -> bool:
        """Ask the value."""
        return bool(self.of(value).is_valid())

    def _raw_type(self) -> Any:
        return self._cls

    def _reads_itself(self, speaker: Value) -> bool:
        return type(speaker).deserialize.__func__ is not Value.deserialize.__func__  # type: ignore[attr-defined]


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
        return super().own_hash(value)

    def shape(self, value: Any) -> Shape:
        """Return the state of the adopted object."""
        shape = objects.default_kind(type(value)).shape(value)
        return shape._replace(tag=f"adopted {shape.tag}")

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return what the proxy names."""
        return list(self.of(value).iter_subvalues())

    def _raw_type(self) -> Any:
        return self._cls.type


class ValueMeta(type):
    """Registers each subclass of `Value` under its type name."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        if not bases:
            return
        if "type_name" not in namespace:
            cls.type_name = class_name(cls)
        adopted = namespace.get("type")
        if adopted is not None:
            register(adopted, ProxyKind(cls), subclasses=True)
        else:
            register(cls, ValueClassKind(cls), subclasses=True)

    type_name: str


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
        return codec.loads(data)

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        """Return what a task is given for this value."""
        return self

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        """Return what a task's result becomes where it holds this value."""
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

    def _stored(self) -> Any:
        return self.instance


register(_Bare, _BareKind())

__all__ = ["ProxyKind", "ProxyValue", "Value", "ValueClassKind", "ValueMeta"]
