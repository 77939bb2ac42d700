"""What explanations ask: earlier calls of a task, their arguments, and the code that they ran.

All answers are plain rows, for many calls at once; the number of statements depends on how many
calls are asked about, never on how long the history is. Nothing here unpickles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    Integer,
    Select,
    and_,
    column,
    func,
    literal,
    select,
    tuple_,
    union_all,
    values,
)
from sqlalchemy.orm import Session, joinedload

from taskgraph.hashing import ContentDigest, ValueHash
from taskgraph.records import StoredResult
from taskgraph.values.valuestore import locate
from taskgraph_backend import models
from taskgraph_backend.columns import Hash16
from taskgraph_backend.outside import store_of
from taskgraph_backend.statements import MOST_KEYS

Key = TypeVar("Key")

_OWN_NAMESPACE = "taskgraph"


class KnownCall(NamedTuple):
    """A call as it is recorded; ``type`` and ``format`` are those of its result."""

    call_hash: str
    eval_hash: str
    task_name: str
    task_hash: str
    args_hash: str
    value_hash: str
    timestamp: datetime
    type: str
    format: str


class KnownArgument(NamedTuple):
    """An argument of a call, by the hash of its value."""

    call_hash: str
    position: int | None
    key: str | None
    value_hash: str


class KnownJob(NamedTuple):
    """A job with the code and the key of its call."""

    id: str
    execution_id: str
    parent_id: str | None
    task_name: str
    task_hash: str
    eval_hash: str | None
    call_hash: str | None
    args_hash: str | None
    start_time: datetime
    end_time: datetime | None
    cached: bool
    state: str
    miss: str | None


class KnownPart(NamedTuple):
    """A part of a task's code, without its text."""

    task_hash: str
    part_hash: str
    kind: str
    name: str


class Giver(NamedTuple):
    """A call whose result is, or lies in, an argument of a call, and its job in an execution."""

    call_hash: str
    position: int | None
    key: str | None
    giver_hash: str
    task_name: str
    job_id: str
    cached: bool


class EarlierCalls(Session):
    """A session that knows what was called before."""

    def task_versions(self, fullname: str, limit: int) -> list[str]:
        """Return the hashes of a task's code at different times, that of the newest call first."""
        task, node = models.Task, models.CallNode
        namespace, _, name = fullname.rpartition(".")
        newest = (
            select(node.timestamp)
            .where(node.task_hash == task.hash)
            .order_by(node.timestamp.desc())
            .limit(1)
            .scalar_subquery()
        )
        return list(
            self.scalars(
                select(task.hash)
                .where(task.name == name, task.namespace == namespace)
                .order_by(newest.desc().nulls_last(), task.hash)
                .limit(limit)
            )
        )

    def calls_by_key(self, eval_hashes: Sequence[str], before: datetime) -> list[KnownCall]:
        """Return the calls of cache keys that were made before a time, newest first."""
        node = models.CallNode
        found: list[KnownCall] = []
        for piece in _pieces(eval_hashes):
            query = _calls().where(node.eval_hash.in_(piece), node.timestamp < before)
            found += map(_call, self.execute(query))
        return sorted(found, key=lambda each: each.timestamp, reverse=True)

    def newest_calls(
        self, task_hashes: Sequence[str], before: datetime, limit: int
    ) -> list[KnownCall]:
        """Return the newest calls of any of these versions of a task, made before a time."""
        if not task_hashes:
            return []
        node = models.CallNode
        # One seek into the index for each version, however many calls it has.
        each_newest = [
            select(
                select(node.call_hash.label("call_hash"))
                .where(node.task_hash == task_hash, node.timestamp < before)
                .order_by(node.timestamp.desc())
                .limit(limit)
                .subquery()
            )
            for task_hash in task_hashes
        ]
        newest = union_all(*each_newest).subquery()
        query = _calls().where(node.call_hash.in_(select(newest.c.call_hash)))
        rows = self.execute(query.order_by(node.timestamp.desc(), node.call_hash).limit(limit))
        return list(map(_call, rows))

    def calls_at(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], KnownCall]:
        """Return the child calls that calls made at a position in their order."""
        node, edge = models.CallNode, models.CallEdge
        found: dict[tuple[str, int], KnownCall] = {}
        for piece in _pieces(places):
            # Not `(parent_id, call_order) IN (...)`: for that SQLite reads all edges.
            wanted = (
                values(column("parent_id", Hash16), column("call_order", Integer), name="wanted")
                .data(piece)
                .cte()
            )
            query = (
                _calls()
                .join(edge, edge.child_id == node.call_hash)
                .join(
                    wanted,
                    and_(
                        wanted.c.parent_id == edge.parent_id,
                        wanted.c.call_order == edge.call_order,
                    ),
                )
                .add_columns(edge.parent_id, edge.call_order)
            )
            for row in self.execute(query):
                *fields, parent, order = row
                found[parent, order] = KnownCall(*fields)
        return found

    def orders_in(self, edges: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Return at which position of a call's order a child call stands first."""
        edge = models.CallEdge
        found: dict[tuple[str, str], int] = {}
        for piece in _pieces(edges):
            query = (
                select(edge.parent_id, edge.child_id, func.min(edge.call_order))
                .where(tuple_(edge.child_id, edge.parent_id).in_([(c, p) for p, c in piece]))
                .group_by(edge.parent_id, edge.child_id)
            )
            found.update({(parent, child): order for parent, child, order in self.execute(query)})
        return found

    def calls_made_in(self, execution_id: str, call_hashes: Sequence[str]) -> set[str]:
        """Return those of some calls that an execution made or reused."""
        node, job = models.CallNode, models.Job
        found: set[str] = set()
        for piece in _pieces(call_hashes):
            is_made = (
                select(literal(1))
                .where(job.call_hash == node.call_hash, job.execution_id == execution_id)
                .exists()
            )
            found |= set(
                self.scalars(select(node.call_hash).where(node.call_hash.in_(piece), is_made))
            )
        return found

    def arguments_of(self, call_hashes: Sequence[str]) -> dict[str, list[KnownArgument]]:
        """Return the arguments of calls in their order; a call without any is in it as well."""
        argument = models.Argument
        found: dict[str, list[KnownArgument]] = {each: [] for each in call_hashes}
        for piece in _pieces(call_hashes):
            query = select(
                argument.call_hash, argument.arg_position, argument.arg_key, argument.value_hash
            ).where(argument.call_hash.in_(piece))
            for row in self.execute(query):
                found[row[0]].append(KnownArgument(*row))
        for arguments in found.values():
            arguments.sort(key=_place)
        return found

    def givers_of(
        self, call_hashes: Sequence[str], execution_id: str, limit: int
    ) -> dict[str, list[Giver]]:
        """Return the calls of an execution that the arguments of calls came from."""
        argument, result = models.Argument, models.ArgumentResult
        node, job = models.CallNode, models.Job
        found: dict[str, list[Giver]] = {}
        for piece in _pieces(call_hashes):
            query = (
                select(
                    argument.call_hash,
                    argument.arg_position,
                    argument.arg_key,
                    node.call_hash,
                    node.task_name,
                    job.id,
                    job.cached,
                )
                .join(result, result.arg_hash == argument.arg_hash)
                .join(node, node.call_hash == result.result_call_hash)
                .join(job, job.call_hash == node.call_hash)
                .where(argument.call_hash.in_(piece), job.execution_id == execution_id)
                .order_by(job.cached, job.start_time, job.id)
                .limit(limit)
            )
            for row in self.execute(query):
                found.setdefault(row[0], []).append(Giver(*row))
        return found

    def parts_of(self, task_hashes: Sequence[str]) -> dict[str, list[KnownPart]]:
        """Return the parts of the code of tasks, without their texts."""
        part, link = models.Part, models.TaskPart
        found: dict[str, list[KnownPart]] = {each: [] for each in task_hashes}
        for piece in _pieces(task_hashes):
            query = (
                select(link.task_hash, part.part_hash, part.kind, part.name)
                .join(part, part.part_hash == link.part_hash)
                .where(link.task_hash.in_(piece))
            )
            for row in self.execute(query):
                found[row[0]].append(KnownPart(*row))
        return found

    def texts_of_parts(self, part_hashes: Sequence[str]) -> dict[str, str]:
        """Return the text or preview of parts."""
        part = models.Part
        found: dict[str, str] = {}
        for piece in _pieces(part_hashes):
            query = select(part.part_hash, part.source).where(part.part_hash.in_(piece))
            found.update((key, source) for key, source in self.execute(query))
        return found

    def sources_of(self, task_hashes: Sequence[str]) -> dict[str, str]:
        """Return the text of the functions of tasks."""
        task = models.Task
        found: dict[str, str] = {}
        for piece in _pieces(task_hashes):
            query = select(task.hash, task.source).where(task.hash.in_(piece))
            found.update((key, source) for key, source in self.execute(query))
        return found

    def values_of(self, value_hashes: Sequence[str]) -> dict[str, models.Value]:
        """Return values with the files that they stand for, without their bytes."""
        value = models.Value
        found: dict[str, models.Value] = {}
        for piece in _pieces(value_hashes):
            query = select(value).where(value.value_hash.in_(piece))
            for each in self.scalars(query.options(joinedload(value.file))):
                found[each.value_hash] = each
        return found

    def trusted_values(
        self, value_hashes: Sequence[str], most_bytes: int
    ) -> dict[str, StoredResult]:
        """Return the stored form of those values that may be decoded and are not too large."""
        value = models.Value
        found: dict[str, StoredResult] = {}
        for piece in _pieces(value_hashes):
            query = select(
                value.value_hash, value.type, value.format, value.value, value.content_digest
            ).where(value.value_hash.in_(piece), value.trusted, value.size <= most_bytes)
            for key, type_name, format, content, hex_digits in self.execute(query):
                digest = ContentDigest(hex_digits)
                located = locate(content, digest, store_of(self))
                found[key] = StoredResult(ValueHash(key), type_name, format, located, digest)
        return found

    def started(self, execution_id: str) -> datetime | None:
        """Return when the first job of an execution started."""
        job = models.Job
        return self.scalar(select(func.min(job.start_time)).where(job.execution_id == execution_id))

    def past_jobs(self, job_ids: Sequence[str]) -> dict[str, KnownJob]:
        """Return jobs by their ids."""
        found: dict[str, KnownJob] = {}
        for piece in _pieces(job_ids):
            for row in self.execute(_jobs().where(models.Job.id.in_(piece))):
                found[row[0]] = _job(row)
        return found

    def missed_jobs(
        self, execution_id: str, limit: int, task_name: str | None = None
    ) -> list[KnownJob]:
        """Return the first jobs of an execution that ran, by start; of one task if it is named.

        Those of the library's own tasks are left out: they are stepped through in each run.
        """
        job, task = models.Job, models.Task
        query = _jobs().where(
            job.execution_id == execution_id, ~job.cached, task.namespace != _OWN_NAMESPACE
        )
        if task_name is not None:
            namespace, _, name = task_name.rpartition(".")
            query = query.where(task.name == name, task.namespace == namespace)
        return list(map(_job, self.execute(query.order_by(job.start_time, job.id).limit(limit))))

    def missed_below(self, job_id: str, limit: int) -> list[KnownJob]:
        """Return the jobs below a job, at any depth, that ran; the first by start."""
        job = models.Job
        below = select(job.id.label("id")).where(job.parent_id == job_id).cte(recursive=True)
        below = below.union_all(select(job.id).join(below, job.parent_id == below.c.id))
        query = _jobs().where(
            job.id.in_(select(below.c.id)), ~job.cached, models.Task.namespace != _OWN_NAMESPACE
        )
        return list(map(_job, self.execute(query.order_by(job.start_time, job.id).limit(limit))))

    def newest_job(self, task_name: str, limit: int) -> KnownJob | None:
        """Return the newest job of a task; of its newest execution, one that ran before others.

        Args:
            task_name: The full name of the task.
            limit: How many of its versions and of their newest calls to look at.
        """
        job = models.Job
        versions = self.task_versions(task_name, limit)
        calls = self.newest_calls(versions, datetime.max.replace(tzinfo=UTC), limit)
        # A call that is reused again and again is old: its jobs say when it was wanted last.
        newest = (
            select(job.execution_id)
            .where(job.call_hash.in_([each.call_hash for each in calls]))
            .order_by(job.start_time.desc())
            .limit(1)
            .scalar_subquery()
        )
        query = _jobs().where(job.execution_id == newest, job.task_hash.in_(versions))
        row = self.execute(query.order_by(job.cached, job.start_time, job.id).limit(1)).first()
        return None if row is None else _job(row)

    def jobs_that_ran(self, eval_hash: str, until: datetime) -> KnownJob | None:
        """Return the newest job that ran a call of a cache key, started until a time."""
        job, node = models.Job, models.CallNode
        query = _jobs().where(
            and_(node.eval_hash == eval_hash, ~job.cached, job.start_time <= until)
        )
        row = self.execute(query.order_by(job.start_time.desc(), job.id).limit(1)).first()
        return None if row is None else _job(row)


def _place(argument: KnownArgument) -> tuple[bool, int, str]:
    return argument.position is None, argument.position or 0, argument.key or ""


def _calls() -> Select[*tuple[Any, ...]]:
    node, value = models.CallNode, models.Value
    return select(
        node.call_hash,
        node.eval_hash,
        node.task_name,
        node.task_hash,
        node.args_hash,
        node.value_hash,
        node.timestamp,
        value.type,
        value.format,
    ).join(value, value.value_hash == node.value_hash)


def _call(row: Sequence[Any]) -> KnownCall:
    return KnownCall(*row)


def _jobs() -> Select[*tuple[Any, ...]]:
    job, task, node = models.Job, models.Task, models.CallNode
    return (
        select(
            job.id,
            job.execution_id,
            job.parent_id,
            task.namespace,
            task.name,
            job.task_hash,
            job.eval_hash,
            job.call_hash,
            node.args_hash,
            job.start_time,
            job.end_time,
            job.cached,
            job.state_type,
            job.miss,
        )
        .join(task, task.hash == job.task_hash)
        .outerjoin(node, node.call_hash == job.call_hash)
    )


def _job(row: Sequence[Any]) -> KnownJob:
    id, execution, parent, namespace, name, *others = row
    return KnownJob(id, execution, parent, f"{namespace}.{name}" if namespace else name, *others)


def _pieces(keys: Iterable[Key]) -> list[list[Key]]:
    every = list(dict.fromkeys(keys))
    return [every[start : start + MOST_KEYS] for start in range(0, len(every), MOST_KEYS)]


__all__ = ["EarlierCalls", "Giver", "KnownArgument", "KnownCall", "KnownJob", "KnownPart"]
