"""Workers that are killed at random: each run ends with the right result, or says what was lost."""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler
from taskgraph.errors import WorkerLostError
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.torture.killed_tasks import workflow

RUNS = 100 if os.environ.get("TASKGRAPH_TORTURE") else 3
LEAVES = 24
SECONDS = 240.0
SEED = int(os.environ.get("TASKGRAPH_SEED", random.randrange(10**6)))

Pids = Callable[[], list[int]]


@pytest.fixture(params=["processes", "loky", "dask"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Scheduler, Pids]]:
    """A scheduler, and what returns the numbers of its worker processes."""
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    if request.param == "dask":
        settings: Any = {"backend": {"db_uri": uri}, "executors": {"dask": {"n_workers": 2}}}
        with Scheduler(settings, executor="dask") as scheduler:

            def nannied() -> list[int]:
                cluster = scheduler.executors["dask"].target._cluster  # type: ignore[attr-defined]
                nannies = [] if cluster is None else list(cluster.workers.values())
                return [each.pid for each in nannies if each.pid]

            yield scheduler, nannied
        return
    method = "loky" if request.param == "loky" else "spawn"
    table = {"max_workers": 2, "start_method": method}
    settings = {"backend": {"db_uri": uri}, "executors": {"processes": table}}
    with Scheduler(settings, executor="processes") as scheduler:

        def pids() -> list[int]:
            pool = scheduler.executors["processes"].target._pool  # type: ignore[attr-defined]
            return list(getattr(pool, "_processes", None) or {})

        yield scheduler, pids


def recorded(backend: SqlBackend, seed: int) -> set[int]:
    """Return the numbers of the leaves of a seed whose results are there."""
    rows = backend._connection().execute(
        "SELECT c.call_hash, a.arg_position, v.preview FROM call_node c"
        " JOIN evaluation e ON e.eval_hash = c.eval_hash"
        " JOIN argument a ON a.call_hash = c.call_hash"
        " JOIN value v ON v.value_hash = a.value_hash WHERE c.task_name = 'killed.leaf'"
    )
    calls: dict[Any, dict[int, str]] = {}
    for call, position, preview in rows:
        calls.setdefault(call, {})[position] = preview
    return {int(each[1]) for each in calls.values() if each[2] == str(seed)}


def ran(folder: Path, seed: int) -> dict[int, int]:
    """Return how often the body of each leaf was begun."""
    return {
        int(each.name): [line.split()[0] for line in each.read_text().splitlines()].count(str(seed))
        for each in folder.iterdir()
    }


@pytest.mark.slow
@pytest.mark.timeout(RUNS * 30 + 300)
def test_each_run_ends_and_nothing_that_is_recorded_runs_again(
    place: tuple[Scheduler, Pids], tmp_path: Path
) -> None:
    scheduler, pids = place
    chance = random.Random(SEED)
    folder = tmp_path / "ran"
    folder.mkdir()
    assert isinstance(scheduler.backend, SqlBackend)
    ends = {"right": 0, "lost": 0}
    kills = 0
    seed = 0
    # The first run loses a worker, and the last one none, whatever chance says.
    for most in (1, *(chance.choice([0, 1, 1, 2]) for _ in range(RUNS - 2)), 0):
        before = recorded(scheduler.backend, seed)
        begun = ran(folder, seed)

        outcome, killed = run_while_killing(scheduler, pids, folder, seed, most, chance)

        kills += killed
        after = ran(folder, seed)
        again = [each for each in before if after.get(each, 0) > begun.get(each, 0)]
        assert again == [], f"recorded, and run again (TASKGRAPH_SEED={SEED})"
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, WorkerLostError), (SEED, repr(outcome))
            assert "killed" in str(outcome)
            ends["lost"] += 1
        else:
            right = sum(number * seed for number in range(LEAVES)) + 4 * 200_000
            assert outcome == right, SEED
            ends["right"] += 1
            seed += 1  # other calls; after a loss the same ones again
    print(f"{RUNS} runs, {kills} kills: {ends}")
    assert kills and ends["right"]
    assert check(scheduler.backend) == []


def run_while_killing(
    scheduler: Scheduler, pids: Pids, folder: Path, seed: int, most: int, chance: random.Random
) -> tuple[Any, int]:
    """Run the workflow and kill workers meanwhile; returns what came of it, and how many died."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(scheduler.run(workflow(str(folder), LEAVES, seed)))
        except BaseException as error:
            outcome.append(error)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    killed = 0
    for _ in range(int(SECONDS / 0.02)):
        running.join(chance.uniform(0, 0.3) if killed < most else 0.02)
        if not running.is_alive():
            return outcome[0], killed
        if killed < most and (found := pids()):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)
                killed += 1
    faulthandler.dump_traceback(all_threads=True)
    executor = scheduler.executors[scheduler.default_executor]
    executor = getattr(executor, "target", executor)
    state = {name: each for name, each in vars(executor).items() if name != "_around"}
    raise AssertionError(f"it hangs (TASKGRAPH_SEED={SEED}): {state}")
