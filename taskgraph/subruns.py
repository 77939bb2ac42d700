"""`subrun`: a workflow within a workflow, with a scheduler of its own on some executor.

The scheduler there writes its calls down by itself, below the job of the `subrun`; the one here
learns what it needs to know of them to use no result that they do not allow.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from taskgraph.app import Scheduler, get_current_scheduler
from taskgraph.assembly.databases import database_uri
from taskgraph.config import Settings, load_settings
from taskgraph.errors import SchedulerError
from taskgraph.expression import QuotedExpression, TaskExpression, find_expressions
from taskgraph.records import ExecutionId, JobId
from taskgraph.tags import OwnTags
from taskgraph.tasks.context import RECOVERED
from taskgraph.tasks.decorator import scheduler_task, task
from taskgraph.tasks.partial import PartialTask
from taskgraph.tasks.registry import get_task_registry
from taskgraph.tasks.requests import AddMade, AskStanding, Made, Standing
from taskgraph.tasks.standing import JobInfo
from taskgraph.tasks.task import Task
from taskgraph.values import walk


@dataclass(frozen=True, slots=True)
class _Order:
    """What another scheduler is told.

    Attributes:
        settings: Its settings.
        db_uri: Its database.
        load_modules: What it imports first.
        job_id: The job that its calls are below; None if they are an execution of their own.
        execution_id: That job's execution.
        standing: What its calls read and are handed, and how the run here is carried out.
    """

    settings: Settings
    db_uri: str = field(repr=False)  # there may be a password in it
    load_modules: Sequence[str]
    job_id: JobId | None
    execution_id: ExecutionId
    standing: Standing


T = TypeVar("T")

_JOB = JobInfo()  # replaced by the real one


@scheduler_task(namespace="taskgraph", version="1")
def subrun(
    expr: T,
    executor: Any = "processes",
    config_dir: Any = None,
    new_execution: Any = False,
    load_modules: Any = (),
    job: JobInfo = _JOB,
    **options: Any,
) -> Generator[Any, Any, T]:
    """Evaluate an expression with another scheduler, which an executor runs as one call.

    That takes the work of scheduling many calls to another process or machine. Its results are
    cached and recorded call by call, below this one, as if they had been made here.

    Args:
        expr: Any nested value of expressions.
        executor: Which executor runs the scheduler; its own calls run where their tasks say.
        config_dir: The folder of its settings and its database, by default those of this run.
        new_execution: Whether it is an execution of its own, with this one's id as the tag
            ``taskgraph.parent_execution``.
        load_modules: Modules to import there first, besides those of the tasks in the expression.
        job: Where this stands; given by itself.
        options: More options of that one call, as ``timeout`` or ``memory``.

    Raises:
        Exception: That of a call that failed.
        SchedulerError: The database is in memory, and nobody else can open it.
    """
    named = yield [executor, config_dir, new_execution, load_modules, options]
    executor, config_dir, new_execution, load_modules, options = named
    standing = yield AskStanding()
    settings, uri = _place(config_dir)
    is_apart = new_execution or config_dir is not None or not standing.is_recorded
    order = _Order(
        settings,
        uri,
        (*load_modules, *_modules_of(expr)),
        None if is_apart else JobId(job.job_id),
        ExecutionId(job.execution_id),
        standing,
    )
    elsewhere = _run_elsewhere.options(**{**options, "executor": executor, "prov": False})
    value: T
    made, value = yield elsewhere(QuotedExpression(expr), order)
    if config_dir is not None or not standing.is_recorded:
        # Nothing here tells whether the code of its calls is what it was.
        made = Made(made.job_id, None, made.is_cached, frozenset(), frozenset([RECOVERED]))
    yield AddMade(made)
    return value


def _place(config_dir: str | Path | None) -> tuple[Settings, str]:
    """Return the settings and the database of the scheduler elsewhere."""
    if config_dir is not None:
        settings = load_settings(Path(config_dir).absolute())
        uri = database_uri(settings)
    else:
        scheduler = get_current_scheduler()
        assert scheduler is not None
        settings = scheduler.settings
        uri = getattr(scheduler.backend, "db_uri", "")
    if not uri or ":memory:" in uri or uri == "sqlite://":
        raise SchedulerError(
            "A subrun writes to the same database from another process, and this one is in memory. "
            "Give the scheduler settings with a file: Scheduler(load_settings())."
        )
    return settings, uri


def _modules_of(expr: Any) -> list[str]:
    """Return the modules that define the tasks in an expression."""
    found: dict[str, None] = {}
    seen: set[int] = set()
    stack = find_expressions(expr)
    while stack:
        each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        for given in each._inputs():
            stack += find_expressions(given)
            for named in _tasks_in(given):
                found[named.func.__module__] = None
        # A call that was read from the records knows its task by name.
        task = (
            get_task_registry().find(each.task_name) if isinstance(each, TaskExpression) else None
        )
        if task is not None:
            found[task.func.__module__] = None
    found.pop("__main__", None)  # which workers load by themselves
    return list(found)


def _tasks_in(value: Any) -> Iterator[Task[..., Any]]:
    """Yield the tasks that are given as values."""
    for each, _ in walk.each_inside(value):
        given = each.task if isinstance(each, PartialTask) else each
        if isinstance(given, Task) and given.is_defined:
            yield given


@task(namespace="taskgraph", name="run_elsewhere", version="1")
def _run_elsewhere(expr: QuotedExpression[Any], order: _Order) -> tuple[Made, Any]:
    for name in order.load_modules:
        importlib.import_module(name)
    standing = order.standing
    options = dict(standing.run_options)
    if not standing.is_recorded:
        options["prov"] = False
    with Scheduler(order.settings, backend=order.db_uri) as scheduler:
        found = scheduler.extend_run(
            expr.eval(),
            order.job_id,
            cache=standing.use_cache,
            context=standing.context,
            exported=standing.exported,
            options=options,
            fail_fast=standing.fail_fast,
            tags=()
            if order.job_id
            else OwnTags([("taskgraph.parent_execution", order.execution_id)]),
        )
    return found.made, found.value
