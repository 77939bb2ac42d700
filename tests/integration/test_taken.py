"""What a worker has taken is held and seen to its end: while it loads, and after trouble."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph.errors import DatabaseError
from taskgraph.records import ExecutionId, execution_lease
from taskgraph.serving.orders import SlotOrder
from taskgraph.serving.pipes import Pipes
from taskgraph.serving.taking import TakenSource
from taskgraph_backend.holders import this_process
from tests.workers import Project, lives, until

taskgraph_namespace = "taken"


@task
def double(x: int) -> int:
    return 2 * x


def _nothing_to_load(script: str) -> None:
    """Its tasks are those of this module."""


class Slot:
    """A slot within this process, with what its supervisor hears."""

    def __init__(self, tg: Archive, scheduler: Scheduler) -> None:
        pool = tg.pools.get_or_create("p", ["a"])
        here = this_process()
        worker = tg.workers.register("w", pool, host=here.host, pid=here.pid)
        self._orders = os.pipe()
        self._reports = os.pipe()
        self._pipes = Pipes(self._orders[0], self._reports[1])
        order = SlotOrder("c", worker.id, "w", pool.id, ("a",))
        loader: Any = _nothing_to_load
        self.source = TakenSource(scheduler, order, self._pipes, loader)

    def close(self) -> None:
        self._pipes._orders.close()
        for each in (self._orders[1], *self._reports):
            os.close(each)

    def said(self) -> list[str]:
        """Return what kinds of things it has said since."""
        os.set_blocking(self._reports[0], False)
        try:
            lines = os.read(self._reports[0], 65536).splitlines()
        except BlockingIOError:
            return []
        return [json.loads(each)["kind"] for each in lines]


@pytest.fixture
def slot(tg: Archive, recording: Scheduler) -> Iterator[Slot]:
    made = Slot(tg, recording)
    yield made
    made.close()


def submit(tg: Archive) -> str:
    return tg.executions.create("taken.double", {"x": 2}, queues=["a"]).execution.id


@pytest.mark.parametrize("asked", ["find", "snapshot", "finish"])
def test_what_was_taken_before_the_database_was_away_is_gone_on_with(
    tg: Archive, slot: Slot, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once away, it is asked again; nobody else has it meanwhile, and it is told of once."""
    one, two = submit(tg), submit(tg)
    source = slot.source
    owner: Any = source._routing if asked == "finish" else source._catalog
    real = getattr(owner, asked)
    times = []

    def away(*given: Any) -> Any:
        times.append(given)
        if len(times) == 1:
            raise DatabaseError("it", "it is away")
        return real(*given)

    monkeypatch.setattr(owner, asked, away)
    with pytest.raises(DatabaseError, match="away"):
        source.step()
    assert source.is_busy
    assert source._routing.find_lost() == []
    assert source.step()
    assert not source.is_busy

    first = next(each for each in (one, two) if tg.executions.get(each).state.name == "Completed")
    other = two if first == one else one
    assert tg.executions.get(other).state.name == "Pending"
    assert [each.name for each in tg.executions.states(first)] == [
        "Pending", "Running", "Completed",
    ]  # fmt: skip
    assert slot.said() == ["took", "ended"]
    assert source._routing.find_lost() == []
    assert tg.backend.find_leases([execution_lease(ExecutionId(first))]) == {}


SLOW = """
import os
import time

from taskgraph import task

open("loading", "w").write(str(os.getpid()))
while not os.path.exists("go"):
    time.sleep(0.01)


@task(namespace="slow")
def main() -> int:
    return 1
"""


def _expires(project: Project, execution_id: str) -> int:
    key = execution_lease(ExecutionId(execution_id))
    return project.archive.backend.find_leases([key])[key].expires


def test_a_script_that_takes_its_time_to_load_is_held_meanwhile(served_small: Project) -> None:
    project = served_small
    (project.folder / "slow.py").write_text(SLOW)
    one = project.archive.executions.create(
        "slow.main", {}, queues=["a"], options={"script": "slow.py"}
    ).execution.id
    worker = project.worker("--burst")
    until(lambda: (project.folder / "loading").exists(), "the beginning of the script")
    first = _expires(project, one)

    until(lambda: _expires(project, one) > first, "a heartbeat")
    (project.folder / "go").touch()
    assert worker.wait(60) == 0
    assert project.states(one) == ["Pending", "Running", "Completed"]


def test_what_is_taken_away_while_it_loads_ends_the_slot(served_small: Project) -> None:
    project = served_small
    (project.folder / "slow.py").write_text(SLOW)
    one = project.archive.executions.create(
        "slow.main", {}, queues=["a"], options={"script": "slow.py"}
    ).execution.id
    project.worker()
    loading = project.folder / "loading"
    until(lambda: loading.exists() and loading.read_text(), "the beginning of the script")
    slot = int(loading.read_text())
    assert project.archive.executions.delete(one, force=True)

    until(lambda: not lives(slot), "the end of the slot")
    until(lambda: "not its own any more" in project.log(), "what the slot said at its end")
    assert project.archive.executions.find(one) is None


def test_what_asks_a_whole_service_to_end_lets_end_what_runs(served_small: Project) -> None:
    """A service manager sends its signal to all processes of a worker, slots among them."""
    project = served_small
    one = project.submit("held", n=1)
    worker = project.worker()
    slot = project.slot_of(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(slot, number)
    worker.send_signal(signal.SIGTERM)
    until(lambda: "takes no more" in project.log())
    assert lives(slot)
    project.go(1)

    assert worker.wait(60) == 0
    assert project.states(one) == ["Pending", "Running", "Completed"]
    assert "ended by" not in project.log()


SCRIPTED = """
from taskgraph import script, task


@task(namespace="scripted")
def main():
    return script('''
        #!/bin/sh
        trap '' TERM
        for each in $(cat pids 2>/dev/null); do
            state=$(cut -d' ' -f3 /proc/$each/stat 2>/dev/null)
            case "${state:-X}" in Z|X) ;; *) echo overlap >> said ;; esac
        done
        echo $$ >> pids
        while [ ! -e go ]; do sleep 0.05; done
        echo ended >> said
    ''')
"""


def test_the_scripts_of_a_slot_that_died_have_ended_before_it_is_run_again(
    served_small: Project,
) -> None:
    """They are asked to end, and have two seconds for that: one takes them, and ever more."""
    project = served_small
    (project.folder / "scripted.py").write_text(SCRIPTED)
    one = project.archive.executions.create(
        "scripted.main", {}, queues=["a"], options={"script": "scripted.py"}
    ).execution.id
    worker = project.worker()
    pids = project.folder / "pids"
    until(lambda: pids.exists() and pids.read_text(), "the beginning of the script")
    key = execution_lease(ExecutionId(one))
    (lease,) = project.archive.backend.find_leases([key]).values()
    os.kill(lease.pid, signal.SIGKILL)
    until(lambda: not lives(lease.pid), "the end of the slot")
    # Nobody else gives it back meanwhile either.
    script = int(pids.read_text())

    def given_back() -> bool:
        project.archive.executions.sweep()
        return "AwaitingRetry" in project.states(one)

    until(given_back)
    assert not lives(script)

    until(lambda: len(pids.read_text().split()) == 2, "the beginning of the second one")
    (project.folder / "go").touch()
    until(lambda: project.state(one) == "Completed")
    assert (project.folder / "said").read_text() == "ended\n"
    states = [each for each in project.states(one) if each != "Running"]  # it may die before that
    assert states == ["Pending", "AwaitingRetry", "Pending", "Completed"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
