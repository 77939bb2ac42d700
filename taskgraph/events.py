"""What happened, in the past tense: told to observers, never decided by them."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any, NamedTuple

from taskgraph.hashing import ArgsHash, EvalHash, TaskHash, ValueHash
from taskgraph.records import ExecutionId, JobId, Micros, State
from taskgraph.tasks.task import Task


@dataclass(frozen=True, slots=True)
class ExecutionStarted:
    """A run began; sent once, before any job of it."""

    execution_id: ExecutionId
    task: str


@dataclass(frozen=True, slots=True)
class ExecutionEnded:
    """A run ended and all of it is recorded; ``seconds`` is the time it took."""

    execution_id: ExecutionId
    state: State
    seconds: float


class JobsSubmitted(NamedTuple):
    """Calls were handed to an executor: for each its task's full name, its job, and its caller's.

    The root has no caller.
    """

    tasks: tuple[str, ...]
    jobs: tuple[JobId, ...] = ()
    callers: tuple[JobId | None, ...] = ()


class JobCached(NamedTuple):
    """A call's result was taken from the cache or from an equal call of this execution.

    ``caller`` is the job that wrote it down; None of the root.
    """

    job_id: JobId
    task: str
    caller: JobId | None = None


class JobDone(NamedTuple):
    """A call that ran has its final value; ``seconds`` is the time in its own function.

    ``started`` and ``ended`` are microseconds since 1970, ``caller`` is the job that wrote it down.
    """

    job_id: JobId
    task: str
    seconds: float
    started: Micros | None = None
    ended: Micros | None = None
    caller: JobId | None = None


class JobFailed(NamedTuple):
    """A call raised, or one that it needed did; the rest is as of `JobDone`."""

    job_id: JobId
    task: str
    error: str
    started: Micros | None = None
    ended: Micros | None = None
    caller: JobId | None = None


class JobRetried(NamedTuple):
    """A call failed and will be tried again after ``seconds``; this was attempt ``attempt``."""

    job_id: JobId
    task: str
    error: str
    attempt: int
    seconds: float


class JobWaits(NamedTuple):
    """A call waits, for an equal one runs in another process; sent when that takes a while."""

    job_id: JobId
    task: str
    execution_id: str
    host: str
    pid: int

    @property
    def text(self) -> str:
        """What it waits for, in words."""
        where = f"in execution {self.execution_id[:8]} on host {self.host}, pid {self.pid}"
        return f"waits for call {self.task}(...) that runs {where}"


class ResultUnstored(NamedTuple):
    """A result could not be stored: it was used, and its job recorded as uncached."""

    job_id: JobId
    task: str
    reason: str


class ResultNotKept(NamedTuple):
    """A result is not to be used again: its code looked at what was changed meanwhile."""

    job_id: JobId
    task: str
    reason: str


class CacheEntryRefused(NamedTuple):
    """A cached result was found and not used, because it is damaged or no longer valid."""

    task: str
    reason: str


class GivenBy(NamedTuple):
    """A call that an argument came from: whether it ran, or was taken from the cache."""

    job_id: JobId
    task: str
    ran: bool


class WeighedValue(NamedTuple):
    """An argument of a call with its hash and, in order, the calls that it came from."""

    position: int | None
    key: str | None
    value_hash: ValueHash
    value: Any  # the user's
    given_by: tuple[GivenBy, ...]


class WeighedCall(NamedTuple):
    """A call that was weighed; ``eval_hash`` and ``args_hash`` are None if it has none."""

    job_id: JobId
    task: Task[..., Any]
    task_hash: TaskHash
    eval_hash: EvalHash | None
    args_hash: ArgsHash | None
    arguments: tuple[WeighedValue, ...]


class JobMissed(NamedTuple):
    """A call is about to run, for no result could be used; sent only in runs that are explained.

    Attributes:
        call: The call.
        caller: The call that wrote it down; its arguments are without the calls they came from.
        caller_ran: Whether the caller ran, or was taken from the cache.
        order: Its place among the calls of the caller.
        miss: Why, as it is recorded with the job.
        made: The keys of all calls of this execution so far, those of this tick too.
    """

    call: WeighedCall
    caller: WeighedCall | None
    caller_ran: bool
    order: int | None
    miss: str | None
    made: Container[str]


class FilesRead(NamedTuple):
    """Files are being read for their hashes: how many bytes of how many so far."""

    bytes_done: int
    bytes_total: int


class RunStopping(NamedTuple):
    """A Ctrl-C came: nothing new is started, and so many calls that run are waited for."""

    running: int

    @property
    def text(self) -> str:
        """What to tell people of it."""
        calls = "1 call" if self.running == 1 else f"{self.running:,} calls"
        return f"Stopping: waiting for {calls} to end. Press Ctrl-C again to stop now."


class Warned(NamedTuple):
    """Something that the user should know and that is no error."""

    message: str


Event = (
    ExecutionStarted
    | ExecutionEnded
    | JobsSubmitted
    | JobCached
    | JobDone
    | JobFailed
    | JobRetried
    | JobWaits
    | ResultUnstored
    | ResultNotKept
    | CacheEntryRefused
    | JobMissed
    | FilesRead
    | RunStopping
    | Warned
)
