"""Recorded calls made again with the code of now, to see whether it gives what they gave.

The function is called in this very process, and nothing is written down: neither its result nor
that it was called. What it does besides returning a value, it does; so calls that are known to do
more are left out unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.engine.recorded import fitted, values_of
from taskgraph.errors import DamagedValueError
from taskgraph.expression import SchedulerExpression
from taskgraph.hashing import TaskHash
from taskgraph.ports import Backend, Call, Outcome, Raised
from taskgraph.records import JobId, RecordedCall
from taskgraph.tasks.names import BUILT_IN
from taskgraph.tasks.registry import AnyTask
from taskgraph.values import codec, walk
from taskgraph.values.filegroups import FileGroup
from taskgraph.values.files import File
from taskgraph.values.handles import Handle
from taskgraph.values.preview import preview
from taskgraph.worker import describe_error, now, run_call

#: The tag of a task that says whether its calls may be made again just to look.
TAG: Final = "replay"
_MOST_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What of a task is made again.

    Attributes:
        task: The task as it is now.
        old: The version whose calls were recorded.
        calls: The calls.
        skipped: Why none is, if none is.
    """

    task: AnyTask
    old: TaskHash
    calls: tuple[RecordedCall, ...]
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a call gave when it was made again.

    Attributes:
        word: ``same``, ``changed``, ``raised`` or ``skipped``.
        call: The call as it would be written.
        before: What it gave when it was recorded, as a preview.
        after: What it gives now, how it failed, or why it was not made again.
        old: The value that it gave; None unless it is another one now. Any: the user's.
        new: The value that it gives now. Any: the same.
    """

    word: str
    call: str
    before: str = ""
    after: str = ""
    old: Any = None
    new: Any = None


def plan_replay(
    backend: Backend, tasks: Sequence[AnyTask], count: int, *, named: bool, everything: bool
) -> list[ReplayPlan]:
    """Return which recorded calls are to be made again; tasks that have none are left out.

    Args:
        backend: What knows the calls.
        tasks: The tasks, as they are now.
        count: So many calls of each task, at most; the same ones each time.
        named: Whether also those are meant whose code is what it was.
        everything: Whether also those are meant that are known to do more than return a value.
    """
    chosen = [each for each in tasks if _is_replayable(each)]
    versions = backend.find_versions([each.fullname for each in chosen])
    plans = []
    for task in chosen:
        found = [each for each in versions.get(task.fullname, []) if each.origin is None]
        if not found or (not named and found[0].hash == task.get_hash()):
            continue
        old = found[0].hash
        reason = _why_not(task, everything)
        calls = [] if reason else backend.sample_calls(old, count * _MOST_TRIES)
        if not reason and not calls:
            reason = "no call of it is recorded that could be made again"
        plans.append(ReplayPlan(task, old, tuple(calls[:count]), reason))
    return plans


def replay(backend: Backend, call: RecordedCall, task: AnyTask, *, everything: bool) -> Replayed:
    """Make a recorded call again, with the function of now, and compare what it gives.

    Args:
        backend: What knows the call.
        call: The call.
        task: Its task, as it is now.
        everything: Whether it is made again although it is known to do more than return a value.
    """
    recalled = _recall(backend, call, task)
    if isinstance(recalled, Replayed):
        return recalled
    args, kwargs, old = recalled
    shown, before = f"{task.fullname}({_shown(args, kwargs)})", preview(old)
    if not everything and not _tagged(task) and _has_places([args, kwargs, old]):
        after = f"files or handles are among its arguments or in its result. {_HOW}"
        return Replayed("skipped", shown, before, after)
    outcome = _made_again(task, args, kwargs)
    if isinstance(outcome, Raised):
        return Replayed("raised", shown, before, describe_error(outcome.error))
    after = preview(outcome.value)
    if outcome.packed is None:
        reason = f"its result has no stable hash: {outcome.unstored}"
        return Replayed("skipped", shown, before, reason)
    if outcome.packed.values[0].value_hash == call.result.value_hash:
        return Replayed("same", shown, before, after)
    return Replayed("changed", shown, before, after, old, outcome.value)


def _made_again(task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    call = Call(JobId(""), task.fullname, task.func, args, kwargs)
    try:
        task.binder.check(args, kwargs)
    except TypeError as error:  # it takes other parameters now
        return Raised(call.job_id, error, (), now(), now())
    return run_call(call)


_Recalled = tuple[tuple[Any, ...], dict[str, Any], Any]


def _recall(backend: Backend, call: RecordedCall, task: AnyTask) -> _Recalled | Replayed:
    """Return the arguments and the result of a recorded call, or why they are not at hand."""
    values = values_of(backend, call.arguments)
    if isinstance(values, str):
        return Replayed("skipped", task.fullname, after=values)
    args, kwargs, missing = fitted(call.arguments, values, task)
    if missing:
        after = f"what was given for {', '.join(missing)} was not recorded"
        return Replayed("skipped", task.fullname, after=after)
    try:
        return args, kwargs, codec.decode(*call.result)
    except DamagedValueError as error:
        return Replayed("skipped", task.fullname, after=f"its result: {error.reason}")


_HOW: Final = (
    'Tag the task with replay=True (@task(tags={"replay": True})), or use --taskgraph-replay-all'
)


def _is_replayable(task: AnyTask) -> bool:
    """Tell whether a task is one of the user's with a body of its own."""
    is_ours = task.namespace == BUILT_IN or task.namespace.startswith(f"{BUILT_IN}.")
    return not is_ours and not issubclass(task.expression_type, SchedulerExpression)


def _why_not(task: AnyTask, everything: bool) -> str:
    """Return why no call of a task is made again just to look; "" if there is no reason."""
    tagged = _tagged(task)
    if tagged is False:
        return "it is tagged replay=False"
    if everything or tagged:
        return ""
    if task.script:
        return f"it runs a script. {_HOW}"
    if task.get_task_option("limits"):
        return f"it uses something that is limited. {_HOW}"
    return ""


def _tagged(task: AnyTask) -> bool | None:
    tags = dict(task.get_task_option("tags") or ())
    return tags[TAG] if isinstance(tags.get(TAG), bool) else None


def _has_places(value: Any) -> bool:
    return any(isinstance(each, File | FileGroup | Handle) for each, _ in walk.each_inside(value))


def _shown(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    given = [preview(each) for each in args]
    return ", ".join([*given, *(f"{name}={preview(value)}" for name, value in kwargs.items())])
