"""What this room needs of the rows that it reads: attributes and nothing else.

The archive's rows have these, and so does whatever a test makes of plain objects. No row is asked
for a value's bytes: looking never unpickles.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


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
    def children(self) -> Sequence[ValueRow]:
        """The recorded values inside of it."""
        ...

    @property
    def parents(self) -> Sequence[ValueRow]:
        """The values that it lies inside of."""
        ...

    @property
    def results(self) -> Sequence[CallRow]:
        """The calls that gave it."""
        ...

    @property
    def arguments(self) -> Sequence[ArgumentRow]:
        """Where it was an argument."""
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
    def jobs(self) -> Sequence[JobRow]:
        """The jobs that ran it or took it from the cache."""
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

    @property
    def upstream(self) -> Sequence[CallRow]:
        """The calls that it came from."""
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
    def children(self) -> Sequence[CallRow]:
        """The calls that it made, in order."""
        ...

    @property
    def parents(self) -> Sequence[CallRow]:
        """The calls that made it."""
        ...

    @property
    def jobs(self) -> Sequence[JobRow]:
        """The jobs that it stands for, oldest first."""
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
    def state_time(self) -> datetime:
        """When it came into its state."""
        ...

    @property
    def job(self) -> JobRow | None:
        """The job of the root expression."""
        ...
