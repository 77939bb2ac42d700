"""What takes long is written down before it begins, and outlives what it is about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

import taskgraph
from taskgraph.archive import Archive
from taskgraph.catalog.operations import MOST_LOGGED, Status
from taskgraph.errors import NotFoundError, OperationNotFoundError, ValidationError
from taskgraph.records import LeaseRecord
from taskgraph_backend import claims


def leases(tg: Archive) -> list[str]:
    rows = tg.backend._ask(lambda driver: driver.execute("SELECT key FROM lease").fetchall())
    return [key for (key,) in rows if key.startswith("operation:")]


def test_an_operation_says_how_far_it_is_and_what_came_of_it(tg: Archive) -> None:
    with tg.operations.running("tidy", "the attic") as running:
        begun = tg.operations.get(running.id)
        held = leases(tg)
        running.say("one box", "two\0 boxes")
        running.progress(boxes=2)
        half = tg.operations.get(running.id[:12])
        running.say("done", 2)
    done = tg.operations.get(half)

    assert (begun.kind, begun.subject, begun.status) == ("tidy", "the attic", Status.ONGOING)
    assert (begun.ended_at, begun.log, begun.is_over) == (None, None, False)
    assert (half.status, half.data, half.log) == (
        Status.ONGOING,
        {"boxes": 2},
        "one box\ntwo boxes",
    )
    assert (done.status, done.data, done.error) == (Status.OK, {"boxes": 2}, None)
    assert done.log == "one box\ntwo boxes\ndone\n2"
    assert done.ended_at is not None
    assert done.ended_at >= done.started_at == begun.started_at
    assert (held, leases(tg)) == ([f"operation:{running.id}"], [])
    assert done.to_json()["status"] == "ok"


def test_who_does_it_is_noted_where_the_settings_say_so(
    tg: Archive, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tg.operations.running("tidy", "attic") as nobodys:
        nobodys.progress(boxes=1)
    monkeypatch.setenv("TASKGRAPH_USER", " ada@x.org ")
    with taskgraph.open(database_uri) as mine, mine.operations.running("tidy", "attic") as hers:
        hers.progress(boxes=2)

    assert tg.operations.get(nobodys.id).by is None
    found = tg.operations.get(hers.id)
    assert (found.by, found.data) == ("ada@x.org", {"by": "ada@x.org", "boxes": 2})


def test_it_is_pending_until_it_begins(tg: Archive) -> None:
    store: Any = tg.operations._store
    store.begin_operation("ab" * 16, "tidy", "attic")

    assert tg.operations.get("ab" * 16).status is Status.PENDING
    assert [each.id for each in tg.operations.list(status="pending")] == ["ab" * 16]


@pytest.mark.parametrize("error", [KeyError("the box"), KeyboardInterrupt()])
def test_what_raises_has_failed_and_says_why(tg: Archive, error: BaseException) -> None:
    with pytest.raises(type(error)), tg.operations.running("tidy", "attic") as running:
        running.progress(boxes=1)
        raise error

    found = tg.operations.get(running.id)
    assert (found.status, found.data["boxes"], found.is_over) == (Status.FAILED, 1, True)
    assert str(found.error).startswith(type(error).__name__)
    assert str(found.log).endswith(str(found.error))
    assert leases(tg) == []


def test_no_secret_is_in_what_it_says(tg: Archive) -> None:
    with (
        pytest.raises(RuntimeError),
        tg.operations.running("fetch", "https://ada:canary@example.org/x") as running,
    ):
        running.say("the token is ghp_canary", "-----BEGIN KEY-----\ncanary\n-----END KEY-----")
        running.progress(token="canary", db={"password": "canary"}, files=3)
        running.say("connect(password='canary')")
        raise RuntimeError("whsec_canary is wrong, and so is password=canary")

    found = tg.operations.get(running.id)
    assert "canary" not in str(found.to_json())
    assert found.data["files"] == 3


def test_only_the_end_is_kept_of_what_it_says(tg: Archive) -> None:
    with tg.operations.running("tidy", "attic") as running:
        running.say(*("x" * 1_000 for _ in range(MOST_LOGGED // 500)), "the end")

    log = str(tg.operations.get(running.id).log)
    assert (len(log), log[-7:]) == (MOST_LOGGED, "the end")


def test_operations_are_listed_the_newest_first(tg: Archive) -> None:
    ids = []
    for kind, subject in (("a", "one"), ("b", "two"), ("a", "three")):
        with tg.operations.running(kind, subject) as running:
            ids.append(running.id)
    with pytest.raises(RuntimeError), tg.operations.running("b", "four") as running:
        ids.append(running.id)
        raise RuntimeError

    def subjects(**given: Any) -> list[str]:
        return [each.subject for each in tg.operations.list(**given)]

    assert [each.id for each in tg.operations.list()] == ids[::-1]
    assert subjects(kind="a") == ["three", "one"]
    assert subjects(status="failed") == ["four"]
    assert subjects(kind="b", status="ok", limit=None) == ["two"]
    assert subjects(limit=2, offset=1) == ["three", "two"]
    assert (tg.operations.count(), tg.operations.count(kind="b", status="ok")) == (4, 1)
    with pytest.raises(ValidationError, match="pending, ongoing, failed, ok"):
        tg.operations.list(status="done")
    with pytest.raises(ValidationError), tg.operations.running(" ", "x"):
        pass
    with pytest.raises(ValidationError), tg.operations.running("x", "x") as wrong:
        wrong.progress(what=object())
    assert tg.operations.find("f" * 32) is None
    with pytest.raises(OperationNotFoundError, match="operation list") as caught:
        tg.operations.get("f" * 32)
    assert isinstance(caught.value, NotFoundError)


_DIES = """
import sys
import taskgraph

with taskgraph.open(sys.argv[1]) as tg, tg.operations.running("tidy", "attic") as running:
    running.progress(boxes=3)
    print(running.id, flush=True)
    sys.stdin.readline()
"""


def test_one_whose_process_was_killed_has_failed_at_the_next_look(
    tg: Archive, database_uri: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, database_uri],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        operation = process.stdout.readline().strip()
        assert tg.operations.get(operation).status is Status.ONGOING
        os.kill(process.pid, signal.SIGKILL)

    assert [each.id for each in tg.operations.list(status="failed")] == [operation]
    found = tg.operations.get(operation)
    assert (found.error, found.data["boxes"]) == ("its process ended without a word", 3)
    assert found.ended_at is not None
    assert leases(tg) == []


def test_one_that_was_swept_meanwhile_has_failed_as_well(tg: Archive, database_uri: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, database_uri],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        operation = process.stdout.readline().strip()
        os.kill(process.pid, signal.SIGKILL)
    tg.backend.sweep()  # forgets the leases of the dead

    with taskgraph.open(database_uri) as other:
        assert other.operations.get(operation).status is Status.FAILED


def test_who_was_taken_for_dead_has_the_last_word(tg: Archive) -> None:
    def lose(driver: Any) -> None:
        driver.execute("DELETE FROM lease WHERE key = ?", (f"operation:{running.id}",))

    with tg.operations.running("tidy", "attic") as running:
        tg.backend._transact(lose)
        assert tg.operations.get(running.id).status is Status.FAILED
        running.progress(boxes=4)

    found = tg.operations.get(running.id)
    assert (found.status, found.data["boxes"]) == (Status.OK, 4)


def test_its_lease_is_prolonged_while_it_lasts(tg: Archive) -> None:
    def expires(driver: Any) -> int:
        key = f"operation:{running.id}"
        return int(driver.execute("SELECT expires FROM lease WHERE key = ?", (key,)).fetchone()[0])

    def age(driver: Any) -> None:
        driver.execute("UPDATE lease SET expires = ?", (claims.clock(driver),))

    with tg.operations.running("tidy", "attic") as running:
        begun = tg.backend._ask(expires)
        tg.backend._transact(age)
        store: Any = tg.operations._store
        store.prolong_operation(running.id)
        assert tg.backend._ask(expires) >= begun


def test_a_lease_of_another_machine_counts_until_it_is_over(tg: Archive) -> None:
    store: Any = tg.operations._store
    now = tg.backend.clock()

    def hold(driver: Any, operation: str, expires: int) -> None:
        key = f"operation:{operation}"
        driver.execute("DELETE FROM lease WHERE key = ?", (key,))
        claims.take(driver, [LeaseRecord(key, operation, "elsewhere", 1, 1, expires)])

    for operation, expires in (("aa" * 16, now + 10**12), ("bb" * 16, now - 1)):
        store.begin_operation(operation, "tidy", "attic")
        tg.backend._transact(hold, operation, expires)

    assert tg.operations.get("aa" * 16).status is Status.PENDING
    assert tg.operations.get("bb" * 16).status is Status.FAILED
