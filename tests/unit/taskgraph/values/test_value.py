"""`Value` and `ProxyValue`: classes that say themselves how they behave."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from taskgraph.errors import DamagedValueError
from taskgraph.hashing import digest_bytes
from taskgraph.values import codec, walk
from taskgraph.values.pack import pack
from taskgraph.values.registry import kind_of
from taskgraph.values.value import ProxyValue, Value
from taskgraph.values.weigh import hash_value, weigh


class Plain(Value):
    def __init__(self, number: int = 0, inside: Any = None) -> None:
        self.number = number
        self.inside = inside


class Custom(Plain):
    type_name = "test.Custom"

    def get_hash(self, data: bytes | None = None) -> str:
        return f"number {self.number}"

    def serialize(self) -> bytes:
        return str(self.number).encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return raw_type(int(data))

    def is_valid(self) -> bool:
        return self.number > 0

    def iter_subvalues(self) -> Any:
        yield self.inside


class Foreign:
    def __init__(self, number: int) -> None:
        self.number = number
        self.noise = object()


class ForeignChild(Foreign):
    pass


class ForeignProxy(ProxyValue):
    type = Foreign
    type_name = "test.Foreign"

    def get_hash(self, data: bytes | None = None) -> str:
        return str(self.instance.number)

    def serialize(self) -> bytes:
        return str(self.instance.number).encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return raw_type(int(data))


class Simple:
    def __init__(self, number: int) -> None:
        self.number = number


class SimpleProxy(ProxyValue):
    type = Simple


def read_back(value: Any) -> Any:
    record = pack(value).values[0]
    return codec.decode(
        record.value_hash, record.type, record.format, record.value, digest_bytes(record.value)
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Plain(1, [2]), f"{__name__}.Plain"),
        (Custom(3), "test.Custom"),
        (Foreign(4), "test.Foreign"),
        (Simple(5), f"{__name__}.SimpleProxy"),
    ],
)
def test_values_come_back_under_their_name(value: Any, name: str) -> None:
    again = read_back(value)

    assert type(again) is type(value)
    assert hash_value(again) == hash_value(value)
    assert pack(value).values[0].type == name


def test_the_hash_is_over_the_state_unless_the_class_has_its_own() -> None:
    assert Plain(1).get_hash() == hash_value(Plain(1))
    assert hash_value(Plain(1)) != hash_value(Plain(2))
    assert hash_value(Custom(1, "x")) == hash_value(Custom(1, "y"))
    assert hash_value(Foreign(1)) == hash_value(Foreign(1))
    assert hash_value(Simple(1)) != hash_value(Simple(2))
    assert len(SimpleProxy(Simple(1)).get_hash()) == 32


def test_own_hashes_of_two_classes_never_meet() -> None:
    assert hash_value(Foreign(1)) != hash_value("1")
    assert hash_value(Custom(1)) != hash_value("number 1")


def test_subclasses_of_an_adopted_class_are_adopted() -> None:
    assert kind_of(ForeignChild(1)).type_name(ForeignChild(1)) == "test.Foreign"


def test_values_are_subvalues_wherever_they_lie() -> None:
    inner = Plain(1)

    found = weigh([Custom(1, inner), {"x": Foreign(2)}, Plain(3, [inner])]).subvalues

    assert {type(each.value) for each in found} == {Custom, Plain, Foreign}
    assert len(found) == 5  # three in the list, and the inner one below two of them


def test_a_value_says_whether_it_is_valid() -> None:
    bad = Custom(0)

    assert walk.find_invalid([Custom(1), Plain(0, bad), Foreign(0)]) is bad


def test_a_value_is_made_from_text_by_its_class() -> None:
    assert Plain.parse_arg(int, "3") == 3
    assert kind_of(Plain()).parse("7").number == "7"


def test_an_unknown_format_is_damage() -> None:
    with pytest.raises(DamagedValueError, match="stored as serialized"):
        codec.decode(hash_value(1), "test.Custom", "strange", b"1", digest_bytes(b"1"))


def test_the_defaults_change_nothing() -> None:
    value = Plain(1)

    assert value.is_valid()
    assert value.preprocess({}) is value
    assert value.postprocess({}) is value
    assert list(value.iter_subvalues()) == []
    assert Plain.deserialize(Plain, value.serialize()).number == 1
    assert SimpleProxy.deserialize(Simple, SimpleProxy(Simple(2)).serialize()).number == 2


class Packed(Value):
    """Adds to what our own ``serialize`` gives, and cannot be pickled without it."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside
        self.itself = self

    def serialize(self) -> bytes:
        return b"packed" + super().serialize()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return super().deserialize(raw_type, data.removeprefix(b"packed"))


def test_a_class_may_build_on_our_own_serialize() -> None:
    one = Packed([Packed(1), Foreign(2)])

    for value in (one, [one], {"a": (one,)}):
        again = read_back(value)
        assert hash_value(again) == hash_value(value)
    again = read_back([one])[0]
    assert again.itself is again
    assert [type(each) for each in again.inside] == [Packed, Foreign]


class Locked:
    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()


class LockedChild(Locked):
    pass


class LockedProxy(ProxyValue):
    type = Locked

    def get_hash(self, data: bytes | None = None) -> str:
        return str(self.instance.number)

    def serialize(self) -> bytes:
        return str(self.instance.number).encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return raw_type(int(data))


@pytest.mark.parametrize("cls", [Locked, LockedChild])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"k": (x, x)}])
def test_what_cannot_be_pickled_is_written_by_its_class(cls: Any, wrap: Any) -> None:
    value = wrap(cls(3))

    again = read_back(value)
    sent = codec.loads(codec.dumps(value))

    for each in (again, sent):
        inner = walk.find_kind(each, lambda kind: kind.is_subvalue)[0]
        assert type(inner) is cls
        assert hash_value(each) == hash_value(value)


def test_a_subclass_that_is_adopted_has_a_hash_of_its_own() -> None:
    assert hash_value(Locked(1)) != hash_value(LockedChild(1))


def test_deep_lists_of_such_values_are_written() -> None:
    value: Any = Locked(1)
    for _ in range(5000):
        value = [value]

    again = read_back(value)

    for _ in range(5000):
        again = again[0]
    assert again.number == 1


def test_without_a_hash_of_its_own_a_proxy_counts_by_what_it_adopts() -> None:
    assert SimpleProxy(Simple(1)).preprocess({}).number == 1
    assert SimpleProxy(Simple(1)).postprocess({}).number == 1
