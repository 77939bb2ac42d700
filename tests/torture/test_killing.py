"""Processes are killed with -9 at any moment: schedulers, and workers below them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from taskgraph_backend import SqlBackend
from tests.torture.invariants import assert_complete, assert_results, assert_whole
from tests.torture.starting import TORTURE, chance, kill, start

KILLS = 1000 if TORTURE else 8
GROUPS = 4
AT_ONCE = 3
# Of so many processes one wants the same: what one of them had begun another one goes on with.
SHARED_BY = 4


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_whoever_is_killed_nothing_is_lost_and_nothing_is_half_there(
    tmp_path: Path, database_uri: str
) -> None:
    random = chance("killing")
    killed = {"worker": 0, "scheduler": 0, "nobody": 0}
    started = 0
    running: list[subprocess.Popen[str]] = []
    while killed["worker"] + killed["scheduler"] < KILLS:
        while len(running) < AT_ONCE:
            executor = random.choice(["processes", "threads", "inline"])
            seed = started // SHARED_BY
            running.append(
                start(
                    "workflow", database_uri, tmp_path, executor, GROUPS, seed,
                    folder=tmp_path, errors=False,
                )
            )  # fmt: skip
            started += 1
        victim = random.choice(running)
        # What it says later goes unread: it is killed.
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(random.uniform(0.0, 0.6))
        killed[kill(victim, random.random() < 0.4)] += 1
        still = []
        for each in running:
            if each is not victim and each.poll() is None:
                still.append(each)
                continue
            out, _ = each.communicate(timeout=60)
            assert_results(out, GROUPS)
        running = still
    for each in running:
        each.kill()
        each.communicate()

    seeds = range(started // SHARED_BY + 1)
    last = start("workflow", database_uri, tmp_path, "threads", GROUPS, *seeds, folder=tmp_path)
    out, errors = last.communicate()

    assert (last.returncode, errors) == (0, "")
    assert out.count("done ") == len(seeds)
    assert_results(out, GROUPS)
    print(f"{killed} of {started}")
    with SqlBackend(database_uri) as backend:
        assert_whole(backend)
        assert_complete(backend, seeds, GROUPS)
