"""Scheduler tasks in the style of callbacks: functions of scheduler, parent_job, sexpr."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from taskgraph import (
    Job,
    JobInfo,
    Promise,
    Scheduler,
    apply_tags,
    catch,
    get_context,
    get_current_scheduler,
    scheduler_task,
    task,
    wait_promises,
)
from taskgraph.errors import (
    DryRunResult,
    PromiseError,
    SchedulerError,
    UnhashableValueError,
    UnknownTaskError,
)
from taskgraph.expression import SchedulerExpression, TaskExpression
from taskgraph.functools import no_prov
from taskgraph.records import State
from tests.language.records import backend_of
from tests.language.tasks import add, describe, fail, inc, numbers, total

ran: list[str] = []
seen: dict[str, Any] = {}
gates = {"go": threading.Event(), "begun": threading.Event()}


@pytest.fixture(autouse=True)
def _anew() -> None:
    ran.clear()
    seen.clear()
    for each in gates.values():
        each.clear()


def told(namespace: str = "promising", **options: Any) -> Any:
    """A scheduler task of a function, which is given the three and what the call is given."""
    return scheduler_task(namespace=namespace, version="1", **options)


@task(namespace="promising", version="1")
def held(n: int) -> int:
    gates["begun"].set()
    assert gates["go"].wait(30)
    return n


@task(namespace="promising", version="1")
def noted(n: int) -> int:
    ran.append(f"noted {n}")
    return n


@task(namespace="promising", version="1")
def options_of(job: JobInfo = JobInfo()) -> dict[str, Any]:
    return {name: each for name, each in job.options.items() if name != "executor"}


@told()
def both(scheduler: Scheduler, parent_job: Job, sexpr: Any, left: Any, right: Any = 0) -> Any:
    asked = [scheduler.evaluate(each, parent_job=parent_job) for each in (left, right)]
    return Promise.all(asked)


@told()
def either(scheduler: Scheduler, parent_job: Job, sexpr: Any, *exprs: Any) -> Any:
    """Give what is there first."""
    first: Promise[Any] = Promise()
    for each in exprs:
        scheduler.evaluate(each).then(first.do_resolve, first.do_reject)
    return first


@told()
def or_else(scheduler: Scheduler, parent_job: Job, sexpr: Any, expr: Any, other: Any) -> Any:
    return scheduler.evaluate(expr).catch(lambda error: scheduler.evaluate(other))


@told()
def count_to(scheduler: Scheduler, parent_job: Job, sexpr: Any, n: int) -> Any:
    def step(value: int) -> Any:
        return value if value >= n else scheduler.evaluate(inc(value)).then(step)

    return scheduler.evaluate(0).then(step)


@told()
def never(scheduler: Scheduler, parent_job: Job, sexpr: Any, expr: Any = None) -> Promise[Any]:
    scheduler.evaluate(expr)
    return Promise()


@told()
def calling(scheduler: Scheduler, parent_job: Job, sexpr: Any, call: Any) -> Any:
    return call(scheduler, parent_job, sexpr)


def names_of(scheduler: Scheduler) -> Counter[str]:
    return Counter(each.task_name for each in backend_of(scheduler).call_nodes.values())


def edges_of(scheduler: Scheduler) -> set[tuple[str, str]]:
    nodes, edges = backend_of(scheduler).call_nodes, backend_of(scheduler).call_edges
    return {(nodes[e.parent_id].task_name, nodes[e.child_id].task_name) for e in edges}


def test_what_it_asks_for_is_evaluated(scheduler: Scheduler) -> None:
    assert scheduler.run(both(add(inc(1), b=inc(2)), [inc(3), {"x": inc(4)}])) == [
        5,
        [4, {"x": 5}],
    ]


def test_what_it_asks_for_may_be_a_value(scheduler: Scheduler) -> None:
    assert scheduler.run(both(1)) == [1, 0]


def test_the_value_of_its_promise_may_be_an_expression(scheduler: Scheduler) -> None:
    expr = calling(lambda sched, job, sexpr: sched.evaluate(inc(1)).then(lambda x: [add(x, x), x]))

    assert scheduler.run(expr) == [4, 2]


def test_a_function_may_give_a_value_at_once(scheduler: Scheduler) -> None:
    assert scheduler.run(calling(lambda sched, job, sexpr: inc(1))) == 2


def test_it_is_called_on_the_schedulers_thread_with_its_arguments_unevaluated(
    scheduler: Scheduler,
) -> None:
    given: dict[str, Any] = {}

    @told()
    def look(scheduler: Any, parent_job: Any, sexpr: Any, a: Any, *rest: Any, b: Any = 2) -> Any:
        given.update(a=a, rest=rest, b=b, thread=threading.get_ident())
        given.update(scheduler=scheduler, sexpr=sexpr, current=get_current_scheduler())

    expr = look(inc(1), 5, b=inc(2))
    assert scheduler.run(expr) is None

    assert isinstance(given["a"], TaskExpression)
    assert isinstance(given["sexpr"], SchedulerExpression)
    assert given["rest"] == (5,)
    assert given["thread"] == threading.get_ident()
    assert given["scheduler"] is given["current"] is scheduler


def test_the_three_are_no_parameters_of_a_call() -> None:
    assert str(both.signature).startswith("(left")
    with pytest.raises(TypeError, match="missing a required argument: 'left'"):
        both()


def test_each_promise_is_settled_as_soon_as_its_value_is_there(threads: Scheduler) -> None:
    def ask(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        slow = scheduler.evaluate(held(1))
        quick = scheduler.evaluate(inc(1)).then(lambda value: gates["go"].set())
        return Promise.all([slow, quick])

    assert threads.run(calling(ask)) == [1, None]


def test_who_is_first_is_not_kept_waiting_by_the_rest(threads: Scheduler) -> None:
    def ask(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        first: Promise[Any] = Promise()
        scheduler.evaluate(inc(held(1))).then(first.do_resolve)
        scheduler.evaluate(inc(5)).then(first.do_resolve)
        return first.then(open_gate)

    def open_gate(value: int) -> int:
        assert gates["begun"].wait(30)
        gates["go"].set()
        return value

    assert threads.run(calling(ask)) == 6

    nodes = backend_of(threads).call_nodes.values()
    assert [each.task_name for each in nodes].count("language.inc") == 1  # nobody needs the other
    assert {each.state_type for each in backend_of(threads).jobs.values()} == {State.COMPLETED}


def test_callbacks_may_ask_for_more(scheduler: Scheduler) -> None:
    assert scheduler.run(count_to(5)) == 5


def test_a_long_chain_of_questions(inline: Scheduler) -> None:
    assert inline.run(count_to(3_000)) == 3_000


def test_what_it_evaluates_are_calls_below_its_own(scheduler: Scheduler) -> None:
    scheduler.run(both(inc(1), total(numbers(3))))

    assert edges_of(scheduler) == {
        ("promising.both", f"language.{name}") for name in ("inc", "total", "numbers")
    }
    assert {each.state_type for each in backend_of(scheduler).jobs.values()} == {State.COMPLETED}


def test_an_equal_call_runs_once(inline: Scheduler) -> None:
    assert inline.run([both(noted(1), noted(1)), either(noted(1))]) == [[1, 1], 1]
    assert ran == ["noted 1"]


def test_the_second_run_finds_it_all(inline: Scheduler) -> None:
    first = inline.run(both(noted(1), count_to(3)))
    before = names_of(inline)

    assert inline.run(both(noted(1), count_to(3))) == first
    assert ran == ["noted 1"]
    assert names_of(inline) == before
    last = list(backend_of(inline).jobs.values())[len(backend_of(inline).jobs) // 2 :]
    assert all(each.cached for each in last)


def test_one_that_is_trusted_as_a_whole_is_not_called_again(inline: Scheduler) -> None:
    @told(check_valid="shallow")
    def whole(scheduler: Any, parent_job: Any, sexpr: Any, n: int) -> Any:
        ran.append("whole")
        return scheduler.evaluate(noted(n))

    assert [inline.run(whole(1)), inline.run(whole(1))] == [1, 1]
    assert ran == ["whole", "noted 1"]


# Errors


def test_an_error_may_be_caught_in_a_callback(scheduler: Scheduler) -> None:
    assert scheduler.run(or_else(fail("no"), inc(1))) == 2


def test_an_error_that_nobody_catches_fails_the_call(scheduler: Scheduler) -> None:
    with pytest.raises(ValueError, match="no") as raised:
        scheduler.run(both(fail("no"), inc(1)))

    trace = raised.value.__taskgraph_trace__  # type: ignore[attr-defined]  # put by the engine
    assert [each.task for each in trace.tasks] == ["promising.both", "language.fail"]
    failed = {
        backend_of(scheduler).tasks[each.task_hash].name
        for each in backend_of(scheduler).jobs.values()
        if each.state_type is State.FAILED
    }
    assert failed == {"both", "fail"}


def test_a_call_around_it_recovers(scheduler: Scheduler) -> None:
    assert scheduler.run(catch(both(fail("no")), ValueError, describe)) == "ValueError no"


def test_what_a_callback_raises_fails_the_call(scheduler: Scheduler) -> None:
    expr = calling(lambda sched, job, sexpr: sched.evaluate(inc(-1)).then(lambda x: 1 / x))

    with pytest.raises(ZeroDivisionError):
        scheduler.run(expr)


def test_what_the_function_raises_fails_the_call(scheduler: Scheduler) -> None:
    def ask(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        scheduler.evaluate(inc(1))
        raise KeyError("early")

    with pytest.raises(KeyError, match="early"):
        scheduler.run(calling(ask))


def test_the_lines_of_a_callback_are_told(inline: Scheduler) -> None:
    def stumble(value: int) -> int:
        return value // 0

    with pytest.raises(ZeroDivisionError) as raised:
        inline.run(calling(lambda sched, job, sexpr: sched.evaluate(inc(1)).then(stumble)))

    assert "return value // 0" in str(raised.value.__taskgraph_trace__)


def test_siblings_go_on_after_an_error(inline: Scheduler) -> None:
    expr = both(fail("no"), [noted(1), add(noted(2), noted(3))])

    with pytest.raises(ValueError, match="no"):
        inline.run(expr, fail_fast=False)

    assert sorted(ran) == ["noted 1", "noted 2", "noted 3"]
    assert names_of(inline)["language.add"] == 1


def test_all_may_be_waited_for_whatever_fails(scheduler: Scheduler) -> None:
    def ask(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        asked = [scheduler.evaluate(each) for each in (fail("no"), inc(1), fail("nor this"))]
        return wait_promises(asked).then(lambda ended: [each.is_rejected for each in ended])

    assert scheduler.run(calling(ask)) == [True, False, True]


def test_a_task_that_is_not_defined_rejects_its_promise(scheduler: Scheduler) -> None:
    unknown = TaskExpression("promising.nowhere", (), {})

    with pytest.raises(UnknownTaskError):
        scheduler.run(both(unknown))
    assert scheduler.run(or_else(unknown, inc(1))) == 2


def test_what_would_wait_for_ever_is_an_error(scheduler: Scheduler) -> None:
    with pytest.raises(PromiseError, match=r"promise of promising\.never is pending"):
        scheduler.run(never())


def test_what_is_left_pending_after_its_last_answer_is_an_error(scheduler: Scheduler) -> None:
    with pytest.raises(PromiseError, match="nothing that it asked for is left"):
        scheduler.run(never(inc(1)))
    recovered = scheduler.run(catch(never(inc(2)), SchedulerError, describe))
    assert recovered == "PromiseError promising.never"


def test_nobody_asks_outside_of_a_scheduler_task(scheduler: Scheduler) -> None:
    with pytest.raises(SchedulerError, match="No scheduler task runs here"):
        scheduler.evaluate(inc(1))


def test_nobody_asks_after_the_end(scheduler: Scheduler) -> None:
    kept: list[Job] = []
    scheduler.run(calling(lambda sched, job, sexpr: kept.append(job)))

    with pytest.raises(SchedulerError, match=r"promising\.calling cannot ask for .*: the call has"):
        scheduler.evaluate(inc(1), parent_job=kept[0])


def test_nobody_asks_on_another_thread(scheduler: Scheduler) -> None:
    def ask(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        errors: list[BaseException] = []

        def elsewhere() -> None:
            try:
                scheduler.evaluate(inc(1), parent_job)
            except SchedulerError as error:
                errors.append(error)

        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
        return [str(each) for each in errors]

    (said,) = scheduler.run(calling(ask))
    assert "the call runs on another thread" in said


def test_no_run_starts_within(scheduler: Scheduler) -> None:
    with pytest.raises(SchedulerError, match="cannot start another run"):
        scheduler.run(calling(lambda sched, job, sexpr: sched.run(inc(1))))


# What it is told of the job that calls it


def test_it_is_told_of_the_job_that_calls_it(scheduler: Scheduler) -> None:
    def look(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> str:
        seen["job"] = (parent_job.id, parent_job.execution.id, parent_job.task.fullname)
        seen["call"] = (parent_job.expr, parent_job.args, parent_job.kwargs, parent_job.parent_job)
        seen["self"] = (parent_job == parent_job, len({parent_job, parent_job}), repr(parent_job))
        return "looked"

    expr = within(look, more=3)
    assert scheduler.run(expr, execution_id="e" * 32) == "looked"

    (root,) = [each for each in backend_of(scheduler).jobs.values() if each.parent_id is None]
    assert seen["job"] == (root.id, "e" * 32, "promising.within")
    assert seen["call"] == (expr, (look,), {"more": 3}, None)
    assert seen["self"] == (True, 1, f"Job({root.id}, promising.within)")


@scheduler_task(namespace="promising", version="1")
def within(call: Any, more: int = 0) -> Any:
    return (yield calling(call))


def test_the_root_is_told_of_itself(scheduler: Scheduler) -> None:
    assert scheduler.run(calling(lambda s, job, sexpr: [job.task.name, job.parent_job])) == [
        "calling",
        None,
    ]


def test_it_is_told_of_options_and_limits(inline: Scheduler) -> None:
    def look(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        assert parent_job.get_raw_options()["retries"] is not None
        seen["raw"] = parent_job.get_raw_options()["retries"]
        return [
            parent_job.get_options()["memory"],
            parent_job.get_option("memory", as_type=str),
            parent_job.get_option("retries"),
            parent_job.get_option("cpus", 7, as_type=str),
            parent_job.get_option("cpus"),
            parent_job.get_limits(),
        ]

    call = within.options(memory=4, limits={"api": 1}, retries=inc(1))(look)

    assert inline.run([call]) == [[4, "4", 2, 7, None, {"api": 1}]]
    assert isinstance(seen["raw"], TaskExpression)


def test_what_it_evaluates_is_handed_options_like_other_calls(scheduler: Scheduler) -> None:
    call = both.export_options(memory=2)(options_of())

    assert scheduler.run(call) == [{"memory": 2}, 0]


def test_it_is_told_of_the_context_and_that_counts(inline: Scheduler) -> None:
    @told(check_valid="shallow")
    def read(scheduler: Any, parent_job: Any, sexpr: Any) -> Any:
        ran.append("read")
        context = parent_job.get_context()
        context.setdefault("a", {})["changed"] = True
        return sorted(parent_job.get_context().get("a", {}))

    @task(namespace="promising", version="1", check_valid="shallow")
    def around() -> Any:
        return read()

    for context in ({"a": {"x": 1}}, {"a": {"x": 1}}, {"a": {"x": 1}, "b": 2}, {}):
        ran.clear()
        assert inline.run(around(), context=context) == (["x"] if context else [])
        seen[str(context)] = [*seen.get(str(context), []), *ran]

    assert list(seen.values()) == [["read"], ["read"], ["read"]]


def test_a_context_without_a_hash_cannot_be_read(inline: Scheduler) -> None:
    with pytest.raises(UnhashableValueError, match="context"):
        inline.run(
            calling(lambda s, job, sexpr: job.get_context()), context={"lock": threading.Lock()}
        )


# Together with the rest of the language


def test_context_and_tags_reach_what_it_evaluates(scheduler: Scheduler) -> None:
    call = both.update_context(a=5)(get_context("a"), apply_tags(inc(1), {"k": 1}))

    assert scheduler.run(call) == [5, 2]
    tags = {(each.entity_type, each.key) for each in backend_of(scheduler).tags.values()}
    assert ("Value", "k") in tags


def test_below_what_is_not_recorded_nothing_is(scheduler: Scheduler) -> None:
    assert scheduler.run(no_prov(both(inc(1), count_to(2)))) == [2, 2]
    assert set(names_of(scheduler)) <= {"taskgraph.no_prov", "taskgraph.root_task"}


def test_a_plan_goes_through_it(inline: Scheduler) -> None:
    def ask(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        return scheduler.evaluate(noted(1)).then(lambda one: add(one, noted(2)))

    def planned() -> list[str]:
        return sorted(each.task for each in inline.plan(calling(ask)).calls)

    assert planned() == ["language.add", "promising.noted", "promising.noted"]
    inline.run(calling(ask))
    assert planned() == []
    assert ran == ["noted 1", "noted 2"]


def test_a_plan_stops_at_one_that_looks_at_what_is_unknown(inline: Scheduler) -> None:
    def ask(scheduler: Scheduler, parent_job: Job, sexpr: Any) -> Any:
        asked = scheduler.evaluate(noted(1)).then(lambda one: noted(one + 1))
        return asked.catch(lambda error: "caught")

    planned = inline.plan(calling(ask))

    assert {each.task for each in planned.calls} == {"promising.noted", "promising.calling"}
    assert planned.error is None
    assert inline.run(calling(ask)) == 2


def test_a_dry_run_stops_before_what_would_run(inline: Scheduler) -> None:
    with pytest.raises(DryRunResult):
        inline.run(both(noted(1)), dryrun=True)
    assert ran == []


def test_a_generator_may_name_its_parameters_so(inline: Scheduler) -> None:
    @scheduler_task(namespace="promising", version="1")
    def steps(scheduler: Any, parent_job: Any, sexpr: Any) -> Any:
        return [(yield scheduler), parent_job, sexpr]

    assert inline.run(steps(inc(1), 2, 3)) == [2, 2, 3]


@told()
def name_of_caller(scheduler: Any, parent_job: Job, sexpr: Any) -> Any:
    return [parent_job.task.name, parent_job.get_option("memory"), parent_job.args]


@task(namespace="promising", version="1")
def asks(x: int) -> Any:
    return name_of_caller()


@task(namespace="promising", version="1")
def asks_too(x: int) -> Any:
    return name_of_caller()


@task(namespace="promising", version="1", check_valid="shallow")
def around(x: int) -> Any:
    return asks(x)


def test_what_it_was_told_of_one_caller_is_not_the_answer_for_another(scheduler: Scheduler) -> None:
    calls = [asks.options(memory=2)(1), asks_too(2), asks(3), asks.options(memory=4)(4)]

    assert scheduler.run(calls) == scheduler.run(calls) == [
        ["asks", 2, (1,)], ["asks_too", None, (2,)], ["asks", None, (3,)], ["asks", 4, (4,)]
    ]  # fmt: skip


def test_a_call_around_one_that_looked_at_its_caller_is_never_taken_as_a_whole(
    inline: Scheduler,
) -> None:
    found = [inline.run(around(1), options=how) for how in ({"memory": 2}, {"memory": 4}, {})]

    assert found == [["asks", 2, (1,)], ["asks", 4, (1,)], ["asks", None, (1,)]]


@task(namespace="promising", version="1")
def kind_of(error: BaseException) -> str:
    return type(error).__name__


@pytest.mark.parametrize(
    ("given", "kind"), [("text", TypeError), (None, TypeError), (ValueError, ValueError)]
)
def test_what_is_no_error_is_told_as_one_that_may_be_caught(
    inline: Scheduler, given: Any, kind: type[Exception]
) -> None:
    @told()
    def rejects(scheduler: Any, parent_job: Any, sexpr: Any) -> Any:
        return Promise(lambda resolve, reject: reject(given))

    with pytest.raises(kind):
        inline.run(rejects())
    assert inline.run(catch(rejects(), kind, kind_of)) == kind.__name__
