"""Processes that run calls of others: what begins in them, and what ends with them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import TaskTimeoutError
from taskgraph.executors import cell
from taskgraph.executors.border import decode_outcomes, encode_call_to_anywhere
from taskgraph.executors.parcels import Parcel
from taskgraph.executors.served import Ended, ServedProcesses
from taskgraph.executors.there import surroundings
from taskgraph.ports import Call, Outcome, Raised, Returned
from taskgraph.records import JobId
from tests.queues import ROOT
from tests.served_tasks import (
    DEADLINE,
    ends_a_fork,
    holds_the_interpreter,
    is_running,
    lines_of,
    runs_a_script,
    sees_itself,
    small,
    starts_a_program,
    until,
)


@pytest.fixture
def processes() -> Iterator[ServedProcesses]:
    made = ServedProcesses(2)
    yield made
    made.close()


def a_call(called: Any, *args: object, timeout: float | None = None) -> Call:
    return Call(JobId("0" * 32), called.fullname, called.func, args, {}, timeout=timeout)


def parcel(called: Any, *args: object, timeout: float | None = None) -> bytes:
    message = encode_call_to_anywhere(a_call(called, *args, timeout=timeout))
    return Parcel(surroundings(), 1, message, timeout).encode()


def ended(processes: ServedProcesses) -> Ended:
    """Wait until a call has ended."""
    end = time.monotonic() + DEADLINE
    while not (found := processes.wait(0.1)):
        assert time.monotonic() < end
    (one,) = found
    return one


def outcome(one: Ended, called: Any) -> Outcome:
    """Return what came of a call."""
    assert one.answer is not None
    (found,) = decode_outcomes(one.answer, [a_call(called)])
    return found


def begun(processes: ServedProcesses, path: Path) -> tuple[int, int]:
    """Wait until a program was started; returns that, and the process that has done it."""

    def look() -> list[list[str]]:
        assert processes.wait(0.02) == []
        return lines_of(path)

    ((_, program, own),) = until(look)
    assert is_running(int(program))
    return int(program), int(own)


# What ends with a process


def test_what_a_call_has_started_ends_when_nobody_wants_it(
    processes: ServedProcesses, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    processes.submit("a", parcel(starts_a_program, str(path)))
    program, own = begun(processes, path)

    processes.drop(["a"])
    until(lambda: not is_running(program) and not is_running(own))

    def is_let_go() -> bool:
        assert processes.wait(0.02) == []
        return not processes.running

    until(is_let_go)


def test_what_a_call_has_started_ends_with_its_process(
    processes: ServedProcesses, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    processes.submit("a", parcel(starts_a_program, str(path)))
    program, own = begun(processes, path)

    os.kill(own, signal.SIGKILL)

    assert ended(processes) == Ended("a", None)
    until(lambda: not is_running(program))


def test_what_a_call_has_started_ends_when_its_time_is_over_and_so_does_its_process(
    processes: ServedProcesses, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    processes.submit("a", parcel(starts_a_program, str(path), timeout=1.5))
    program, own = begun(processes, path)

    found = outcome(ended(processes), starts_a_program)

    assert isinstance(found, Raised)
    assert isinstance(found.error, TaskTimeoutError)
    assert not found.error.is_abandoned
    until(lambda: not is_running(program) and not is_running(own))


def test_a_call_whose_process_cannot_say_that_its_time_is_over_is_ended_from_outside(
    processes: ServedProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell, "GRACE", 0.5)
    path = tmp_path / "notes"
    kept = parcel(holds_the_interpreter, str(path), timeout=0.5)
    processes.submit("a", kept, "served.holds_the_interpreter")

    found = outcome(ended(processes), holds_the_interpreter)

    assert isinstance(found, Raised)
    assert isinstance(found.error, TaskTimeoutError)
    assert (found.error.task, found.error.seconds) == ("served.holds_the_interpreter", 0.5)
    for each in lines_of(path):
        until(lambda each=each: not is_running(int(each[1])))  # type: ignore[misc]


# What is taken once more


def test_a_call_that_is_taken_anew_begins_once_nothing_is_left_of_the_earlier_taking(
    processes: ServedProcesses, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    kept = parcel(runs_a_script, str(path))
    processes.submit("a", kept)
    _, first = begun(processes, path)

    processes.submit("a", kept)

    def have_begun() -> bool:
        assert processes.wait(0.02) == []  # of the earlier one nothing is said
        return len(lines_of(path)) == 2

    until(have_begun)
    assert [each[0] for each in lines_of(path)] == ["begins", "begins"]
    assert not is_running(first)
    assert processes.running == {"a"}


def test_of_a_call_that_is_taken_anew_it_is_not_said_that_none_began_with_it(
    processes: ServedProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(own: object, run: object, /, *args: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    kept = parcel(small, str(tmp_path / "notes"), 1)
    with monkeypatch.context() as patched:
        patched.setattr(cell.Cell, "ask", refuse)
        processes.submit("a", kept)
    assert processes.unbegun == ["a"]
    processes.submit("a", kept)

    assert isinstance(outcome(ended(processes), small), Returned)


PROGRAM = """
import sys
from taskgraph.executors.served import ServedProcesses
from tests.served_tasks import starts_a_program
from tests.unit.taskgraph.executors.test_served import parcel
if __name__ == "__main__":
    processes = ServedProcesses(1)
    processes.submit("a", parcel(starts_a_program, sys.argv[1]))
    while True:
        processes.wait(1.0)
"""


def test_what_a_call_has_started_ends_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"},
    )
    with server:
        try:
            ((_, program, own),) = until(lambda: lines_of(path))
        finally:
            server.kill()

    until(lambda: not is_running(int(own)) and not is_running(int(program)))


# What is said to all processes of a service


def test_a_process_that_is_about_to_begin_goes_on_at_the_end_of_a_service(
    processes: ServedProcesses,
) -> None:
    processes.submit("a", parcel(sees_itself))
    (busy,) = processes._busy.values()
    (process,) = busy.pool._processes.values()
    os.kill(process.pid, signal.SIGTERM)

    found = outcome(ended(processes), sees_itself)

    assert isinstance(found, Returned)
    assert found.value == ([], True)


# What is not begun


def test_what_a_call_has_forked_ends_as_it_would_have_elsewhere(
    processes: ServedProcesses,
) -> None:
    processes.submit("a", parcel(ends_a_fork))

    found = outcome(ended(processes), ends_a_fork)
    assert isinstance(found, Returned)
    assert found.value == -signal.SIGTERM


def test_a_call_for_which_there_is_no_process_was_not_begun(
    processes: ServedProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes"

    def refuse(own: object, run: object, /, *args: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    with monkeypatch.context() as patched:
        patched.setattr(cell.Cell, "ask", refuse)
        for name in ("a", "b", "c"):
            processes.submit(name, parcel(small, str(path), 1))
        found = processes.wait(DEADLINE)
    assert [(each.id, each.answer, type(each.unbegun)) for each in found] == [
        (name, None, BlockingIOError) for name in ("a", "b", "c")
    ]
    assert processes.room == 2
    assert processes.started == 0

    processes.submit("a", parcel(small, str(path), 1))
    assert isinstance(outcome(ended(processes), small), Returned)
    assert processes.started == 1


def test_a_call_whose_process_does_not_come_up_was_not_begun(
    processes: ServedProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource_tracker.ensure_running()
    monkeypatch.setattr("multiprocessing.spawn._python_exe", os.fsencode(tmp_path / "python"))

    processes.submit("a", parcel(small, str(tmp_path / "notes"), 1))
    found = ended(processes)

    assert (found.id, found.answer) == ("a", None)
    assert isinstance(found.unbegun, BrokenProcessPool | OSError)
    assert processes.running == set()


def test_what_ends_a_program_where_a_call_is_read_fails_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leave(around: bytes, messages: list[bytes]) -> bytes:
        raise SystemExit("left")

    monkeypatch.setattr(cell, "run_there", leave)
    monkeypatch.setattr(cell, "_code", frozenset())
    answer, is_left = cell._run(b"", b"")

    found = outcome(Ended("a", answer), small)
    assert isinstance(found, Raised)
    assert isinstance(found.error, SystemExit)
    assert not is_left
