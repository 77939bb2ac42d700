"""``async def`` tasks: one loop, thousands at once, and the caller's loop where one runs."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from taskgraph import Scheduler, catch, task
from taskgraph.errors import SchedulerError, TaskTimeoutError
from taskgraph.records import State
from taskgraph.testing import MemoryBackend
from tests.language.tasks import describe, inc, total


@task(namespace="async_tasks", version="1")
async def where(n: int) -> tuple[str, int]:
    await asyncio.sleep(0)
    return threading.current_thread().name, id(asyncio.get_running_loop())


@task(namespace="async_tasks", version="1")
async def double(n: int) -> int:
    await asyncio.sleep(0.001)
    return 2 * n


@task(namespace="async_tasks", version="1")
async def double_later(n: int) -> Any:
    await asyncio.sleep(0)
    return [double(n), inc(n)]


@task(namespace="async_tasks", version="1")
async def fail(message: str) -> Any:
    await asyncio.sleep(0)
    raise ValueError(message)


@task(namespace="async_tasks", version="1")
async def wait(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


class Meeting:
    """Everybody waits until all are there."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.there = 0
        self.all_there: asyncio.Event | None = None

    async def join(self) -> None:
        self.all_there = self.all_there or asyncio.Event()
        self.there += 1
        if self.there == self.wanted:
            self.all_there.set()
        await self.all_there.wait()


meeting = Meeting(0)


@task(namespace="async_tasks", version="1")
async def meet(n: int) -> int:
    await meeting.join()
    return n


def test_they_give_what_plain_tasks_give_on_every_executor(scheduler: Scheduler) -> None:
    expr = [double(1), total([double(2), inc(double(3))]), double_later(4)]

    assert scheduler.run(expr) == [2, 11, [8, 5]]
    backend = scheduler.backend
    assert isinstance(backend, MemoryBackend)
    before = set(backend.jobs)
    assert scheduler.run(expr) == [2, 11, [8, 5]]
    assert all(
        job.cached or job.parent_id is None for j, job in backend.jobs.items() if j not in before
    )


def test_all_run_on_one_loop(threads: Scheduler) -> None:
    found = threads.run([where(each) for each in range(50)])

    assert len(set(found)) == 1
    assert found[0][0] == "taskgraph-async"


def test_many_more_than_threads_wait_at_once(threads: Scheduler) -> None:
    global meeting
    meeting = Meeting(10_000)

    assert threads.run(total([meet(each) for each in range(10_000)])) == sum(range(10_000))


def test_where_a_task_says_an_executor_it_runs_there(threads: Scheduler) -> None:
    names = [
        threads.run(where.options(executor=name)(number))[0]
        for number, name in enumerate(["threads", "inline"])
    ]

    assert names[0].startswith("taskgraph-threads")
    assert names[1] == threading.current_thread().name


def test_a_plain_task_may_run_beside_the_loop(threads: Scheduler) -> None:
    assert threads.run(inc.options(executor="async")(1)) == 2


def test_errors_retries_and_limits_of_time(threads: Scheduler) -> None:
    assert threads.run(catch(fail("a"), ValueError, describe)) == "ValueError a"
    with pytest.raises(TaskTimeoutError, match="ran for more than"):
        threads.run(wait.options(timeout=0.05)(30.0))
    with pytest.raises(ValueError, match="b"):
        threads.run(fail.options(retries=2)("b"))
    backend = threads.backend
    assert isinstance(backend, MemoryBackend)
    assert [t.value for t in backend.tags.values() if t.key == "taskgraph.attempts"] == ["3"]


def test_a_scheduler_is_awaited_on_the_callers_loop(threads: Scheduler) -> None:
    async def main() -> tuple[Any, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        found = await threads.arun([where(1), wait(0.05), inc(1)])
        ticking.cancel()
        assert found[0] == (threading.current_thread().name, id(asyncio.get_running_loop()))
        return found[1:], ticks

    values, ticks = asyncio.run(main())

    assert values == [0.05, 2]
    assert ticks > 5, "the loop goes on meanwhile"


def test_run_works_inside_of_a_running_loop(threads: Scheduler) -> None:
    async def main() -> Any:
        return threads.run([double(1), inc(1)])

    assert asyncio.run(main()) == [2, 2]


def test_errors_come_through_an_awaited_scheduler(threads: Scheduler) -> None:
    with pytest.raises(ValueError, match="through"):
        asyncio.run(threads.arun(fail("through")))


def test_a_cancelled_wait_lets_what_runs_end_and_starts_nothing_new(threads: Scheduler) -> None:
    begun = asyncio.Event()

    @task(namespace="async_tasks", version="1")
    async def begin(n: int) -> int:
        begun.set()
        await asyncio.sleep(0.1)
        return n

    @task(namespace="async_tasks", version="1")
    def afterwards(n: int) -> int:
        return n

    async def main() -> None:
        running = asyncio.create_task(threads.arun(afterwards(begin(1))))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    backend = threads.backend
    assert isinstance(backend, MemoryBackend)
    states = {backend.tasks[j.task_hash].name: j.state_type for j in backend.jobs.values()}
    assert states["begin"] is State.COMPLETED
    assert "afterwards" not in states
    (execution,) = backend.executions.values()
    assert execution.state_type is State.CANCELLED


def test_a_task_on_the_loop_cannot_wait_for_the_run_that_it_is_part_of(threads: Scheduler) -> None:
    @task(namespace="async_tasks", version="1")
    async def nested() -> Any:
        return threads.run(inc(1))

    with pytest.raises(SchedulerError, match="cannot start another run"):
        threads.run(nested())


def test_the_thread_of_the_loop_ends_with_the_run(threads: Scheduler) -> None:
    threads.run(double(1))
    end = time.monotonic() + 10

    while any(each.name == "taskgraph-async" for each in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
