"""Records that move, and whom to trust."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError
from taskgraph.errors.database import without_password


class InvalidRecordError(TaskgraphError, ValueError):
    """A record from elsewhere is not what it says that it is; nothing was written."""

    def __init__(
        self,
        reason: str,
        *,
        kind: str = "",
        record_id: str = "",
        source: str = "",
        line: int = 0,
        advice: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.record_id = record_id
        self.source = source
        self.line = line
        self.advice = advice

    def __str__(self) -> str:
        where = (
            f"{self.source}, line {self.line}: "
            if self.line
            else self.source and (f"{self.source}: ")
        )
        which = f"{self.kind} {self.record_id}".strip()
        advice = self.advice or "Export it again where it came from, or ask who made it."
        what = f"{which}: {self.reason}" if which else self.reason
        return f"{where}{what}. Nothing was written. {advice}"


class RecordVersionError(InvalidRecordError):
    """Records were written by a newer version of the library."""


class MissingRecordError(InvalidRecordError):
    """Records name others that are neither among them nor in the database."""


class UntrustedRecordError(TaskgraphError):
    """Something was asked of a record from elsewhere that only a trusted one may do."""

    def __init__(
        self, record_id: str, origin: str, reason: str = "what it says would be run here"
    ) -> None:
        super().__init__(record_id, origin, reason)
        self.record_id = record_id
        self.origin = origin
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.record_id[:8]} came from {self.origin} and is not trusted: {self.reason}. "
            f"Look at it with `taskgraph log {self.record_id[:8]}`, then say "
            f"`taskgraph trust {self.record_id[:8]}`."
        )


class RecordFileError(TaskgraphError, LookupError):
    """There is no file of records under this name."""

    def __init__(self, name: str, reason: str = "there is no such file") -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Nothing can be imported from {self.name!r}: {self.reason}. Name a file that "
            "`taskgraph export` wrote, or - for standard input."
        )


class UnknownRepoError(TaskgraphError, LookupError):
    """There is no repo of this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name, tuple(known))
        self.name = name
        self.known = tuple(known)

    def __str__(self) -> str:
        known = f"There are: {', '.join(self.known)}." if self.known else "There are none yet."
        return f"There is no repo {self.name!r}. {known} Add one: taskgraph repo add NAME PLACE"


class UnknownOriginError(TaskgraphError, LookupError):
    """Nothing that is not trusted came from this place."""

    def __init__(self, origin: str, known: Sequence[str]) -> None:
        super().__init__(origin, tuple(known))
        self.origin = origin
        self.known = tuple(known)

    def __str__(self) -> str:
        if not self.known:
            return f"Nothing came from {self.origin!r}: all that is recorded here is trusted."
        return (
            f"Nothing that is not trusted came from {self.origin!r}. What is not trusted came "
            f"from: {', '.join(self.known)}. How much: taskgraph trust --list"
        )


class RepoExistsError(TaskgraphError):
    """There is a repo of this name already, at another place."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name, place)
        self.name = name
        self.place = place

    def __str__(self) -> str:
        return (
            f"Repo {self.name!r} is {without_password(self.place)} already. Choose another name, "
            f"or take that one away first: taskgraph repo remove {self.name}"
        )
