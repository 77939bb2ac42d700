"""What is asked of stored workflows and of groups of executions, and cannot be done."""

from __future__ import annotations

from taskgraph.errors.catalog import ConflictError, ValidationError


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
