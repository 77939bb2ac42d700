"""The plug-in contract: `key` names a call, `lookup` asks for its result, `record` writes it down.

A tool that runs functions itself needs no more than this::

    from taskgraph.plug import Hit, key, lookup, record

    call = key(func, args, kwargs)
    found = lookup(call)
    if isinstance(found, Hit):
        return found.value
    with call.running():  # what is called in here becomes a child of this call
        result = func(*args, **kwargs)
    record(call, result)
    return result

Any thread may use them. Code is fingerprinted, arguments are hashed, files are looked at and
results are stored exactly as for tasks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from taskgraph.engine import cache, phases
from taskgraph.engine.foretelling import Foretold
from taskgraph.engine.jobs import Job, WeighedArgument
from taskgraph.engine.missed import describe_miss
from taskgraph.engine.origins import items_of
from taskgraph.errors import DatabaseError, NotRecordedWarning
from taskgraph.expression import TaskExpression
from taskgraph.fingerprint.parts import Part
from taskgraph.fingerprint.state import Hold
from taskgraph.hashing import ArgsHash, CallHash, EvalHash, TaskHash, ValueHash
from taskgraph.plug.execution import ProcessExecution, after_fork, current_execution
from taskgraph.ports import Call, Outcome, Raised, Returned
from taskgraph.records import JobId, Micros, PackedValue
from taskgraph.tasks.eager import EagerTask
from taskgraph.tasks.functions import task_of
from taskgraph.tasks.requests import read_tags
from taskgraph.values import walk
from taskgraph.values.remote import remotes_in, weight_of
from taskgraph.values.weigh import hash_value
from taskgraph.worker import frames_of, now, pack_result

_caller: ContextVar[Job | None] = ContextVar("taskgraph_caller", default=None)


# The call that a fork was made in is the other process's to record.
after_fork(lambda: _caller.set(None))


class CallRecord(NamedTuple):
    """A call as it was recorded.

    Attributes:
        call_hash: What was computed: over code, arguments, result and the calls within.
        job_id: This time that it was asked for.
        value_hash: The result's.
        unstored: Why the result cannot be used another time; "" if it can.
        error: What the call raised, or what is wrong with what it returned, if anything is: a lazy
            call in it, which nobody would run.
    """

    call_hash: CallHash
    job_id: JobId
    value_hash: ValueHash
    unstored: str = ""
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A recorded result that still matches the world.

    Attributes:
        value: The result, read anew from the store.
        record: The call that gave it, with the job of this look-up.
    """

    value: Any
    record: CallRecord


@dataclass(frozen=True, slots=True)
class Miss:
    """A call must run.

    Attributes:
        reason: Why, in words.
    """

    reason: str


@dataclass(frozen=True, eq=False)
class CallKey:
    """What a call is known by.

    Attributes:
        fullname: The function's, with its module.
        task_hash: Over the function's code and all that it reaches.
        args_hash: Over its arguments.
        eval_hash: Over both: the key of the cache.
        arguments: The hash of each argument that counts, by its name.
    """

    fullname: str
    task_hash: TaskHash
    args_hash: ArgsHash
    eval_hash: EvalHash
    arguments: Mapping[str, ValueHash]
    _job: Job = field(repr=False)
    _execution: ProcessExecution = field(repr=False)

    @property
    def config_dir(self) -> Path:
        """The folder of the settings and the database that it is for."""
        return self._execution.settings.config_dir

    @cached_property
    def body(self) -> Callable[[], Any]:
        """Runs the function with the arguments that it was asked with. Records nothing."""
        # Of its own: what a call was given is let go of with its job, when that is recorded.
        return partial(self._job.task.func, *self._job.args, **self._job.kwargs)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All that counts of the code, piece by piece."""
        return self._job.task.parts_of(self.task_hash)

    @property
    def is_open(self) -> bool:
        """Whether the call can still be recorded: its execution has not ended."""
        return self._execution.is_open

    @property
    def is_running(self) -> bool:
        """Whether the call has begun and not ended."""
        return self._job.phase is phases.AWAY

    def to_send(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Call:
        """Return the call for those who run it elsewhere, with arguments as they are sent."""
        size = self._execution.settings.backend.max_value_size
        call = Call(self._job.id, self.fullname, func, args, dict(kwargs), size)
        return call._replace(value_store=self._execution.value_store)

    def begin(self) -> None:
        """Take note that the call runs from now on, elsewhere; here it runs in `running`."""
        _begin(self._execution, self._job)

    def cancel(self) -> None:
        """Write down that the call was interrupted."""
        self._execution.calls.cancel(self._job)

    def follow(self, leader: CallKey) -> None:
        """Write down that the call was given what an equal one gave that ended meanwhile."""
        if leader._job.call_hash is None:
            self.cancel()
            return
        if self.eval_hash != leader.eval_hash:
            self._job.arguments = []  # less was known of them: all is said with the other call
        self._execution.calls.copy(self._job, leader._job)

    def again(self) -> CallKey:
        """Return the key of another attempt, with what is known of the arguments by now.

        The code is that of this one, however it was edited: it may have been sent away.
        """
        self._execution.put_in_force()
        expr, owner = self._job.expr, self._job.owner
        assert isinstance(expr, TaskExpression)
        given = (self._job.task, expr.args, expr.kwargs)
        job = weighed(self._execution, *given, owner=owner, code=self.task_hash)
        return _key_of(self._execution, job)

    def ask(self) -> Foretold:
        """Return what would become of the call now; `taskgraph.explain` says it in words."""
        self._execution.put_in_force()
        found = self._execution.calls.look_up(self._job)
        if isinstance(found, cache.Miss):
            self._job.note = found.note
        return Foretold(describe_miss(self._job, ()), isinstance(found, cache.Hit))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have calls that are made in this block, in this thread, be calls within this one."""
        _begin(self._execution, self._job)
        try:
            with within(self._job):
                yield
        except Exception:
            raise  # what it raised is to be recorded
        except BaseException:  # a Ctrl-C: the body did not end
            self._execution.calls.cancel(self._job)
            raise


@contextmanager
def within(job: Job) -> Iterator[None]:
    """Have calls that are made in this block be calls within that of a job.

    What its function changes in variables meanwhile is its own doing. A result of code that
    somebody else changed meanwhile is recorded and not kept: nobody knows what made it.
    """
    hold = _hold(job)
    token = _caller.set(job)
    try:
        yield
    finally:
        with suppress(ValueError):  # a coroutine that nobody awaits any more ends elsewhere
            _caller.reset(token)
        try:
            job.is_uncacheable |= job.task.get_hash() != job.task_hash
        except Exception:  # a module that is just being edited may raise anything
            job.is_uncacheable = True
        hold.release()


def _hold(job: Job) -> Hold:
    assert isinstance(job.task, EagerTask)
    return job.task.hold()


def key(
    func: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    config_dir: str | Path | None = None,
) -> CallKey:
    """Return the key of a call. Blocks on files among the arguments.

    Args:
        func: A plain or ``async`` function, a `cached` one, or a task, whose function is meant.
        args: The arguments by position.
        kwargs: The arguments by name.
        config_dir: The folder of settings and database; by default the nearest ``.taskgraph``
            upward, or a new one in the working directory.

    Raises:
        UnhashableValueError: An argument has no stable hash; the message says what to do.
        UnfollowedCodeError: The settings are strict, and something cannot be followed.
        TypeError: The arguments do not fit the signature, or the function is a generator.
    """
    execution = current_execution(config_dir)
    execution.put_in_force()
    return _key_of(execution, weighed(execution, task_of(func), args, kwargs or {}))


def _key_of(execution: ProcessExecution, job: Job) -> CallKey:
    arguments = {
        each.key or f"*{each.position}": each.weight.value_hash
        for each in job.arguments
        if each.weight is not None
    }
    assert job.args_hash is not None and job.eval_hash is not None
    return CallKey(
        job.task.fullname, job.task_hash, job.args_hash, job.eval_hash, arguments, job, execution
    )


def weighed(
    execution: ProcessExecution,
    task: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    owner: Job | None = None,
    code: TaskHash | None = None,
) -> Job:
    """Return the job of a call with its hashes, and with the calls that its arguments came from.

    Args:
        execution: What it is recorded in.
        task: What is called.
        args: The arguments by position.
        kwargs: The arguments by name.
        owner: The call that it is made in, by default the one that this block is within.
        code: The hash of the code that runs, if that was sent away already.
    """
    job = execution.calls.weigh(task, args, kwargs, owner or _caller.get(), code)
    for argument in job.arguments:
        if argument.weight is not None:
            found = execution.origins.find(argument.value, argument.weight.value_hash)
            told = argument.upstream  # by what stands for values elsewhere
            argument.upstream = list(dict.fromkeys([*told, *found])) if told else found
    return job


def lookup(call: CallKey, *, tags: Mapping[str, Any] | None = None) -> Hit | Miss:
    """Return the recorded result of a call, or why it must run. Blocks on files in the result.

    Args:
        call: The call.
        tags: What the job of this look-up is to be found by, if there is a result. That they cannot
            be written is a warning: the result is there.

    Raises:
        ValueError: A tag is none; a `TagKeyError` if its key is one of taskgraph's own.
    """
    if tags:
        read_tags(tags)  # what cannot be written is said before anything runs
    found = call._execution.calls.look_up(call._job)
    if isinstance(found, cache.Miss):
        call._job.note = found.note
        return Miss(found.text)
    made = used(call._execution, call._job, found)
    if tags:
        try:
            call._execution.add_tags(made.job_id, tags)
        except DatabaseError as error:
            warnings.warn(NotRecordedWarning(call.fullname, error), stacklevel=2)
    return Hit(found.value, made)


def used(execution: ProcessExecution, job: Job, hit: cache.Hit) -> CallRecord:
    """Write down that a recorded result is used."""
    execution.calls.use(job, hit)
    execution.commit_soon()
    made = _record_of(job)
    execution.origins.remember(hit.value, made.value_hash, made.call_hash, hit.size)
    return made


def record(
    call: CallKey,
    result: Any = None,
    *,
    error: BaseException | None = None,
    upstream: Iterable[CallRecord] = (),
    host: str | None = None,
    started: datetime | None = None,
    ended: datetime | None = None,
    tags: Mapping[str, Any] | None = None,
    outcome: Outcome | None = None,
    inputs: Iterable[PackedValue] = (),
) -> CallRecord:
    """Write down what came of a call; it is committed when this returns.

    Args:
        call: The call, which was looked up and missed.
        result: What the function returned. One that cannot be stored is recorded as such.
        error: What it raised instead. Errors are recorded, and never taken from the cache.
        upstream: The calls that arguments came from, where other objects than they returned were
            passed: each belongs to the arguments that have its value, or hold it.
        host: Where it ran, if not here; becomes a tag.
        started: When it began, an aware time; by default now.
        ended: When it ended; by default now.
        tags: More to be found by: values that JSON has.
        outcome: What `taskgraph.worker.run_call` gave elsewhere, in place of all that is said above
            of result, error and times; a value that stayed there has a stand-in.
        inputs: Values that stand-ins among the arguments stand for, packed elsewhere.

    Raises:
        DatabaseError: Nothing was written.
    """
    execution, job = call._execution, call._job
    _add_upstream(job, tuple(upstream))
    _begin(execution, job)
    _add_inputs(job, inputs)
    job.is_uncacheable |= any(map(_is_outdated, job.arguments))
    execution.put_in_force()
    if outcome is None:
        outcome = _outcome(execution, job, result, error, _micros(started), _micros(ended))
    made = finished(execution, job, outcome)
    told = {**(tags or {}), **({} if host is None else {"host": host})}
    if told:
        execution.add_tags(job.id, told)
    return made


def record_or_warn(call: CallKey, result: Any = None, **told: Any) -> CallRecord | None:
    """Write down what came of a call as `record` does; warn if the database cannot be written.

    What may have taken hours is not thrown away for a disk that is full.
    """
    try:
        return record(call, result, **told)
    except DatabaseError as error:
        warnings.warn(NotRecordedWarning(call.fullname, error), stacklevel=3)
        return None


def _begin(execution: ProcessExecution, job: Job) -> None:
    """Have a call be one that runs, unless it is: only then are others calls within it."""
    if job.phase is not phases.AWAY:
        execution.calls.start(job, None)


def finished(execution: ProcessExecution, job: Job, outcome: Outcome) -> CallRecord:
    """Write down what came of a call that ran here, and commit it."""
    execution.calls.finish(job, outcome)
    made = _record_of(job)
    if isinstance(outcome, Returned) and job.error is None:
        size = sum(each.size for each in outcome.packed.values) if outcome.packed else 0
        execution.origins.remember(outcome.value, made.value_hash, made.call_hash, size)
    return made


def _outcome(
    execution: ProcessExecution,
    job: Job,
    result: Any,
    error: BaseException | None,
    started: Micros,
    ended: Micros,
) -> Outcome:
    if error is not None:
        return Raised(job.id, error, frames_of(error.__traceback__), started, ended)
    walk.refresh(result)
    size = execution.settings.backend.max_value_size
    packed, unstored = pack_result(result, size, execution.value_store)
    return Returned(job.id, result, packed, unstored, started, ended)


def _record_of(job: Job) -> CallRecord:
    assert job.call_hash is not None and job.value_hash is not None
    return CallRecord(job.call_hash, job.id, job.value_hash, job.why_unstored or "", job.error)


def _add_upstream(job: Job, calls: Sequence[CallRecord]) -> None:
    """Join arguments to the calls that gave their value, or gave something in it."""
    for argument in job.arguments:
        if argument.weight is None or not calls:
            continue
        values = {argument.weight.value_hash}
        if all(each.value_hash not in values for each in calls):
            values = {hash_value(each) for each in items_of(argument.value)}
        same = [each.call_hash for each in calls if each.value_hash in values]
        argument.upstream = list(dict.fromkeys([*argument.upstream, *same]))


def _add_inputs(job: Job, inputs: Iterable[PackedValue]) -> None:
    """Have values be stored that stand-ins among the arguments stand for."""
    packed = {each.values[0].value_hash: each for each in inputs}
    for argument in job.arguments:
        if argument.weight is not None and argument.weight.value_hash in packed:
            argument.packed = packed[argument.weight.value_hash]
            argument.is_stored = False


def _is_outdated(argument: WeighedArgument) -> bool:
    """Tell whether something elsewhere that it stands for was lost, and is another value now."""
    value, weight = argument.value, argument.weight
    if weight is None or next(remotes_in(value, weight), None) is None:
        return False
    return weight_of(value).value_hash != weight.value_hash


def _micros(when: datetime | None) -> Micros:
    if when is None:
        return now()
    if when.tzinfo is None:
        raise ValueError(f"{when!r} says no time zone; use datetime.now(UTC) and its like.")
    return Micros(int(when.astimezone(UTC).timestamp() * 1e6))
