"""What is asked of pools, workers and the queues that they serve, and cannot be done."""

from __future__ import annotations

from taskgraph.errors.catalog import ConflictError, NotFoundError
from taskgraph.errors.database import DatabaseError


class PoolNotFoundError(NotFoundError):
    """No pool of workers has this name, these queues, or this id."""

    def __str__(self) -> str:
        return (
            f"There is no pool of workers {self.wanted!r}: one is made where a worker is started, "
            "`taskgraph worker start --pool NAME --queues a,b`. `taskgraph worker list` shows what "
            "there is."
        )


class WorkerNotFoundError(NotFoundError):
    """No worker has this name, id or id prefix."""

    def __str__(self) -> str:
        return f"There is no worker {self.wanted!r}. `taskgraph worker list` shows what there is."


class WorkerInUseError(ConflictError):
    """A worker of this name lives: a name is that of one process at a time."""

    def __init__(self, name: str, host: str, pid: int) -> None:
        super().__init__(name, host, pid)
        self.name = name
        self.host = host
        self.pid = pid

    def __str__(self) -> str:
        return (
            f"A worker {self.name!r} is running on {self.host} as process {self.pid}. Give another "
            f"name, or stop it: `taskgraph worker stop {self.name}`."
        )


class NotQueuedError(ConflictError):
    """An execution is to be given to workers that is under way, or has ended."""

    def __init__(self, execution_id: str, state: str) -> None:
        super().__init__(execution_id, state)
        self.execution_id = execution_id
        self.state = state

    def __str__(self) -> str:
        start = self.execution_id[:8]
        return (
            f"Execution {start} is {self.state}: only one that waits can be given to workers. "
            f"`taskgraph execution rerun {start}` makes a new one of the same request."
        )


class LeaseLostError(DatabaseError):
    """A worker stood still for so long that what it ran is another one's by now.

    Nothing that it would write of it is written.
    """

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(f"execution {execution_id[:8]}", reason)
        self.execution_id = execution_id

    def __str__(self) -> str:
        return (
            f"Execution {self.execution_id[:8]} is not this process's any more: {self.reason}. "
            "Nothing more of it is written from here; "
            f"`taskgraph execution show {self.execution_id[:8]} --states` says who had it when."
        )
