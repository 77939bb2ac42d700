"""From what is wanted to statements: what each filter means for each kind of record.

Records are looked at by what they belong to:

- an **execution** by its root job (task, arguments, result, status of the job), for files by all of
  its jobs;
- a **job** by itself, its execution and its call;
- a **call** by itself, and by one job of it for which all holds that is asked of jobs and
  executions;
- a **task** by itself, and by such a job or call of it;
- a **value** by the calls that gave it, or gave something that holds it, where tasks and arguments
  are asked for; by those that gave or were given it where only jobs, executions or times are.
  Results and files are asked of itself. Types of values leave out all other kinds.

Conditions are ranges of keys and members of sets that indexes find; a set is made once. No
condition is on the bytes of a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from taskgraph_backend import models
from taskgraph_backend.columns import DateTimeUTC
from taskgraph_backend.finding import is_prefix, like_id
from taskgraph_backend.query.columns import either, one_of, path_is, status_is, tagged_with
from taskgraph_backend.query.criteria import executions_where
from taskgraph_backend.query.filters import Wanted
from taskgraph_backend.query.kinds import MODEL_CLASSES, MODEL_PKS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Conditions = list[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one kind that are wanted.

    Attributes:
        kind: Which kind.
        model: Its class.
        pk: Its primary key.
        when: Its time, for the order and for nothing else.
        conditions: What holds for the rows.
        root: What is joined to an execution: its root job. Any: an alias.
    """

    kind: str
    model: type[models.Base]
    pk: SQLColumnExpression[str]
    when: SQLColumnExpression[datetime]
    conditions: Conditions
    root: Any = None

    def select(self, *columns: Any) -> Select[Any]:
        """Select columns, or the rows themselves. Any: whatever may be selected."""
        query = select(*columns).select_from(self.model)
        if self.root is not None:
            query = query.outerjoin(self.root, self.root.id == models.Execution.job_id)
        return query.where(*self.conditions)


def sources(wanted: Wanted) -> Iterator[Source]:
    """Yield what to select of each kind that is wanted, in the order of the kinds."""
    makers = {
        "Execution": _executions,
        "Job": _jobs,
        "CallNode": _calls,
        "Task": _tasks,
        "Value": _values,
    }
    for kind in MODEL_CLASSES:
        if kind in wanted.types and _may_have_some(wanted, kind):
            yield makers[kind](wanted)


def _may_have_some(wanted: Wanted, kind: str) -> bool:
    """Tell whether there can be any of a kind: only values have types, and only tasks names."""
    if wanted.value_types and kind != "Value":
        return False
    return kind == "Task" or all(
        any(is_prefix(each.lower()) for each in group) for group in wanted.prefixes
    )


# Each kind


def _executions(wanted: Wanted) -> Source:
    execution, root = models.Execution, aliased(models.Job)
    when = func.coalesce(root.start_time, execution.state_time)
    conditions = [
        *_own(wanted, "Execution"),
        *_of_execution(wanted, execution.id, execution),
        *(status_is(execution, each) for each in wanted.statuses),
        *(status_is(root, each) for each in wanted.job_statuses),
        *_of_task(wanted, root.task_hash),
        *_of_arguments(wanted, root.call_hash),
        *_of_results(wanted, root.call_hash),
        *_period(wanted, when),
    ]
    job = aliased(models.Job)
    conditions += [
        execution.id.in_(select(job.execution_id).where(job.call_hash.in_(calls)))
        for calls in _calls_with_files(wanted)
    ]
    return Source("Execution", execution, execution.id, when, conditions, root)


def _jobs(wanted: Wanted) -> Source:
    job = models.Job
    conditions = [
        *_own(wanted, "Job"),
        *_of_job(wanted, job),
        *_of_arguments(wanted, job.call_hash),
        *_of_results(wanted, job.call_hash),
        *(job.call_hash.in_(calls) for calls in _calls_with_files(wanted)),
        *_period(wanted, job.start_time),
    ]
    if wanted.task_names or wanted.task_hashes:
        conditions.append(job.id.in_(_jobs_of_tasks(wanted)))
    return Source("Job", job, job.id, job.start_time, conditions)


def _jobs_of_tasks(wanted: Wanted) -> Any:
    """Select the jobs of tasks by way of their calls: jobs have no index on their task."""
    called, without = aliased(models.Job), aliased(models.Job)
    node = aliased(models.CallNode)
    return union_all(
        select(called.id)
        .join(node, node.call_hash == called.call_hash)
        .where(*_of_task(wanted, node.task_hash)),
        # Those that have no call, because they are on their way or were ended before.
        select(without.id).where(without.call_hash.is_(None), *_of_task(wanted, without.task_hash)),
    )


def _calls(wanted: Wanted) -> Source:
    node, job = models.CallNode, aliased(models.Job)
    conditions = [
        *_own(wanted, "CallNode"),
        *_of_task(wanted, node.task_hash),
        *_of_arguments(wanted, node.call_hash),
        *(one_of(node.value_hash, each) for each in wanted.results),
        *(node.call_hash.in_(calls) for calls in _calls_with_files(wanted)),
        *_period(wanted, node.timestamp),
    ]
    of_job = _of_job(wanted, job)
    if wanted.execution_ids or wanted.execution_tags:
        # Few jobs, by their execution; else it is quicker to look at the jobs of each call.
        conditions.append(node.call_hash.in_(select(job.call_hash).where(*of_job)))
    elif of_job:
        conditions.append(
            select(literal(1)).where(job.call_hash == node.call_hash, *of_job).exists()
        )
    return Source("CallNode", node, node.call_hash, node.timestamp, conditions)


def _tasks(wanted: Wanted) -> Source:
    task, node, job = models.Task, aliased(models.CallNode), aliased(models.Job)
    conditions = [*_own(wanted, "Task"), *_of_task(wanted, task.hash)]
    of_job, of_call = _of_job(wanted, job), _of_call(wanted, node)
    if of_call:
        calls = select(node.task_hash).where(*of_call)
        if of_job:
            calls = calls.join(job, job.call_hash == node.call_hash).where(*of_job)
        conditions.append(task.hash.in_(calls))
    elif of_job:
        conditions.append(task.hash.in_(select(job.task_hash).where(*of_job)))
    if not of_call and _has_period(wanted):
        called = aliased(models.CallNode)
        in_time = _period(wanted, called.timestamp)
        conditions.append(
            select(literal(1)).where(called.task_hash == task.hash, *in_time).exists()
        )
    earlier = aliased(models.CallNode)
    first = (
        select(func.min(earlier.timestamp)).where(earlier.task_hash == task.hash).scalar_subquery()
    )
    when = func.coalesce(first, literal(_EPOCH, DateTimeUTC))
    return Source("Task", task, task.hash, when, conditions)


def _values(wanted: Wanted) -> Source:
    value = models.Value
    conditions = [
        *_own(wanted, "Value"),
        *(one_of(value.type, each) for each in wanted.value_types),
        *(one_of(value.value_hash, each) for each in wanted.results),
    ]
    for patterns in wanted.files:
        files = select(models.File.value_hash).where(path_is(patterns))
        conditions.append(value.value_hash.in_(files))
    touched = _values_of_calls(wanted)
    if touched is not None:
        conditions.append(value.value_hash.in_(touched))
    # The first call that it was seen at: a time that stays, whoever uses it later.
    made, used = aliased(models.CallNode), aliased(models.CallNode)
    argument = aliased(models.Argument)
    seen = union_all(
        select(made.timestamp.label("time"))
        .where(made.value_hash == value.value_hash)
        .correlate(value),
        select(used.timestamp)
        .join(argument, argument.call_hash == used.call_hash)
        .where(argument.value_hash == value.value_hash)
        .correlate(value),
    ).subquery()
    first = select(func.min(seen.c.time)).scalar_subquery()
    when = func.coalesce(first, literal(_EPOCH, DateTimeUTC))
    return Source("Value", value, value.value_hash, when, conditions)


def _values_of_calls(wanted: Wanted) -> Select[Any] | None:
    """Select the values that calls gave (and were given), and what lies in them."""
    node, job = aliased(models.CallNode), aliased(models.Job)
    of_job = _of_job(wanted, job)
    of_maker = [*_of_task(wanted, node.task_hash), *_of_arguments(wanted, node.call_hash)]
    in_time = _period(wanted, node.timestamp)
    if not (of_job or of_maker or in_time):
        return None

    def calls(column: Any) -> Select[Any]:
        query = select(column.label("value_hash")).select_from(node)
        if of_job:
            query = query.join(job, job.call_hash == node.call_hash).where(*of_job)
        return query.where(*of_maker, *in_time)

    touched = [calls(node.value_hash)]
    if not of_maker:
        given = models.Argument
        touched.append(calls(given.value_hash).join(given, given.call_hash == node.call_hash))
    seen = union_all(*touched).cte()
    inside = select(seen.c.value_hash).cte(recursive=True)
    edge = models.Subvalue
    inside = inside.union(
        select(edge.value_hash).join(inside, inside.c.value_hash == edge.parent_value_hash)
    )
    return select(inside.c.value_hash)


# What filters say


def _own(wanted: Wanted, kind: str) -> Iterator[ColumnElement[bool]]:
    pk = MODEL_PKS[MODEL_CLASSES[kind]]
    for ids in wanted.ids:
        yield one_of(pk, ids)
    for prefixes in wanted.prefixes:
        yield either(_starts(kind, each) for each in prefixes)
    for tag in wanted.tags:
        yield pk.in_(tagged_with(kind, tag))


def _starts(kind: str, text: str) -> ColumnElement[bool]:
    pk = MODEL_PKS[MODEL_CLASSES[kind]]
    prefix = text.lower()
    found = like_id(pk, prefix) if is_prefix(prefix) else false()
    return or_(found, _is_named(text)) if kind == "Task" else found


def _is_named(text: str) -> ColumnElement[bool]:
    """Return the condition that a task has a full name, or a bare one."""
    task = models.Task
    namespace, _, name = text.rpartition(".")
    return and_(task.name == name, task.namespace == namespace) if namespace else task.name == text


def _of_task(wanted: Wanted, column: Any) -> Conditions:
    task = models.Task
    named = [
        column.in_(select(task.hash).where(either(map(_is_named, names))).correlate(None))
        for names in wanted.task_names
    ]
    return [*named, *(one_of(column, each) for each in wanted.task_hashes)]


def _of_arguments(wanted: Wanted, call_hash: Any) -> Conditions:
    given = aliased(models.Argument)
    return [
        call_hash.in_(select(given.call_hash).where(one_of(given.value_hash, each)))
        for each in wanted.arguments
    ]


def _of_results(wanted: Wanted, call_hash: Any) -> Conditions:
    node = aliased(models.CallNode)
    return [
        call_hash.in_(select(node.call_hash).where(one_of(node.value_hash, each)))
        for each in wanted.results
    ]


def _calls_with_files(wanted: Wanted) -> Iterator[Any]:
    """Select the calls that gave or were given files, or values that hold them at any depth."""
    for patterns in wanted.files:
        file, edge = models.File, models.Subvalue
        held = select(file.value_hash).where(path_is(patterns)).cte(recursive=True)
        held = held.union(
            select(edge.parent_value_hash).join(held, held.c.value_hash == edge.value_hash)
        )
        node, given = aliased(models.CallNode), aliased(models.Argument)
        yield union_all(
            select(node.call_hash).join(held, held.c.value_hash == node.value_hash),
            select(given.call_hash).join(held, held.c.value_hash == given.value_hash),
        )


def _of_call(wanted: Wanted, node: Any) -> Conditions:
    """Return what is asked of a call by itself: what it was given, gave, and when."""
    asked = [
        *_of_arguments(wanted, node.call_hash),
        *(one_of(node.value_hash, each) for each in wanted.results),
        *(node.call_hash.in_(calls) for calls in _calls_with_files(wanted)),
    ]
    return [*asked, *_period(wanted, node.timestamp)] if asked else []


def _of_job(wanted: Wanted, job: Any) -> Conditions:
    """Return what is asked of one job and its execution."""
    execution = models.Execution
    conditions = [*_of_execution(wanted, job.execution_id, None)]
    for statuses in wanted.execution_statuses:
        of_status = select(execution.id).where(status_is(execution, statuses))
        conditions.append(job.execution_id.in_(of_status))
    conditions += [status_is(job, each) for each in (*wanted.job_statuses, *wanted.statuses)]
    return conditions


def _of_execution(wanted: Wanted, id: Any, row: Any) -> Conditions:
    conditions = [one_of(id, each) for each in wanted.execution_ids]
    conditions += [id.in_(tagged_with("Execution", tag)) for tag in wanted.execution_tags]
    execution = models.Execution
    meant = [executions_where(each) for each in wanted.meant]
    if row is not None:
        conditions += [status_is(row, each) for each in wanted.execution_statuses]
        return conditions + meant
    if meant:
        conditions.append(id.in_(select(execution.id).where(*meant)))
    return conditions


def _has_period(wanted: Wanted) -> bool:
    return wanted.since is not None or wanted.until is not None


def _period(wanted: Wanted, when: Any) -> Conditions:
    conditions = []
    if wanted.since is not None:
        conditions.append(when >= literal(wanted.since, DateTimeUTC))
    if wanted.until is not None:
        conditions.append(when < literal(wanted.until, DateTimeUTC))
    return conditions
