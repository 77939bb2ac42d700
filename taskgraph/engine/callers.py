"""Jobs as scheduler tasks see them: what may be asked of one, and nothing that would move it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from taskgraph.engine import jobs
from taskgraph.expression import TaskExpression
from taskgraph.records import ExecutionId, JobId
from taskgraph.tasks.context import TOLD, WHOLE
from taskgraph.tasks.task import Task

if TYPE_CHECKING:
    from taskgraph.engine.promising import Asking

V = TypeVar("V")


class Execution(NamedTuple):
    """The run that a job is part of."""

    id: ExecutionId


class Job:
    """A job, as a scheduler task is told of the one that calls it.

    Attributes:
        id: What it is recorded under.
        task: The task that it is a call of.
        expr: The call.
        args: What its function was called with, by position; of a scheduler task, unevaluated.
        kwargs: The same, by name.
        execution: The run, with its ``id``.
        parent_job: The job that made the call; None for the root.
    """

    __slots__ = ("_asking", "_execution_id", "_job")

    def __init__(self, job: jobs.Job, execution_id: ExecutionId, asking: Asking) -> None:
        self._job = job
        self._execution_id = execution_id
        self._asking = asking

    def _note(self) -> None:
        """Have it count that the job was looked at: no call around may be taken as a whole."""
        self._asking.job.reads |= {TOLD}

    @property
    def _looked_at(self) -> jobs.Job:
        self._note()
        return self._job

    @property
    def id(self) -> JobId:
        """What it is recorded under."""
        return self._looked_at.id

    @property
    def task(self) -> Task[..., Any]:
        """The task that it is a call of."""
        return self._looked_at.task

    @property
    def expr(self) -> TaskExpression:
        """The call."""
        assert isinstance(self._looked_at.expr, TaskExpression)
        return self._looked_at.expr

    @property
    def args(self) -> tuple[Any, ...]:
        """What its function was called with, by position."""
        return self._looked_at.args

    @property
    def kwargs(self) -> dict[str, Any]:
        """What its function was called with, by name."""
        return dict(self._looked_at.kwargs)

    @property
    def execution(self) -> Execution:
        """The run."""
        self._note()
        return Execution(self._execution_id)

    @property
    def parent_job(self) -> Job | None:
        """The job that made the call; None for the root."""
        owner = self._looked_at.owner
        return None if owner is None else Job(owner, self._execution_id, self._asking)

    def get_option(
        self, key: str, default: Any = None, as_type: Callable[[Any], V] | None = None
    ) -> Any:
        """Return an option that is in force for it.

        Args:
            key: The option's name.
            default: What is returned, as it is, where the option was not given.
            as_type: What makes the value that is returned of the option's, as ``int``.
        """
        options = self._looked_at.options
        if key not in options:
            return default
        return options[key] if as_type is None else as_type(options[key])

    def get_options(self) -> dict[str, Any]:
        """Return all options that are in force for it."""
        return dict(self._looked_at.options)

    def get_raw_options(self) -> dict[str, Any]:
        """Return the options as they were given: those that are calls, as these calls."""
        return {**self._looked_at.options, **self._looked_at.lazy_options}

    def get_limits(self) -> dict[str, int]:
        """Return how many units of which limits it takes."""
        return dict(self._looked_at.options.get("limits") or {})

    def get_context(self) -> dict[str, Any]:
        """Return what it and the calls below it read by path, as nested dicts.

        Raises:
            UnhashableValueError: Something in it has no hash: nobody could tell whether it is
                still the same another time.
        """
        job = self._job
        job.context.hash_at(WHOLE)
        for reader in (job, self._asking.job):
            reader.reads |= {WHOLE}
        return _copy(job.context.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other._job.id == self._job.id

    def __hash__(self) -> int:
        return hash(self._job.id)

    def __repr__(self) -> str:
        return f"Job({self._job.id}, {self._job.task.fullname})"


def _copy(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested dicts anew, so that nobody changes what others read."""
    return {
        name: _copy(value) if isinstance(value, Mapping) else value
        for name, value in context.items()
    }
