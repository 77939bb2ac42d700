"""What is asked of stored workflows and of groups of executions, and cannot be done."""

from __future__ import annotations

from taskgraph.errors.base import TaskgraphError
from taskgraph.errors.catalog import ConflictError, NotFoundError, ValidationError


class DuplicateVersionError(ConflictError):
    """A workflow of this name has this version already."""

    def __init__(self, name: str, version: int, latest: int) -> None:
        super().__init__(name, version, latest)
        self.name = name
        self.version = version
        self.latest = latest

    def __str__(self) -> str:
        return (
            f"There is a version {self.version} of workflow {self.name!r}, and what is stored "
            f"stays as it is. Create version {self.latest + 1}."
        )


class ReservedArgumentError(ValidationError):
    """A step of a workflow is given an argument that only who runs it may give."""

    def __init__(self, task: str, argument: str) -> None:
        super().__init__(
            f"argument {argument!r} of step {task}",
            "this name is kept for what the step is given when it runs. Name the parameter "
            "otherwise.",
        )
        self.task = task
        self.argument = argument


class StepNotFoundError(NotFoundError):
    """No step of a workflow has this id or id prefix."""

    def __str__(self) -> str:
        return (
            f"There is no step {self.wanted!r}. `taskgraph workflow show NAME` shows those of a "
            "workflow."
        )


class TaskNotFoundError(NotFoundError):
    """A task that a workflow names is not there, or there are several of that name."""

    def __init__(self, task: str, reason: str = "no task of this name is defined here") -> None:
        super().__init__(task)
        self.task = task
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Task {self.task}: {self.reason}. Import its module, or collect its package: "
            "`taskgraph package collect`."
        )


class NotAPermutationError(ValidationError):
    """A new order of steps does not name each step of the workflow once."""

    def __init__(self, workflow: str, reason: str) -> None:
        super().__init__(f"order of the steps of {workflow}", reason)
        self.workflow = workflow


class EmptyWorkflowError(ValidationError):
    """A workflow without steps is to be run."""

    def __init__(self, workflow: str) -> None:
        super().__init__(
            f"workflow {workflow}",
            "it has no steps, and nothing to run. Add one: `taskgraph workflow add-step`.",
        )
        self.workflow = workflow


class DisabledWorkflowError(ConflictError):
    """A workflow is to be run that was switched off."""

    def __init__(self, workflow: str) -> None:
        super().__init__(workflow)
        self.workflow = workflow

    def __str__(self) -> str:
        return (
            f"Workflow {self.workflow} is disabled. Enable it first: "
            f"`taskgraph workflow enable {self.workflow}`."
        )


class WorkflowInUseError(ConflictError):
    """A workflow is to be deleted that has groups, and nobody said what becomes of them."""

    def __init__(self, workflow: str, groups: int) -> None:
        super().__init__(workflow, groups)
        self.workflow = workflow
        self.groups = groups

    def __str__(self) -> str:
        noun = "group" if self.groups == 1 else "groups"
        return (
            f"Workflow {self.workflow} has {self.groups:,} {noun}. Delete these with it "
            "(groups=True, `--groups`), or disable it: "
            f"`taskgraph workflow disable {self.workflow}`."
        )


class IncompatibleDatasetError(TaskgraphError, TypeError):
    """A dataset is not of the type that a step takes or gives, or has no files."""

    def __init__(self, dataset: str, reason: str) -> None:
        super().__init__(dataset, reason)
        self.dataset = dataset
        self.reason = reason

    def __str__(self) -> str:
        return f"Dataset {self.dataset!r}: {self.reason}"


class RateLimitedError(ConflictError):
    """The same was submitted a moment ago, and settings say how long that is to be apart."""

    def __init__(self, what: str, execution_id: str, seconds: float) -> None:
        super().__init__(what, execution_id, seconds)
        self.what = what
        self.execution_id = execution_id
        self.seconds = seconds

    def __str__(self) -> str:
        return (
            f"{self.what} was submitted a moment ago, as execution {self.execution_id[:8]}. Submit "
            f"it again in {self.seconds:.1f} s; settings say how long that is to be apart: "
            "submissions.min_interval."
        )
