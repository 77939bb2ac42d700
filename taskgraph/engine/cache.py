"""Cache decisions: what the backend knows of a call becomes a Hit, or a Miss with its reason.

Nothing is trusted because it was found: bytes are checked against their digest when decoded, and
values that stand for the world (files above all) are compared with it before they are used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from taskgraph.engine.aliases import NO_ALIASES, Aliases, Earlier
from taskgraph.engine.jobs import Job
from taskgraph.errors import DamagedValueError, InvalidValueError, RefusedValueError
from taskgraph.expression import SchedulerExpression
from taskgraph.hashing import CallHash, TaskHash, ValueHash
from taskgraph.records import CacheAnswer, CacheQuery, Micros, RetractedFound, StoredResult
from taskgraph.tasks.context import NO_CONTEXT, Context, handle_of_path, task_of_path
from taskgraph.tasks.names import BUILT_IN
from taskgraph.tasks.options import CacheCheckValid, CacheResult, CacheScope
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.values import codec
from taskgraph.values.failures import ERROR_TYPE
from taskgraph.values.stored import EVICTED, UNSTORED
from taskgraph.worker import now

_MICROSECOND = timedelta(microseconds=1)

#: The kinds of results that a call may use.
Allowed = frozenset[CacheResult]

_ALL: Allowed = frozenset(CacheResult)
_RECORDED: Allowed = frozenset({CacheResult.SINGLE, CacheResult.ULTIMATE})


#: Scopes that each call is held against: quicker found here than in their class.
BACKEND: Final = CacheScope.BACKEND
NOWHERE: Final = CacheScope.NONE


class Reason(StrEnum):
    """Why a call must run."""

    SCOPE = "the cache was not asked"
    ABSENT = "no result is recorded for this code and these arguments"
    DAMAGED = "the recorded result is damaged"
    EVICTED = "the recorded result was given up to save space"
    INVALID = "the recorded result no longer matches the world"
    UNPLANTED = "the recorded result calls what cannot be called any more"
    AGE = "the recorded result is older than max_age"
    UNTRUSTED = "the recorded result came from elsewhere and is not trusted"
    REFUSED = "the recorded result is not read: it is not data alone"
    RETRACTED = "the recorded result was retracted"
    REFUTED = "calls that it awaits give other results than when it was recorded"


class Hit(NamedTuple):
    """A recorded result that may be used, if it is still valid.

    Attributes:
        value: Decoded; it may hold expressions if it is a single reduction.
        call_hash: A recorded call node that may turn out to be this very call.
        subtree: Of a whole call: the tasks in it and below. None for a single reduction.
        earlier: The blessed version of the task that it was recorded under, if it was.
        size: How many bytes it has as it is stored.
        reads: Of a whole call: what was read of its context, by path.
        states: The states of handles that it rests on, all of them valid.
        bears_code: Whether the value holds functions, classes or objects that are found by name.
    """

    value: Any
    value_hash: ValueHash
    call_hash: CallHash | None
    subtree: frozenset[TaskHash] | None = None
    earlier: Earlier | None = None
    size: int = 0
    reads: tuple[str, ...] = ()
    states: frozenset[str] = frozenset()
    bears_code: bool = False


@dataclass(frozen=True, slots=True)
class Miss:
    """A call must run.

    Attributes:
        reason: Why.
        detail: More of it.
        damaged: The stored value that cannot be used, and is to be replaced.
        retracted: The calls of the same key that were retracted.
    """

    reason: Reason
    detail: str = ""
    damaged: ValueHash | None = None
    retracted: frozenset[CallHash] = frozenset()

    @property
    def text(self) -> str:
        """The reason in words."""
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value

    @property
    def note(self) -> str | None:
        """The reason as it is stored; nothing for a plain absence, which most misses are."""
        if self.reason is Reason.ABSENT:
            return None
        return json.dumps({"reason": self.reason.name, "detail": self.detail})


def miss_of(job: Job) -> Miss:
    """Return why a job runs, of one that does."""
    if job.note is None:
        return ABSENT
    noted = json.loads(job.note)
    return Miss(Reason[noted["reason"]], noted["detail"])


#: The plainest miss, and the most frequent one; there is but this object of it.
ABSENT = Miss(Reason.ABSENT)
# Made once each: a run without the cache has one for every job.
_UNHASHED = Miss(Reason.SCOPE, "an argument has no hash of its own")
_UNRECORDED = Miss(Reason.SCOPE, "prov=False")
_NOT_ALLOWED = Miss(Reason.SCOPE, "allowed_cache_results leaves it out")
_SCOPE_NONE = Miss(Reason.SCOPE, "cache_scope=NONE")
_SCOPE_CSE = Miss(Reason.SCOPE, "cache=False")
_SWITCHED_OFF = Miss(Reason.SCOPE, "the run was asked not to use it")


def unasked(job: Job) -> Miss:
    """Return why the backend is not asked for a job's result."""
    if not job.is_recorded:
        return _UNRECORDED
    if job.is_uncacheable:
        return _UNHASHED
    if _RECORDED.isdisjoint(allowed_of(job)):
        return _NOT_ALLOWED
    match job.options.get("cache_scope", CacheScope.BACKEND):
        case CacheScope.NONE:
            return _SCOPE_NONE
        case CacheScope.CSE:
            return _SCOPE_CSE
        case _:
            return _SWITCHED_OFF


def scope_of(job: Job, use_cache: bool) -> CacheScope:
    """Return how far away a job's result may come from."""
    if job.is_uncacheable or not job.is_recorded:
        return CacheScope.NONE
    is_stepped = isinstance(job.expr, SchedulerExpression)
    if use_cache and not job.options and not is_stepped:
        return BACKEND
    scope = job.options.get("cache_scope", BACKEND)
    # A scheduler task's result depends on what it evaluates, not on its arguments alone: it is
    # stepped through again, and what it evaluates is looked up instead.
    is_stepped = is_stepped and not is_looked_up_whole(job)
    if scope is CacheScope.BACKEND and (not use_cache or is_stepped):
        scope = CacheScope.CSE
    if "allowed_cache_results" in job.options:
        scope = _allowed_scope(scope, allowed_of(job))
    assert isinstance(scope, CacheScope)
    return scope


def _allowed_scope(scope: CacheScope, allowed: Allowed) -> CacheScope:
    if scope is CacheScope.BACKEND and _RECORDED.isdisjoint(allowed):
        scope = CacheScope.CSE
    if scope is CacheScope.CSE and CacheResult.CSE not in allowed:
        scope = CacheScope.NONE
    return scope


def allowed_of(job: Job) -> Allowed:
    """Return which results a job may use."""
    allowed: Allowed = job.options.get("allowed_cache_results", _ALL)
    return allowed


def is_looked_up_whole(job: Job) -> bool:
    """Tell whether a scheduler task is looked up as a whole: if that is said of it, and not of all.

    For what it evaluates it answers with its subtree and reads, as any whole call does.
    """
    return job.task.all_options.get("check_valid") is CacheCheckValid.SHALLOW


def query_of(job: Job) -> CacheQuery:
    """Return the question to the backend for a job."""
    assert job.eval_hash is not None
    if not job.options and not isinstance(job.expr, SchedulerExpression):
        return CacheQuery(job.eval_hash)
    is_shallow = job.options.get("check_valid") is CacheCheckValid.SHALLOW
    if isinstance(job.expr, SchedulerExpression):
        is_shallow = is_looked_up_whole(job)
    return CacheQuery(job.eval_hash, is_shallow and CacheResult.ULTIMATE in allowed_of(job))


def decide(
    answer: CacheAnswer,
    current_tasks: CurrentTasks,
    max_age: timedelta | None = None,
    context: Context = NO_CONTEXT,
    allowed: Allowed | None = None,
) -> Hit | Miss:
    """Choose what to use of an answer: a whole call if asked for, else a single reduction.

    A whole call is used if all that was read of its context is there as it was. Whether the states
    of handles are valid that a hit rests on is for who asks to find out.

    Args:
        answer: What is recorded; whole calls only where these may be used.
        current_tasks: The tasks as they are now.
        max_age: How old it may be.
        context: That of the call.
        allowed: Which results may be used, if not all of them.
    """
    miss = ABSENT
    oldest = None if max_age is None else now() - max_age // _MICROSECOND
    for call in answer.calls:
        if not _is_usable(call.result) or not current_tasks.cover(call.subtree_tasks):
            continue
        if any(_is_other(path, value_hash, context) for path, value_hash in call.reads):
            continue
        if oldest is not None and call.timestamp < oldest:
            continue  # if its parts are younger, they are put together again
        decoded = _decode(call.result)
        if isinstance(decoded, Miss):
            miss = decoded
            continue
        size = len(call.result.value)
        return Hit(
            decoded.value,
            call.result.value_hash,
            call.call_hash,
            call.subtree_tasks,
            size=size,
            reads=tuple(path for path, _ in call.reads),
            bears_code=decoded.bears_code,
        )
    found = answer.evaluation
    if found is None:
        return _refused(answer) if miss is ABSENT else miss
    if allowed is not None and CacheResult.SINGLE not in allowed:
        return _NOT_ALLOWED
    if oldest is not None and found.timestamp < oldest:
        return Miss(Reason.AGE, _age_of(found.timestamp, max_age))
    decoded = _decode(found.result)
    if isinstance(decoded, Miss):
        return decoded
    size = len(found.result.value)
    return Hit(
        decoded.value,
        found.result.value_hash,
        found.call_hash,
        size=size,
        bears_code=decoded.bears_code,
    )


def _refused(answer: CacheAnswer) -> Miss:
    """Return why nothing that may be used is recorded."""
    if answer.retracted is not None:
        return _retracted(answer.retracted)
    return _untrusted(answer.offered) if answer.offered else ABSENT


def _untrusted(origin: str) -> Miss:
    return Miss(Reason.UNTRUSTED, f"it is from {origin}; taskgraph trust makes it count")


def _retracted(found: RetractedFound) -> Miss:
    said = ""
    if found.id:
        when = found.at[:16].replace("T", " ")
        said = f"by {found.by} on {when} UTC, {found.reason!r} (retraction {found.id[:8]})"
    return Miss(Reason.RETRACTED, said, retracted=found.calls)


def _is_other(path: str, value_hash: ValueHash, context: Context) -> bool:
    """Tell whether what was read is not there as it was."""
    name = task_of_path(path)
    if name is None:
        return handle_of_path(path) is None and context.hash_at(path) != value_hash
    task = get_task_registry().find(name)
    return task is None or task.defaults_hash() != value_hash


def _age_of(timestamp: Micros, max_age: timedelta | None) -> str:
    age = timedelta(seconds=(now() - timestamp) // 1_000_000)
    return f"it is {age} old, and may be {max_age}"


def _is_usable(result: StoredResult) -> bool:
    """Tell whether a whole call gave a value: errors are never replayed, and some are not kept."""
    return result.format != UNSTORED and result.type != ERROR_TYPE


def _hash_of(task: AnyTask) -> TaskHash | None:
    try:
        return task.hash
    except Exception:
        # A task without a hash cannot run; that is its own error, and no other call's.
        return None


_names: dict[TaskHash, str] = {}  # what the tasks of this process were found to hash to


class CurrentTasks:
    """The hashes of tasks as they are defined now, made at shallow look-ups.

    A task that had a hash before has it still, as a rule: it is the first to be hashed again. Then
    come those of the user, and those of the library last, until all that is wanted was found.

    Args:
        aliases: Earlier code that counts for the present one.
    """

    def __init__(self, aliases: Aliases = NO_ALIASES) -> None:
        self._aliases = aliases
        self._hashes: set[TaskHash] = set()
        self._seen: set[str] = set()
        self._is_whole = False

    def cover(self, wanted: frozenset[TaskHash]) -> bool:
        """Tell whether all of these tasks are still defined as they were."""
        missing = set(wanted - self._hashes)
        if not missing or self._is_whole:
            return not missing
        for name in self._likely(missing):
            missing.discard(self._look_at(name))
            if not missing:
                return True
        self._hashes = self._aliases.with_earlier(self._hashes)
        self._is_whole = True
        return wanted <= self._hashes

    def _likely(self, missing: Iterable[TaskHash]) -> Iterator[str]:
        yield from [_names[each] for each in missing if each in _names]
        tasks = sorted(get_task_registry(), key=lambda task: task.namespace == BUILT_IN)
        yield from [task.fullname for task in tasks if task.fullname not in self._seen]

    def _look_at(self, name: str) -> TaskHash | None:
        self._seen.add(name)
        task = get_task_registry().find(name)
        found = None if task is None else _hash_of(task)
        if found is not None:
            self._hashes.add(found)
            _names[found] = name
        return found


class _Decoded(NamedTuple):
    value: Any
    bears_code: bool


def _decode(stored: StoredResult) -> _Decoded | Miss:
    try:
        return _Decoded(*codec.decode_marked(*stored))
    except RefusedValueError as error:
        return Miss(Reason.REFUSED, error.reason)
    except InvalidValueError as error:
        lost = stored.value_hash if error.is_lost else None
        return Miss(Reason.INVALID, error.reason, lost)
    except DamagedValueError as error:
        if stored.format == EVICTED:
            return Miss(Reason.EVICTED)
        return Miss(Reason.DAMAGED, error.reason, stored.value_hash)
