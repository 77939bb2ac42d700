"""Which records are written to a file, in an order that depends on them alone.

By kind and then by id: the same records make the same file, wherever they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, select

from taskgraph_backend import models
from taskgraph_backend.aliases import with_aliases
from taskgraph_backend.moving import ended_executions
from taskgraph_backend.serializers import (
    ENDED,
    TYPES,
    Record,
    RecordSerializer,
    TaskAliasSerializer,
)
from taskgraph_backend.statements import MOST_KEYS
from taskgraph_backend.walking import types_of, walk

if TYPE_CHECKING:
    from taskgraph_backend.reader import Reader


def all_records(session: Reader, running: list[str]) -> Iterator[Record]:
    """Yield all records of a database, but those of executions that have not ended.

    Args:
        session: Where they are.
        running: Filled with the executions that are left out.
    """
    ended_executions(session, running)
    serializer = RecordSerializer()
    for kind in TYPES:
        if kind == "TaskAlias":
            yield from TaskAliasSerializer().fetch_all(session)
            continue
        sub = serializer.get_subserializer(kind)
        for ids in _pages(session, sub.pk, _of_ended(kind)):
            yield from sub.fetch(session, ids)


def _of_ended(kind: str) -> Any:
    """Return what holds for the rows of a kind that are written; None if they all are."""
    ended = models.Execution.state_type.in_(sorted(ENDED))
    if kind == "Execution":
        return ended
    if kind == "Job":
        return models.Job.execution_id.in_(select(models.Execution.id).where(ended))
    if kind == "Tag":
        # Datasets, artifacts and what has not ended stay where they are, and so do their tags.
        job, execution = models.Job, models.Execution
        of_execution = select(execution.id).where(execution.state_type.not_in(sorted(ENDED)))
        of_job = select(job.id).where(job.execution_id.in_(of_execution))
        stays = [select(models.Dataset.id), select(models.Artifact.id), of_execution, of_job]
        return and_(*(models.Tag.entity_id.not_in(each) for each in stays))
    return None


def _pages(session: Reader, column: Any, condition: Any) -> Iterator[Sequence[str]]:
    last = None
    while True:
        query: Select[Any] = select(column).order_by(column).limit(MOST_KEYS)
        if condition is not None:
            query = query.where(condition)
        if last is not None:
            query = query.where(column > last)
        ids = session.scalars(query).all()
        if not ids:
            return
        yield ids
        last = ids[-1]


def records_below(
    session: Reader, root_ids: Sequence[str] | None, running: list[str]
) -> Iterator[Record]:
    """Yield records with all that they name, their tags, and the aliases of their tasks.

    By default those of all executions.

    Args:
        session: Where they are.
        root_ids: The records. One that is a job stands for its execution.
        running: Filled with the executions that are left out, for they have not ended.
    """
    roots = ended_executions(session, running) if root_ids is None else list(root_ids)
    if root_ids is not None:
        roots = _ended_roots(session, roots, running)
    chosen = set(walk(session, roots))
    aliases = with_aliases(session, chosen)
    kinds: dict[str, list[str]] = {kind: [] for kind in TYPES}
    ids = sorted(chosen)
    for start in range(0, len(ids), MOST_KEYS):
        for key, kind in types_of(session, ids[start : start + MOST_KEYS]).items():
            kinds[kind].append(key)
    serializer = RecordSerializer()
    for kind in TYPES:
        if kind == "TaskAlias":
            yield from aliases.records
            continue
        yield from serializer.get_subserializer(kind).fetch(session, sorted(kinds[kind]))


def _ended_roots(session: Reader, roots: Sequence[str], running: list[str]) -> list[str]:
    kinds = types_of(session, roots)
    jobs = [key for key, kind in kinds.items() if kind == "Job"]
    executions = {key for key, kind in kinds.items() if kind == "Execution"}
    executions |= set(
        session.scalars(select(models.Job.execution_id).where(models.Job.id.in_(jobs)))
    )
    found = [key for key, kind in kinds.items() if kind not in {"Job", "Execution"}]
    states = session.execute(
        select(models.Execution.id, models.Execution.state_type).where(
            models.Execution.id.in_(sorted(executions))
        )
    )
    for key, state in states:
        (found if state in ENDED else running).append(key)
    return found
