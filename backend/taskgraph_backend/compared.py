"""What a comparison of two executions asks: each question is one statement for all of their calls.

Of calls that both made equally often nothing but their jobs is read. Nothing here unpickles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, case, func, select
from sqlalchemy.orm import Session, aliased

from taskgraph_backend import models


class ComparedJob(NamedTuple):
    """A job of one of the executions."""

    execution_id: str
    id: str
    parent_id: str | None
    task_name: str
    task_hash: str
    eval_hash: str | None
    call_hash: str | None
    args_hash: str | None
    value_hash: str | None
    cached: bool
    state: str
    start_time: datetime


class ComparedArgument(NamedTuple):
    """An argument by the hash of its value; several rows if it came from several calls.

    ``root`` and ``path`` are those of the file that it stands for, ``giver`` is a call that it, or
    something in it, came from.
    """

    call_hash: str
    position: int | None
    key: str | None
    value_hash: str
    root: str | None
    path: str | None
    giver: str | None


class Compared(Session):
    """A session that can hold two executions against each other."""

    def execution_before(self, execution_id: str) -> str | None:
        """Return the newest execution of the same task that started before one."""
        job, execution, task = models.Job, models.Execution, models.Task
        earlier, root, code = aliased(execution), aliased(job), aliased(task)
        # By way of the root jobs: for jobs of a task there is no index.
        return self.scalar(
            select(earlier.id)
            .select_from(execution)
            .join(job, job.id == execution.job_id)
            .join(task, task.hash == job.task_hash)
            .join(earlier, earlier.id != execution.id)
            .join(root, and_(root.id == earlier.job_id, root.start_time <= job.start_time))
            .join(
                code,
                and_(
                    code.hash == root.task_hash,
                    code.name == task.name,
                    code.namespace == task.namespace,
                ),
            )
            .where(execution.id == execution_id)
            .order_by(root.start_time.desc(), earlier.id.desc())
            .limit(1)
        )

    def compared_jobs(self, old: str, new: str) -> list[ComparedJob]:
        """Return all jobs of two executions, by start."""
        job, task, node = models.Job, models.Task, models.CallNode
        rows = self.execute(
            select(
                job.execution_id,
                job.id,
                job.parent_id,
                task.namespace,
                task.name,
                job.task_hash,
                job.eval_hash,
                job.call_hash,
                node.args_hash,
                node.value_hash,
                job.cached,
                job.state_type,
                job.start_time,
            )
            .join(task, task.hash == job.task_hash)
            .outerjoin(node, node.call_hash == job.call_hash)
            .where(job.execution_id.in_((old, new)))
            .order_by(job.start_time, job.id)
        )
        return [
            ComparedJob(of, id, parent, f"{space}.{name}" if space else name, *others)
            for of, id, parent, space, name, *others in rows
        ]

    def compared_arguments(self, old: str, new: str) -> list[ComparedArgument]:
        """Return the arguments of calls that one of two executions made more often."""
        argument, file, result = models.Argument, models.File, models.ArgumentResult
        rows = self.execute(
            select(
                argument.call_hash,
                argument.arg_position,
                argument.arg_key,
                argument.value_hash,
                file.root,
                file.path,
                result.result_call_hash,
            )
            .outerjoin(file, file.value_hash == argument.value_hash)
            .outerjoin(result, result.arg_hash == argument.arg_hash)
            .where(argument.call_hash.in_(_uneven(old, new)))
        )
        return [ComparedArgument(*row) for row in rows]

    def compared_edges(self, old: str, new: str) -> list[tuple[str, str, int]]:
        """Return the calls, child calls and their order, of calls that one made more often."""
        edge = models.CallEdge
        rows = self.execute(
            select(edge.parent_id, edge.child_id, edge.call_order)
            .where(edge.parent_id.in_(_uneven(old, new)))
            .order_by(edge.parent_id, edge.call_order)
        )
        return [(parent, child, order) for parent, child, order in rows]

    def compared_contexts(self, old: str, new: str) -> list[tuple[str, str, str]]:
        """Return what calls that one execution made more often read of their context."""
        read = models.CallContext
        rows = self.execute(
            select(read.call_hash, read.path, read.value_hash).where(
                read.call_hash.in_(_uneven(old, new))
            )
        )
        return [(call, path, value) for call, path, value in rows]


def _uneven(old: str, new: str) -> Select[Any]:
    """Select the calls that two executions did not make equally often."""
    job = models.Job
    return (
        select(job.call_hash)
        .where(job.execution_id.in_((old, new)), job.call_hash.is_not(None))
        .group_by(job.call_hash)
        .having(func.sum(case((job.execution_id == old, 1), else_=-1)) != 0)
    )


__all__ = ["Compared", "ComparedArgument", "ComparedJob"]
