"""An executor works for one run at a time, and says so."""

from __future__ import annotations

import threading

import pytest

from taskgraph import Scheduler, task
from taskgraph.errors import ExecutorError
from taskgraph.executors.threads import ThreadExecutor
from taskgraph.testing import MemoryBackend

_begun = threading.Event()
_may_end = threading.Event()


@task(namespace="working", executor="shared")
def wait(number: int) -> int:
    _begun.set()
    assert _may_end.wait(60)
    return number


def test_two_schedulers_at_once_cannot_have_the_same_executor() -> None:
    shared = ThreadExecutor("shared", 2)
    _begun.clear()
    _may_end.clear()
    found: list[int] = []
    with Scheduler(backend=MemoryBackend()) as one, Scheduler(backend=MemoryBackend()) as other:
        one.add_executor(shared)
        other.add_executor(shared)
        running = threading.Thread(target=lambda: found.append(one.run(wait(1))))
        running.start()
        assert _begun.wait(60)

        with pytest.raises(ExecutorError, match="'shared' is at work for a run of another"):
            other.run(wait(2))

        _may_end.set()
        running.join()
        assert found == [1]
        assert other.run(wait(2)) == 2


def test_one_that_is_closed_does_not_stop_an_executor_that_another_runs_on() -> None:
    shared = ThreadExecutor("shared", 1)
    _begun.clear()
    _may_end.clear()
    found: list[list[int]] = []
    with Scheduler(backend=MemoryBackend()) as one:
        one.add_executor(shared)
        # Some of them wait for a thread: they would be dropped.
        calls = [wait(number) for number in range(3, 8)]
        running = threading.Thread(target=lambda: found.append(one.run(calls)))
        running.start()
        assert _begun.wait(60)

        with Scheduler(backend=MemoryBackend()) as other:
            other.add_executor(shared)
            with pytest.raises(ExecutorError, match="another scheduler"):
                other.run(wait(9))

        _may_end.set()
        running.join(60)
        assert found == [[3, 4, 5, 6, 7]]
