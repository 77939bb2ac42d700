"""Limits: how many calls use something at once, here and in other processes, and nobody starves."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, catch, task
from taskgraph.config import Settings, load_settings
from taskgraph.engine.limits import Limits
from taskgraph.errors import ConfigError, LimitError, TaskOptionError
from taskgraph.executors.threads import ThreadExecutor
from taskgraph.records import State
from taskgraph.testing import MemoryBackend
from tests.language.tasks import Flaky, describe, fail_until, inc

ROOT = Path(__file__).resolve().parents[2]


class Meter:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.order: list[Any] = []

    def visit(self, what: dict[str, int], mark: Any, seconds: float = 0.005) -> None:
        with self.lock:
            self.order.append(mark)
            for name, units in what.items():
                self.inside[name] = self.inside.get(name, 0) + units
                self.most[name] = max(self.most.get(name, 0), self.inside[name])
        time.sleep(seconds)
        with self.lock:
            for name, units in what.items():
                self.inside[name] -= units


meter = Meter()


@pytest.fixture(autouse=True)
def _new_meter() -> None:
    global meter
    meter = Meter()


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Scheduler]:
    settings = Settings(tmp_path / ".taskgraph", limits={"api": 3, "gpu": 2})
    with Scheduler(settings, backend=MemoryBackend(), executor="threads") as scheduler:
        scheduler.add_executor(ThreadExecutor("crowd", 16))
        scheduler.default_executor = "crowd"
        yield scheduler


@task(namespace="limits", version="1", limits=["api"])
def ask(n: int) -> int:
    meter.visit({"api": 1}, n)
    return n


@task(namespace="limits", version="1", limits={"gpu": 2, "api": 1})
def train(n: int) -> int:
    meter.visit({"gpu": 2, "api": 1}, f"train {n}")
    return n


@task(namespace="limits", version="1", limits="unnamed")
def alone(n: int) -> int:
    meter.visit({"unnamed": 1}, n)
    return n


@task(namespace="limits", version="1")
def free(n: int) -> int:
    meter.visit({"free": 1}, n, 0.05)
    return n


def test_no_more_run_at_once_than_there_is_room_for(crowd: Scheduler) -> None:
    calls = [[ask(each) for each in range(40)], [train(each) for each in range(5)]]

    crowd.run([*calls, [alone(each) for each in range(5)], [free(each) for each in range(8)]])

    assert meter.most["api"] == 3
    assert meter.most["gpu"] == 2
    assert meter.most["unnamed"] == 1, "a limit that nobody named is one"
    assert meter.most["free"] > 3


def test_who_waits_longest_comes_first_and_the_greedy_do_not_starve(crowd: Scheduler) -> None:
    """All of `gpu` and one of `api` at once: small wishes that come later must not overtake."""
    crowd.run(
        [*[ask(each) for each in range(20)], train(0), *[ask(each) for each in range(20, 60)]]
    )

    place = meter.order.index("train 0")
    assert place <= 24, "it waits for those before it, and for no other"


def test_a_limit_is_given_back_by_calls_that_fail_and_by_retries(
    crowd: Scheduler, tmp_path: Path
) -> None:
    limited = fail_until.options(limits=["one"], retries=2, retry_delay=0.01)
    failing = [catch(limited(str(tmp_path / f"f{n}"), 9), Flaky, describe) for n in range(3)]
    passing = [limited(str(tmp_path / f"p{n}"), 1) for n in range(3)]

    assert crowd.run([failing, passing]) == [["Flaky attempt 3"] * 3, [2] * 3]


def test_to_want_more_than_there_is_is_an_error(crowd: Scheduler) -> None:
    with pytest.raises(LimitError, match=r"wants 5 of the limit 'api', and there are 3"):
        crowd.run(inc.options(limits={"api": 5})(1))
    with pytest.raises(LimitError, match="there is 1"):
        crowd.run(inc.options(limits={"other": 2})(1))


@pytest.mark.parametrize("wrong", [3, {"api": 0}, {"api": "2"}, [1], {1: 1}, {"api": True}])
def test_what_is_no_limit_is_refused(wrong: Any) -> None:
    with pytest.raises(TaskOptionError, match="limits"):
        inc.options(limits=wrong)


def test_a_limit_in_the_settings_is_a_whole_number(tmp_path: Path) -> None:
    config = tmp_path / ".taskgraph"
    config.mkdir()
    (config / "config.toml").write_text("[limits]\napi = 0\n")

    with pytest.raises(ConfigError, match=r"limits\.api"):
        load_settings(config)


def test_cached_calls_need_no_limit(crowd: Scheduler) -> None:
    crowd.run([ask(each) for each in range(10)])
    started = len(meter.order)

    crowd.run([ask(each) for each in range(10)])

    assert len(meter.order) == started


def test_calls_that_wait_are_cancelled_when_something_fails(crowd: Scheduler) -> None:
    @task(namespace="limits", version="1", limits=["one"])
    def fail_slowly(n: int) -> int:
        time.sleep(0.05)
        raise ValueError(n)

    with pytest.raises(ValueError, match=r"\d"):
        crowd.run([fail_slowly(each) for each in range(20)])

    backend = crowd.backend
    assert isinstance(backend, MemoryBackend)
    states = [
        job.state_type
        for job in backend.jobs.values()
        if backend.tasks[job.task_hash].name == "fail_slowly"
    ]
    assert states.count(State.FAILED) == 1
    assert set(states) <= {State.FAILED, State.CANCELLED}
    assert [key for key in backend.leases if key.startswith("limit")] == []


SHARING = """
import sys, time
from pathlib import Path
from taskgraph import Scheduler, task
from taskgraph.config import Settings
from taskgraph.executors.threads import ThreadExecutor

taskgraph_namespace = "sharing"

@task(limits=["api"], version="1")
def ask(who: str, n: int, folder: str) -> int:
    inside = Path(folder) / f"{who}-{n}"
    inside.touch()
    most = len(list(Path(folder).iterdir()))
    time.sleep(0.02)
    inside.unlink()
    return most

if __name__ == "__main__":
    config, folder, who, count = sys.argv[1:]
    with Scheduler(Settings(Path(config), limits={"api": 2})) as scheduler:
        scheduler.add_executor(ThreadExecutor("crowd", 8))
        found = scheduler.run(
            [ask(who, n, folder) for n in range(int(count))], options={"executor": "crowd"}
        )
    print(max(found))
"""


def start_sharing(folder: Path, who: str, count: int) -> subprocess.Popen[str]:
    script = folder / "sharing.py"
    script.write_text(textwrap.dedent(SHARING))
    (folder / "inside").mkdir(exist_ok=True)
    (folder / ".taskgraph").mkdir(exist_ok=True)
    words = [str(folder / ".taskgraph"), str(folder / "inside"), who, str(count)]
    return subprocess.Popen(
        [sys.executable, str(script), *words],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_on_one_database_share_limits_and_both_come_to_an_end(tmp_path: Path) -> None:
    both = [start_sharing(tmp_path, who, 60) for who in "ab"]

    for process in both:
        most, complaints = process.communicate(timeout=100)
        assert process.returncode == 0, complaints
        assert 1 <= int(most) <= 2


def test_what_a_killed_process_held_is_free_again(tmp_path: Path) -> None:
    killed = start_sharing(tmp_path, "killed", 5_000)
    while not list((tmp_path / "inside").iterdir()):
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    for left in (tmp_path / "inside").iterdir():
        left.unlink()

    other = start_sharing(tmp_path, "other", 20)
    most, complaints = other.communicate(timeout=60)

    assert other.returncode == 0, complaints
    assert int(most) <= 2


class _Job:
    def __init__(self, name: str, **limits: int) -> None:
        self.id = name
        self.options = {"limits": limits}
        self.task = self
        self.fullname = name


def test_ten_thousand_that_wait_cost_no_more_than_their_turns() -> None:
    limits = Limits({"a": 1, "b": 1}, None)
    jobs = [_Job(str(n), **({"a": 1} if n % 3 else {"a": 1, "b": 1})) for n in range(10_000)]
    running = [each for each in jobs if limits.let_through(each)]  # type: ignore[arg-type]
    order = list(running)

    while running:
        limits.release(running.pop())  # type: ignore[arg-type]
        through: list[Any] = list(limits.take_free())
        running += through
        order += through

    assert [int(each.id) for each in order] == list(range(10_000))
    assert limits.used == {"a": 0, "b": 0}
