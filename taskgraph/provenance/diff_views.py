"""What `compare` tells of two executions: the names of the fields are the keys of ``--json``.

They change only with a line in the changelog. What is shown of each kind is bounded and says how
much it left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from taskgraph.provenance.explain import Change
from taskgraph.provenance.views import ExecutionView

T = TypeVar("T")


class Ingredient(StrEnum):
    """What of a call is not as it was, the most telling first."""

    CODE = "code"
    FILE = "file"
    ARGUMENT = "argument"
    CONTEXT = "context"
    STATE = "state"
    ENVIRONMENT = "environment"
    RESULT = "result"
    CHILDREN = "children"


@dataclass(frozen=True, slots=True)
class Some(Generic[T]):
    """The first of many: ``shown`` and how many more there are."""

    shown: tuple[T, ...]
    left_out: int

    @classmethod
    def of(cls, every: Sequence[T], most: int) -> Some[T]:
        """Take the first ones."""
        return cls(tuple(every[:most]), max(0, len(every) - most))


@dataclass(frozen=True, slots=True)
class DiffCall:
    """A call that is only in one of the executions; ``arguments`` are names and previews."""

    job_id: str
    call_hash: str | None
    task: str
    status: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DiffArgument:
    """An argument that is not as it was.

    Attributes:
        name: Its parameter, or ``*2``.
        old: What it was, as a preview; None if it was not given.
        new: What it is.
        is_file: Whether it is the same file with another content.
        given_by: The task of a call that is not as it was, and that it came from.
    """

    name: str
    old: str | None
    new: str | None
    is_file: bool
    given_by: str | None


@dataclass(frozen=True, slots=True)
class DiffChange:
    """A call that is in both executions and not the same.

    Attributes:
        task: Its task.
        old_job: Its job in the old execution.
        new_job: Its job in the new one.
        ingredients: What is not the same, the most telling first.
        arguments: The arguments that are not.
        contexts: Places in the context that it read and that are not.
        old_status: What became of it.
        new_status: What became of it in the new execution.
        old_result: What it gave, as a preview.
        new_result: What it gives.
    """

    task: str
    old_job: str
    new_job: str
    ingredients: tuple[Ingredient, ...]
    arguments: tuple[DiffArgument, ...]
    contexts: tuple[str, ...]
    old_status: str
    new_status: str
    old_result: str | None
    new_result: str | None


@dataclass(frozen=True, slots=True)
class DiffCode:
    """A task whose code is not the same, and how many calls that are paired ran it."""

    task: str
    old_hash: str
    new_hash: str
    calls: int
    changes: tuple[Change, ...]
    changes_left_out: int


@dataclass(frozen=True, slots=True)
class DiffTask:
    """How many calls of a task are the same, changed, new and gone."""

    task: str
    same: int
    changed: int
    new: int
    gone: int


@dataclass(frozen=True, slots=True)
class ExecutionsDiff:
    """What is not the same in two executions.

    Attributes:
        old: One execution.
        new: The other.
        is_environment_changed: Whether Python, machine, distributions or commit are not the same;
            None if that is not recorded of both.
        same: How many calls are the same.
        changed: How many are in both, and not the same.
        added: How many are only in the new one.
        gone: How many are only in the old one.
        reused: How many are in one only, because the other took the call above as a whole.
        by: How many changed calls have which ingredient; a call may have several.
        tasks: The numbers by task.
        codes: Tasks with other code.
        changes: Calls that changed.
        added_calls: Calls that are new.
        gone_calls: Calls that are gone.
    """

    old: ExecutionView
    new: ExecutionView
    is_environment_changed: bool | None
    same: int
    changed: int
    added: int
    gone: int
    reused: int
    by: Mapping[str, int]
    tasks: Some[DiffTask]
    codes: Some[DiffCode]
    changes: Some[DiffChange]
    added_calls: Some[DiffCall]
    gone_calls: Some[DiffCall]

    @property
    def is_same(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.changed or self.added or self.gone)


__all__ = [
    "DiffArgument",
    "DiffCall",
    "DiffChange",
    "DiffCode",
    "DiffTask",
    "ExecutionsDiff",
    "Ingredient",
    "Some",
]
