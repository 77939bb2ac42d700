"""What explanations and comparisons both need of calls: jobs, arguments and code, by hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from taskgraph.provenance.rows.recorded import ValueRow


class PlacedJobRow(Protocol):
    """A job at its place in an execution, with the hashes that tell what was called."""

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
    def call_hash(self) -> str | None:
        """Its call, once it ended."""
        ...

    @property
    def args_hash(self) -> str | None:
        """All arguments that count, once it ended."""
        ...

    @property
    def start_time(self) -> datetime:
        """When it began."""
        ...


class KeyedJobRow(PlacedJobRow, Protocol):
    """A job with the code and the key of its call."""

    @property
    def execution_id(self) -> str:
        """The run that it belongs to."""
        ...

    @property
    def task_hash(self) -> str:
        """The task's code."""
        ...

    @property
    def eval_hash(self) -> str | None:
        """The cache key; None if an argument has no hash."""
        ...

    @property
    def cached(self) -> bool:
        """Whether its result came from the cache."""
        ...

    @property
    def state(self) -> str:
        """COMPLETED, FAILED and so on."""
        ...


class GivenRow(Protocol):
    """An argument by the hash of its value."""

    @property
    def position(self) -> int | None:
        """Its place, or None for an item of ``**kwargs``."""
        ...

    @property
    def key(self) -> str | None:
        """Its parameter, or None for an item of ``*args``."""
        ...

    @property
    def value_hash(self) -> str:
        """Its value."""
        ...


class PartRow(Protocol):
    """A part of a task's code."""

    @property
    def part_hash(self) -> str:
        """Over kind, name and content."""
        ...

    @property
    def kind(self) -> str:
        """What it is: a function, a constant."""
        ...

    @property
    def name(self) -> str:
        """What it is called."""
        ...


class CodeReader(Protocol):
    """What is asked of calls and of the code that they ran, many at once."""

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
