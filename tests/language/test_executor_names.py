"""Executors by the names that they are known by elsewhere, and pools by the option ``mode``."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph import JobInfo, Scheduler, task
from taskgraph.config import ExecutorSettings, Settings
from taskgraph.errors import ExecutorError, TaskOptionError
from taskgraph.executors.inline import InlineExecutor
from taskgraph.testing import MemoryBackend


@task(namespace="names", version="1", cache_scope="NONE")
def where() -> tuple[int, str]:
    return os.getpid(), threading.current_thread().name


@task(namespace="names", version="1", cache_scope="NONE")
async def on_loop() -> bool:
    await asyncio.sleep(0)
    return threading.current_thread() is threading.main_thread()


@task(namespace="names", version="1", cache_scope="NONE")
def retries_of(job: JobInfo = JobInfo()) -> int | None:
    return job.options.get("retries")


@pytest.fixture(scope="module")
def inline_first() -> Iterator[Scheduler]:
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        yield scheduler


def made_with(executor: str | None = None, **settings: ExecutorSettings) -> Scheduler:
    chosen = Settings(Path("/nowhere/.taskgraph"))
    chosen = Settings(chosen.config_dir, executors={**chosen.executors, **settings})
    return Scheduler(chosen, backend=MemoryBackend(), executor=executor)


HERE = os.getpid(), threading.main_thread().name


@pytest.mark.parametrize("said", [{}, {"executor": "default"}])
def test_the_default_executor_may_be_named_default(
    inline_first: Scheduler, said: dict[str, str]
) -> None:
    assert inline_first.run(where.options(**said)()) == HERE


@pytest.mark.parametrize("said", [{"executor": "thread"}, {"mode": "thread"}])
def test_thread_means_a_thread_of_this_process(
    inline_first: Scheduler, said: dict[str, str]
) -> None:
    process, thread = inline_first.run(where.options(**said)())

    assert process == HERE[0]
    assert thread != HERE[1]


@pytest.mark.parametrize("said", [{"executor": "process"}, {"mode": "process"}])
def test_process_means_another_process(inline_first: Scheduler, said: dict[str, str]) -> None:
    process, _ = inline_first.run(where.options(**said)())

    assert process != HERE[0]


def test_an_executor_that_is_named_goes_before_a_mode(inline_first: Scheduler) -> None:
    assert inline_first.run(where.options(executor="inline", mode="process")()) == HERE
    assert inline_first.run(where.options(executor="default", mode="process")()) == HERE


def test_a_mode_that_is_none_names_the_good_ones() -> None:
    with pytest.raises(TaskOptionError, match="'fiber' is not one of 'thread', 'process'"):
        where.options(mode="fiber")
    with pytest.raises(ValueError, match="'mode'"):
        where.options(mode=3)


def test_a_mode_may_be_handed_on_and_be_a_lazy_call(inline_first: Scheduler) -> None:
    @task(namespace="names", version="1")
    def around() -> tuple[int, str]:
        return where()

    @task(namespace="names", version="1")
    def chosen() -> str:
        return "thread"

    _, thread = inline_first.run(around.export_options(mode=chosen())())
    assert thread != HERE[1]
    _, thread = inline_first.run(where(), options={"mode": "thread"})
    assert thread != HERE[1]


@pytest.mark.parametrize(
    ("name", "meant"), [("default", "threads"), ("thread", "threads"), ("process", "processes")]
)
def test_a_scheduler_is_told_its_executor_by_such_a_name(name: str, meant: str) -> None:
    with Scheduler(backend=MemoryBackend(), executor=name) as scheduler:
        assert scheduler.default_executor == meant


def test_an_executor_of_that_name_is_meant_where_there_is_one() -> None:
    own = {name: ExecutorSettings(type="inline") for name in ("default", "process", "thread")}
    with made_with("default", **own) as scheduler:
        assert scheduler.default_executor == "default"
        for name in own:
            assert scheduler.run(where.options(executor=name)()) == HERE


def test_one_that_is_added_later_is_meant_as_well() -> None:
    with made_with() as scheduler:
        assert scheduler.run(where.options(executor="thread")())[1] != HERE[1]
        scheduler.add_executor(InlineExecutor("thread"))
        assert scheduler.run(where.options(executor="thread")()) == HERE


def test_options_of_an_executor_hold_under_its_other_name() -> None:
    limited = ExecutorSettings(type="threads", options={"retries": 2})
    with made_with(threads=limited) as scheduler:
        assert scheduler.run(retries_of.options(executor="thread")()) == 2
        assert scheduler.run(retries_of.options(mode="thread")()) == 2
        assert scheduler.run(retries_of.options(executor="default")()) == 2


def test_coroutines_named_default_run_where_they_always_do(inline_first: Scheduler) -> None:
    assert inline_first.run(on_loop()) == inline_first.run(on_loop.options(executor="default")())


def test_what_is_no_name_is_still_an_error(inline_first: Scheduler) -> None:
    with pytest.raises(ExecutorError, match="no executor named 'prozess'"):
        inline_first.run(where.options(executor="prozess")())
    with pytest.raises(ExecutorError, match="no executor named 'prozess'"):
        Scheduler(backend=MemoryBackend(), executor="prozess")
