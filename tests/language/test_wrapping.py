"""Tasks around tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taskgraph import Scheduler, Task, get_task_registry, task, wraps_task

ran: list[str] = []


def make_doubled(factor: int = 2) -> Any:
    @wraps_task()
    def doubled(inner: Task[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            ran.append(f"around {inner.fullname}")
            return scaled(inner(*args, **kwargs), factor)

        return run

    return doubled


@task(namespace="wrapping", version="1")
def scaled(x: int, factor: int) -> int:
    return x * factor


def make_step(version: str = "1", factor: int = 2) -> Any:
    @make_doubled(factor)
    @task(namespace="wrapping", version=version)
    def step(x: int, by: int = 1) -> int:
        ran.append(f"step {x} {by}")
        return x + by

    return step


def test_the_one_around_takes_the_name_and_the_one_inside_moves(inline: Scheduler) -> None:
    step = make_step()

    assert inline.run([step(1), step(1, by=1), step(x=2)]) == [4, 4, 6]
    assert ran.count("around wrapping.doubled.step") == 2
    assert step.fullname == "wrapping.step"
    assert step.inner_task.fullname == "wrapping.doubled.step"
    assert get_task_registry().get("wrapping.step") is step


def test_calls_fit_the_task_inside(inline: Scheduler) -> None:
    with pytest.raises(TypeError, match=r"wrapping\.step"):
        make_step()(1, 2, 3)

    @wraps_task(use_wrapper_signature=True)
    def constant(inner: Task[..., Any]) -> Callable[..., Any]:
        def run(name: str) -> Any:
            return inner(len(name))

        return run

    @constant
    @task(namespace="wrapping", version="1")
    def size(n: int) -> int:
        return n

    assert inline.run(size(name="four")) == 4  # type: ignore[call-arg]  # the wrapper's own


def test_a_change_inside_and_around_counts(inline: Scheduler) -> None:
    inline.run(make_step()(1))
    ran.clear()

    assert inline.run(make_step()(1)) == 4
    assert ran == []
    assert inline.run(make_step(version="2")(1)) == 4
    assert ran == ["around wrapping.doubled.step", "step 1 1"]
    assert inline.run(make_step(version="2", factor=5)(1)) == 10
    assert ran[2:] == ["around wrapping.doubled.step"]


def test_wrappers_nest_and_take_plain_functions_and_options(inline: Scheduler) -> None:
    @wraps_task("shown", tags={"shown": True})
    def show(inner: Task[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: [inner(*args, **kwargs)]

    def plain(x: int) -> int:
        return x

    plain.__module__ = "wrapping_plain"
    made: Any = show(make_doubled()(plain))

    assert inline.run(made(3)) == [6]
    assert made.get_task_option("tags") == (("shown", True),)
    assert made.inner_task.inner_task.name == "plain"
    assert made.inner_task.namespace.endswith("shown")


def test_on_every_executor(scheduler: Scheduler) -> None:
    assert scheduler.run(make_step()(1)) == 4
