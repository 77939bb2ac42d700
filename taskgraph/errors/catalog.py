"""What is asked of executions, studies and their like, and cannot be done."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError
from taskgraph.errors.lookups import UnknownRecordError


class NotFoundError(UnknownRecordError):
    """Something that is managed is not there; the base of its kinds."""


class ExecutionNotFoundError(NotFoundError):
    """No execution has this id, id prefix or workspace."""

    def __str__(self) -> str:
        return (
            f"There is no execution {self.wanted!r}: no id starts so, and it is the workspace of "
            "none. `taskgraph execution list` shows what there is."
        )


class StudyNotFoundError(NotFoundError):
    """No study has this name, id or id prefix."""

    def __str__(self) -> str:
        return f"There is no study {self.wanted!r}. `taskgraph study list` shows what there is."


class RetractionNotFoundError(NotFoundError):
    """No retraction has this id or id prefix."""

    def __str__(self) -> str:
        return (
            f"There is no retraction {self.wanted!r}. `taskgraph retractions --all` shows what "
            "there is and was."
        )


class ConflictError(TaskgraphError):
    """Something that is there stands in the way; the base of its kinds."""


class IdempotencyConflictError(ConflictError):
    """A key was used before, for another request."""

    def __init__(self, key: str, execution_id: str) -> None:
        super().__init__(key, execution_id)
        self.key = key
        self.execution_id = execution_id

    def __str__(self) -> str:
        return (
            f"The idempotency key {self.key!r} was used for another request, which is execution "
            f"{self.execution_id[:8]}. Take another key, or ask for the same thing again."
        )


class AlreadySubmittedError(ConflictError):
    """A run was asked for under a key that an execution has: it runs, or has run."""

    def __init__(self, key: str, execution_id: str, state: str = "") -> None:
        super().__init__(key, execution_id, state)
        self.key = key
        self.execution_id = execution_id
        self.state = state

    def __str__(self) -> str:
        start = self.execution_id[:8]
        now = f", which is {self.state}" if self.state else ""
        return (
            f"Under the idempotency key {self.key!r} this was submitted before, as execution "
            f"{start}{now}: nothing was run. `taskgraph execution show {start}` shows what became "
            "of it."
        )


class WorkspaceInUseError(ConflictError):
    """A folder is the workspace of another execution."""

    def __init__(self, workspace: str, execution_id: str) -> None:
        super().__init__(workspace, execution_id)
        self.workspace = workspace
        self.execution_id = execution_id

    def __str__(self) -> str:
        return (
            f"{self.workspace} is the workspace of execution {self.execution_id[:8]}: each has "
            "one of its own. Name another folder."
        )


class ActiveExecutionError(ConflictError):
    """An execution that has not ended is to be deleted."""

    def __init__(self, execution_id: str, state: str) -> None:
        super().__init__(execution_id, state)
        self.execution_id = execution_id
        self.state = state

    def __str__(self) -> str:
        start = self.execution_id[:8]
        return (
            f"Execution {start} has not ended: it is {self.state}. Wait for it, or end it by "
            f"`taskgraph execution cancel {start}`. `--force` (force=True) deletes it all the same."
        )


class ValidationError(TaskgraphError, ValueError):
    """Something that was given is not what it must be; the base of its kinds."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


class NotRetractableError(ValidationError):
    """Something was to be retracted that nothing can be derived from: it has no identity."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(
            target,
            f"{reason}. What can be retracted is an execution, a job or its call, a file and a "
            "dataset; `taskgraph log` shows which call gave a value.",
        )
        self.target = target


class InvalidStateError(ValidationError):
    """A text is neither a type of states nor a name that is known."""

    def __init__(self, given: str, known: Sequence[str]) -> None:
        listed = ", ".join(known)
        super().__init__(given or "''", f"this is no state. There are: {listed}.")
        self.given = given
        self.known = tuple(known)


class UnknownFilterError(ValidationError):
    """A filter asks for something that cannot be asked for."""

    def __init__(self, key: str, known: Sequence[str]) -> None:
        listed = ", ".join(known)
        super().__init__(f"filter {key!r}", f"there is none of this name. There are: {listed}.")
        self.key = key
        self.known = tuple(known)


class UnsafePathError(ValidationError):
    """A folder is to be removed that is not one of those that may be."""

    def __init__(self, path: str, reason: str, roots: Sequence[str]) -> None:
        listed = ", ".join(roots) or "none"
        super().__init__(
            path,
            f"{reason}, so it is not removed. Folders go that are inside of a root; there are: "
            f"{listed}. Name another in the settings under [roots], or remove it by hand.",
        )
        self.path = path
        self.roots = tuple(roots)


class StateRefusedError(TaskgraphError):
    """A state was proposed that what it is proposed for cannot be in."""

    def __init__(self, execution_id: str, proposed: str, reason: str) -> None:
        super().__init__(execution_id, proposed, reason)
        self.execution_id = execution_id
        self.proposed = proposed
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Execution {self.execution_id[:8]} cannot be {self.proposed}: {self.reason}. "
            "`--force` does it all the same."
        )
