"""What `taskgraph.catalog.criteria` means, as a condition of SQL: all of it, and none in Python.

Each key is one line of a table here, and conditions that other filters have as well are made where
theirs are. A column that is empty fits nothing; what is negated fits it then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from taskgraph.catalog.criteria import All, Any_, Criteria, Leaf, Not
from taskgraph.catalog.rows import QUEUE_TAG
from taskgraph.filters import ANY_VALUE
from taskgraph.jsontext import storable
from taskgraph_backend import models
from taskgraph_backend.columns import DateTimeUTC
from taskgraph_backend.query.columns import either, every, one_of, status_is, tagged_with

_Condition = ColumnElement[bool]
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_UPPER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def executions_where(criteria: Criteria) -> _Condition:
    """Return the condition that an execution is meant."""
    return _condition(criteria, models.Execution, _EXECUTION)


def jobs_where(criteria: Criteria, job: Any) -> _Condition:
    """Return the condition that a job is meant; ``job`` is the class or an alias of it."""
    return _condition(criteria, job, _JOB)


def datasets_where(criteria: Criteria) -> _Condition:
    """Return the condition that a dataset is meant."""
    return _condition(criteria, models.Dataset, _DATASET)


def _condition(criteria: Criteria, row: Any, fields: dict[str, Any]) -> _Condition:
    match criteria:
        case All(parts):
            return every(_condition(each, row, fields) for each in parts)
        case Any_(parts):
            return either(_condition(each, row, fields) for each in parts)
        case Not(part):
            return not_(func.coalesce(_condition(part, row, fields), false()))
        case Leaf(key, operator, value):
            found: _Condition = fields[key](row, operator, value)
            return found
        case _:
            return true()


# One thing that is asked


def _text(column: str) -> Callable[[Any, str, Any], _Condition]:
    def ask(row: Any, operator: str, value: Any) -> _Condition:
        return _of_text(getattr(row, column), operator, value)

    return ask


def _of_text(column: Any, operator: str, value: Any) -> _Condition:
    match operator:
        case "any_":
            return one_of(column, [storable(each) for each in value])
        case "not_any_":
            return not_(func.coalesce(_of_text(column, "any_", value), false()))
        case "like_":
            return _has_part(column, value)
        case _:
            return _is_empty(column, value)


def _is_empty(column: Any, wanted: bool) -> _Condition:
    found: _Condition = column.is_(None) if wanted else column.is_not(None)
    return found


def _has_part(column: Any, part: str) -> _Condition:
    """Return the condition that a text has a part; of Latin letters the case is nothing."""
    pattern = re.sub(r"([\\%_])", r"\\\1", storable(part).translate(_UPPER))
    found: _Condition = func.lower(column).like(f"%{pattern}%", escape="\\")
    return found


def _time(column: str) -> Callable[[Any, str, Any], _Condition]:
    def ask(row: Any, operator: str, value: Any) -> _Condition:
        found = getattr(row, column)
        match operator:
            case "before_":
                return found <= literal(value, DateTimeUTC)  # type: ignore[no-any-return]
            case "after_":
                return found >= literal(value, DateTimeUTC)  # type: ignore[no-any-return]
            case _:
                return _is_empty(found, value)

    return ask


def _key(column: str) -> Callable[[Any, str, Any], _Condition]:
    """Ask for an id: one that is none fits nothing."""

    def ask(row: Any, operator: str, value: Any) -> _Condition:
        found = getattr(row, column)
        match operator:
            case "any_":
                whole = [each.lower() for each in value if _HEX.fullmatch(each.lower())]
                return one_of(found, whole)
            case "not_any_":
                return not_(func.coalesce(ask(row, "any_", value), false()))
            case "like_":
                return _id_has_part(found, value)
            case _:
                return _is_empty(found, value)

    return ask


def _id_has_part(column: Any, part: str) -> _Condition:
    """Return the condition that an id starts with some digits, as people write it."""
    from taskgraph_backend.finding import is_prefix, like_id

    prefix = part.lower()
    return like_id(column, prefix) if is_prefix(prefix) else false()


def _flag(column: str) -> Callable[[Any, str, Any], _Condition]:
    def ask(row: Any, operator: str, value: Any) -> _Condition:
        return getattr(row, column).is_(bool(value))  # type: ignore[no-any-return]

    return ask


def _state_name(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for the name of a state, which is that of its type where there is none."""
    # As `states.name_in_force` has it, but for names that an older library left behind.
    first, rest = func.substr(row.state_type, 1, 1), func.substr(row.state_type, 2)
    own = func.upper(first, type_=Text()) + func.lower(rest, type_=Text())
    return _of_text(func.coalesce(func.nullif(row.state_name, ""), own), operator, value)


def _state_type(row: Any, operator: str, value: Any) -> _Condition:
    return _of_text(row.state_type, operator, value)


def _status(row: Any, operator: str, value: Any) -> _Condition:
    found = status_is(row, value)
    return found if operator == "any_" else not_(found)


def _task_of_execution(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for what is run by the full name of a task, or by what follows the last dot of it."""
    named = [_ends_so(row.entrypoint, each) for each in map(storable, value)]
    found = either(named)
    return found if operator == "any_" else not_(found)


def _ends_so(column: Any, name: str) -> _Condition:
    size = len(name) + 1
    tail = func.substr(column, func.length(column) - size + 1, size)
    is_longer = func.length(column) > len(name)
    return or_(column == name, and_(is_longer, tail == f".{name}"))


def _task_of_job(row: Any, operator: str, value: Any) -> _Condition:
    task = aliased(models.Task)
    full = task.namespace + "." + task.name
    wanted = [storable(each) for each in value]
    named = select(task.hash).where(or_(one_of(task.name, wanted), one_of(full, wanted)))
    found = row.task_hash.in_(named)
    return found if operator == "any_" else not_(found)  # type: ignore[no-any-return]


def _study(row: Any, operator: str, value: Any) -> _Condition:
    if operator == "is_null_":
        return _is_empty(row.study_id, value)
    study = aliased(models.Study)
    if operator == "not_any_":
        return not_(func.coalesce(_study(row, "any_", value), false()))
    named = select(study.id).where(_of_text(study.name, operator, value))
    return row.study_id.in_(named)  # type: ignore[no-any-return]


def is_workflow(flow: Any, wanted: Sequence[str]) -> _Condition:
    """Ask for a workflow by full or bare name, by ``name@version``, or by id."""
    full = flow.namespace + "." + flow.name
    version = "@" + cast(flow.version, Text)
    return or_(
        one_of(flow.name, wanted),
        one_of(full, wanted),
        one_of(flow.name + version, wanted),
        one_of(full + version, wanted),
        _key("id")(flow, "any_", wanted),
    )


def _workflow(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for what is run, by name; by id also for what was deleted since."""
    if operator == "is_null_":
        return _is_empty(row.workflow_id, value)
    if operator == "not_any_":
        return not_(func.coalesce(_workflow(row, "any_", value), false()))
    flow, wanted = aliased(models.Workflow), [storable(each) for each in value]
    named = select(flow.id).where(is_workflow(flow, wanted))
    return or_(row.workflow_id.in_(named), _key("workflow_id")(row, "any_", wanted))


def _group(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for a group, by key; by id also for one that was deleted since."""
    if operator == "is_null_":
        return _is_empty(row.group_id, value)
    if operator == "not_any_":
        return not_(func.coalesce(_group(row, "any_", value), false()))
    group, wanted = aliased(models.ExecutionGroup), [storable(each) for each in value]
    named = select(group.id).where(one_of(group.key, wanted))
    return or_(row.group_id.in_(named), _key("group_id")(row, "any_", wanted))


def _tags(kind: str) -> Callable[[Any, str, Any], _Condition]:
    def ask(row: Any, operator: str, value: Any) -> _Condition:
        if operator == "is_null_":
            tag = aliased(models.Tag)
            some = select(tag.entity_id).where(
                tag.entity_type == kind,
                tag.is_current.is_(True),
                func.substr(tag.key, 1, len("taskgraph.")) != "taskgraph.",
            )
            found: _Condition = row.id.in_(some)
            return not_(found) if value else found
        return _labelled(row, kind, operator, value)

    return ask


def _labelled(row: Any, kind: str, operator: str, tags: Any) -> _Condition:
    each = [row.id.in_(tagged_with(kind, tag)) for tag in tags]
    match operator:
        case "all_":
            return every(each)
        case "any_":
            return either(each)
        case _:
            return not_(either(each))


def _queues(row: Any, operator: str, value: Any) -> _Condition:
    if operator == "is_null_":
        found: _Condition = row.id.in_(tagged_with("Execution", (QUEUE_TAG, ANY_VALUE)))
        return not_(found) if value else found
    return _labelled(row, "Execution", operator, [(QUEUE_TAG, each) for each in value])


def _jobs(row: Any, operator: str, value: Criteria) -> _Condition:
    job = aliased(models.Job)
    meant = jobs_where(value, job)
    return select(literal(1)).where(job.execution_id == row.id, meant).exists()


def _datasets(row: Any, operator: str, value: Criteria) -> _Condition:
    """Ask for a dataset that an execution uses; one that was deleted is known by its name."""
    use, dataset = aliased(models.ExecutionDataset), aliased(models.Dataset)
    found = (
        select(literal(1))
        .select_from(use)
        .outerjoin(dataset, dataset.id == use.dataset_id)
        .where(use.execution_id == row.id, _condition(value, _Used(use, dataset), _USED))
    )
    return found.exists()


class _Used(NamedTuple):
    """A dataset, and how it is used."""

    use: Any
    dataset: Any


def _of_used(name: str) -> Callable[[Any, str, Any], _Condition]:
    """Ask a dataset that is used what any dataset can be asked."""

    def ask(row: _Used, operator: str, value: Any) -> _Condition:
        return _DATASET[name](row.dataset, operator, value)

    return ask


def _facet(row: Any, operator: str, value: Any) -> _Condition:
    """Ask a dataset for facets: of one key any of the values, and that for each of the keys."""
    if operator == "not_any_":
        return not_(either(_has_facet(row, key, each) for key, each in value))
    by_key: dict[str, list[_Condition]] = {}
    for key, each in value:
        by_key.setdefault(key, []).append(_has_facet(row, key, each))
    return every(either(each) for each in by_key.values())


def _has_facet(row: Any, key: str, value: Any) -> _Condition:
    """Ask for a facet of any type, or for ``type.key`` of datasets of that type."""
    found = [row.id.in_(tagged_with("Dataset", (key, value)))]
    for at in (place for place, letter in enumerate(key) if letter == "."):
        kind, rest = key[:at], key[at + 1 :]
        tagged = row.id.in_(tagged_with("Dataset", (rest, value)))
        found.append(and_(row.type == kind, tagged))
    return or_(*found)


def _facet_of_inputs(row: Any, operator: str, value: Any) -> _Condition:
    """Ask an execution for facets of what it reads; of several keys each may be another's."""
    if operator == "not_any_":
        parts = [_reads(row, (each,)) for each in value]
        return not_(either(parts))
    keys = dict.fromkeys(key for key, _ in value)
    return every(_reads(row, tuple(each for each in value if each[0] == key)) for key in keys)


def _reads(row: Any, facets: Any) -> _Condition:
    use, dataset = aliased(models.ExecutionDataset), aliased(models.Dataset)
    found = (
        select(literal(1))
        .select_from(use)
        .join(dataset, dataset.id == use.dataset_id)
        .where(use.execution_id == row.id, use.role == "input", _facet(dataset, "any_", facets))
    )
    return found.exists()


_EXECUTION: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    "id": _key("id"),
    "name": _text("name"),
    "entrypoint": _text("entrypoint"),
    "task": _task_of_execution,
    "status": _status,
    "state.type": _state_type,
    "state.name": _state_name,
    "tags": _tags("Execution"),
    "queues": _queues,
    "study": _study,
    "workspace": _text("workspace"),
    "idempotency_key": _text("idempotency_key"),
    "submitted_by": _text("submitted_by"),
    "code_version": _text("code_version"),
    "workflow": _workflow,
    "group": _group,
    "parent_job": _key("parent_job_id"),
    "created": _time("created_at"),
    "started": _time("start_time"),
    "ended": _time("end_time"),
    "expected_start": _time("expected_start_time"),
    "next_scheduled_start": _time("next_scheduled_start_time"),
    "retracted": _flag("retracted"),
    "jobs": _jobs,
    "datasets": _datasets,
    "facet": _facet_of_inputs,
    "dataset_hash": _key("dataset_hash"),
}
_JOB: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    "id": _key("id"),
    "task": _task_of_job,
    "status": _status,
    "state.type": _state_type,
    "tags": _tags("Job"),
    "started": _time("start_time"),
    "ended": _time("end_time"),
    "cached": _flag("cached"),
}

_DATASET: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    "id": _key("id"),
    "name": _text("name"),
    "type": _text("type"),
    "study": _study,
    "facet": _facet,
    "tags": _tags("Dataset"),
    "value": _key("value_hash"),
    "created": _time("created_at"),
    "updated": _time("updated_at"),
    "read_only": _flag("read_only"),
    "retracted": _flag("retracted"),
}
_USED: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    **{name: _of_used(name) for name in _DATASET},
    # A dataset that was deleted is still known by what it was called.
    "name": lambda row, operator, value: _of_text(
        func.coalesce(row.dataset.name, row.use.name), operator, value
    ),
    "value": lambda row, operator, value: _key("value_hash")(row.use, operator, value),
    "role": lambda row, operator, value: _of_text(row.use.role, operator, value),
}

__all__ = ["datasets_where", "executions_where", "jobs_where"]
