"""What is asked of datasets, workflows and groups that executions use, and cannot be done."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError
from taskgraph.errors.catalog import ConflictError, NotFoundError, UnsafePathError, ValidationError


class DatasetNotFoundError(NotFoundError):
    """No dataset has this name, id or id prefix."""

    def __str__(self) -> str:
        return (
            f"There is no dataset {self.wanted!r}. `taskgraph dataset list` shows what there is, "
            "and `taskgraph dataset register` makes one."
        )


class WorkflowNotFoundError(NotFoundError):
    """No stored workflow has this name, id or id prefix."""

    def __str__(self) -> str:
        return (
            f"There is no workflow {self.wanted!r}: give the name of one that is stored, "
            "NAME@VERSION for a version that is not the promoted one, or an id."
        )


class GroupNotFoundError(NotFoundError):
    """No execution group has this id or id prefix."""

    def __str__(self) -> str:
        return (
            f"There is no execution group {self.wanted!r}: groups are made by planning a workflow "
            "on datasets."
        )


class DatasetReadOnlyError(ConflictError):
    """A dataset was to be written that is read-only."""

    def __init__(self, dataset: str) -> None:
        super().__init__(dataset)
        self.dataset = dataset

    def __str__(self) -> str:
        return (
            f"Dataset {self.dataset!r} is read-only: its content stays as it is. Take another one, "
            "or register it with read_only=False first."
        )


class DatasetChangedError(ConflictError):
    """The content of a dataset that was just looked at is not kept any more: it has another one."""

    def __init__(self, dataset: str) -> None:
        super().__init__(dataset)
        self.dataset = dataset

    def __str__(self) -> str:
        return (
            f"Dataset {self.dataset!r} has another content than a moment ago, and that one is not "
            "kept any more: nothing was submitted. Submit it again."
        )


class OutputDatasetInUseError(ConflictError):
    """A dataset is being written by another execution that is active."""

    def __init__(self, dataset: str, execution_id: str) -> None:
        super().__init__(dataset, execution_id)
        self.dataset = dataset
        self.execution_id = execution_id

    def __str__(self) -> str:
        start = self.execution_id[:8]
        return (
            f"Dataset {self.dataset!r} is being written by execution {start}, which is active: one "
            f"at a time writes a dataset. Wait for it, cancel it (`taskgraph execution cancel "
            f"{start}`), or write another dataset."
        )


class GroupInProgressError(ConflictError):
    """An execution of this group on the same datasets is active."""

    def __init__(self, group_id: str, execution_id: str) -> None:
        super().__init__(group_id, execution_id)
        self.group_id = group_id
        self.execution_id = execution_id

    def __str__(self) -> str:
        return (
            f"Group {self.group_id[:8]} is in progress on the same datasets, as execution "
            f"{self.execution_id[:8]}: nothing was submitted. Wait for it, or cancel it."
        )


class StillInUseError(ConflictError):
    """Something is to be deleted that an active execution refers to."""

    def __init__(self, what: str, execution_ids: Sequence[str]) -> None:
        super().__init__(what, tuple(execution_ids))
        self.what = what
        self.execution_ids = tuple(execution_ids)

    def __str__(self) -> str:
        shown = ", ".join(each[:8] for each in self.execution_ids[:5])
        more = len(self.execution_ids) - 5
        shown += f" and {more:,} more" if more > 0 else ""
        noun = "execution" if len(self.execution_ids) == 1 else "executions"
        return (
            f"{self.what} is used by active {noun} {shown}. Wait until they have ended, or cancel "
            "them: `taskgraph execution cancel REF`."
        )


class StepRangeError(ValidationError):
    """The steps of a workflow that are to be run are none of it."""

    def __init__(self, first: int | None, last: int | None, steps: int) -> None:
        reason = (
            f"first_step {first} and last_step {last} are no range of a workflow of {steps} steps: "
            "both are positions from 0, and the first is not after the last."
            if steps
            else "there are no steps to choose from: give a workflow that has some."
        )
        super().__init__("steps", reason)
        self.first = first
        self.last = last
        self.steps = steps


class OutsideWorkspaceError(UnsafePathError):
    """A path leads out of the workspace that it must stay in."""

    def __init__(self, path: str, folder: str) -> None:
        ValidationError.__init__(
            self,
            f"path {path!r}",
            f"it must be relative to the workspace {folder} and stay inside it.",
        )
        self.path = path
        self.roots = (folder,)
        self.folder = folder


class UnknownDimensionError(TaskgraphError, KeyError):
    """A dimension is not in the vocabulary, or may not have the value that was given."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"Dimension {self.key!r}: {self.reason}"


class VocabularyInUseError(ConflictError):
    """A key of the vocabulary is to be changed or removed that artifacts have."""

    def __init__(self, key: str, scope: str, uses: int) -> None:
        super().__init__(key, scope, uses)
        self.key = key
        self.scope = scope
        self.uses = uses

    def __str__(self) -> str:
        noun = "tag has" if self.uses == 1 else "tags have"
        return (
            f"The key {self.key!r} of {self.scope} is in use: {self.uses:,} {noun} it, and it "
            "cannot go. Delete what has it first, or define a wider key."
        )


class ArtifactExistsError(ConflictError):
    """An execution has an artifact of this kind and key already."""

    def __init__(self, execution_id: str, kind: str, key: str) -> None:
        super().__init__(execution_id, kind, key)
        self.execution_id = execution_id
        self.kind = kind
        self.key = key

    def __str__(self) -> str:
        return (
            f"Execution {self.execution_id[:8]} has a {self.kind} {self.key!r} already: kind and "
            "key are unique in an execution. Give it another key."
        )


class StudyInUseError(ConflictError):
    """A study is to be deleted that has executions, and these were to be kept from that."""

    def __init__(self, study: str, executions: int) -> None:
        super().__init__(study, executions)
        self.study = study
        self.executions = executions

    def __str__(self) -> str:
        noun = "execution" if self.executions == 1 else "executions"
        return (
            f"Study {self.study!r} has {self.executions:,} {noun}. Say what becomes of them: "
            "executions='keep' leaves them without a study, 'delete' deletes them."
        )
