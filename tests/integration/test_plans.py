"""Plans of calls, containers, scheduler tasks and files; and limits for what is made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, Scheduler, catch, cond, scheduler_task, seq, task
from taskgraph.config import Settings
from taskgraph.engine import blessing
from taskgraph.errors import CircularCallError, RerunLimitError, SchedulerError
from taskgraph.plans import Plan
from taskgraph.tasks.registry import AnyTask
from taskgraph.testing import MemoryBackend

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran_yet() -> None:
    ran.clear()


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def scheduler(backend: MemoryBackend) -> Iterator[Scheduler]:
    with Scheduler(backend=backend, executor="inline") as scheduler:
        yield scheduler


def define(name: str, func: Callable[..., Any], version: int = 1, **options: Any) -> AnyTask:
    """Define a task whose code is its version."""
    return task(name=name, namespace="pl", version=str(version), **options)(func)


def plus(x: int, by: int = 1) -> int:
    ran.append(f"plus {x} {by}")
    return x + by


def times(x: Any, by: int = 10) -> Any:
    ran.append(f"times {x} {by}")
    return x * by


def reasons(plan: Plan) -> list[tuple[str, str]]:
    return [(each.call, each.reason) for each in plan.calls]


def test_a_plan_is_data_and_runs_nothing(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)

    plan = scheduler.plan(b(a(1), by=2))

    assert reasons(plan) == [("pl.a(x=1, by=1)", "ABSENT"), ("pl.b(x=?, by=2)", "WAITS")]
    assert (plan.certain, plan.possible, plan.is_nothing) == (1, 1, False)
    assert ran == []


def test_what_waits_for_a_call_that_changed_says_so_and_counts_as_made_again(
    scheduler: Scheduler,
) -> None:
    a, b = define("a", plus), define("b", times)
    scheduler.run(b(a(1)))
    a = define("a", plus, 2)

    first, second = scheduler.plan(b(a(1))).calls

    assert (first.why, first.is_rerun, first.seconds is not None) == (
        "its code changed",
        True,
        True,
    )
    assert (second.why, second.is_rerun) == ("if its input changes", True)
    assert second.seconds is not None


def test_new_arguments_and_what_follows_from_them_are_new_work(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)
    scheduler.run(b(a(1)))

    first, second = scheduler.plan(b(a(2))).calls

    assert (first.why, first.is_rerun) == ("never called with these arguments", False)
    assert (second.why, second.is_rerun) == ("when its input is there", False)


def test_equal_calls_count_once_known_or_not(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)

    plan = scheduler.plan([b(a(1)), b(a(1)), b(x=a(1, by=1)), a(1), b(a(1) + 1), b(a(1) + 1)])

    assert [each.task for each in plan.calls] == ["pl.a", "pl.b", "pl.b"]


def test_without_collapse_each_call_counts(scheduler: Scheduler) -> None:
    a = define("a", plus, cache_scope="NONE")
    b = define("b", times, cache_scope="NONE")

    plan = scheduler.plan([a(1), a(1), b(a(1))])

    assert [each.task for each in plan.calls] == ["pl.a", "pl.a", "pl.a", "pl.b"]
    assert plan.calls[0].why == "the cache was not asked: cache_scope=NONE"


def test_what_is_never_cached_is_no_rerun(scheduler: Scheduler) -> None:
    a = define("a", plus, cache=False)
    scheduler.run(a(1))

    (call,) = scheduler.plan(a(1)).calls

    assert (call.reason, call.is_rerun) == ("SCOPE", False)


def test_config_args_do_not_count(scheduler: Scheduler) -> None:
    a = define("a", plus, config_args=["by"])
    scheduler.run(a(1, by=1))

    assert scheduler.plan(a(1, by=2)).is_nothing


def test_age_and_damage_are_reasons_and_nothing_is_thrown_away(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    a = define("a", plus)
    scheduler.run([a(1), a(2)])
    aged = scheduler.plan(a.options(max_age=1e-6)(1))
    for key, value in list(backend.values.items()):
        backend.values[key] = value._replace(value=b"broken")

    damaged = scheduler.plan(a(2))

    assert [(each.reason, each.is_rerun) for each in (*aged.calls, *damaged.calls)] == [
        ("AGE", True),
        ("DAMAGED", True),
    ]
    assert backend._damaged == set()


def test_a_failed_call_is_tried_again_and_that_is_no_rerun(scheduler: Scheduler) -> None:
    a = define("a", lambda x: 1 // x)
    with pytest.raises(ZeroDivisionError):
        scheduler.run(a(0))

    (call,) = scheduler.plan(a(0)).calls

    assert (call.why, call.is_rerun) == ("it gave no result the last time", False)


def test_a_cached_caller_is_replayed_and_what_it_calls_is_planned(scheduler: Scheduler) -> None:
    a = define("a", plus)
    top = define("top", lambda n: [a(each) for each in range(n)])
    scheduler.run(top(3))
    define("a", plus, 2)

    plan = scheduler.plan(top(3))

    assert [each.call for each in plan.calls] == [f"pl.a(x={n}, by=1)" for n in range(3)]
    assert plan.cached == {"pl.top": 1}


def test_a_caller_that_runs_is_open_and_says_what_it_called(scheduler: Scheduler) -> None:
    a = define("a", plus)
    top = define("top", lambda n: cond(a(0) > 0, [a(each) for each in range(n)], 0))
    scheduler.run(top(3))
    top = define("top", top.func, 2)  # type: ignore[arg-type]  # it has one

    plan = scheduler.plan(top(3))

    (call,) = plan.calls
    assert call.is_open
    # Scheduler tasks are no work and are left out.
    assert [(each.task, each.calls) for each in call.below] == [("pl.a", 3)]
    assert plan.below() == {"pl.a": 3}


def test_what_changed_below_a_call_that_waits_may_run_without_it(scheduler: Scheduler) -> None:
    child = define("child", times)

    def fan(x: Any) -> list[Any]:
        return [child(x, by) for by in range(3)]

    first, fanned = define("first", plus), define("fanned", fan)
    other = define("other", times)
    scheduler.run([fanned(other(first(1))), fanned(7)])
    first, child = define("first", plus, 2), define("child", times, 2)
    ran.clear()

    plan = scheduler.plan(fanned(other(first(1))))
    scheduler.run(fanned(other(first(1))))

    assert [(each.task, each.is_certain, each.is_rerun) for each in plan.bodies] == [
        ("pl.first", True, True),
        ("pl.other", False, True),
        ("pl.fanned", False, True),
        *[("pl.child", False, True)] * 3,
    ]
    assert plan.calls[-1].why == "if pl.fanned is answered from the cache: code below it changed"
    assert len(ran) == 4, "first gives what it gave, and the cached fanned calls another child"
    assert scheduler.plan(fanned(other(first(1)))).is_nothing


def test_what_did_not_change_below_a_call_that_waits_is_not_planned(scheduler: Scheduler) -> None:
    child = define("child", times)
    first, fanned = define("first", plus), define("fanned", lambda x: [child(x)])
    scheduler.run(fanned(first(1)))
    first = define("first", plus, 2)

    assert [each.task for each in scheduler.plan(fanned(first(1))).bodies] == [
        "pl.first",
        "pl.fanned",
    ]


def test_a_single_value_out_of_many_is_looked_through(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)
    top = define("top", lambda: a(1))
    scheduler.run([b(top()), b(a(1))])
    define("a", plus, 2)

    plan = scheduler.plan([b(top()), b(a(1))])

    # The same value by two ways: one call.
    assert [each.task for each in plan.calls] == ["pl.a", "pl.b"]


# Scheduler tasks


def test_cond_is_open_while_its_predicate_is_not_known(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)
    scheduler.run(cond(a(1) > 1, b(5), b(6)))
    a = define("a", plus, 2)

    first, second = scheduler.plan(cond(a(1) > 1, b(5), b(6))).calls

    assert (first.call, first.is_body) == ("pl.a(x=1, by=1)", True)
    assert (second.task, second.is_body, second.is_open) == ("taskgraph.cond", False, True)


def test_cond_takes_the_branch_that_is_known(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)
    scheduler.run(a(1))

    plan = scheduler.plan(cond(a(1) > 1, b(5), b(6)))

    assert [each.call for each in plan.calls] == ["pl.b(x=5, by=10)"]


def test_seq_and_catch_go_on_with_what_is_not_known(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)

    plan = scheduler.plan(b(seq([a(1), a(2)])[1]) + catch(a(3), ValueError, b))

    calls = [each.call for each in plan.calls]
    assert calls[0] == "pl.a(x=1, by=1)"
    assert sorted(calls) == sorted(
        ["pl.a(x=1, by=1)", "pl.a(x=2, by=1)", "pl.a(x=3, by=1)", "pl.b(x=?, by=10)"]
    )


def test_catch_plans_the_recovery_of_what_is_known_to_fail(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)
    scheduler.run(a(1))

    plan = scheduler.plan(catch(a(1)["key"], TypeError, b))  # type: ignore[index]  # it fails

    assert [each.task for each in plan.calls] == ["pl.b"]
    assert plan.error is None


@scheduler_task(namespace="pl")
def twice(expr: Any, follow: Any) -> Any:
    """Hand a value on to a task, as it is and in a list."""
    value = yield expr
    return [follow(value), follow([value])]


@scheduler_task(namespace="pl")
def curious(expr: Any) -> Any:
    """Look at a value in one of many ways."""
    value = yield expr
    return len(f"{value}")


def test_a_scheduler_task_of_the_user_may_hand_on_what_is_not_known(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)

    plan = scheduler.plan(twice(a(1), b))

    assert [each.call for each in plan.calls] == [
        "pl.a(x=1, by=1)",
        "pl.b(x=?, by=10)",
        "pl.b(x=[?], by=10)",
    ]


def test_a_scheduler_task_that_looks_at_what_is_not_known_is_open(scheduler: Scheduler) -> None:
    a = define("a", plus)

    plan = scheduler.plan(define("b", times)(curious(a(1))))

    assert [(each.task, each.is_body, each.is_open) for each in plan.calls] == [
        ("pl.a", True, False),
        ("pl.curious", False, True),
        ("pl.b", True, False),
    ]


# Files, errors, aliases


def test_files_are_looked_at_as_in_a_run(scheduler: Scheduler, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one")
    read = define("read", lambda file: file.read())
    scheduler.run(read(File(str(path))))

    before = scheduler.plan(read(File(str(path))))
    path.write_text("two")
    after = scheduler.plan([read(File(str(path))), read(File(str(path)))])

    assert before.is_nothing
    assert len(after.calls) == 1


def test_an_error_that_is_known_already_is_told(scheduler: Scheduler) -> None:
    a = define("a", plus)
    scheduler.run(a(1))

    plan = scheduler.plan(a(1)["key"])  # type: ignore[index]  # that is the error

    assert plan.error == "TypeError: 'int' object is not subscriptable"
    assert not plan.is_nothing


def test_a_call_that_needs_its_own_result_is_told(scheduler: Scheduler) -> None:
    loop: AnyTask = define("loop", lambda x: loop(x) if x else 0)
    scheduler.run(loop(0))
    with pytest.raises(CircularCallError):
        scheduler.run(loop(1))

    assert "needs its own result" in str(scheduler.plan(loop(1)).error)


def test_blessed_code_is_no_reason_to_run(scheduler: Scheduler, backend: MemoryBackend) -> None:
    a = define("a", plus)
    scheduler.run(a(1))
    later = define("a", plus, 2)
    blessing.bless(backend, blessing.defined(a), blessing.defined(later), "me", "")

    assert scheduler.plan(later(1)).is_nothing


def test_with_a_database_the_plan_says_what_changed(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()
    with Scheduler(Settings(tmp_path / ".taskgraph"), executor="inline") as scheduler:
        a = task(name="a", namespace="pl", hash_includes=[1])(lambda x: x)
        scheduler.run([a(n) for n in range(5)])
        a = task(name="a", namespace="pl", hash_includes=[2])(lambda x: x)
        changed = scheduler.plan([a(n) for n in range(5)])
        new = scheduler.plan(a(9))

    whys = {each.why for each in changed.calls}
    assert len(changed.calls) == 5
    assert len(whys) == 1
    assert "hash_includes[0]" in whys.pop()
    assert "x" in new.calls[0].why


def test_a_task_cannot_plan_in_the_scheduler_that_runs_it(scheduler: Scheduler) -> None:
    a = define("a", plus)
    nosy = define("nosy", lambda: scheduler.plan(a(1)).certain)

    with pytest.raises(SchedulerError, match="cannot start another run"):
        scheduler.run(nosy())


def test_a_long_chain_is_planned(scheduler: Scheduler) -> None:
    a = define("a", plus)
    value: Any = 0
    for _ in range(5_000):
        value = a(value)

    plan = scheduler.plan(value)

    assert (plan.certain, plan.possible) == (1, 4_999)


# Limits


def test_a_plan_beyond_the_limit_lets_nothing_run(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    a, b = define("a", plus), define("b", times)
    scheduler.run([b(a(n)) for n in range(5)])
    ran.clear()
    a = define("a", plus, 2)
    before = len(backend.executions)

    with pytest.raises(RerunLimitError) as caught:
        scheduler.run([b(a(n)) for n in range(5)], max_rerun=9)

    error = caught.value
    assert (error.calls, error.limit, error.is_before) == (10, 9, True)
    assert error.causes == (
        ("pl.a", "its code changed", 5),
        ("pl.b", "if its input changes", 5),
    )
    assert (ran, len(backend.executions)) == ([], before)
    scheduler.run([b(a(n)) for n in range(5)], max_rerun=10)
    assert len(ran) == 5  # the values are what they were, and `b` did not run


def test_what_a_dynamic_graph_brings_is_counted_as_it_comes(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    a, b = define("a", plus), define("b", times)

    def make(n: int) -> Any:
        ran.append(f"top {n}")
        return b([a(each) for each in range(n)])

    top = define("top", make)
    scheduler.run(top(5))
    ran.clear()
    top, a = define("top", make, 2), define("a", plus, 2)

    with pytest.raises(RerunLimitError) as caught:
        scheduler.run(top(5), max_rerun=5)

    assert (caught.value.calls, caught.value.is_before) == (6, False)
    assert ran == ["top 5"]
    assert list(backend.executions.values())[-1].state_type == "CANCELLED"
    # What had finished is kept: now all that is left is known beforehand.
    with pytest.raises(RerunLimitError) as caught:
        scheduler.run(top(5), max_rerun=5)
    assert (caught.value.calls, caught.value.is_before) == (6, True)
    scheduler.run(top(5), max_rerun=6)
    assert len(ran) == 6


def test_calls_that_follow_from_what_is_made_again_count(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)

    def make(x: int) -> Any:
        return [b(x + n) for n in range(3)]

    spread = define("spread", make)
    scheduler.run(spread(a(1)))
    ran.clear()
    a = define("a", lambda x, by=1: plus(x, by) + 100, 2)

    with pytest.raises(RerunLimitError) as caught:
        scheduler.run(spread(a(1)), max_rerun=4)

    # `a` is made again, and so `spread` with what it is given; its children were never called so.
    assert caught.value.calls == 5
    assert ("pl.b", "something above it is made again", 3) in caught.value.causes


def test_an_equal_value_cuts_off_and_costs_nothing(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)
    top = define("top", lambda: b(a(1)))
    scheduler.run(top())
    top, a = define("top", top.func, 2), define("a", plus, 2)  # type: ignore[arg-type]  # it has one

    scheduler.run(top(), max_rerun=2)

    assert ran == ["plus 1 1", "times 2 10", "plus 1 1"]


def test_new_work_is_not_limited(scheduler: Scheduler) -> None:
    a, b = define("a", plus), define("b", times)
    scheduler.run([b(a(n)) for n in range(3)])

    scheduler.run([b(a(n)) for n in range(30)], max_rerun=0)

    assert len(ran) == 60


def test_a_time_limits_by_what_calls_took(scheduler: Scheduler, backend: MemoryBackend) -> None:
    a = define("a", plus)
    scheduler.run(a(1))
    for key, job in backend.jobs.items():
        backend.jobs[key] = job._replace(start_time=job.end_time - 3_600_000_000)
    a = define("a", plus, 2)

    with pytest.raises(RerunLimitError, match=r"took 1:00:00 the last time") as caught:
        scheduler.run(a(1), max_rerun=timedelta(minutes=59))
    scheduler.run(a(1), max_rerun=timedelta(minutes=61))

    assert caught.value.seconds == pytest.approx(3600)
    assert len(ran) == 2
