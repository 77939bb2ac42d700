"""What goes on, and what came before: questions of those who watch runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, select
from sqlalchemy.orm import Session, joinedload

from taskgraph_backend import models


class Watching(Session):
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
