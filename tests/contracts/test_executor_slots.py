"""What an executor with a pool makes of the hint ``cpus``: a call takes as many of its workers."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import TaskTimeoutError
from taskgraph.executors.processes import ProcessExecutor
from taskgraph.executors.threads import ThreadExecutor
from taskgraph.ports import Call, Executor, Raised, Resources, Returned
from taskgraph.records import JobId
from tests.contracts.test_executor import Inbox

SIZE = 3


@pytest.fixture(params=["threads", "processes", "limited"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made: Executor = (ThreadExecutor if request.param == "threads" else ProcessExecutor)(
        max_workers=SIZE
    )
    yield made
    made.stop()


@pytest.fixture
def timeout(request: pytest.FixtureRequest) -> float | None:
    """Calls with a time limit run in processes of their own."""
    is_limited = request.node.callspec.params["executor"] == "limited"
    return 60.0 if is_limited else None


@pytest.fixture
def inbox(executor: Executor) -> Inbox:
    inbox = Inbox()
    executor.start(inbox)
    return inbox


def note(path: str, name: str, seconds: float = 0.01) -> None:
    """Write down when a call begins and when it ends."""
    for word in ("begins", "ends"):
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(f"{name} {word}\n")
        if word == "begins":
            time.sleep(seconds)


def wait_for(path: str, other: str) -> None:
    """Go on when a file is there."""
    Path(other).touch()
    while not Path(path).exists():
        time.sleep(0.005)


def call(name: str, cpus: float, timeout: float | None, func: Any, *args: Any) -> Call:
    return Call(JobId(name), f"slots.{name}", func, args, {}, None, timeout, Resources(cpus=cpus))


def notes(path: Path) -> list[tuple[str, str]]:
    return [(line.split()[0], line.split()[1]) for line in path.read_text().splitlines()]


def busiest(path: Path, widths: dict[str, int]) -> int:
    """Return how many workers were taken at once, at most."""
    taken, most = 0, 0
    for name, word in notes(path):
        taken += widths[name] if word == "begins" else -widths[name]
        most = max(most, taken)
    return most


def test_calls_take_as_many_workers_as_they_keep_busy(
    executor: Executor, inbox: Inbox, timeout: float | None, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    chance = random.Random(7)
    cpus = {f"c{n}": chance.choice([0, 0.5, 1, 1, 1.5, 2, 3, 9]) for n in range(40)}
    widths = {name: min(SIZE, max(1, -int(-each // 1))) for name, each in cpus.items()}

    calls = [call(name, each, timeout, note, str(path), name) for name, each in cpus.items()]
    executor.submit(calls[:25])
    executor.submit(calls[25:])
    inbox.wait(40)

    assert inbox.count == 40
    assert all(isinstance(each, Returned) for each in inbox.outcomes.values())
    assert busiest(path, widths) <= SIZE


def test_a_call_that_takes_many_is_not_overtaken(
    executor: Executor, inbox: Inbox, timeout: float | None, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    before = [call(f"b{n}", 1, timeout, note, str(path), f"b{n}") for n in range(12)]
    wide = call("wide", SIZE, timeout, note, str(path), "wide")
    after = [call(f"a{n}", 1, timeout, note, str(path), f"a{n}") for n in range(12)]

    executor.submit([*before, wide, *after])
    inbox.wait(25)

    begun = [name for name, word in notes(path) if word == "begins"]
    assert sorted(begun[:12]) == sorted(each.job_id for each in before)
    assert begun[12] == "wide"
    assert busiest(path, dict.fromkeys(begun, 1) | {"wide": SIZE}) <= SIZE


def test_one_that_waits_for_workers_can_be_cancelled(
    executor: Executor, inbox: Inbox, timeout: float | None, tmp_path: Path
) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    executor.submit([call("first", 1, timeout, wait_for, str(go), str(begun))])
    while not begun.exists():
        time.sleep(0.005)
    executor.submit([call("wide", 9, timeout, note, str(tmp_path / "notes"), "wide")])
    executor.submit([call("next", 1, timeout, wait_for, str(begun), str(go))])

    assert executor.cancel([JobId("wide"), JobId("other")]) == ["wide"]
    executor.submit([call("last", 1, timeout, note, str(tmp_path / "notes"), "last")])
    inbox.wait(3)

    assert sorted(inbox.outcomes) == ["first", "last", "next"]
    assert [name for name, _ in notes(tmp_path / "notes")] == ["last", "last"]


def test_one_that_takes_too_long_gives_all_of_them_back(
    executor: Executor, inbox: Inbox, tmp_path: Path
) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    executor.submit([call("late", SIZE, 0.5, wait_for, str(go), str(begun))])
    executor.submit(
        [call(f"c{n}", 1, 60.0, note, str(tmp_path / "notes"), f"c{n}") for n in range(SIZE)]
    )
    inbox.wait(1 + SIZE)
    go.touch()

    late = inbox.outcomes["late"]
    assert isinstance(late, Raised)
    assert isinstance(late.error, TaskTimeoutError)


def test_threads_that_wait_for_others_end_when_they_are_stopped(tmp_path: Path) -> None:
    executor, inbox = ThreadExecutor(max_workers=SIZE), Inbox()
    executor.start(inbox)
    go, begun = tmp_path / "go", tmp_path / "begun"
    executor.submit([call("first", 1, None, wait_for, str(go), str(begun))])
    while not begun.exists():
        time.sleep(0.005)
    executor.submit([call("wide", SIZE, None, note, str(tmp_path / "notes"), "wide")])
    threads = list(executor._threads)

    executor.stop()
    go.touch()
    for each in threads:
        each.join(60)
    executor.start(inbox)
    executor.submit([call("next", SIZE, None, note, str(tmp_path / "notes"), "next")])
    inbox.wait(2)
    executor.stop()

    assert not any(each.is_alive() for each in threads)
    assert sorted(inbox.outcomes) == ["first", "next"]
