"""Why a call ran, or did not: the answer as data, made from records and drawn elsewhere.

The names of the fields are the keys of ``--json`` and change only with a line in the changelog.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What became of a call: its result was taken from the cache, or its function ran."""

    HIT = "hit"
    MISS = "miss"


class ChangeKind(StrEnum):
    """What can make a call run."""

    # Its code, part by part.
    VERSION = "version"
    FUNCTION = "function"
    CLASS = "class"
    CODE = "code"
    CONSTANT = "constant"
    DEFAULT = "default"
    CLOSURE = "closure"
    NAME = "name"
    TASK = "task"
    OUTSIDE = "outside"
    PACKAGE = "package"
    TOOL = "tool"
    INCLUDE = "include"
    OPTION = "option"
    UNFOLLOWED = "unfollowed"
    PART = "part"  # of a kind that this version does not know; the detail names it
    # What it is given.
    FILE = "file"
    ARGUMENT = "argument"
    CONTEXT = "context"
    # What is recorded cannot be used.
    OUTPUT = "output"
    AGE = "age"
    DAMAGED = "damaged"
    UNPLANTED = "unplanted"
    REFUTED = "refuted"
    REFUSED = "refused"
    UNTRUSTED = "untrusted"
    RETRACTED = "retracted"
    FAILED = "failed"
    UNSTORED = "unstored"
    EVICTED = "evicted"
    NOT_KEPT = "not_kept"
    # The cache was not asked, or has nothing.
    SCOPE = "scope"
    STEPPED = "stepped"
    NEW = "new"
    CHILD = "child"
    UNNAMED = "unnamed"


#: Kinds that belong to the code, in the order in which they are told.
CODE_KINDS: Final = tuple(ChangeKind)[: tuple(ChangeKind).index(ChangeKind.PART) + 1]


@dataclass(frozen=True, slots=True)
class Cause:
    """Another call behind a change.

    Attributes:
        relation: ``gave`` for a call that an argument came from, ``called`` for the one that wrote
            this call down, ``below`` for one that ran below it.
        task: Its task.
        job_id: Its job in the same execution.
        ran: Whether it ran there, or was taken from the cache.
    """

    relation: str
    task: str
    job_id: str
    ran: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was at the earlier call.

    Attributes:
        kind: What kind of thing.
        name: The parameter, the function or constant, the package, the file.
        path: Of an argument, the place inside of it: ``config.layers[2].width``.
        old: What it was, as a preview; None if it was not there.
        new: What it is; None if it is not there any more.
        detail: More of it in words.
        diff: Of code, a unified diff of its text.
        causes: The calls that it came from.
        follows: Whether it is a part of the code that only came or went because another changed.
    """

    kind: ChangeKind
    name: str
    path: str = ""
    old: str | None = None
    new: str | None = None
    detail: str = ""
    diff: str = ""
    causes: tuple[Cause, ...] = ()
    follows: bool = False

    @property
    def is_caused(self) -> bool:
        """Whether it follows from another call that ran in the same execution."""
        return any(cause.ran for cause in self.causes)

    @property
    def is_own(self) -> bool:
        """Whether it follows from nothing else that is known here."""
        return not self.follows and not self.is_caused


@dataclass(frozen=True, slots=True)
class EarlierCall:
    """The call that is compared with."""

    call_hash: str
    task_hash: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ExplainedJob:
    """The job that is explained."""

    id: str
    execution_id: str
    state: str
    started: datetime
    seconds: float | None


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The job that ran a call whose result was reused, and the code that it ran."""

    job_id: str
    execution_id: str
    started: datetime
    seconds: float | None
    task_hash: str
    source: str


class Told:
    """What can be told in one sentence: its ``str``."""

    __slots__ = ()

    def __str__(self) -> str:
        from taskgraph.provenance.explain_words import headline

        assert isinstance(self, Explanation | ExecutionExplanation | CodeExplanation)
        return headline(self)


@dataclass(frozen=True, slots=True)
class Explanation(Told):
    """Why a call ran, or did not.

    Attributes:
        task: Full name of the task.
        task_hash: Its code.
        verdict: Whether its result came from the cache.
        arguments: Names and previews.
        job: The job; None for a call that was only asked about.
        against: The nearest earlier call; None if there is none.
        changes: What differs, the most telling first. Of a hit, calls below it that ran.
        is_cut: Whether there are more changes than these.
        made_by: Of a hit, the job that ran.
        earlier: Of a hit that is a result of earlier code, who says that it counts: ``compat`` for
            the task itself, ``bless`` for people.
    """

    task: str
    task_hash: str
    verdict: Verdict
    arguments: tuple[tuple[str, str], ...] = ()
    job: ExplainedJob | None = None
    against: EarlierCall | None = None
    changes: tuple[Change, ...] = ()
    is_cut: bool = False
    made_by: MadeBy | None = None
    earlier: str | None = None

    @property
    def is_root(self) -> bool:
        """Whether it ran for a reason of its own, not only because of another call that ran."""
        return self.verdict is Verdict.MISS and any(each.is_own for each in self.changes)


@dataclass(frozen=True, slots=True)
class TaskRuns:
    """How many calls of a task ran, and the first of their jobs."""

    task: str
    count: int
    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootCause:
    """Changes with the calls that ran because of them.

    Attributes:
        changes: The changes that these calls have in common, as they were at the first of them.
        tasks: The calls that they made run.
        followed: The calls that ran because one of those gave or called something else.
    """

    changes: tuple[Change, ...]
    tasks: tuple[TaskRuns, ...]
    followed: tuple[TaskRuns, ...]

    @property
    def change(self) -> Change:
        """The most telling one of the changes."""
        return self.changes[0]


@dataclass(frozen=True, slots=True)
class ExecutionExplanation(Told):
    """Why calls of an execution ran.

    Attributes:
        execution_id: The execution.
        task: What it ran: the task of its root job, or what it was to run.
        ran: How many calls ran.
        cached: How many did not.
        explained: How many of those that ran are explained here, in the order of their start.
        causes: What made them run, that with the most calls first.
        status: Its status.
        message: What there is to say of that.
    """

    execution_id: str
    task: str | None
    ran: int
    cached: int
    explained: int
    causes: tuple[RootCause, ...]
    status: str = "DONE"
    message: str | None = None


@dataclass(frozen=True, slots=True)
class CodePart:
    """A part of what counts of a task's code."""

    kind: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class CodeExplanation(Told):
    """All that counts of a task's code, and what of it cannot be followed."""

    task: str
    task_hash: str
    source: str
    parts: tuple[CodePart, ...]
    unfollowed: tuple[CodePart, ...]


AnyExplanation = Explanation | ExecutionExplanation | CodeExplanation

__all__ = [
    "CODE_KINDS",
    "AnyExplanation",
    "Cause",
    "Change",
    "ChangeKind",
    "CodeExplanation",
    "CodePart",
    "EarlierCall",
    "ExecutionExplanation",
    "ExplainedJob",
    "Explanation",
    "MadeBy",
    "RootCause",
    "TaskRuns",
    "Verdict",
]
