"""Policies are made, changed, found and deleted; what cannot be kept is refused."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import taskgraph
from taskgraph.archive import Archive
from taskgraph.catalog.policy_rows import Notification
from taskgraph.catalog.states import State
from taskgraph.catalog.targets import Callback, Command, Unreadable, Webhook
from taskgraph.errors import (
    AmbiguousIdError,
    ClosedArchiveError,
    ConflictError,
    FilterError,
    InvalidStateError,
    NotFoundError,
    PolicyExistsError,
    PolicyNotFoundError,
    SecretError,
    TemplateError,
    ValidationError,
)
from taskgraph.filters import ANY_VALUE
from taskgraph_backend.integrity import check

TARGET = "some_hooks:tell"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Notification]:
    """What `some_hooks:tell` was called with."""
    made: list[Notification] = []
    hooks: Any = SimpleNamespace(tell=made.append)
    monkeypatch.setitem(sys.modules, "some_hooks", hooks)
    return made


def test_what_was_made_is_found_and_listed(tg: Archive) -> None:
    made = tg.policies.create(
        "failures",
        states=["failed", State.parse("late")],
        tags=["team=ml", "nightly", ("n", 1)],
        target=Webhook("https://example.org/hook", "env:HOOK", 3),
        template="{name}",
        attempts=3,
    )
    other = tg.policies.create(target=["notify-send", "x"], active=False)

    assert made.states == ("FAILED", "Late")
    assert made.tags == (("team", "ml"), ("nightly", ANY_VALUE), ("n", 1))
    assert (made.template, made.attempts, made.active) == ("{name}", 3, True)
    assert made.target == Webhook("https://example.org/hook", "env:HOOK", 3)
    assert other.name == f"policy-{other.id[:8]}"
    assert other.target == Command(("notify-send", "x"))
    assert tg.policies.list() == [made, other]
    assert tg.policies.list(active=True) == [made]
    assert tg.policies.list(active=False) == [other]
    for ref in ("failures", made.id, made.id.upper(), made):
        assert tg.policies.get(ref) == made
    assert tg.policies.find("nothing") is None
    assert made.to_json()["tags"] == ["team=ml", "nightly", "n=1"]
    assert check(tg.backend) == []


def test_one_that_is_not_there_says_what_to_do(tg: Archive) -> None:
    with pytest.raises(PolicyNotFoundError, match="`taskgraph policy list`") as caught:
        tg.policies.get("nothing")
    assert isinstance(caught.value, NotFoundError)
    for ask in (
        lambda: tg.policies.update("nothing", active=False),
        lambda: tg.policies.delete("nothing"),
        lambda: tg.policies.test("nothing"),
        lambda: tg.policies.notifications("nothing"),
    ):
        with pytest.raises(PolicyNotFoundError):
            ask()
    assert tg.policies.delete("nothing", missing_ok=True) is False


def test_the_start_of_an_id_has_to_be_that_of_one(tg: Archive) -> None:
    made = [tg.policies.create(f"p{number}", target=TARGET) for number in range(20)]
    starts = [each.id[0] for each in made]
    twice = next(each for each in starts if starts.count(each) > 1)

    with pytest.raises(AmbiguousIdError):
        tg.policies.get(twice)


def test_a_name_is_there_once_however_many_ask_at_once(tg: Archive) -> None:
    gate = threading.Barrier(8)
    outcomes: list[str] = []

    def make() -> None:
        gate.wait()
        try:
            tg.policies.create("one", target=TARGET)
            outcomes.append("made")
        except PolicyExistsError:
            outcomes.append("refused")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(outcomes) == ["made", *["refused"] * 7]
    other = tg.policies.create("two", target=TARGET)
    with pytest.raises(PolicyExistsError, match="Choose another name, or update") as caught:
        tg.policies.update(other, name="one")
    assert isinstance(caught.value, ConflictError)
    assert tg.policies.update(other, name="two").name == "two"


def test_only_what_is_given_is_changed(tg: Archive) -> None:
    made = tg.policies.create("p", states=["FAILED"], tags=["a"], target=TARGET, template="{name}")

    assert tg.policies.update("p") == made
    assert tg.policies.update("p", states=()).states == ()
    changed = tg.policies.update("p", name="q", target=["true"], template=None, tags=["b=2"])

    assert changed.id == made.id
    assert (changed.name, changed.target, changed.template) == ("q", Command(("true",)), None)
    assert changed.tags == (("b", 2),)
    assert tg.policies.update("q", active=False, attempts=1).active is False
    assert tg.policies.get("q").attempts == 1


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"states": ["FAILD"]}, InvalidStateError),
        ({"states": "FAILED"}, ValidationError),
        ({"states": [3]}, InvalidStateError),
        ({"tags": "team=ml"}, ValidationError),
        ({"tags": ["=ml"]}, FilterError),
        ({"tags": [("a", "b", "c")]}, ValidationError),
        ({"tags": [("a", object())]}, ValidationError),
        ({"template": "{nothing}"}, TemplateError),
        ({"template": "{name"}, TemplateError),
        ({"target": "no target"}, ValidationError),
        ({"target": "https://me:canary@example.org/"}, SecretError),
        ({"target": Callback, "tags": []}, ValidationError),
        ({"name": " "}, ValidationError),
        ({"name": "whsec_canary12345"}, SecretError),
        ({"tags": ["x=whsec_canary12345"]}, SecretError),
        ({"active": 1}, ValidationError),
        ({"attempts": 0}, ValidationError),
        ({"attempts": True}, ValidationError),
    ],
)
def test_what_cannot_be_kept_is_refused_when_made_and_when_changed(
    tg: Archive, given: dict[str, Any], error: type[Exception]
) -> None:
    made = tg.policies.create("p", target=TARGET)

    with pytest.raises(error) as caught:
        tg.policies.create(**{"name": "q", "target": TARGET, **given})
    assert "canary" not in str(caught.value)
    with pytest.raises(error):
        tg.policies.update("p", **given)

    assert tg.policies.list() == [made]


def test_a_test_says_that_it_is_one_and_leaves_nothing(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("p", target=TARGET, template="{name} is {state_name}")

    tried = tg.policies.test("p")

    assert (tried.status, tried.error) == ("delivered", None)
    (sent,) = told
    assert sent.is_test
    assert sent.text == "This is a test. test is Completed"
    assert sent.to_json()["type"] == "test"
    assert tg.policies.notifications() == []
    assert tg.policies.get("p").delivered == 0


def test_a_test_that_fails_says_why(tg: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    tg.policies.create("p", target=["no-such-program-anywhere"])
    tg.policies.create("q", target=Webhook("https://example.org/h", "env:NO_SUCH_SECRET"))

    tried = tg.policies.test("p")
    assert (tried.status, tried.notification.is_test) == ("failed", True)
    assert "cannot be run" in (tried.error or "")
    with pytest.raises(SecretError, match="Set it where notifications are sent"):
        tg.policies.test("q")


def test_a_closed_archive_is_asked_nothing(database_uri: str) -> None:
    with taskgraph.open(database_uri, migrate=True) as tg:
        policies = tg.policies

    with pytest.raises(ClosedArchiveError):
        policies.list()


def test_execution_and_policy_take_their_notifications_along(
    tg: Archive, told: list[Notification], tmp_path: Path
) -> None:
    for name in ("p", "q"):
        tg.policies.create(name, states=["COMPLETED"], target=TARGET)
    made = [tg.executions.create("e", study="s").execution for _ in range(3)]
    for each in made:
        tg.executions.set_state(each, "COMPLETED")
    tg.policies.deliver()
    assert len(told) == 6
    assert tg.policies.count_notifications() == 6
    assert tg.policies.count_notifications("p") == 3
    assert len(tg.policies.notifications(execution=made[0])) == 2

    tg.executions.delete(made[0])
    assert tg.policies.count_notifications() == 4
    tg.studies.delete("s", executions="delete")
    assert tg.policies.count_notifications() == 0
    fourth = tg.executions.create("e").execution
    tg.executions.set_state(fourth, "COMPLETED")
    tg.policies.deliver()
    assert tg.policies.delete("p") is True
    assert [each.policy for each in tg.policies.notifications()] == ["q"]
    assert check(tg.backend) == []


def test_notifications_are_listed_by_what_they_are(tg: Archive, told: list[Notification]) -> None:
    tg.policies.create("good", states=["COMPLETED"], target=TARGET)
    tg.policies.create("bad", states=["COMPLETED"], target="some_hooks:nothing", attempts=1)
    tg.policies.create("later", states=["COMPLETED"], target="some_hooks:nothing")
    made = tg.executions.create("e", name="nightly").execution
    tg.executions.set_state(made, "COMPLETED")
    tg.policies.deliver()

    found = {each.policy: each for each in tg.policies.notifications()}
    assert {name: each.status for name, each in found.items()} == {
        "good": "delivered",
        "bad": "given_up",
        "later": "waiting",
    }
    assert [each.policy for each in tg.policies.notifications(status="waiting")] == ["later"]
    assert len(tg.policies.notifications(status=["waiting", "given_up"])) == 2
    assert len(tg.policies.notifications(limit=1, offset=2)) == 1
    assert tg.policies.notifications(limit=None, offset=3) == []
    assert tg.policies.notifications(execution=made.id[:8], status="delivered") == [found["good"]]
    assert (found["later"].attempts, found["later"].execution) == (1, "nightly")
    assert "AttributeError" in (found["later"].error or "")
    assert found["later"].due > found["later"].queued_at
    every = tg.policies.list()
    counts = {each.name: (each.waiting, each.delivered, each.given_up) for each in every}
    assert counts == {"good": (0, 1, 0), "bad": (0, 0, 1), "later": (1, 0, 0)}
    with pytest.raises(ValidationError, match="waiting, delivered, given_up"):
        tg.policies.notifications(status="lost")
    with pytest.raises(NotFoundError):
        tg.policies.notifications(execution="nothing")


# What cannot be read


UNREADABLE = [
    ("target", '{"kind": "pigeon"}'),
    ("target", '{"kind": "callback", "function": "a.b:c", "wings": 2}'),
    ("target", '{"kind": "callback", "function": "a.b:c", "attempts": "many"}'),
    ("target", "[]"),
    ("state_names", '{"FAILED": 1}'),
    ("state_names", "[3]"),
    ("tags", '["team"]'),
    ("tags", "[3]"),
]


def spoil(tg: Archive, name: str, column: str, said: str) -> None:
    """Have a column of a policy hold what no library of this version writes."""
    sql = f"UPDATE notification_policy SET {column} = ? WHERE name = ?"
    tg.backend._transact(lambda driver: driver.execute(sql, (said, name)))


def failed(tg: Archive) -> str:
    made = tg.executions.create("e").execution
    tg.executions.set_state(made, "RUNNING")
    tg.executions.set_state(made, "FAILED")
    return made.id


@pytest.mark.parametrize(("column", "said"), UNREADABLE)
def test_one_that_cannot_be_read_stops_nobody_and_is_named(
    tg: Archive, told: list[Notification], column: str, said: str
) -> None:
    odd = tg.policies.create("odd", states=["FAILED"], target="a.b:c")
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    first = failed(tg)
    tg.policies.deliver(go_on=lambda: False)  # of the odd one something waits already
    spoil(tg, "odd", column, said)
    second = failed(tg)

    done = tg.policies.deliver()

    assert {each.execution_id for each in told} == {first, second}
    (named,) = done.unreadable
    assert "Policy odd cannot be read here" in named
    assert f"taskgraph policy delete {odd.id[:12]}" in named
    found = {each.name: each for each in tg.policies.list()}
    assert isinstance(found["odd"].target, Unreadable)
    assert found["odd"].to_json()["target"]["kind"] == "unreadable"
    assert isinstance(tg.policies.get(odd.id[:8]).target, Unreadable)
    assert len(tg.policies.notifications("odd")) == 1
    with pytest.raises(ValidationError, match="cannot be read here"):
        tg.policies.test("odd")
    assert tg.policies.delete(odd.id) is True
    assert tg.policies.deliver().unreadable == ()


def test_what_is_no_json_at_all_is_unreadable_too(tmp_path: Path, told: list[Notification]) -> None:
    # SQLite alone takes anything.
    with taskgraph.open(f"sqlite:///{tmp_path / 'odd.db'}", migrate=True) as tg:
        for number, column in enumerate(("target", "state_names", "tags")):
            tg.policies.create(f"odd{number}", target=TARGET)
            spoil(tg, f"odd{number}", column, "{")
        tg.policies.create("p", states=["FAILED"], target=TARGET)
        made = failed(tg)

        done = tg.policies.deliver()

        assert [each.execution_id for each in told] == [made]
        assert len(done.unreadable) == 3
        assert [each.name for each in tg.policies.list()] == ["odd0", "odd1", "odd2", "p"]


def test_a_crash_is_written_down_although_a_policy_cannot_be_read(
    tg: Archive, told: list[Notification]
) -> None:
    tg.policies.create("odd", target=TARGET)
    tg.policies.create("p", states=["CRASHED"], target=TARGET)
    spoil(tg, "odd", "target", "{}")
    made = tg.executions.create("e").execution
    tg.executions.set_state(made, "RUNNING")

    assert [each.id for each in tg.executions.fail_running()] == [made.id]

    tg.policies.deliver()
    assert [each.policy for each in told] == ["p"]


def test_one_that_cannot_be_read_is_made_whole_by_what_it_lacks(
    tg: Archive, told: list[Notification]
) -> None:
    made = tg.policies.create("p", states=["FAILED"], target=TARGET)
    spoil(tg, "p", "target", "{}")
    missed = failed(tg)
    with pytest.raises(ValidationError):
        tg.policies.update("p", attempts=3)

    assert tg.policies.update("p", name="q").name == "q"
    changed = tg.policies.update("q", target=TARGET, attempts=3)

    assert (changed.id, changed.states, changed.attempts) == (made.id, ("FAILED",), 3)
    tg.policies.deliver()
    assert [each.execution_id for each in told] == [missed]
    spoil(tg, "q", "state_names", "3")
    assert tg.policies.update("q", states=["COMPLETED"]).states == ("COMPLETED",)
    assert tg.policies.deliver().attempts == ()


def test_two_who_change_one_at_once_change_each_what_he_gives(
    tg: Archive, database_uri: str
) -> None:
    tg.policies.create("p", states=["FAILED"], target=TARGET)
    gate = threading.Barrier(2)

    def change(archive: Archive, **given: Any) -> None:
        gate.wait()
        archive.policies.update("p", **given)

    with taskgraph.open(database_uri) as other:
        thread = threading.Thread(target=change, args=(other,), kwargs={"template": "{name}"})
        thread.start()
        change(tg, states=["Late"], attempts=7)
        thread.join()

    found = tg.policies.get("p")
    assert (found.template, found.states, found.attempts) == ("{name}", ("Late",), 7)
