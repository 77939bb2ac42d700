"""What an executor upon a pool does when the pool does not do what it should."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from taskgraph import PooledExecutor
from taskgraph.errors import WorkerLostError
from taskgraph.executors.pooled import PENDING
from taskgraph.ports import Call, Raised, Returned
from taskgraph.records import JobId
from tests.contracts.test_executor import Inbox, call, double


class Scripted(PooledExecutor):
    """A pool that runs nothing before it is told to."""

    lost = (EOFError,)
    breaks = True
    ahead = 1

    def __init__(self) -> None:
        super().__init__("scripted", 3)
        self.sent: list[tuple[Future[bytes], Callable[..., bytes], tuple[Any, ...]]] = []
        self.opened = 0
        self.closed: list[bool] = []

    def open(self) -> None:
        self.opened += 1

    def send(self, run: Callable[..., bytes], /, *args: Any) -> Future[bytes]:
        future: Future[bytes] = Future()
        self.sent.append((future, run, args))
        return future

    def close(self, is_now: bool) -> None:
        self.closed.append(is_now)

    def run(self, number: int) -> None:
        future, run, args = self.sent[number]
        future.set_result(run(*args))


@pytest.fixture
def pool() -> Scripted:
    return Scripted()


@pytest.fixture
def inbox(pool: Scripted) -> Inbox:
    inbox = Inbox()
    pool.start(inbox)
    return inbox


def calls(count: int) -> list[Call]:
    return [call(str(number), double, number) for number in range(count)]


def until_sent(pool: Scripted, count: int) -> None:
    import time

    for _ in range(2000):
        if len(pool.sent) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"only {len(pool.sent)} were sent")


def test_no_more_is_sent_than_there_is_room_for(pool: Scripted, inbox: Inbox) -> None:
    pool.submit(calls(8))
    until_sent(pool, 3)
    assert len(pool.sent) == 3

    pool.run(1)
    inbox.wait(1)
    until_sent(pool, 4)

    assert isinstance(inbox.outcomes["1"], Returned)
    assert len(pool.sent) == 4


def test_a_future_that_was_cancelled_does_not_keep_others_from_being_told(
    pool: Scripted, inbox: Inbox
) -> None:
    pool.submit(calls(3))
    until_sent(pool, 3)
    assert pool.cancel([JobId("0")]) == ["0"]

    for future, _, _ in pool.sent:  # as pools of Python do when a worker has died
        future.set_exception(EOFError())

    inbox.wait(2)
    assert set(inbox.outcomes) == {"1", "2"}
    assert all(
        isinstance(each, Raised) and isinstance(each.error, WorkerLostError)
        for each in inbox.outcomes.values()
    )


def test_a_pool_that_breaks_is_opened_anew_once(pool: Scripted, inbox: Inbox) -> None:
    pool.submit(calls(5))
    until_sent(pool, 3)

    for future, _, _ in list(pool.sent):
        future.set_exception(EOFError())
    inbox.wait(3)
    until_sent(pool, 5)
    pool.run(3)
    pool.run(4)
    inbox.wait(5)

    assert pool.opened == 2
    assert pool.closed == [True]
    pool.stop()
    pool.stop()
    assert pool.closed == [True, False]


def test_pools_that_break_at_once_are_not_opened_for_ever(
    pool: Scripted, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> Any:
        raise EOFError("no workers")

    monkeypatch.setattr(pool, "send", refuse)
    pool.submit(calls(4))
    inbox.wait(4)

    assert pool.opened == 3
    assert all("no workers" in str(each.error) for each in inbox.outcomes.values())  # type: ignore[union-attr]


def test_a_message_that_is_damaged_fails_its_calls(pool: Scripted, inbox: Inbox) -> None:
    pool.submit(calls(1))
    until_sent(pool, 1)

    pool.sent[0][0].set_result(b"no message")
    inbox.wait(1)

    assert isinstance(inbox.outcomes["0"], Raised)


@pytest.mark.parametrize("error", [CancelledError(), KeyboardInterrupt(), OSError("gone")])
def test_any_error_of_a_future_is_an_outcome(
    pool: Scripted, inbox: Inbox, error: BaseException
) -> None:
    pool.submit(calls(1))
    until_sent(pool, 1)

    pool.sent[0][0].set_exception(error)
    inbox.wait(1)

    outcome = inbox.outcomes["0"]
    assert isinstance(outcome, Raised)
    is_lost = isinstance(error, CancelledError)
    assert isinstance(outcome.error, WorkerLostError if is_lost else type(error))


def test_a_future_that_is_under_way_again_is_waited_for(
    pool: Scripted, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = pool.results, [0]

    def results(futures: Any) -> list[Any]:
        asked[0] += 1
        return [PENDING] * len(futures) if asked[0] == 1 else real(futures)

    monkeypatch.setattr(pool, "results", results)
    pool.submit(calls(1))
    until_sent(pool, 1)
    pool.run(0)
    inbox.wait(1)

    assert isinstance(inbox.outcomes["0"], Returned)
    assert asked == [2]


def test_who_asks_for_results_and_fails_fails_the_calls(
    pool: Scripted, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(futures: Any) -> list[Any]:
        raise OSError("no line")

    monkeypatch.setattr(pool, "results", fail)
    pool.submit(calls(1))
    until_sent(pool, 1)
    pool.run(0)
    inbox.wait(1)

    assert isinstance(inbox.outcomes["0"], Raised)
