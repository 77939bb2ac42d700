"""What a record owns or names: the edges from records to those that must be there before them.

A call names its task, its values, its child calls and those that its arguments came from; a job
its call, its task and the jobs below; an execution its jobs. Only ids are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph_backend import models
from taskgraph_backend.statements import MOST_KEYS


class ChildEdge(NamedTuple):
    """A record and one that it names, with the type of that one.

    A value that is named as a task, or as a state of a handle, has the type ``Task`` or ``Handle``.
    """

    parent_id: str
    child_type: str
    child_id: str


# Any: the columns of a query, of which some may be null.
def _edges(session: Session, child_type: str, query: Any) -> Iterator[ChildEdge]:
    for parent, child in session.execute(query.distinct()):
        if child is not None and child != parent:
            yield ChildEdge(parent, child_type, child)


def get_value_child_edges(session: Session, ids: Sequence[str]) -> Iterator[ChildEdge]:
    """Yield what values hold, and the states that handles came from."""
    subvalue, edge = models.Subvalue, models.HandleEdge
    for piece in _pieces(ids):
        parent = subvalue.parent_value_hash
        yield from _edges(
            session, "Value", select(parent, subvalue.value_hash).where(parent.in_(piece))
        )
        yield from _edges(
            session,
            "Handle",
            select(edge.child_id, edge.parent_id).where(edge.child_id.in_(piece)),
        )


def get_call_node_child_edges(session: Session, ids: Sequence[str]) -> Iterator[ChildEdge]:
    """Yield the tasks, values and calls that calls name."""
    node, edge, argument = models.CallNode, models.CallEdge, models.Argument
    result, below, context = models.ArgumentResult, models.CallSubtreeTask, models.CallContext
    key = node.call_hash
    for piece in _pieces(ids):
        here = key.in_(piece)
        yield from _edges(session, "Task", select(key, node.task_hash).where(here))
        yield from _edges(session, "Value", select(key, node.value_hash).where(here))
        for entry in (models.Evaluation, models.ForeignEvaluation):
            yield from _edges(
                session,
                "Value",
                select(key, entry.value_hash)
                .join(entry, entry.eval_hash == node.eval_hash)
                .where(here),
            )
        for kind, owner, column in (
            ("Value", argument.call_hash, argument.value_hash),
            ("Task", below.call_hash, below.task_hash),
            ("Value", context.call_hash, context.value_hash),
        ):
            yield from _edges(session, kind, select(owner, column).where(owner.in_(piece)))
        yield from _edges(
            session,
            "CallNode",
            select(edge.parent_id, edge.child_id).where(edge.parent_id.in_(piece)),
        )
        yield from _edges(
            session,
            "CallNode",
            select(argument.call_hash, result.result_call_hash)
            .join(result, result.arg_hash == argument.arg_hash)
            .where(argument.call_hash.in_(piece)),
        )


def get_job_child_edges(session: Session, ids: Sequence[str]) -> Iterator[ChildEdge]:
    """Yield the tasks and calls of jobs, and the jobs below them."""
    job = models.Job
    for piece in _pieces(ids):
        yield from _edges(session, "Task", select(job.id, job.task_hash).where(job.id.in_(piece)))
        yield from _edges(
            session, "CallNode", select(job.id, job.call_hash).where(job.id.in_(piece))
        )
        yield from _edges(
            session, "Job", select(job.parent_id, job.id).where(job.parent_id.in_(piece))
        )


def get_execution_child_edges(session: Session, ids: Sequence[str]) -> Iterator[ChildEdge]:
    """Yield the jobs of executions, their environments and what was frozen when they began."""
    execution, job = models.Execution, models.Job
    for piece in _pieces(ids):
        for column in (execution.environment_hash, execution.snapshot_hash):
            yield from _edges(
                session,
                "Value",
                select(execution.id, column).where(execution.id.in_(piece)),
            )
        yield from _edges(
            session, "Job", select(job.execution_id, job.id).where(job.execution_id.in_(piece))
        )


def get_tag_child_edges(session: Session, ids: Sequence[str]) -> Iterator[ChildEdge]:
    """Yield the tags that tags supersede."""
    edit = models.TagEdit
    for piece in _pieces(ids):
        yield from _edges(
            session,
            "Tag",
            select(edit.child_id, edit.parent_id).where(edit.child_id.in_(piece)),
        )


def get_tag_entity_child_edges(session: Session, ids: Sequence[str]) -> Iterator[ChildEdge]:
    """Yield the tags of records of any kind, those that were superseded too."""
    tag = models.Tag
    for piece in _pieces(ids):
        yield from _edges(
            session, "Tag", select(tag.entity_id, tag.tag_hash).where(tag.entity_id.in_(piece))
        )


_EDGES = {
    "Value": get_value_child_edges,
    # Values too, of which somebody needs to know what they stand for.
    "Task": get_value_child_edges,
    "Handle": get_value_child_edges,
    "CallNode": get_call_node_child_edges,
    "Job": get_job_child_edges,
    "Execution": get_execution_child_edges,
    "Tag": get_tag_child_edges,
}
_OWNERS: tuple[tuple[str, Any], ...] = (
    ("Execution", models.Execution.id),
    ("Job", models.Job.id),
    ("CallNode", models.CallNode.call_hash),
    ("Value", models.Value.value_hash),
    ("Tag", models.Tag.tag_hash),
)


def types_of(session: Session, ids: Iterable[str]) -> dict[str, str]:
    """Return the type of each id that is recorded; a task is a value."""
    found: dict[str, str] = {}
    for piece in _pieces(list(dict.fromkeys(ids))):
        for kind, column in _OWNERS:
            for key in session.scalars(select(column).where(column.in_(piece))):
                found.setdefault(key, kind)
    return found


def edges_of(session: Session, kind: str, ids: Sequence[str]) -> Iterator[ChildEdge]:
    """Yield what records of one kind name, each edge once or more."""
    return _EDGES[kind](session, ids)


def child_edges(session: Session, ids: Iterable[str]) -> Iterator[ChildEdge]:
    """Yield what records of any kind name."""
    kinds = types_of(session, ids)
    for kind in _EDGES:
        wanted = [key for key, found in kinds.items() if found == kind]
        if wanted:
            yield from edges_of(session, kind, wanted)


def walk(session: Session, roots: Iterable[str], *, with_tags: bool = True) -> Iterator[str]:
    """Yield the ids of records and of all that they name, at any depth, each once.

    Those that are nearer to the roots come first. In memory are ids, no records.
    """
    seen: set[bytes] = set()
    level: dict[str, list[str]] = {}
    for key, kind in types_of(session, roots).items():
        seen.add(bytes.fromhex(key))
        level.setdefault(kind, []).append(key)
    while level:
        nearer, level = level, {}
        for kind, ids in nearer.items():
            yield from ids
            for piece in _pieces(ids):
                edges = list(edges_of(session, kind, piece))
                if with_tags:
                    edges += get_tag_entity_child_edges(session, piece)
                for edge in sorted(set(edges)):
                    child = bytes.fromhex(edge.child_id)
                    if child not in seen:
                        seen.add(child)
                        level.setdefault(edge.child_type, []).append(edge.child_id)


def _pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), MOST_KEYS):
        yield ids[start : start + MOST_KEYS]
