"""When calls fail: what goes on, what is recorded, and what is said at the end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, catch, catch_all, seq, task
from taskgraph.records import State
from taskgraph.testing import MemoryBackend
from tests.language.tasks import describe, describe_all, fail, fail_later, fail_on, inc, total


def states_of(backend: MemoryBackend) -> dict[str, list[State]]:
    states: dict[str, list[State]] = {}
    for job in backend.jobs.values():
        states.setdefault(backend.tasks[job.task_hash].name, []).append(job.state_type)
    return states


def failures_of(error: BaseException) -> list[str]:
    return [each.shown for each in error.__taskgraph_failures__]  # type: ignore[attr-defined]


def test_all_goes_on_that_does_not_depend_on_it(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    numbers = [inc(fail_on(each, 50)) for each in range(100)]

    with pytest.raises(KeyError, match="50") as caught:
        scheduler.run([total(numbers), numbers], fail_fast=False)

    states = states_of(backend)
    assert states["fail_on"].count(State.COMPLETED) == 99
    assert states["inc"] == [State.COMPLETED] * 99
    assert "total" not in states
    assert states["root_task"] == [State.FAILED]
    assert failures_of(caught.value) == ["language.fail_on(x=50, bad=50): KeyError: 50"]
    before = set(backend.jobs)
    with pytest.raises(KeyError):
        scheduler.run([total(numbers), numbers], fail_fast=False)
    ran = [each for each in backend.jobs.values() if each.id not in before and not each.cached]
    assert {backend.tasks[each.task_hash].name for each in ran} == {"fail_on", "root_task"}


def test_what_runs_beside_a_failure_is_recorded_and_nothing_new_is_started() -> None:
    begun = threading.Barrier(20, timeout=60)
    end = threading.Event()
    backend = MemoryBackend()

    @task(namespace="failing", version="1")
    def slow(n: int) -> int:
        begun.wait()
        end.wait(60)
        return n

    @task(namespace="failing", version="1")
    def failing() -> int:
        begun.wait()
        threading.Timer(0.2, end.set).start()
        raise ValueError("one of many")

    @task(namespace="failing", version="1")
    def later(n: int) -> int:
        return n

    from taskgraph.executors.threads import ThreadExecutor

    with Scheduler(backend=backend) as scheduler:
        scheduler.add_executor(ThreadExecutor("many", 20))
        with pytest.raises(ValueError, match="one of many"):
            scheduler.run(
                [failing(), *[later(slow(each)) for each in range(19)]],
                options={"executor": "many"},
            )

    states = states_of(backend)
    assert states["slow"] == [State.COMPLETED] * 19
    assert states["failing"] == [State.FAILED]
    assert "later" not in states


def test_every_failure_is_told_once_and_the_first_is_raised(scheduler: Scheduler) -> None:
    calls = [fail("a"), inc(fail("b")), fail_later("c"), [inc(1), fail_on(2, 2)], fail("a")]

    with pytest.raises(ValueError, match=r"^[abc]$") as caught:
        scheduler.run(calls, fail_fast=False)

    told = failures_of(caught.value)
    assert told[0].endswith(f"ValueError: {caught.value}")
    assert sorted(told) == [
        "language.fail(message='a'): ValueError: a",
        "language.fail(message='b'): ValueError: b",
        "language.fail(message='c'): ValueError: c",
        "language.fail_on(x=2, bad=2): KeyError: 2",
    ]


def test_what_was_recovered_from_is_no_failure_of_the_run(scheduler: Scheduler) -> None:
    recovered = [
        catch(fail("a"), ValueError, describe),
        catch_all([fail("b"), inc(1)], ValueError, describe_all),
    ]

    with pytest.raises(KeyError) as caught:
        scheduler.run([recovered, inc(total([1, 2])), fail_on(3, 3)], fail_fast=False)

    assert failures_of(caught.value) == ["language.fail_on(x=3, bad=3): KeyError: 3"]


def test_a_recovery_comes_after_all_else_that_was_asked_for(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    both = catch([fail("a"), inc(inc(inc(1)))], ValueError, describe)

    assert scheduler.run(both, fail_fast=False) == "ValueError a"

    assert states_of(backend)["inc"] == [State.COMPLETED] * 3


def test_what_depends_on_a_failure_does_not_run(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    with pytest.raises(ValueError, match="a"):
        scheduler.run(
            [seq([fail("a"), inc(1)]), total([fail("a"), inc(2)]), fail("a") + inc(3), inc(4)],
            fail_fast=False,
        )

    ran = [each for each in backend.jobs.values() if each.state_type is State.COMPLETED]
    assert {backend.tasks[each.task_hash].name for each in ran} == {"inc"}
    assert len(ran) == 3, "of a sequence what comes after a failure is not asked for"


def test_failures_of_operators_are_those_of_who_wrote_them(scheduler: Scheduler) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        scheduler.run([inc(1) / 0, inc(2)], fail_fast=False)

    (told,) = failures_of(caught.value)
    assert told.endswith("ZeroDivisionError: division by zero")


def test_a_wide_failure_takes_no_longer_than_a_wide_success(scheduler: Scheduler) -> None:
    """Each failure must not look at all that is still to come."""
    with pytest.raises(KeyError) as caught:
        scheduler.run([fail_on(each, each) for each in range(2_000)], fail_fast=False)

    assert len(failures_of(caught.value)) == 2_000


def test_a_recorded_call_is_made_again(tmp_path: Path) -> None:
    from taskgraph.config import Settings
    from taskgraph.errors import RerunError, UnknownRecordError

    (tmp_path / ".taskgraph").mkdir()
    with Scheduler(Settings(tmp_path / ".taskgraph"), executor="inline") as scheduler:
        with pytest.raises(KeyError) as caught:
            scheduler.run([fail_on(3, bad=inc(2))])
        job = _failures(caught.value)[0].tasks[-1].job_id
        with pytest.raises(KeyError):
            scheduler.run(scheduler.recorded_call(job[:8]))
        with pytest.raises(UnknownRecordError):
            scheduler.recorded_call("feedbeef")
        with pytest.raises(RerunError, match="no job"):
            scheduler.recorded_call("-")
        root = _failures(caught.value)[0].tasks[0].job_id
        with pytest.raises(RerunError, match="runs in the scheduler"):
            scheduler.recorded_call(root)


def _failures(error: BaseException) -> Any:
    return error.__taskgraph_failures__  # type: ignore[attr-defined]


def test_a_recorded_call_is_made_again_in_its_context(tmp_path: Path) -> None:
    from taskgraph import get_context
    from taskgraph.config import Settings

    @task(namespace="failing", version="1")
    def fail_by(x: int, limit: int = get_context("limit", 0)) -> int:
        return check(x, get_context("name"))

    @task(namespace="failing", version="1")
    def check(x: int, name: str) -> int:
        raise ValueError(f"{x} {name}")

    @task(namespace="failing", version="1")
    def outer(x: int) -> int:
        return fail_by(x)

    (tmp_path / ".taskgraph").mkdir()
    with Scheduler(Settings(tmp_path / ".taskgraph"), executor="inline") as scheduler:
        named = outer.update_context({"name": "inner"})
        with pytest.raises(ValueError, match="1 inner") as caught:
            scheduler.run(named(1), context={"name": "run"})
        fail_job = _failures(caught.value)[0].tasks[-2]
        assert fail_job.task == "failing.fail_by"
        with pytest.raises(ValueError, match="1 inner"):
            scheduler.run(scheduler.recorded_call(fail_job.job_id))
