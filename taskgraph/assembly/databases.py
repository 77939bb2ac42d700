"""The database of a project, as settings say: opened, and who is at work in it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taskgraph.assembly.surroundings import in_force, places_of, trust_of
from taskgraph.config import DATABASE_NAME, Settings
from taskgraph.engine.leasing import Assigned, ExecutionLease
from taskgraph.engine.waiting import Waiting
from taskgraph.errors import DatabaseError
from taskgraph.outputs.place import OutputPlace, folder_of
from taskgraph.ports import Backend
from taskgraph.records import ExecutionId
from taskgraph.urls import sqlite_file, sqlite_url
from taskgraph.values.gate import tighten_trust

if TYPE_CHECKING:
    from taskgraph_backend import SqlBackend


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
        "max_losses": settings.workers.max_losses,
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


def take_lease(
    backend: Backend,
    execution_id: ExecutionId,
    leads: bool = False,
    assigned: Assigned | None = None,
) -> ExecutionLease:
    """Claim an execution for this process, for as long as it lives.

    Args:
        backend: Where it is recorded.
        execution_id: The execution.
        leads: Whether it leads all calls, if nobody else leads any.
        assigned: That a worker of this process has taken it already.

    Raises:
        LeaseLostError: The worker took it, and somebody else has it by now.
    """
    from taskgraph_backend.holders import this_process

    lease = ExecutionLease(backend, execution_id, *this_process(), assigned)
    lease.take(leads)
    return lease


def hold_waiting(backend: Backend, execution_ids: Sequence[str]) -> Waiting:
    """Return what claims executions for this process while they wait for their turn."""
    from taskgraph_backend.holders import this_process

    ids = [ExecutionId(each) for each in execution_ids]
    return Waiting(backend, ids, *this_process())


def has_others(backend: Backend) -> bool:
    """Tell whether other processes may use a backend: those in memory are of one alone."""
    database = getattr(backend, "database", None)
    return database is not None and not database.in_memory


def usual_seconds(settings: Settings, tasks: Sequence[str]) -> dict[str, float]:
    """Return how long a call of each task took lately, of those that were made.

    From any thread: the records are opened for this alone.
    """
    from taskgraph_backend.reader import Reader

    if not has_database(settings):
        return {}
    with Reader(_backend_of(settings, None), owns_backend=True) as reader:
        return reader.usual_seconds(tasks)


@contextmanager
def opened(settings: Settings) -> Iterator[SqlBackend]:
    """Open the project's database, with the settings in force."""
    backend = open_database(settings)
    try:
        with in_force(settings, places_of(settings)):
            yield backend
    finally:
        backend.close()


def has_database(settings: Settings) -> bool:
    """Tell whether there can be records; asking for them would make a SQLite file."""
    file = sqlite_file(database_uri(settings))
    return file is None or file.exists()


__all__ = [
    "database",
    "database_uri",
    "has_database",
    "has_others",
    "hold_waiting",
    "logs_folder",
    "open_database",
    "open_existing",
    "opened",
    "output_place",
    "take_lease",
    "usual_seconds",
]
