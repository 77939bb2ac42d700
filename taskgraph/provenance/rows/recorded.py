"""What this room needs of the rows that it reads: attributes and nothing else.

The archive's rows have these, and so does whatever a test makes of plain objects. No row is asked
for a value's bytes: looking never unpickles.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol


class TagRow(Protocol):
    """A key and a JSON value."""

    @property
    def key(self) -> str:
        """What it is found by."""
        ...

    @property
    def value(self) -> Any:
        """What it says: JSON."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether no other one took its place."""
        ...


class FileRow(Protocol):
    """What a File stands for."""

    @property
    def value_hash(self) -> str:
        """The value that is the file."""
        ...

    @property
    def root(self) -> str:
        """The name of the root that the path is below."""
        ...

    @property
    def path(self) -> str:
        """The path below its root."""
        ...

    @property
    def content_hash(self) -> str:
        """What was seen there."""
        ...

    @property
    def size(self) -> int:
        """Its length in bytes."""
        ...

    @property
    def value(self) -> ValueRow:
        """The value that is the file."""
        ...


class ValueRow(Protocol):
    """A stored value."""

    @property
    def value_hash(self) -> str:
        """Its identity."""
        ...

    @property
    def type(self) -> str:
        """The name of its type."""
        ...

    @property
    def size(self) -> int:
        """The length of its stored bytes."""
        ...

    @property
    def preview(self) -> str:
        """A short text made when it was recorded."""
        ...

    @property
    def file(self) -> FileRow | None:
        """The file that it stands for."""
        ...

    @property
    def value_parsed(self) -> Any:
        """The value itself, or what stands for one that may not be loaded."""
        ...

    @property
    def tags(self) -> Sequence[TagRow]:
        """What it was tagged with, by key."""
        ...


class TaskRow(Protocol):
    """A task's code at one time."""

    @property
    def hash(self) -> str:
        """Its identity."""
        ...

    @property
    def fullname(self) -> str:
        """Namespace and name."""
        ...

    @property
    def source(self) -> str:
        """The text of its function."""
        ...

    @property
    def tags(self) -> Sequence[TagRow]:
        """What it was tagged with, by key."""
        ...


class ArgumentRow(Protocol):
    """An argument of a call."""

    @property
    def arg_key(self) -> str | None:
        """Its parameter, or None for an item of ``*args``."""
        ...

    @property
    def arg_position(self) -> int | None:
        """Its place, or None for an item of ``**kwargs``."""
        ...

    @property
    def value(self) -> ValueRow:
        """What was given."""
        ...

    @property
    def call_node(self) -> CallRow:
        """The call that it was given to."""
        ...


class CallRow(Protocol):
    """That a task on these arguments gave this result."""

    @property
    def call_hash(self) -> str:
        """Its identity."""
        ...

    @property
    def eval_hash(self) -> str:
        """The cache key."""
        ...

    @property
    def task_name(self) -> str:
        """The full name of the task."""
        ...

    @property
    def task_hash(self) -> str:
        """The task's code at that time."""
        ...

    @property
    def retracted(self) -> bool:
        """Whether its result is not to be used."""
        ...

    @property
    def timestamp(self) -> datetime:
        """When it was computed."""
        ...

    @property
    def task(self) -> TaskRow:
        """The task."""
        ...

    @property
    def value(self) -> ValueRow:
        """What it gave."""
        ...

    @property
    def arguments(self) -> Sequence[ArgumentRow]:
        """What it was given, in the order of the signature."""
        ...

    @property
    def tags(self) -> Sequence[TagRow]:
        """What it was tagged with, by key."""
        ...


class JobRow(Protocol):
    """One attempt to reduce a call within an execution."""

    @property
    def id(self) -> str:
        """Its identity."""
        ...

    @property
    def execution_id(self) -> str:
        """The run that it belongs to."""
        ...

    @property
    def parent_id(self) -> str | None:
        """The job whose task made this call."""
        ...

    @property
    def queue(self) -> str | None:
        """The queue that was named for it, if any was."""
        ...

    @property
    def status(self) -> str:
        """RUNNING, FAILED, CACHED, DONE, PENDING or CANCELLED."""
        ...

    @property
    def start_time(self) -> datetime:
        """When it began."""
        ...

    @property
    def end_time(self) -> datetime | None:
        """When it ended."""
        ...

    @property
    def task(self) -> TaskRow:
        """The task that was called."""
        ...

    @property
    def call_node(self) -> CallRow | None:
        """What was computed, once it was."""
        ...

    @property
    def parent_job(self) -> JobRow | None:
        """The job whose task made this call."""
        ...

    @property
    def tags(self) -> Sequence[TagRow]:
        """What it was tagged with, by key."""
        ...


class ExecutionRow(Protocol):
    """One run."""

    @property
    def id(self) -> str:
        """Its identity."""
        ...

    @property
    def args(self) -> str:
        """The command line as a JSON list."""
        ...

    @property
    def status(self) -> str:
        """RUNNING, FAILED, DONE, PENDING or CANCELLED."""
        ...

    @property
    def retracted(self) -> bool:
        """Whether its results are not to be used."""
        ...

    @property
    def state_time(self) -> datetime:
        """When it came into its state."""
        ...

    @property
    def entrypoint(self) -> str:
        """What it was to run: the full name of a task or a workflow; "" where nobody said."""
        ...

    @property
    def message(self) -> str | None:
        """What there is to say of its state."""
        ...

    @property
    def environment(self) -> ValueRow | None:
        """What it ran on, as a value."""
        ...

    @property
    def tags(self) -> Sequence[TagRow]:
        """Its tags."""
        ...

    @property
    def job(self) -> JobRow | None:
        """The job of the root expression."""
        ...


class UpstreamRow(Protocol):
    """An argument of a call, with the calls that its value came from."""

    @property
    def argument(self) -> ArgumentRow:
        """The argument."""
        ...

    @property
    def calls(self) -> Sequence[CallRow]:
        """The calls, newest first."""
        ...


class SummaryRow(Protocol):
    """An execution in a list, with the number of its jobs by status."""

    @property
    def execution(self) -> ExecutionRow:
        """The execution."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs it has by status."""
        ...


class JobTreeRows(Protocol):
    """The jobs of an execution."""

    @property
    def jobs(self) -> Sequence[JobRow]:
        """The jobs, by start."""
        ...


class TaskTimeRow(Protocol):
    """How long the calls of one version of a task took in an execution."""

    @property
    def task(self) -> TaskRow:
        """The version."""
        ...

    @property
    def ran(self) -> int:
        """How many calls ran."""
        ...

    @property
    def cached(self) -> int:
        """How many were taken from the records."""
        ...

    @property
    def seconds(self) -> float:
        """How long those that ran took together."""
        ...

    @property
    def longest(self) -> float:
        """How long the longest took."""
        ...
