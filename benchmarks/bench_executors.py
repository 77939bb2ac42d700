"""How busy worker processes are, and what a task costs on Dask beside plain futures.

    python benchmarks/bench_executors.py [--rounds 5] [--tasks 2000]

Contestants take turns within a round, on the same cluster; medians are compared as ratios, for
absolute figures move with the machine.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / each) for each in ("", "backend")]

from taskgraph import Scheduler, task  # noqa: E402
from taskgraph.testing import MemoryBackend  # noqa: E402

taskgraph_namespace = "bench"
SECONDS = 0.005


@task
def busy(number: int) -> tuple[float, float]:
    """Compute for five milliseconds; returns when that was."""
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS:
        pass
    return begun, time.monotonic()


@task
def together(parts: list[Any]) -> list[Any]:
    return parts


def small(number: int) -> int:
    return number + 1


@task
def small_task(number: int) -> int:
    return small(number)


def how_busy(tasks: int, workers: int, method: str) -> float:
    """Return which part of the time the workers were computing, from the first to the last."""
    table = {"max_workers": workers, "start_method": method}
    settings = {"executors": {"processes": table}}
    with Scheduler(settings, backend=MemoryBackend(), executor="processes") as scheduler:
        scheduler.run(together([busy(-number) for number in range(1, 9)]))  # they are up
        spans = scheduler.run(together([busy(number) for number in range(tasks)]))
    wall = max(end for _, end in spans) - min(begun for begun, _ in spans)
    return sum(end - begun for begun, end in spans) / (workers * wall)


def on_dask(tasks: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contestant, round by round."""
    from distributed import Client, LocalCluster

    times: dict[str, list[float]] = {"futures": [], "submit": [], "taskgraph": []}
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        settings = {"executors": {"dask": {"address": cluster.scheduler_address}}}
        with Scheduler(settings, backend=MemoryBackend(), executor="dask") as scheduler:
            scheduler.run(together([small_task(-number) for number in range(1, 20)]))
            client.gather(client.map(small, range(20), pure=False))
            for each in range(rounds):
                first = each * tasks
                numbers = range(first, first + tasks)
                wanted = [number + 1 for number in numbers]
                for name, took in times.items():
                    gc.collect()
                    begun = time.perf_counter()
                    if name == "futures":
                        found = client.gather(client.map(small, numbers, pure=False))
                    elif name == "submit":
                        sent = [client.submit(small, number, pure=False) for number in numbers]
                        found = [future.result() for future in sent]
                    else:
                        found = scheduler.run(together([small_task(n) for n in numbers]))
                    took.append(time.perf_counter() - begun)
                    assert found == wanted
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    for method in ("spawn", "loky"):
        parts = [how_busy(chosen.tasks, chosen.workers, method) for _ in range(chosen.rounds)]
        print(
            f"processes ({method}), {chosen.tasks} tasks of 5 ms on {chosen.workers} workers: "
            f"busy {statistics.median(parts):.0%} (least {min(parts):.0%})"
        )
    times = on_dask(chosen.tasks, chosen.rounds)
    ours = times.pop("taskgraph")
    print(f"dask: taskgraph {statistics.median(ours) / chosen.tasks * 1e3:.2f} ms a task")
    for name, theirs in times.items():
        ratio = statistics.median(ours) / statistics.median(theirs)
        least = min(ours) / min(theirs)
        each = statistics.median(theirs) / chosen.tasks * 1e3
        print(f"dask: {name} {each:.2f} ms a task; ours is {ratio:.2f} of it (least: {least:.2f})")


if __name__ == "__main__":
    main()
