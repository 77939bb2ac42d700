"""What is told of an execution as a whole: each question is one statement, and has a limit."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, case, extract, func, select, type_coerce
from sqlalchemy.orm import Session, aliased, joinedload

from taskgraph_backend import models

_MICROSECONDS = 1_000_000
_FAILED = ("FAILED", "CRASHED")


class TaskTime(NamedTuple):
    """How long the calls of one version of a task took in an execution.

    Attributes:
        task: The version.
        ran: How many calls ran, and have ended.
        cached: How many were taken from the records.
        seconds: How long those that ran took together.
        longest: How long the longest took.
    """

    task: models.Task
    ran: int
    cached: int
    seconds: float
    longest: float


class Portraits(Session):
    """A session that can tell of an execution as a whole."""

    def task_times(self, execution_id: str, limit: int) -> list[TaskTime]:
        """Return the tasks of an execution, with those first that took longest."""
        job, task = models.Job, models.Task
        took = case((job.cached, 0), else_=func.coalesce(self._took(), 0))
        ran = case((job.cached, 0), (job.end_time.is_(None), 0), else_=1)
        sums = (
            select(
                job.task_hash,
                func.sum(ran).label("ran"),
                func.sum(case((job.cached, 1), else_=0)).label("cached"),
                func.sum(took).label("seconds"),
                func.max(took).label("longest"),
            )
            .where(job.execution_id == execution_id)
            .group_by(job.task_hash)
            .subquery()
        )
        rows = self.execute(
            select(task, sums.c.ran, sums.c.cached, sums.c.seconds, sums.c.longest)
            .join(sums, sums.c.task_hash == task.hash)
            .order_by(sums.c.seconds.desc(), task.namespace, task.name, task.hash)
            .limit(limit)
        )
        return [
            TaskTime(task, int(ran), int(cached), _seconds(together), _seconds(longest))
            for task, ran, cached, together, longest in rows
        ]

    def longest_jobs(self, execution_id: str, limit: int) -> list[models.Job]:
        """Return the jobs of an execution that took longest, and ran, by their start."""
        job = models.Job
        chosen = (
            select(job.id)
            .where(job.execution_id == execution_id, ~job.cached, job.end_time.is_not(None))
            .order_by(self._took().desc(), job.id)
            .limit(limit)
        )
        return self._told(select(job).where(job.id.in_(chosen)))

    def failed_jobs(self, execution_id: str, limit: int) -> list[models.Job]:
        """Return the jobs of an execution that failed by themselves, by their start.

        A call of a call that failed is not among them: it has a child that is.
        """
        job, child = models.Job, aliased(models.Job)
        is_above = (
            select(child.id)
            .where(child.parent_id == job.id, child.state_type.in_(_FAILED))
            .exists()
        )
        wanted = select(job).where(
            job.execution_id == execution_id, job.state_type.in_(_FAILED), ~is_above
        )
        return self._told(wanted, limit)

    def files_given(self, execution_id: str, limit: int) -> list[models.File]:
        """Return the files that calls of an execution were given and no call of it made."""
        job, argument = models.Job, models.Argument
        given = (
            select(argument.value_hash)
            .join(job, job.call_hash == argument.call_hash)
            .where(job.execution_id == execution_id)
        )
        file = models.File
        made = _with_inner(_results(execution_id))
        return self._files(
            select(file)
            .where(file.value_hash.in_(_with_inner(given)), file.value_hash.not_in(made))
            .limit(limit)
        )

    def files_made(self, execution_id: str, limit: int) -> list[models.File]:
        """Return the files that calls of an execution gave."""
        file = models.File
        made = _with_inner(_results(execution_id))
        return self._files(select(file).where(file.value_hash.in_(made)).limit(limit))

    def _took(self) -> ColumnElement[Any]:
        """The microseconds that a job took."""
        job = models.Job
        if self.get_bind().dialect.name == "sqlite":
            return type_coerce(job.end_time, BigInteger) - type_coerce(job.start_time, BigInteger)
        return extract("epoch", job.end_time - job.start_time) * _MICROSECONDS

    def _told(self, query: Select[Any], limit: int | None = None) -> list[models.Job]:
        job, node = models.Job, models.CallNode
        query = query.order_by(job.start_time, job.id).options(
            joinedload(job.task), joinedload(job.call_node).joinedload(node.value)
        )
        query = query.options(
            joinedload(job.call_node).subqueryload(node.arguments).joinedload(models.Argument.value)
        )
        return list(self.scalars(query if limit is None else query.limit(limit)).unique())

    def _files(self, query: Select[Any]) -> list[models.File]:
        file = models.File
        return list(self.scalars(query.order_by(file.root, file.path, file.value_hash)))


def _seconds(micros: Any) -> float:
    return float(micros) / _MICROSECONDS


def _results(execution_id: str) -> Select[Any]:
    """Select the values that calls of an execution gave."""
    job, node = models.Job, models.CallNode
    return (
        select(node.value_hash)
        .join(job, job.call_hash == node.call_hash)
        .where(job.execution_id == execution_id)
    )


def _with_inner(values: Select[Any]) -> Any:
    """Select values and what is recorded of them as lying inside."""
    subvalue = models.Subvalue
    inner = select(subvalue.value_hash).where(subvalue.parent_value_hash.in_(values))
    return values.union(inner)
