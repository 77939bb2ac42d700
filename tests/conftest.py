"""Fixtures of all rooms: each implementation of the backend port, and rows to fill it with."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import event

import taskgraph
from taskgraph import Scheduler
from taskgraph.archive import Archive
from taskgraph.ports import Backend
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend
from taskgraph_backend.holders import is_gone
from tests.fingerprint_corpus.loading import is_from

pytest_plugins = [
    "tests.clusters",
    "tests.postgres",
    "tests.schemas",
    "tests.takers",
    "tests.workers",
]

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Have one worker more than cores: a quarter of the tests' time is waiting for others."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else None


def pytest_collection_finish() -> None:
    """Take what was collected, and the libraries, out of what is looked at again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_module_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget what a test imported from a folder of its own: others call their files alike."""
    before = set(sys.modules)
    yield
    folder = f"{tmp_path_factory.getbasetemp()}/"
    for name in sys.modules.keys() - before:
        if is_from(sys.modules[name], folder):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _no_execution_stays() -> Iterator[None]:
    """End what a test began by calling functions that are kept: the next has its own project."""
    yield
    if "taskgraph.plug.execution" in sys.modules:
        sys.modules["taskgraph.plug.execution"].close_executions()


def _memory(folder: Path) -> Backend:
    return MemoryBackend(is_gone=is_gone)


def _sqlite_file(folder: Path) -> Backend:
    backend = SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}")
    backend.load()
    return backend


def _sqlite_memory(folder: Path) -> Backend:
    return SqlBackend()


_MAKERS: dict[str, Callable[[Path], Backend]] = {
    "memory": _memory,
    "sqlite_file": _sqlite_file,
    "sqlite_memory": _sqlite_memory,
}


@pytest.fixture(params=[*_MAKERS, "postgres"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each implementation of the backend port in turn, empty."""
    if request.param in _MAKERS:
        made = _MAKERS[request.param](tmp_path)
    else:
        made = SqlBackend(request.getfixturevalue("postgres_uri"))
        made.load()
    yield made
    made.close()


def _uri_fixture(on_postgres: str, what: str) -> Any:
    """Return a fixture that gives a database of each kind in turn."""

    def make(request: pytest.FixtureRequest, tmp_path: Path) -> str:
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path / 'taskgraph.db'}"
        uri: str = request.getfixturevalue(on_postgres)
        return uri

    make.__doc__ = what
    return pytest.fixture(params=["sqlite", "postgres"])(make)


database_uri = _uri_fixture(
    "postgres_uri",
    "An empty database of each kind; the schema is there, or is made when it is opened.",
)
own_database_uri = _uri_fixture(
    "own_postgres_uri", "An empty database of each kind whose schema may be changed."
)


@pytest.fixture
def sql_backend(database_uri: str) -> Iterator[SqlBackend]:
    """A database of each kind in turn, empty."""
    with SqlBackend(database_uri) as made:
        yield made


@pytest.fixture
def tg(database_uri: str) -> Iterator[Archive]:
    """The archive of a new database, of each kind in turn."""
    with taskgraph.open(database_uri, migrate=True) as archive:
        yield archive


@pytest.fixture
def recording(tg: Archive, database_uri: str) -> Iterator[Scheduler]:
    """A scheduler that records in that archive."""
    backend = SqlBackend(database_uri)
    backend.load()
    with Scheduler(backend=backend) as made:
        yield made
    backend.close()


@pytest.fixture
def sqlite_backend(tmp_path: Path) -> Iterator[SqlBackend]:
    """A database in a file, empty: for what only SQLite has."""
    with SqlBackend(f"sqlite:///{tmp_path / 'taskgraph.db'}") as made:
        yield made


@pytest.fixture
def statements() -> Callable[[Archive], AbstractContextManager[list[str]]]:
    """Notes the statements of an archive's readers while it lasts."""

    @contextmanager
    def noting(tg: Archive) -> Iterator[list[str]]:
        found: list[str] = []

        def note(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
            found.append(text)

        engine = tg.backend.database.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield found
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return noting
