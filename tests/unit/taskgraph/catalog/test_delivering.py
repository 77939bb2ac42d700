"""How often something is tried, and after which pauses; told by a store in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.catalog.delivering import (
    CUT_SHORT,
    LONGEST_PAUSE,
    LONGEST_WISH,
    Deliverer,
    Due,
    Found,
    pause_after,
)
from taskgraph.catalog.policy_rows import ATTEMPTS, Answer, Held, Notification
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.targets import Callback
from taskgraph.errors import ValidationError


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_double_up_to_some_hours_and_differ(attempts: int, chance: float) -> None:
    pause = pause_after(attempts, chance)

    assert 0.75 <= pause <= LONGEST_PAUSE
    assert pause <= pause_after(attempts + 1, chance) <= 2 * pause
    assert pause_after(1, 0.5) == 1
    assert pause_after(4, 0.5) == 8


def test_a_receiver_may_be_away_over_a_weekend() -> None:
    days = [
        sum(pause_after(number, chance) for number in range(1, ATTEMPTS)) / 86_400
        for chance in (0.0, 0.5, 1.0)
    ]

    assert all(2.3 < each < 3.5 for each in days)
    assert sum(days) / 3 == pytest.approx(3, abs=0.3)


@given(st.integers(1, 50), st.floats(0, 1), st.floats(0, 1e9))
def test_what_a_receiver_asks_for_is_not_undercut(n: int, chance: float, wish: float) -> None:
    assert pause_after(n, chance, wish) >= min(wish, LONGEST_WISH)
    assert pause_after(n, chance, wish) <= max(LONGEST_WISH, LONGEST_PAUSE)


class _Store:
    """Notifications in memory, each of a policy that is named by its first letter."""

    def __init__(self, *ids: str, most: int = 3) -> None:
        self.waiting = {each: Due(each, each[0], Callback("m:f"), None, most, 0, 0) for each in ids}
        self.said: list[tuple[str, Any]] = []
        self.asked: list[str] = []
        self.active = True
        self.unreadable: tuple[str, ...] = ()
        self.gone: set[str] = set()
        self.unknown: set[str] = set()

    def has_policies(self) -> bool:
        self.asked.append("has_policies")
        return self.active

    def queue(self) -> Found:
        self.asked.append("queue")
        return Found(0, self.unreadable)

    def next_due(self, passed_over: tuple[str, ...], *, with_cut_short: bool) -> Due | None:
        for each in self.waiting.values():
            if each.policy_id not in passed_over and (with_cut_short or each.error != CUT_SHORT):
                return each
        return None

    def claim(self, due: Due, seconds: float) -> Due | None:
        assert seconds > due.target.timeout or seconds > 30
        claimed = replace(due, attempts=due.attempts + 1, until=due.until + 1)
        self.waiting[due.id] = claimed
        return claimed

    def release(self, claimed: Due, due: Due) -> None:
        self.waiting[due.id] = replace(due, error=CUT_SHORT)
        self.said.append((due.id, "released"))

    def told(self, notification_id: str) -> Notification | None:
        if notification_id in self.gone:
            return None
        if notification_id in self.unknown:
            raise ValidationError("state NAPPING", "it is not known")
        return Notification(notification_id, "p", "", "e" * 32, "n", "f.n", State(StateType.FAILED))

    def arrived(self, notification_id: str) -> None:
        del self.waiting[notification_id]
        self.said.append((notification_id, "arrived"))

    def failed(self, claimed: Due, error: str, pause: float | None) -> bool:
        self.said.append((claimed.id, pause))
        if pause is None:
            del self.waiting[claimed.id]
        return True

    def hold(self, claimed: Due, seconds: float) -> None:
        self.said.append((claimed.policy_id, seconds))

    def count_waiting(self) -> int:
        return len(self.waiting)

    def held(self) -> tuple[Held, ...]:
        return ()


def _deliverer(store: _Store, *answers: Answer | Exception) -> Deliverer:
    left = list(answers)

    def send(target: Any, told: Notification, seconds: float) -> Answer:
        answer = left.pop(0) if left else Answer()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Deliverer(store, send, clock=lambda: 0.0, chance=lambda: 0.5)


def test_where_no_policy_is_active_nothing_else_is_asked() -> None:
    store = _Store("a1")
    store.active = False

    assert _deliverer(store).deliver().attempts == ()
    assert store.asked == ["has_policies"]


def test_after_a_failure_the_others_of_that_policy_wait_and_those_of_others_do_not() -> None:
    store = _Store("a1", "a2", "b1", "b2")

    done = _deliverer(store, Answer("no")).deliver()

    assert [(each.notification.id, each.status) for each in done.attempts] == [
        ("a1", "failed"),
        ("b1", "delivered"),
        ("b2", "delivered"),
    ]
    assert done.waiting == 2


def test_it_is_given_up_after_the_last_attempt_or_by_a_final_answer() -> None:
    store = _Store("a1", "b1", most=2)
    deliverer = _deliverer(store, Answer("no"), Answer("gone", is_final=True), Answer("no"))

    first, second = deliverer.deliver(), deliverer.deliver()

    assert [each.status for each in first.attempts] == ["failed", "given_up"]
    assert [each.status for each in second.attempts] == ["given_up"]
    assert store.said == [("a1", 1.0), ("b1", None), ("a1", None)]


def test_what_kills_each_who_tries_it_is_given_up_unsent() -> None:
    store = _Store("a1", most=2)
    store.waiting["a1"] = replace(store.waiting["a1"], attempts=2)
    deliverer = _deliverer(store, AssertionError("it must not be sent"))

    (tried,) = deliverer.deliver().attempts

    assert tried.status == "given_up"
    assert "lived" in (tried.error or "")


def test_what_a_sender_raises_is_a_failure_whose_words_are_not_kept() -> None:
    store = _Store("a1")

    (tried,) = _deliverer(store, RuntimeError("canary")).deliver().attempts

    assert (tried.status, tried.error) == ("failed", "RuntimeError while it was sent")


@pytest.mark.parametrize("given", [{"most": 1}, {"go_on": iter([True, False]).__next__}])
def test_it_ends_when_it_is_to(given: Any) -> None:
    assert len(_deliverer(_Store("a1", "a2", "a3")).deliver(**given).attempts) == 1


def test_it_ends_when_its_time_is_over() -> None:
    times = iter([0.0, 1.0, 1.0, 1.0, 6.0])
    store = _Store("a1", "a2")
    deliverer = Deliverer(store, lambda *given: Answer(), clock=lambda: next(times))

    assert len(deliverer.deliver(seconds=5).attempts) == 1


# Who is in a hurry


class _Hurry:
    """A clock, and a sender that takes all the time that it is given, and says so."""

    def __init__(self, *quick: str) -> None:
        self.now = 0.0
        self.given: list[tuple[str, float]] = []
        self._quick = quick

    def send(self, target: Any, told: Notification, seconds: float) -> Answer:
        self.given.append((told.id, seconds))
        if told.id in self._quick:
            return Answer()
        self.now += seconds
        return Answer("no answer in time", is_late=True)

    def deliverer(self, store: _Store) -> Deliverer:
        return Deliverer(store, self.send, clock=lambda: self.now, chance=lambda: 0.5)


def test_an_attempt_that_a_hurry_cuts_short_is_none() -> None:
    store, hurry = _Store("a1"), _Hurry()

    done = hurry.deliverer(store).deliver(seconds=5)

    assert (done.attempts, done.waiting) == ((), 1)
    assert hurry.given == [("a1", 5.0)]
    assert store.waiting["a1"].attempts == 0
    assert store.said == [("a1", "released")]


def test_what_was_cut_short_is_left_to_one_who_has_the_time_that_its_policy_gives() -> None:
    store, hurry = _Store("a1", "a2", "b1"), _Hurry("a2", "b1")

    hurry.deliverer(store).deliver(seconds=5)
    done = hurry.deliverer(store).deliver(seconds=5)

    assert [each.notification.id for each in done.attempts] == ["a2", "b1"]
    assert [id for id, _ in hurry.given] == ["a1", "a2", "b1"]
    (tried,) = hurry.deliverer(store).deliver(seconds=61).attempts
    assert (tried.notification.id, tried.status) == ("a1", "failed")
    assert hurry.given[-1] == ("a1", Callback("m:f").timeout)
    assert store.waiting["a1"].attempts == 1


def test_an_attempt_that_had_the_time_of_its_policy_has_failed_whoever_made_it() -> None:
    store, hurry = _Store("a1"), _Hurry()

    (tried,) = hurry.deliverer(store).deliver(seconds=1_000).attempts

    assert (tried.status, tried.error) == ("failed", "no answer in time")


def test_an_attempt_that_somebody_interrupts_is_none() -> None:
    store = _Store("a1")

    def send(target: Any, told: Notification, seconds: float) -> Answer:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Deliverer(store, send).deliver()

    assert store.said == [("a1", "released")]


# What can say nothing, or has had all its attempts


def test_what_tells_of_nothing_any_more_is_given_up_and_tried_no_more() -> None:
    store = _Store("a1", "b1")
    store.gone.add("a1")

    done = _deliverer(store).deliver()

    assert [each.notification.id for each in done.attempts] == ["b1"]
    assert store.said == [("a1", None), ("b1", "arrived")]


def test_what_this_library_cannot_read_is_tried_later_and_stops_nobody() -> None:
    store = _Store("a1", "b1", most=2)
    store.unknown.add("a1")
    deliverer = _deliverer(store)

    done = deliverer.deliver()

    assert [each.notification.id for each in done.attempts] == ["b1"]
    assert store.said == [("a1", 1.0), ("a1", None), ("b1", "arrived")]


def test_attempts_that_were_lowered_give_up_what_has_had_more_and_say_why() -> None:
    store = _Store("a1", most=2)
    store.waiting["a1"] = replace(store.waiting["a1"], attempts=5, error="it answers 500")
    deliverer = _deliverer(store, AssertionError("it must not be sent"))

    (tried,) = deliverer.deliver().attempts

    assert tried.status == "given_up"
    assert tried.error == "it was tried 5 times; the last that was heard of it: it answers 500"


def test_what_the_database_kept_waiting_is_not_sent_when_the_claim_may_be_over() -> None:
    store = _Store("a1")
    sent: list[str] = []
    times = iter([0.0, 31.0, 40.0, 41.0])

    def send(target: Any, told: Notification, seconds: float) -> Answer:
        sent.append(told.id)
        return Answer()

    done = Deliverer(store, send, clock=lambda: next(times)).deliver()

    assert store.said == [("a1", "released"), ("a1", "arrived")]
    assert sent == ["a1"]
    assert done.count("delivered") == 1


# What a receiver asks for, and what cannot be read


def test_a_receiver_that_asks_for_a_pause_is_sent_nothing_else_meanwhile() -> None:
    store = _Store("a1", "b1")

    _deliverer(store, Answer("slow down", retry_after=120.0), Answer("no")).deliver()

    assert store.said == [("a1", 120.0), ("a", 120.0), ("b1", 1.0)]


def test_a_pause_that_is_too_long_is_shortened() -> None:
    store = _Store("a1")

    _deliverer(store, Answer("slow down", retry_after=1e9)).deliver()

    assert store.said == [("a1", LONGEST_WISH), ("a", LONGEST_WISH)]


def test_policies_that_cannot_be_read_are_named_and_the_others_delivered() -> None:
    store = _Store("a1")
    store.unreadable = ("Policy x cannot be read here",)

    done = _deliverer(store).deliver()

    assert (done.count("delivered"), done.unreadable) == (1, store.unreadable)
    assert done.to_json()["unreadable"] == list(store.unreadable)
