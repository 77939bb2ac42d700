"""Several deliver at once, and any of them may be killed: nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph.archive import Archive
from taskgraph.catalog.targets import Webhook
from tests.forked import start_python
from tests.hooks import SECRET, Receiver
from tests.integration.test_notifications import ended, make_due

_PROGRAM = """
import sys
import taskgraph
with taskgraph.open(sys.argv[1]) as tg:
    print("ready", flush=True)
    sys.stdin.readline()
    print(len(tg.policies.deliver().attempts), flush=True)
"""


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOOK", SECRET)


def _start(uri: str, folder: Path) -> subprocess.Popen[str]:
    """Start one who delivers, once it is told to."""
    process = start_python(
        ["-c", _PROGRAM, uri],
        folder,
        {**os.environ, "TASKGRAPH_CONFIG": str(folder / ".taskgraph")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.close()


def _end(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    process.wait()
    return said.strip()


def test_several_deliverers_send_each_notification_once(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        tg.policies.create("p", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        made = {ended(tg) for _ in range(24)}
        processes = [_start(database_uri, tmp_path) for _ in range(3)]
        for each in processes:
            _go(each)
        counts = [int(_end(each)) for each in processes]

    assert sum(counts) == 24
    assert receiver.wrong == []
    assert set(Counter(receiver.seen).values()) == {1}
    assert {each["data"]["execution"]["id"] for each in receiver.accepted} == made
    assert tg.policies.count_notifications(status="delivered") == 24


def test_one_that_is_killed_between_sending_and_saying_so_has_it_sent_again(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    victims: list[Any] = []

    def kill(id: str) -> None:
        if victims:
            os.kill(victims.pop().pid, signal.SIGKILL)

    with Receiver(arrived=kill) as receiver:
        tg.policies.create("p", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        ended(tg)
        process = _start(database_uri, tmp_path)
        victims.append(process)
        _go(process)
        assert _end(process) == ""
        (claimed,) = tg.policies.notifications()
        assert (claimed.status, claimed.attempts) == ("waiting", 1)
        assert tg.policies.deliver().attempts == ()  # it is claimed for a while

        make_due(tg)
        assert tg.policies.deliver().count("delivered") == 1

    assert receiver.seen == [claimed.id, claimed.id]
    assert tg.policies.count_notifications(status="delivered") == 1


def test_none_is_lost_however_often_who_delivers_is_killed(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    victims: list[Any] = []

    def kill(id: str) -> None:
        # At the third that each of them sends: before, and after some, were said to have arrived.
        if victims and len(receiver.seen) % 3 == 2:
            os.kill(victims.pop().pid, signal.SIGKILL)

    with Receiver(arrived=kill) as receiver:
        tg.policies.create("p", states=["FAILED"], target=Webhook(receiver.url, "env:HOOK"))
        for _ in range(12):
            ended(tg)
        kills = 0
        while tg.policies.deliver(go_on=lambda: False).waiting:
            process = _start(database_uri, tmp_path)
            victims[:] = [process]
            _go(process)
            kills += _end(process) == ""
            make_due(tg)

    assert kills >= 3
    ids = {each.id for each in tg.policies.notifications(status="delivered")}
    assert len(ids) == 12
    assert set(receiver.seen) == ids
    assert len(receiver.seen) <= 12 + kills


def test_who_opens_it_meanwhile_sees_each_state(database_uri: str) -> None:
    with taskgraph.open(database_uri, migrate=True) as tg, Receiver() as receiver:
        tg.policies.create("p", target=Webhook(receiver.url, "env:HOOK"))
        ended(tg)
        with taskgraph.open(database_uri) as other:
            assert other.policies.deliver().count("delivered") == 3
        assert tg.policies.deliver().attempts == ()
