"""What manages executions: catalogs, groups, deletion and retraction behind their ports."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskgraph.assembly.databases import logs_folder
from taskgraph.assembly.reading import find_record, name_of_record, places_named
from taskgraph.config import Settings
from taskgraph.errors import (
    AmbiguousIdError,
    ArtifactExistsError,
    ExecutionNotFoundError,
    NotRetractableError,
    SchedulerError,
    UnknownRecordError,
)
from taskgraph.ports import Backend
from taskgraph.records import PackedValue, State

if TYPE_CHECKING:
    from taskgraph.catalog.deletions import GrowthStore
    from taskgraph.catalog.folders import Folders
    from taskgraph.catalog.requests import Request
    from taskgraph.catalog.retractions import Entity, RetractionStore
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.catalog.data_store import DataCatalog
    from taskgraph_backend.catalog.group_store import GroupCatalog
    from taskgraph_backend.catalog.people_store import PeopleCatalog
    from taskgraph_backend.routing.store import Routing


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


def routing_of(backend: SqlBackend, check: Callable[[], object]) -> Routing:
    """Return what workers and their managers ask.

    Args:
        backend: The database.
        check: Called before each question.
    """
    from taskgraph_backend.routing.store import Routing

    return Routing(backend, check)


def people_of(backend: SqlBackend, check: Callable[[], object]) -> PeopleCatalog:
    """Return what the managers of people, packages of tasks and operations ask.

    Args:
        backend: The database.
        check: Called before each question.
    """
    from taskgraph_backend.catalog.people_store import PeopleCatalog

    return PeopleCatalog(backend, check)


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
    except AmbiguousIdError as error:
        dataset = backend._ask(find_dataset, text)
        if dataset is None or dataset.name != text:
            raise
        raise _not_only_dataset(dataset, error.matches) from None
    except UnknownRecordError:
        known = backend._ask(find_dataset, text) or backend._ask(
            find_file, list(places_named(settings, text)), text
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
        raise _not_only_dataset(named, [f"{kind} {id[:12]}"])
    return named


def _not_only_dataset(named: Entity, others: Sequence[str]) -> AmbiguousIdError:
    every = [f"Dataset {named.id[:12]} {named.name}", *others]
    dataset = shlex.quote(named.name)
    advice = f"add digits, or take the dataset by `taskgraph dataset retract {dataset}`"
    return AmbiguousIdError(named.name, every, advice)


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


def has_output(backend: Backend, execution_id: str) -> bool:
    """Tell whether there is a dataset that an execution writes."""
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.catalog.using import has_output as ask

    return isinstance(backend, SqlBackend) and backend._ask(ask, execution_id)


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


def add_log(backend: Backend, execution_id: str, path: str) -> None:
    """Register the log of an execution as an artifact, once.

    Args:
        backend: Where the execution is.
        execution_id: The execution.
        path: Where the log is, in its workspace.

    Raises:
        DatabaseError: It cannot be written.
    """
    from taskgraph.catalog.artifacts import LOG, NewArtifact
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.catalog.artifacts import add

    assert isinstance(backend, SqlBackend)
    wanted = NewArtifact(execution_id, LOG, "run", path)
    with suppress(ArtifactExistsError, ExecutionNotFoundError):
        backend._transact(add, wanted, None)


__all__ = [
    "add_log",
    "catalog_of",
    "create_execution",
    "find_retractable",
    "folders_of",
    "groups_of",
    "growth_of",
    "has_output",
    "is_cancelled",
    "people_of",
    "retractions_of",
    "routing_of",
    "settle_execution",
    "state_of_execution",
]
