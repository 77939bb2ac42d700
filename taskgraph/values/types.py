"""The registry of types: what is known of the values of a type, asked in one place.

A thin front for people who write tools around values. The rooms behind it are the table of kinds,
the codec, weighing and walking; what an engine does, it does with these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

from taskgraph.values import codec, registry, walk, weigh
from taskgraph.values.kinds import ValueKind, class_name
from taskgraph.values.parsing import parse_value
from taskgraph.values.value import SERIALIZED, ProxyValue, Value, ValueClassKind

# Before bytes that are neither a pickle nor what a `Value` class wrote stands how to read them.
# No pickle begins so.
_MARK = b"\0taskgraph "


class KnownValue(ProxyValue):
    """Stands for a value that no `Value` class speaks for: it behaves as its kind says."""

    type_name = "taskgraph.KnownValue"

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the hash of the value."""
        return weigh.hash_value(self.instance)

    def serialize(self) -> bytes:
        """Return the bytes of the value, which say how to read them if they are no pickle."""
        format, payload = codec.encode(self.instance)
        if format in (codec.PICKLE, codec.CLOUDPICKLE):
            return payload
        return _MARK + format.encode() + b"\n" + payload

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        """Make a value again; ``raw_type`` is a class, or the name of a type."""
        if not data.startswith(_MARK):
            return codec.read("", codec.PICKLE, data)
        format, _, payload = data[len(_MARK) :].partition(b"\n")
        name = raw_type if isinstance(raw_type, str) else class_name(raw_type)
        return codec.read(name, format.decode(), payload)

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Make a value from the text of a command line flag."""
        return parse_value(raw_type, arg)

    def is_valid(self) -> bool:
        """Tell whether the value still matches the world."""
        return registry.kind_of(self.instance).is_valid(self.instance)

    def iter_subvalues(self) -> Iterator[Any]:
        """Yield what is recorded as a value of its own inside, at any depth."""
        found = walk.find_kind(self.instance, lambda kind: kind.is_subvalue)
        return (each for each in found if each is not self.instance)


class TypeRegistry:
    """What is known of the values of each type: names, hashes, bytes, text and validity."""

    def get_type_name(self, raw_type: type) -> str:
        """Return the name under which values of a class are stored."""
        return registry.kind_of_class(raw_type).name or class_name(raw_type)

    def parse_type_name(self, type_name: str) -> type:
        """Return the class whose values are stored under a name.

        Raises:
            LookupError: There is none, and none can be imported by it.
        """
        return registry.class_named(type_name)

    def get_value(self, raw_value: Any) -> Value:
        """Return what speaks for a value: itself, its proxy, or one for values of any type."""
        kind = registry.kind_of(raw_value)
        return kind.of(raw_value) if _speaks(kind) else KnownValue(raw_value)

    def get_type(self, raw_type: type, use_default: bool = True) -> type[Value] | None:
        """Return the subclass of `Value` that speaks for the values of a class.

        Args:
            raw_type: The class.
            use_default: Whether there is an answer for classes that nobody registered too, whose
                values behave as all objects do; without it, that is None.
        """
        kind = registry.kind_of_class(raw_type)
        if _speaks(kind):
            return kind.speaks
        return KnownValue if use_default or registry.is_registered(raw_type) else None

    def get_hash(self, value: Any, data: bytes | None = None) -> str:
        """Return the hash of a value.

        Args:
            value: Any value.
            data: What `serialize` gave for it, if that is known; it changes nothing.

        Raises:
            UnhashableValueError: Something inside has no stable hash.
        """
        return weigh.hash_value(value)

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a value, as its class says or as a pickle.

        Raises:
            UnstorableValueError: It cannot be pickled.
        """
        kind = registry.kind_of(value)
        if _speaks(kind) and kind.writes_itself:
            return codec.encode(value)[1]
        return KnownValue(value).serialize()

    def deserialize(self, type_name: str, data: bytes) -> Any:
        """Make a value again from what `serialize` gave. Runs code: only for trusted bytes.

        Args:
            type_name: The name of its type; what is not known is read as a plain pickle.
            data: The bytes.

        Raises:
            InvalidValueError: A module that it needs is not installed, a file is gone.
        """
        try:
            kind: ValueKind | None = registry.kind_named(type_name)
        except LookupError:
            kind = None
        if kind is not None and _speaks(kind) and kind.writes_itself:
            return codec.read(type_name, SERIALIZED, data)
        return KnownValue.deserialize(type_name, data)

    def preprocess(self, raw_value: Any, preprocess_args: dict[str, Any]) -> Any:
        """Return what the body of a task is given for a value."""
        kind = registry.kind_of(raw_value)
        return kind.of(raw_value).preprocess(preprocess_args) if _speaks(kind) else raw_value

    def postprocess(self, raw_value: Any, postprocess_args: dict[str, Any]) -> Any:
        """Return what a value becomes where the body of a task returns it."""
        kind = registry.kind_of(raw_value)
        return kind.of(raw_value).postprocess(postprocess_args) if _speaks(kind) else raw_value

    def parse_arg(self, raw_type: Any, arg: str) -> Any:
        """Make a value from text, as the flags of ``taskgraph run`` do.

        Args:
            raw_type: A class, or any annotation.
            arg: The text.

        Raises:
            ValueError: The text is none; the message says what was expected.
        """
        return parse_value(raw_type, arg)

    def is_valid(self, value: Any) -> bool:
        """Tell whether a value still matches the world. May block on files."""
        return registry.kind_of(value).is_valid(value)

    def is_valid_nested(self, value: Any) -> bool:
        """Tell whether a value and all inside of it still match the world. May block on files."""
        return walk.is_valid_nested(value)

    def iter_subvalues(self, value: Any) -> Iterator[Any]:
        """Yield what is recorded as a value of its own inside of a value, at any depth."""
        return KnownValue(value).iter_subvalues()

    def register(
        self, cls: type, kind: ValueKind | type[Value] | None = None, *, subclasses: bool = True
    ) -> None:
        """Say how values of a class behave; a later one for the same class replaces the earlier.

        Subclasses of `Value` and `ProxyValue` are registered when they are defined.

        Args:
            cls: The class of the values; or, alone, a subclass of `Value`.
            kind: A `ValueKind`, or a subclass of `ProxyValue` that is to speak for the class.
            subclasses: Whether it is for subclasses as well.

        Raises:
            TypeError: There is no kind, and the class is not a `Value`.
        """
        if isinstance(kind, ValueKind):
            registry.register(cls, kind, subclasses=subclasses)
        elif kind is not None:
            kind.speak_for(cls)
        elif issubclass(cls, Value):
            cls.speak_for(getattr(cls, "type", None) or cls)
        else:
            raise TypeError(
                f"{cls.__name__} does not say how its values behave: give a ValueKind, or a "
                "subclass of ProxyValue, as kind="
            )


def _speaks(kind: ValueKind) -> TypeGuard[ValueClassKind]:
    return isinstance(kind, ValueClassKind)


_registry = TypeRegistry()


def get_type_registry() -> TypeRegistry:
    """Return the registry of types: one for all of this process."""
    return _registry


__all__ = ["KnownValue", "TypeRegistry", "get_type_registry"]
