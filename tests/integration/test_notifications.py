"""Of which states somebody is told, each once, also where the receiver was down for a while."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import taskgraph
from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph.assembly.notifying import deliver_due, has_policies
from taskgraph.catalog.policy_rows import Notification
from taskgraph.catalog.states import AWAITING_RETRY, State, StateType
from taskgraph.catalog.targets import Webhook
from taskgraph_backend.catalog.history import write_state
from taskgraph_backend.catalog.notifying import LATE
from taskgraph_backend.integrity import check
from taskgraph_backend.times import from_micros
from tests.hooks import SECRET, Receiver, free_port

taskgraph_namespace = "notified"
TARGET = "some_hooks:tell"
_SECOND = 1_000_000


@task
def double(x: int) -> int:
    return 2 * x


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOOK", SECRET)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Notification]]:
    """What `some_hooks:tell` was called with."""
    made: list[Notification] = []
    hooks: Any = SimpleNamespace(tell=made.append)
    monkeypatch.setitem(sys.modules, "some_hooks", hooks)
    yield made


def ended(tg: Archive, state: str = "FAILED", **given: Any) -> str:
    """Make an execution that has run and ended."""
    made = tg.executions.create("flows.main", **given).execution
    tg.executions.set_state(made, "RUNNING")
    assert tg.executions.set_state(made, state).is_written
    return made.id


def make_due(tg: Archive) -> None:
    """Have all that waits be due, as it would be after a while."""
    tg.backend._transact(
        lambda driver: driver.execute("UPDATE notification SET due = ?", (_SECOND,))
    )


def look_back(tg: Archive, micros: int) -> None:
    """Have policies be as old as this."""
    now = tg.backend.clock()
    tg.backend._transact(
        lambda driver: driver.execute(
            "UPDATE notification_policy SET seen_until = ?, created_at = ?",
            (now - micros, now - micros),
        )
    )


def a_moment(tg: Archive) -> None:
    """Have the clock of the database go on: that of SQLite counts milliseconds."""
    before = tg.backend.clock()
    while tg.backend.clock() < before + 2_000:
        pass


def names(told: list[Notification]) -> list[tuple[str, str]]:
    return [(each.execution_id, each.state.name) for each in told]


# Which states


def test_each_state_that_a_policy_is_about_is_told_once(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", states=["FAILED", "Late"], target=TARGET)
    failed = ended(tg, study="nightly", tags={"team": "ml"}, submitted_by="ada")
    ended(tg, "COMPLETED")
    late = tg.executions.create("flows.main", state=State(StateType.SCHEDULED)).execution.id
    tg.executions.set_state(late, State(StateType.SCHEDULED, "Late"), force=True)

    done = tg.policies.deliver()

    assert sorted(names(told)) == sorted([(failed, "Failed"), (late, "Late")])
    assert (done.queued, done.count("delivered"), done.waiting) == (2, 2, 0)
    assert tg.policies.deliver().attempts == ()
    first = next(each for each in told if each.execution_id == failed)
    assert (first.previous_state, first.study, first.submitted_by) == ("Running", "nightly", "ada")
    assert dict(first.tags) == {"team": ["ml"]}
    assert first.text == f"main ({failed[:8]}): Failed."
    assert first.run_seconds >= 0
    assert check(tg.backend) == []


def test_without_states_and_tags_any_is_told_in_their_order(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", target=TARGET, template="{previous_state}>{state_name}")
    made = ended(tg, "COMPLETED")

    tg.policies.deliver()

    assert names(told) == [(made, "Pending"), (made, "Running"), (made, "Completed")]
    assert [each.text for each in told] == [">Pending", "Pending>Running", "Running>Completed"]


def test_a_name_is_told_and_its_type_is_not(tg: Archive, told: list[Notification]) -> None:
    tg.policies.create("p", states=[AWAITING_RETRY], target=TARGET)
    tg.policies.create("q", states=[State(StateType.RUNNING, "Warming")], target=TARGET)
    made = tg.executions.create("e", options={"retries": 1}).execution
    tg.executions.set_state(made, State(StateType.RUNNING, "warming"))
    tg.executions.set_state(made, "FAILED")
    tg.executions.set_state(made, "RUNNING")

    tg.policies.deliver()

    assert sorted(names(told)) == [(made.id, AWAITING_RETRY), (made.id, "warming")]


def test_a_tag_that_is_shared_is_enough_and_the_tags_are_those_of_now(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", states=["FAILED"], tags=["team=ml", "urgent"], target=TARGET)
    ml = ended(tg, tags={"team": "ml"})
    urgent = ended(tg, tags={"team": "ops", "urgent": 3})
    later = ended(tg)
    no_more = ended(tg, tags={"urgent": 1})
    ended(tg, tags={"team": "ops"})
    tg.executions.update(later, tags={"team": "ml"})
    tg.executions.update(no_more, tags={})

    tg.policies.deliver()

    assert {each.execution_id for each in told} == {ml, urgent, later}


def test_what_was_before_is_told_to_nobody(tg: Archive, told: list[Notification]) -> None:
    ended(tg)
    a_moment(tg)
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    tg.policies.create("q", states=["FAILED"], target=TARGET, active=False)
    ended(tg)
    a_moment(tg)
    tg.policies.update("q", active=True)
    both = ended(tg)

    tg.policies.deliver()

    assert [each.execution_id for each in told if each.policy == "q"] == [both]
    assert len(told) == 3


def test_other_states_and_tags_count_from_then_on(tg: Archive, told: list[Notification]) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    failed = ended(tg)
    ended(tg, "COMPLETED")
    a_moment(tg)
    tg.policies.update("p", states=["COMPLETED"])
    ended(tg)
    completed = ended(tg, "COMPLETED")

    tg.policies.deliver()

    assert names(told) == [(failed, "Failed"), (completed, "Completed")]


def test_one_that_is_made_inactive_gives_up_what_waits(tg: Archive) -> None:
    tg.policies.create("p", states=["FAILED"], target="some_hooks:nothing")
    ended(tg)
    tg.policies.deliver()

    tg.policies.update("p", active=False)
    make_due(tg)
    assert tg.policies.deliver().attempts == ()
    tg.policies.update("p", active=True)
    assert tg.policies.deliver().attempts == ()

    (given_up,) = tg.policies.notifications()
    assert (given_up.status, given_up.error) == ("given_up", "the policy was made inactive")


def test_a_run_writes_nothing_for_it_and_is_told_of(
    recording: Scheduler, tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", target=TARGET, states=["COMPLETED"])

    recording.run(double(21))

    assert tg.policies.count_notifications() == 0
    deliver_due(tg.backend)
    assert [(each.entrypoint, each.state.name) for each in told] == [
        ("notified.double", "Completed")
    ]


# When rows come late


def test_a_row_that_comes_late_is_told_and_one_that_is_older_is_not(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    look_back(tg, 60 * 60 * _SECOND)
    made = [tg.executions.create("e").execution.id for _ in range(3)]
    tg.policies.deliver()

    now = tg.backend.clock()
    minute = 60 * _SECOND
    for id, micros in zip(made, (LATE - minute, LATE + minute, -60 * minute), strict=True):
        state = State(StateType.FAILED, timestamp=from_micros(now - micros))
        tg.backend._transact(lambda driver, id=id, state=state: write_state(driver, id, state))
    tg.policies.deliver()

    # Of one whose clock is ahead as well: there is nothing that it could be too late for.
    assert {each.execution_id for each in told} == {made[0], made[2]}
    tg.policies.deliver()
    assert len(told) == 2


def test_a_look_goes_back_no_further_than_to_when_a_policy_was_made(
    tg: Archive, told: list[Notification]
) -> None:
    made = tg.executions.create("e").execution.id
    before = tg.backend.clock() - _SECOND
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    state = State(StateType.FAILED, timestamp=from_micros(before))
    tg.backend._transact(lambda driver: write_state(driver, made, state))

    tg.policies.deliver()

    assert told == []


def test_a_crash_that_is_found_days_later_is_told(tg: Archive, told: list[Notification]) -> None:
    tg.policies.create("p", states=["CRASHED"], tags=["team=ml"], target=TARGET)
    look_back(tg, 10 * 86_400 * _SECOND)
    made = tg.executions.create("e", tags={"team": "ml"}).execution.id
    other = tg.executions.create("e").execution.id
    days_ago = tg.backend.clock() - 3 * 86_400 * _SECOND
    for each in (made, other):
        tg.executions.set_state(each, "RUNNING")
    tg.backend._transact(
        lambda driver: driver.execute(
            "UPDATE execution SET state_time = ?, start_time = ?", (days_ago, days_ago)
        )
    )
    tg.policies.deliver()  # nobody looks back so far any more

    crashed = tg.executions.fail_running()

    assert {each.id for each in crashed} == {made, other}
    assert tg.executions.get(made).end_time == from_micros(days_ago + 1)
    assert names(told) == []
    tg.policies.deliver()
    assert names(told) == [(made, "Crashed")]


def test_many_are_looked_at_in_pieces(
    tg: Archive, told: list[Notification], monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskgraph_backend.catalog import notifying

    pieces = notifying._STATES.replace(f"LIMIT {notifying._AT_ONCE}", "LIMIT 2")
    monkeypatch.setattr(notifying, "_STATES", pieces)
    monkeypatch.setattr(notifying, "_AT_ONCE", 2)
    tg.policies.create("p", states=["FAILED"], tags=["n=4", "n=0"], target=TARGET)
    made = [ended(tg, tags={"n": number}) for number in range(5)]

    assert tg.policies.deliver().queued == 2
    assert {each.execution_id for each in told} == {made[0], made[4]}


# When clocks are put back, and policies changed


def seen_until(tg: Archive) -> int:
    (seen,) = tg.backend._ask(
        lambda driver: driver.execute("SELECT seen_until FROM notification_policy").fetchone()
    )
    return int(seen)


def test_a_clock_that_was_ahead_when_somebody_looked_costs_nobody_a_state(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    look_back(tg, 60 * 60 * _SECOND)
    ahead = tg.backend.clock() + 86_400 * _SECOND
    tg.backend._transact(
        lambda driver: driver.execute("UPDATE notification_policy SET seen_until = ?", (ahead,))
    )
    made = ended(tg)
    now = tg.backend.clock()
    half_an_hour = State(StateType.FAILED, timestamp=from_micros(now - 30 * 60 * _SECOND))
    other = tg.executions.create("e").execution.id
    tg.backend._transact(lambda driver: write_state(driver, other, half_an_hour))

    tg.policies.deliver()

    assert {each.execution_id for each in told} == {made, other}
    assert seen_until(tg) < tg.backend.clock()
    tg.policies.deliver()
    assert len(told) == 2


def test_after_a_clock_that_was_ahead_nobody_is_told_of_what_came_while_nobody_was_to_be(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET, active=False)
    look_back(tg, 60 * 60 * _SECOND)
    ended(tg)
    a_moment(tg)
    tg.policies.update("p", active=True)
    a_moment(tg)
    made = ended(tg)
    ahead = tg.backend.clock() + 86_400 * _SECOND
    tg.backend._transact(
        lambda driver: driver.execute("UPDATE notification_policy SET seen_until = ?", (ahead,))
    )

    tg.policies.deliver()

    assert [each.execution_id for each in told] == [made]


def test_what_is_kept_of_how_far_one_looked_lies_never_after_the_newest_state(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    look_back(tg, 10 * 86_400 * _SECOND)
    made = tg.executions.create("e").execution.id
    days_ago = tg.backend.clock() - 3 * 86_400 * _SECOND
    tg.backend._transact(
        lambda driver: driver.execute("UPDATE state SET timestamp = ?", (days_ago,))
    )

    tg.policies.deliver()
    # Whoever looked may have had a clock that was three days ahead: this one comes just now.
    state = State(StateType.FAILED, timestamp=from_micros(days_ago + _SECOND))
    tg.backend._transact(lambda driver: write_state(driver, made, state))
    tg.policies.deliver()

    assert [each.execution_id for each in told] == [made]


def test_a_state_is_judged_by_what_the_policy_was_about_when_it_came(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    look_back(tg, 60 * 60 * _SECOND)
    made = [tg.executions.create("e").execution.id for _ in range(4)]
    a_moment(tg)
    before = tg.backend.clock()
    a_moment(tg)

    tg.policies.update("p", states=["COMPLETED"])
    a_moment(tg)
    tg.policies.update("p", tags=["team=ml"])
    tg.policies.update("p", tags=[], target="some_hooks:nothing")
    tg.policies.update("p", target=TARGET)
    a_moment(tg)
    # All of these rows come only now, as those of runs do.
    for id, type, moment in (
        (made[0], StateType.FAILED, before),
        (made[1], StateType.COMPLETED, before),
        (made[2], StateType.FAILED, tg.backend.clock()),
        (made[3], StateType.COMPLETED, tg.backend.clock()),
    ):
        state = State(type, timestamp=from_micros(moment))
        tg.backend._transact(lambda driver, id=id, state=state: write_state(driver, id, state))
    tg.policies.deliver()

    assert sorted(names(told)) == sorted([(made[0], "Failed"), (made[3], "Completed")])


def test_a_policy_that_is_changed_often_keeps_no_more_than_is_needed(tg: Archive) -> None:
    from taskgraph_backend.catalog.policy_columns import read_kept

    tg.policies.create("p", states=["FAILED"], target=TARGET)
    for _ in range(15):
        tg.policies.update("p", states=["COMPLETED"])
        tg.policies.update("p", states=["FAILED"])

    def kept() -> int:
        (said,) = tg.backend._ask(
            lambda driver: driver.execute("SELECT target FROM notification_policy").fetchone()
        )
        return len(read_kept(said).earlier)

    assert kept() == 20
    tg.backend._transact(
        lambda driver: driver.execute(
            "UPDATE notification_policy SET seen_until = ?", (tg.backend.clock(),)
        )
    )
    tg.policies.update("p", states=["COMPLETED"])
    assert kept() == 1
    tg.policies.update("p", active=False)
    tg.policies.update("p", active=True)
    assert kept() == 0


# What it costs


def test_where_no_policy_is_active_it_is_one_statement(tg: Archive) -> None:
    tg.policies.create("p", target=TARGET, active=False)
    ended(tg)
    asked: list[Any] = []
    ask, transact = tg.backend._ask, tg.backend._transact
    for name, real in (("_ask", ask), ("_transact", transact)):
        setattr(
            tg.backend, name, lambda *given, real=real, **named: asked.append(given) or real(*given)
        )

    assert deliver_due(tg.backend).attempts == ()
    assert len(asked) == 1
    assert has_policies(tg.backend) is False


def test_a_look_that_finds_nothing_writes_nothing(
    tg: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    tg.policies.create("p", target=TARGET, states=["FAILED"])
    ended(tg, "COMPLETED")
    tg.policies.deliver()
    written: list[Any] = []
    transact = tg.backend._transact
    monkeypatch.setattr(
        tg.backend, "_transact", lambda *given, **named: written.append(given) or transact(*given)
    )

    tg.policies.deliver()

    assert written == []


# Webhooks


def test_a_receiver_that_was_down_sees_each_notification_once(tg: Archive) -> None:
    port = free_port()
    tg.policies.create(
        "p", states=["FAILED"], target=Webhook(f"http://127.0.0.1:{port}/hook", "env:HOOK")
    )
    made = {ended(tg) for _ in range(3)}

    for _ in range(2):  # nobody listens
        (tried,) = tg.policies.deliver().attempts
        assert (tried.status, "Connection refused" in (tried.error or "")) == ("failed", True)
        make_due(tg)
    with Receiver(port, answers=(500, 500)) as receiver:
        for _ in range(2):
            (tried,) = tg.policies.deliver().attempts
            assert "500" in (tried.error or "")
            make_due(tg)
        done = tg.policies.deliver()
        assert tg.policies.deliver().attempts == ()

    assert done.count("delivered") == 3
    assert receiver.wrong == []
    assert {each["data"]["execution"]["id"] for each in receiver.accepted} == made
    ids = [each["data"]["id"] for each in receiver.accepted]
    assert sorted(ids) == sorted(each.id for each in tg.policies.notifications())
    assert set(receiver.seen) == set(ids)
    assert all(each.error is None for each in tg.policies.notifications())


def test_what_is_due_is_not_tried_before(tg: Archive) -> None:
    with Receiver(answers=((503, {"Retry-After": "100"}),)) as receiver:
        tg.policies.create("p", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        ended(tg)
        tg.policies.deliver()
        assert tg.policies.deliver().attempts == ()

    (waiting,) = tg.policies.notifications()
    assert waiting.due - from_micros(tg.backend.clock()) > timedelta(seconds=60)
    assert len(receiver.seen) == 1


def test_a_receiver_that_asks_for_a_pause_has_it_from_all_policies(
    tg: Archive, told: list[Notification]
) -> None:
    with Receiver(answers=((429, {"Retry-After": "100"}),)) as receiver:
        tg.policies.create("p", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        tg.policies.create("q", states=["FAILED"], target=Webhook(f"{receiver.url}2", "env:HOOK"))
        tg.policies.create("r", states=["FAILED"], target=TARGET)
        for _ in range(3):
            ended(tg)
        first = tg.policies.deliver()
        ended(tg)
        second = tg.policies.deliver()

        assert (len(receiver.seen), len(told)) == (1, 4)
        assert [each.status for each in first.attempts].count("failed") == 1
        assert (len(second.attempts), second.waiting) == (1, 8)
        assert [(each.policy, each.waiting) for each in second.held] == [("p", 4), ("q", 4)]
        ((_, until),) = {(each.waiting, each.until) for each in second.held}
        waiting = tg.policies.notifications(status="waiting")
        assert {each.held_until for each in waiting} == {until}
        said = f"Policy p: nothing is sent before {until.astimezone():%Y-%m-%d %H:%M:%S}"
        assert f"{second.held[0]}" == f"{said}, as the receiver has asked (Retry-After); 4 wait."
        assert tg.policies.notifications(status="delivered")[0].held_until is None
        soon = from_micros(tg.backend.clock()) + timedelta(seconds=60)
        assert all(each.due > soon for each in tg.policies.notifications(status="waiting"))
        make_due(tg)
        over = tg.policies.deliver()
        assert (over.count("delivered"), over.held) == (8, ())
        tg.policies.update("p", target=Webhook(f"{receiver.url}3", "env:HOOK"))
        ended(tg)
        assert tg.policies.deliver().count("delivered") == 2  # of p, which asks another one, and r


def test_what_waits_for_a_wrong_place_is_due_where_it_is_put_right(
    tg: Archive, told: list[Notification]
) -> None:
    with Receiver(answers=((503, {"Retry-After": "80000"}),)) as receiver:
        tg.policies.create("p", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        made = [ended(tg) for _ in range(3)]
        tg.policies.deliver()
        tg.policies.update("p", template="{name}", target=Webhook(receiver.url, "env:HOOK"))
        assert tg.policies.deliver().attempts == ()

        tg.policies.update("p", target=TARGET)
        a_moment(tg)
        tg.policies.deliver()

    assert sorted(each.execution_id for each in told) == sorted(made)


def test_a_receiver_that_is_gone_is_left_and_others_are_told(
    tg: Archive, told: list[Notification]
) -> None:
    with Receiver(answers=(410,)) as receiver:
        tg.policies.create("a", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        tg.policies.create("b", states=["FAILED"], target=TARGET)
        ended(tg)
        done = tg.policies.deliver()

    assert sorted(each.status for each in done.attempts) == ["delivered", "given_up"]
    assert [each.policy for each in tg.policies.notifications(status="given_up")] == ["a"]
    assert len(told) == 1


def test_it_is_tried_so_often_and_given_up(tg: Archive) -> None:
    tg.policies.create("p", states=["FAILED"], target="some_hooks:nothing", attempts=3)
    ended(tg)

    seen = []
    for _ in range(4):
        seen += [each.status for each in tg.policies.deliver().attempts]
        make_due(tg)

    assert seen == ["failed", "failed", "given_up"]
    assert tg.policies.notifications()[0].attempts == 3


def test_a_secret_that_is_missing_is_said_and_tried_again(
    tg: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver:
        tg.policies.create("p", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        ended(tg)
        monkeypatch.delenv("HOOK")
        (tried,) = tg.policies.deliver().attempts
        assert "Set it where notifications are sent" in (tried.error or "")
        monkeypatch.setenv("HOOK", SECRET)
        make_due(tg)
        (tried,) = tg.policies.deliver().attempts

    assert (tried.status, len(receiver.accepted)) == ("delivered", 1)


def test_an_execution_that_goes_while_it_is_told_of_is_no_error(
    tg: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(told: Notification) -> None:
        tg.executions.delete(told.execution_id)

    hooks: Any = SimpleNamespace(tell=tell)
    monkeypatch.setitem(sys.modules, "some_hooks", hooks)
    tg.policies.create("p", states=["FAILED", "COMPLETED"], target=TARGET)
    ended(tg)
    ended(tg, "COMPLETED")

    assert tg.policies.deliver().count("delivered") == 2
    assert tg.policies.notifications() == []


def test_two_looks_at_once_queue_each_once(tg: Archive, database_uri: str) -> None:
    from taskgraph_backend.catalog import notifying

    tg.policies.create("p", states=["FAILED"], target=TARGET)
    for _ in range(5):
        ended(tg)
    with taskgraph.open(database_uri) as other:
        first = tg.backend._ask(notifying.look).looks
        second = other.backend._ask(notifying.look).looks

        assert tg.backend._transact(notifying.write, first) == 5
        assert other.backend._transact(notifying.write, second) == 0
    assert tg.policies.count_notifications() == 5


def test_what_was_deleted_between_look_and_writing_is_left_out(tg: Archive) -> None:
    from taskgraph_backend.catalog import notifying

    for name in ("p", "q"):
        tg.policies.create(name, states=["FAILED"], target=TARGET)
    gone, stays = ended(tg), ended(tg)
    looks = tg.backend._ask(notifying.look).looks
    tg.executions.delete(gone)
    tg.policies.delete("q")

    assert tg.backend._transact(notifying.write, looks) == 1
    (queued,) = tg.policies.notifications()
    assert (queued.policy, queued.execution_id) == ("p", stays)


# Who is in a hurry


def test_what_a_hurry_cut_short_was_not_tried_and_is_delivered_by_the_next_one(
    tg: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    told: list[str] = []

    def tell(notification: Notification) -> None:
        go_on.wait(60)
        told.append(notification.id)

    hooks: Any = SimpleNamespace(tell=tell)
    monkeypatch.setitem(sys.modules, "some_hooks", hooks)
    tg.policies.create("p", states=["FAILED"], target=TARGET, attempts=1)
    ended(tg)

    done = tg.policies.deliver(seconds=0.2)

    assert (done.attempts, done.waiting) == ((), 1)
    (waiting,) = tg.policies.notifications()
    assert (waiting.status, waiting.attempts) == ("waiting", 0)
    assert "counts as not tried" in (waiting.error or "")
    assert tg.policies.deliver(seconds=0.2).attempts == ()
    go_on.set()
    (tried,) = tg.policies.deliver().attempts
    assert (tried.status, told.count(waiting.id) >= 1) == ("delivered", True)
    (delivered,) = tg.policies.notifications()
    assert (delivered.status, delivered.attempts, delivered.error) == ("delivered", 1, None)


# What cannot be told


def test_what_tells_of_nothing_any_more_is_given_up(
    tmp_path: Path, told: list[Notification]
) -> None:
    # SQLite alone lets go what is referred to: where it is not asked to look, or was damaged.
    with taskgraph.open(f"sqlite:///{tmp_path / 'lost.db'}", migrate=True) as tg:
        tg.policies.create("p", states=["FAILED"], target=TARGET)
        lost, stays = ended(tg), ended(tg)
        tg.policies.deliver(go_on=lambda: False)
        driver = tg.backend._connection()
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("DELETE FROM state WHERE execution_id = ?", (bytes.fromhex(lost),))

        done = tg.policies.deliver()

        assert (done.count("delivered"), done.waiting) == (1, 0)
        assert [each.execution_id for each in told] == [stays]
        sql = "SELECT attempts, error FROM notification WHERE given_up_at IS NOT NULL"
        assert driver.execute(sql).fetchall() == [(1, "what it tells of is no more")]


def test_a_state_of_a_newer_library_stops_nobody(tg: Archive, told: list[Notification]) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    newer, stays = ended(tg), ended(tg)
    tg.policies.deliver(go_on=lambda: False)
    sql = "UPDATE state SET type = 'NAPPING' WHERE type = 'FAILED' AND execution_id = ?"
    tg.backend._transact(lambda driver: driver.execute(sql, (bytes.fromhex(newer),)))

    tg.policies.deliver()

    assert [each.execution_id for each in told] == [stays]
    (waiting,) = tg.policies.notifications(status="waiting")
    assert (waiting.execution_id, waiting.attempts) == (newer, 1)
    assert "Update taskgraph" in (waiting.error or "")


def test_lowered_attempts_give_up_what_has_had_more_and_say_why(tg: Archive) -> None:
    tg.policies.create("p", states=["FAILED"], target="some_hooks:nothing")
    ended(tg)
    for _ in range(3):
        tg.policies.deliver()
        make_due(tg)

    tg.policies.update("p", attempts=2)
    (tried,) = tg.policies.deliver().attempts

    assert tried.status == "given_up"
    assert "it was tried 3 times" in (tried.error or "")
    (given_up,) = tg.policies.notifications()
    assert (given_up.attempts, given_up.status) == (3, "given_up")
    assert "cannot be called here" in (given_up.error or "")
