"""`fork_thread` and `join_thread`: calls that go on beside those that began them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from taskgraph import Scheduler, catch, fork_thread, join_thread, scheduler_task, seq, task
from taskgraph.events import Warned
from taskgraph.functools import no_prov
from taskgraph.records import State
from taskgraph.tasks.requests import Forked
from taskgraph.testing import RecordingObserver
from tests.language.records import backend_of
from tests.language.tasks import add, describe, inc

ran: list[str] = []
gates = {"go": threading.Event(), "begun": threading.Event()}


@pytest.fixture(autouse=True)
def _anew() -> None:
    ran.clear()
    for each in gates.values():
        each.clear()


@task(namespace="forking", version="1")
def held(n: int) -> int:
    ran.append("held")
    gates["begun"].set()
    assert gates["go"].wait(30)
    return n


@task(namespace="forking", version="1")
def release(value: Any) -> str:
    assert gates["begun"].wait(30)
    gates["go"].set()
    return "released"


@task(namespace="forking", version="1")
def fail(message: str) -> None:
    raise ValueError(message)


@task(namespace="forking", version="1")
def again(n: int) -> Any:
    ran.append("again")
    return [n]


@scheduler_task(namespace="forking", version="1")
def beside() -> Any:
    thread = yield fork_thread([held(1), inc(1)])
    released = yield release("now")  # while what was forked still runs
    one = yield join_thread(thread)
    two = yield join_thread(thread)
    return released, one, two


def test_it_goes_on_beside_and_is_joined_as_often_as_wanted(threads: Scheduler) -> None:
    assert threads.run(beside()) == ("released", [1, 2], [1, 2])
    assert ran == ["held"]


def test_on_every_executor(scheduler: Scheduler) -> None:
    thread = fork_thread(add(inc(1), b=inc(2)))

    assert scheduler.run([join_thread(thread), seq([thread, join_thread(thread)])[1]]) == [5, 5]


def test_the_run_waits_for_what_nobody_joins(threads: Scheduler) -> None:
    gates["go"].set()

    found = threads.run(fork_thread(inc(held(3))))

    assert isinstance(found, Forked)
    backend = backend_of(threads)
    names = Counter(each.task_name for each in backend.call_nodes.values())
    assert names == {"taskgraph.fork_thread": 1, "forking.held": 1, "language.inc": 1}
    (forker,) = [j.id for j in backend.jobs.values() if j.parent_id is None]
    assert sum(each.parent_id == forker for each in backend.jobs.values()) == 2
    assert {each.state_type for each in backend.jobs.values()} == {State.COMPLETED}


def test_who_joins_has_the_calls_below_its_own(threads: Scheduler) -> None:
    gates["go"].set()
    threads.run(join_thread(fork_thread(held(1))))

    backend = backend_of(threads)
    nodes = backend.call_nodes
    pairs = {
        (nodes[e.parent_id].task_name, nodes[e.child_id].task_name) for e in backend.call_edges
    }
    assert ("taskgraph.join_thread", "forking.held") in pairs


def test_what_is_never_cached_runs_once_for_all_who_join(threads: Scheduler) -> None:
    thread = fork_thread(again.options(cache_scope="NONE")(1))

    assert threads.run([join_thread(thread), join_thread(thread)]) == [[1], [1]]
    assert ran == ["again"]


def test_nothing_runs_again_and_what_was_kept_is_joined_in_a_later_run(threads: Scheduler) -> None:
    kept = threads.run(fork_thread(again(1)))
    assert threads.run(join_thread(fork_thread(again(1)))) == [1]
    assert threads.run(join_thread(kept)) == [1]
    assert ran == ["again"]


def test_an_error_is_that_of_who_joins(threads: Scheduler) -> None:
    seen = RecordingObserver()
    threads.observers.append(seen)

    thread = fork_thread(fail("forked"))
    assert threads.run([catch(join_thread(thread), ValueError, describe), inc(1)]) == [
        "ValueError forked",
        2,
    ]
    with pytest.raises(ValueError, match="forked"):
        threads.run(join_thread(thread))
    assert isinstance(threads.run(fork_thread(fail("alone"))), Forked)
    told = [each.message for each in seen.events if isinstance(each, Warned)]
    assert told[-1] == ("What was forked failed: ValueError: alone. Who joins it gets the error.")


def test_only_what_was_forked_can_be_joined(threads: Scheduler) -> None:
    with pytest.raises(TypeError, match="join_thread takes what fork_thread gave, not 3"):
        threads.run(join_thread(inc(2)))


def test_a_plan_knows_what_would_run(threads: Scheduler) -> None:
    planned = threads.plan(join_thread(fork_thread(again(7))))
    assert [each.task for each in planned.calls] == ["forking.again"]


def test_when_the_run_fails_what_was_forked_ends_with_it(threads: Scheduler) -> None:
    @scheduler_task(namespace="forking", version="1")
    def failing() -> Any:
        yield fork_thread(inc(held(5)))
        yield release("now")
        raise KeyError("over")

    with pytest.raises(KeyError, match="over"):
        threads.run(failing())

    states = {
        backend_of(threads).tasks[j.task_hash].name: j.state_type
        for j in backend_of(threads).jobs.values()
    }
    assert states["held"] is State.COMPLETED
    assert "inc" not in states


def test_below_what_is_not_recorded_nothing_is(threads: Scheduler) -> None:
    expr = join_thread(fork_thread(inc(again(1)[0])))

    assert threads.run(no_prov(expr)) == 2
    assert threads.run(beside_unrecorded.options(prov=False)()) == [1, [2]]
    names = {each.task_name for each in backend_of(threads).call_nodes.values()}
    assert names <= {"taskgraph.no_prov", "taskgraph.root_task"}


@scheduler_task(namespace="forking", version="1")
def beside_unrecorded() -> Any:
    thread = yield fork_thread(again(2))
    return [1, join_thread(thread)]


def test_what_is_forked_after_a_failure_is_waited_for(threads: Scheduler) -> None:
    @scheduler_task(namespace="forking", version="1")
    def tell(error: Any, call: Any) -> Any:
        yield fork_thread(again(3))

    with pytest.raises(ValueError, match="first"):
        threads.run(fail.options(on_failure=tell)("first"))
    assert ran == ["again"]
