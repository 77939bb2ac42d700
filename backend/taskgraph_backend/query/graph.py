"""`CallGraphQuery`: one query over executions, jobs, calls, tasks and values at once.

A filter gives a new query and asks nothing; what asks is at the end of a chain. The number of
statements depends on the kinds of records alone, and none of them reads a value's bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from sqlalchemy import Select, and_, func, literal, or_, select, union_all
from sqlalchemy.exc import MultipleResultsFound, NoResultFound
from sqlalchemy.orm import Session, joinedload

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.reading import parse
from taskgraph.errors import FilterError
from taskgraph.filters import TagFilter, read_status
from taskgraph_backend import models
from taskgraph_backend.columns import DateTimeUTC, to_micros
from taskgraph_backend.query.filters import Wanted
from taskgraph_backend.query.kinds import (
    MODEL_CLASSES,
    MODEL_NAMES,
    MODEL_PKS,
    MOST_IDS,
    names_of,
    whole_ids,
)
from taskgraph_backend.query.pages import Page, Place, read_cursor
from taskgraph_backend.query.selects import Source, sources

_AT_ONCE: Final = 1_000
_COLUMNS: Final = ("id", "type", "time")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CallGraphQuery:
    """A query over all kinds of records, of which each filter makes another one.

    Records come kind by kind: executions, jobs, calls, tasks, values; within a kind by id, or the
    newest first after ``order_by("time")``. The time of an execution or a job is its start, that of
    a call when it was computed, that of a task or a value its first call. Values of one filter are
    alternatives, tags must all be there, and filters that follow each other all hold.
    `taskgraph_backend.query.selects` says what each filter means for each kind.

    Args:
        session: Where to ask; a `Reader`, or any session of SQLAlchemy's on such a database.
        wanted: What to ask for; by default everything.
        by_time: Whether the newest come first.
        loading: What to load with the rows of each kind; by default what a line of text needs.
            Any: loader options.
    """

    #: The classes of records by name, in order.
    MODEL_CLASSES: ClassVar = MODEL_CLASSES
    #: Their names.
    MODEL_NAMES: ClassVar = MODEL_NAMES
    #: Their primary keys.
    MODEL_PKS: ClassVar = MODEL_PKS

    def __init__(
        self,
        session: Session,
        wanted: Wanted | None = None,
        *,
        by_time: bool = False,
        loading: dict[str, tuple[Any, ...]] | None = None,
    ) -> None:
        self.session = session
        self._wanted = Wanted(frozenset(MODEL_NAMES)) if wanted is None else wanted
        self._by_time = by_time
        self._loading = _with_rows() if loading is None else loading

    def clone(
        self,
        *,
        wanted: Wanted | None = None,
        by_time: bool | None = None,
        loading: dict[str, tuple[Any, ...]] | None = None,
    ) -> CallGraphQuery:
        """Return a query that asks the same, but for what is given."""
        return CallGraphQuery(
            self.session,
            self._wanted if wanted is None else wanted,
            by_time=self._by_time if by_time is None else by_time,
            loading=self._loading if loading is None else loading,
        )

    # Filters

    def filter_types(self, types: Iterable[str | type[models.Base]]) -> CallGraphQuery:
        """Keep some kinds of records, by name or class.

        Raises:
            FilterError: There is no such kind.
        """
        return self.clone(wanted=self._wanted.of_types(names_of(types)))

    def filter_ids(self, ids: Iterable[str]) -> CallGraphQuery:
        """Keep records by their whole ids.

        Raises:
            FilterError: One of them is no whole id.
        """
        return self._adding(ids=whole_ids(ids))

    def like_id(self, *prefixes: str) -> CallGraphQuery:
        """Keep records whose ids start so, and tasks of that full or bare name."""
        return self._adding(prefixes=tuple(prefixes))

    def filter_execution_ids(self, execution_ids: Iterable[str]) -> CallGraphQuery:
        """Keep what belongs to executions: their jobs, the calls and tasks of these, the values.

        Raises:
            FilterError: One of them is no whole id.
        """
        return self._adding(execution_ids=whole_ids(execution_ids))

    def filter_where(self, where: Criteria | Mapping[str, Any]) -> CallGraphQuery:
        """Keep executions that are meant, and what belongs to them; see `taskgraph.F`.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: A value is not what it must be.
        """
        return self.clone(wanted=self._wanted.meaning(parse(where)))

    def filter_statuses(self, statuses: Iterable[str]) -> CallGraphQuery:
        """Keep executions of these statuses, and jobs of these with what belongs to the jobs.

        Raises:
            FilterError: There is no such status.
        """
        return self._adding(statuses=_statuses(statuses))

    def filter_execution_statuses(self, execution_statuses: Iterable[str]) -> CallGraphQuery:
        """Keep executions of these statuses, and what belongs to them.

        Raises:
            FilterError: There is no such status.
        """
        return self._adding(execution_statuses=_statuses(execution_statuses))

    def filter_job_statuses(self, job_statuses: Iterable[str]) -> CallGraphQuery:
        """Keep jobs of these statuses, and what belongs to them.

        Raises:
            FilterError: There is no such status.
        """
        return self._adding(job_statuses=_statuses(job_statuses))

    def filter_tags(self, tags: Iterable[TagFilter]) -> CallGraphQuery:
        """Keep records that have all of these tags; `ANY_VALUE` stands for whatever value."""
        return self.clone(wanted=self._wanted.tagged("tags", tuple(tags)))

    def filter_execution_tags(self, tags: Iterable[TagFilter]) -> CallGraphQuery:
        """Keep what belongs to executions that have all of these tags."""
        return self.clone(wanted=self._wanted.tagged("execution_tags", tuple(tags)))

    def filter_task_names(self, task_names: Iterable[str]) -> CallGraphQuery:
        """Keep tasks of these full or bare names, their calls and jobs, and what they gave."""
        return self._adding(task_names=tuple(task_names))

    def filter_task_hashes(self, task_hashes: Iterable[str]) -> CallGraphQuery:
        """Keep the same as `filter_task_names`, of these versions alone.

        Raises:
            FilterError: One of them is no whole hash.
        """
        return self._adding(task_hashes=whole_ids(task_hashes))

    def filter_value_types(self, value_types: Iterable[str]) -> CallGraphQuery:
        """Keep values of these types, and no other records."""
        return self._adding(value_types=tuple(value_types))

    def filter_file_paths(self, path_patterns: Iterable[str | tuple[str, str]]) -> CallGraphQuery:
        """Keep files by their paths below their roots, and what made or used them.

        Args:
            path_patterns: Paths, or pairs of root and path; ``*`` stands for any text, folders too.
        """
        return self._adding(files=tuple(path_patterns))

    def filter_arguments(self, value_hashes: Iterable[str]) -> CallGraphQuery:
        """Keep calls that were given one of these values, and what belongs to them.

        Raises:
            FilterError: One of them is no whole hash.
        """
        return self._adding(arguments=whole_ids(value_hashes))

    def filter_results(self, value_hashes: Iterable[str]) -> CallGraphQuery:
        """Keep calls that gave one of these values, what belongs to them, and the values.

        Raises:
            FilterError: One of them is no whole hash.
        """
        return self._adding(results=whole_ids(value_hashes))

    def filter_times(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> CallGraphQuery:
        """Keep what is not earlier than ``since`` and earlier than ``until``.

        Tasks and values are kept if one of their calls is.
        """
        return self.clone(wanted=self._wanted.within(since, until))

    def order_by(self, column: str) -> CallGraphQuery:
        """Give the newest of each kind first.

        Raises:
            FilterError: It is not "time", the one order that there is besides that of ids.
        """
        if column != "time":
            raise FilterError("order", column, 'records are ordered by "time".')
        return self.clone(by_time=True)

    def empty(self) -> CallGraphQuery:
        """Return a query that finds nothing, whatever filters follow."""
        return self.filter_types(())

    def _adding(self, **groups: tuple[Any, ...]) -> CallGraphQuery:
        return self.clone(wanted=self._wanted.adding(**groups))

    # Answers

    def all(self) -> Iterator[models.Base]:
        """Give all records, one statement for each kind; they are read as they are taken."""
        for source in self._sources():
            query = self._ordered(source, self._rows(source, source.model))
            yield from self.session.scalars(query, execution_options={"yield_per": _AT_ONCE})

    def first(self) -> models.Base | None:
        """Return the first record, or None."""
        return next(iter(self._fetch(1)), None)

    def one_or_none(self) -> models.Base | None:
        """Return the one record that there is, or None.

        Raises:
            MultipleResultsFound: There are several.
        """
        found = self._fetch(2)
        if len(found) > 1:
            raise MultipleResultsFound("several records are found where one was wanted")
        return found[0] if found else None

    def one(self) -> models.Base:
        """Return the one record that there is.

        Raises:
            NoResultFound: There is none.
            MultipleResultsFound: There are several.
        """
        found = self.one_or_none()
        if found is None:
            raise NoResultFound("no record is found where one was wanted")
        return found

    def limit(self, size: int) -> list[models.Base]:
        """Return the first records, at most so many."""
        return list(self._fetch(size))

    def page(self, page: int = 0, page_size: int = 100, *, after: str | None = None) -> Page:
        """Return a page of the records, with what the next one is to be after.

        Pages by number are counted from the newest record at that time: what comes in between
        moves them. Pages by ``after`` stay, for they begin where the one before ended.

        Args:
            page: Its number, from zero.
            page_size: How many records are on one.
            after: The ``next`` of the page before, or a cursor of one of its records.

        Raises:
            FilterError: The number or the size is too small, or ``after`` is none of this query.
        """
        if page < 0 or page_size < 1:
            reason = "pages are counted from 0, and have at least one record."
            raise FilterError("page", f"{page} of size {page_size}", reason)
        if after is None:
            return self._fetch(page_size, skipped=page * page_size)
        if page:
            raise FilterError("page", str(page), "give a number or what to be after, not both.")
        return self._fetch(page_size, after=read_cursor(after, by_time=self._by_time))

    def count(self) -> list[tuple[str, int]]:
        """Return how many records there are of each kind that is wanted, in one statement."""
        counts = [
            select(literal(each.kind), func.count()).select_from(each.select(each.pk).subquery())
            for each in self._sources()
        ]
        if not counts:
            return []
        found = {row[0]: row[1] for row in self.session.execute(union_all(*counts))}
        return [(name, found[name]) for name in MODEL_NAMES if name in found]

    def select(self, *columns: str, flat: bool = False) -> Iterator[Any]:
        """Give columns of all records in one statement: ``id``, ``type`` and ``time``.

        Args:
            columns: Their names.
            flat: Give the values one after the other, and not as tuples: for one column.

        Raises:
            FilterError: There is no such column.
        """
        for name in columns:
            if name not in _COLUMNS:
                raise FilterError("column", name, f"there are: {', '.join(_COLUMNS)}.")
        if not columns:
            raise FilterError("columns", "", f"name some of: {', '.join(_COLUMNS)}.")
        places = [_COLUMNS.index(name) for name in columns]
        return self._selected(places, flat)

    def _selected(self, places: list[int], flat: bool) -> Iterator[Any]:
        query = self.build()
        if query is None:
            return
        for row in self.session.execute(query, execution_options={"yield_per": _AT_ONCE}):
            values = tuple(row[place] for place in places)
            if flat:
                yield from values
            else:
                yield values

    def build(self) -> Select[Any] | None:
        """Return the statement for id, type and time of all records in order; None of no kinds."""
        parts = [
            each.select(
                each.pk.label("id"),
                literal(each.kind).label("type"),
                each.when.label("time"),
                literal(number).label("kind"),
            )
            for number, each in enumerate(self._sources())
        ]
        if not parts:
            return None
        found = union_all(*parts).subquery()
        order = (found.c.time.desc(), found.c.id.desc()) if self._by_time else (found.c.id,)
        return select(found.c.id, found.c.type, found.c.time).order_by(found.c.kind, *order)

    @property
    def subqueries(self) -> tuple[tuple[str, Select[Any]], ...]:
        """The statement for the rows of each kind that is wanted, by the name of the kind."""
        return tuple(
            (each.kind, self._ordered(each, self._rows(each, each.model)))
            for each in self._sources()
        )

    # How

    def _sources(self) -> Iterator[Source]:
        return sources(self._wanted)

    def _rows(self, source: Source, *columns: Any) -> Select[Any]:
        return source.select(*columns).options(*self._loading.get(source.kind, ()))

    def _ordered(self, source: Source, query: Select[Any]) -> Select[Any]:
        if self._by_time:
            return query.order_by(source.when.desc(), source.pk.desc())
        return query.order_by(source.pk)

    def _fetch(self, size: int, *, skipped: int = 0, after: Place | None = None) -> Page:
        """Return so many records and what is after them: two statements for each kind at most."""
        places = self._places(size + 1, skipped, after)
        shown = places[:size]
        rows: dict[Place, models.Base] = {}
        for kind in dict.fromkeys(place.kind for place in shown):
            rows.update(self._loaded([place for place in shown if place.kind == kind]))
        cursors = tuple(place.cursor() for place in shown)
        following = cursors[-1] if len(places) > size else None
        return Page(tuple(rows[place] for place in shown), cursors, following)

    def _places(self, size: int, skipped: int, after: Place | None) -> list[Place]:
        """Return where records stand, at most so many; what is sorted is as slim as it can be."""
        counts = dict(self.count()) if skipped else {}
        found: list[Place] = []
        for source in self._sources():
            if after is not None and _is_before(source.kind, after.kind):
                continue
            passed = min(skipped, counts.get(source.kind, 0))
            skipped -= passed
            query = self._ordered(source, source.select(source.when, source.pk))
            if after is not None and source.kind == after.kind:
                query = query.where(self._is_after(source, after))
            query = query.limit(size - len(found)).offset(passed)
            for when, id in self.session.execute(query):
                found.append(Place(source.kind, to_micros(when) if self._by_time else None, id))
            if len(found) >= size:
                break
        return found

    def _loaded(self, places: list[Place]) -> Iterator[tuple[Place, models.Base]]:
        """Yield the rows of places of one kind."""
        kind = places[0].kind
        model = MODEL_CLASSES[kind]
        pk = MODEL_PKS[model]
        of_id = {place.id: place for place in places}
        ids = list(of_id)
        for start in range(0, len(ids), MOST_IDS):
            query = select(model).where(pk.in_(ids[start : start + MOST_IDS]))
            for row in self.session.scalars(query.options(*self._loading.get(kind, ()))).unique():
                yield of_id[getattr(row, pk.key)], row

    def _is_after(self, source: Source, place: Place) -> Any:
        if place.micros is None:
            return source.pk > place.id
        when = literal(_EPOCH + timedelta(microseconds=place.micros), DateTimeUTC)
        return or_(source.when < when, and_(source.when == when, source.pk < place.id))


def _is_before(kind: str, other: str) -> bool:
    return MODEL_NAMES.index(kind) < MODEL_NAMES.index(other)


def _statuses(statuses: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(read_status, statuses))


def _with_rows() -> dict[str, tuple[Any, ...]]:
    """Return what is loaded with each row, in the same statement: what one line of text needs."""
    execution, job, node, value = models.Execution, models.Job, models.CallNode, models.Value
    return {
        "Execution": (joinedload(execution.job).joinedload(job.task),),
        "Job": (joinedload(job.task), joinedload(job.call_node).joinedload(node.value)),
        "CallNode": (joinedload(node.task), joinedload(node.value)),
        "Value": (joinedload(value.file), joinedload(value.task)),
    }
