"""Groups of executions are found, listed and counted; in a bounded number of statements."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.group_rows import ExecutionGroup, GroupStats
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import ACTIVE
from taskgraph.catalog.writing import F
from taskgraph.errors import AmbiguousIdError
from taskgraph.tasks.names import join_name
from taskgraph_backend import models
from taskgraph_backend.catalog import listing
from taskgraph_backend.catalog.workflow_lists import fullname_is
from taskgraph_backend.finding import is_prefix, like_id
from taskgraph_backend.query.group_criteria import groups_where, newest_of

_SHOWN: Final = 5
_MOST_SLASHES: Final = 50
_AT_ONCE: Final = 900


def look_up(session: Session, ref: str) -> ExecutionGroup | None:
    """Return a group by key, by ``workflow/key``, by id or unique start of one.

    Of versions of one workflow the promoted one is meant, or else the highest.

    Raises:
        AmbiguousIdError: More than one is meant.
    """
    row, flow = models.ExecutionGroup, models.Workflow
    # Names of workflows may have slashes, and so may keys.
    places = [place for place, each in enumerate(ref) if each == "/"][:_MOST_SLASHES]
    named = [
        row.key == ref,
        *(and_(row.key == ref[each + 1 :], fullname_is(ref[:each])) for each in places),
    ]
    query = _select().where(or_(*named)).order_by(flow.promoted.desc(), flow.version.desc())
    found = session.execute(query).all()
    if len({(each.namespace, each.name) for each in found}) == 1:
        found = found[:1]  # of versions of one workflow
    elif not found and is_prefix(ref.lower()):
        found = session.execute(_select().where(like_id(row.id, ref.lower())).limit(_SHOWN)).all()
    if len(found) > 1:
        raise AmbiguousIdError(ref, [each[0].id[:12] for each in found[:_SHOWN]])
    return _group(found[0]) if found else None


def page(
    session: Session,
    where: Criteria,
    *,
    is_successful: bool,
    include_superseded: bool,
    limit: int | None,
    offset: int,
) -> list[tuple[ExecutionGroup, Execution | None]]:
    """Return groups by workflow and key, each with its newest execution; in three statements."""
    row, flow = models.ExecutionGroup, models.Workflow
    newest = newest_of(row, models.Execution.id, is_successful=is_successful).label("newest_id")
    query = _meant(_select(newest), where, include_superseded)
    query = query.order_by(flow.namespace, flow.name, flow.version, row.key, row.id)
    rows = session.execute(query.limit(limit).offset(offset)).all()
    ids = [each.newest_id for each in rows if each.newest_id is not None]
    known = _executions(session, ids)
    return [(_group(each), known.get(each.newest_id)) for each in rows]


def count(session: Session, where: Criteria, *, include_superseded: bool) -> int:
    """Return how many groups there are, in one statement."""
    row, flow = models.ExecutionGroup, models.Workflow
    query: Select[Any] = (
        select(func.count()).select_from(row).join(flow, flow.id == row.workflow_id)
    )
    return int(session.execute(_meant(query, where, include_superseded)).scalar_one())


def stats(session: Session, by: list[str]) -> list[GroupStats]:
    """Return the numbers of groups of promoted versions, in one statement."""
    row, flow = models.ExecutionGroup, models.Workflow
    columns = {"namespace": flow.namespace, "workflow": flow.name}
    wanted = [columns[each] for each in by]
    state = newest_of(row, models.Execution.state_type)
    each_group = (
        select(*wanted, row.dirty, state.label("state"))
        .select_from(row)
        .join(flow, flow.id == row.workflow_id)
        .where(flow.promoted.is_(True))
        .subquery()
    )
    told = [each_group.c[each.key] for each in wanted]
    active = each_group.c.state.in_(sorted(each.value for each in ACTIVE))
    done = each_group.c.state == "COMPLETED"
    numbers = (
        _number(active),
        _number(each_group.c.state.in_(["FAILED", "CRASHED", "CANCELLED"])),
        _number(done),
        _number(each_group.c.state.is_(None)),
        _number(each_group.c.dirty.is_(True)),
        func.count(),
    )
    query = select(*told, *numbers).select_from(each_group).group_by(*told).order_by(*told)
    found = []
    for each in session.execute(query):
        names = dict(zip(by, each, strict=False))
        running, failed, successful, fresh, dirty, total = each[len(by) :]
        found.append(
            GroupStats(
                names.get("namespace"),
                names.get("workflow"),
                running or 0,
                failed or 0,
                successful or 0,
                fresh or 0,
                dirty or 0,
                total,
            )
        )
    return found


def _number(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


def _meant(query: Select[Any], where: Criteria, include_superseded: bool) -> Select[Any]:
    query = query.where(groups_where(where))
    return query if include_superseded else query.where(models.Workflow.promoted.is_(True))


def _select(*others: Any) -> Select[Any]:
    row, flow = models.ExecutionGroup, models.Workflow
    query: Select[Any] = select(row, flow.namespace, flow.name, flow.version, *others)
    return query.join(flow, flow.id == row.workflow_id)


def _executions(session: Session, ids: list[str]) -> dict[str, Execution]:
    order = listing.Order("id", descending=False)
    found: dict[str, Execution] = {}
    for start in range(0, len(ids), _AT_ONCE):
        piece = ids[start : start + _AT_ONCE]
        for each in listing.page(session, F.id(*piece), order, len(piece), 0, None):
            found[each.id] = each
    return found


def _group(found: Any) -> ExecutionGroup:
    row, namespace, name, version = found[:4]
    return ExecutionGroup(
        id=row.id,
        workflow_id=row.workflow_id,
        workflow=join_name(namespace, name),
        version=version,
        key=row.key,
        selectors=row.selectors,
        dirty=row.dirty,
        dirty_reason=row.dirty_reason,
        planned_dataset_hash=row.planned_dataset_hash,
        recompute=row.recompute,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


__all__ = ["count", "look_up", "page", "stats"]
