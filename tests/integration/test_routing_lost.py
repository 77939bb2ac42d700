"""What a worker has taken and has no more: it died, was not heard of, stood still, or was told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph.catalog.queueing import WAITING
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.worker_rows import Taken, Taker
from taskgraph.engine.leasing import Assigned, ExecutionLease
from taskgraph.errors import DatabaseError, LeaseLostError, NotQueuedError
from taskgraph.records import ExecutionId, HeldLeaseRecord, execution_lease
from taskgraph.silence import Silence
from taskgraph_backend import SqlBackend
from taskgraph_backend.catalog import changing
from taskgraph_backend.holders import this_process
from taskgraph_backend.integrity import check
from taskgraph_backend.routing.store import Routing
from tests.rows import a_job, a_task, an_execution, together
from tests.takers import hurry, rows, submit

taskgraph_namespace = "routing_lost"


@task
def double(x: int) -> int:
    return 2 * x


Kill = Callable[[Taken], None]


@pytest.fixture
def kill(tg: Archive) -> Kill:
    """Have the process be gone that took something, without a word."""

    def killed(taken: Taken) -> None:
        def work(driver: Any) -> None:
            sql = "UPDATE lease SET started = 1 WHERE key = ?"
            driver.execute(sql, (execution_lease(ExecutionId(taken.execution_id)),))

        tg.backend._transact(work)

    return killed


def names(tg: Archive, execution_id: str) -> list[str]:
    return [each.name for each in tg.executions.states(execution_id)]


def said(tg: Archive, execution_id: str) -> str:
    return tg.executions.states(execution_id)[-1].message or ""


# What was lost


def test_what_a_dead_worker_had_waits_again(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill, database_uri: str
) -> None:
    one = submit(tg, "a", "b")
    taken = routing.take(taker)
    assert taken is not None
    kill(taken)

    swept = tg.executions.sweep(dry_run=True)
    assert [each.id for each in swept.returned] == [one] and not swept.crashed
    swept = tg.executions.sweep()
    assert [each.id for each in swept.returned] == [one] and not swept.crashed
    assert swept.to_json()["returned"][0]["id"] == one

    found = tg.executions.get(one)
    assert (found.state.type, found.state.name) == (StateType.SCHEDULED, "AwaitingRetry")
    assert "worker w" in said(tg, one)
    assert tg.executions.states(one)[-1].details["forced"] is True
    assert rows(tg, one) == [("a", 0), ("b", 0)]
    assert not tg.executions.sweep().returned
    again = routing.take(taker)
    assert again is not None and again.holder != taken.holder
    assert not list(check(tg.backend))


def test_who_opens_the_records_gives_it_back_and_marks_plain_runs_crashed(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill, database_uri: str
) -> None:
    tg.backend.record(an_execution(root=None, state=StateType.RUNNING, time=int(time.time() * 1e6)))
    plain = f"{0xE4EC:032x}"
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    run(tg, one)
    kill(taken)

    with SqlBackend(database_uri):
        pass

    assert tg.executions.get(one).state.name == "AwaitingRetry"
    assert tg.executions.get(plain).state.type is StateType.CRASHED
    assert rows(tg, one) == [("a", 0)]


def test_with_too_many_losses_it_is_crashed(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg)
    for _ in range(3):
        taken = routing.take(taker)
        assert taken is not None
        tg.executions.set_state(one, "RUNNING")
        kill(taken)
        routing.give_back()

    found = tg.executions.get(one)
    assert found.state.type is StateType.CRASHED
    assert "3 workers were lost with it" in said(tg, one)
    assert found.run_count == 3
    assert routing.take(taker) is None
    # Who asks for it once more means it.
    assert tg.executions.set_state(one, "AwaitingRetry").is_written
    taken = routing.take(taker)
    assert taken is not None
    kill(taken)
    assert routing.give_back().returned == (one,)


def test_what_was_stopped_is_no_loss(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg)
    for _ in range(5):
        taken = routing.take(taker)
        assert taken is not None
        kill(taken)
        given = routing.give_back(taker.worker_id, "worker w was stopped", is_loss=False)
        assert given.returned == (one,)
    assert said(tg, one) == "worker w was stopped"


def test_what_nobody_declares_any_more_waits_where_it_came_from(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg, "b")
    taken = routing.take(taker)
    assert taken is not None

    def forget(driver: Any) -> None:
        driver.execute("UPDATE tag SET is_current = FALSE WHERE key = 'taskgraph.queue'")

    tg.backend._transact(forget)
    kill(taken)
    assert routing.give_back().returned == (one,)
    assert rows(tg, one) == [("b", 0)]


def test_one_that_was_cancelled_or_deleted_meanwhile_stays_so(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one, two = submit(tg), submit(tg)
    taken = {each.execution_id: each for each in (routing.take(taker), routing.take(taker)) if each}
    tg.executions.set_state(one, "CANCELLED")
    assert routing.finish(taken[one], State(StateType.FAILED)) == "CANCELLED"
    kill(taken[two])
    tg.executions.set_state(two, "CANCELLED")
    assert routing.give_back() == ((), ())
    tg.executions.delete(two)
    assert routing.finish(taken[two]) == ""
    assert names(tg, one) == ["Pending", "Cancelled"]
    assert not list(check(tg.backend))


def test_a_run_that_wrote_nothing_of_its_end_is_given_back(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    tg.executions.set_state(one, "RUNNING")
    assert routing.finish(taken) == "SCHEDULED"
    assert rows(tg, one) == [("a", 0)]
    assert "nothing could be written" in said(tg, one)
    hurry(tg)
    assert routing.take(taker) is not None


# Who has it, and is to have it no more


def _by_hand(tg: Archive, execution_id: str) -> None:
    tg.executions.set_state(execution_id, "CANCELLED")
    assert tg.executions.set_state(execution_id, "AwaitingRetry").is_written


def _by_retries(tg: Archive, execution_id: str) -> None:
    tg.executions.set_state(execution_id, "FAILED")


def _by_force(tg: Archive, execution_id: str) -> None:
    tg.executions.set_state(execution_id, "PENDING", force=True)


@pytest.mark.parametrize("again", [_by_hand, _by_retries, _by_force])
def test_what_is_said_to_wait_is_taken_from_who_has_it(
    tg: Archive,
    routing: Routing,
    taker: Taker,
    kill: Kill,
    other: SqlBackend,
    again: Callable[[Archive, str], None],
) -> None:
    one = submit(tg, "a", "b", options={"retries": 3})
    had = routing.take(taker)
    assert had is not None
    lost: list[bool] = []
    assigned = Assigned(had.holder, lambda: lost.append(True))
    lease = ExecutionLease(other, ExecutionId(one), *this_process(), assigned)
    lease.take()
    batch = an_execution(int(one, 16), state=StateType.RUNNING)
    batch.held.append(HeldLeaseRecord(execution_lease(ExecutionId(one)), had.holder))
    other.record(batch)
    job = a_job(1, execution=int(one, 16), end=None, state=StateType.RUNNING)
    other.record(together(a_task(), job))

    again(tg, one)

    state = tg.executions.get(one).state
    assert state.type in WAITING
    assert rows(tg, one) == [("a", 0), ("b", 0)]
    with pytest.raises(LeaseLostError):
        other.record(batch)
    lease._beat()
    assert lost == [True]
    # It lives, and may run it for a moment: nobody else does, nor is it lost.
    assert routing.take(taker) is None
    assert rows(tg, one) == [("a", 0), ("b", 0)]
    assert routing.find_lost() == []
    assert routing.finish(had, State(StateType.FAILED)) == state.type
    assert tg.executions.get(one).state.type is state.type
    # Now it says that it is done with it.
    hurry(tg)
    taken = routing.take(taker)
    assert taken is not None and taken.execution_id == one
    sql = "SELECT state_type FROM job"
    jobs = tg.backend._ask(lambda d: d.execute(sql).fetchall())
    assert [each for (each,) in jobs] == ["CANCELLED"]
    lease.release()
    assert routing.find_lost() == []
    kill(taken)
    assert routing.give_back().returned == (one,)


def test_who_had_it_and_is_gone_is_in_nobodys_way(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg)
    had = routing.take(taker)
    assert had is not None
    tg.executions.set_state(one, "PENDING", force=True)
    assert routing.take(taker) is None
    kill(had)
    assert routing.give_back() == ((), ())  # it waits already, and is no loss
    hurry(tg)
    assert routing.take(taker) is not None


def test_who_had_it_and_is_gone_takes_nothing_along(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg)
    had = routing.take(taker)
    assert had is not None
    tg.executions.set_state(one, "PENDING", force=True)
    kill(had)

    assert tg.backend.sweep() == []

    assert tg.executions.get(one).state.type is StateType.PENDING
    hurry(tg)
    taken = routing.take(taker)
    assert taken is not None and taken.execution_id == one


def test_what_is_called_stuck_while_it_runs_is_in_the_way_until_it_has_ended(
    tg: Archive, routing: Routing, taker: Taker
) -> None:
    one = submit(tg)
    had = routing.take(taker)
    assert had is not None
    tg.executions.set_state(one, "RUNNING")
    assert tg.backend._transact(changing.mark_crashed, one, "it was not heard of any more")
    assert tg.executions.set_state(one, "AwaitingRetry").is_written

    assert routing.take(taker) is None
    assert routing.find_lost() == []
    assert routing.finish(had, State(StateType.COMPLETED)) == "SCHEDULED"
    hurry(tg)
    assert routing.take(taker) is not None


def test_what_waits_by_its_state_alone_gets_its_queues_back(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg, "b", options={"priority": 4})
    taken = routing.take(taker)
    assert taken is not None

    def schedule(driver: Any) -> None:  # as a library would that knows nothing of queues
        sql = "UPDATE execution SET state_type = 'SCHEDULED' WHERE id = ?"
        driver.execute(sql, (bytearray.fromhex(one),))

    tg.backend._transact(schedule)
    kill(taken)
    assert routing.give_back() == ((), ())
    assert rows(tg, one) == [("b", 4)]


def test_what_is_deleted_while_a_worker_has_it_is_written_no_more(
    tg: Archive, routing: Routing, taker: Taker, other: SqlBackend
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    lost: list[bool] = []
    assigned = Assigned(taken.holder, lambda: lost.append(True))
    lease = ExecutionLease(other, ExecutionId(one), *this_process(), assigned)
    lease.take()
    batch = an_execution(int(one, 16), state=StateType.RUNNING)
    batch.held.append(HeldLeaseRecord(execution_lease(ExecutionId(one)), taken.holder))
    assert tg.executions.delete(one, force=True)

    with pytest.raises(LeaseLostError, match=one[:8]):
        other.record(batch)
    lease._beat()
    assert lost == [True]
    assert routing.finish(taken, State(StateType.FAILED)) == ""
    lease.release()
    assert tg.executions.find(one) is None
    assert routing.find_lost() == []
    assert not list(check(tg.backend))


def test_a_row_that_is_gone_is_not_written_anew_by_who_still_has_its_lease(
    tg: Archive, routing: Routing, taker: Taker, other: SqlBackend
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    batch = an_execution(int(one, 16), state=StateType.RUNNING)
    batch.held.append(HeldLeaseRecord(execution_lease(ExecutionId(one)), taken.holder))

    def forget(driver: Any) -> None:  # as a library would that knows nothing of assignments
        key = bytearray.fromhex(one)
        for table in ("tag", "state", "assignment", "execution_pool"):
            column = "entity_id" if table == "tag" else "execution_id"
            driver.execute(f"DELETE FROM {table} WHERE {column} = ?", (key,))
        driver.execute("DELETE FROM execution WHERE id = ?", (key,))

    tg.backend._transact(forget)
    with pytest.raises(LeaseLostError, match="deleted"):
        other.record(batch)
    assert tg.executions.find(one) is None


# Who is not heard of


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(tg: Archive, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What time it is for who judges others by their silence; the database runs for long."""
    made = Clock()
    monkeypatch.setattr(type(tg.backend.database), "awake", lambda self, driver: math.inf)
    tg.backend.silence = Silence(30.0, clock=made)
    return made


def run(tg: Archive, execution_id: str) -> None:
    """Have an execution be as after the first rows of its run."""
    tg.executions.set_state(execution_id, "RUNNING")
    sql = "UPDATE execution SET updated_time = state_time"
    tg.backend._transact(lambda driver: driver.execute(sql).rowcount)


@pytest.fixture
def fall_silent(tg: Archive) -> Kill:
    """Have a process not be heard of any more that took something, and lives."""

    def silent(taken: Taken) -> None:
        def work(driver: Any) -> None:
            sql = "UPDATE lease SET expires = ? WHERE key = ?"
            driver.execute(sql, (1_000, execution_lease(ExecutionId(taken.execution_id))))

        tg.backend._transact(work)

    return silent


def test_who_could_not_reach_the_database_takes_nobody_for_dead_at_once(
    tg: Archive, routing: Routing, taker: Taker, clock: Clock, fall_silent: Kill
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    run(tg, one)
    fall_silent(taken)
    tg.backend.silence.missed()

    for seconds in (0, 29):
        clock.now += seconds
        assert routing.find_lost() == []
        assert routing.give_back() == ((), ())
        assert tg.backend.sweep() == []
        swept = tg.executions.sweep()
        assert (swept.returned, swept.crashed) == ((), ())
        assert tg.executions.sweep(dry_run=True).crashed == ()
        assert tg.executions.fail_running() == []
    assert tg.executions.get(one).state.name == "Running"
    clock.now += 1
    assert routing.give_back().returned == (one,)


def test_a_process_that_is_gone_is_gone_whatever_silence_says(
    tg: Archive, routing: Routing, taker: Taker, clock: Clock, kill: Kill
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    kill(taken)
    tg.backend.silence.missed()
    assert routing.give_back().returned == (one,)


def test_a_database_that_has_just_begun_to_answer_says_nothing_of_who_is_silent(
    tg: Archive,
    routing: Routing,
    taker: Taker,
    fall_silent: Kill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    fall_silent(taken)
    assert tg.backend._ask(tg.backend.database.awake) > 0
    monkeypatch.setattr(type(tg.backend.database), "awake", lambda self, driver: 29.0)
    assert routing.give_back() == ((), ())
    monkeypatch.setattr(type(tg.backend.database), "awake", lambda self, driver: 30.0)
    assert routing.give_back().returned == (one,)


def test_an_error_of_a_database_that_is_away_is_noted_and_others_are_not(
    tg: Archive, routing: Routing, clock: Clock, taker: Taker
) -> None:
    with pytest.raises(NotQueuedError):
        tg.executions.enqueue(tg.executions.create("e", state="RUNNING").execution, ["a"])
    assert tg.backend.silence.tells

    class Away(Exception):
        sqlite_errorname = "SQLITE_BUSY"
        sqlstate = "57P01"

    error = DatabaseError("it", "it is away")
    error.__cause__ = Away()
    assert tg.backend.database.was_away(error)
    assert not tg.backend.database.was_away(DatabaseError("it", "it is damaged"))
    error.was_waited_for = True
    with pytest.raises(DatabaseError):
        tg.backend._wait_or_raise(error, 1)
    assert not tg.backend.silence.tells
    submit(tg)  # what is written says that it is there again
    assert not tg.backend.silence.is_missed


# Who stood still


@pytest.fixture
def other(database_uri: str, tg: Archive) -> Iterator[SqlBackend]:
    with SqlBackend(database_uri) as backend:
        yield backend


def test_who_lost_its_lease_writes_nothing_over_the_others(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill, other: SqlBackend
) -> None:
    one = submit(tg)
    stood = routing.take(taker)
    assert stood is not None
    kill(stood)
    routing.give_back()
    key = execution_lease(ExecutionId(one))
    batch = an_execution(int(one, 16), state=StateType.COMPLETED)
    batch.held.append(HeldLeaseRecord(key, stood.holder))

    # It waits again, and then another one has it: neither is written over.
    with pytest.raises(LeaseLostError, match=one[:8]):
        other.record(batch)
    taken = routing.take(taker)
    assert taken is not None and taken.execution_id == one
    with pytest.raises(LeaseLostError):
        other.record(batch)
    assert tg.executions.get(one).state.type is StateType.PENDING
    assert routing.finish(stood, State(StateType.FAILED)) == "PENDING"
    assert tg.executions.get(one).state.type is StateType.PENDING
    batch.held[:] = [HeldLeaseRecord(key, taken.holder)]
    other.record(batch)
    assert tg.executions.get(one).state.type is StateType.COMPLETED


def test_what_was_cancelled_before_it_began_does_not_begin(
    tg: Archive, routing: Routing, taker: Taker, other: SqlBackend
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    tg.executions.set_state(one, "CANCELLED")
    batch = an_execution(int(one, 16), state=StateType.RUNNING)
    batch.held.append(HeldLeaseRecord(execution_lease(ExecutionId(one)), taken.holder))
    with pytest.raises(LeaseLostError, match="CANCELLED"):
        other.record(batch)
    assert names(tg, one) == ["Pending", "Cancelled"]


def test_a_lease_that_is_lost_is_noticed_and_never_taken_anew(
    tg: Archive, routing: Routing, taker: Taker, kill: Kill, other: SqlBackend
) -> None:
    one = ExecutionId(submit(tg))
    taken = routing.take(taker)
    assert taken is not None
    lost: list[bool] = []
    assigned = Assigned(taken.holder, lambda: lost.append(True))
    lease = ExecutionLease(other, one, *this_process(), assigned)
    lease.take()
    assert lease.held == [HeldLeaseRecord(execution_lease(one), taken.holder)]
    lease._beat()
    assert not lost
    kill(taken)
    routing.give_back()

    lease._beat()
    assert lost == [True]
    with pytest.raises(LeaseLostError):
        lease.take_again(())
    lease.release()
    with pytest.raises(LeaseLostError):
        ExecutionLease(other, one, *this_process(), assigned).take()
    assert routing.take(taker) is not None


def test_a_run_whose_lease_was_lost_says_so_and_writes_no_end(
    tg: Archive, recording: Scheduler, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None

    def lose(event: Any) -> None:
        if type(event).__name__ == "ExecutionStarted":
            kill(taken)
            routing.give_back()

    recording.observers.append(_Observer(lose))
    with pytest.raises(LeaseLostError):
        recording.run_submitted(double(5), tg.executions.get(one), assigned=Assigned(taken.holder))
    assert names(tg, one) == ["Pending", "AwaitingRetry"]
    assert rows(tg, one) == [("a", 0)]


class _Observer:
    def __init__(self, told: Callable[[Any], None]) -> None:
        self.notify = told


def test_the_second_run_of_an_execution_is_a_run_like_any_other(
    tg: Archive, recording: Scheduler, routing: Routing, taker: Taker, kill: Kill
) -> None:
    one = submit(tg)
    taken = routing.take(taker)
    assert taken is not None
    recording.run_submitted(double(2), tg.executions.get(one), assigned=Assigned(taken.holder))
    first = tg.executions.get(one)
    assert (first.state.type, first.run_count, first.command) == (StateType.COMPLETED, 1, ())
    tg.executions.set_state(one, "AwaitingRetry")
    routing.finish(taken)
    again = routing.take(taker)
    assert again is not None
    assert (
        recording.run_submitted(double(2), tg.executions.get(one), assigned=Assigned(again.holder))
        == 4
    )
    routing.finish(again)

    found = tg.executions.get(one)
    assert (found.state.type, found.run_count) == (StateType.COMPLETED, 2)
    assert found.job_id != first.job_id
    assert names(tg, one) == [
        "Pending", "Running", "Completed", "AwaitingRetry", "Pending", "Running", "Completed",
    ]  # fmt: skip
    assert not list(check(tg.backend))
