"""Objects of any class: what counts of them, and which of them are refused."""

from __future__ import annotations

import collections
import copyreg
import functools
import operator
import re
import socket
import sys
import threading
import types
import weakref
from dataclasses import dataclass, field
from typing import Any

import pytest

from taskgraph.errors import UnhashableValueError
from taskgraph.values.weigh import hash_value
from tests.labels import label


class Plain:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Like:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


@dataclass
class Data:
    a: int
    b: Any = None
    hidden: int = field(default=0, compare=False, repr=False)

    @functools.cached_property
    def derived(self) -> list[int]:
        return [self.a]


class Slots:
    __slots__ = ("a", "b")


class SlotsAndDict(Slots):
    pass


def test_attributes_count_by_name_not_by_order() -> None:
    assert hash_value(Plain(a=1, b=2)) == hash_value(Plain(b=2, a=1))
    assert hash_value(Plain(a=1, b=2)) != hash_value(Plain(a=2, b=1))
    assert hash_value(Plain(a=1)) != hash_value(Plain(b=1))
    assert hash_value(Plain(a=1)) != hash_value(Like(a=1))
    assert hash_value(Plain()) != hash_value(Like())


def test_a_look_at_a_cached_property_does_not_change_the_hash() -> None:
    value = Data(1)
    before = hash_value(value)

    assert value.derived == [1]

    assert hash_value(value) == before


def test_all_fields_and_attributes_of_dataclasses_count() -> None:
    other = Data(1)
    other.extra = 1  # type: ignore[attr-defined]
    partial = Data(1)
    del partial.b
    hashes = {hash_value(each) for each in (Data(1), Data(1, 2), Data(1, hidden=1), other, partial)}

    assert len(hashes) == 5


def test_slots_count_too() -> None:
    def make(cls: Any, **attributes: Any) -> Any:
        value = cls()
        for name, inner in attributes.items():
            setattr(value, name, inner)
        return value

    values = [
        make(Slots),
        make(Slots, a=1),
        make(Slots, b=1),
        make(Slots, a=1, b=1),
        make(SlotsAndDict, a=1),
        make(SlotsAndDict, a=1, c=1),
        make(SlotsAndDict, c=1),
    ]

    assert len({hash_value(each) for each in values}) == len(values)
    assert hash_value(make(Slots, a=1, b=2)) == hash_value(make(Slots, b=2, a=1))


class OwnState:
    def __init__(self, state: Any) -> None:
        self.state = state
        self.lock = threading.Lock()

    def __getstate__(self) -> Any:
        return self.state


@pytest.mark.parametrize("state", [None, 1, [1], {"a": 1}, {1: 2}, (None, {"a": 1}), (1, 2)])
def test_the_state_that_a_class_gives_is_what_counts(state: Any) -> None:
    assert hash_value(OwnState(state)) == hash_value(OwnState(state))
    others = [0, {"a": 2}, {"b": 1}, (None, {"a": 2}), ({"a": 1}, {}), {1: 3}, (None, None)]
    assert hash_value(OwnState(state)) not in [hash_value(OwnState(each)) for each in others]


class WithArguments:
    def __init__(self, a: Any, *, b: Any) -> None:
        self.made = (a, b)

    def __getnewargs_ex__(self) -> Any:
        return (self.made[0],), {"b": self.made[1]}

    def __getstate__(self) -> Any:
        return None


class Reduced:
    def __init__(self, parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> Any:
        return self.parts() if callable(self.parts) else self.parts


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (WithArguments(1, b=2), WithArguments(2, b=1)),
        (functools.partial(int, 1), functools.partial(int, 2)),
        (functools.partial(int, base=1), functools.partial(float, base=1)),
        (operator.itemgetter(1), operator.itemgetter(2)),
        (collections.deque([1]), collections.deque([1], 5)),
        (collections.deque([1]), collections.deque([2])),
        (collections.Counter("a"), collections.Counter("aa")),
        (collections.defaultdict(list), collections.defaultdict(dict)),
        (re.compile("a"), re.compile("a", re.I)),
        (re.compile("a"), re.compile(b"a")),
        (ValueError("a"), ValueError("b")),
        (ValueError("a"), TypeError("a")),
        (types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
        (Reduced("one"), Reduced("two")),
        (Reduced((dict, ())), Reduced((list, ()))),
        (
            Reduced(lambda: (dict, (), None, iter([1]))),
            Reduced(lambda: (dict, (), None, iter([2]))),
        ),
        (
            Reduced(lambda: (dict, (), None, None, iter([(1, 2)]))),
            Reduced((dict, (), None, None, None)),
        ),
        (Reduced((dict, (), None, None, None, dict.update)), Reduced((dict, ()))),
        (Reduced((dict.fromkeys, ((1,),))), Reduced((collections.OrderedDict.fromkeys, ((1,),)))),
        (Reduced((functools.partial(int, 1), ())), Reduced((functools.partial(int, 2), ()))),
        (Ellipsis, NotImplemented),
    ],
)
def test_what_pickle_would_write_is_what_counts(one: Any, two: Any) -> None:
    assert hash_value(one) == hash_value(one)
    assert hash_value(one) != hash_value(two)


class Registered:
    def __init__(self, number: int) -> None:
        self.number = number


def make_registered(number: int) -> Registered:
    return Registered(number)


def test_copyreg_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        copyreg.dispatch_table, Registered, lambda value: (make_registered, (value.number % 2,))
    )

    assert hash_value(Registered(1)) == hash_value(Registered(3))
    assert hash_value(Registered(1)) != hash_value(Registered(2))


def test_what_must_be_closed_is_refused() -> None:
    async def coroutine() -> None: ...

    waiting = coroutine()
    with open(__file__) as file, socket.socket() as connection:
        for value in (waiting, file, connection):
            with pytest.raises(UnhashableValueError):
                hash_value(value)
    waiting.close()


@pytest.mark.parametrize(
    "value",
    [
        threading.Lock(),
        threading.local(),
        threading.Thread(),
        (each for each in ()),
        sys,
        object(),
        weakref.ref(Plain),
        Reduced(1),
        Reduced((1,)),
        Plain(lock=threading.RLock()),
        {}.keys(),
    ],
    ids=label,
)
def test_what_has_no_stable_hash_is_refused(value: Any) -> None:
    with pytest.raises(UnhashableValueError):
        hash_value(value)


class Angry:
    def __getstate__(self) -> Any:
        raise OSError("no state today")


class ByMethod:
    def __init__(self, stands: Any) -> None:
        self.stands = stands
        self.lock = threading.Lock()

    def __taskgraph_hash__(self) -> Any:
        if isinstance(self.stands, Exception):
            raise self.stands
        return self.stands


def test_errors_of_the_users_methods_are_told_as_reasons() -> None:
    with pytest.raises(UnhashableValueError, match="OSError: no state today"):
        hash_value(Angry())
    with pytest.raises(UnhashableValueError, match="raised OSError: boom"):
        hash_value(ByMethod(OSError("boom")))


def test_an_object_cannot_stand_for_itself() -> None:
    value = ByMethod(None)
    value.stands = value

    with pytest.raises(UnhashableValueError, match="gives the object itself"):
        hash_value(value)


def test_a_method_can_name_what_stands_for_an_object() -> None:
    assert hash_value(ByMethod([1, "a"])) == hash_value(ByMethod([1, "a"]))
    assert hash_value(ByMethod([1, "a"])) != hash_value(ByMethod([1, "b"]))
    assert hash_value(ByMethod(1)) != hash_value(1)


class Items(list):
    def __reduce__(self) -> Any:
        return (Items, (), {"a": 1}, iter(self))


class Bag(set):
    def __reduce__(self) -> Any:
        return (Bag, (list(self),))


def test_subclasses_of_builtins_count_by_class_content_and_state() -> None:
    class One(list): ...

    class Two(list): ...

    tagged = One([1])
    tagged.tag = 1  # type: ignore[attr-defined]
    values = [[1], One([1]), Two([1]), One([2]), tagged, Items([1]), Items([2]), (1,)]

    assert len({hash_value(each) for each in values}) == len(values)
    assert hash_value(Bag("abcdefgh")) == hash_value(Bag("hgfedcba"))


def test_named_tuples_keep_names_and_further_attributes() -> None:
    base = collections.namedtuple("base", "a b")

    class Below(base):  # type: ignore[misc, valid-type]
        pass

    extended = Below(1, 2)
    extended.c = 3
    values = [(1, 2), base(1, 2), Below(1, 2), extended]

    assert len({hash_value(each) for each in values}) == len(values)


def test_a_spawned_script_has_the_names_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plain, "__module__", "__main__")
    one = type("One", (), {"__module__": "__main__", "__qualname__": "One"})
    two = type("One", (), {"__module__": "__mp_main__", "__qualname__": "One"})

    assert hash_value(one()) == hash_value(two())
    assert hash_value(one) == hash_value(two)
