"""Recipes: values written as plain text and numbers, so that any process can make them.

``build`` makes the same value in two ways that must not show in its hash: the second shares and
interns nothing, fills sets backwards and lays arrays out differently. ``same`` is the notion of
equality that hashes are held to.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import struct
import types
import uuid
import zoneinfo
from typing import Any

import numpy as np


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Shade(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class MyInt(int):
    pass


class MyStr(str):
    __slots__ = ()


class MyList(list):
    pass


class MyDict(dict):
    pass


class MySet(set):
    pass


Point = collections.namedtuple("Point", "x y")
Pair = collections.namedtuple("Pair", "x y")


@dataclasses.dataclass
class Box:
    inside: Any
    label: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    inside: Any
    label: Any = None


class Plain:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    __hash__ = object.__hash__


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: Any, b: Any) -> None:
        self.a = a
        self.b = b


class ByHand:
    def __init__(self, stands: Any) -> None:
        self.stands = stands

    def __taskgraph_hash__(self) -> Any:
        return self.stands


def ring(size: int) -> list[Any]:
    """Return lists with numbers that hold each other in a ring."""
    first: list[Any] = [0]
    last = first
    for number in range(1, size):
        last.append([number])
        last = last[-1]
    last.append(first)
    return first


def friends() -> Plain:
    """Return an object in a set that is in its friends' sets."""
    one, two, three = Plain(name="one"), Plain(name="two"), Plain(name="three")
    one.others, two.others, three.others = {two, three}, {one}, {one, two}
    return one


SUBCLASSES = {"int": MyInt, "str": MyStr, "list": MyList, "dict": MyDict, "set": MySet}
ERRORS = (ValueError, KeyError, AttributeError, NameError, ImportError, OSError)
NUMBERS: dict[Any, Any] = {}
MEMBERS = (Color.RED, Color.BLUE, Shade.RED, Level.LOW, Right.READ, Right.READ | Right.WRITE)


def build(recipe: Any, *, other: bool = False) -> Any:
    return _Builder(other).build(recipe)


class _Builder:
    def __init__(self, other: bool) -> None:
        self.other = other
        self.made: dict[str, Any] = {}

    def build(self, recipe: Any) -> Any:
        if self.other:
            return self.make(recipe)
        key = repr(recipe)
        if key not in self.made:
            self.made[key] = self.make(recipe)
        return self.made[key]

    def make(self, recipe: Any) -> Any:
        tag, content = recipe
        return getattr(self, f"make_{tag}")(content)

    def all(self, recipes: Any) -> list[Any]:
        return [self.build(each) for each in recipes]

    def make_str(self, content: str) -> str:
        return "".join(list(content)) if self.other else content

    def make_bytes(self, content: bytes) -> bytes:
        return bytes(bytearray(content)) if self.other else content

    def make_int(self, content: int) -> int:
        return int(str(content)) if self.other else content

    def make_atom(self, content: Any) -> Any:
        return content

    def make_float(self, content: bytes) -> float:
        # Not a number is equal to itself by identity only: how many of them a set keeps would
        # depend on what is shared.
        return NUMBERS.setdefault(content, struct.unpack("<d", content)[0])

    def make_complex(self, content: Any) -> complex:
        return NUMBERS.setdefault(tuple(content), complex(*map(self.make_float, content)))

    def make_list(self, content: Any) -> list[Any]:
        return self.all(content)

    def make_tuple(self, content: Any) -> tuple[Any, ...]:
        return tuple(self.all(content))

    def make_dict(self, content: Any) -> dict[Any, Any]:
        return {self.build(key): self.build(value) for key, value in content}

    def make_set(self, content: Any) -> set[Any]:
        # Of values that Python takes for equal (1 and True, named tuples of other classes) a set
        # keeps the first: it must be the same one in both ways.
        kept = list(dict.fromkeys(self.all(content)))
        made = set()
        for each in kept[::-1] if self.other else kept:
            made.add(each)
        return made

    def make_frozenset(self, content: Any) -> frozenset[Any]:
        return frozenset(self.make_set(content))

    def make_point(self, content: Any) -> Any:
        return Point(*self.all(content))

    def make_pair(self, content: Any) -> Any:
        return Pair(*self.all(content))

    def make_box(self, content: Any) -> Any:
        return Box(*self.all(content))

    def make_frozen(self, content: Any) -> Any:
        return Frozen(*self.all(content))

    def make_slotted(self, content: Any) -> Any:
        return Slotted(*self.all(content))

    def make_plain(self, content: Any) -> Any:
        pairs = sorted(content, reverse=self.other)
        return Plain(**{name: self.build(value) for name, value in pairs})

    def make_by_hand(self, content: Any) -> Any:
        return ByHand(self.build(content))

    def make_subclass(self, content: Any) -> Any:
        base, inner = content
        return SUBCLASSES[base](self.build(inner))

    def make_member(self, content: int) -> Any:
        return MEMBERS[content]

    def make_path(self, content: Any) -> Any:
        name, text = content
        return getattr(pathlib, name)(text)

    def make_decimal(self, content: str) -> Any:
        return decimal.Decimal(content)

    def make_fraction(self, content: Any) -> Any:
        return fractions.Fraction(*content)

    def make_uuid(self, content: int) -> Any:
        return uuid.UUID(int=content)

    def make_datetime(self, content: Any) -> Any:
        *numbers, offset, fold = content
        zone = None if offset is None else datetime.timezone(datetime.timedelta(minutes=offset))
        return datetime.datetime(*numbers, tzinfo=zone, fold=fold)

    def make_date(self, content: Any) -> Any:
        return datetime.date(*content)

    def make_timedelta(self, content: int) -> Any:
        return datetime.timedelta(microseconds=content)

    def make_range(self, content: Any) -> Any:
        return range(*content)

    def make_slice(self, content: Any) -> Any:
        return slice(*self.all(content))

    def make_bytearray(self, content: bytes) -> Any:
        return bytearray(content)

    def make_array(self, content: Any) -> Any:
        dtype, dims, numbers = content
        total = int(np.prod(dims))
        flat = np.array([numbers[i % len(numbers)] for i in range(total)], dtype="i8")
        made = flat.astype(dtype).reshape(dims)
        if self.other:
            made = np.asfortranarray(made)
            wide = np.zeros((*dims, 2), dtype)
            wide[..., 0] = made
            made = wide[..., 0]
        return made

    def make_scalar(self, content: Any) -> Any:
        dtype, number = content
        return np.dtype(dtype).type(number)

    def make_ordered(self, content: Any) -> Any:
        return collections.OrderedDict((self.build(k), self.build(v)) for k, v in content)

    def make_default(self, content: Any) -> Any:
        made: Any = collections.defaultdict(list)
        made.update(self.make_dict(content))
        return made

    def make_deque(self, content: Any) -> Any:
        most, items = content
        made = collections.deque(self.all(items), most)
        if self.other:
            made = collections.deque(maxlen=most)
            made.extend(self.all(items))
        return made

    def make_counter(self, content: Any) -> Any:
        return collections.Counter(self.make_dict(content))

    def make_chain(self, content: Any) -> Any:
        return collections.ChainMap(*(self.make_dict(each) for each in content))

    def make_read_only(self, content: Any) -> Any:
        return types.MappingProxyType(self.make_dict(content))

    def make_namespace(self, content: Any) -> Any:
        pairs = sorted(content, reverse=self.other)
        return types.SimpleNamespace(**{name: self.build(value) for name, value in pairs})

    def make_error(self, content: Any) -> Any:
        number, arguments, notes = content
        made = ERRORS[number](*self.all(arguments))
        for note in notes:
            made.add_note(note)
        if self.other:
            try:
                raise made from OSError("cause")
            except Exception as error:
                return error
        return made

    def make_pattern(self, content: Any) -> Any:
        return re.compile(*content)

    def make_zone(self, content: Any) -> Any:
        if isinstance(content, str):
            return zoneinfo.ZoneInfo(content)
        return datetime.timezone(datetime.timedelta(minutes=content))

    def make_masked(self, content: Any) -> Any:
        numbers, mask = content
        made = np.ma.masked_array(list(numbers), [bool(m) for m in mask], dtype="<i4")
        return np.ma.masked_array(made, hard_mask=True) if self.other else made

    def make_structured(self, content: Any) -> Any:
        made = np.array([tuple(each) for each in content], [("a", "<i4"), ("b", "<f8")])
        if self.other:
            # Another layout of the same: with padding, and every second item of a larger array.
            wide = np.zeros(2 * len(made), np.dtype([("a", "<i4"), ("b", "<f8")], align=True))
            wide[::2] = made
            return wide[::2]
        return made

    def make_objects(self, content: Any) -> Any:
        items = self.all(content)
        made = np.empty(len(items), object)
        for position, each in enumerate(items):
            made[position] = each
        return made[::-1][::-1] if self.other else made

    def make_random(self, content: Any) -> Any:
        name, seed, drawn = content
        made = getattr(np.random, name)(
            *([np.random.PCG64(seed)] if name == "Generator" else [seed])
        )
        for _ in range(drawn):
            made.normal()
        return made

    def make_library(self, content: Any) -> Any:
        from tests.properties import libraries

        return libraries.build(content, other=self.other)


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are the same: type and content at each place, sets in any order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and type(a) is float:
        return struct.pack("<d", a) == struct.pack("<d", b)
    if type(a) is complex:
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, set | frozenset):
        return _same_in_any_order(list(a), list(b))
    if isinstance(a, collections.deque) and a.maxlen != b.maxlen:
        return False
    if isinstance(a, collections.ChainMap):
        return same(a.maps, b.maps)
    if isinstance(a, types.MappingProxyType):
        return same(dict(a), dict(b))
    if isinstance(a, types.SimpleNamespace):
        return same(dict(sorted(vars(a).items())), dict(sorted(vars(b).items())))
    if isinstance(a, BaseException):
        notes = (getattr(a, "__notes__", []), getattr(b, "__notes__", []))
        return same(a.args, b.args) and same(*notes)
    if isinstance(a, np.random.Generator):
        return same(a.bit_generator.state, b.bit_generator.state)
    if isinstance(a, np.random.RandomState):
        return same(a.get_state(legacy=False), b.get_state(legacy=False))
    if isinstance(a, np.ma.MaskedArray):
        return same(a.data, b.data) and same(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
    if isinstance(a, np.ndarray) and a.dtype.names:
        # Padding between the fields does not count.
        return a.dtype.names == b.dtype.names and _all_same(
            [a[name] for name in a.dtype.names], [b[name] for name in a.dtype.names]
        )
    if isinstance(a, np.ndarray) and a.dtype.hasobject and b.dtype.hasobject:
        return a.shape == b.shape and same(a.tolist(), b.tolist())
    if isinstance(a, collections.defaultdict) and a.default_factory is not b.default_factory:
        return False
    if isinstance(a, dict):
        return _all_same([e for p in a.items() for e in p], [e for p in b.items() for e in p])
    if isinstance(a, list | tuple | collections.deque):
        return _all_same(list(a), list(b))
    if isinstance(a, decimal.Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, enum.Enum):
        return a is b
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, range | slice):
        return _all_same([a.start, a.stop, a.step], [b.start, b.stop, b.step])
    if isinstance(a, datetime.datetime):
        return (a.replace(tzinfo=None), a.utcoffset(), a.fold) == (
            b.replace(tzinfo=None),
            b.utcoffset(),
            b.fold,
        )
    if isinstance(a, ByHand):
        return same(a.stands, b.stands)
    if isinstance(a, Box | Frozen):
        return same(a.inside, b.inside) and same(a.label, b.label)
    if isinstance(a, Slotted):
        return same(a.a, b.a) and same(a.b, b.b)
    if isinstance(a, Plain):
        return same(dict(sorted(vars(a).items())), dict(sorted(vars(b).items())))
    return bool(a == b)


def _all_same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))


def _same_in_any_order(a: list[Any], b: list[Any]) -> bool:
    left = list(b)
    for each in a:
        found = next((i for i, other in enumerate(left) if same(each, other)), None)
        if found is None:
            return False
        del left[found]
    return not left
