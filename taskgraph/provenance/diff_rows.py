"""What a comparison of executions needs of the rows that it reads: attributes, and questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from taskgraph.provenance.explain_rows import GivenRow, PartRow
from taskgraph.provenance.rows import ValueRow


class DiffJobRow(Protocol):
    """A job of one of the executions."""

    @property
    def execution_id(self) -> str:
        """The run that it belongs to."""
        ...

    @property
    def id(self) -> str:
        """Its identity."""
        ...

    @property
    def parent_id(self) -> str | None:
        """The job whose task made this call."""
        ...

    @property
    def task_name(self) -> str:
        """The full name of its task."""
        ...

    @property
    def task_hash(self) -> str:
        """The task's code."""
        ...

    @property
    def eval_hash(self) -> str | None:
        """The cache key."""
        ...

    @property
    def call_hash(self) -> str | None:
        """Its call, once it ended."""
        ...

    @property
    def args_hash(self) -> str | None:
        """All arguments that count, once it ended."""
        ...

    @property
    def value_hash(self) -> str | None:
        """What it gave."""
        ...

    @property
    def cached(self) -> bool:
        """Whether its result came from the cache."""
        ...

    @property
    def state(self) -> str:
        """COMPLETED, FAILED and so on."""
        ...

    @property
    def start_time(self) -> datetime:
        """When it began."""
        ...


class DiffArgumentRow(Protocol):
    """An argument by the hash of its value, with the file that it stands for."""

    @property
    def call_hash(self) -> str:
        """The call."""
        ...

    @property
    def position(self) -> int | None:
        """Its place."""
        ...

    @property
    def key(self) -> str | None:
        """Its parameter."""
        ...

    @property
    def value_hash(self) -> str:
        """Its value."""
        ...

    @property
    def root(self) -> str | None:
        """The root of the file's path."""
        ...

    @property
    def path(self) -> str | None:
        """The file's path."""
        ...

    @property
    def giver(self) -> str | None:
        """A call that it came from."""
        ...


class DiffReader(Protocol):
    """What a comparison asks of the archive: each question is one statement."""

    def compared_jobs(self, old: str, new: str) -> Sequence[DiffJobRow]:
        """Return all jobs of two executions, by start."""
        ...

    def compared_arguments(self, old: str, new: str) -> Sequence[DiffArgumentRow]:
        """Return the arguments of calls that one of them made more often."""
        ...

    def compared_edges(self, old: str, new: str) -> Sequence[tuple[str, str, int]]:
        """Return the child calls of such calls, in order."""
        ...

    def compared_contexts(self, old: str, new: str) -> Sequence[tuple[str, str, str]]:
        """Return what such calls read of their context."""
        ...

    def arguments_of(self, call_hashes: Sequence[str]) -> Mapping[str, Sequence[GivenRow]]:
        """Return the arguments of calls."""
        ...

    def parts_of(self, task_hashes: Sequence[str]) -> Mapping[str, Sequence[PartRow]]:
        """Return the parts of the code of tasks."""
        ...

    def texts_of_parts(self, part_hashes: Sequence[str]) -> Mapping[str, str]:
        """Return the text or preview of parts."""
        ...

    def values_of(self, value_hashes: Sequence[str]) -> Mapping[str, ValueRow]:
        """Return values, without their bytes."""
        ...
