"""What is asked of records, and is not there, or not clear."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError
from taskgraph.errors.database import without_password


class ClosedArchiveError(TaskgraphError):
    """An archive was asked after it was closed."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.uri = uri

    def __str__(self) -> str:
        shown = without_password(self.uri)
        return f"The archive of {shown} was closed. Open it again with taskgraph.open(...)."


class UnknownRecordError(TaskgraphError, LookupError):
    """No record has this id, id prefix or path."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def __str__(self) -> str:
        return (
            f"Nothing is recorded under {self.wanted!r}: no id starts so, and no file of this "
            "path was read or written. `taskgraph log` lists what there is."
        )


class NoCallError(UnknownRecordError):
    """A record was to be explained that no call is behind: a value from outside, unused code."""

    def __str__(self) -> str:
        return (
            f"No recorded call is behind {self.wanted!r}, so there is nothing to explain. "
            f"`taskgraph log {self.wanted}` shows what is known of it."
        )


class AmbiguousIdError(TaskgraphError, LookupError):
    """An id prefix stands for more than one record.

    Attributes:
        prefix: What was asked for.
        matches: What it stands for.
        advice: What to do.
    """

    def __init__(self, prefix: str, matches: Sequence[str], advice: str = "add digits") -> None:
        super().__init__(prefix, tuple(matches), advice)
        self.prefix = prefix
        self.matches = tuple(matches)
        self.advice = advice

    def __str__(self) -> str:
        listed = ", ".join(self.matches)
        return f"{self.prefix!r} stands for several records ({listed}): {self.advice}."


class TagKeyError(TaskgraphError, ValueError):
    """The key of a tag cannot be written."""

    def __init__(self, key: object, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.key!r} cannot be the key of a tag: {self.reason}. Choose another one."


class UnknownTagError(TaskgraphError, LookupError):
    """A record has no current tag of this key, or not with this value."""

    def __init__(self, entity_id: str, tag: str) -> None:
        super().__init__(entity_id, tag)
        self.entity_id = entity_id
        self.tag = tag

    def __str__(self) -> str:
        start = self.entity_id[:8]
        return (
            f"{start} has no tag {self.tag}. `taskgraph tag list {start}` shows what it has, "
            f"`taskgraph tag add {start} KEY=VALUE` adds one."
        )


class NothingToCompareError(TaskgraphError, LookupError):
    """There is no earlier execution of the same task to compare one with."""

    def __init__(self, execution_id: str | None, task: str | None) -> None:
        super().__init__(execution_id, task)
        self.execution_id = execution_id
        self.task = task

    def __str__(self) -> str:
        if self.execution_id is None:
            return "Nothing was run yet, so there is nothing to compare."
        return (
            f"Before execution {self.execution_id[:8]} there was no other one of "
            f"{self.task or 'its task'} to compare it with. Name two: taskgraph diff OLD NEW."
        )


class OutputNotFoundError(TaskgraphError, LookupError):
    """A job printed nothing, or what it printed is not kept here."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"There is no output of {self.what}: {self.reason}"


class FilterError(TaskgraphError, ValueError):
    """Records are asked for in a way that cannot be understood."""

    def __init__(self, what: str, given: str, reason: str) -> None:
        super().__init__(what, given, reason)
        self.what = what
        self.given = given
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} {self.given!r}: {self.reason}"


class ExplanationError(TaskgraphError):
    """Something cannot be explained, or not from these records."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} cannot be explained: {self.reason}"


class LineageError(TaskgraphError):
    """What is asked about has no value whose lineage could be told."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"There is no lineage of {self.what}: {self.reason}"


class GraphvizError(TaskgraphError):
    """A picture was wanted, and Graphviz could not draw it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Graphviz cannot draw the picture: {self.reason}. Install it (apt install graphviz, "
            "brew install graphviz), or write another format: text, json, dot or mermaid."
        )
