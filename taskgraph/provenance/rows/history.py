"""What explanations need of the rows that they read: attributes, and questions for many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from taskgraph.provenance.rows.calls import CodeReader, KeyedJobRow
from taskgraph.provenance.rows.reader import Reader
from taskgraph.records import StoredResult


class PastCallRow(Protocol):
    """A call that was made earlier."""

    @property
    def call_hash(self) -> str:
        """Its identity."""
        ...

    @property
    def eval_hash(self) -> str:
        """The cache key."""
        ...

    @property
    def task_hash(self) -> str:
        """The task's code at that time."""
        ...

    @property
    def args_hash(self) -> str:
        """All arguments that count."""
        ...

    @property
    def value_hash(self) -> str:
        """What it gave."""
        ...

    @property
    def timestamp(self) -> datetime:
        """When it was computed."""
        ...

    @property
    def type(self) -> str:
        """The type of its result."""
        ...

    @property
    def format(self) -> str:
        """How its result is stored."""
        ...


class PastJobRow(KeyedJobRow, Protocol):
    """A job of the past: when it ended, and why it was not answered from the cache."""

    @property
    def end_time(self) -> datetime | None:
        """When it ended."""
        ...

    @property
    def miss(self) -> str | None:
        """Why it missed, as JSON; None where nothing was recorded of the call."""
        ...


class GiverRow(Protocol):
    """A call that an argument came from, and its job in the execution."""

    @property
    def position(self) -> int | None:
        """The argument's place."""
        ...

    @property
    def key(self) -> str | None:
        """The argument's parameter."""
        ...

    @property
    def task_name(self) -> str:
        """The task that gave it."""
        ...

    @property
    def job_id(self) -> str:
        """The job that gave it."""
        ...

    @property
    def cached(self) -> bool:
        """Whether that one came from the cache."""
        ...


class HistoryReader(Reader, CodeReader, Protocol):
    """What explanations ask of the archive; each answer is bounded, or as large as the question."""

    def task_versions(self, fullname: str, limit: int) -> Sequence[str]:
        """Return the hashes of a task's code, that of the newest call first."""
        ...

    def calls_by_key(self, eval_hashes: Sequence[str], before: datetime) -> Sequence[PastCallRow]:
        """Return the calls of cache keys that were made before a time, newest first."""
        ...

    def newest_calls(
        self, task_hashes: Sequence[str], before: datetime, limit: int
    ) -> Sequence[PastCallRow]:
        """Return the newest calls of versions of a task that were made before a time."""
        ...

    def calls_at(self, places: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], PastCallRow]:
        """Return the child calls at a position in the order of their callers."""
        ...

    def orders_in(self, edges: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
        """Return at which position of a call a child call stands first."""
        ...

    def calls_made_in(self, execution_id: str, call_hashes: Sequence[str]) -> set[str]:
        """Return those of some calls that an execution made or reused."""
        ...

    def givers_of(
        self, call_hashes: Sequence[str], execution_id: str, limit: int
    ) -> Mapping[str, Sequence[GiverRow]]:
        """Return the calls of an execution that the arguments of calls came from."""
        ...

    def sources_of(self, task_hashes: Sequence[str]) -> Mapping[str, str]:
        """Return the text of the functions of tasks."""
        ...

    def trusted_values(
        self, value_hashes: Sequence[str], most_bytes: int
    ) -> Mapping[str, StoredResult]:
        """Return the stored form of values that may be decoded."""
        ...

    def started(self, execution_id: str) -> datetime | None:
        """Return when the first job of an execution started."""
        ...

    def past_jobs(self, job_ids: Sequence[str]) -> Mapping[str, PastJobRow]:
        """Return jobs by their ids."""
        ...

    def missed_jobs(
        self, execution_id: str, limit: int, task_name: str | None = None
    ) -> Sequence[PastJobRow]:
        """Return the first jobs of an execution that ran."""
        ...

    def missed_below(self, job_id: str, limit: int) -> Sequence[PastJobRow]:
        """Return the first jobs below a job that ran."""
        ...

    def newest_job(self, task_name: str, limit: int) -> PastJobRow | None:
        """Return the newest job of a task."""
        ...

    def jobs_that_ran(self, eval_hash: str, until: datetime) -> PastJobRow | None:
        """Return the newest job that ran a call of a cache key."""
        ...
