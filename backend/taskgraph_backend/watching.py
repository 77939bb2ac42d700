"""What goes on, and what came before: questions of those who watch runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, case, func, select, tuple_, union_all
from sqlalchemy.orm import joinedload

from taskgraph_backend import models
from taskgraph_backend.portraits import Portraits

# Of each task, so many of its newest versions count, and of these so many of their newest calls.
_VERSIONS = 4
_CALLS = 25
_MOST_TASKS = 100


class Watching(Portraits):
    """A session that tells what runs, and which jobs ran what others took from the records."""

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
