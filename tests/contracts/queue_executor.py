"""The executor of queues, with a server: what the contract of executors is held against."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskgraph.assembly.databases import open_database, take_lease
from taskgraph.assembly.routing import call_queue
from taskgraph.executors.queued import QueueExecutor
from taskgraph.ports import Call, Route
from taskgraph.records import ExecutionId, JobId
from tests.queues import serving, settings_for

RUN = ExecutionId("9e" * 16)
QUEUE = "contract"


class RoutedExecutor(QueueExecutor):
    """Gives each call the route that it would have in a run, and an id as runs have them."""

    def submit(self, calls: Sequence[Call]) -> None:
        """Send calls to the one queue."""
        super().submit([each._replace(route=Route(RUN, QUEUE)) for each in calls])

    def post(self, messages: list[bytes], calls: Sequence[Call]) -> Future[Any]:
        """Name calls by hashes: those of the contract are named by words."""
        (call,) = calls
        name = hashlib.md5(call.job_id.encode(), usedforsecurity=False).hexdigest()
        return super().post(messages, [call._replace(job_id=JobId(name))])


@contextmanager
def served_executor(folder: Path) -> Iterator[RoutedExecutor]:
    """Return an executor whose calls are run by two processes, by way of a database."""
    uri = f"sqlite:///{folder / 'taskgraph.db'}"
    settings = settings_for(uri)
    backend = open_database(settings)
    lease = take_lease(backend, RUN)
    executor = RoutedExecutor(connect=lambda: call_queue(settings, backend))
    try:
        with serving(uri, QUEUE):
            yield executor
            executor.stop()
    finally:
        lease.release()
        backend.close()
