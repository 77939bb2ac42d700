"""Reading: a session that knows its backend, and questions of a bounded number of statements.

Nothing here unpickles or reads the bytes of values, whatever is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import joinedload

from taskgraph.errors import UnknownRecordError
from taskgraph_backend import models
from taskgraph_backend.compared import Compared
from taskgraph_backend.dataflow.asking import DataflowReader
from taskgraph_backend.earlier import EarlierCalls
from taskgraph_backend.finding import FoundFile, find_file, infer_id, newest_executions
from taskgraph_backend.listing import Listings
from taskgraph_backend.neighbours import Neighbours
from taskgraph_backend.patient import PatientSession
from taskgraph_backend.tagged import Tagged
from taskgraph_backend.watching import Watching

if TYPE_CHECKING:
    from taskgraph_backend.connected import Connected


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """An execution as a list shows it.

    Attributes:
        task: Full name of the root task; None before its job is recorded.
        started: When the root job started, or when the execution was first heard of.
        counts: How many jobs it has by status.
    """

    execution: models.Execution
    task: str | None
    started: datetime
    counts: dict[str, int]

    @property
    def status(self) -> str:
        """RUNNING, FAILED, DONE, PENDING or CANCELLED."""
        return self.execution.status


@dataclass(frozen=True)
class JobTree:
    """All jobs of an execution, by start, and who called whom."""

    jobs: Sequence[models.Job]

    @cached_property
    def _children(self) -> dict[str | None, list[models.Job]]:
        known = {job.id for job in self.jobs}
        found: dict[str | None, list[models.Job]] = {}
        for job in self.jobs:
            # One whose parent is not recorded is a root: a crash may have come in between.
            parent = job.parent_id if job.parent_id in known else None
            found.setdefault(parent, []).append(job)
        return found

    @property
    def roots(self) -> list[models.Job]:
        """The jobs that no other one of the execution called."""
        return self._children.get(None, [])

    def children(self, job: models.Job) -> list[models.Job]:
        """Return the jobs that a job called, by start."""
        return self._children.get(job.id, [])

    def walk(self) -> Iterable[tuple[int, models.Job]]:
        """Give each job with its depth, parents before children; of any depth."""
        stack = [(0, job) for job in reversed(self.roots)]
        while stack:
            depth, job = stack.pop()
            yield depth, job
            stack.extend((depth + 1, child) for child in reversed(self.children(job)))


@dataclass(frozen=True, slots=True)
class UpstreamArgument:
    """An argument of a call and the calls that its value came from."""

    argument: models.Argument
    calls: list[models.CallNode] = field(default_factory=list)


class Reader(
    Compared, DataflowReader, EarlierCalls, Listings, Neighbours, Tagged, Watching, PatientSession
):
    """A session for reading that knows its backend.

    Args:
        backend: A backend; it is loaded if it is not.
        owns_backend: Whether closing this closes the backend as well.
    """

    def __init__(self, backend: Connected, *, owns_backend: bool = False) -> None:
        backend.load()
        super().__init__(backend.create_engine(), autoflush=False)
        self.backend = backend
        self._owns_backend = owns_backend

    def __enter__(self) -> Reader:
        """Return itself, to be closed at the end of the ``with``."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Let go of the connection; objects that were read stay as they are."""
        super().close()
        if self._owns_backend:
            self._owns_backend = False
            self.backend.close()

    def executions(self, limit: int = 50, offset: int = 0) -> list[ExecutionSummary]:
        """Return a page of the executions, newest first, in two statements."""
        self.backend.sweep()
        found = self.scalars(newest_executions().limit(limit).offset(offset)).unique().all()
        counts = self.status_counts([execution.id for execution in found])
        return [
            ExecutionSummary(
                execution,
                None if execution.task is None else execution.task.fullname,
                execution.state_time if execution.job is None else execution.job.start_time,
                counts[execution.id],
            )
            for execution in found
        ]

    def newest_execution(self, number: int = 1) -> models.Execution | None:
        """Return the newest execution, or the second newest and so on."""
        if number < 1:
            return None
        query = newest_executions().limit(1).offset(number - 1)
        found: models.Execution | None = self.scalars(query).unique().first()
        return found

    def job_counts(self, execution_id: str) -> dict[str, dict[str, int]]:
        """Return how many jobs of an execution are in which status, by full name of the task.

        Tasks in the order in which they first started.
        """
        job, task = models.Job, models.Task
        grouped = self.execute(
            select(task.namespace, task.name, job.state_type, job.cached, func.count())
            .join(task, task.hash == job.task_hash)
            .where(job.execution_id == execution_id)
            .group_by(task.namespace, task.name, job.state_type, job.cached)
            .order_by(func.min(job.start_time), task.namespace, task.name)
        )
        counts: dict[str, dict[str, int]] = {}
        for namespace, name, state_type, cached, count in grouped:
            of_task = counts.setdefault(f"{namespace}.{name}" if namespace else name, {})
            status = models.status_of(state_type, cached)
            of_task[status] = of_task.get(status, 0) + count
        return counts

    def job_tree(
        self, execution_id: str, *, arguments: bool = False, limit: int | None = None
    ) -> JobTree:
        """Return all jobs of an execution, with tasks, call nodes and results.

        Args:
            execution_id: Its full id.
            arguments: Whether to load the arguments of the calls, in two statements more.
            limit: At most so many jobs: those that failed, then those that started first.
        """
        job, node = models.Job, models.CallNode
        query = (
            select(job)
            .where(job.execution_id == execution_id)
            .order_by(job.start_time, job.id)
            .options(joinedload(job.task), joinedload(job.call_node).joinedload(node.value))
        )
        if limit is not None:
            # A failure takes its callers with it, so what is left is mostly still one tree.
            chosen = (
                select(job.id)
                .where(job.execution_id == execution_id)
                .order_by(job.state_type.not_in(("FAILED", "CRASHED")), job.start_time, job.id)
                .limit(limit)
            )
            query = query.where(job.id.in_(chosen))
        if arguments:
            query = query.options(
                joinedload(job.call_node)
                .subqueryload(node.arguments)
                .joinedload(models.Argument.value)
            )
        return JobTree(self.scalars(query).unique().all())

    def upstream(
        self, call_node: models.CallNode, execution_id: str | None = None
    ) -> list[UpstreamArgument]:
        """Return the arguments of a call in order, with the calls that they came from.

        Args:
            call_node: The call.
            execution_id: Leave out calls that this execution did not make or reuse: equal values
                let a call name producers of several executions.
        """
        argument, node = models.Argument, models.CallNode
        arguments = self.scalars(
            select(argument)
            .where(argument.call_hash == call_node.call_hash)
            .order_by(argument.arg_position.is_(None), argument.arg_position, argument.arg_key)
            .options(joinedload(argument.value))
        ).all()
        result = models.ArgumentResult
        query = (
            select(result.arg_hash, node)
            .join(node, node.call_hash == result.result_call_hash)
            .join(argument, argument.arg_hash == result.arg_hash)
            .where(argument.call_hash == call_node.call_hash)
            .order_by(node.timestamp.desc(), node.call_hash)
            .options(joinedload(node.task), joinedload(node.value))
        )
        if execution_id is not None:
            job = models.Job
            query = query.where(
                select(literal(1))
                .where(job.call_hash == node.call_hash, job.execution_id == execution_id)
                .exists()
            )
        found = {each.arg_hash: UpstreamArgument(each) for each in arguments}
        for arg_hash, call in self.execute(query).unique():
            found[arg_hash].calls.append(call)
        return list(found.values())

    def origin_of(self, record_id: str) -> str | None:
        """Return where a value, a call or an execution came from that is not trusted."""
        foreign = models.ForeignRecord
        query = select(foreign.origin).where(foreign.id == record_id)
        origin: str | None = self.scalar(query)
        return origin

    def find(self, text: str, *, include_files: bool = True) -> Any:
        """Return the record that a text stands for.

        An id or the unique start of one, ``-`` for the newest execution and ``~2`` for the second
        newest, the name of a task (its newest version), or the path of a file, which gives
        the file, a job that made or used it, and "result" or "arg".

        Args:
            text: What a person typed.
            include_files: Whether a path counts.

        Raises:
            UnknownRecordError: Nothing is recorded under it.
            AmbiguousIdError: More than one record starts so.
        """
        found = infer_id(self, text, include_files=include_files)
        if found is None:
            raise UnknownRecordError(text)
        return found

    def find_file(self, path: str | tuple[str, str]) -> FoundFile | None:
        """Return a file by its path, or by root and path; see `find_file`."""
        return find_file(self, path)

    def known_files(self, most: int) -> list[tuple[str, str]]:
        """Return roots and paths of files that are recorded, each once."""
        columns = (models.File.root, models.File.path)
        rows = self.execute(select(*columns).distinct().order_by(*columns).limit(most))
        return [(root, path) for root, path in rows]


__all__ = ["ExecutionSummary", "JobTree", "Reader", "UpstreamArgument"]
