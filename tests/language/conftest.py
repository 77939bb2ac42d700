"""A scheduler on each executor, on a backend in memory that each test has for itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from taskgraph import Scheduler
from taskgraph.testing import MemoryBackend, RecordingObserver

EXECUTORS = ["inline", "threads", "processes"]
#: Those on whose workers a few workflows are run; all of them if TASKGRAPH_TORTURE is set.
REMOTE_EXECUTORS = ["loky", "dask", "submitit"]
ALL = bool(os.environ.get("TASKGRAPH_TORTURE"))


@pytest.fixture(scope="module", params=REMOTE_EXECUTORS)
def remote_scheduler(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scheduler]:
    """A scheduler whose calls run on workers that others have started."""
    name = request.param
    table: dict[str, object] = {}
    if name == "loky":
        table = {"type": "processes", "start_method": "loky"}
    elif name == "dask":
        table = {"address": request.getfixturevalue("dask_address")}
    else:
        table = {"cluster": "local", "folder": str(tmp_path_factory.mktemp("jobs"))}
    backend = MemoryBackend()
    with Scheduler({"executors": {name: table}}, backend=backend, executor=name) as scheduler:
        yield scheduler


@pytest.fixture(scope="package", params=EXECUTORS)
def shared_scheduler(request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    """One scheduler for all tests, for worker processes take their time to start."""
    with Scheduler(backend=MemoryBackend(), executor=request.param) as scheduler:
        yield scheduler


@pytest.fixture
def executor(shared_scheduler: Scheduler) -> str:
    return shared_scheduler.default_executor


@pytest.fixture
def seen(shared_scheduler: Scheduler) -> RecordingObserver:
    seen = RecordingObserver()
    shared_scheduler.observers[:] = [seen]
    return seen


@pytest.fixture
def backend(shared_scheduler: Scheduler) -> MemoryBackend:
    backend = shared_scheduler.backend = MemoryBackend()
    return backend


@pytest.fixture
def scheduler(
    shared_scheduler: Scheduler, backend: MemoryBackend, seen: RecordingObserver
) -> Scheduler:
    return shared_scheduler


@pytest.fixture
def inline(request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    """A scheduler of the test's own, on its thread; what its module notes of bodies is cleared."""
    noted = getattr(request.module, "ran", None)
    if isinstance(noted, list):
        noted.clear()
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        yield scheduler


@pytest.fixture
def threads() -> Iterator[Scheduler]:
    """A scheduler of the test's own, on threads."""
    with Scheduler(backend=MemoryBackend(), executor="threads") as scheduler:
        yield scheduler
