"""Runs cached tasks on SQLite and on a PostgreSQL server that is 1 ms away, by turns.

    python benchmarks/workloads/measure_far.py --folder /tmp/here --tasks 10000

The server is the wheel's, on this machine; a line between (`line.py`) holds all bytes back for half
a millisecond each way. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

ONE_WAY = 0.0005  # seconds


def main() -> None:
    """Fill both databases, and run again on each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tasks", type=int, default=10_000)
    options = parser.parse_args()

    from bench_backend import loopback_server
    from line import open_line
    from ours import inc

    from taskgraph import Scheduler
    from taskgraph_backend import SqlBackend

    def run(uri: str) -> float:
        backend = SqlBackend(uri, {"automigrate": True})
        backend.load()
        with Scheduler(backend=backend) as scheduler:
            scheduler.run([inc(-1)])
            started = time.perf_counter()
            found: Any = scheduler.run([inc(i) for i in range(options.tasks)])
            seconds = time.perf_counter() - started
        backend.close()
        if found[-1] != options.tasks:
            raise SystemExit(f"wrong result: {found[-1]}")
        return seconds

    with loopback_server(options.folder) as near:
        target = near.partition("@")[2].partition("/")[0]
        with open_line(target, delay=ONE_WAY) as port:
            far = near.replace(target, f"127.0.0.1:{port}")
            places = {
                "SQLite": f"sqlite:///{options.folder / 'near.db'}",
                "PostgreSQL, 1 ms away": far,
            }
            for phase in ("fresh", "again", "again"):
                for place, uri in places.items():
                    seconds = run(uri)
                    line = {"tool": "taskgraph", "workload": "far", "count": options.tasks}
                    measure = {"measure": f"{place}, {phase}", "seconds": seconds}
                    print(json.dumps({**line, **measure}), flush=True)


if __name__ == "__main__":
    main()
