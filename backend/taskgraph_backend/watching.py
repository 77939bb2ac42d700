"""What goes on, and what came before: questions of those who watch runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Select, and_, case, func, or_, select, tuple_, union_all
from sqlalchemy.orm import aliased, joinedload

from taskgraph.records import ALL_CALLS, CALLS_WANTED, State, execution_of_holder
from taskgraph_backend import models
from taskgraph_backend.portraits import Portraits

if TYPE_CHECKING:
    from taskgraph_backend.connected import Connected

# Of each task, so many of its newest versions count, and of these so many of their newest calls.
_VERSIONS = 4
_CALLS = 25
_MOST_TASKS = 100


class Watching(Portraits):
    """A session that tells what runs, and which jobs ran what others took from the records."""

    backend: Connected

    def jobs_behind(self, job: models.Job, limit: int = 20) -> Sequence[models.Job]:
        """Return the jobs that ran the call of a job: those of the very call first, then newest.

        Of a call that was put together anew from recorded results, those that ran its body.
        """
        row, node = models.Job, models.CallNode
        same = row.call_hash == job.call_hash
        if job.eval_hash is not None:
            equal = select(node.call_hash).where(node.eval_hash == job.eval_hash)
            same = row.call_hash.in_(equal)
        query = (
            select(row)
            .where(same, ~row.cached, row.id != job.id)
            .order_by(
                case((row.call_hash == job.call_hash, 0), else_=1),
                row.start_time.desc(),
                row.id,
            )
            .limit(limit)
            .options(joinedload(row.task))
        )
        return self.scalars(query).all()

    def jobs_named(self, ids: Sequence[str]) -> Sequence[models.Job]:
        """Return jobs by their ids; those that are recorded."""
        row = models.Job
        chosen = select(row).where(row.id.in_(ids)).options(joinedload(row.task))
        return self.scalars(chosen).all()

    def usual_seconds(self, names: Sequence[str]) -> dict[str, float]:
        """Return how long the function of each task took lately, on average.

        Two statements, whatever the number of tasks and calls.

        Args:
            names: Full names.
        """
        task, node, job = models.Task, models.CallNode, models.Job
        pairs = [tuple(each.rpartition(".")[::2]) for each in names[:_MOST_TASKS]]
        # The end of an index for each version, however many calls it has.
        last = select(func.max(node.timestamp)).where(node.task_hash == task.hash).scalar_subquery()
        rows = self.execute(
            select(task.namespace, task.name, task.hash)
            .where(tuple_(task.namespace, task.name).in_(pairs), last.is_not(None))
            .order_by(last.desc())
        ).all()
        names_of: dict[str, str] = {}
        counts: dict[str, int] = {}
        for namespace, name, task_hash in rows:
            fullname = f"{namespace}.{name}" if namespace else name
            counts[fullname] = counts.get(fullname, 0) + 1
            if counts[fullname] <= _VERSIONS:
                names_of[task_hash] = fullname
        if not names_of:
            return {}
        pieces: list[Select[tuple[str, str]]] = []
        for task_hash in names_of:
            newest = (
                select(node.task_hash, node.call_hash)
                .where(node.task_hash == task_hash)
                .order_by(node.timestamp.desc())
                .limit(_CALLS)
                .subquery()
            )
            pieces.append(select(newest.c.task_hash, newest.c.call_hash))
        calls = union_all(*pieces).subquery()
        sums: dict[str, tuple[float, int]] = {}
        for task_hash, seconds, count in self.execute(
            select(calls.c.task_hash, func.sum(self._took()), func.count())
            .join(job, job.call_hash == calls.c.call_hash)
            .where(~job.cached, job.end_time.is_not(None), job.state_type == "COMPLETED")
            .group_by(calls.c.task_hash)
        ):
            before, known = sums.get(names_of[task_hash], (0.0, 0))
            sums[names_of[task_hash]] = (before + float(seconds) / 1e6, known + count)
        return {name: seconds / count for name, (seconds, count) in sums.items() if count}

    def watched(self, since: datetime, limit: int) -> Sequence[models.Execution]:
        """Return the executions that run, newest first, and those that crashed since some time."""
        row = models.Execution
        self.backend.sweep()
        query = (
            select(row)
            .where(
                or_(
                    row.state_type == State.RUNNING.value,
                    and_(row.state_type == State.CRASHED.value, row.state_time >= since),
                )
            )
            .order_by(row.state_time.desc(), row.id)
            .limit(limit)
            .options(joinedload(row.job).joinedload(models.Job.task))
        )
        return self.scalars(query).unique().all()

    def counts_of(self, executions: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return how many jobs of executions are in which status, by task."""
        job, task = models.Job, models.Task
        counts: dict[str, dict[str, dict[str, int]]] = {each: {} for each in executions}
        grouped = self.execute(
            select(
                job.execution_id,
                task.namespace,
                task.name,
                job.state_type,
                job.cached,
                func.count(),
            )
            .join(task, task.hash == job.task_hash)
            .where(job.execution_id.in_(executions))
            .group_by(job.execution_id, task.namespace, task.name, job.state_type, job.cached)
            .order_by(func.min(job.start_time), task.namespace, task.name)
        )
        for execution_id, namespace, name, state_type, cached, count in grouped:
            fullname = f"{namespace}.{name}" if namespace else name
            of_task = counts[execution_id].setdefault(fullname, {})
            status = models.status_of(state_type, cached)
            of_task[status] = of_task.get(status, 0) + count
        return counts

    def open_jobs(self, executions: Sequence[str], limit: int) -> Sequence[models.Job]:
        """Return the jobs of executions that run and wait for no other one, longest first."""
        job = models.Job
        child = aliased(models.Job)
        below = select(child.id).where(
            child.parent_id == job.id,
            child.state_type.in_((State.RUNNING.value, State.PENDING.value)),
        )
        query = (
            select(job)
            .where(job.execution_id.in_(executions), job.state_type == State.RUNNING.value)
            .where(~below.exists())
            .order_by(job.start_time, job.id)
            .limit(limit)
            .options(joinedload(job.task))
        )
        return self.scalars(query).all()

    def leases(self) -> Sequence[models.Lease]:
        """Return the leases that name executions, and who leads all calls or asks for some."""
        row = models.Lease
        named = or_(
            row.key.startswith("execution:", autoescape=True),
            row.key.in_((ALL_CALLS, CALLS_WANTED)),
        )
        return self.scalars(select(row).where(named).order_by(row.key)).all()

    def led_calls(self) -> dict[str, int]:
        """Return how many calls each holder leads."""
        row = models.Lease
        query = (
            select(row.holder, func.count().label("led"))
            .where(row.key.startswith("call:", autoescape=True))
            .group_by(row.holder)
        )
        return {execution_of_holder(row.holder): row.led for row in self.execute(query)}

    def clock(self) -> datetime:
        """Return the time by which leases expire: the database's own."""
        return datetime.fromtimestamp(self.backend.clock() / 1e6, UTC)
