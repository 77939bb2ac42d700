"""What a call costs by way of a queue, beside the same call in a thread.

    python benchmarks/bench_queues.py [--rounds 5] [--calls 1000] [--chain 30] [--slots 2]

Calls of nothing: many at once, and one after the other. One server takes them, a process of its own
with so many slots, from an SQLite file. The processor's time is that of all processes together: of
the run, the server, and those that run the calls. Both take turns within a round; medians count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / each) for each in ("", "backend")]

from taskgraph import Scheduler, task  # noqa: E402
from taskgraph.assembly.databases import open_database  # noqa: E402
from taskgraph.config import settings_of  # noqa: E402
from taskgraph.serving.calls import CallServer  # noqa: E402

taskgraph_namespace = "bench"
KINDS = ("threads", "queues")
_TICK = os.sysconf("SC_CLK_TCK")


@task
def small_task(number: int) -> int:
    return number + 1


@task(executor="threads")
def together(parts: list[Any]) -> list[Any]:
    return parts


def serve(uri: str, slots: int) -> None:
    """Serve calls until the input ends."""
    settings = settings_of({"backend": {"db_uri": uri}})
    with open_database(settings) as backend:
        server = CallServer(settings, backend, ["default"], slots=slots)
        server.start()
        print("ready", flush=True)
        sys.stdin.read()
        server.stop()


@contextmanager
def served(uri: str, slots: int) -> Iterator[None]:
    words = [sys.executable, __file__, "--serve", uri, "--slots", str(slots)]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        assert server.stdin is not None
        assert server.stdout.readline() == "ready\n"
        yield
        server.stdin.close()


def processor() -> float:
    """Return the seconds that this process, and all that it has started, have computed."""
    children, seconds = defaultdict(list), {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(path.parent.name)
        children[int(fields[1])].append(pid)
        seconds[pid] = sum(map(int, fields[11:15])) / _TICK
    found, total = [os.getpid()], 0.0
    while found:
        each = found.pop()
        total += seconds[each]
        found += children[each]
    return total


def measure(scheduler: Scheduler, calls: Any, count: int) -> tuple[float, float]:
    """Return milliseconds a call: on the clock, and of the processor."""
    begun, before = time.perf_counter(), processor()
    scheduler.run(calls)
    took = time.perf_counter() - begun
    return took / count * 1e3, (processor() - before) / count * 1e3


def chain(first: int, length: int) -> Any:
    found: Any = first
    for _ in range(length):
        found = small_task(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--chain", type=int, default=30)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--serve", metavar="URI", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.slots)
        return
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/taskgraph.db"
        settings = settings_of({"backend": {"db_uri": uri}})
        with Scheduler(settings) as opened:
            opened.run(small_task(-1))
        with served(uri, chosen.slots):
            schedulers = {kind: Scheduler(settings, executor=kind) for kind in KINDS}
            for number, scheduler in enumerate(schedulers.values()):
                first = -1_000 * (number + 1)  # its processes are up
                scheduler.run(together([small_task(first - each) for each in range(20)]))
            first = 0
            for _ in range(chosen.rounds):
                for kind, scheduler in schedulers.items():
                    numbers = range(first, first + chosen.calls)
                    calls = together([small_task(each) for each in numbers])
                    at_once = measure(scheduler, calls, chosen.calls)
                    found[kind, "at once"].append(at_once)
                    first += chosen.calls
                    calls = chain(first, chosen.chain)
                    one_by_one = measure(scheduler, calls, chosen.chain)
                    found[kind, "one by one"].append(one_by_one)
                    first += chosen.chain + 1
            for scheduler in schedulers.values():
                scheduler.close()
    for way in ("at once", "one by one"):
        medians = {
            kind: [statistics.median(each) for each in zip(*found[kind, way], strict=True)]
            for kind in KINDS
        }
        for kind, (wall, spent) in medians.items():
            print(f"{way}, {kind}: {wall:.2f} ms a call, {spent:.2f} ms of the processor")
        ratios = [there / here for here, there in zip(*medians.values(), strict=True)]
        print(f"{way}: {ratios[0]:.1f} times as long, {ratios[1]:.1f} times the processor's time")


if __name__ == "__main__":
    main()
