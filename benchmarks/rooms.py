"""The rooms that a call goes through, and whose time each function's is.

A sample of the stack belongs to the innermost function that a room claims. What many rooms use
(hashing, the codec, the walk over values) is claimed by none, and so belongs to whoever asked for
it. Each sample is in one room, so that the rooms add up to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """A part of the way of a call.

    Attributes:
        name: What it is called in tables.
        what: What happens there, in a few words.
        claims: Where its functions are: ``file``, or ``file:function``; a function claims those
            that are defined in it, and a class its methods. The longest claim counts.
    """

    name: str
    what: str
    claims: tuple[str, ...]


_LOOP = "taskgraph/engine/loop.py"
_CONNECTED = "taskgraph_backend/connected.py"
_STORE = "taskgraph_backend/store.py"
_RECORDING = "taskgraph_backend/recording.py"
_RECORDER = "taskgraph/engine/recorder.py"
_DISPATCH = "taskgraph/engine/dispatch.py"
_WEIGHING = "taskgraph/engine/weighing.py"
_TASK = "taskgraph/tasks/task.py"

ROOMS = (
    Room(
        "expression",
        "the lazy calls are written down, and the list around them",
        ("benchmarks/", f"{_TASK}:Task.__call__",
         "taskgraph/expression.py:TaskExpression.__init__"),
    ),
    Room(
        "root",
        "what is done once a run: the root call, the execution's rows, the environment",
        ("taskgraph/app/", f"{_LOOP}:Engine._run", f"{_LOOP}:Engine._end",
         f"{_LOOP}:Engine._execution"),
    ),
    Room(
        "graph",
        "nodes for the expressions, who waits for whom, what is ready",
        ("taskgraph/engine/reduction.py", "taskgraph/engine/making.py", "taskgraph/engine/jobs.py",
         f"{_LOOP}:Engine._advance"),
    ),
    Room(
        "argument binding",
        "inputs become values, arguments get their names",
        ("taskgraph/tasks/signature.py", f"{_TASK}:Task.binder", f"{_WEIGHING}:evaluate_inputs",
         f"{_WEIGHING}:find_live_arguments", f"{_DISPATCH}:Dispatcher.take_ready"),
    ),
    Room(
        "hashing",
        "arguments are hashed; args_hash and eval_hash",
        (f"{_WEIGHING}:weigh", f"{_WEIGHING}:_weigh_argument", f"{_DISPATCH}:Dispatcher._weigh"),
    ),
    Room(
        "lookup",
        "one question for all that are ready, and its answers, decoded and judged",
        ("taskgraph/engine/cache.py", "taskgraph/engine/lookup.py", "taskgraph/engine/branches.py",
         "taskgraph_backend/answers.py", f"{_STORE}:SqlBackend.check_cache",
         f"{_DISPATCH}:Dispatcher._find_results", f"{_DISPATCH}:Dispatcher._take_decisions"),
    ),
    Room(
        "submit",
        "calls are handed to their executor",
        (f"{_DISPATCH}:Dispatcher.submit", f"{_DISPATCH}:Dispatcher._admit",
         f"{_DISPATCH}:Dispatcher._hand_over", f"{_DISPATCH}:Dispatcher._free_to_run",
         "taskgraph/engine/executing.py", "taskgraph/engine/limits.py",
         "taskgraph/engine/twins.py", "taskgraph/engine/leading.py"),
    ),
    Room(
        "body",
        "the call itself, its result hashed and encoded where it was made",
        ("taskgraph/executors/", "taskgraph/worker.py", "taskgraph/outputs/",
         "taskgraph/values/pack.py:pack"),
    ),
    Room(
        "outcome",
        "results come back, the call is finished, those that waited are told",
        ("taskgraph/engine/inbox.py", "taskgraph/engine/finishing.py",
         "taskgraph/engine/stepping.py", f"{_LOOP}:Engine._wait", f"{_LOOP}:Engine._receive",
         f"{_LOOP}:Engine._run_here", f"{_DISPATCH}:Dispatcher.take_outcome",
         f"{_DISPATCH}:Dispatcher._finish", f"{_DISPATCH}:Dispatcher._use"),
    ),
    Room(
        "recorder",
        "settled calls become rows; arguments are packed",
        (_RECORDER, "taskgraph/engine/announcing.py"),
    ),
    Room(
        "rows to bytes",
        "rows become tuples for the driver: hex to bytes, seals",
        (f"{_RECORDING}:steps_of", "taskgraph_backend/seals.py",
         f"{_STORE}:SqlBackend.record"),
    ),
    Room(
        "insert",
        "SQLite takes the rows, and commits",
        (f"{_RECORDING}:write", f"{_RECORDING}:_execute_many", f"{_CONNECTED}:Connected._writing",
         f"{_CONNECTED}:Connected._try", f"{_CONNECTED}:Connected._transact",
         "taskgraph_backend/dialects/"),
    ),
)  # fmt: skip
COLLECTION = Room("garbage collection", "Python looks for circles among what is alive", ())
REST = Room("rest", "what no room claims", ())
ALL_ROOMS = (*ROOMS, COLLECTION, REST)


def _claims() -> dict[str, str]:
    return {claim: room.name for room in ROOMS for claim in room.claims}


@cache
def room_of(place: str, qualname: str) -> str | None:
    """Return whose function this is, by its file (as `place` has it) and qualified name."""
    claims = _claims()
    qualname = qualname.replace(".<locals>", "")
    parts = qualname.split(".")
    for length in range(len(parts), 0, -1):
        found = claims.get(f"{place}:{'.'.join(parts[:length])}")
        if found is not None:
            return found
    if place in claims:
        return claims[place]
    folders = [claim for claim in claims if claim.endswith("/") and place.startswith(claim)]
    return claims[max(folders, key=len)] if folders else None


def room_of_stack(stack: Iterable[tuple[str, str]]) -> str:
    """Return the room of a stack of places and qualified names, innermost first."""
    for place, qualname in stack:
        found = room_of(place, qualname)
        if found is not None:
            return found
    return REST.name


def unknown_claims(root: Path) -> list[str]:
    """Return the claims on files and functions that are not there any more, in a checkout."""
    lost = []
    for claim in _claims():
        file, _, qualname = claim.partition(":")
        found = next((at for at in (root / file, root / "backend" / file) if at.exists()), None)
        if found is None:
            lost.append(claim)
        elif qualname:
            text = found.read_text(encoding="utf-8")
            if not all(
                f"def {part}(" in text or f"class {part}" in text for part in qualname.split(".")
            ):
                lost.append(claim)
    return lost
