"""Conditions on columns: paths with ``*``, statuses, tags; each so that an index can serve it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Select, and_, any_, false, literal, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from taskgraph.filters import AnyValue, TagFilter, read_status
from taskgraph.jsontext import storable
from taskgraph_backend import models
from taskgraph_backend.columns import JSON

_LAST_CHARACTER: Final = "\U0010ffff"
# A list of fewer is part of a statement that is made once for all lists.
_MANY: Final = 1_000
# SQLite takes a thousand levels, and filters are inside of each other.
_WIDEST: Final = 15


class PathLike(ColumnElement[bool]):
    """The condition that a path is like a pattern, where ``*`` stands for any text.

    With upper and lower case told apart. SQLite's LIKE does not, and so uses no index: there it is
    GLOB, with the range that the pattern begins with.
    """

    inherit_cache = False

    def __init__(self, column: Any, pattern: str) -> None:
        self.column = column
        self.pattern = pattern


@compiles(PathLike)
def _like(element: PathLike, compiler: SQLCompiler, **options: Any) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", element.pattern).replace("*", "%")
    return compiler.process(element.column.like(escaped, escape="\\"), **options)


@compiles(PathLike, "sqlite")
def _glob(element: PathLike, compiler: SQLCompiler, **options: Any) -> str:
    escaped = re.sub(r"([?\[])", r"[\1]", element.pattern)
    matches = element.column.op("GLOB")(literal(escaped))
    start = element.pattern.partition("*")[0]
    if start:
        matches = and_(
            element.column >= literal(start),
            element.column <= literal(start + _LAST_CHARACTER),
            matches,
        )
    return compiler.process(matches, **options)


class OneOf(ColumnElement[bool]):
    """The condition that a column has one of many values, which PostgreSQL takes as an array.

    A statement of PostgreSQL's takes 65,535 parameters, and several such lists can be in one.
    """

    inherit_cache = False

    def __init__(self, column: Any, wanted: Sequence[Any]) -> None:
        self.column = column
        self.wanted = wanted


@compiles(OneOf)
def _in_list(element: OneOf, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.column.in_(element.wanted), **options)


@compiles(OneOf, "postgresql")
def _in_array(element: OneOf, compiler: SQLCompiler, **options: Any) -> str:
    array = literal(list(element.wanted), ARRAY(element.column.type))
    return compiler.process(element.column == any_(array), **options)


def one_of(column: Any, wanted: Sequence[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of some values, however many."""
    if len(wanted) > _MANY:
        return OneOf(column, wanted)
    found: ColumnElement[bool] = column.in_(wanted)
    return found


class Brackets(ColumnElement[bool]):
    """A condition in brackets, which SQLAlchemy takes away where it thinks they say nothing."""

    inherit_cache = False

    def __init__(self, inner: ColumnElement[bool]) -> None:
        self.inner = inner


@compiles(Brackets)
def _bracketed(element: Brackets, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.inner, **options)})"


def every(conditions: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that all of some conditions hold, however many."""
    return and_(true(), *_folded(and_, list(conditions)))


def either(conditions: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that one of some conditions holds, however many."""
    return or_(false(), *_folded(or_, list(conditions)))


def _folded(join: Any, conditions: list[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """Put conditions in brackets: to SQLite each of a row without is a level of depth."""
    while len(conditions) > _WIDEST:
        pieces = [conditions[at : at + _WIDEST] for at in range(0, len(conditions), _WIDEST)]
        conditions = [Brackets(join(*each)) for each in pieces]
    return conditions


def path_is(patterns: Iterable[str | tuple[str, str]]) -> ColumnElement[bool]:
    """Return the condition that a file has one of some paths, each with its root or with any."""
    file = models.File
    found: list[ColumnElement[bool]] = []
    for each in patterns:
        root, text = each if isinstance(each, tuple) else (None, each)
        path = storable(text)
        matches: ColumnElement[bool] = (
            PathLike(file.path, path) if "*" in path else file.path == path
        )
        found.append(matches if root is None else and_(matches, file.root == root))
    return either(found)


def status_is(row: Any, statuses: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that an execution or a job has one of some statuses.

    Args:
        row: The class, or an alias of it.
        statuses: As people see them: see `taskgraph.filters.STATUSES`.

    Raises:
        FilterError: There is no such status.
    """
    found = [_has_status(row, read_status(each)) for each in statuses]
    return or_(false(), *found)


def _has_status(row: Any, status: str) -> ColumnElement[bool]:
    state: ColumnElement[str] = row.state_type
    cached: ColumnElement[bool] | None = getattr(row, "cached", None)
    match status:
        case "DONE":
            is_done = state == "COMPLETED"
            return is_done if cached is None else and_(is_done, cached.is_(False))
        case "CACHED":
            # Of an execution nobody says so.
            return false() if cached is None else and_(state == "COMPLETED", cached.is_(True))
        case "FAILED":
            return state.in_(("FAILED", "CRASHED"))
        case "PENDING":
            return state.in_(("PENDING", "SCHEDULED"))
        case _:
            return state == status


def tagged_with(entity_type: str, tag: TagFilter) -> Select[Any]:
    """Select the ids of the records of a kind that have a tag now."""
    row = models.Tag
    key, value = tag
    # Said as JSON: null is a value like any other, and no column is empty.
    has_value = true() if isinstance(value, AnyValue) else row.value == literal(value, JSON)
    return select(row.entity_id).where(
        row.key == key, has_value, row.entity_type == entity_type, row.is_current.is_(True)
    )
