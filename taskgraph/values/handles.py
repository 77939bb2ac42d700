"""Handles: values that stand for a service with a state, a database above all.

A handle's hash is the chain of calls that its service went through. It is never changed: who takes
the service on gets another handle, which knows the one that it came from until that is recorded.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from taskgraph.errors import HandleError
from taskgraph.hashing import ValueHash, hash_record
from taskgraph.values import walk
from taskgraph.values.kinds import Shape, ValueKind, class_name
from taskgraph.values.registry import register
from taskgraph.values.value import Value, ValueMeta
from taskgraph.values.weigh import hash_value

SomeHandle = TypeVar("SomeHandle", bound="Handle")

#: The key of what several handles were merged into.
MERGED = "merged"
#: What the keys of those branches begin with that are made because calls are given a handle.
GIVEN = "#"

#: Whether this process has ever met a kind of handle: if not, no value holds one. Asked for each
#: call, so it is a name of this module and no function.
met = False


def _note() -> None:
    global met  # noqa: PLW0603 - once there is one, there may be others anywhere
    met = True


@dataclass(frozen=True, slots=True)
class HandleState:
    """What a handle is, without its connection.

    Attributes:
        name: The name that the service is known by.
        namespace: What the name belongs to.
        args: What the handle was made with, beside its name.
        kwargs: The same, by name.
        class_name: The class that makes the connection.
        call_hash: The key of the last call that the service went through; "" before the first.
        key: Which branch this is, of those that calls were given; "" if it is none.
        hash: The chain of calls and forks behind it.
        parents: The handles that it came from, as far as they are not recorded.
    """

    name: str
    namespace: str
    # Not shown: a password may be among them.
    args: tuple[Any, ...] = field(repr=False)
    kwargs: dict[str, Any] = field(repr=False)
    class_name: str
    call_hash: str
    key: str
    hash: str
    parents: tuple[Handle, ...] = field(default=(), repr=False)

    @property
    def fullname(self) -> str:
        """The name with its namespace."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    @property
    def is_initial(self) -> bool:
        """Whether no call has changed the service yet, as far as this handle knows."""
        return not self.call_hash and not self.key

    def as_dict(self) -> dict[str, Any]:
        """Return what a handle is made again from."""
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        if not self.parents:
            del state["parents"]
        return state


class HandleKind(ValueKind):
    """How handles are hashed, stored and shown. Whether one is valid is a matter of records."""

    is_subvalue = True
    brings_code = False

    def __init__(self, name: str) -> None:
        self.name = name

    def shape(self, value: Any) -> Shape:
        """Return what stands for the handle."""
        return Shape("handle", (value.__handle__.hash,))

    def own_hash(self, value: Any) -> ValueHash:
        """Return the chain of calls that the handle has gone through."""
        return ValueHash(value.__handle__.hash)

    def preview(self, value: Any) -> str:
        """Return class, name and hash; never the arguments, among which may be a password."""
        return repr(value)

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return nothing: a handle is one whole."""
        return ()


class HandleMeta(ValueMeta):
    """Takes note of what a handle is made with, before its class makes the connection."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        register(cls, HandleKind(cls.type_name), subclasses=True)
        if any(isinstance(base, HandleMeta) for base in bases):
            _note()

    def note_hooks(cls) -> None:
        """Do nothing: a body is given a branch of a handle, and the engine makes it."""

    def __call__(
        cls, name: str, *args: Any, namespace: str | None = None, **kwargs: Any
    ) -> Any:  # the class is known to who calls it
        """Make a handle in its first state, with its connection."""
        _note()
        if namespace is None:
            module = sys.modules.get(cls.__module__)
            namespace = str(getattr(module, "taskgraph_namespace", None) or "")
        make: Any = object.__new__
        handle = make(cls)
        what = class_name(cls)
        first = hash_record(
            "handle", what, namespace, str(name), hash_value(args), hash_value(kwargs)
        )
        state = HandleState(str(name), namespace, args, kwargs, what, "", "", first)
        handle.__dict__["__handle__"] = state
        _connect(handle)
        return handle


class Handle(Value, metaclass=HandleMeta):
    """A value that stands for a service with a state: a database, say.

    A subclass has an ``__init__(self, name, ...)`` that connects and puts the connection into
    ``self.instance``; what a handle does not have itself is taken from there. In other processes,
    and in each call that is given the handle, the connection is made anew when it is first used,
    with the same arguments: read passwords from the environment there, for arguments are stored.

    Whoever runs a call with an earlier state of a handle takes back what came after it: recorded
    results of later states are not used any more, so that the service is brought there again.
    Calls that are given the same handle are branches, which know nothing of each other.

    Args:
        name: What the service is called; two handles of one name stand for one service.
        args: What else the connection is made with.
        namespace: What the name belongs to; by default the ``taskgraph_namespace`` of the module
            in which the class is defined.
        kwargs: The same as ``args``, by name.

    Attributes:
        instance: The connection.
    """

    __handle__: HandleState
    instance: Any  # the user's own connection

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.instance = None

    if TYPE_CHECKING:
        # A class with __getattr__ passes for a coroutine otherwise, and tasks that give one for
        # coroutine functions.
        __await__: None

    def __getattr__(self, name: str) -> Any:  # the user's own connection
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        own = self.__dict__
        if "instance" not in own:
            if own.get("_is_connecting"):
                raise AttributeError(f"{type(self).__name__}.__init__ has not set {name!r} yet")
            _connect(self)
            own["_is_ours"] = True
            if name in own:
                return own[name]
        return getattr(own["instance"], name)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the connection."""
        return self.__handle__.as_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be that handle; the connection is made when it is first used."""
        _note()
        self.__dict__["__handle__"] = HandleState(**state)

    def __repr__(self) -> str:
        state = self.__handle__
        branch = f", key={state.key!r}" if state.key else ""
        return f"{type(self).__name__}({state.fullname!r}{branch}, hash={state.hash[:8]})"

    def __del__(self) -> None:
        # Without a name from here: at the end of the process they are gone before the last handle.
        if self.__dict__.pop("_is_ours", False):
            try:
                self.close()
            except Exception:  # there is nobody to tell
                return

    def close(self) -> None:
        """Let go of the connection; it is made again when it is used.

        What connects for a call is closed in this way after it. A class whose connections are
        shared, or belong to a pool, says here what to do instead.
        """
        instance = self.__dict__.pop("instance", None)
        end = getattr(instance, "close", None)
        if callable(end):
            end()

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the chain of calls that the service went through."""
        return self.__handle__.hash

    def is_valid(self) -> bool:
        """Tell whether the service is still in this state, as far as the records tell."""
        return _judge(self)

    def fork(self: SomeHandle, key: str) -> SomeHandle:
        """Return a branch of the handle that is left alone by what others do with the handle.

        Args:
            key: What tells it from other branches.

        Raises:
            HandleError: The key begins like those of the branches that calls are given.
        """
        state = self.__handle__
        if str(key).startswith(GIVEN):
            raise HandleError(state.fullname, f"a key of a branch does not begin with {GIVEN!r}")
        return self._fork(key)

    def _fork(self: SomeHandle, key: str) -> SomeHandle:
        state = self.__handle__
        forked = hash_record("fork of a handle", state.hash, str(key))
        return _derived(self, forked, str(key), state.call_hash, (self,))

    def apply_call(self: SomeHandle, call_hash: str) -> SomeHandle:
        """Return what the handle is after a call."""
        state = self.__handle__
        return _derived(self, hash_after(state.hash, call_hash), "", call_hash, (self,))

    def recorded(self: SomeHandle) -> SomeHandle:
        """Return the same handle, without a connection, as one that is known to the records."""
        state = self.__handle__
        return _derived(self, state.hash, state.key, state.call_hash, ())


def hash_after(handle_hash: str, call_hash: str) -> str:
    """Return the hash of a handle after a call."""
    return hash_record("handle after a call", handle_hash, call_hash)


def _derived(
    handle: SomeHandle, new_hash: str, key: str, call_hash: str, parents: tuple[Handle, ...]
) -> SomeHandle:
    old = handle.__handle__
    made = type(handle).__new__(type(handle))
    made.__dict__["__handle__"] = HandleState(
        old.name,
        old.namespace,
        old.args,
        old.kwargs,
        old.class_name,
        call_hash,
        key,
        new_hash,
        parents,
    )
    return made


def _connect(handle: Handle) -> None:
    """Run the class's own ``__init__``, as if the handle was made here."""
    own, state = handle.__dict__, handle.__handle__
    kwargs = dict(state.kwargs)
    connect: Callable[..., None] = type(handle).__init__
    if "namespace" in inspect.signature(connect).parameters:
        kwargs["namespace"] = state.namespace
    own["_is_connecting"] = True
    try:
        connect(handle, state.name, *state.args, **kwargs)
    finally:
        del own["_is_connecting"]
    own.setdefault("instance", None)


def merged(handles: Sequence[SomeHandle]) -> SomeHandle:
    """Return what several branches of one handle come to together.

    Raises:
        HandleError: There are none, or they do not stand for one service.
    """
    if not handles or not all(isinstance(each, Handle) for each in handles):
        raise HandleError("handles", "merging takes a list of handles, and at least one")
    first = handles[0].__handle__
    for each in handles:
        other = each.__handle__
        if (other.class_name, other.fullname) != (first.class_name, first.fullname):
            raise HandleError(
                first.fullname,
                f"it cannot be merged with {other.fullname!r}: they stand for two services."
                " Merge branches of one handle",
            )
    hashes = sorted({each.__handle__.hash for each in handles})
    together = hash_record("merged handles", *hashes)
    return _derived(handles[0], together, MERGED, "", tuple(handles))


def find_handles(value: Any) -> list[Handle]:
    """Return the handles inside of a value, at any depth, each once."""
    return walk.find_kind(value, _is_kind_of_handle)


def let_go(value: Any) -> None:
    """Close the connections that were made for a call, of the handles in what it was given."""
    for each in find_handles(value):
        _let_go(each)


def _let_go(handle: Handle) -> None:
    # What the user connected is the user's; what was connected for a call ends with it.
    if handle.__dict__.pop("_is_ours", False):
        with suppress(Exception):
            handle.close()


def _is_kind_of_handle(kind: ValueKind) -> bool:
    return isinstance(kind, HandleKind)


def with_parents(handles: Iterable[Handle]) -> list[Handle]:
    """Return handles and all that they came from and is not recorded, each once."""
    found: dict[str, Handle] = {}
    waiting = list(handles)
    while waiting:
        each = waiting.pop()
        if each.__handle__.hash not in found:
            found[each.__handle__.hash] = each
            waiting += each.__handle__.parents
    return list(found.values())


def _judge_without_records(handle: Handle) -> bool:
    return handle.__handle__.is_initial


_judge: Callable[[Handle], bool] = _judge_without_records


def judge_by(judge: Callable[[Handle], bool]) -> None:
    """Say who knows whether a handle is valid."""
    global _judge  # noqa: PLW0603 - there is one front door, which has the records
    _judge = judge


__all__ = [
    "MERGED",
    "Handle",
    "HandleKind",
    "HandleMeta",
    "HandleState",
    "find_handles",
    "hash_after",
    "judge_by",
    "let_go",
    "merged",
    "with_parents",
]
