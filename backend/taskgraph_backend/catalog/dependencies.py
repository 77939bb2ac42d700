"""The dependency map of an execution: its jobs, and where the arguments of each came from.

By what is recorded of arguments, so that jobs which were taken from the cache are linked as those
that ran were. Nothing here reads the bytes of values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from taskgraph.catalog.rows import DependencyNode, Upstream
from taskgraph.catalog.states import State, StateType, name_in_force
from taskgraph.values.stored import UNSTORED
from taskgraph_backend import models


def nodes(session: Session, execution_id: str) -> list[DependencyNode]:
    """Return the jobs of an execution, what was needed first; in three statements."""
    jobs = _jobs(session, execution_id)
    arguments = _arguments(session, execution_id)
    sources = _sources(session, execution_id)
    made_by: dict[str, list[str]] = defaultdict(list)
    for job, *_ in jobs:
        if job.call_hash is not None:
            made_by[job.call_hash].append(job.id)
    given = {
        call: {value for _, _, value, _ in found.values()} for call, found in arguments.items()
    }
    calls = {job.id: job.call_hash for job, *_ in jobs}
    place = {job.id: at for at, (job, *_) in enumerate(jobs)}
    found = []
    for job, namespace, name, format in jobs:
        around = given.get(calls.get(job.parent_id) or "", set())
        upstream = tuple(
            each
            for key, row in arguments.get(job.call_hash, {}).items()
            for each in _upstream(job.id, row, sources.get(key, ()), made_by, around, place)
        )
        kind = StateType(job.state_type)
        since = job.end_time or job.start_time
        found.append(
            DependencyNode(
                id=job.id,
                task=f"{namespace}.{name}" if namespace else name,
                state=State(kind, name_in_force(kind, job.state_name), since),
                cached=job.cached,
                parent_id=job.parent_id,
                upstream=upstream,
                start_time=job.start_time,
                end_time=job.end_time,
                untrackable_result=format == UNSTORED,
            )
        )
    return _ordered(found)


def _jobs(session: Session, execution_id: str) -> list[Any]:
    job, task, call, value = models.Job, models.Task, models.CallNode, models.Value
    query = (
        select(job, task.namespace, task.name, value.format)
        .join(task, task.hash == job.task_hash)
        .outerjoin(call, call.call_hash == job.call_hash)
        .outerjoin(value, value.value_hash == call.value_hash)
        .where(job.execution_id == execution_id)
        .order_by(job.start_time, job.id)
    )
    return list(session.execute(query).all())


def _calls_of(execution_id: str) -> Any:
    job = aliased(models.Job)
    return select(job.call_hash).where(job.execution_id == execution_id)


def _arguments(session: Session, execution_id: str) -> dict[str, dict[str, Any]]:
    """Return the arguments of all calls: position, name, value and how it is shown."""
    given, value = models.Argument, models.Value
    query = (
        select(
            given.call_hash,
            given.arg_hash,
            given.arg_position,
            given.arg_key,
            given.value_hash,
            value.preview,
        )
        .join(value, value.value_hash == given.value_hash)
        .where(given.call_hash.in_(_calls_of(execution_id)))
        .order_by(given.arg_position.is_(None), given.arg_position, given.arg_key)
    )
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for call_hash, arg_hash, position, name, value_hash, preview in session.execute(query):
        found[call_hash][arg_hash] = (position, name, value_hash, preview)
    return found


def _sources(session: Session, execution_id: str) -> dict[str, list[str]]:
    """Return the calls that each argument came from."""
    given, source = models.Argument, models.ArgumentResult
    query = (
        select(source.arg_hash, source.result_call_hash)
        .join(given, given.arg_hash == source.arg_hash)
        .where(given.call_hash.in_(_calls_of(execution_id)))
        .order_by(source.arg_hash, source.result_call_hash)
    )
    found: dict[str, list[str]] = defaultdict(list)
    for arg_hash, call_hash in session.execute(query):
        found[arg_hash].append(call_hash)
    return found


def _upstream(
    job_id: str,
    row: Any,
    sources: Iterable[str],
    made_by: dict[str, list[str]],
    around: set[str],
    place: dict[str, int],
) -> Iterator[Upstream]:
    """Yield each job that an argument came from; for one that came from none, what it is."""
    position, name, value_hash, preview = row
    argument = str(position) if name is None else name
    # Of equal calls the first one gave the result; a job is never its own source.
    giving = (
        next((each for each in made_by.get(call, ()) if each != job_id), None) for call in sources
    )
    givers = {each for each in giving if each is not None}
    if not givers:
        kind = "parameter" if value_hash in around else "constant"
        yield Upstream(argument, kind, None, value_hash, preview)
    for giver in sorted(givers, key=place.__getitem__):
        yield Upstream(argument, "job", giver, value_hash, preview)


def _ordered(found: list[DependencyNode]) -> list[DependencyNode]:
    """Return nodes so that what gave arguments comes first; else by start, as they are given."""
    place = {node.id: at for at, node in enumerate(found)}
    needs = {node.id: {each for each in node.upstream_jobs if each in place} for node in found}
    followers: dict[str, list[str]] = defaultdict(list)
    for id, needed in needs.items():
        for each in needed:
            followers[each].append(id)
    ready = [place[id] for id, needed in needs.items() if not needed]
    heapify(ready)
    ordered = []
    while ready:
        node = found[heappop(ready)]
        ordered.append(node)
        for id in followers[node.id]:
            needs[id].discard(node.id)
            if not needs[id]:
                heappush(ready, place[id])
    # Damaged records may go round in a circle: nothing is left out for that.
    seen = {node.id for node in ordered}
    return [*ordered, *(node for node in found if node.id not in seen)]


__all__ = ["nodes"]
