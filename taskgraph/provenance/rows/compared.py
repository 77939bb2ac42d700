"""What a comparison of executions needs of the rows that it reads: attributes, and questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskgraph.provenance.rows.calls import CodeReader, GivenRow, KeyedJobRow


class DiffJobRow(KeyedJobRow, Protocol):
    """A job of one of the executions."""

    @property
    def value_hash(self) -> str | None:
        """What it gave."""
        ...


class DiffArgumentRow(GivenRow, Protocol):
    """An argument by the hash of its value, with the file that it stands for."""

    @property
    def call_hash(self) -> str:
        """The call."""
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


class DiffReader(CodeReader, Protocol):
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
