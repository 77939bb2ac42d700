"""Executors and their workers."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError


class ExecutorError(TaskgraphError):
    """An executor cannot be made or used as asked."""


class WorkerLostError(ExecutorError):
    """The process that ran a task ended before the task did."""

    def __init__(self, task: str, detail: str = "") -> None:
        super().__init__(task, detail)
        self.task = task
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"The worker process that ran {self.task} ended before the task did"
            f"{f' ({self.detail})' if self.detail else ''}: killed, out of memory, or a crash in "
            "native code. Its finished siblings are kept; run again to go on from there."
        )


class ResultLostError(ExecutorError):
    """A result was damaged in the value store between the worker that made it and the scheduler."""

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(task, reason)
        self.task = task
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The result of {self.task} was lost on its way from the worker: {self.reason}. "
            "Somebody changes or removes entries of the value store while runs go on: find out who."
        )


class LaunchError(ExecutorError):
    """An executor cannot run a whole command that outlives this process."""

    def __init__(self, executor: str, reason: str = "it ends with the process that asks") -> None:
        super().__init__(executor, reason)
        self.executor = executor
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"executor {self.executor!r} cannot launch a run: {self.reason}. Use one that goes on "
            "by itself: processes, dask with an address, or submitit."
        )


class WorkerCodeError(ExecutorError):
    """A worker holds other code of a function than the process that asks for a call of it.

    Restart the workers, so that they import it anew.
    """

    def __init__(
        self, function: str, worker: str, differing: Sequence[str], has_run: bool = False
    ) -> None:
        super().__init__(function, worker, tuple(differing), has_run)
        self.function = function
        self.worker = worker
        self.differing = tuple(differing)
        self.has_run = has_run

    def __str__(self) -> str:
        what = "did not run" if not self.has_run else "ran, and what it gave is not used"
        return (
            f"{self.function} {what}: the worker {self.worker} holds other code of "
            f"{', '.join(self.differing)} than the process that submitted the call. One of the two "
            "imported it before it was edited, or they read different files. Restart the workers "
            "(`client.restart()`), and this process too if it is the older one."
        )


class WorkerProjectError(ExecutorError):
    """A worker of another tool works for another project by now.

    Use one cluster for each project, or make a new client.
    """

    def __init__(self, function: str, worker: str) -> None:
        super().__init__(function, worker)
        self.function = function
        self.worker = worker

    def __str__(self) -> str:
        return (
            f"{self.function} did not run: the worker {self.worker} works for another project by "
            "now, whose files it would read and whose code it would follow. Use one cluster for "
            "each project; to take this one over, make a new Client."
        )


class RemoteTaskError(TaskgraphError):
    """Stands for a task's exception that could not be sent back as it was."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        return self.error
