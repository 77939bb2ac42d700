"""What a run leaves in memory while its scheduler waits for the next one."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.engine.jobs import Job
from taskgraph.testing import MemoryBackend

taskgraph_namespace = "stays"

_made: list[weakref.ref[Any]] = []


class Large:
    """A result that somebody may want to be rid of."""

    def __init__(self, number: int) -> None:
        self.number = number
        _made.append(weakref.ref(self))


@task
def make(number: int) -> Large:
    return Large(number)


@task
def number_of(large: Large) -> int:
    return large.number


@task
async def make_later(number: int) -> int:
    made = await make(number)
    return int(made.number)


@pytest.mark.parametrize("executor", ["inline", "threads"])
def test_neither_the_jobs_of_a_run_nor_what_they_gave_stay(executor: str) -> None:
    with Scheduler(backend=MemoryBackend(), executor=executor) as scheduler:
        assert scheduler.run([number_of(make(n)) for n in range(20)]) == list(range(20))
        assert scheduler.run([make_later(n) for n in range(20, 30)]) == list(range(20, 30))
        gc.collect()

        assert len(_made) >= 20
        assert [each for each in _made if each() is not None] == []
        jobs = [each for each in gc.get_objects() if type(each) is Job]
        assert [each for each in jobs if each.task.namespace == taskgraph_namespace] == []
    _made.clear()
