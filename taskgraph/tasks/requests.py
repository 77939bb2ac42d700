"""What a scheduler task may yield besides expressions: something that the engine is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from taskgraph.expression import QuotedExpression
from taskgraph.hashing import CallHash, TaskHash
from taskgraph.tags import OwnTags, Tags, checked_tags

T = TypeVar("T")


class Request:
    """Something that a scheduler task asks the engine for; what it is sent is the answer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AddTags(Request):
    """Asks for tags; the answer is None.

    Attributes:
        value: What ``tags`` are put on.
        tags: Tags of the value.
        job_tags: Tags of the job that called the scheduler task; its own if it is the root.
        execution_tags: Tags of the execution.
    """

    value: Any
    tags: Tags = ()
    job_tags: Tags = ()
    execution_tags: Tags = ()


@dataclass(frozen=True, slots=True)
class ReadContext(Request):
    """Asks for a value of the context; the answer is that value, or ABSENT.

    Attributes:
        path: Where it is, as ``"reference.genome"``.
    """

    path: str


@dataclass(frozen=True, slots=True, eq=False)
class Forked(Generic[T]):
    """Calls that go on beside those that began them; a value that may be passed on and joined.

    Attributes:
        expr: Any nested value of expressions, quoted.
    """

    expr: QuotedExpression[T]


@dataclass(frozen=True, slots=True)
class Fork(Request):
    """Asks for calls to begin, and not to be waited for; the answer is None."""

    forked: Forked[Any]


@dataclass(frozen=True, slots=True)
class Join(Request):
    """Asks that what is evaluated next are the calls that were forked; the answer is None."""

    forked: Forked[Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a scheduler task stands.

    Attributes:
        context: What is read there by path.
        exported: The options that calls below it are handed.
        is_recorded: Whether anything of it is written down.
        run_options: Those of all calls of the run.
        use_cache: Whether results of earlier executions may be used in the run.
        fail_fast: Whether nothing new is started in the run once something has failed.
    """

    context: Mapping[str, Any]
    exported: Mapping[str, Any]
    is_recorded: bool
    run_options: Mapping[str, Any]
    use_cache: bool
    fail_fast: bool


@dataclass(frozen=True, slots=True)
class AskStanding(Request):
    """Asks where a scheduler task stands; the answer is a `Standing`."""


@dataclass(frozen=True, slots=True)
class Made:
    """A call that another scheduler made and recorded.

    Attributes:
        job_id: Its job.
        call_hash: The call; None if it is in another database.
        is_cached: Whether nothing ran for it.
        subtree: The hashes of the tasks in it and below.
        reads: What was read of the context in it and below.
    """

    job_id: str
    call_hash: CallHash | None
    is_cached: bool
    subtree: frozenset[TaskHash]
    reads: frozenset[str]


@dataclass(frozen=True, slots=True)
class AddMade(Request):
    """Asks that a call be one of those below a scheduler task; the answer is None."""

    made: Made


def read_tags(value: Any) -> Tags:
    """Read tags: pairs of a key and a JSON value, or a dict.

    Raises:
        ValueError: They are neither, a key is none or taskgraph's own, or a value is not JSON.
    """
    if isinstance(value, OwnTags):
        return value
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        tags = [(key, each) for key, each in pairs]
    except (TypeError, ValueError):
        raise ValueError(f"must be pairs of a key and a value, or a dict; not {value!r}") from None
    return checked_tags(tags)
