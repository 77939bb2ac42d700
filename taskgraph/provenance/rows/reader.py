"""What this room asks of the archive: each question is one statement, or a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from taskgraph.provenance.rows.flow import FlowReader
from taskgraph.provenance.rows.recorded import (
    CallRow,
    FileRow,
    JobRow,
    JobTreeRows,
    SummaryRow,
    TaskTimeRow,
    UpstreamRow,
)


class Reader(FlowReader, Protocol):
    """What is asked of the archive; each answer is bounded."""

    def executions(self, limit: int = 50, offset: int = 0) -> Sequence[SummaryRow]:
        """Return a page of the executions, newest first."""
        ...

    def job_counts(self, execution_id: str) -> dict[str, dict[str, int]]:
        """Return how many jobs of an execution are in which status, by task."""
        ...

    def job_tree(
        self, execution_id: str, *, arguments: bool = False, limit: int | None = None
    ) -> JobTreeRows:
        """Return jobs of an execution: those that failed, then those that started first."""
        ...

    def tagged(self, entity_type: str, entity_id: str) -> Any:
        """Return the row that a tag is on, or None; Any, for it may be of any table."""
        ...

    def find(self, text: str) -> Any:
        """Return the row that an id, a name or a path stands for; Any, for it may be of any table.

        Raises:
            UnknownRecordError: There is none.
            AmbiguousIdError: There are several.
        """
        ...

    def find_file(self, path: str | tuple[str, str]) -> tuple[Any, Any, str] | None:
        """Return the file of a root and path, a job, and ``result`` or ``arg``."""
        ...

    def upstream(self, call_node: Any) -> Sequence[UpstreamRow]:
        """Return the arguments of a call in order, and where each came from."""
        ...

    def makers(self, value_hash: str, limit: int) -> Sequence[CallRow]:
        """Return the calls that gave a value, newest first; else those that gave one holding it."""
        ...

    def giving_child(self, call_hash: str, value_hash: str) -> CallRow | None:
        """Return the child call that gave a value."""
        ...

    def children(self, call_hash: str, limit: int) -> Sequence[CallRow]:
        """Return the child calls in order, each once."""
        ...

    def parts(self, call_hash: str, value_hash: str, limit: int) -> Sequence[CallRow]:
        """Return the child calls whose results lie in a value; all children if none does."""
        ...

    def callers(self, call_hash: str, limit: int) -> Sequence[CallRow]:
        """Return the calls that a call is a child of."""
        ...

    def entry_of(self, value_hash: str) -> str | None:
        """Return where a value's bytes are, as it may be shown; None if they are in its row."""
        ...

    def users(self, value_hash: str, limit: int) -> tuple[Sequence[CallRow], int]:
        """Return the newest calls that had a value as an argument, and how many there are."""
        ...

    def files_in(self, value_hash: str, limit: int) -> Sequence[FileRow]:
        """Return the file that a value stands for, or those that lie in it."""
        ...

    def holds(self, value_hash: str, inner_hash: str) -> bool:
        """Tell whether a value is another one, or holds it."""
        ...

    def jobs_of_call(self, call_hash: str, limit: int) -> Sequence[JobRow]:
        """Return the jobs of a call: those that ran it first, newest first."""
        ...

    def jobs_of_task(self, task_hash: str, limit: int) -> Sequence[JobRow]:
        """Return the newest jobs of a task."""
        ...

    def task_times(self, execution_id: str, limit: int) -> Sequence[TaskTimeRow]:
        """Return the tasks of an execution, with those first that took longest."""
        ...

    def longest_jobs(self, execution_id: str, limit: int) -> Sequence[JobRow]:
        """Return the jobs of an execution that took longest, by their start."""
        ...

    def failed_jobs(self, execution_id: str, limit: int) -> Sequence[JobRow]:
        """Return the jobs of an execution that failed by themselves, by their start."""
        ...

    def files_given(self, execution_id: str, limit: int) -> Sequence[FileRow]:
        """Return the files that calls of an execution were given and no call of it made."""
        ...

    def files_made(self, execution_id: str, limit: int) -> Sequence[FileRow]:
        """Return the files that calls of an execution gave."""
        ...
