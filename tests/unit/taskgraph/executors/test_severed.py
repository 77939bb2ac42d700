"""A worker that is killed while it sends its result keeps nobody waiting."""

from __future__ import annotations

import os
import signal
import struct
import threading
from collections.abc import Iterator
from multiprocessing import connection
from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.errors import WorkerLostError
from taskgraph.executors import severed

SECONDS = 60


@task(namespace="severed")
def dies_while_sending() -> int:
    """Have this worker die when a part of its answer is in the pipe."""

    def send_a_part(self: connection.Connection, content: object) -> None:
        os.write(self.fileno(), struct.pack("!i", 1_000) + b"and no more")
        os.kill(os.getpid(), signal.SIGKILL)

    connection.Connection._send_bytes = send_a_part  # type: ignore[attr-defined]
    return 1


@task(namespace="severed", timeout=3600)
def dies_with_a_time_limit() -> int:
    return dies_while_sending.func()


@task(namespace="severed")
def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    monkeypatch.setattr(severed, "PATIENCE", 0.2)
    monkeypatch.setattr(severed, "EVERY", 0.05)
    settings = {
        "backend": {"db_uri": f"sqlite:///{tmp_path / 'taskgraph.db'}"},
        "executors": {"processes": {"max_workers": 2}},
    }
    with Scheduler(settings, executor="processes") as made:
        yield made


def outcome(scheduler: Scheduler, expression: object) -> object:
    """Return what a run gives or raises; a run that hangs fails the test."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(scheduler.run(expression))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert found, "the run hangs"
    return found[0]


@pytest.mark.parametrize("dies", [dies_while_sending, dies_with_a_time_limit])
def test_the_call_is_lost_and_the_next_run_has_other_workers(
    dies: object, scheduler: Scheduler
) -> None:
    assert outcome(scheduler, double(1)) == 2

    lost = outcome(scheduler, [dies(), double(2)])  # type: ignore[operator]  # it is a task

    assert isinstance(lost, WorkerLostError)
    assert outcome(scheduler, [double(each) for each in range(5)]) == [0, 2, 4, 6, 8]


def test_who_watches_ends_with_the_last_pool(scheduler: Scheduler) -> None:
    assert outcome(scheduler, double(1)) == 2
    watcher = severed._watcher
    assert watcher is not None

    scheduler.close()

    watcher.join(SECONDS)
    assert not watcher.is_alive()
    assert not severed._watched
