"""`taskgraph.open`: the records of a project, or of any database, to be asked without a scheduler.

An `Archive` is the one object that all questions to the records begin at. What belongs together is
an attribute of it: `Archive.executions` manages what was run, `Archive.studies` what it is part of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from taskgraph.assembly.databases import has_database, has_others, open_existing
from taskgraph.assembly.managing import (
    catalog_of,
    find_retractable,
    folders_of,
    groups_of,
    growth_of,
    people_of,
    retractions_of,
    routing_of,
)
from taskgraph.assembly.notifying import policies_of
from taskgraph.assembly.reading import find_record, finish_writing, name_of_record
from taskgraph.assembly.surroundings import author, in_force, places_of
from taskgraph.catalog.admission import Admission
from taskgraph.catalog.artifacts import ArtifactManager
from taskgraph.catalog.datasets import DatasetManager
from taskgraph.catalog.deleting import Deletion
from taskgraph.catalog.executions import ExecutionManager
from taskgraph.catalog.groups import GroupManager
from taskgraph.catalog.operations import OperationManager
from taskgraph.catalog.package_rows import Collected
from taskgraph.catalog.packages import PackageManager
from taskgraph.catalog.people import UserManager
from taskgraph.catalog.pools import PoolManager
from taskgraph.catalog.retractions import Retraction, RetractionManager
from taskgraph.catalog.storage import StorageManager
from taskgraph.catalog.studies import StudyManager
from taskgraph.catalog.user_groups import UserGroupManager
from taskgraph.catalog.vocabulary import VocabularyManager
from taskgraph.catalog.workers import WorkerManager
from taskgraph.catalog.workflows import WorkflowManager
from taskgraph.config import CONFIG_DIR_NAME, Settings, find_config_dir, load_settings
from taskgraph.errors import (
    ClosedArchiveError,
    DatabaseError,
    ExplanationError,
    UnknownRecordError,
    ValidationError,
    without_password,
)
from taskgraph.expression import Expression
from taskgraph.filters import TagFilter, make_filters
from taskgraph.provenance import reading
from taskgraph.provenance.listing import view_listing
from taskgraph.provenance.tag_detail import TagDetail
from taskgraph.provenance.views import ExecutionView
from taskgraph.tasks.task import Task
from taskgraph.urls import sqlite_url

if TYPE_CHECKING:
    from taskgraph.app.launching import LocalLauncher
    from taskgraph.provenance.explain import AnyExplanation
    from taskgraph.provenance.reading import Lineage, View
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.query import CallGraphQuery
    from taskgraph_backend.reader import Reader

_MOST_EXECUTIONS = 20


def open(
    uri_or_folder: str | os.PathLike[str] | None = None, *, migrate: bool | None = None
) -> Archive:
    """Open the records of a project for reading: what was run, and where values came from.

    Args:
        uri_or_folder: The URL of a database, the path of a SQLite file, or a project's folder or
            config directory; by default the project of the working directory.
        migrate: Whether the database may be upgraded to the schema of this library, as the
            settings say by default. True also makes one where there is none.

    Returns:
        An `Archive`; close it, or use it in a ``with``.

    Raises:
        DatabaseError: There is no database, or it is not one of taskgraph's, or too new.
        ConfigError: The settings cannot be read.
    """
    settings, uri = _find(uri_or_folder)
    return Archive(settings, open_existing(settings, uri, migrate, missing=_MISSING))


_MISSING = (
    "there is none: nothing was run here yet, or it is elsewhere. With migrate=True an empty one "
    "is made."
)


def _find(wanted: str | os.PathLike[str] | None) -> tuple[Settings, str | None]:
    """Return the settings, and the URL of a database that is not the one that they name."""
    if wanted is None:
        return load_settings(find_config_dir()), None
    text = _text_of_place(wanted)
    if "://" in text:
        return load_settings(find_config_dir()), text
    path = Path(text).expanduser().absolute()
    if path.is_file():
        return load_settings(find_config_dir(path.parent)), sqlite_url(path)
    inner = path / CONFIG_DIR_NAME
    is_config = path.name == CONFIG_DIR_NAME or (path / "config.toml").is_file()
    return load_settings(path if is_config and not inner.is_dir() else inner), None


def _text_of_place(wanted: str | os.PathLike[str]) -> str:
    """Return the text of a place where records may be, or not."""
    try:
        text = os.fspath(wanted)
        if "://" not in text:
            os.stat(Path(text).expanduser())
    except FileNotFoundError:
        return text
    # A name that is too long, a folder that may not be looked into, what is no path at all.
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatabaseError(
            str(wanted),
            f"no records can be there ({reason}). Name a project's folder, the path of an SQLite "
            "file, or the URL of a database.",
        ) from error
    return text


def executions(
    *,
    task: str | Iterable[str] = (),
    status: str | Iterable[str] = (),
    tags: Mapping[str, Any] | Iterable[TagFilter | str] = (),
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    limit: int = _MOST_EXECUTIONS,
    config_dir: str | Path | None = None,
) -> list[ExecutionView]:
    """Return the newest executions of a project, newest first; where nothing was run, none.

    Args:
        task: Only those whose root task has this name, full or bare; or one of several.
        status: Only those of this status, or one of several.
        tags: Only those with all of these: keys with values, pairs, or texts as ``key=value`` and,
            for whatever value, ``key``.
        since: Only those that started then or later: a time, or text as ``2026-01-31`` and ``7d``.
        until: Only those that started earlier; of a date as text, until the end of that day.
        limit: At most so many.
        config_dir: The folder of settings and database; by default as for `run`.

    Raises:
        FilterError: A status or a time cannot be understood.
    """
    settings = load_settings(find_config_dir(given=config_dir))
    if not has_database(settings):
        return []
    with Archive(settings, open_existing(settings)) as archive:
        return archive.history(limit, task=task, status=status, tags=tags, since=since, until=until)


class Archive:
    """What is recorded in a database, and the questions that can be asked of it. Nothing runs.

    Each question is answered from what is there at that moment. Use it as a context manager, or
    call `close` when done; one thread at a time.

    Attributes:
        settings: Those of the project: its folders, by which files are known.
        backend: The database.
        executions: What was run, to be managed.
        studies: The bodies of work that executions are part of.
        datasets: Names for files, with their content.
        artifacts: Named outputs of executions.
        vocabulary: Which dimensions artifacts may have.
        workflows: Stored lists of steps, in versions.
        groups: Executions of a workflow on datasets of the same facets.
        pools: Names for sets of queues.
        workers: Who takes what waits in them.
        storage: What all of it takes up, and how it is given back.
        retractions: What is not to be used any more.
        users: People, by their e-mail addresses.
        user_groups: Names for several people.
        operations: Actions that take long, and what came of each.
        packages: Tasks that were collected from code, in versions.
        policies: Who is told when executions come to states.
    """

    def __init__(self, settings: Settings, backend: SqlBackend) -> None:
        self.settings = replace(settings, backend=replace(settings.backend, db_uri=backend.db_uri))
        self.backend = backend
        catalog = catalog_of(backend, self._begin)
        self._catalog = catalog
        growth = growth_of(backend, self._begin)
        deletion = Deletion(catalog, growth, folders_of(settings, backend))
        routing = routing_of(backend, self._begin)
        user = settings.user.email.strip() or None
        groups = groups_of(backend, self._begin)
        admission = Admission(groups, settings.submissions.min_interval)
        self.executions = ExecutionManager(
            catalog, deletion, self._launcher, routing, user, admission
        )
        self.pools = PoolManager(routing)
        self.workers = WorkerManager(routing, self.pools)
        self.studies = StudyManager(catalog, getattr(self.executions, "delete_many", None))
        self.datasets = DatasetManager(catalog, self._knowing_files)
        self.artifacts = ArtifactManager(catalog, self._knowing_files)
        self.vocabulary = VocabularyManager(catalog)
        self.workflows = WorkflowManager(groups, self.executions, self._launcher, admission)
        self.groups = GroupManager(
            groups, self.workflows, self.executions, self._launcher, admission
        )
        self.storage = StorageManager(growth)
        self.retractions = RetractionManager(
            retractions_of(backend, self._begin),
            lambda what: find_retractable(backend, settings, self._named(what)),
            partial(author, settings),
        )
        people = people_of(backend, self._begin)
        self.users = UserManager(people)
        self.user_groups = UserGroupManager(people)
        self.operations = OperationManager(people, user)
        self.packages = PackageManager(
            people, self.operations, self.users, self.user_groups, self._look_into
        )
        self.policies = policies_of(backend, self._begin, self._id_of_execution)
        self._places = places_of(settings)
        self._is_closed = False

    def find(self, what: Any, *, limit: int | None = None) -> View | None:
        """Return what ``taskgraph log`` shows of a record, or None where there is none.

        Args:
            what: An id or the start of one, the full name of a task, the path of a file, ``-`` for
                the newest execution and ``~2`` for the second newest; or what was found before.
            limit: At most so many jobs.

        Returns:
            An ``ExecutionDetail``, ``JobDetail``, ``CallDetail``, ``TaskDetail``,
            ``ValueDetail`` or ``TagDetail``: plain data.

        Raises:
            AmbiguousIdError: More than one record starts so.
        """
        text = _text_of(what)
        with self.reading() as reader:
            try:
                found = find_record(reader, self.settings, text)
            except UnknownRecordError:
                return None
            return reading.look_at(reader, found, limit)

    def get(self, what: Any, *, limit: int | None = None) -> View:
        """Return the same as `find` of a record that must be there.

        Raises:
            UnknownRecordError: Nothing is recorded under it.
            AmbiguousIdError: More than one record starts so.
        """
        found = self.find(what, limit=limit)
        if found is None:
            raise UnknownRecordError(_text_of(what))
        return found

    def page(self, what: Any = None, *, limit: int | None = None) -> str:
        """Return what ``taskgraph log`` prints of a record; of none, the list of executions.

        Raises:
            UnknownRecordError: Nothing is recorded under it.
            AmbiguousIdError: More than one record starts so.
        """
        from taskgraph.provenance.page import plain_text
        from taskgraph.provenance.render import executions_page

        if what is None:
            most = limit or _MOST_EXECUTIONS
            listed = self.history(most + 1)
            return plain_text(executions_page(listed[:most], is_cut=len(listed) > most))
        return plain_text(reading.page_of(self.get(what, limit=limit)))

    def history(
        self,
        limit: int = _MOST_EXECUTIONS,
        *,
        task: str | Iterable[str] = (),
        status: str | Iterable[str] = (),
        tags: Mapping[str, Any] | Iterable[TagFilter | str] = (),
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[ExecutionView]:
        """Return the newest executions, newest first, each with how many jobs are in which status.

        Args:
            limit: At most so many.
            task: Only those whose root task has this name, full or bare; or one of several.
            status: Only those of this status, or one of several.
            tags: Only those with all of these: keys with values, pairs, or texts as ``key=value``
                and, for whatever value, ``key``.
            since: Only those that started then or later: a time, or text as ``2026-01-31``, ``7d``.
            until: Only those that started earlier; of a date as text, until the end of that day.

        Raises:
            FilterError: A status or a time cannot be understood.
        """
        filters = make_filters(
            types=["execution"], task=task, status=status, tags=tags, since=since, until=until
        )
        with self.reading() as reader:
            return view_listing(reader.listed(filters, limit)).of(ExecutionView)

    def lineage(
        self,
        what: Any,
        *,
        down: bool = False,
        all: bool = False,
        depth: int | None = None,
        types: Sequence[str] | None = None,
    ) -> Lineage:
        """Return how a file or a value came to be, as `taskgraph.lineage` does.

        Args:
            what: As for `find`.
            down: Whether the chart is of what was made of it.
            all: Whether the chart follows files from one execution to another.
            depth: At most so many calls away.
            types: Only values of these types.

        Raises:
            UnknownRecordError: Nothing is recorded under it.
            LineageError: It has no value.
            AmbiguousIdError: More than one record starts so.
        """
        text = _text_of(what)
        with self.reading() as reader:
            return reading.lineage_of(
                reader,
                find_record(reader, self.settings, text),
                text,
                down=down,
                all=all,
                depth=depth,
                types=types,
            )

    def explain(self, what: Any) -> AnyExplanation:
        """Explain why something ran, or did not, by what is recorded of it.

        Args:
            what: As for `find`; a task, or a cached function, stands for its newest call.

        Raises:
            UnknownRecordError: Nothing is recorded under it.
            AmbiguousIdError: More than one record starts so.
            ExplanationError: It is a lazy call, which is not recorded yet.
        """
        from taskgraph.provenance import explain_runs

        if isinstance(what, Expression):
            raise ExplanationError(
                repr(what),
                "it is a lazy call. What would become of it now is a question to "
                "taskgraph.explain.",
            )
        task = getattr(what, "__taskgraph_task__", what)
        with self.reading() as reader:
            if isinstance(task, Task):
                return explain_runs.explain_task(reader, task.fullname)
            text = _text_of(what)
            found = find_record(reader, self.settings, text)
            return explain_runs.explain_found(reader, found, text)

    def retract(
        self,
        target: Any,
        *,
        reason: str,
        by: str | None = None,
        cascade: bool = True,
        dry_run: bool = False,
    ) -> Retraction:
        """Have a result not be used any more, with all that came from it.

        See `RetractionManager.retract`, of which this is the short name.

        Args:
            target: An execution, a job or its call, a file or a dataset: by id, by path or by name,
                or as it was found.
            reason: Why.
            by: Who says so; by default the user.
            cascade: Whether what came from it is meant as well.
            dry_run: Whether to say only what would be marked.

        Raises:
            UnknownRecordError: There is nothing of this name.
            AmbiguousIdError: More than one record starts so.
            NotRetractableError: It is nothing that can be retracted.
            ValidationError: There is no reason.
        """
        return self.retractions.retract(
            target, reason=reason, by=by, cascade=cascade, dry_run=dry_run
        )

    def unretract(self, retraction: str | Retraction) -> Retraction:
        """Take a retraction back: exactly what it alone has marked counts again.

        Raises:
            RetractionNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        return self.retractions.undo(retraction)

    def _named(self, what: Any) -> str:
        self._begin()
        return _text_of(what)

    @contextmanager
    def query(self) -> Iterator[CallGraphQuery]:
        """Open a query over executions, jobs, calls, tasks and values at once.

        What it finds are rows, to be used while the ``with`` lasts.

        Raises:
            ClosedArchiveError: The archive was closed.
        """
        from taskgraph_backend.query import CallGraphQuery

        with self.reading() as reader:
            self.backend.sweep()
            yield CallGraphQuery(reader)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Open the records for one question or several that belong together.

        Raises:
            ClosedArchiveError: The archive was closed.
        """
        self._begin()
        with in_force(self.settings, self._places), self.backend.reader() as reader:
            yield reader

    def _look_into(self, named: str) -> Collected:
        """Import code, and return the tasks that are defined in it."""
        from taskgraph.assembly.collecting import collect

        return collect(self.settings, named)

    @contextmanager
    def _knowing_files(self) -> Iterator[None]:
        """Have files be known by the folders of the project."""
        with in_force(self.settings, self._places):
            yield

    def _launcher(self) -> LocalLauncher:
        """Return what runs executions of this database, in this process.

        Raises:
            ValidationError: It is in memory, where a scheduler would have one of its own.
        """
        from taskgraph.app.launching import LocalLauncher

        self._begin()
        if not has_others(self.backend):
            raise ValidationError(
                "the database",
                "it is in memory, and nobody but this archive has it: what runs needs a file or a "
                "server. Open one: taskgraph.open('sqlite:///taskgraph.db').",
            )
        return LocalLauncher(self.settings, self._catalog)

    def _id_of_execution(self, ref: str) -> str | None:
        found = self._catalog.find(ref)
        return None if found is None else found.id

    def _begin(self) -> None:
        if self._is_closed:
            raise ClosedArchiveError(self.backend.db_uri)
        finish_writing()

    def close(self) -> None:
        """Let go of the database. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self.backend.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Archive({without_password(self.backend.db_uri)!r})"


def _text_of(what: Any) -> str:
    """Return what a record is found by: a view that was found before stands for its own."""
    if isinstance(what, TagDetail):
        # Its value is no record.
        return what.tag_hash
    path = getattr(what, "path", None)
    if isinstance(path, str):
        return path
    for inner in ("execution", "job", "call", "value"):
        what = getattr(what, inner, what)
    return name_of_record(what)


__all__ = ["Archive", "executions", "open"]
