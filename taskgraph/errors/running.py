"""What ends a run, or keeps one from beginning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from taskgraph.errors.base import TaskgraphError


class SchedulerError(TaskgraphError):
    """The scheduler was asked for something that it cannot do."""


class CircularCallError(SchedulerError):
    """A call needs its own result: nothing that is left can ever become ready."""

    def __init__(self, task: str, eval_hash: str) -> None:
        super().__init__(task, eval_hash)
        self.task = task
        self.eval_hash = eval_hash

    def __str__(self) -> str:
        return (
            f"The call of {self.task} ({self.eval_hash[:8]}) needs its own result: it calls itself "
            "with the same arguments, directly or through other tasks. Let an argument change."
        )


class PromiseError(SchedulerError):
    """A scheduler task promised a value, and nothing is left that could give it one."""

    def __init__(self, task: str) -> None:
        super().__init__(task)
        self.task = task

    def __str__(self) -> str:
        return (
            f"The promise of {self.task} is pending, and nothing that it asked for is left: it "
            "would wait for ever. Return what follows from scheduler.evaluate(...), or resolve "
            "the promise in a callback of that."
        )


class AwaitError(SchedulerError):
    """An expression is awaited where nothing evaluates it.

    In an ``async def`` task, let it run on executor ``async``, which is the default; elsewhere
    ``await scheduler.arun(expr)``, or call ``taskgraph.run(expr)``.
    """

    def __init__(self, expr: str) -> None:
        super().__init__(expr)
        self.expr = expr

    def __str__(self) -> str:
        return (
            f"Nothing evaluates {self.expr} here. In an async task, leave the executor to the "
            "default or say executor='async'; elsewhere, await scheduler.arun(expr) or call "
            "taskgraph.run(expr)."
        )


class DryRunResult(TaskgraphError):
    """A dry run reached the first call that would have to run."""

    def __init__(self, calls: Sequence[str]) -> None:
        super().__init__(tuple(calls))
        self.calls = tuple(calls)

    def __str__(self) -> str:
        shown = ", ".join(self.calls[:5]) + (" ..." if len(self.calls) > 5 else "")
        return f"Dry run: {len(self.calls)} calls would run next: {shown}"


class RerunLimitError(TaskgraphError):
    """A run would make more calls again than it may.

    Attributes:
        limit: How many calls, or how much of the time that they took the last time.
        calls: How many it would be.
        seconds: How long these took the last time, as far as that is known.
        causes: Task, reason and number of calls of those that it would be most of.
        is_before: Whether it was known before anything ran.
    """

    def __init__(
        self,
        limit: int | timedelta,
        calls: int,
        seconds: float,
        causes: Sequence[tuple[str, str, int]],
        is_before: bool,
    ) -> None:
        super().__init__(limit, calls, seconds, tuple(causes), is_before)
        self.limit = limit
        self.calls = calls
        self.seconds = seconds
        self.causes = tuple(causes)
        self.is_before = is_before

    def __str__(self) -> str:
        took = f" that took {_rounded(self.seconds)} the last time" if self.seconds else ""
        calls = f"{self.calls} {_calls(self.calls)}{took}"
        causes = "; ".join(f"{task}, {n} {_calls(n)}: {why}" for task, why, n in self.causes)
        allowed = self.limit if isinstance(self.limit, timedelta) else f"{self.limit} calls"
        state = "Nothing has run" if self.is_before else "What had finished is kept"
        return (
            f"This run would make {calls} again, and it may make {allowed} again (max_rerun). "
            f"{state}. Most of all: {causes}. `taskgraph plan` shows them; raise the limit if they "
            "are to run."
        )


def _calls(count: int) -> str:
    return "call" if count == 1 else "calls"


def _rounded(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 90 else str(timedelta(seconds=round(seconds)))


class NoCurrentSchedulerError(TaskgraphError):
    """A function that needs a running scheduler was called outside of one."""

    def __str__(self) -> str:
        return "No scheduler is running here. Call this inside of a task or a scheduler task."


#: The same, by the name that it goes by elsewhere.
NoCurrentScheduler = NoCurrentSchedulerError


class LimitError(TaskgraphError):
    """A call wants more of a limit than there is, so that it could never run."""

    def __init__(self, task: str, limit: str, wanted: int, size: int) -> None:
        super().__init__(task, limit, wanted, size)
        self.task = task
        self.limit = limit
        self.wanted = wanted
        self.size = size

    def __str__(self) -> str:
        return (
            f"{self.task} wants {self.wanted} of the limit {self.limit!r}, and there "
            f"{'is' if self.size == 1 else 'are'} {self.size}. Set limits.{self.limit} in the "
            "settings."
        )


class ExecutionCancelledError(TaskgraphError):
    """Somebody has cancelled an execution while it ran: what had begun was recorded.

    Attributes:
        execution_id: The execution.
    """

    def __init__(self, execution_id: str) -> None:
        super().__init__(execution_id)
        self.execution_id = execution_id

    def __str__(self) -> str:
        start = self.execution_id[:8]
        return (
            f"Execution {start} was cancelled while it ran: what had finished is kept. `taskgraph "
            f"execution show {start} --states` shows by whom; `taskgraph execution rerun {start}` "
            "goes on from there."
        )


class RerunError(TaskgraphError):
    """A recorded call cannot be made again as it was.

    Attributes:
        execution_id: The execution that was written down for it, and has failed; None for none.
    """

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(job, reason)
        self.job = job
        self.reason = reason
        self.execution_id: str | None = None

    def __str__(self) -> str:
        said = f"The call of {self.job} cannot be made again: {self.reason}"
        if self.execution_id is None:
            return said
        return f"{said.removesuffix('.')}. Execution {self.execution_id[:8]} has failed by it."


class TaskTimeoutError(TaskgraphError, TimeoutError):
    """A call ran for longer than its option ``timeout`` allows.

    Attributes:
        task: The full name of the task.
        seconds: How long it might run.
        is_abandoned: Whether its body still runs, in a thread that nobody waits for.
    """

    def __init__(self, task: str, seconds: float, is_abandoned: bool = False) -> None:
        super().__init__(task, seconds, is_abandoned)
        self.task = task
        self.seconds = seconds
        self.is_abandoned = is_abandoned

    def __str__(self) -> str:
        return f"{self.task} ran for more than {self.seconds:g} s, which is its timeout"
