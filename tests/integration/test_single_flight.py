"""Equal calls that several processes ask for at once: one runs, whoever is killed or stopped.

Bodies write a line when they begin, and go on when a file is there: nothing here rests on time, but
that leases of other hosts run out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph.records import ALL_CALLS, LeaseRecord, Micros
from taskgraph_backend import SqlBackend
from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity import check
from tests.forked import start_python

ROOT = Path(__file__).parents[2]
TORTURE = bool(os.environ.get("TASKGRAPH_TORTURE"))
CROWDS = [2, 8, 32] if TORTURE else [2, 8]
PATIENCE = 60  # seconds

PROGRAM = """
import asyncio, os, sys, time
from pathlib import Path
import taskgraph
from taskgraph import Scheduler, cached, fork_thread, join_thread, subrun, task
from taskgraph.config import BackendSettings, SchedulerSettings, Settings, ExecutorSettings
from taskgraph.engine import leasing

uri, role, wanted, seconds, flights = sys.argv[1:]
leasing.SECONDS = float(seconds)

def note(name):
    with open("ran.txt", "a") as ran:
        ran.write(f"{name} {os.getpid()} {role}\\n")

def wait_for(name):
    end = time.monotonic() + 60
    while not os.path.exists(name):
        assert time.monotonic() < end, f"nobody made {name}"
        time.sleep(0.005)

@task(namespace="flight", version="1")
def slow(name: str, after: object = None) -> str:
    note(name)
    wait_for(f"go {name}")
    if os.path.exists(f"fail {name} {os.getpid()}"):
        raise ValueError(f"{name} failed")
    return name.upper()

@task(namespace="flight", version="1", limits=["desk"])
def limited(name: str) -> str:
    note(name)
    wait_for(f"go {name}")
    return name.upper()

@task(namespace="flight", version="1")
def quick(number: int) -> int:
    return number + 1

@task(namespace="flight", version="1")
async def asking(name: str) -> str:
    note(name)
    return await slow("asked") + name

@task(namespace="flight", version="1")
async def ping(depth: int) -> str:
    note("ping")
    while not os.path.exists("go circle"):
        await asyncio.sleep(0.005)
    return await pong(depth)

@task(namespace="flight", version="1")
async def pong(depth: int) -> str:
    note("pong")
    while not os.path.exists("go circle"):
        await asyncio.sleep(0.005)
    return await ping(depth)

@task(namespace="flight", version="1")
def nesting(name: str) -> str:
    note("nesting")
    with Scheduler(settings) as inner:
        return inner.run(slow(name))

@cached
def kept(name):
    note(name)
    wait_for(f"go {name}")
    return name.upper()

settings = Settings(
    config_dir=Path(".taskgraph").absolute(),
    backend=BackendSettings(db_uri=uri),
    scheduler=SchedulerSettings(single_flight=flights == "on"),
)

class Teller:
    def notify(self, event):
        if type(event).__name__ in {"JobWaits", "Warned"}:
            print(getattr(event, "text", None) or event.message, flush=True)

def run(expr, **how):
    with Scheduler(settings, observers=[Teller()]) as scheduler:
        try:
            print("result", scheduler.run(expr, **how), flush=True)
        except Exception as error:
            print("error", type(error).__name__, error, flush=True)

if __name__ == "__main__":
    match wanted.split():
        case ["slow", *names]:
            run([slow(each) for each in names])
        case ["inline", name]:
            run([slow.options(executor="inline")(name)])
        case ["limited", *names]:
            run([limited(each) for each in names])
        case ["chain", first, second]:
            run(slow(second, after=slow(first)))
        case ["uncached", name]:
            run(slow(name), cache=False)
        case ["asking", name]:
            run(asking(name))
        case ["circle", name]:
            run({"ping": ping, "pong": pong}[name](1))
        case ["fork", name]:
            @task(namespace="flight", version="1")
            def main(name: str):
                return slow(name)
            run(join_thread(fork_thread(slow(name))))
        case ["nested", name]:
            # The second one is led, and queued behind the first one, which wants it.
            settings.executors["threads"] = ExecutorSettings(type="threads", max_workers=1)
            run([nesting(name), slow(name)])
        case ["subrun", name]:
            run([subrun(slow(name)), slow(name)])
        case ["many", first, count]:
            run(sum([quick(int(first) + each) for each in range(int(count))], 0))
        case ["cached", name]:
            from taskgraph.plug.execution import current_execution
            current_execution().observers.append(Teller().notify)
            print("result", kept(name), flush=True)
        case ["cached-async", name]:
            @cached
            async def kept_async(name):
                note(name)
                while not os.path.exists(f"go {name}"):
                    await asyncio.sleep(0.005)
                return name.upper()
            from taskgraph.plug.execution import current_execution
            current_execution().observers.append(Teller().notify)
            print("result", asyncio.run(kept_async(name)), flush=True)
"""

Process = subprocess.Popen[str]


class Crowd:
    """Processes that share a database, each of which wants something."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri = uri
        self.folder = folder
        self.running: list[Process] = []
        (folder / "script.py").write_text(PROGRAM)
        config = folder / ".taskgraph"
        config.mkdir()
        (config / "config.toml").write_text(f'[backend]\ndb_uri = "{uri}"\n')

    def start(
        self, wanted: str, role: str = "one", seconds: float = 30, flights: str = "on"
    ) -> Process:
        """Start a process."""
        words = [self.uri, role, wanted, str(seconds), flights]
        errors = (self.folder / f"errors {len(self.running)}").open("w")
        started = start_python(
            ["script.py", *words],
            self.folder,
            {"PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}", "HOME": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        errors.close()
        self.running.append(started)
        return started

    def say(self, name: str) -> None:
        """Let bodies go on that wait for this."""
        (self.folder / name).touch()

    def ran(self, name: str) -> list[int]:
        """Return the processes that ran a body, in order."""
        path = self.folder / "ran.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == name]

    def errors(self) -> str:
        """Return what all have written to stderr."""
        return "".join(each.read_text() for each in sorted(self.folder.glob("errors *")))

    def until(self, is_so: Callable[[], object], what: str) -> None:
        """Wait for a condition."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, f"{what}, not after {PATIENCE} s: {self.errors()}"
            time.sleep(0.01)

    def begun(self, name: str, times: int = 1) -> int:
        """Wait until a body was begun so many times; return the last process that did."""
        self.until(lambda: len(self.ran(name)) >= times, f"{name} begins")
        return self.ran(name)[times - 1]

    def written(self) -> None:
        """Wait until it is recorded that a job runs: who runs it has nothing to write then."""
        with SqlBackend(self.uri) as backend:
            driver = backend._connection()
            self.until(
                lambda: driver.execute("SELECT count(*) FROM job").fetchone()[0], "a job is written"
            )

    def close(self) -> None:
        """Kill what is left."""
        for each in self.running:
            if each.poll() is None:
                each.kill()
            each.communicate()


@pytest.fixture
def crowd(database_uri: str, tmp_path: Path) -> Iterator[Crowd]:
    """Nobody yet."""
    with SqlBackend(database_uri, {"automigrate": True}):
        made = Crowd(database_uri, tmp_path)
    yield made
    made.close()


def told(process: Process) -> str:
    """Return the next line that a process says."""
    assert process.stdout is not None
    return process.stdout.readline()


def results(processes: list[Process]) -> list[str]:
    """Return the last lines of processes that end."""
    return [each.communicate(timeout=PATIENCE)[0].splitlines()[-1] for each in processes]


def assert_sound(crowd: Crowd) -> None:
    """Check that nothing is damaged, and nothing held by anybody."""
    driver = SqlBackend(crowd.uri).database.connect()
    try:
        left = [row for row in _leases(driver) if not row[0].startswith("execution:")]
    finally:
        driver.close()
    assert left == []
    # Of those that were killed somebody clears the rest away.
    with SqlBackend(crowd.uri) as backend:
        assert check(backend) == []
        assert _leases(backend._connection()) == []


def _leases(driver: Driver) -> list[tuple[Any, ...]]:
    """Return all leases, but not what connections note of their last transactions."""
    rows = driver.execute("SELECT key, holder, pid FROM lease ORDER BY key").fetchall()
    return [row for row in rows if not row[0].startswith("last of ")]


# One runs


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", CROWDS)
def test_of_many_processes_one_runs_a_call(crowd: Crowd, count: int) -> None:
    everybody = [crowd.start("slow a", str(number)) for number in range(count)]
    leader = crowd.begun("a")
    waiting = [each for each in everybody if each.pid != leader]
    said = {told(each) for each in waiting}
    crowd.say("go a")

    assert set(results(everybody)) == {"result ['A']"}
    assert crowd.ran("a") == [leader]
    assert len(said) == 1
    (sentence,) = said
    assert sentence.startswith("waits for call flight.slow(...) that runs in execution ")
    assert sentence.endswith(f", pid {leader}\n")
    assert crowd.errors() == ""
    assert_sound(crowd)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", CROWDS)
def test_a_leader_that_is_killed_is_followed_by_one(crowd: Crowd, count: int) -> None:
    everybody = [crowd.start("slow a", str(number)) for number in range(count)]
    leader = crowd.begun("a")
    for each in everybody:
        if each.pid != leader:
            told(each)
    os.kill(leader, signal.SIGKILL)
    second = crowd.begun("a", 2)
    crowd.say("go a")

    others = [each for each in everybody if each.pid != leader]
    assert set(results(others)) == {"result ['A']"}
    assert crowd.ran("a") == [leader, second]
    with SqlBackend(crowd.uri) as backend, backend.reader() as reader:
        states = sorted(each.execution.state_type for each in reader.executions())
        assert states == ["COMPLETED"] * (count - 1) + ["CRASHED"]
    assert_sound(crowd)


def test_who_is_alone_writes_down_no_lease_for_a_call(crowd: Crowd) -> None:
    one = crowd.start("slow a")
    crowd.begun("a")
    with SqlBackend(crowd.uri) as backend:
        rows = _leases(backend._connection())
    crowd.say("go a")

    assert results([one]) == ["result ['A']"]
    assert [key.partition(":")[0] for key, *_ in rows] == [ALL_CALLS, "execution"]


def test_an_error_of_who_ran_a_call_is_not_taken_over(crowd: Crowd) -> None:
    both = [crowd.start("slow a", "one"), crowd.start("slow a", "two")]
    leader = crowd.begun("a")
    (other,) = [each for each in both if each.pid != leader]
    told(other)
    crowd.say(f"fail a {leader}")
    crowd.say("go a")

    ends = dict(zip([each.pid for each in both], results(both), strict=True))
    assert ends[leader] == "error ValueError a failed"
    assert ends[other.pid] == "result ['A']"
    assert crowd.ran("a") == [leader, other.pid]
    assert_sound(crowd)


def test_a_body_on_the_schedulers_own_thread_is_waited_for(crowd: Crowd) -> None:
    first = crowd.start("inline a")
    leader = crowd.begun("a")
    second = crowd.start("slow a")
    told(second)
    crowd.say("go a")

    assert results([first, second]) == ["result ['A']"] * 2
    assert crowd.ran("a") == [leader]
    assert_sound(crowd)


def test_who_waits_can_be_interrupted(crowd: Crowd) -> None:
    first = crowd.start("slow a")
    crowd.begun("a")
    second = crowd.start("slow a")
    told(second)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=PATIENCE)
    crowd.say("go a")

    assert results([first]) == ["result ['A']"]
    assert second.returncode != 0
    with SqlBackend(crowd.uri) as backend, backend.reader() as reader:
        states = sorted(each.execution.state_type for each in reader.executions())
        assert states == ["CANCELLED", "COMPLETED"]
    assert_sound(crowd)


def test_calls_that_ended_before_anybody_asked_are_found(crowd: Crowd) -> None:
    crowd.say("go a")
    first = crowd.start("slow a b")
    leader = crowd.begun("b")
    second = crowd.start("slow a b")
    told(second)
    crowd.say("go b")

    assert results([first, second]) == ["result ['A', 'B']"] * 2
    assert crowd.ran("a") == crowd.ran("b") == [leader]
    assert_sound(crowd)


# Who is away


def test_a_holder_on_another_host_is_followed_when_its_lease_ends(crowd: Crowd) -> None:
    with SqlBackend(crowd.uri) as backend:
        ends = Micros(backend.clock() + 2_000_000)
        backend.take([LeaseRecord(ALL_CALLS, "e" * 32, "elsewhere", 1, Micros(1), ends)])
    one = crowd.start("slow a")
    crowd.begun("a")
    with SqlBackend(crowd.uri) as backend:
        began = backend.clock()
    crowd.say("go a")

    assert results([one]) == ["result ['A']"]
    assert began >= ends
    with SqlBackend(crowd.uri) as backend:
        assert check(backend) == []


def test_a_holder_that_stood_still_finds_out_and_does_no_harm(crowd: Crowd) -> None:
    first = crowd.start("slow a", "first", seconds=1)
    crowd.begun("a")
    second = crowd.start("slow a", "second", seconds=1)
    assert told(second).startswith("waits for call")
    first.send_signal(signal.SIGSTOP)
    crowd.begun("a", 2)
    first.send_signal(signal.SIGCONT)
    warned = told(first)
    crowd.say("go a")

    assert results([first, second]) == ["result ['A']"] * 2
    assert crowd.ran("a") == [first.pid, second.pid]
    assert "stood still" in warned and "flight.slow" in warned and f"pid {second.pid}" in warned
    assert_sound(crowd)


def test_one_who_was_alone_and_stood_still_finds_out(crowd: Crowd) -> None:
    first = crowd.start("slow a", "first", seconds=1)
    crowd.begun("a")
    crowd.written()
    first.send_signal(signal.SIGSTOP)
    second = crowd.start("slow a", "second", seconds=1)
    crowd.begun("a", 2)
    first.send_signal(signal.SIGCONT)
    warned = told(first)
    crowd.say("go a")

    assert results([first, second]) == ["result ['A']"] * 2
    assert "stood still" in warned and f"pid {second.pid}" in warned
    assert_sound(crowd)


# Nobody waits for ever


def test_crossed_calls_of_two_processes_run_once_each(crowd: Crowd) -> None:
    both = [crowd.start("chain a b"), crowd.start("slow b a")]
    crowd.begun("a")
    crowd.say("go a")
    crowd.say("go b")

    assert sorted(results(both)) == ["result B", "result ['B', 'A']"]
    assert len(crowd.ran("a")) == 1
    assert_sound(crowd)


def test_who_waits_holds_no_limit(crowd: Crowd) -> None:
    first = crowd.start("limited a")
    crowd.begun("a")
    second = crowd.start("limited a b")
    assert told(second).startswith("waits for call")
    with SqlBackend(crowd.uri) as backend:
        rows = _leases(backend._connection())
    crowd.say("go a")
    crowd.begun("b")
    crowd.say("go b")

    assert results([first, second]) == ["result ['A']", "result ['A', 'B']"]
    assert [pid for key, _, pid in rows if key.startswith("limit")] == [first.pid]
    assert (crowd.ran("a"), crowd.ran("b")) == ([first.pid], [second.pid])
    assert_sound(crowd)


def test_a_body_that_awaits_a_call_of_another_process_runs_once(crowd: Crowd) -> None:
    other = crowd.start("slow asked")
    crowd.begun("asked")
    both = [crowd.start("asking x"), crowd.start("asking x")]
    for each in both:
        assert told(each).startswith("waits for call")
    crowd.say("go asked")

    assert results([other, *both]) == ["result ['ASKED']", *["result ASKEDx"] * 2]
    assert (len(crowd.ran("asked")), len(crowd.ran("x"))) == (1, 1)
    assert_sound(crowd)


def test_bodies_that_await_each_other_in_two_processes_are_told_so(crowd: Crowd) -> None:
    both = [crowd.start("circle ping"), crowd.start("circle pong")]
    crowd.begun("ping")
    crowd.begun("pong")
    crowd.say("go circle")

    assert all(each.startswith("error CircularCallError") for each in results(both))
    assert_sound(crowd)


def test_what_is_forked_in_two_processes_runs_once(crowd: Crowd) -> None:
    both = [crowd.start("fork a"), crowd.start("fork a")]
    crowd.begun("a")
    for each in both:
        if each.pid != crowd.ran("a")[0]:
            told(each)
    crowd.say("go a")

    assert results(both) == ["result A"] * 2
    assert len(crowd.ran("a")) == 1
    assert_sound(crowd)


@pytest.mark.parametrize("wanted", ["nested", "subrun"])
def test_a_run_within_a_run_does_not_wait_for_it(crowd: Crowd, wanted: str) -> None:
    one = crowd.start(f"{wanted} a")
    crowd.begun("a")
    crowd.say("go a")

    assert results([one]) == ["result ['A', 'A']"]
    assert_sound(crowd)


# Functions that are called as they are


@pytest.mark.parametrize("wanted", ["cached", "cached-async"])
def test_cached_functions_wait_for_other_processes(crowd: Crowd, wanted: str) -> None:
    both = [crowd.start(f"{wanted} a"), crowd.start(f"{wanted} a")]
    leader = crowd.begun("a")
    (other,) = [each for each in both if each.pid != leader]
    assert told(other).endswith(f"pid {leader}\n")
    crowd.say("go a")

    assert results(both) == ["result A"] * 2
    assert crowd.ran("a") == [leader]
    assert_sound(crowd)


def test_a_cached_function_is_run_by_another_process_if_its_own_is_killed(crowd: Crowd) -> None:
    both = [crowd.start("cached a"), crowd.start("cached a")]
    leader = crowd.begun("a")
    (other,) = [each for each in both if each.pid != leader]
    told(other)
    os.kill(leader, signal.SIGKILL)
    crowd.begun("a", 2)
    crowd.say("go a")

    assert results([other]) == ["result A"]
    assert_sound(crowd)


# Who does not take part


def test_a_run_without_the_cache_waits_for_nobody(crowd: Crowd) -> None:
    first = crowd.start("slow a")
    crowd.begun("a")
    second = crowd.start("uncached a")
    crowd.begun("a", 2)
    crowd.say("go a")

    assert results([first, second]) == ["result ['A']", "result A"]
    assert_sound(crowd)


def test_the_setting_switches_it_off(crowd: Crowd) -> None:
    both = [crowd.start("slow a", flights="off"), crowd.start("slow a", flights="off")]
    crowd.begun("a", 2)
    crowd.say("go a")

    assert results(both) == ["result ['A']"] * 2
    assert set(crowd.ran("a")) == {each.pid for each in both}
    assert_sound(crowd)


# Many writers


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_processes_write_at_once_and_none_starves(crowd: Crowd) -> None:
    writers, calls = (16, 500) if TORTURE else (6, 60)
    firsts = [*(number * 1000 for number in range(writers - 2)), 0, 0]
    everybody = [crowd.start(f"many {first} {calls}") for first in firsts]

    ends = results(everybody)
    assert ends == [f"result {sum(range(each + 1, each + calls + 1))}" for each in firsts]
    assert crowd.errors() == ""
    with SqlBackend(crowd.uri) as backend:
        rows = backend._connection().execute("SELECT count(*) FROM evaluation").fetchone()
        assert rows[0] >= calls * (writers - 2)
    assert_sound(crowd)
