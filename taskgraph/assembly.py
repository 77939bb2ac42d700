"""Puts the parts together: from settings to executors, folders, the project and its database.

Of ``taskgraph_backend`` only this, `taskgraph.app`, and the doors to records know anything:
`taskgraph.archive`, `taskgraph.exchange` and `taskgraph.upkeep`.
"""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskgraph.config import (
    ALIAS_EXECUTOR,
    CLOSED_EXECUTORS,
    DATABASE_NAME,
    ExecutorSettings,
    Settings,
)
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.engine.waiting import Waiting
from taskgraph.errors import (
    AmbiguousIdError,
    ConfigError,
    DatabaseError,
    NotRetractableError,
    SchedulerError,
    TaskgraphError,
    UnknownRecordError,
)
from taskgraph.fingerprint.code import frozen
from taskgraph.fingerprint.project import Project, use_project
from taskgraph.outputs.place import OutputPlace, folder_of
from taskgraph.ports import Backend, Command, Executor, Observer
from taskgraph.records import ExecutionId, PackedValue, State
from taskgraph.urls import sqlite_file, sqlite_url
from taskgraph.values.gate import Trust, tighten_trust, use_trust
from taskgraph.values.places import FilePlaces, use_places

if TYPE_CHECKING:
    from taskgraph.catalog.deletions import GrowthStore
    from taskgraph.catalog.folders import Folders
    from taskgraph.catalog.requests import Request
    from taskgraph.catalog.retractions import Entity, RetractionStore
    from taskgraph.engine.releasing import Release
    from taskgraph.filters import RecordFilters
    from taskgraph.provenance.rows import Reader as AnyReader
    from taskgraph.tags import OwnTags
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.catalog.data_store import DataCatalog
    from taskgraph_backend.catalog.group_store import GroupCatalog
    from taskgraph_backend.reader import Reader

_METHODS = ("start", "submit", "cancel", "stop")  # of each executor


def make_executors(settings: Settings) -> dict[str, Executor]:
    """Return all executors that the settings name, and those that were registered.

    None of them has started anything yet, and those that take long to load are not even imported.

    Raises:
        ConfigError: There is no such type, or an alias is of nothing.
    """
    from taskgraph.executors.alias import AliasExecutor
    from taskgraph.executors.types import find_type, load_factory, registered_types

    made: dict[str, Executor] = {}
    for name, factory in registered_types().items():
        made[name] = AliasExecutor(name, partial(_made_by, factory, name, name, {}))
    for name, wanted in settings.executors.items():
        place = f"executors.{name}"
        if wanted.type == ALIAS_EXECUTOR:
            target = _target_of(settings, name, made)
            made[name] = AliasExecutor(name, partial(made.__getitem__, target))
        elif wanted.type in CLOSED_EXECUTORS:
            make = partial(_make_closed, name, find_type(wanted.type, place), wanted)
            made[name] = AliasExecutor(name, make) if wanted.type == "processes" else make()
        else:
            path = wanted.class_name
            find = (
                find_type(wanted.type, place) if wanted.type else partial(load_factory, path, place)
            )
            made[name] = AliasExecutor(name, partial(_make_executor, name, find, wanted))
    return made


def observers_of(settings: Settings) -> list[Observer]:
    """Return the observers that the settings name.

    Raises:
        ObserverError: One of them cannot be made.
    """
    wanted = settings.observers
    found: list[Observer] = []
    if wanted.python:
        from taskgraph.observers.given import observer_named

        found += [observer_named(each) for each in wanted.python]
    if wanted.jsonl:
        from taskgraph.observers.jsonlines import JsonLines

        found.append(JsonLines(wanted.jsonl))
    if wanted.opentelemetry:
        from taskgraph.observers.opentelemetry import OpenTelemetry

        found.append(OpenTelemetry())
    return found


def launch_on(settings: Settings, name: str, command: Command) -> str:
    """Have an executor begin a whole command; returns what to find it by.

    Raises:
        ConfigError: There is no executor of that name.
        LaunchError: It ends with this process, and would take the command along.
    """
    from taskgraph.executors.alias import launch

    executors = make_executors(settings)
    if name not in executors:
        known = ", ".join(sorted(executors))
        raise ConfigError("--on", f"there is no executor {name!r}; there are: {known}")
    return launch(executors[name], command)


def _make_closed(
    name: str, find: Callable[[], Callable[..., Executor]], wanted: ExecutorSettings
) -> Executor:
    given = {"max_workers": wanted.max_workers, "start_method": wanted.start_method}
    return find()(name, **{key: value for key, value in given.items() if value is not None})


def _target_of(settings: Settings, name: str, registered: Mapping[str, Executor]) -> str:
    """Return which executor an alias is another name of.

    Raises:
        ConfigError: It does not say, there is none of that name, or they go round in a circle.
    """
    seen = [name]
    while True:
        wanted = settings.executors.get(seen[-1])
        if wanted is None or wanted.type != ALIAS_EXECUTOR:
            return seen[1]
        of = wanted.arguments.get("of")
        others = {key for key in wanted.arguments if key != "of"}
        place = f"executors.{seen[-1]}"
        if not isinstance(of, str) or others:
            raise ConfigError(place, 'an alias says of which executor it is, as of = "threads"')
        if of in seen or (of not in settings.executors and of not in registered):
            known = ", ".join(sorted({*settings.executors, *registered} - {*seen}))
            raise ConfigError(f"{place}.of", f"there is no executor {of!r} (there are {known})")
        seen.append(of)


def _make_executor(
    name: str, find: Callable[[], Callable[..., Executor]], wanted: ExecutorSettings
) -> Executor:
    """Return an executor of an open type, or one of a cluster of Dask's, which is given as a class.

    Raises:
        ConfigError: Its class cannot be imported, takes no such arguments, or gives no executor.
    """
    from taskgraph.executors.types import find_type, load_factory

    place = f"executors.{name}"
    factory, arguments = find(), dict(wanted.arguments)
    if not wanted.type and not hasattr(factory, "submit") and hasattr(factory, "scale"):
        factory, arguments = find_type("dask", place)(), {"cluster": factory, **arguments}
    elif wanted.type and wanted.class_name:
        arguments = {"cluster": load_factory(wanted.class_name, place), **arguments}
    try:
        inspect.signature(factory).bind(name, **arguments)
    except TypeError as error:
        raise ConfigError(place, f"{wanted.type or wanted.class_name}: {error}") from None
    except ValueError:  # its signature cannot be told
        pass
    return _made_by(factory, name, wanted.type or wanted.class_name, arguments)


def _made_by(
    factory: Callable[..., Executor], name: str, what: str, arguments: Mapping[str, Any]
) -> Executor:
    """Return what a factory makes, which may be that of a stranger.

    Raises:
        ConfigError: That is no executor, or the factory raised.
    """
    place = f"executors.{name}"
    try:
        made = factory(name, **arguments)
    except TaskgraphError:
        raise
    except Exception as error:
        reason = f"{what} cannot be made: {type(error).__name__}: {error}"
        raise ConfigError(place, reason) from error
    if lacking := [each for each in _METHODS if not callable(getattr(made, each, None))]:
        raise ConfigError(
            place, f"{what} is no executor: {made!r} has no method {', '.join(lacking)}"
        )
    return made


def places_of(settings: Settings) -> FilePlaces:
    """Return what files need to know of the settings."""
    return FilePlaces(
        {"project": settings.project_dir, **settings.roots},
        # In the settings the last glob that matches counts, in FilePlaces the first.
        tuple(reversed(list(settings.files.policies.items()))),
        ask_above=settings.files.ask_above,
    )


def project_of(settings: Settings) -> Project:
    """Return what the fingerprint needs to know of the settings."""
    return Project(settings.code.project, settings.code.strict)


def trust_of(settings: Settings) -> Trust:
    """Return what stored values may be when they are read."""
    wanted = settings.backend
    return Trust(wanted.trust == "data", wanted.trust_classes)


def database_uri(settings: Settings) -> str:
    """Return the URL of the project's database."""
    return settings.backend.db_uri or sqlite_url(settings.config_dir / DATABASE_NAME)


def open_database(
    settings: Settings, uri: str | None = None, migrate: bool | None = None
) -> SqlBackend:
    """Open a database, made or upgraded as the settings allow.

    Args:
        settings: Those of the project.
        uri: Another database than the project's.
        migrate: Whether it may be made or upgraded, in place of what the settings say.

    Raises:
        DatabaseError: It cannot be opened, is not ours, or is too new.
    """
    backend = _backend_of(settings, uri)
    backend.load(settings.backend.automigrate if migrate is None else migrate)
    return backend


def open_existing(
    settings: Settings,
    uri: str | None = None,
    migrate: bool | None = None,
    *,
    missing: str = "there is none: nothing was run here yet, or it is elsewhere. `taskgraph init` "
    "makes an empty one.",
) -> SqlBackend:
    """Open a database that is there; it is made only where ``migrate`` is True.

    Args:
        settings: Those of the project.
        uri: Another database than the project's.
        migrate: Whether it may be made or upgraded, in place of what the settings say.
        missing: What is said where there is none.

    Raises:
        DatabaseError: There is none, it cannot be opened, is not ours, or is too new.
    """
    backend = _backend_of(settings, uri)
    path = backend.database.path
    if not migrate and path is not None and not os.path.exists(path):
        raise DatabaseError(backend.db_uri, missing)
    backend.load(settings.backend.automigrate if migrate is None else migrate)
    return backend


def _backend_of(settings: Settings, uri: str | None) -> SqlBackend:
    from taskgraph_backend import SqlBackend

    wanted = settings.backend
    tighten_trust(trust_of(settings))
    options: dict[str, Any] = {
        "synchronous": wanted.synchronous,
        "max_value_size": wanted.max_value_size,
        "value_store_min_size": wanted.value_store_min_size,
        "value_store_compression": wanted.value_store_compression,
    }
    if uri is None or uri == database_uri(settings):
        # That of one project says nothing of where another one keeps its large values.
        options["value_store"] = wanted.value_store
    return SqlBackend(uri or database_uri(settings), options)


def database(settings: Settings) -> SqlBackend:
    """Return the project's database as it is: nothing is made or upgraded until it is asked to."""
    from taskgraph_backend import SqlBackend

    tighten_trust(trust_of(settings))
    return SqlBackend(database_uri(settings), settings.backend)


def logs_folder(settings: Settings, backend: Backend | None = None) -> str | None:
    """Return the folder with what calls print, or None where it is not kept.

    Args:
        settings: Those of the project.
        backend: Another database than the project's.
    """
    wanted = settings.logs.folder
    uri = database_uri(settings) if backend is None else getattr(backend, "db_uri", None)
    if wanted == "none" or uri is None or (backend is not None and not has_others(backend)):
        return None
    if wanted:
        return wanted
    if backend is not None:
        path = getattr(getattr(backend, "database", None), "path", None)
    else:
        path = sqlite_file(uri)
    return str(settings.config_dir / "logs") if path is None else f"{path}-logs"


def output_place(settings: Settings, backend: Backend, execution_id: str) -> OutputPlace | None:
    """Return where what the calls of an execution print is kept, if it is."""
    root = logs_folder(settings, backend)
    if root is None:
        return None
    wanted = settings.logs
    host = "" if wanted.folder else platform.node()
    return OutputPlace(folder_of(root, execution_id), wanted.max_size, wanted.echo, host)


_before_reading: list[Callable[[], object]] = []


def before_reading(write: Callable[[], object]) -> None:
    """Have something called before records are read: what this process did is to be among them."""
    _before_reading.append(write)


def take_lease(backend: Backend, execution_id: ExecutionId, leads: bool = False) -> ExecutionLease:
    """Claim an execution for this process, for as long as it lives.

    Args:
        backend: Where it is recorded.
        execution_id: The execution.
        leads: Whether it leads all calls, if nobody else leads any.
    """
    from taskgraph_backend.leases import this_process

    lease = ExecutionLease(backend, execution_id, *this_process())
    lease.take(leads)
    return lease


def hold_waiting(backend: Backend, execution_ids: Sequence[str]) -> Waiting:
    """Return what claims executions for this process while they wait for their turn."""
    from taskgraph_backend.leases import this_process

    ids = [ExecutionId(each) for each in execution_ids]
    return Waiting(backend, ids, *this_process())


def has_others(backend: Backend) -> bool:
    """Tell whether other processes may use a backend: those in memory are of one alone."""
    database = getattr(backend, "database", None)
    return database is not None and not database.in_memory


def finish_writing() -> None:
    """Have written what this process still has to write: what is read next is to be complete."""
    for write in _before_reading:
        write()


def catalog_of(backend: SqlBackend, check: Callable[[], object]) -> DataCatalog:
    """Return what the managers ask.

    Args:
        backend: The database.
        check: Called before each question.
    """
    from taskgraph_backend.catalog.data_store import DataCatalog

    return DataCatalog(backend, check)


def groups_of(backend: SqlBackend, check: Callable[[], object]) -> GroupCatalog:
    """Return what the managers of workflows and groups ask.

    Args:
        backend: The database.
        check: Called before each question.
    """
    from taskgraph_backend.catalog.group_store import GroupCatalog

    return GroupCatalog(backend, check)


def growth_of(backend: SqlBackend, check: Callable[[], object]) -> GrowthStore:
    """Return what deletion and collection ask.

    Args:
        backend: The database.
        check: Called before each question.
    """
    from taskgraph_backend.growth.store import Growth

    return Growth(backend, check)


def folders_of(settings: Settings, backend: SqlBackend) -> Folders:
    """Return where executions leave something beside a database."""
    from taskgraph.catalog.folders import Folders

    outputs = logs_folder(settings, backend)
    path = backend.database.path
    kept = [settings.config_dir, *([] if path is None else [Path(path)])]
    roots = tuple(settings.roots.values())
    return Folders(roots, tuple(kept), None if outputs is None else Path(outputs))


def retractions_of(backend: SqlBackend, check: Callable[[], object]) -> RetractionStore:
    """Return what the manager of retractions asks.

    Args:
        backend: The database.
        check: Called before each question.
    """
    from taskgraph_backend.retracting.store import Retractions

    return Retractions(backend, check)


def find_retractable(backend: SqlBackend, settings: Settings, what: Any) -> Entity:
    """Return what somebody names, as what can be retracted.

    Any: what is named may be a text, a path, or a record as it was found.

    Raises:
        UnknownRecordError: There is nothing of this name.
        AmbiguousIdError: More than one record starts so.
        NotRetractableError: It is nothing that can be retracted.
    """
    from taskgraph.catalog.retractions import Entity
    from taskgraph_backend.retracting.store import find_dataset, find_file, path_of

    text = name_of_record(what)
    try:
        with backend.reader() as reader:
            found = find_record(reader, settings, text)
            kind = type(found).__name__
            if isinstance(found, tuple):
                return Entity("Value", found[0].value_hash, text)
            named = backend._ask(find_dataset, text)
            if named is not None and named.name == text:
                return _only_dataset(named, kind, name_of_record(found))
            if kind == "Execution":
                return Entity(kind, found.id, f"execution {found.id[:8]}")
            if kind in ("Job", "CallNode"):
                call = found.call_hash
                if call is None:
                    reason = f"job {found.id[:8]} has no result yet, or none that was recorded"
                    raise NotRetractableError(text, reason)
                name = found.task.fullname if kind == "Job" else found.task_name
                return Entity("CallNode", call, f"{name} {call[:8]}")
    except UnknownRecordError:
        known = backend._ask(find_dataset, text) or backend._ask(
            find_file, list(_places_named(settings, text)), text
        )
        if known is None:
            raise
        return known
    path = backend._ask(path_of, found.value_hash) if kind == "Value" else None
    if path is not None:
        return Entity("Value", found.value_hash, path)
    if kind == "Value":
        reason = "it is a plain value, and equal ones have nothing to do with each other"
    else:
        reason = f"it is a {kind.lower()}"
    raise NotRetractableError(text, reason)


def _only_dataset(named: Entity, kind: str, id: str) -> Entity:
    """Return a dataset whose name is that of a task; it must not be the start of an id as well.

    Raises:
        AmbiguousIdError: It is, or stands for a place in a list.
    """
    if kind != "Task":
        every = [f"Dataset {named.id[:12]} {named.name}", f"{kind} {id[:12]}"]
        raise AmbiguousIdError(named.name, every)
    return named


def create_execution(backend: Backend, request: Request, snapshot: PackedValue) -> str:
    """Write an execution down before it runs; returns the id of the one that has its key.

    Raises:
        WorkspaceInUseError: Another execution has its folder.
        SchedulerError: The backend keeps no executions.
    """
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.catalog.creating import submit

    if not isinstance(backend, SqlBackend):
        raise SchedulerError(
            "a study, a workspace and an idempotency key are kept in a database, and this backend "
            "has none. Give the scheduler one, or leave them out."
        )
    return submit(backend, request, snapshot).execution_id


def state_of_execution(backend: Backend, execution_id: str) -> str:
    """Return the type of the state that an execution is in; nothing if it was deleted."""
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.catalog.changing import type_of

    assert isinstance(backend, SqlBackend)
    return backend._ask(type_of, execution_id)


def is_cancelled(backend: Backend, execution_id: str) -> bool:
    """Tell whether somebody has cancelled an execution; from any thread."""
    from taskgraph_backend import SqlBackend

    is_kept = isinstance(backend, SqlBackend)
    return is_kept and state_of_execution(backend, execution_id) == State.CANCELLED


def settle_execution(backend: Backend, execution_id: str, state: State) -> None:
    """Bring an execution that is still PENDING to its end: nothing of its run was recorded."""
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.catalog.changing import settle

    assert isinstance(backend, SqlBackend)
    backend._transact(settle, execution_id, state)


def open_reader(settings: Settings) -> Reader:
    """Open the project's database for reading: `log` and its like."""
    from taskgraph_backend.reader import Reader

    finish_writing()
    draw_records()
    return Reader(open_database(settings), owns_backend=True)


def usual_seconds(settings: Settings, tasks: Sequence[str]) -> dict[str, float]:
    """Return how long a call of each task took lately, of those that were made.

    From any thread: the records are opened for this alone.
    """
    from taskgraph_backend.reader import Reader

    if not has_database(settings):
        return {}
    with Reader(_backend_of(settings, None), owns_backend=True) as reader:
        return reader.usual_seconds(tasks)


def draw_records() -> None:
    """Have records that are read drawn by notebooks, for as long as their reader is open."""
    from taskgraph_backend import models

    models.draw_by(_draw_record)


def _draw_record(session: Any, row: Any) -> str | None:
    from taskgraph.provenance.html import notebook
    from taskgraph.provenance.reading import look_at, page_of
    from taskgraph_backend.reader import Reader

    view = look_at(session, row) if isinstance(session, Reader) else None
    return None if view is None else notebook(page_of(view))


def repl_names(archive: Any) -> dict[str, Any]:
    """Return the names that somebody has at the prompt of ``taskgraph repl``.

    Args:
        archive: The records of the project. Any: archives are made of what is put together here.
    """
    from taskgraph_backend import models
    from taskgraph_backend.query import CallGraphQuery

    draw_records()

    def query() -> CallGraphQuery:
        """Return a query over executions, jobs, calls, tasks and values at once."""
        return CallGraphQuery(archive.backend.session)

    return {
        "archive": archive,
        "query": query,
        "backend": archive.backend,
        "session": archive.backend.session,
        "models": models,
        "executions": archive.executions,
        "history": archive.history,
        "find": archive.find,
        "lineage": archive.lineage,
    }


@contextmanager
def opened(settings: Settings) -> Iterator[SqlBackend]:
    """Open the project's database, with the settings in force."""
    backend = open_database(settings)
    try:
        with in_force(settings, places_of(settings)):
            yield backend
    finally:
        backend.close()


def release_files(
    settings: Settings, paths: Sequence[str], *, dry_run: bool, force: bool
) -> list[Release]:
    """Release files of the project; see `taskgraph.engine.releasing`."""
    from taskgraph.engine.releasing import release

    with opened(settings) as backend, closing(open_reader(settings)) as reader:
        return release(reader, backend, paths, by=author(), dry_run=dry_run, force=force)


@contextmanager
def in_force(settings: Settings, places: FilePlaces) -> Iterator[None]:
    """Have files and code known as the settings say; code that was read once stays as it was."""
    before = use_places(places)
    project = use_project(project_of(settings))
    trust = use_trust(trust_of(settings))
    try:
        with frozen():
            yield
    finally:
        use_trust(trust)
        use_places(before)
        use_project(project)


def labels_of_run(
    settings: Settings, *, user: str | None, project: str | None, doc: str | None
) -> OwnTags:
    """Return the library's own tags of a run; see `taskgraph.engine.labels`."""
    from taskgraph.engine import labels

    who = user or author().rpartition("@")[0]
    return labels.labels_of_run(settings.project_dir, user=who, project=project, doc=doc)


def author() -> str:
    """Return who does something that is written down: user and host."""
    try:
        import getpass

        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = f"uid {os.getuid()}"
    return f"{user}@{platform.node()}"


def find_record(reader: AnyReader, settings: Settings, text: str) -> Any:
    """Return the row, or the file with its job, that a text stands for.

    Any: it may be of any table.

    Raises:
        UnknownRecordError: Nothing is recorded under it.
        AmbiguousIdError: More than one record starts so.
    """
    for root, path in _places_named(settings, text):
        found = reader.find_file((root, path))
        if found is not None:
            return found
    return reader.find(text)


def find_tagged(reader: AnyReader, settings: Settings, text: str) -> tuple[str, str]:
    """Return the kind and the id of the record, that may have tags, which a text stands for.

    Raises:
        UnknownRecordError: Nothing is recorded under it, or what has no tags.
        AmbiguousIdError: More than one record starts so.
    """
    found = find_record(reader, settings, text)
    if isinstance(found, tuple):
        found = found[0]
    kind = type(found).__name__
    if kind == "File":
        return "Value", found.value_hash
    if kind not in {"Execution", "Job", "CallNode", "Task", "Value"}:
        raise UnknownRecordError(text)
    return kind, name_of_record(found)


def name_of_record(what: Any) -> str:
    """Return what a record, or what was read of one, can be found by."""
    if isinstance(what, str | os.PathLike):
        return str(os.fspath(what))
    names = (getattr(what, name, None) for name in ("id", "call_hash", "hash", "value_hash"))
    return next((name for name in names if isinstance(name, str)), str(what))


def has_database(settings: Settings) -> bool:
    """Tell whether there can be records; asking for them would make a SQLite file."""
    file = sqlite_file(database_uri(settings))
    return file is None or file.exists()


def located(settings: Settings, filters: RecordFilters) -> RecordFilters:
    """Return filters with the paths of files as they are recorded: below their roots.

    What is a path in the working directory is one below its root; as it was typed it is looked for
    below every root as well.
    """
    files: list[str | tuple[str, str]] = []
    for each in filters.files:
        files.append(each)
        if isinstance(each, str) and not each.startswith("*"):
            files += _places_named(settings, each)
    return replace(filters, files=tuple(files))


def _places_named(settings: Settings, text: str) -> Iterator[tuple[str, str]]:
    """Yield the roots and paths under which a file may be recorded, the nearest root first.

    What has neither a folder nor a suffix in its name and is no file here is no path.
    """
    if "://" in text or ("/" not in text and "." not in text and not Path(text).exists()):
        return
    path = Path(os.path.abspath(text))
    roots = {"project": settings.project_dir, **settings.roots}
    nearest = sorted(roots.items(), key=lambda each: len(each[1].parts), reverse=True)
    for root, folder in nearest:
        if path.is_relative_to(folder):
            yield root, path.relative_to(folder).as_posix()
    yield "", path.as_posix()
