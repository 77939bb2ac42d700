"""Lists of records for people: what a line of a table needs, in a bounded number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, subqueryload

from taskgraph.filters import RecordFilters
from taskgraph_backend import models
from taskgraph_backend.query import CallGraphQuery, Page, parse_callgraph_query


class TaskUse(NamedTuple):
    """How much a version of a task was used."""

    calls: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of records, with what is told of executions and tasks besides.

    Attributes:
        records: The rows, kind by kind.
        cursors: Of each, what to be after for what follows it.
        next: The same for the next page, or None.
        counts: Of each execution, how many jobs it has by status.
        uses: Of each task that was called, how much.
    """

    records: tuple[models.Base, ...]
    cursors: tuple[str, ...]
    next: str | None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    uses: dict[str, TaskUse] = field(default_factory=dict)


class Listings(Session):
    """A session that lists records that are like something."""

    def like(self, filters: RecordFilters) -> CallGraphQuery:
        """Return the query for filters, the newest first.

        Raises:
            UnknownRecordError: An execution, a task or a value that they name is not recorded.
            AmbiguousIdError: The start of an id stands for several.
        """
        return parse_callgraph_query(CallGraphQuery(self).order_by("time"), filters)

    def listed(
        self, filters: RecordFilters, limit: int, *, page: int = 0, after: str | None = None
    ) -> Listed:
        """Return a page of records, newest first, with what their lines need.

        Raises:
            FilterError: There is no such page.
            UnknownRecordError: An execution, a task or a value that they name is not recorded.
            AmbiguousIdError: The start of an id stands for several.
        """
        self._sweep()
        found = self.like(filters).clone(loading=_with_lines()).page(page, limit, after=after)
        return Listed(
            found.records,
            found.cursors,
            found.next,
            self.status_counts([each.id for each in found if isinstance(each, models.Execution)]),
            self._uses(found),
        )

    def counted(self, filters: RecordFilters) -> list[tuple[str, int]]:
        """Return how many records there are of each kind.

        Raises:
            UnknownRecordError: An execution, a task or a value that they name is not recorded.
            AmbiguousIdError: The start of an id stands for several.
        """
        self._sweep()
        return self.like(filters).count()

    def tagged(self, entity_type: str, entity_id: str) -> Any:
        """Return the record that a tag is on, or None. Any: a row of any table."""
        model = CallGraphQuery.MODEL_CLASSES.get(entity_type)
        return None if model is None else self.get(model, entity_id)

    def status_counts(self, execution_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return how many jobs of executions are in which status, in one statement."""
        counts: dict[str, dict[str, int]] = {each: {} for each in execution_ids}
        if not counts:
            return counts
        job = models.Job
        grouped = self.execute(
            select(job.execution_id, job.state_type, job.cached, func.count())
            .where(job.execution_id.in_(counts))
            .group_by(job.execution_id, job.state_type, job.cached)
            .order_by(job.execution_id, job.state_type, job.cached)
        )
        for execution_id, state_type, cached, number in grouped:
            of_execution = counts[execution_id]
            status = models.status_of(state_type, cached)
            of_execution[status] = of_execution.get(status, 0) + number
        return counts

    def _sweep(self) -> None:
        backend = getattr(self, "backend", None)
        if backend is not None:
            # Runs that died say so before they are counted as running.
            backend.sweep()

    def _uses(self, page: Page) -> dict[str, TaskUse]:
        hashes = [each.hash for each in page if isinstance(each, models.Task)]
        if not hashes:
            return {}
        node = models.CallNode
        rows = self.execute(
            select(node.task_hash, func.count(), func.min(node.timestamp), func.max(node.timestamp))
            .where(node.task_hash.in_(hashes))
            .group_by(node.task_hash)
        )
        return {row[0]: TaskUse(row[1], row[2], row[3]) for row in rows}


def _with_lines() -> dict[str, tuple[Any, ...]]:
    execution, job, node, value = models.Execution, models.Job, models.CallNode, models.Value
    argument = models.Argument
    arguments = subqueryload(node.arguments).joinedload(argument.value)
    of_job = joinedload(job.call_node).subqueryload(node.arguments).joinedload(argument.value)
    return {
        "Execution": (joinedload(execution.job).joinedload(job.task),),
        "Job": (joinedload(job.task), joinedload(job.call_node).joinedload(node.value), of_job),
        "CallNode": (joinedload(node.value), arguments),
        "Value": (joinedload(value.file),),
    }


__all__ = ["Listed", "Listings", "TaskUse"]
