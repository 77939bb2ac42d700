"""`on_failure`: what is called when a call has failed, when, how often, and what is told to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import FailedCall, Scheduler, catch, catch_all, get_context, task, throw
from taskgraph.errors import DryRunResult, TaskOptionError, UnhashableValueError
from taskgraph.events import Warned
from taskgraph.records import State
from taskgraph.tasks.partial import PartialTask
from taskgraph.testing import MemoryBackend, RecordingObserver
from tests.language.tasks import (
    call_with,
    describe,
    fail,
    fail_later,
    fail_on,
    fail_until,
    inc,
    note_failure,
    note_failure_at_last,
    note_failure_later,
    number,
    sleep,
)

told: list[tuple[BaseException, FailedCall]] = []


def tell(error: BaseException, call: FailedCall) -> None:
    told.append((error, call))


@pytest.fixture
def inline() -> Iterator[Scheduler]:
    told.clear()
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        yield scheduler


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "failures"
    path.touch()
    return path


def noting(path: Path, **more: Any) -> PartialTask:
    return note_failure.partial(path=str(path), **more)


def lines(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


def jobs_of(backend: MemoryBackend, name: str) -> list[Any]:
    return [each for each in backend.jobs.values() if backend.tasks[each.task_hash].name == name]


# When, and how often


def test_it_is_called_once_when_a_call_has_failed(
    scheduler: Scheduler, backend: MemoryBackend, path: Path
) -> None:
    call = fail.options(on_failure=noting(path))

    with pytest.raises(ValueError, match="broken"):
        scheduler.run([inc(inc(call("broken"))), inc(1)])

    assert lines(path) == ["ValueError: broken in language.fail"]
    (failed,) = jobs_of(backend, "fail")
    (after,) = jobs_of(backend, "after_failure")
    (noted,) = jobs_of(backend, "note_failure")
    assert after.parent_id == failed.id
    assert noted.parent_id == after.id
    assert failed.state_type is State.FAILED
    assert after.state_type is noted.state_type is State.COMPLETED
    assert backend.executions[failed.execution_id].state_type is State.FAILED


def test_what_ends_well_calls_nothing(scheduler: Scheduler, path: Path) -> None:
    assert scheduler.run(inc.options(on_failure=noting(path))(1)) == 2
    assert lines(path) == []


def test_it_is_called_after_the_last_attempt(scheduler: Scheduler, path: Path) -> None:
    call = fail_until.options(retries=2, on_failure=noting(path))

    assert scheduler.run(call(f"{path}-a", 2)) == 3
    assert lines(path) == []
    with pytest.raises(Exception, match="attempt 3"):
        scheduler.run(call(f"{path}-b", 9))
    assert lines(path) == ["Flaky: attempt 3 in language.fail_until"]


def test_who_only_lost_an_input_calls_nothing(scheduler: Scheduler, path: Path) -> None:
    with pytest.raises(ValueError, match="a"):
        scheduler.run(inc.options(on_failure=noting(path))(fail("a")), fail_fast=False)

    assert lines(path) == []


def test_a_task_that_says_it_hears_of_failures_below(scheduler: Scheduler, path: Path) -> None:
    with pytest.raises(ValueError, match="a"):
        scheduler.run(fail_later.options(on_failure=noting(path))("a"))

    assert lines(path) == ["ValueError: a in language.fail_later"]


def test_handed_on_it_is_called_where_the_error_arose(scheduler: Scheduler, path: Path) -> None:
    for run in (
        lambda: scheduler.run(call_with.export_options(on_failure=noting(path))(fail_later, "a")),
        lambda: scheduler.run(call_with(fail_later, "b"), options={"on_failure": noting(path)}),
    ):
        with pytest.raises(ValueError, match=r"a|b"):
            run()

    assert lines(path) == ["ValueError: a in language.fail", "ValueError: b in language.fail"]


def test_what_is_handed_on_may_be_switched_off(scheduler: Scheduler, path: Path) -> None:
    quiet = fail.options(on_failure=None)

    with pytest.raises(ValueError, match="a"):
        scheduler.run(call_with.export_options(on_failure=noting(path))(quiet, "a"))

    assert lines(path) == []


def test_each_failure_of_a_run_is_told(scheduler: Scheduler, path: Path) -> None:
    call = fail_on.options(on_failure=noting(path))

    with pytest.raises(KeyError):
        scheduler.run([call(n, n) for n in (1, 2, 3, 3)], fail_fast=False)

    assert lines(path) == [f"KeyError: {n} in language.fail_on" for n in (1, 2, 3)]


def test_a_failure_that_is_recovered_from_is_one(
    scheduler: Scheduler, backend: MemoryBackend, path: Path
) -> None:
    call = fail.options(on_failure=noting(path))

    assert scheduler.run(catch(call("a"), ValueError, describe)) == "ValueError a"
    assert scheduler.run(catch_all([call("b"), inc(1)], ValueError, number))[1] == 2

    assert lines(path) == ["ValueError: a in language.fail", "ValueError: b in language.fail"]
    states = {each.state_type for each in backend.executions.values()}
    assert states == {State.COMPLETED}


def test_a_wrong_call_and_an_executor_that_is_not_there_fail_too(inline: Scheduler) -> None:
    for call in (inc(threading.Lock()), inc.options(executor="moon")(1)):
        with pytest.raises(Exception, match=r"lock|moon"):
            inline.run([call], options={"on_failure": tell})

    assert [type(error).__name__ for error, _ in told] == ["UnhashableValueError", "ExecutorError"]


def test_a_scheduler_task_that_raises_fails_too(inline: Scheduler) -> None:
    with pytest.raises(KeyError):
        inline.run(throw(KeyError(1)), options={"on_failure": tell})

    assert [call.task for _, call in told] == ["taskgraph.throw"]


# What it is told, and what it may do


def test_it_is_told_what_failed_and_where(inline: Scheduler) -> None:
    with pytest.raises(ValueError, match="broken"):
        inline.run(fail_later.options(on_failure=tell)("broken"))

    ((error, call),) = told
    assert isinstance(error, ValueError)
    failed = jobs_of(inline.backend, "fail_later")[0]  # type: ignore[arg-type]  # one in memory
    assert (call.task, call.arguments) == ("language.fail_later", (("message", "'broken'"),))
    assert (call.error, call.attempts) == ("ValueError: broken", 1)
    assert (call.job_id, call.execution_id) == (failed.id, failed.execution_id)
    shown = call.trace.splitlines()
    assert "task language.fail_later" in shown[1]
    assert "task language.fail," in shown[3]
    assert "in fail" in shown[5]
    assert shown[-1] == "ValueError: broken"


class Unsendable(Exception):
    def __init__(self, lock: Any, text: str) -> None:
        super().__init__(text)
        self.lock = lock


def test_an_error_that_cannot_be_stored_is_told_all_the_same(inline: Scheduler) -> None:
    def raising() -> None:
        raise Unsendable(threading.Lock(), "odd")

    with pytest.raises(Unsendable):
        inline.run(task(name="raising", namespace="after", version="1", on_failure=tell)(raising)())

    ((error, call),) = told
    assert "odd" in str(error)
    assert call.error == "Unsendable: odd"


def test_it_may_be_a_task_that_calls_others(
    scheduler: Scheduler, backend: MemoryBackend, path: Path
) -> None:
    handler = note_failure_later.partial(path=str(path))

    with pytest.raises(ValueError, match="a"):
        scheduler.run([fail.options(on_failure=handler)("a"), inc(5)])

    assert lines(path) == ["ValueError: a in language.fail"]
    names = {backend.tasks[each.task_hash].name for each in backend.jobs.values()}
    assert {"note_failure_later", "note_failure", "note_size", "inc"} <= names
    (job,) = jobs_of(backend, "note_size")
    assert job.state_type is State.COMPLETED


def test_it_may_be_given_calls(scheduler: Scheduler, path: Path) -> None:
    handler = note_failure.partial(path=number(str(path)))

    with pytest.raises(ValueError, match="a"):
        scheduler.run(fail.options(on_failure=handler)("a"))

    assert lines(path) == ["ValueError: a in language.fail"]


def test_it_may_be_chosen_by_a_call(scheduler: Scheduler, path: Path) -> None:
    with pytest.raises(ValueError, match="a"):
        scheduler.run([fail.options(on_failure=number(noting(path)))("a")])

    assert lines(path) == ["ValueError: a in language.fail"]


def test_it_may_be_tried_again_although_the_run_is_over(
    scheduler: Scheduler, backend: MemoryBackend, path: Path
) -> None:
    handler = note_failure_at_last.options(retries=3, retry_delay=0.01, limits=["a"])

    with pytest.raises(ValueError, match="a"):
        scheduler.run(fail.options(on_failure=handler.partial(path=str(path)))("a"))

    assert path.read_text() == "..."
    (job,) = jobs_of(backend, "note_failure_at_last")
    assert job.state_type is State.COMPLETED


def test_a_call_that_leaves_no_records_has_none_of_it_either(
    scheduler: Scheduler, backend: MemoryBackend, path: Path
) -> None:
    with pytest.raises(ValueError, match="a"):
        scheduler.run([fail.options(prov=False, on_failure=noting(path))("a")])

    assert lines(path) == ["ValueError: a in language.fail"]
    assert [backend.tasks[j.task_hash].name for j in backend.jobs.values()] == ["root_task"]


def test_what_runs_beside_is_waited_for_and_nothing_else_is_started(
    scheduler: Scheduler, backend: MemoryBackend, path: Path
) -> None:
    begins_late = fail.options(on_failure=noting(path))

    with pytest.raises(ValueError, match="a"):
        scheduler.run([begins_late("a"), inc(inc(inc(sleep(0.3))))])

    assert lines(path) == ["ValueError: a in language.fail"]
    assert not [j for j in backend.jobs.values() if j.state_type is State.RUNNING]


# When it fails itself


def test_its_own_failure_does_not_hide_the_first(
    scheduler: Scheduler, backend: MemoryBackend, seen: RecordingObserver, path: Path
) -> None:
    call = fail.options(on_failure=noting(path, fails=True))

    with pytest.raises(ValueError, match="broken") as caught:
        scheduler.run([call("broken")], options={"retries": 1})

    assert lines(path) == ["ValueError: broken in language.fail"] * 2, "it was tried again"
    failures = caught.value.__taskgraph_failures__  # type: ignore[attr-defined]  # by the engine
    assert [each.error for each in failures] == [
        "ValueError: broken",
        "RuntimeError: nobody answers",
    ]
    (warned,) = [each.message for each in seen.events if isinstance(each, Warned)]
    assert warned == "on_failure of language.fail failed as well: RuntimeError: nobody answers"
    assert catching(scheduler, call) == "ValueError again"


def catching(scheduler: Scheduler, call: Any) -> Any:
    return scheduler.run(catch(call("again"), ValueError, describe))


def test_it_has_no_aftermath_of_its_own(scheduler: Scheduler, path: Path) -> None:
    handler = noting(path, fails=True)

    with pytest.raises(ValueError, match="a"):
        scheduler.run(fail_later("a"), options={"on_failure": handler})

    assert lines(path) == ["ValueError: a in language.fail"]


def test_what_it_shares_with_the_run_does_not_stop_it(inline: Scheduler) -> None:
    """A call that was given up with the run, and that the aftermath needs too, is made for it."""

    @task(namespace="after", version="1")
    def outer(n: int) -> Any:
        return [inc(n), fail("a")]

    def handle(error: BaseException, call: FailedCall) -> Any:
        return [number.options(cache=False)(1), inc(5), tell_task(inc(7))]

    handler = task(name="handle", namespace="after", version="1")(handle)
    with pytest.raises(ValueError, match="a"):
        inline.run([outer.options(on_failure=handler)(5), inc(inc(inc(6)))])

    assert [call for _, call in told] == [8]


@task(namespace="after", version="1")
def tell_task(value: int) -> None:
    told.append((ValueError(), value))  # type: ignore[arg-type]  # what came is looked at


def test_it_does_not_count_as_made_again(inline: Scheduler) -> None:
    def define(version: str) -> Any:
        def once(x: int) -> Any:
            return fail("b") if version == "2" else x

        return task(name="once", namespace="after", version=version, on_failure=tell)(once)

    assert inline.run(define("1")(1)) == 1
    with pytest.raises(ValueError, match="b"):
        inline.run(fail("b"), options={"on_failure": tell})
    with pytest.raises(ValueError, match="b"):
        inline.run(define("2")(1), max_rerun=2)

    assert [call.task for _, call in told] == ["language.fail", "after.once"]


def test_it_reads_the_context_of_the_call_that_failed(inline: Scheduler) -> None:
    handler = note_context.partial(where=get_context("where", "nowhere"))
    called = fail.options(on_failure=handler)

    for call in (called.update_context(where="here"), called):
        with pytest.raises(ValueError, match="a"):
            inline.run([call("a"), inc(1)])

    assert [where for _, where in told] == ["here", "nowhere"]


@task(namespace="after", version="1")
def note_context(error: BaseException, call: FailedCall, where: str) -> None:
    told.append((error, where))  # type: ignore[arg-type]  # what came is looked at


# What may be said


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (3, "must be a task or a function"),
        (ValueError, "must be a task or a function"),
        (inc, "must take two arguments"),
        (lambda error: None, "must take two arguments"),
        (note_failure, "must take two arguments.*path"),
        (note_failure.partial(1, 2, path=""), "must take two arguments"),
    ],
)
def test_what_cannot_be_called_is_refused(value: Any, match: str) -> None:
    with pytest.raises(TaskOptionError, match=f"option 'on_failure': {match}"):
        inc.options(on_failure=value)


def test_a_dry_run_and_a_plan_call_nothing(inline: Scheduler) -> None:
    expr = [inc(threading.Lock()), fail("a")]

    with pytest.raises((DryRunResult, UnhashableValueError)):
        inline.run(expr, dryrun=True, options={"on_failure": tell})
    inline.plan(
        [fail.options(on_failure=tell)("a"), inc.options(on_failure=tell)(threading.Lock())]
    )

    assert told == []


def test_a_run_that_is_stopped_calls_nothing_any_more(inline: Scheduler) -> None:
    def stopping() -> None:
        inline._stop_engine()
        raise ValueError("too late")

    call = task(name="stopping", namespace="after", version="1", on_failure=tell)(stopping)
    with pytest.raises((KeyboardInterrupt, ValueError)):
        inline.run([call(), inc(1)])

    assert told == []
    assert not [
        j
        for j in inline.backend.jobs.values()  # type: ignore[attr-defined]  # one in memory
        if j.state_type is State.RUNNING
    ]
