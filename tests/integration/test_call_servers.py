"""Servers of calls in processes of their own: killed, stopped and drained, and so are runs.

Nothing is lost, and nothing is recorded twice.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler
from taskgraph.assembly.databases import open_database
from taskgraph.errors import DatabaseError, WorkerLostError
from taskgraph.executors import cell, queued
from taskgraph.executors.served import Ended, ServedProcesses
from taskgraph.records import TakenCall
from taskgraph.serving import calls, pauses
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from taskgraph_backend.routing.lost_calls import MOST_LOSSES
from taskgraph_backend.routing.served import ServedCalls
from tests.queues import ROOT, server_process, serving, settings_for
from tests.served_tasks import (
    DEADLINE,
    dies,
    is_running,
    kills_its_server,
    lines_of,
    runs_a_script,
    small,
    until,
    waits,
)


@pytest.fixture
def sqlite_uri(tmp_path: Path) -> str:
    """A database for what is the same on each: workers, and not who may have which row."""
    return f"sqlite:///{tmp_path / 'sqlite.db'}"


def waiting_rows(uri: str) -> list[tuple[Any, ...]]:
    """Return of each call that is there whether it was taken, and how many were lost of it."""
    with SqlBackend(uri) as backend:
        driver = backend.database.connect()
        try:
            sql = "SELECT taken_at IS NOT NULL, losses FROM routed_call ORDER BY created_at"
            return [tuple(row) for row in driver.execute(sql).fetchall()]
        finally:
            driver.close()


@contextmanager
def running(uri: str, calls: Any) -> Iterator[list[Any]]:
    """Run calls on a thread while this lasts, and wait for what comes of them."""
    found: list[Any] = []

    def run() -> None:
        with Scheduler(settings_for(uri)) as scheduler:
            try:
                found.append(scheduler.run(calls))
            except Exception as error:
                found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def began(path: Path) -> list[list[str]]:
    return [each for each in lines_of(path) if each[0] == "begins"]


def is_sound(uri: str) -> bool:
    with SqlBackend(uri) as backend:
        return check(backend) == [] and not waiting_rows(uri)


def test_many_small_calls_are_shared_by_two_servers_and_each_runs_once(
    database_uri: str, tmp_path: Path
) -> None:
    path, count = tmp_path / "notes", 500

    with (
        server_process(database_uri, "gpu") as one,
        server_process(database_uri, "gpu", "other") as two,
        Scheduler(settings_for(database_uri)) as scheduler,
    ):
        found = scheduler.run([small(str(path), n) for n in range(count)])

    notes = lines_of(path)
    assert found == [2 * n for n in range(count)]
    assert sorted(int(n) for n, _ in notes) == list(range(count))
    assert {int(parent) for _, parent in notes} == {one.pid, two.pid}
    assert is_sound(database_uri)


def test_what_a_killed_server_ran_is_run_by_another_one(database_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    go = Path(f"{path}.go")

    with (
        running(database_uri, [waits(str(path), n) for n in range(3)]) as found,
        server_process(database_uri, "gpu") as first,
    ):
        until(lambda: len(began(path)) == 2)
        first.send_signal(signal.SIGKILL)
        first.wait()
        with server_process(database_uri, "gpu", slots=3):
            until(lambda: len(began(path)) == 5)
            go.touch()
            until(lambda: found)

    ends = [each[1] for each in lines_of(path) if each[0] == "ends"]
    assert found == [[0, 2, 4]]
    assert sorted(ends) == ["0", "1", "2"]
    assert is_sound(database_uri)


def test_what_a_killed_server_ran_begins_anew_once_its_scripts_have_ended(
    database_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"

    with (
        running(database_uri, runs_a_script(str(path))) as found,
        server_process(database_uri, "gpu") as first,
    ):
        until(lambda: began(path))
        first.send_signal(signal.SIGKILL)
        first.wait()
        with server_process(database_uri, "gpu"):
            until(lambda: len(began(path)) == 2)
            Path(f"{path}.go").touch()
            until(lambda: found)

    assert found == [None]
    assert [each[0] for each in lines_of(path)] == ["begins", "begins"]
    assert is_sound(database_uri)


def test_a_call_of_which_its_process_dies_each_time_fails_after_three(
    sqlite_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"

    with (
        serving(sqlite_uri, "gpu", slots=1) as server,
        Scheduler(settings_for(sqlite_uri)) as scheduler,
    ):
        with pytest.raises(WorkerLostError, match=r"served\.dies .*3 workers of queue 'gpu'"):
            scheduler.run(dies(str(path)))
        assert server.lost == 3
        assert server.is_alive

    assert len(began(path)) == 3
    assert is_sound(sqlite_uri)


def test_a_call_of_which_its_server_dies_each_time_fails_after_three(
    database_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"

    with ExitStack() as servers, running(database_uri, kills_its_server(str(path))) as found:
        servers.enter_context(serving(database_uri, "other"))  # who sees that the others are gone
        killed = [
            servers.enter_context(server_process(database_uri, "gpu", slots=1)) for _ in range(3)
        ]
        until(lambda: found)
        codes = [each.wait(DEADLINE) for each in killed]

    (error,) = found
    assert isinstance(error, WorkerLostError)
    assert "3 workers of queue 'gpu'" in str(error)
    assert codes == [-signal.SIGKILL] * 3
    assert len(began(path)) == 3
    assert is_sound(database_uri)


def test_a_server_that_stood_still_for_too_long_says_nothing_of_what_others_have(
    database_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    go = Path(f"{path}.go")

    with (
        running(database_uri, waits(str(path), 7)) as found,
        server_process(database_uri, "gpu", slots=1, lease_seconds=2.0) as still,
    ):
        until(lambda: len(began(path)) == 1)
        still.send_signal(signal.SIGSTOP)
        with server_process(database_uri, "gpu", slots=1):
            until(lambda: len(began(path)) == 2)
            first, second = (int(each[2]) for each in began(path))
            still.send_signal(signal.SIGCONT)
            until(lambda: not is_running(first))  # the body that nobody waits for is ended
            go.touch()
            until(lambda: found)

    assert found == [14]
    ends = [int(each[2]) for each in lines_of(path) if each[0] == "ends"]
    assert ends == [second]
    assert is_sound(database_uri)


def test_a_server_that_takes_its_own_call_anew_lets_go_of_the_earlier_taking(
    sqlite_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heartbeat has hung for longer than its leases live, and others have seen that."""
    path, beat, hangs, ahead = tmp_path / "notes", ServedCalls.beat, threading.Event(), [0.0]
    since_boot = calls.since_boot

    def hang(self: ServedCalls) -> None:
        if hangs.is_set():
            hangs.clear()
            self.release(self.find_held())
            ahead[0] += 31.0
        beat(self)

    monkeypatch.setattr(ServedCalls, "beat", hang)
    monkeypatch.setattr(calls, "_TEND_EVERY", 3600.0)
    monkeypatch.setattr(calls, "since_boot", lambda: since_boot() + ahead[0])
    with serving(sqlite_uri, "gpu") as server, running(sqlite_uri, waits(str(path), 1)) as found:
        (begin,) = until(lambda: began(path))
        hangs.set()
        ahead[0] += 10.0  # it is time for the next one
        until(lambda: len(began(path)) == 2)
        assert not is_running(int(begin[2]))
        assert server.lost == 0
        Path(f"{path}.go").touch()
        until(lambda: found)

    assert found == [2]
    assert len([each for each in lines_of(path) if each[0] == "ends"]) == 1
    assert is_sound(sqlite_uri)


def test_a_server_that_looks_seldom_says_in_time_that_it_lives(
    sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    wait = ServedProcesses.wait

    def look(processes: ServedProcesses, seconds: float) -> list[Ended]:
        asked.append(seconds)
        return wait(processes, 0.0)

    monkeypatch.setattr(ServedProcesses, "wait", look)
    with serving(sqlite_uri, "gpu", lease_seconds=2.0, poll=3600.0):
        until(lambda: len(asked) > 100)

    assert 0.1 < max(asked) < 1.0


def test_a_server_that_is_drained_ends_what_it_runs_and_takes_no_more(
    sqlite_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"

    with running(sqlite_uri, [waits(str(path), n) for n in range(4)]) as found:
        with server_process(sqlite_uri, "gpu", slots=2) as first:
            until(lambda: len(began(path)) == 2)
            assert first.stdin is not None
            first.stdin.close()
            Path(f"{path}.go").touch()
            assert first.stdout is not None
            assert first.stdout.read() == "drained\n"
            assert first.wait(DEADLINE) == 0
            ended = sorted(each[1] for each in lines_of(path) if each[0] == "ends")
        with serving(sqlite_uri, "gpu"):
            until(lambda: found)

    assert len(ended) == 2
    assert found == [[0, 2, 4, 6]]
    assert len(began(path)) == 4


def test_what_a_server_ran_that_is_stopped_is_run_by_another_one_and_nobody_has_died(
    sqlite_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"

    with running(sqlite_uri, waits(str(path), 1)) as found:
        with serving(sqlite_uri, "gpu"):
            (begin,) = until(lambda: began(path))
        until(lambda: not is_running(int(begin[2])))
        assert waiting_rows(sqlite_uri) == [(False, 0)]
        Path(f"{path}.go").touch()
        with serving(sqlite_uri, "gpu"):
            until(lambda: found)

    assert found == [2]


# What goes wrong with a server


def test_calls_that_no_process_can_begin_with_wait_and_none_is_lost(
    sqlite_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "FIRST", 0.01)
    path, ask, refused = tmp_path / "notes", cell.Cell.ask, list[object]()

    def refuse(own: cell.Cell, run: Any, /, *args: Any) -> Any:
        if len(refused) <= MOST_LOSSES:
            refused.append(run)
            raise BlockingIOError(errno.EAGAIN, "no more processes")
        return ask(own, run, *args)

    monkeypatch.setattr(cell.Cell, "ask", refuse)
    said: list[str] = []
    with (
        serving(sqlite_uri, "gpu", slots=1, tell=said.append) as server,
        Scheduler(settings_for(sqlite_uri)) as scheduler,
    ):
        assert scheduler.run(small(str(path), 1)) == 2
        assert server.lost == 0

    assert len(refused) == len(said) == MOST_LOSSES + 1
    assert "No process for a call can be started here: BlockingIOError" in said[0]
    assert [each.split()[-2] for each in said[:3]] == ["0.01", "0.02", "0.04"]
    assert is_sound(sqlite_uri)


def test_a_server_that_fails_begins_again_and_has_lost_nothing(
    sqlite_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "FIRST", 0.01)
    path, take, fails = tmp_path / "notes", ServedCalls.take, threading.Event()

    def take_or_fail(self: ServedCalls, most: int, **how: Any) -> list[TakenCall]:
        if fails.is_set():
            fails.clear()
            raise LookupError("this was not foreseen")
        return take(self, most, **how)

    monkeypatch.setattr(ServedCalls, "take", take_or_fail)
    said: list[str] = []
    with (
        serving(sqlite_uri, "gpu", slots=2, tell=said.append) as server,
        running(sqlite_uri, waits(str(path), 1)) as found,
    ):
        until(lambda: began(path))
        fails.set()
        until(lambda: len(began(path)) == 2)
        assert (server.failed, server.lost, server.is_alive) == (1, 0, True)
        assert waiting_rows(sqlite_uri) == [(True, 0)]
        Path(f"{path}.go").touch()
        until(lambda: found)

    assert found == [2]
    (sentence,) = said
    assert "LookupError: this was not foreseen" in sentence
    first, second = (int(each[2]) for each in began(path))
    assert not is_running(first)
    assert [int(each[2]) for each in lines_of(path) if each[0] == "ends"] == [second]


def test_a_server_that_cannot_say_what_came_of_a_call_has_lost_it(
    sqlite_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "FIRST", 0.01)

    def fail(self: ServedCalls, answers: object) -> None:
        raise LookupError("this was not foreseen")

    monkeypatch.setattr(ServedCalls, "answer", fail)
    with (
        serving(sqlite_uri, "gpu", slots=1) as server,
        Scheduler(settings_for(sqlite_uri)) as scheduler,
    ):
        with pytest.raises(WorkerLostError, match="3 workers of queue 'gpu'"):
            scheduler.run(small(str(tmp_path / "notes"), 1))
        assert server.failed == MOST_LOSSES
        assert server.drain(DEADLINE)


def test_what_a_server_took_without_hearing_of_it_goes_back_when_it_ends(
    sqlite_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, take, said = tmp_path / "notes", ServedCalls.take, list[str]()

    def take_and_fail(self: ServedCalls, most: int, **how: Any) -> list[TakenCall]:
        take(self, most, **how)
        raise DatabaseError(sqlite_uri, "the line broke.")

    Path(f"{path}.go").touch()
    open_database(settings_for(sqlite_uri)).close()
    with running(sqlite_uri, waits(str(path), 1)) as found:
        until(lambda: waiting_rows(sqlite_uri))
        with monkeypatch.context() as patched:
            patched.setattr(ServedCalls, "take", take_and_fail)
            with serving(sqlite_uri, "gpu", tell=said.append) as server:
                until(lambda: said)
                assert server.drain(DEADLINE)
        assert waiting_rows(sqlite_uri) == [(False, 0)]
        with serving(sqlite_uri, "gpu"):
            until(lambda: found)

    assert found == [2]


def test_a_run_sees_that_the_only_server_is_gone_which_had_its_call(
    database_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued, "_LOOK_EVERY", 0.1)
    path = tmp_path / "notes"

    with running(database_uri, waits(str(path), 1)) as found:
        with server_process(database_uri, "gpu", slots=1) as only:
            until(lambda: began(path))
            only.send_signal(signal.SIGKILL)
            only.wait()
        until(lambda: waiting_rows(database_uri) == [(False, 1)])
        Path(f"{path}.go").touch()
        with serving(database_uri, "gpu"):
            until(lambda: found)

    assert found == [2]
    assert is_sound(database_uri)


def test_a_server_that_is_drained_ends_although_the_database_is_away(
    sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: ServedCalls) -> None:
        raise DatabaseError(sqlite_uri, "it is away.")

    said: list[str] = []
    with serving(sqlite_uri, "gpu", tell=said.append, lease_seconds=0.0) as server:
        monkeypatch.setattr(ServedCalls, "beat", fail)
        until(lambda: said)

        assert not server.is_idle
        assert server.drain(DEADLINE)


# Runs that end before their calls do

RUN = """
import signal, sys
from taskgraph import Scheduler
from tests.served_tasks import waits
from tests.queues import settings_for
signal.signal(signal.SIGINT, signal.default_int_handler)
uri, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Scheduler(settings_for(uri)) as scheduler:
    try:
        scheduler.run([waits(path, n) for n in range(count)])
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


@contextmanager
def run_process(uri: str, path: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, uri, str(path), str(count)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_of_a_run_that_was_killed_no_calls_are_left(database_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "notes"

    with serving(database_uri, "gpu") as server, run_process(database_uri, path, 5) as run:
        until(lambda: len(began(path)) == 2)
        run.send_signal(signal.SIGKILL)
        run.wait()
        pids = [int(each[2]) for each in began(path)]
        until(lambda: not any(map(is_running, pids)))
        until(lambda: not waiting_rows(database_uri))

        assert server.is_alive
        assert server.lost == 0
    assert len(began(path)) == 2


def test_calls_of_a_run_that_was_killed_go_also_where_nobody_serves_them(
    database_uri: str, tmp_path: Path
) -> None:
    with SqlBackend(database_uri) as backend:
        driver = backend.database.connect()
        with run_process(database_uri, tmp_path / "notes", 5) as run:
            sql = "SELECT count(*) FROM routed_call"
            until(lambda: driver.execute(sql).fetchone()[0] == 5)
            run.send_signal(signal.SIGKILL)
            run.wait()
        driver.close()

    assert waiting_rows(database_uri) == []  # who opens a database sees what is dead


def test_at_a_ctrl_c_what_waits_is_withdrawn_and_what_runs_is_recorded(
    database_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"

    with serving(database_uri, "gpu"), run_process(database_uri, path, 5) as run:
        until(lambda: len(began(path)) == 2)
        run.send_signal(signal.SIGINT)
        until(lambda: len(waiting_rows(database_uri)) == 2)
        Path(f"{path}.go").touch()
        said, _ = run.communicate(timeout=DEADLINE)

    assert said == "stopped\n"
    assert len(began(path)) == 2
    assert is_sound(database_uri)
    with Scheduler(settings_for(database_uri)) as scheduler:
        done = sorted(int(each[1]) for each in began(path))
        calls = [waits(str(path), n) for n in done]
        assert scheduler.run(calls) == [2 * n for n in done]  # from the records


def test_at_the_second_ctrl_c_what_runs_is_ended(sqlite_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "notes"

    with serving(sqlite_uri, "gpu") as server, run_process(sqlite_uri, path, 3) as run:
        until(lambda: len(began(path)) == 2)
        run.send_signal(signal.SIGINT)
        until(lambda: len(waiting_rows(sqlite_uri)) == 2)
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=DEADLINE)
        pids = [int(each[2]) for each in began(path)]
        until(lambda: not any(map(is_running, pids)))

        assert said == "stopped\n"
        assert server.lost == 0
        assert server.answered == 0
    assert is_sound(sqlite_uri)
