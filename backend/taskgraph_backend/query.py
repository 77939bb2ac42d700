"""Reading: a session that knows its backend, and questions of a bounded number of statements.

Nothing here unpickles or reads the bytes of values, whatever is listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, joinedload

from taskgraph.errors import AmbiguousIdError, UnknownRecordError
from taskgraph.jsontext import storable
from taskgraph_backend import models
from taskgraph_backend.earlier import EarlierCalls
from taskgraph_backend.neighbours import Neighbours

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

#: What `find` gives for a path: the file, a job that made or used it, "result" or "arg".
FoundFile = tuple[models.File, models.Job, str]

# In this order a prefix is looked up; a task is a value too and counts once, as a task.
_FINDABLE: tuple[tuple[type[models.Base], InstrumentedAttribute[str]], ...] = (
    (models.Execution, models.Execution.id),
    (models.Job, models.Job.id),
    (models.CallNode, models.CallNode.call_hash),
    (models.Task, models.Task.hash),
    (models.Value, models.Value.value_hash),
    (models.Tag, models.Tag.tag_hash),
)
_PREFIX = re.compile(r"[0-9a-f]{1,32}")
_MOST_MATCHES = 5


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


class Reader(EarlierCalls, Neighbours):
    """A session for reading that knows its backend.

    Args:
        backend: A backend; it is loaded if it is not.
        owns_backend: Whether closing this closes the backend as well.
    """

    def __init__(self, backend: SqlBackend, *, owns_backend: bool = False) -> None:
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
        found = self.scalars(_newest().limit(limit).offset(offset)).unique().all()
        counts: dict[str, dict[str, int]] = {execution.id: {} for execution in found}
        job = models.Job
        grouped = self.execute(
            select(job.execution_id, job.state_type, job.cached, func.count())
            .where(job.execution_id.in_(counts))
            .group_by(job.execution_id, job.state_type, job.cached)
        )
        for execution_id, state_type, cached, count in grouped:
            status = models.status_of(state_type, cached)
            of_execution = counts[execution_id]
            of_execution[status] = of_execution.get(status, 0) + count
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
        return self.scalars(_newest().limit(1).offset(number - 1)).unique().first()

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


def like_id(column: InstrumentedAttribute[str], prefix: str) -> ColumnElement[bool]:
    """Return the condition that an id starts with some hex digits: a range of the primary key.

    Raises:
        ValueError: The prefix is not made of 1 to 32 lower-case hex digits.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is not the start of an id")
    return and_(column >= prefix.ljust(32, "0"), column <= prefix.ljust(32, "f"))


def infer_id(session: Session, id: str, include_files: bool = True, required: bool = False) -> Any:
    """Return the record that a text stands for, or None; see `Reader.find`.

    Raises:
        UnknownRecordError: There is none, and it is ``required``.
        AmbiguousIdError: More than one record starts so.
    """
    found: Any = _recent(session, id) or _by_prefix(session, id.lower()) or _by_name(session, id)
    if found is None and include_files:
        found = find_file(session, id)
    if found is None and required:
        raise UnknownRecordError(id)
    return found


def find_file(session: Session, path: str | tuple[str, str]) -> FoundFile | None:
    """Return the newest file of a path with a job that has it as a result, else as an argument.

    A file inside a list or another value counts. Of the jobs of one execution that hand a result
    on, the first to have had it is given: it made the file.

    Args:
        session: Where to look.
        path: The path below its root, or root and path; an absolute path may be recorded below
            the empty root.
    """
    held = _values_with_file(path)
    job, node, argument = models.Job, models.CallNode, models.Argument
    when = func.coalesce(job.end_time, job.start_time)
    newest = session.execute(
        select(held.c.file_hash, job.execution_id)
        .join(node, node.value_hash == held.c.value_hash)
        .join(job, job.call_hash == node.call_hash)
        .group_by(held.c.file_hash, job.execution_id)
        .order_by(func.max(when).desc(), func.min(when).desc(), held.c.file_hash)
        .limit(1)
    ).first()
    if newest is not None:
        file_hash, execution_id = newest
        made = session.execute(
            select(models.File, job)
            .select_from(held)
            .join(node, node.value_hash == held.c.value_hash)
            .join(job, job.call_hash == node.call_hash)
            .join(models.File, models.File.value_hash == held.c.file_hash)
            .where(held.c.file_hash == file_hash, job.execution_id == execution_id)
            .order_by(when, job.start_time.desc(), job.id)
            .limit(1)
        ).one()
        return made[0], made[1], "result"
    used = session.execute(
        select(models.File, job)
        .select_from(held)
        .join(argument, argument.value_hash == held.c.value_hash)
        .join(job, job.call_hash == argument.call_hash)
        .join(models.File, models.File.value_hash == held.c.file_hash)
        .order_by(when.desc(), job.id)
        .limit(1)
    ).first()
    return None if used is None else (used[0], used[1], "arg")


def _values_with_file(path: str | tuple[str, str]) -> Any:
    """The files of a path and all values that hold them, at any depth."""
    file, subvalue = models.File, models.Subvalue
    if isinstance(path, tuple):
        root, inner = path
        wanted = and_(file.path == storable(os.fspath(inner)), file.root == root)
    else:
        wanted = file.path == storable(path)
    held = (
        select(file.value_hash.label("file_hash"), file.value_hash.label("value_hash"))
        .where(wanted)
        .cte("held", recursive=True)
    )
    inner_held = aliased(held)
    return held.union(
        select(inner_held.c.file_hash, subvalue.parent_value_hash).join(
            subvalue, subvalue.value_hash == inner_held.c.value_hash
        )
    )


def _newest() -> Select[models.Execution]:
    execution, job = models.Execution, models.Job
    return (
        select(execution)
        .outerjoin(job, job.id == execution.job_id)
        .order_by(func.coalesce(job.start_time, execution.state_time).desc(), execution.id.desc())
        .options(joinedload(execution.job).joinedload(job.task))
    )


def _recent(session: Session, text: str) -> models.Execution | None:
    if text == "-":
        number = 1
    elif text.startswith("~") and text[1:].isdecimal() and int(text[1:]) > 0:
        number = int(text[1:])
    else:
        return None
    return session.scalars(_newest().limit(1).offset(number - 1)).unique().first()


def _by_prefix(session: Session, prefix: str) -> models.Base | None:
    if not _PREFIX.fullmatch(prefix):
        return None
    found: dict[str, type[models.Base]] = {}
    for model, column in _FINDABLE:
        ids = session.scalars(select(column).where(like_id(column, prefix)).limit(_MOST_MATCHES))
        for each in ids:
            found.setdefault(each, model)
    if len(found) > 1:
        shown = [f"{model.__name__} {each[: len(prefix) + 4]}" for each, model in found.items()]
        raise AmbiguousIdError(prefix, shown[:_MOST_MATCHES])
    for each, model in found.items():
        return session.get(model, each)
    return None


def _by_name(session: Session, text: str) -> models.Task | None:
    namespace, _, name = text.rpartition(".")
    task, node = models.Task, models.CallNode
    newest = select(func.max(node.timestamp)).where(node.task_hash == task.hash).scalar_subquery()
    named = and_(task.name == name, task.namespace == namespace)
    # A bare name will do for a task with a namespace as well.
    wanted = or_(named, task.name == text) if not namespace else named
    return session.scalars(
        select(task)
        .where(wanted)
        .order_by(task.namespace != namespace, newest.desc().nulls_last(), task.hash)
        .limit(1)
    ).first()


__all__ = [
    "ExecutionSummary",
    "FoundFile",
    "JobTree",
    "Reader",
    "UpstreamArgument",
    "find_file",
    "infer_id",
    "like_id",
]
