"""Executions wait in queues as their states say, and each is taken by one worker at a time."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph import F, Scheduler, task
from taskgraph.archive import Archive
from taskgraph.assembly.managing import routing_of
from taskgraph.catalog.queueing import WAITING
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.worker_rows import Taker
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.errors import ExecutionNotFoundError, NotQueuedError, ValidationError
from taskgraph.records import ExecutionId, execution_lease
from taskgraph_backend import SqlBackend
from taskgraph_backend.holders import this_process
from taskgraph_backend.integrity import check
from taskgraph_backend.routing.store import Routing
from taskgraph_backend.routing.taking import Taking
from tests.takers import hurry, rows, submit

taskgraph_namespace = "routing"


@task
def double(x: int) -> int:
    return 2 * x


def names(tg: Archive, execution_id: str) -> list[str]:
    return [each.name for each in tg.executions.states(execution_id)]


# Waiting


def test_what_is_created_for_queues_waits_in_each_of_them(tg: Archive) -> None:
    one = submit(tg, "b", "a", options={"priority": -3})

    assert rows(tg, one) == [("a", -3), ("b", -3)]
    assert rows(tg, submit(tg, state="RUNNING")) == []
    assert rows(tg, submit(tg, state="COMPLETED")) == []
    plain = tg.executions.create("routing.double").execution.id
    assert rows(tg, plain) == []


@pytest.mark.parametrize("priority", ["high", 1.5, True, 2**31])
def test_a_priority_is_a_whole_number(tg: Archive, priority: Any) -> None:
    with pytest.raises(ValidationError, match="priority"):
        submit(tg, options={"priority": priority})
    assert tg.executions.count() == 0


def test_what_is_run_in_this_process_waits_nowhere(
    tg: Archive, recording: Scheduler, routing: Routing, taker: Taker
) -> None:
    recording.run(double(3), name="here")
    (ran,) = tg.executions.list(F.name("here"))

    again = tg.executions.rerun(ran)
    assert rows(tg, ran.id) == rows(tg, again.id) == []
    assert routing.take(taker) is None


def test_states_have_it_wait_or_not(tg: Archive) -> None:
    one = submit(tg)
    tg.executions.set_state(one, "RUNNING")
    assert rows(tg, one) == []
    tg.executions.set_state(one, "FAILED")
    assert rows(tg, one) == []
    tg.executions.set_state(one, "AwaitingRetry")
    assert rows(tg, one) == [("a", 0)]
    tg.executions.set_state(one, "CANCELLED")
    assert rows(tg, one) == []


_MOVES = [*(each.value for each in StateType), "AwaitingRetry"]


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(first=st.sampled_from(_MOVES), moves=st.lists(st.sampled_from(_MOVES), max_size=6))
def test_it_waits_exactly_where_its_state_says_so(
    tg: Archive, first: str, moves: list[str]
) -> None:
    """Whatever is forced on it, there are rows if and only if it waits."""
    one = submit(tg, "a", "b", state=first)
    for each in [None, *moves]:
        if each is not None:
            tg.executions.set_state(one, each, force=True)
        is_waiting = tg.executions.get(one).state.type in WAITING
        assert rows(tg, one) == ([("a", 0), ("b", 0)] if is_waiting else [])


def test_what_is_scheduled_is_not_taken_before_its_time(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    submit(tg, state=State.scheduled(later))
    past = submit(tg, state=State.scheduled(datetime(2026, 1, 1, tzinfo=UTC)))

    taken = routing.take(taker)
    assert taken is not None and taken.execution_id == past
    assert names(tg, past) == ["Scheduled", "Pending"]
    assert routing.take(taker) is None


def test_it_is_given_to_other_queues_and_another_priority(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    one, two = submit(tg, "x"), submit(tg, "a")
    assert tg.executions.enqueue(one, ["a", "b"], priority=-1).options["priority"] == -1

    assert rows(tg, one) == [("a", -1), ("b", -1)]
    assert [each.id for each in tg.executions.list(F.queues(any=["x"]))] == []
    assert {each.id for each in tg.executions.list(F.queues(any=["a"]))} == {one, two}
    first = routing.take(taker)
    assert first is not None and first.execution_id == one
    with pytest.raises(NotQueuedError, match="has claimed it"):
        tg.executions.enqueue(one, ["x"])
    tg.executions.set_state(two, "CANCELLED")
    with pytest.raises(NotQueuedError, match="CANCELLED"):
        tg.executions.enqueue(two, ["x"])
    with pytest.raises(ExecutionNotFoundError):
        tg.executions.enqueue("0" * 32, ["x"])
    bare = tg.executions.create("routing.double").execution
    with pytest.raises(ValidationError, match="queues"):
        tg.executions.enqueue(bare)
    tg.executions.enqueue(bare, ["z"])
    assert rows(tg, bare.id) == [("z", 0)]
    assert not list(check(tg.backend))


def test_another_priority_leaves_its_place_among_those_of_that_one(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    every = [submit(tg, "a", options={"priority": 1}), submit(tg), submit(tg)]
    sql = "UPDATE queued SET due = ? WHERE execution_id = ?"
    for since, each in enumerate(every, 1_000):
        given = (since, bytearray.fromhex(each))
        tg.backend._transact(lambda d, given=given: d.execute(sql, given).rowcount)
        tg.executions.enqueue(each, ["a", "b"], priority=2)

    order = []
    while taken := routing.take(taker):
        order.append(taken.execution_id)
    assert order == every


def test_other_options_move_what_waits(tg: Archive) -> None:
    later = State.scheduled(datetime.now(UTC) + timedelta(hours=1))
    one = submit(tg, state=later)
    tg.executions.update(one, options={"priority": 7})
    assert rows(tg, one) == [("a", 7)]


# Taking


def test_the_smallest_priority_is_taken_first_then_what_waits_longest(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    late = submit(tg, "a")
    later = submit(tg, "b")
    first = submit(tg, "b", options={"priority": -1})
    submit(tg, "other", options={"priority": -9})
    order = []
    while taken := routing.take(taker):
        order.append(taken.execution_id)

    assert order[0] == first
    assert set(order[1:]) == {late, later}


def test_what_is_taken_is_known_by_worker_pool_and_lease(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    one = submit(tg)
    taken = routing.take(taker)

    assert taken is not None and (taken.execution_id, taken.queue) == (one, "a")
    (lease,) = tg.backend.find_leases([execution_lease(ExecutionId(one))]).values()
    assert (lease.holder, lease.pid) == (taken.holder, taker.pid)
    assert rows(tg, one) == []
    assert routing.find_lost() == []
    assert routing.finish(taken, State(StateType.COMPLETED)) == "COMPLETED"
    assert tg.backend.find_leases([execution_lease(ExecutionId(one))]) == {}
    assert routing.find_lost() == []


def test_a_row_that_was_left_behind_is_nobodys_work(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    one = submit(tg)

    def leave(driver: Any) -> None:  # as a library would that knows nothing of queues
        sql = "UPDATE execution SET state_type = 'COMPLETED' WHERE id = ?"
        driver.execute(sql, (bytearray.fromhex(one),))

    tg.backend._transact(leave)
    assert routing.take(taker) is None
    assert rows(tg, one) == []


def test_what_a_living_process_runs_by_itself_is_not_taken(
    tg: Archive, routing: Routing, taker: Taker, database_uri: str
) -> None:
    one = submit(tg)
    with SqlBackend(database_uri) as other:
        lease = ExecutionLease(other, ExecutionId(one), *this_process())
        lease.take()
        assert routing.take(taker) is None
        lease.release()
    # It waits on, and is looked at again after a while.
    assert rows(tg, one) == [("a", 0)]
    assert not routing.is_waiting(["a"])
    hurry(tg)
    taken = routing.take(taker)
    assert taken is not None and taken.execution_id == one


def test_many_who_take_at_once_take_each_once(tg: Archive, taker: Taker, database_uri: str) -> None:
    wanted = {submit(tg, "a", "b") for _ in range(24)}
    gate = threading.Barrier(4)
    found: list[str] = []

    def work() -> None:
        with SqlBackend(database_uri) as backend:
            own = routing_of(backend, lambda: None)
            gate.wait()
            while taken := own.take(taker):
                found.append(taken.execution_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(found) == sorted(wanted)


def test_a_taking_whose_answer_was_lost_is_the_same_one_again(tg: Archive, taker: Taker) -> None:
    one, two = submit(tg), submit(tg, options={"priority": 1})
    lock = tg.backend.database.skipping_locked("e")
    taking = Taking(taker, uuid.uuid4().hex, lock)

    first = tg.backend._transact(taking)
    again = tg.backend._transact(taking)  # as after a connection that was lost

    assert first == again and first is not None and first.execution_id == one
    assert rows(tg, two) == [("a", 1)]
