"""The executor of queues where things go wrong between it and the calls that it has put."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from taskgraph.errors import DatabaseError, ExecutorError, LaunchError, WorkerLostError
from taskgraph.executors import parcels, queued
from taskgraph.executors.alias import launch
from taskgraph.executors.parcels import read_parcel
from taskgraph.executors.queued import QueueExecutor
from taskgraph.executors.there import run_there
from taskgraph.ports import Call, Raised, Resources, Returned, Route
from taskgraph.records import ExecutionId, JobId, RoutedAnswer, RoutedCall
from tests.contracts.test_executor import Inbox, double
from tests.served_tasks import until

RUN = ExecutionId("ab" * 16)


class Shelf:
    """Where calls are put in this process: tests take and answer them by hand."""

    def __init__(self) -> None:
        self.there: dict[str, RoutedCall] = {}
        self.taken: set[str] = set()
        self.said: dict[str, RoutedAnswer] = {}
        self.puts: list[int] = []
        self.looked_after: set[ExecutionId] = set()
        self.is_broken = False
        self.is_closed = False
        self._lock = threading.Lock()

    def _check(self) -> None:
        if self.is_broken:
            raise DatabaseError("shelf", "it is broken.")

    def put(self, calls: Sequence[RoutedCall]) -> None:
        self._check()
        with self._lock:
            self.puts.append(len(calls))
            self.there.update((each.id, each) for each in calls)

    def answers(self, execution_ids: Sequence[ExecutionId]) -> list[RoutedAnswer]:
        self._check()
        with self._lock:
            return [self.said[key] for key in self.said if key in self.there]

    def look(self, execution_ids: Sequence[ExecutionId]) -> dict[str, bool]:
        self._check()
        with self._lock:
            runs = set(execution_ids)
            found = {key for key, each in self.there.items() if each.execution_id in runs}
            return {key: key in self.taken for key in found}

    def withdraw(self, ids: Sequence[str], *, also_taken: bool) -> set[str]:
        self._check()
        with self._lock:
            gone = {key for key in ids if also_taken or key not in self.taken}
            for key in gone:
                self.there.pop(key, None)
            return gone

    def give_back_lost(self, execution_ids: Sequence[ExecutionId]) -> None:
        self._check()
        self.looked_after.update(execution_ids)

    def served(self) -> set[str]:
        return set()

    def close(self) -> None:
        self.is_closed = True

    # By hand

    def run(self, key: str) -> None:
        parcel = read_parcel(self.there[key].parcel)
        self.said[key] = RoutedAnswer(key, run_there(parcel.around, [parcel.message]), 0)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def made(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(queued, "_LOOK_EVERY", 0.05)
    executor = QueueExecutor(connect=lambda: shelf)
    yield executor
    executor.stop(is_now=True)


@pytest.fixture
def inbox(made: QueueExecutor) -> Inbox:
    inbox = Inbox()
    made.start(inbox)
    return inbox


def call(number: int, func: Callable[..., Any] = double, *args: Any) -> Call:
    name = JobId(f"{number:032x}")
    return Call(name, "queued.double", func, args or (number,), {}, route=Route(RUN, "gpu"))


def test_calls_are_put_together_and_answered_one_by_one(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    calls = [call(n) for n in range(10)]

    made.submit(calls)
    until(lambda: len(shelf.there) == 10)
    for key in list(shelf.there):
        shelf.run(key)
    inbox.wait(10)

    assert shelf.puts == [10]
    assert [inbox.outcomes[each.job_id].value for each in calls] == [2 * n for n in range(10)]  # type: ignore[union-attr]
    until(lambda: not shelf.there)


def test_no_more_calls_are_there_at_once_than_are_allowed(shelf: Shelf) -> None:
    executor, inbox = QueueExecutor(max_calls=3, connect=lambda: shelf), Inbox()
    executor.start(inbox)

    def open_calls() -> set[str]:
        return shelf.there.keys() - shelf.said.keys()

    executor.submit([call(n) for n in range(7)])
    for done in (0, 3, 6):
        keys = until(lambda done=done: len(open_calls()) == min(3, 7 - done) and open_calls())
        for key in keys:
            shelf.run(key)
        inbox.wait(done + len(keys))
    executor.stop()

    assert len(inbox.outcomes) == 7
    assert max(shelf.puts) <= 3


def test_a_call_that_somebody_has_removed_is_put_again(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    made.submit([call(1)])
    (first,) = until(lambda: list(shelf.there))

    shelf.withdraw([first], also_taken=True)
    (second,) = until(lambda: list(shelf.there))
    shelf.run(second)
    inbox.wait(1)

    assert first != second
    assert isinstance(inbox.outcomes[call(1).job_id], Returned)


def test_what_an_earlier_process_of_the_run_has_left_is_taken_away(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    left = RoutedCall("f" * 32, RUN, JobId("0" * 32), "gpu", "f", b"")
    of_others = left._replace(id="e" * 32, execution_id=ExecutionId("cd" * 16))
    shelf.put([left, of_others])

    made.submit([call(1)])
    until(lambda: left.id not in shelf.there)

    assert of_others.id in shelf.there
    assert len(shelf.there) == 2


def test_those_that_no_worker_has_are_known_and_can_be_withdrawn(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    calls = [call(n) for n in range(3)]
    ids = [each.job_id for each in calls]
    made.submit(calls)
    (taken, *_) = until(lambda: len(shelf.there) == 3 and list(shelf.there))
    shelf.taken.add(taken)

    until(lambda: len(made.queued(ids)) == 2)
    dropped = made.cancel(ids)

    assert sorted(dropped) == sorted(set(ids) - {shelf.there[taken].job_id})
    assert list(shelf.there) == [taken]
    shelf.run(taken)
    inbox.wait(1)


def test_a_call_without_an_answer_has_cost_its_workers(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    made.submit([call(1)])
    (key,) = until(lambda: list(shelf.there))

    shelf.said[key] = RoutedAnswer(key, None, 3)
    inbox.wait(1)

    outcome = inbox.outcomes[call(1).job_id]
    assert isinstance(outcome, Raised)
    assert isinstance(outcome.error, WorkerLostError)
    assert "3 workers of queue 'gpu'" in str(outcome.error)


def test_a_database_that_is_away_for_a_moment_is_asked_again(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    made.submit([call(1)])
    (key,) = until(lambda: list(shelf.there))

    shelf.is_broken = True
    shelf.run(key)
    assert made.cancel([call(1).job_id]) == []
    shelf.is_broken = False
    inbox.wait(1)

    assert isinstance(inbox.outcomes[call(1).job_id], Returned)


def test_a_database_that_stays_away_fails_the_calls(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued, "_MOST_SECONDS", 0.1)
    made.submit([call(1), call(2)])
    until(lambda: len(shelf.there) == 2)

    shelf.is_broken = True
    inbox.wait(2)

    for outcome in inbox.outcomes.values():
        assert isinstance(outcome, Raised)
        assert "cannot be asked any more: DatabaseError" in str(outcome.error)


def test_what_cannot_be_put_fails_and_the_next_ones_go_on(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    shelf.is_broken = True
    made.submit([call(1)])
    inbox.wait(1)
    shelf.is_broken = False
    made.submit([call(2)])
    (key,) = until(lambda: list(shelf.there))
    shelf.run(key)
    inbox.wait(2)

    failed = inbox.outcomes[call(1).job_id]
    assert isinstance(failed, Raised)
    assert isinstance(failed.error, ExecutorError)
    assert "cannot send calls to workers" in str(failed.error)
    assert isinstance(inbox.outcomes[call(2).job_id], Returned)


def test_what_was_put_before_the_rest_could_not_be_is_taken_away(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = shelf.put

    def put_some(calls: Sequence[RoutedCall]) -> None:
        put(calls[:2])
        raise DatabaseError("shelf", "it is gone.")

    monkeypatch.setattr(shelf, "put", put_some)
    made.submit([call(n) for n in range(4)])
    inbox.wait(4)

    assert all(isinstance(each, Raised) for each in inbox.outcomes.values())
    assert shelf.there == {}
    assert not queued._under_way


def test_what_is_too_large_for_a_row_fails_alone(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "MOST_BYTES", 1_000_000)
    made.submit([call(1, double, os.urandom(1_000_001)), call(2)])
    (key,) = until(lambda: list(shelf.there))
    shelf.run(key)
    inbox.wait(2)

    failed = inbox.outcomes[call(1).job_id]
    assert isinstance(failed, Raised)
    assert isinstance(failed.error, ExecutorError)
    assert "and a queue takes 1,000,000 at most" in str(failed.error)
    assert isinstance(inbox.outcomes[call(2).job_id], Returned)


def test_a_run_looks_after_those_who_have_its_calls(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    made.submit([call(1)])

    until(lambda: shelf.looked_after == {RUN})


def test_a_stop_withdraws_all_and_lets_the_connection_go(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    made.submit([call(n) for n in range(3)])
    (taken, *_) = until(lambda: len(shelf.there) == 3 and list(shelf.there))
    shelf.taken.add(taken)

    made.stop(is_now=True)

    assert shelf.there == {}
    assert shelf.is_closed
    assert not queued._under_way


def test_what_a_call_needs_is_on_the_outside_of_its_parcel(
    made: QueueExecutor, inbox: Inbox, shelf: Shelf
) -> None:
    made.submit([call(1)._replace(resources=Resources(cpus=2.5))])

    (row,) = until(lambda: list(shelf.there.values()))

    assert read_parcel(row.parcel).slots == 3
    assert (row.queue, row.task_name) == ("gpu", "queued.double")


def test_a_call_of_no_run_is_refused(made: QueueExecutor, inbox: Inbox) -> None:
    made.submit([call(1)._replace(route=None)])
    inbox.wait(1)

    outcome = inbox.outcomes[call(1).job_id]
    assert isinstance(outcome, Raised)
    assert "not called in a run" in str(outcome.error)


def test_it_is_made_by_a_scheduler_and_launches_nothing() -> None:
    executor, inbox = QueueExecutor(), Inbox()
    executor.start(inbox)
    executor.submit([call(1)])
    inbox.wait(1)
    executor.stop()

    outcome = inbox.outcomes[call(1).job_id]
    assert isinstance(outcome, Raised)
    assert "made by a Scheduler" in str(outcome.error)
    with pytest.raises(LaunchError):
        launch(executor, None)  # type: ignore[arg-type]  # it does not come to that
    with pytest.raises(ExecutorError, match="nothing else"):
        executor.send(len, b"")  # type: ignore[arg-type]  # nor to that


@pytest.mark.parametrize("count", [-1, True, "3", 1.5])
def test_what_is_no_number_of_calls_is_refused(count: Any) -> None:
    with pytest.raises(ExecutorError, match="a whole number"):
        QueueExecutor(max_calls=count)
