"""Context: values that calls deep in a workflow read by path, instead of being given them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgraph.errors import UnhashableValueError
from taskgraph.expression import find_expressions
from taskgraph.hashing import ValueHash, hash_record
from taskgraph.values import walk
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.registry import register
from taskgraph.values.weigh import hash_value


class Absent:
    """Stands for what a context does not have."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


class _AbsentKind(ValueKind):
    name = "taskgraph.Absent"

    def shape(self, value: Any) -> Shape:
        return Shape("absent", ())

    def preview(self, value: Any) -> str:
        return "(not in the context)"


register(Absent, _AbsentKind())


#: Stands among the paths that were read where a call failed that another one recovered from: what
#: came of it is no matter of code and arguments alone.
RECOVERED = "(a call that failed)"


#: Stands among the paths that were read where a scheduler task looked at the job that calls it:
#: another job would have told it something else.
TOLD = "(a job that it was told of)"


#: Stands among the paths that were read for all that a context has.
WHOLE = "(all of it)"


_DEFAULTS = "(defaults of {})"


def defaults_path(fullname: str) -> str:
    """Return what stands among the paths that were read for the defaults of a task's parameters.

    They are arguments of its own calls, and for a call around these they are code.
    """
    return _DEFAULTS.format(fullname)


def task_of_path(path: str) -> str | None:
    """Return the full name of the task whose defaults stand at a path; None for any other path."""
    before, after = _DEFAULTS.split("{}")
    is_one = path.startswith(before) and path.endswith(after)
    return path[len(before) : -len(after)] if is_one else None


_HANDLE = "(handle {})"


def handle_path(handle_hash: str) -> str:
    """Return what stands among the paths that were read for a state that a handle came to."""
    return _HANDLE.format(handle_hash)


def handle_of_path(path: str) -> str | None:
    """Return the hash of the handle that stands at a path; None for any other path."""
    before, after = _HANDLE.split("{}")
    is_one = path.startswith(before) and path.endswith(after)
    return path[len(before) : -len(after)] if is_one else None


class Context:
    """Values by dotted paths; never changed once it is made.

    Args:
        data: The values: nested dicts whose keys are text.
        update: What of it is new; None if it is that of the run.
    """

    __slots__ = ("_hash", "_hashes", "_update", "data", "is_inner")

    def __init__(self, data: Mapping[str, Any], update: Mapping[str, Any] | None = None) -> None:
        self.data = data
        self._update = update
        #: Whether it is that of calls which read something else than the run's.
        self.is_inner = update is not None
        self._hash: str | None = None
        self._hashes: dict[str, ValueHash] = {}

    @property
    def hash(self) -> str:
        """The hash of all of it; of what has none, one that no other context has."""
        if self._hash is None:
            try:
                self._hash = hash_value(self.data, "context")
            except UnhashableValueError:  # who reads what has none is told so
                self._hash = f"unhashable {id(self)}"
        return self._hash

    def updated(self, update: Mapping[str, Any]) -> Context:
        """Return the context of a call that changes some of it. Looks at files in it."""
        walk.refresh(update)
        return Context(merge_context(self.data, update), update)

    def get(self, path: str) -> Any:
        """Return the value at a path, or ABSENT; all values if the path is WHOLE."""
        return dict(self.data) if path == WHOLE else get_context_value(self.data, path, ABSENT)

    def hash_at(self, path: str) -> ValueHash:
        """Return the hash of the value at a path.

        Raises:
            UnhashableValueError: It has none.
        """
        found = self._hashes.get(path)
        if found is None:
            found = self._hashes[path] = hash_value(self.get(path), f"context.{path}")
        return found

    def comes_from_outside(self, path: str) -> bool:
        """Tell whether what is read at a path depends on the context that this one is made of."""
        if self._update is None:
            return True
        value: Any = self._update
        for name in path.split("."):
            if not isinstance(value, Mapping):
                return False
            if name not in value:
                return True
            value = value[name]
        return isinstance(value, Mapping)


#: The context of a run that was given none.
NO_CONTEXT = Context({})


def get_context_value(context: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a dotted path of a context, as ``"reference.genome"``.

    Args:
        context: Nested dicts.
        path: The names on the way, with dots between them.
        default: What is returned where there is none.
    """
    value: Any = context
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def merge_context(context: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Return a context with another one on top: dicts are merged, all else is replaced."""
    merged = dict(context)
    for name, value in update.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = merge_context(old, value) if both else value  # type: ignore[arg-type]  # both
    return merged


def checked_context(context: Any) -> Mapping[str, Any]:
    """Return a context that can be one.

    Raises:
        TypeError: It is no dict, a name in it is no text or has a dot, or there is a lazy call.
    """
    _check(context, "context")
    if find_expressions(context):
        raise TypeError("a context holds values, and no lazy calls")
    found: Mapping[str, Any] = context
    return found


def _check(context: Any, path: str) -> None:
    if not isinstance(context, Mapping):
        raise TypeError(f"a {path} is a dict, not {context!r}")
    for name, value in context.items():
        if not isinstance(name, str) or "." in name or not name:
            raise TypeError(f"a name in a {path} is text without dots, not {name!r}")
        if isinstance(value, Mapping):
            _check(value, path)


def context_of_paths(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a context of values by their dotted paths, as ``{"reference.genome": "hg38"}``."""
    context: dict[str, Any] = {}
    for path, value in pairs.items():
        nested: Any = value
        for name in reversed(path.split(".")):
            nested = {name: nested}
        context = merge_context(context, nested)
    return context


def key_in(eval_hash: str, context: Context) -> str:
    """Return what a call is known by within a run, in a context that is not the run's."""
    return hash_record("in context", eval_hash, context.hash)
