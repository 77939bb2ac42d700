"""Unpickles data only: what a pickle names must be on a list, and is used only as the list says.

The reader is the one that is written in Python: each step of it can be looked at before it is
taken, which the one in C does not allow. Extension codes, persistent ids and buffers from elsewhere
are never used by what this library writes, and refused. Sizes are held against the bytes there are,
and what is hashed against a limit of depth, for a tuple that nests without end ends the process.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from taskgraph.values.gate.allowed import find_rule
from taskgraph.values.gate.refusals import Pending, RefusedError, Rule
from taskgraph.values.gate.trust import Trust

# Far more than any key of a dictionary has, and far less than what C can follow.
_MOST_DEPTH = 500
_MOST_IN_KEY = 1_000_000

_PythonUnpickler: Any = pickle._Unpickler


class GuardedUnpickler(_PythonUnpickler):  # type: ignore[misc]  # has no types
    """Reads one pickle.

    Args:
        payload: The bytes.
        trust: Which classes count as data besides those that are known.

    Attributes:
        modules: Those that something was taken from.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def __init__(self, payload: bytes, trust: Trust) -> None:
        super().__init__(io.BytesIO(payload))
        self._size = len(payload)
        self._trust = trust
        self.modules: set[str] = set()
        # By identity, with the object itself, so that no other one has it meanwhile.
        self._known: dict[int, tuple[Any, str, Rule]] = {}
        self._unbuilt = 0

    def load(self) -> Any:
        """Return the value.

        Raises:
            RefusedError: It holds what is not on the list.
        """
        value = super().load()
        if self._unbuilt or type(value) is Pending:
            raise RefusedError("an object without its state")
        return value

    # What is named

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return what is named, if that is on the list.

        Raises:
            RefusedError: It is not.
        """
        if type(module_name) is not str or type(global_name) is not str:
            raise RefusedError("a name that is no text")
        found, rule = find_rule(module_name, global_name, self._trust)
        self.modules.add(module_name)
        self._known[id(found)] = (found, f"{module_name}.{global_name}", rule)
        return found

    def get_extension(self, code: int) -> Any:
        """Refuse."""
        raise RefusedError("an extension code, which names anything")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse."""
        raise RefusedError("a persistent id, which no value has")

    def _refuse_buffer(self) -> None:
        raise RefusedError("a buffer from outside, which no value has")

    dispatch[pickle.NEXT_BUFFER[0]] = _refuse_buffer
    dispatch[pickle.READONLY_BUFFER[0]] = _refuse_buffer

    def _rule_of(self, thing: Any) -> tuple[str, Rule]:
        known = self._known.get(id(thing))
        if known is None:
            raise RefusedError(f"a call of what is no class: a {type(thing).__name__}")
        return known[1:]

    # What is called

    def _call(self, thing: Any, args: Any) -> Any:
        name, rule = self._rule_of(thing)
        _check_arguments(name, args)
        if rule.call is None:
            raise RefusedError(f"a call of {name}, which is there to be named only")
        return self._noted(_attempt(name, rule.call, *args))

    def _new(self, cls: Any, args: Any, kwargs: Any = None) -> Any:
        name, rule = self._rule_of(cls)
        _check_arguments(name, args)
        if kwargs:
            _check_arguments(name, tuple(kwargs.values()))
        if rule.new is None:
            raise RefusedError(f"an object of {name} that is made without its __init__")
        return self._noted(_attempt(name, rule.new, *args, **(kwargs or {})))

    def _noted(self, made: Any) -> Any:
        if type(made) is Pending:
            self._unbuilt += 1
        if type(made) is Named:
            self._known[id(made.what)] = (made.what, made.name, made.rule)
            return made.what
        return made

    def _load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def _load_newobj(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._new(self.stack[-1], args)

    def _load_newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        if type(kwargs) is not dict or not all(type(key) is str for key in kwargs):
            raise RefusedError("arguments that are no arguments")
        self.stack[-1] = self._new(self.stack[-1], args, kwargs)

    def _instantiate(self, klass: Any, args: Any) -> None:  # of INST and OBJ
        self.append(self._call(klass, tuple(args)))

    dispatch[pickle.REDUCE[0]] = _load_reduce
    dispatch[pickle.NEWOBJ[0]] = _load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = _load_newobj_ex

    # What is given its state

    def _load_build(self) -> None:
        state = self.stack.pop()
        inst = self.stack[-1]
        if type(state) is Pending:
            raise RefusedError("an object that is its own state")
        if type(inst) is Pending:
            made = _attempt(inst.name, inst.build, state)
            self._unbuilt -= 1
            for place in inst.places:
                self.memo[place] = made
        else:
            made = self._build(inst, state)
        self.stack[-1] = made

    def _build(self, inst: Any, state: Any) -> Any:
        known = self._known.get(id(type(inst)))
        if known is None or isinstance(inst, type):
            shown = type(inst).__name__
            raise RefusedError(f"a state for what has none: a {shown}")
        _, name, rule = known
        if rule.build is None:
            raise RefusedError(f"a state for an object of {name}, which has none")
        return _attempt(name, rule.build, inst, state)

    dispatch[pickle.BUILD[0]] = _load_build

    # What is referred to: nothing that is not yet made

    def _put(self, place: int) -> None:
        top = self.stack[-1]
        if type(top) is Pending:
            top.places.append(place)
        self.memo[place] = top

    def _load_memoize(self) -> None:
        self._put(len(self.memo))

    def _load_put(self) -> None:
        self._put(_place(int(self.readline()[:-1])))

    def _load_binput(self) -> None:
        self._put(self.read(1)[0])

    def _load_long_binput(self) -> None:
        self._put(int.from_bytes(self.read(4), "little"))

    def _get(self, place: int) -> None:
        if place not in self.memo:
            raise pickle.UnpicklingError(f"it refers to number {place}, which is not there")
        found = self.memo[place]
        if type(found) is Pending:
            raise RefusedError(f"{found.name} that holds itself")
        self.append(found)

    def _load_get(self) -> None:
        self._get(int(self.readline()[:-1]))

    def _load_binget(self) -> None:
        self._get(self.read(1)[0])

    def _load_long_binget(self) -> None:
        self._get(int.from_bytes(self.read(4), "little"))

    def _load_dup(self) -> None:
        if type(self.stack[-1]) is Pending:
            raise RefusedError(f"{self.stack[-1].name} that is there twice before it is made")
        self.append(self.stack[-1])

    dispatch[pickle.MEMOIZE[0]] = _load_memoize
    dispatch[pickle.PUT[0]] = _load_put
    dispatch[pickle.BINPUT[0]] = _load_binput
    dispatch[pickle.LONG_BINPUT[0]] = _load_long_binput
    dispatch[pickle.GET[0]] = _load_get
    dispatch[pickle.BINGET[0]] = _load_binget
    dispatch[pickle.LONG_BINGET[0]] = _load_long_binget
    dispatch[pickle.DUP[0]] = _load_dup

    # What is filled

    def _load_append(self) -> None:
        each = self.stack.pop()
        _fill(self.stack[-1], (list, deque), "items").append(each)

    def _load_appends(self) -> None:
        items = self.pop_mark()
        _fill(self.stack[-1], (list, deque), "items").extend(items)

    def _load_setitem(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        check_key(key)
        _fill(self.stack[-1], (dict,), "keys")[key] = value

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        target = _fill(self.stack[-1], (dict,), "keys")
        for key, value in zip(items[::2], items[1::2], strict=True):
            check_key(key)
            target[key] = value

    def _load_additems(self) -> None:
        items = self.pop_mark()
        target = _fill(self.stack[-1], (set,), "members")
        for each in items:
            check_key(each)
        target.update(items)

    def _load_frozenset(self) -> None:
        items = self.pop_mark()
        for each in items:
            check_key(each)
        self.append(frozenset(items))

    def _load_dict(self) -> None:
        items = self.pop_mark()
        for key in items[::2]:
            check_key(key)
        self.append(dict(zip(items[::2], items[1::2], strict=True)))

    dispatch[pickle.APPEND[0]] = _load_append
    dispatch[pickle.APPENDS[0]] = _load_appends
    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems
    dispatch[pickle.ADDITEMS[0]] = _load_additems
    dispatch[pickle.FROZENSET[0]] = _load_frozenset
    dispatch[pickle.DICT[0]] = _load_dict

    # What says how long it is

    def _load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        if size > self._size:
            raise RefusedError(f"{size:,} bytes in {self._size:,}")
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray8


class Named:
    """What a call gave that can be called in its turn, as a method that was asked for.

    Attributes:
        what: The thing.
        name: What it is called in errors.
        rule: What may be done with it.
    """

    __slots__ = ("name", "rule", "what")

    def __init__(self, what: Any, name: str, rule: Rule) -> None:
        self.what = what
        self.name = name
        self.rule = rule


def _attempt(name: str, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Make something; what fails is refused.

    The value is then not taken for a damaged one: who trusts it may be able to read it.
    """
    try:
        return make(*args, **kwargs)
    except (RefusedError, MemoryError, ModuleNotFoundError):
        raise
    except Exception as error:  # a library, or a class that is named as data, may raise anything
        said = f"{type(error).__name__}: {error}"
        raise RefusedError(f"{name}, which cannot be made as data ({said})") from error


def _place(number: int) -> int:
    if number < 0:
        raise pickle.UnpicklingError("it notes something under a negative number")
    return number


def _check_arguments(name: str, args: Any) -> None:
    if type(args) is not tuple:
        raise RefusedError(f"arguments for {name} that are none")
    if any(type(each) is Pending for each in args):
        raise RefusedError(f"{name} of an object without its state")


def _fill(target: Any, kinds: tuple[type, ...], what: str) -> Any:
    if not isinstance(target, kinds):
        raise RefusedError(f"{what} for a {type(target).__name__}, which takes none")
    return target


def check_key(key: Any) -> None:
    """Refuse what nests so deeply, or so often, that its hash would not come to an end."""
    if type(key) is not tuple and type(key) is not frozenset:
        return
    level: list[Any] = [key]
    left = _MOST_IN_KEY
    for _ in range(_MOST_DEPTH):
        inside: list[Any] = []
        for each in level:
            left -= len(each)
            if left < 0:
                raise RefusedError("a key that is nested without end")
            inside += [inner for inner in each if isinstance(inner, tuple | frozenset)]
        if not inside:
            return
        level = inside
    raise RefusedError("a key that is nested without end")


__all__ = ["GuardedUnpickler", "Named", "check_key"]
