"""What happened, in the past tense: told to observers, never decided by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from taskgraph.records import ExecutionId, JobId, State


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
    """Calls were handed to an executor, one entry of ``tasks`` (full names) for each."""

    tasks: tuple[str, ...]


class JobCached(NamedTuple):
    """A call's result was taken from the cache or from an equal call of this execution."""

    job_id: JobId
    task: str


class JobDone(NamedTuple):
    """A call that ran has its final value; ``seconds`` is the time in its own function."""

    job_id: JobId
    task: str
    seconds: float


class JobFailed(NamedTuple):
    """A call raised, or one that it needed did."""

    job_id: JobId
    task: str
    error: str


class ResultUnstored(NamedTuple):
    """A result could not be stored: it was used, and its job recorded as uncached."""

    job_id: JobId
    task: str
    reason: str


class CacheEntryRefused(NamedTuple):
    """A cached result was found and not used, because it is damaged or no longer valid."""

    task: str
    reason: str


class FilesRead(NamedTuple):
    """Files are being read for their hashes: how many bytes of how many so far."""

    bytes_done: int
    bytes_total: int


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
    | ResultUnstored
    | CacheEntryRefused
    | FilesRead
    | Warned
)
