"""Code that travels with a call besides its function: in its arguments, and by content.

What is recorded of a call names all this code as the process that asks has it. A worker that has
imported another one says so by what it sends back, and the result is refused. Variables that hold
something else there are no other code, but a result that came of them is not kept.
"""

from __future__ import annotations

import os
import platform
import sys
import types
from collections.abc import Iterable
from typing import Any, NamedTuple

from taskgraph.errors import WorkerCodeError
from taskgraph.fingerprint.classes import has_behaviour
from taskgraph.fingerprint.code import code_hash, fingerprint
from taskgraph.fingerprint.own import is_own_code
from taskgraph.fingerprint.parts import STANDS_FOR_NOTHING, Part, PartKind
from taskgraph.ports import Call
from taskgraph.values import walk
from taskgraph.values.gate import Received

_CODE = frozenset({PartKind.FUNCTION, PartKind.CLASS, PartKind.CODE, PartKind.NAME})
#: What is looked up by name, where code travels by content: all else travels with it.
_BY_NAME = _CODE | {PartKind.CONSTANT}
_MAIN = frozenset({"__main__", "__mp_main__"})

#: Of each part what tells it from others: its hash, its name and its kind.
PartKeys = tuple[tuple[str, str, str], ...]


class Named(NamedTuple):
    """Code that a worker found by its name.

    Attributes:
        module: Where it looked.
        name: What for.
        code: The hash of it as a value.
        behaviour: That of what the objects of a class do; "" of a function.
        texts: The hash of the texts alone.
    """

    module: str
    name: str
    code: str
    behaviour: str
    texts: str


class Carried(NamedTuple):
    """The code that came with a call, as the worker has it.

    Attributes:
        named: What it found by name.
        parts: What the code refers to by name that came by content.
    """

    named: tuple[Named, ...]
    parts: PartKeys
    worker: str


class Differences(NamedTuple):
    """What is not the same in two processes, by name: other code, and other values."""

    code: tuple[str, ...]
    values: tuple[str, ...]


def keys_of(parts: Iterable[Part]) -> PartKeys:
    """Return what of a function's parts another process may have otherwise."""
    return tuple(
        (e.part_hash, e.name, e.kind)
        for e in parts
        if e.kind in _BY_NAME and e.source != STANDS_FOR_NOTHING
    )


def differences(wanted: PartKeys, there: PartKeys) -> Differences:
    """Return which parts of a function are not as they are wanted, where it is to run."""
    missing = set(wanted) - set(there)
    code = {name for _, name, kind in missing if kind in _CODE}
    values = {name for _, name, _ in missing} - code
    return Differences(tuple(sorted(code)), tuple(sorted(values)))


def imported(parts: PartKeys, *made: Any) -> PartKeys:
    """Return the parts that this process has imported: all others came by content.

    Args:
        parts: Those of code that came by content.
        made: What came so. Its text is that of who sent it, though it may look otherwise here: the
            names that only its decorators use did not come along.
    """
    own = {f"{each.__module__}.{getattr(each, '__qualname__', '')}" for each in made}
    return tuple(each for each in parts if each[1] not in own and _is_imported(each[1]))


def _is_imported(name: str) -> bool:
    """Tell whether what has this name is of a module that this process has imported."""
    if "<" in name:  # <locals>, <lambda>: no import finds it
        return False
    module = name
    while module := module.rpartition(".")[0]:
        if module in sys.modules:
            return module not in _MAIN
    return False


def this_worker() -> str:
    """Return what this process is called in errors."""
    return f"{platform.node()} ({os.getpid()})"


def carried(received: Received, func: Any = None) -> Carried | None:
    """Return what came with a call, but for its function; None if it is no code of the user's.

    Args:
        received: What was met when the call was read.
        func: Its function, if that came by content.
    """
    named = {(module, name): found for module, name, found in received.named if is_own_code(found)}
    made = [each for each in received.made if each is not func and is_own_code(each)]
    if not named and not made:
        return None
    parts: dict[tuple[str, str, str], None] = {}
    for each in made:
        parts.update(dict.fromkeys(keys_of(fingerprint(each).parts)))
    return Carried(
        tuple(_named(*place, found) for place, found in named.items()),
        imported(tuple(parts), *made),
        this_worker(),
    )


def _named(module: str, name: str, found: Any) -> Named:
    known = fingerprint(found)
    behaviour = code_hash(found, "behaviour") if isinstance(found, type) else ""
    return Named(module, name, known.code_hash, behaviour, known.texts_hash)


def compare(call: Call, there: Carried) -> str:
    """Hold what a worker had of the code in a call against what this process has.

    Args:
        call: The call, as it was sent.
        there: What the worker had.

    Returns:
        The names of variables that hold something else there; "" for none.

    Raises:
        WorkerCodeError: It had other code.
    """
    code: list[str] = []
    values: list[str] = []
    for each in there.named:
        found = _look_up(each.module, each.name)
        if found is None:  # it is gone here: made and removed again, or by a hook of its own
            continue
        own = _named(each.module, each.name, found)
        if own == each or (own.behaviour and _is_same_for_objects(call, found, own, each)):
            continue
        (values if own.texts == each.texts else code).append(f"{each.module}.{each.name}")
    if there.parts:
        ours = keys_of(part for each in _code_in(call) for part in fingerprint(each).parts)
        differing = differences(there.parts, ours)
        code += differing.code
        values += differing.values
    if code:
        raise WorkerCodeError(call.fullname, there.worker, sorted(code), has_run=True)
    return ", ".join(sorted(values))


def _is_same_for_objects(call: Call, cls: Any, own: Named, there: Named) -> bool:
    """Tell whether a class is other only in what objects of it do not show."""
    is_same = own.behaviour == there.behaviour and has_behaviour(cls)
    return is_same and all(each is not cls for each in _code_in(call))


def _look_up(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for each in name.split("."):
        found = getattr(found, each, None)
    return found


def _code_in(call: Call) -> list[Any]:
    """Return the user's functions and classes in the arguments of a call, and of its objects."""
    found: dict[int, Any] = {}
    for value, _ in walk.each_inside([call.args, call.kwargs]):
        each = value if isinstance(value, types.FunctionType | type) else type(value)
        if is_own_code(each):
            found[id(each)] = each
    return list(found.values())
