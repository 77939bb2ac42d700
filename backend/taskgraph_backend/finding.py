"""From what a person typed to the record that is meant: an id, its start, a name, a path.

Nothing here unpickles or reads the bytes of values.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, joinedload

from taskgraph.errors import AmbiguousIdError, UnknownRecordError
from taskgraph.jsontext import storable
from taskgraph_backend import models

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
# What a database can count to.
_MOST_BACK = 2**63


def like_id(column: InstrumentedAttribute[str], prefix: str) -> ColumnElement[bool]:
    """Return the condition that an id starts with some hex digits: a range of the primary key.

    Raises:
        ValueError: The prefix is not made of 1 to 32 lower-case hex digits.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is not the start of an id")
    return and_(column >= prefix.ljust(32, "0"), column <= prefix.ljust(32, "f"))


def is_prefix(text: str) -> bool:
    """Tell whether a text may be the start of an id: 1 to 32 lower-case hex digits."""
    return _PREFIX.fullmatch(text) is not None


def infer_id(session: Session, id: str, include_files: bool = True, required: bool = False) -> Any:
    """Return the record that a text stands for, or None; see `Reader.find`.

    Raises:
        UnknownRecordError: There is none, and it is ``required``.
        AmbiguousIdError: More than one record starts so.
    """
    found: Any = infer_specialty_id(session, id) or _by_prefix(session, id.lower())
    found = found or _by_name(session, storable(id))
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
    if isinstance(path, tuple):
        given = {"root": path[0], "path": storable(os.fspath(path[1]))}
    else:
        given = {"path": storable(path)}
    asked = _questions_for_file(isinstance(path, tuple))
    made = session.execute(asked.made, given).first()
    if made is not None:
        return made[0], made[1], "result"
    used = session.execute(asked.used, given).first()
    return None if used is None else (used[0], used[1], "arg")


class _QuestionsForFile(NamedTuple):
    """The statements of `find_file`: to make them anew would take longer than to run them."""

    made: Select[models.File, models.Job]
    used: Select[models.File, models.Job]


@cache
def _questions_for_file(has_root: bool) -> _QuestionsForFile:
    held = _values_with_file(has_root)
    job, node, argument = models.Job, models.CallNode, models.Argument
    when = func.coalesce(job.end_time, job.start_time)
    newest = (
        select(held.c.file_hash, job.execution_id)
        .join(node, node.value_hash == held.c.value_hash)
        .join(job, job.call_hash == node.call_hash)
        .group_by(held.c.file_hash, job.execution_id)
        .order_by(func.max(when).desc(), func.min(when).desc(), held.c.file_hash)
        .limit(1)
        .cte("newest")
    )
    made = (
        select(models.File, job)
        .select_from(newest)
        .join(held, held.c.file_hash == newest.c.file_hash)
        .join(node, node.value_hash == held.c.value_hash)
        .join(job, job.call_hash == node.call_hash)
        .join(models.File, models.File.value_hash == held.c.file_hash)
        # Not by the index of executions: this one may have a hundred thousand jobs.
        .where(func.coalesce(job.execution_id, job.id) == newest.c.execution_id)
        .order_by(when, job.start_time.desc(), job.id)
        .limit(1)
    )
    used = (
        select(models.File, job)
        .select_from(held)
        .join(argument, argument.value_hash == held.c.value_hash)
        .join(job, job.call_hash == argument.call_hash)
        .join(models.File, models.File.value_hash == held.c.file_hash)
        .order_by(when.desc(), job.id)
        .limit(1)
    )
    return _QuestionsForFile(made, used)


def _values_with_file(has_root: bool) -> Any:
    """The files of a path and all values that hold them, at any depth."""
    file, subvalue = models.File, models.Subvalue
    wanted = file.path == bindparam("path")
    if has_root:
        wanted = and_(wanted, file.root == bindparam("root"))
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


def newest_executions() -> Select[models.Execution]:
    """Select executions with their root jobs, newest first."""
    execution, job = models.Execution, models.Job
    return (
        select(execution)
        .outerjoin(job, job.id == execution.job_id)
        .order_by(func.coalesce(job.start_time, execution.state_time).desc(), execution.id.desc())
        .options(joinedload(execution.job).joinedload(job.task))
    )


def infer_specialty_id(session: Session, id: str) -> models.Execution | None:
    """Return the execution that ``-`` (the newest) or ``~2`` (the second newest) stands for.

    None where there are not so many, and for any other text.
    """
    if id == "-":
        number = 1
    elif id.startswith("~") and id[1:].isdecimal() and 0 < int(id[1:]) < _MOST_BACK:
        number = int(id[1:])
    else:
        return None
    return session.scalars(newest_executions().limit(1).offset(number - 1)).unique().first()


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
    "FoundFile",
    "find_file",
    "infer_id",
    "infer_specialty_id",
    "is_prefix",
    "like_id",
    "newest_executions",
]
