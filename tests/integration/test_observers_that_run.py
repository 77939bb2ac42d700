"""Observers that run something themselves, while the run that they watch goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.events import Event, JobDone


@task(namespace="watched")
def leaf(x: int) -> int:
    return x + 1


@task(namespace="watched")
def wanted(x: int) -> int:
    return x + 2


@pytest.mark.timeout(60)
def test_an_observer_may_run_something_on_the_same_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    found: list[int] = []

    def on_event(event: Event) -> None:
        if isinstance(event, JobDone) and event.task == "watched.leaf":
            with Scheduler({"backend.db_uri": uri}) as other:
                found.append(other.run(wanted(5)))

    with Scheduler({"backend.db_uri": uri}, observers=[on_event]) as scheduler:
        result = scheduler.run([leaf(1), leaf(2)])

    assert result == [2, 3]
    assert found == [7, 7]
