"""What is next to a record: each question is one statement or two, and has a limit.

The relations of `taskgraph_backend.models` answer the same for small neighbourhoods; these are for
a value that a hundred thousand calls gave, and a call with as many children.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, exists, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload

from taskgraph.jsontext import storable
from taskgraph.values.stored import EVICTED
from taskgraph_backend import models
from taskgraph_backend.outside import shown


class Neighbours(Session):
    """A session that knows what is next to a record."""

    def makers(self, value_hash: str, limit: int) -> list[models.CallNode]:
        """Return the calls that gave a value, newest first; else those that gave one holding it.

        A call that was given the value, and only handed it on, did not make it.
        """
        node, subvalue = models.CallNode, models.Subvalue
        made = self._calls(_not_handed_on().where(node.value_hash == value_hash), limit)
        if made:
            return made
        held = _not_handed_on().join(subvalue, subvalue.parent_value_hash == node.value_hash)
        return self._calls(held.where(subvalue.value_hash == value_hash), limit)

    def giving_child(self, call_hash: str, value_hash: str) -> models.CallNode | None:
        """Return the child call that gave a value, if one did."""
        node, edge = models.CallNode, models.CallEdge
        return self.scalars(
            select(node)
            .join(edge, edge.child_id == node.call_hash)
            .where(edge.parent_id == call_hash, node.value_hash == value_hash)
            .order_by(edge.call_order)
            .limit(1)
        ).first()

    def children(self, call_hash: str, limit: int) -> list[models.CallNode]:
        """Return the child calls in order, each once."""
        return self._calls(_children_of(call_hash), limit, by_order=True)

    def parts(self, call_hash: str, value_hash: str, limit: int) -> list[models.CallNode]:
        """Return the child calls whose results lie in a value; all children if none does."""
        node, subvalue = models.CallNode, models.Subvalue
        inside = select(subvalue.value_hash).where(subvalue.parent_value_hash == value_hash)
        query = _children_of(call_hash).where(node.value_hash.in_(inside))
        return self._calls(query, limit, by_order=True) or self.children(call_hash, limit)

    def callers(self, call_hash: str, limit: int) -> list[models.CallNode]:
        """Return the calls that a call is a child of, newest first."""
        node, edge = models.CallNode, models.CallEdge
        parents = select(edge.parent_id).where(edge.child_id == call_hash)
        return self._calls(select(node).where(node.call_hash.in_(parents)), limit)

    def entry_of(self, value_hash: str) -> str | None:
        """Return where a value's bytes are, as it may be shown; None if they are in its row."""
        value = models.Value
        row = self.execute(
            select(value.content_digest, value.size, value.row_size).where(
                value.value_hash == value_hash, value.format != EVICTED
            )
        ).first()
        return None if row is None or row.row_size or not row.size else shown(self, row[0])

    def users(self, value_hash: str, limit: int) -> tuple[list[models.CallNode], int]:
        """Return the calls that had a value, or one that holds it, as an argument.

        Returns:
            The newest of them, and how many there are.
        """
        node, argument, subvalue = models.CallNode, models.Argument, models.Subvalue
        holders = select(subvalue.parent_value_hash).where(subvalue.value_hash == value_hash)
        given = (
            select(argument.call_hash)
            .where(or_(argument.value_hash == value_hash, argument.value_hash.in_(holders)))
            .distinct()
        )
        total = self.scalar(select(func.count()).select_from(given.subquery()))
        return self._calls(select(node).where(node.call_hash.in_(given)), limit), total or 0

    def files_in(self, value_hash: str, limit: int) -> list[models.File]:
        """Return the file that a value stands for, or those that lie in it, by path."""
        file, subvalue = models.File, models.Subvalue
        inside = select(subvalue.value_hash).where(subvalue.parent_value_hash == value_hash)
        return list(
            self.scalars(
                select(file)
                .where(or_(file.value_hash == value_hash, file.value_hash.in_(inside)))
                .order_by(file.path, file.root)
                .limit(limit)
            )
        )

    def paths_under(self, root: str, path: str) -> list[str]:
        """Return the paths of the files that are recorded at a path or below it, sorted.

        Args:
            root: The name of the root.
            path: The path below it; ``.`` is the root itself.
        """
        file, wanted = models.File, storable(path)
        inside = wanted if wanted.endswith("/") else f"{wanted}/"
        query = select(file.path).where(file.root == root).distinct().order_by(file.path)
        if path == ".":
            return list(self.scalars(query))
        below = file.path.startswith(inside, autoescape=True)
        found = self.scalars(query.where(or_(file.path == wanted, below)))
        # LIKE takes upper and lower case for the same in SQLite.
        return [each for each in found if each == wanted or each.startswith(inside)]

    def holds(self, value_hash: str, inner_hash: str) -> bool:
        """Tell whether a value is another one, or holds it."""
        if value_hash == inner_hash:
            return True
        subvalue = models.Subvalue
        found = self.scalar(
            select(literal(1)).where(
                subvalue.parent_value_hash == value_hash, subvalue.value_hash == inner_hash
            )
        )
        return found is not None

    def jobs_of_call(self, call_hash: str, limit: int) -> list[models.Job]:
        """Return the jobs of a call: those that ran it before those that did not, newest first."""
        job = models.Job
        return self._jobs(select(job).where(job.call_hash == call_hash).order_by(job.cached), limit)

    def jobs_of_task(self, task_hash: str, limit: int) -> list[models.Job]:
        """Return the newest jobs of a task."""
        job, node = models.Job, models.CallNode
        calls = select(node.call_hash).where(node.task_hash == task_hash)
        return self._jobs(select(job).where(job.call_hash.in_(calls)), limit)

    def _jobs(self, query: Select[Any], limit: int) -> list[models.Job]:
        job = models.Job
        wanted = query.order_by(job.start_time.desc(), job.id).limit(limit)
        return list(self.scalars(wanted.options(joinedload(job.task), joinedload(job.call_node))))

    def _calls(
        self, query: Select[Any], limit: int, *, by_order: bool = False
    ) -> list[models.CallNode]:
        node = models.CallNode
        order = () if by_order else (node.timestamp.desc(), node.call_hash)
        wanted = query.order_by(*order).limit(limit).options(joinedload(node.value))
        return list(self.scalars(wanted))


def _not_handed_on() -> Select[Any]:
    """Select the calls that were not given what they gave."""
    node, argument = models.CallNode, models.Argument
    given = exists().where(
        and_(argument.call_hash == node.call_hash, argument.value_hash == node.value_hash)
    )
    return select(node).where(~given)


def _children_of(call_hash: str) -> Select[Any]:
    """Select the child calls of a call, each once, in the order in which they were made first."""
    node, edge = models.CallNode, models.CallEdge
    first = (
        select(edge.child_id, func.min(edge.call_order).label("call_order"))
        .where(edge.parent_id == call_hash)
        .group_by(edge.child_id)
        .subquery()
    )
    return select(node).join(first, first.c.child_id == node.call_hash).order_by(first.c.call_order)
