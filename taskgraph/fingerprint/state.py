"""Variables that change while code runs: lists of what was done, counters, memos.

A variable counts by its value. What a call itself changes in one is another matter: if that
counted, no call would ever find its own result. So what code leaves behind in a variable is taken
for what it found, for all whose code has the same piece in it: the helper that keeps a memo, say.
For anything else that looks at the variable it counts as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CellType, FunctionType
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from taskgraph.fingerprint.copies import EVERYTHING, copied, is_same, snapshot, with_items
from taskgraph.forks import lock_of_program

#: What a variable holds that is not bound.
NO_VALUE: Final = object()
_NOW: Final = object()  # in place of what a variable holds at this moment
# How many changes of different code are remembered, and of how many variables: who goes beyond runs
# again.
_MOST_CHANGES: Final = 4
_MOST_VARIABLES: Final = 10_000

#: A place that holds a value: an owner, and a name in it. An owner is the names of a module, a
#: class, the ``__dict__`` of an object, a cell of a closure, or a function, for its defaults.
Variable = tuple[Any, str]
#: What pieces of code are known by.
Codes = frozenset[str]
NO_CODES: Final[Codes] = frozenset()
_Place = tuple[int, str]  # the same, with the owner's identity


class Touch(NamedTuple):
    """A variable that a piece of code changes.

    Attributes:
        owner: What it is in.
        name: What it is called there.
        code: What the piece of code is known by.
        item: What of it: ``['key']``, ``.attribute``, or `EVERYTHING`.
    """

    owner: Any
    name: str
    code: str
    item: str


#: What pieces of code change of a variable, by what these are known by.
_Changing = dict[str, frozenset[str]]


class _Change(NamedTuple):
    """What pieces of code left behind in a variable, and what they had found there."""

    owner: Any
    before: Any
    after: Any
    changing: _Changing


_changes: dict[_Place, list[_Change]] = {}


class States:
    """By which values variables count for pieces of code that belong together.

    Args:
        codes: The pieces that may change variables.
    """

    def __init__(self, codes: Codes = NO_CODES) -> None:
        self.codes = codes
        self._met: dict[_Place, tuple[Any, Any]] = {}  # the owner, and by what value it counts

    def counted(self, owner: Any, name: str, value: Any) -> Any:
        """Return the value by which a variable that holds a value counts."""
        place = (id(owner), name)
        met = self._met.get(place)
        if met is not None:
            return met[1]
        if place in _held or place in _changes:
            before = _before(place, owner, value, self.codes)
            counted = copied(value) if before is value else before
        else:
            counted = copied(value)
        self._met[place] = (owner, counted)
        return counted


def _before(place: _Place, owner: Any, value: Any, codes: Codes) -> Any:
    """Return what was in a variable before pieces of code changed it; else what is there now.

    What other code may have changed at the same time stays as it is.
    """
    then = counted = value
    items: dict[str, Any] = {}  # with what they were taken from
    foreign: set[str] = set()
    for change in _steps_back(place, owner):
        shared = {each for code, of in change.changing.items() if code in codes for each in of}
        others = {each for code, of in change.changing.items() if code not in codes for each in of}
        is_broken = change.after is not _NOW and not is_same(change.after, then)
        if not shared or EVERYTHING in others or is_broken:
            break
        foreign |= others
        then = change.before
        if EVERYTHING in shared:
            counted = then
            items.clear()
        else:
            items.update(dict.fromkeys(shared, then))
    if counted is not value:
        items.update(dict.fromkeys(foreign, value))
    else:
        items = {item: other for item, other in items.items() if item not in foreign}
    return with_items(counted, items) if items else counted


def _steps_back(place: _Place, owner: Any) -> Iterator[_Change]:
    """Yield what happened to a variable, the last thing first."""
    held = _held.get(place)
    if held is not None and held.owner is owner and held.holds:
        yield _Change(owner, held.before, _NOW, held.changing)
    yield from (each for each in reversed(_changes.get(place, ())) if each.owner is owner)


def is_disturbed(codes: Codes) -> bool:
    """Tell whether a variable counts otherwise for pieces of code than as it is."""
    if not codes or not (_held or _changes):
        return False
    with _lock:
        return any(
            held.holds and not codes.isdisjoint(held.changing) for held in _held.values()
        ) or any(
            not codes.isdisjoint(each.changing) for changes in _changes.values() for each in changes
        )


def is_left_alone(owner: Any, name: str) -> bool:
    """Tell whether a variable counts as it is for all code."""
    place = (id(owner), name)
    return place not in _held and place not in _changes


class Hold:
    """Code that runs: what it may change counts for itself as it was when it began.

    One that was forgotten, by an interrupt at the wrong moment, ends when nobody has it any more.

    Args:
        touches: The variables that it may change. What it only looks at, somebody else changed.
    """

    __slots__ = ("__weakref__", "_places")

    def __init__(self, touches: Iterable[Touch] = ()) -> None:
        self._places: set[_Place] = set()
        with _lock:
            for owner, name, code, item in touches:
                place = (id(owner), name)
                held = _held.get(place)
                if held is None or held.owner is not owner or not held.holds:
                    before = snapshot(read_variable(owner, name))
                    held = _held[place] = _Held(owner, before)
                held.changing[code] = held.changing.get(code, frozenset()) | {item}
                held.holds.add(self)
                self._places.add(place)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """End it: what the last one leaves behind in a variable is what their code leaves."""
        with _lock:
            for place in self._places:
                held = _held.get(place)
                if held is None or self not in held.holds:
                    continue
                held.holds.discard(self)
                if not held.holds:
                    del _held[place]
                    _settle(place, held)


class _Held:
    """A variable that running code changes.

    Attributes:
        owner: What it is in.
        before: What it held at first.
        holds: By whom it is held.
        changing: What the code changes of it.
    """

    def __init__(self, owner: Any, before: Any) -> None:
        self.owner = owner
        self.before = before
        self.holds: WeakSet[Hold] = WeakSet()
        self.changing: _Changing = {}


_held: dict[_Place, _Held] = {}
_lock = lock_of_program()  # a call may be thrown away in any line


def _settle(place: _Place, held: _Held) -> None:
    """Compare what a variable holds now with what it held when the first one took it."""
    now = read_variable(held.owner, place[1])
    if is_same(held.before, now):
        return
    changes = _changes.pop(place, [])
    last = changes[-1] if changes else None
    if last is not None and not (last.owner is held.owner and is_same(last.after, held.before)):
        changes = []  # somebody else was there in between
    before = held.before
    if changes and changes[-1].changing == held.changing:
        before = changes.pop().before
    if not is_same(before, now):
        changes.append(_Change(held.owner, before, snapshot(now), held.changing))
    if changes:
        _changes[place] = changes[-_MOST_CHANGES:]
        if len(_changes) > _MOST_VARIABLES:
            del _changes[next(iter(_changes))]


def read_variable(owner: Any, name: str) -> Any:
    """Return what a variable holds now; `NO_VALUE` if it holds nothing."""
    if isinstance(owner, CellType):
        return _content(owner)
    if isinstance(owner, FunctionType):
        return dict(defaults_of(owner)).get(name, NO_VALUE)
    names = vars(owner) if isinstance(owner, type) else owner
    return names.get(name, NO_VALUE)


def defaults_of(func: FunctionType) -> list[tuple[str, Any]]:
    """Return the parameters of a function that have defaults, with these."""
    given, named = func.__defaults__, func.__kwdefaults__
    items: list[tuple[str, Any]] = []
    if given:
        names = func.__code__.co_varnames[: func.__code__.co_argcount]
        items += zip(names[max(0, len(names) - len(given)) :], given, strict=False)
    if named:
        items += sorted(named.items())
    return items


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound
        return NO_VALUE
