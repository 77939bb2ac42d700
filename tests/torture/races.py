"""Workers race for submissions, and are killed at random: each execution ends exactly once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

from taskgraph.catalog.states import TERMINAL, StateType
from taskgraph_backend.integrity import check
from tests.workers import SECONDS, Project, lives


def race(project: Project, *, workers: int, submissions: int, kills: int) -> None:
    """Have workers run submissions while they and their slots are killed; look at what was done.

    Args:
        project: Where.
        workers: How many there are at any time.
        submissions: How many executions they take.
        kills: How many processes are killed.
    """
    chance = random.Random(int(os.environ.get("TASKGRAPH_SEED", random.randrange(10**6))))
    # What is killed too often is given to nobody: that is another test's.
    config = project.folder / ".taskgraph/config.toml"
    config.write_text(config.read_text() + "max_losses = 1000\n")
    project.archive.backend.max_losses = 1000
    every = [project.submit("one", n=n, seconds=0.05) for n in range(submissions)]
    names = [f"w{number}" for number in range(workers)]
    running = {each: project.worker(name=each) for each in names}
    left = kills
    end = time.monotonic() + 10 * SECONDS
    while _open(project, every):
        assert time.monotonic() < end, [project.log(each) for each in names]
        time.sleep(chance.uniform(0.05, 0.4))
        if left and project.ran("begin"):
            left -= 1
            name = chance.choice(names)
            if chance.random() < 0.5:
                running[name].kill()
                running[name].wait()
                running[name] = project.worker(name=name)
            else:
                pid = chance.choice(project.ran("begin"))[2]
                with suppress(ProcessLookupError):
                    if lives(pid):
                        os.kill(pid, signal.SIGKILL)
        for name, process in running.items():
            if process.poll() is not None:  # its name was taken for a moment
                running[name] = project.worker(name=name)
    for process in running.values():
        process.send_signal(signal.SIGTERM)
    for process in running.values():
        process.wait(SECONDS)
    _look(project, every)


def _open(project: Project, every: list[str]) -> int:
    active = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}
    where = {"id": {"any_": every}, "state": active}
    return project.archive.executions.count(where)


def _look(project: Project, every: list[str]) -> None:
    for each in every:
        states = project.archive.executions.states(each)
        assert Counter(state.type in TERMINAL for state in states)[True] == 1, states
        assert states[-1].type is StateType.COMPLETED, states
        runs = sum(state.type is StateType.RUNNING for state in states)
        assert project.archive.executions.get(each).run_count == runs
    assert project.ran("overlap") == []
    assert {n for _, n, _ in project.ran("end")} == set(range(len(every)))

    def count(driver: object) -> int:
        sql = "SELECT count(*) FROM queued"
        return driver.execute(sql).fetchone()[0]  # type: ignore[attr-defined, no-any-return]

    assert project.archive.backend._ask(count) == 0
    assert not list(check(project.archive.backend))
